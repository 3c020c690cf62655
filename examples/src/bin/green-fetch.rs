//! Fetches slow pages, as many at once as there are, from a server of its own: `green-fetch [PAGES]`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rq_core::blocking::Queue;
use rq_examples::fetch::{self, fetch as page, serve};
use rq_worker_green::Worker;

/// How long each page takes.
const DELAY: Duration = Duration::from_millis(500);
const PAGES: usize = 200;
const QUEUE: &str = "green-fetch";

fn main() -> Result<()> {
    let pages =
        std::env::args().nth(1).map_or(Ok(PAGES), |pages| pages.parse()).context("how many pages?")?;
    let url = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let host = serve(DELAY)?.to_string();
    let calls = (0..pages).map(|number| page::call(host.clone(), format!("/page/{number}")));
    let jobs = Queue::connect(&url, QUEUE)?.enqueue_many(calls)?;
    let began = Instant::now();
    Worker::new(fetch::handlers()).url(url).queues([QUEUE]).concurrency(pages.max(1)).burst().try_run()?;
    let mut bytes = 0;
    for job in &jobs {
        bytes += job.result()?.with_context(|| format!("job {} has failed", job.id()))?;
    }
    let took_s = began.elapsed().as_secs_f64();
    println!("{pages} pages of {DELAY:?} each, {bytes} bytes, in {took_s:.2} s");
    Ok(())
}
