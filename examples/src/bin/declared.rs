//! Says what all calls of a job share where the job is declared: `declared`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::{Context as _, Result, ensure};
use rq_core::blocking::Queue;
use rq_core::{Context, handlers, job};
use rq_worker_green::Worker;

/// Who is told when something goes wrong.
mod alerts {
    use rq_core::{End, callback};

    /// Pages somebody.
    #[callback("alerts.page")]
    pub(crate) fn page(end: End) -> rq_core::Result<()> {
        if let End::Failed(failure) = end {
            super::log(&format!("paged: {}", failure.text()));
        }
        Ok(())
    }
}

/// Sends a mail.
#[job("mail.send", queue = "low", timeout = "30s", retry = 3, on_failure = alerts::page)]
fn send(to: String) -> Result<()> {
    ensure!(to.contains('@'), "{to} is no address");
    log(&format!("sent to {to}"));
    Ok(())
}

/// Knows what job it is called in, although nobody has handed it a context.
fn log(what: &str) {
    match Context::current() {
        Some(ctx) => println!("{} from {}: {what}", ctx.job().id, ctx.job().origin),
        None => println!("no job: {what}"),
    }
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, "default")?;
    // In the queue `low`, as declared.
    let plain = send::delay(&queue, "ada@example.com".to_owned())?;
    // A call's own word wins: another queue, and no retry.
    let urgent = send::call("nobody".to_owned()).queue("high").retry(0).job_id("urgent");
    queue.delay(urgent)?;
    // Here and now.
    send("eve@example.com".to_owned())?;
    let worker = Worker::new(handlers![send, alerts::page]).url(redis).queues(["high", "low"]);
    worker.concurrency(1).burst().try_run()?;
    println!("{} is {:?}", plain.id(), plain.status()?.context("its record is kept")?);
    Ok(())
}
