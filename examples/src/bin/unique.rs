//! Makes one job of many calls: `unique`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::Result;
use rq_core::blocking::Queue;
use rq_core::{Error, MadeOrFound, Unique, handlers, hours, job, minutes};
use rq_worker_green::Worker;

const QUEUE: &str = "unique";

/// Brings an account up to date.
#[job("accounts.sync")]
fn sync(account: u64) -> Result<String> {
    Ok(format!("account {account} is up to date"))
}

/// Rebuilds an index from all that is there when it begins.
#[job("search.index")]
fn index() -> Result<()> {
    println!("indexed");
    Ok(())
}

/// Each click on a button asks for the same.
fn click(queue: &Queue) -> Result<()> {
    match queue.enqueue_unique(sync::call(7).unique_by_args(hours(1)))? {
        MadeOrFound::Made(_) => println!("under way"),
        MadeOrFound::Found(job) => {
            println!("{} already", job.status()?.map_or("gone", |status| status.as_str()))
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?;
    click(&queue)?;
    click(&queue)?;
    // What changes while the index is being built needs another run; what changes before is part of this one.
    for _ in 0..3 {
        let call = index::call().unique_by_args(Unique::until_started(minutes(10)));
        queue.enqueue_unique(call)?;
    }
    // By the id, as in RQ: also when it has ended, as long as its record is kept.
    let daily = || sync::call(8).job_id("sync-8-2026-11-28").unique();
    let job = queue.enqueue(daily())?;
    Worker::new(handlers![sync, index]).url(&redis).queues([QUEUE]).concurrency(1).burst().try_run()?;
    println!("{}", job.result()?.unwrap_or_default());
    if let Err(Error::Duplicate { job_id, status }) = queue.enqueue(daily()) {
        println!("{job_id} is {status}");
    }
    click(&queue)
}
