//! Says how long jobs take and how they end, by function: `middleware_timing`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rq_core::blocking::Queue;
use rq_core::{Context, EnqueueMiddleware, EnqueueOutcome, JobMiddleware, JobOutcome, Next, handlers, job};
use rq_worker_green::Worker;

const QUEUE: &str = "middleware_timing";

/// Halves a number that is even.
#[job("timing.halve")]
fn halve(number: i64) -> Result<i64> {
    ensure!(number % 2 == 0, "{number} is odd");
    Ok(number / 2)
}

/// Takes its time, in async code.
#[job("timing.nap")]
async fn nap(ctx: &Context) -> Result<()> {
    Ok(ctx.sleep_async(Duration::from_millis(50)).await?)
}

/// What a program would give to its metrics.
#[derive(Default)]
struct Figures {
    well: u32,
    failed: u32,
    took: Duration,
}

/// Keeps the figures of each function. Clones share them: one is around jobs, one around enqueueing.
#[derive(Clone, Default)]
struct Timing(Arc<Mutex<BTreeMap<String, Figures>>>);

impl Timing {
    fn count(&self, what: String, is_well: bool, took: Duration) {
        let mut all = self.figures();
        let figures = all.entry(what).or_default();
        *if is_well { &mut figures.well } else { &mut figures.failed } += 1;
        figures.took += took;
    }

    fn figures(&self) -> MutexGuard<'_, BTreeMap<String, Figures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobMiddleware for Timing {
    fn call(&self, _: &Context, next: Next<'_>) -> JobOutcome {
        let (what, began) = (format!("run {}", next.function()), Instant::now());
        let outcome = next.run();
        self.count(what, outcome.is_ok(), began.elapsed());
        outcome
    }
}

impl EnqueueMiddleware for Timing {
    fn after(&self, outcome: &EnqueueOutcome<'_>) {
        self.count(format!("enqueue {}", outcome.function), outcome.result.is_ok(), outcome.took);
    }
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let timing = Timing::default();
    let queue = Queue::connect(&redis, QUEUE)?.middleware(timing.clone());
    queue.enqueue_many([halve::call(4), halve::call(5), halve::call(6)])?;
    queue.enqueue(nap::call())?;
    let worker = Worker::new(handlers![halve, nap]).url(redis).queues([QUEUE]).burst();
    worker.middleware(timing.clone()).try_run()?;
    for (what, Figures { well, failed, took }) in &*timing.figures() {
        println!("{what}: {well} well, {failed} failed");
        eprintln!("{what}: {took:?} in all");
    }
    Ok(())
}
