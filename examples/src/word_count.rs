//! Counting the words of pages: RQ's own first example.

use std::time::Duration;

use anyhow::Context as _;
use rq_core::{Context, Handlers, handlers, job};

/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest page that is counted.
const PAGE_BYTES_MAX: u64 = 10 << 20;

/// What all jobs of a worker share: one HTTP client, which keeps its connections.
pub struct Http {
    agent: ureq::Agent,
}

impl Http {
    /// A client with a time limit.
    pub fn new() -> Http {
        Http { agent: ureq::Agent::config_builder().timeout_global(Some(PAGE_TIMEOUT)).build().into() }
    }
}

impl Default for Http {
    fn default() -> Http {
        Http::new()
    }
}

/// Counts the words of the page at `url`.
#[job("word_count.count_words_at_url")]
pub fn count_words_at_url(ctx: &Context, url: String) -> anyhow::Result<usize> {
    ctx.progress(0.0, "fetching")?;
    let mut page =
        ctx.state::<Http>().agent.get(&url).call().with_context(|| format!("could not fetch {url}"))?;
    let text = page.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string()?;
    ctx.progress(0.5, "counting")?;
    Ok(text.split_whitespace().count())
}

/// Adds two numbers, under the name of a function that every Python has: for measuring, and for trying things out.
#[job("operator.add")]
pub fn add(x: i64, y: i64) -> anyhow::Result<i64> {
    x.checked_add(y).context("the sum needs more than 64 bits")
}

/// The jobs of this module.
pub fn handlers() -> Handlers {
    handlers![count_words_at_url, add]
}
