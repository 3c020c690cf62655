//! An async producer: enqueues one call, waits for its result.

use anyhow::Context;
use rq_core::{Queue, secs};
use rq_examples::word_count::count_words_at_url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let page = std::env::args().nth(1).context("usage: enqueue PAGE_URL")?;
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let queue = Queue::connect(&redis, "default").await?;
    let job = queue.enqueue(count_words_at_url::call(page.clone()).timeout(secs(30))).await?;
    println!("enqueued {}; waiting for a worker", job.id());
    println!("{page} has {} words", job.wait(secs(60)).await?);
    Ok(())
}
