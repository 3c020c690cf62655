//! Carries who a job is for from the producer to the job: `middleware_tenant`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rq_core::blocking::Queue;
use rq_core::{BoxError, Call, Context, JobOutcome, Next, Value, handlers, job};
use rq_worker_green::Worker;

const QUEUE: &str = "middleware_tenant";
/// Where the job's meta has it.
const TENANT: &str = "tenant";

thread_local! {
    /// Who is logged in here, as a web framework might keep it.
    static LOGGED_IN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The tenant that a job runs for.
struct Tenant(String);

impl Tenant {
    /// For whatever code asks, however deep in a job.
    fn current() -> Option<Arc<Tenant>> {
        Context::current()?.extensions().get()
    }
}

/// Puts the tenant into what is enqueued. Refuses what would be nobody's.
fn add_tenant(_queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
    let tenant = LOGGED_IN.with_borrow(Option::clone).ok_or("nobody is logged in")?;
    Ok(call.meta(TENANT, tenant))
}

/// Makes the tenant current around each job, and does not run a job without one.
fn make_tenant_current(ctx: &Context, next: Next<'_>) -> JobOutcome {
    let Some(Value::Str(tenant)) = ctx.meta_value(TENANT)? else {
        return Err("the job has no tenant".into());
    };
    ctx.extensions().insert(Tenant(tenant));
    next.run()
}

/// Sends the invoice of a month.
#[job("invoices.send")]
fn send(month: u32) -> Result<()> {
    audit(&format!("sent the invoice of month {month}"));
    Ok(())
}

/// The same in async code: the context is current in each of its polls, whichever thread polls.
#[job("invoices.remind")]
async fn remind(ctx: &Context) -> Result<()> {
    ctx.sleep_async(Duration::from_millis(20)).await?;
    audit("reminded");
    Ok(())
}

/// Knows for whom, although nobody has handed it over.
fn audit(what: &str) {
    println!("{}: {what}", Tenant::current().map_or_else(|| "nobody".to_owned(), |tenant| tenant.0.clone()));
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?.middleware(add_tenant);
    if let Err(error) = queue.enqueue(send::call(1)) {
        println!("{error}");
    }
    LOGGED_IN.set(Some("acme".to_owned()));
    queue.enqueue(send::call(2))?;
    LOGGED_IN.set(Some("globex".to_owned()));
    // What is made of this queue carries it, too.
    queue.new_group().enqueue(remind::call())?;
    let worker = Worker::new(handlers![send, remind]).url(redis).queues([QUEUE]).concurrency(1).burst();
    Ok(worker.middleware(make_tenant_current).try_run()?)
}
