//! Two kinds of processes under one Manager, one of them with limits and with a log of its own: `process-limits`.
//!
//! That log is `Large-1.log` in the folder of temporary files.

use std::time::Duration;

use anyhow::Result;
use rq_manager::{BoxError, Context, Kind, Log, Manager, Process, make_log};
use tracing::info;

/// How many numbers of eight bytes a large list has: 16 MB.
const LIST_LEN: u64 = 2 << 20;
/// A process of Rust holds a few megabytes before it has done anything; a limit below that would be refused.
const SOFT_MEMORY_LIMIT_MB: u64 = 50;
const HARD_MEMORY_LIMIT_MB: u64 = 100;

/// Says that it is there, once a second.
struct Plain;

impl Process for Plain {
    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        info!("{} is at work", context.name());
        context.sleep(Duration::from_secs(1))?;
        Ok(true)
    }
}

/// Builds a large list each time.
#[derive(Default)]
struct Large {
    log: Log,
}

impl Process for Large {
    fn init(&mut self, context: &Context) -> Result<(), BoxError> {
        // By the slot's name, so that those who follow in it go on with the same file.
        let path = std::env::temp_dir().join(format!("{}.log", context.name()));
        self.log = make_log(path).max_bytes(1 << 20).backup_count(2).open()?;
        Ok(())
    }

    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        let list: Vec<u64> = (0..LIST_LEN).collect();
        self.log.with(|| info!("{} has a list of {}", context.name(), list.len()));
        // A run over its time fails here, and is told to `on_exception`.
        context.sleep(Duration::from_secs(1))?;
        Ok(true)
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_target(false).init();
    let plain = Kind::new("Plain", |_| Plain).max_requests(2);
    let large = Kind::new("Large", |_| Large::default())
        .max_requests(2)
        .timeout(Duration::from_secs(5))
        .soft_memory_limit(SOFT_MEMORY_LIMIT_MB)
        .hard_memory_limit(HARD_MEMORY_LIMIT_MB);
    let manager = Manager::new([plain, large]).title("Two kinds").check_point(Duration::from_secs(1));
    Ok(manager.start()?)
}
