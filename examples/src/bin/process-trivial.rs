//! A Manager of one process, which it replaces after two runs: `process-trivial`.
//!
//! Ctrl-C, or SIGTERM to the process that its log names first, ends both.

use std::time::Duration;

use anyhow::Result;
use rq_manager::{BoxError, Context, Kind, Manager, Process};
use tracing::info;

/// Says that it is there, once a second.
struct Trivial;

impl Process for Trivial {
    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        info!("{} is at work", context.name());
        context.sleep(Duration::from_secs(1))?;
        Ok(true)
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_target(false).init();
    let kind = Kind::new("Trivial", |_| Trivial).max_requests(2);
    Ok(Manager::new([kind]).title("A trivial Manager").start()?)
}
