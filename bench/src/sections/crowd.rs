//! What many idle workers on one Redis cost it.

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
    // A tenth of them costs a tenth.
    let (workers, window) = extent.choose((WORKERS / 10, 8), (WORKERS, 30));
    let crowd = (0..workers)
        .map(|_| IdleWorker::start(stage, "thread", &[QUEUE]))
        .collect::<Result<Vec<IdleWorker>>>()?;
    wait_until_registered(stage, workers)?;
    let before = stage.spent()?;
    std::thread::sleep(Duration::from_secs(window));
    let spent = stage.spent()?.cpu.saturating_sub(before.cpu);
    let share = spent.as_secs_f64() / window as f64 * WORKERS as f64 / workers as f64;
    figures.add(REDIS_PERCENT, share * 100.0);
    drop(crowd);
    Ok(())
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
