//! Few at once, and few a second: `limits`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::Result;
use rq_core::blocking::Queue;
use rq_core::{handlers, job, secs};
use rq_worker_green::Worker;

const QUEUE: &str = "limits";

/// Fetches a page of a server that bears two of us at a time.
#[job("pages.fetch")]
fn fetch(page: u32) -> Result<()> {
    println!("page {page}");
    Ok(())
}

/// Sends a mail over a service that takes three a second.
#[job("mail.send")]
fn send(_to: String) -> Result<()> {
    Ok(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?;
    queue.enqueue_many((1..=5).map(|page| fetch::call(page).rate_limit("example.com", 2)))?;
    let limit = queue.rate_limit("example.com");
    println!(
        "{} of {} slots, {} wait",
        limit.held_count()?,
        limit.slots()?.unwrap_or(0),
        limit.waiting_count()?
    );
    // The slots of jobs that have ended go to others: one worker runs all five.
    Worker::new(handlers![fetch, send]).url(&redis).queues([QUEUE]).concurrency(1).burst().try_run()?;
    println!("{} wait", limit.waiting_count()?);

    // Three may start now, three in a second, and one in two.
    let mails = (0..7).map(|number| send::call(format!("{number}@example.com")).pace("mail", 3, secs(1)));
    let mails = queue.enqueue_many(mails)?;
    println!("{} may start now", queue.len()?);
    for mail in mails {
        mail.delete()?;
    }
    Ok(())
}
