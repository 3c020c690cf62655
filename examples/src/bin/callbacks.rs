//! Calls functions when jobs have ended: `callbacks`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::{Result, bail};
use rq_core::blocking::Queue;
use rq_core::{Callback, Context, End, callback, handlers, job, minutes, secs};
use rq_worker_green::Worker;

const QUEUE: &str = "callbacks";

/// Halves a number that is even.
#[job("callbacks.halve")]
fn halve(number: i64) -> Result<i64> {
    if number % 2 == 0 { Ok(number / 2) } else { bail!("{number} is odd") }
}

/// Takes long, and is stopped: by itself here, by `JobHandle::stop` of whoever else has thought better of it.
#[job("callbacks.ponder")]
fn ponder(ctx: &Context) -> Result<()> {
    ctx.queue(QUEUE)?.handle::<()>(&ctx.job().id).stop()?;
    Ok(ctx.sleep(minutes(1))?)
}

/// Has the value in the type that the job returns, before anybody else can see it.
#[callback("callbacks.publish")]
fn publish(end: End) -> Result<()> {
    if let End::Finished(value) = end {
        println!("published {}", value.read::<i64>()?);
    }
    Ok(())
}

/// Is called for each attempt that fails.
#[callback("callbacks.page")]
fn page(ctx: &Context, end: End) -> Result<()> {
    if let End::Failed(failure) = end {
        println!("paged for {}: {}", ctx.job().id, failure.text());
    }
    Ok(())
}

/// Needs nothing of what it is called with.
#[callback("callbacks.tidy")]
fn tidy(_end: End) -> Result<()> {
    println!("tidied up");
    Ok(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?;
    queue.enqueue(halve::call(4).on_success(publish::callback()))?;
    // Where a worker of Python's takes it, which has no `page`, it calls what it can import.
    let pythons = Callback::python("alerts.hooks.page");
    let odd = halve::call(5).job_id("odd").on_failure(page::callback().timeout(secs(5))).on_failure(pythons);
    queue.enqueue(odd)?;
    queue.enqueue(ponder::call().on_stopped(tidy::callback()))?;
    // A worker has the callbacks beside the jobs. One job at a time, so that this prints the same each time.
    let worker = Worker::new(handlers![halve, ponder, publish, page, tidy]).url(redis).queues([QUEUE]);
    Ok(worker.concurrency(1).burst().try_run()?)
}
