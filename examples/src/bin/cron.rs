//! Jobs at fixed times: `cron`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use rq_core::{handlers, job, secs};
use rq_cron::{CatchUp, Cron, Entry, Overlap};
use rq_worker_green::Worker;

const QUEUE: &str = "cron";
/// How many syncs the program waits for.
const SYNCS: usize = 3;

static DONE: AtomicUsize = AtomicUsize::new(0);

/// Brings an account up to date.
#[job("accounts.sync")]
fn sync(account: u32) -> Result<()> {
    println!("account {account} is up to date");
    DONE.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Writes the report of a year.
#[job("reports.yearly")]
fn report(_year: i32) -> Result<()> {
    Ok(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let cron = Cron::new()
        // At once when it is first seen, then each second; never two at a time.
        .entry(Entry::every(secs(1), sync::call(7)).queue(QUEUE).overlap(Overlap::Skip))
        // At three in the morning in Berlin. What was missed is of no use a day later.
        .entry(
            Entry::at("0 3 * * *", report::call(2026))
                .named("nightly report")
                .zone("Europe/Berlin")
                .catch_up(CatchUp::None),
        );
    // Any number of workers may have these entries, and so may `rq cron`: each tick is fired once.
    let worker = Worker::new(handlers![sync, report]).url(&redis).queues([QUEUE]).cron(cron);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(worker.run_until(async {
        while DONE.load(Ordering::Relaxed) < SYNCS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }))?;
    Ok(())
}
