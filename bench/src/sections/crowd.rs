//! What many idle workers on one Redis cost it, beyond what it uses without them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Extent;
use super::wake_up::IdleWorker;
use crate::figures::{Figures, Name};
use crate::stage::{QUEUE, Stage};

pub(crate) const REDIS_PERCENT: Name = Name::new("1,000 idle workers", "% of one Redis core");

/// How many workers the figure is for.
const WORKERS: usize = 1000;
/// How long they may take to start.
const START_LONGEST: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    // A quarter of them costs a quarter.
    let (workers, window) = extent.choose((WORKERS / 4, 10), (WORKERS, 30));
    let alone = redis_share(stage, window)?;
    let crowd = (0..workers)
        .map(|_| IdleWorker::start(stage, "thread", &[QUEUE]))
        .collect::<Result<Vec<IdleWorker>>>()?;
    wait_until_registered(stage, workers)?;
    let share = (redis_share(stage, window)? - alone) * WORKERS as f64 / workers as f64;
    figures.add(REDIS_PERCENT, share * 100.0);
    drop(crowd);
    Ok(())
}

/// What part of a core Redis uses, during so many seconds.
fn redis_share(stage: &mut Stage, window_s: u64) -> Result<f64> {
    let before = stage.spent()?;
    std::thread::sleep(Duration::from_secs(window_s));
    Ok(stage.spent()?.cpu.saturating_sub(before.cpu).as_secs_f64() / window_s as f64)
}

fn wait_until_registered(stage: &mut Stage, workers: usize) -> Result<()> {
    let deadline = Instant::now() + START_LONGEST;
    loop {
        let there: usize = redis::cmd("SCARD").arg(stage.keys.workers()).query(&mut stage.redis)?;
        if there == workers {
            // What a start has set in motion is over by then.
            std::thread::sleep(Duration::from_secs(2));
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "only {there} of {workers} workers have started");
        std::thread::sleep(LOOK_EVERY);
    }
}
