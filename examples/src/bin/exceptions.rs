//! Does something about failures, in a chain of exception handlers: `exceptions`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use rq_core::blocking::Queue;
use rq_core::{Context, ExceptionHandler, Failure, Job, handlers, job, minutes};
use rq_worker_green::Worker;

const QUEUE: &str = "exceptions";

/// Reads a number.
#[job("exceptions.read")]
fn read(number: String) -> Result<i64> {
    number.parse().with_context(|| format!("could not read {number:?}"))
}

/// Takes longer than it may.
#[job("exceptions.dawdle", timeout = "1s")]
fn dawdle(ctx: &Context) -> Result<()> {
    Ok(ctx.sleep(minutes(1))?)
}

/// Counts failures. A handler that keeps something is a type; several threads may call it at once.
struct Counter(AtomicU64);

impl ExceptionHandler for Counter {
    fn handle(&self, _: &Job, _: &Failure) -> ControlFlow<()> {
        println!("failure {}", self.0.fetch_add(1, Ordering::Relaxed) + 1);
        ControlFlow::Continue(())
    }
}

/// Has the handlers behind it never hear of a time limit.
fn pass_over_time_limits(_: &Job, failure: &Failure) -> ControlFlow<()> {
    match failure {
        Failure::Timeout { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

/// Reports what failed and how: the text that Redis gets as well, with one cause a line.
fn report(job: &Job, failure: &Failure) -> ControlFlow<()> {
    println!("{} failed\n{}", job.id, failure.text());
    ControlFlow::Continue(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?;
    queue.enqueue(dawdle::call())?;
    queue.enqueue(read::call("4 apples".to_owned()).job_id("apples"))?;
    let worker = Worker::new(handlers![read, dawdle]).url(redis).queues([QUEUE]).concurrency(1).burst();
    // They are called in this order. What is done about a failure anyhow, the retry and the result, is not theirs.
    let worker = worker.exception_handler(Counter(AtomicU64::new(0)));
    Ok(worker.on_exception(pass_over_time_limits).on_exception(report).try_run()?)
}
