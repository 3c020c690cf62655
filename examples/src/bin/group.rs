//! Has a job run when all jobs of a group have ended: `group`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::{Result, ensure};
use rq_core::blocking::Queue;
use rq_core::{Context, Status, handlers, job};
use rq_worker_green::Worker;

const QUEUE: &str = "group";

/// Draws a page, unless that is bewitched.
#[job("group.render")]
fn render(page: i64) -> Result<i64> {
    ensure!(page != 3, "page {page} is bewitched");
    println!("page {page}");
    Ok(page)
}

/// Binds what there is.
#[job("group.bind")]
fn bind(ctx: &Context, report: String) -> Result<()> {
    let pages = ctx.queue(QUEUE)?.group(&report)?;
    let status = pages.status()?;
    println!("{report} has {status}");
    for job in pages.jobs()?.iter().filter(|job| job.status == Status::Failed) {
        println!("without {}", job.described());
    }
    Ok(())
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, QUEUE)?;
    let pages = queue.group("the report")?;
    pages.enqueue_many((1..=4).map(render::call))?;
    pages.on_complete(bind::call(pages.name().to_owned()))?;
    println!("{}", pages.status()?);
    // One job at a time, so that this prints the same each time.
    let worker = Worker::new(handlers![render, bind]).url(redis).queues([QUEUE]);
    Ok(worker.concurrency(1).burst().try_run()?)
}
