//! Draining a queue of trivial jobs with 64 in flight, beside what Redis could do at best.

use anyhow::Result;

use super::Extent;
use crate::figures::{Figures, Name};
use crate::floors::{bare_scripts, bare_writes};
use crate::stage::{Drained, Stage};

pub(crate) const THREAD: Row = Row::new("drain, -w thread");
pub(crate) const GREEN: Row = Row::new("drain, -w green");
pub(crate) const BARE_WRITES: Row = Row::new("drain, bare writes");
pub(crate) const BARE_SCRIPTS: Row = Row::new("drain, bare scripts");

/// How many jobs run at once.
const CONCURRENCY: &str = "64";

/// The figures of one way to drain a queue.
pub(crate) struct Row {
    pub(crate) rate: Name,
    pub(crate) redis_us: Name,
    pub(crate) worker_us: Name,
    pub(crate) commands: Name,
}

impl Row {
    pub(crate) const fn new(row: &'static str) -> Row {
        Row {
            rate: Name::new(row, "jobs/s"),
            redis_us: Name::new(row, "Redis CPU µs/job"),
            worker_us: Name::new(row, "worker CPU µs/job"),
            commands: Name::new(row, "Redis commands/job"),
        }
    }

    pub(crate) fn add(&self, drained: &Drained, figures: &mut Figures) {
        figures.add(self.rate, drained.jobs_per_s());
        figures.add(self.redis_us, drained.redis_us_per_job());
        figures.add(self.commands, drained.commands_per_job());
        if !drained.worker_cpu.is_zero() {
            figures.add(self.worker_us, drained.worker_us_per_job());
        }
    }
}

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs = extent.choose(20_000, 40_000);
    for (row, executor) in [(THREAD, "thread"), (GREEN, "green")] {
        stage.set(jobs)?;
        row.add(&stage.drain(&["-w", executor, "--concurrency", CONCURRENCY], jobs)?, figures);
    }
    stage.set(jobs)?;
    BARE_WRITES.add(&bare_writes::drain(stage, jobs)?, figures);
    stage.set(jobs)?;
    BARE_SCRIPTS.add(&bare_scripts::drain(stage, jobs)?, figures);
    Ok(())
}
