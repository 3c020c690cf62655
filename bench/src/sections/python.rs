//! Python RQ drains the same jobs. What its processes take to start is measured beside it and does not count.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Extent;
use super::drain::Row;
use crate::figures::Figures;
use crate::stage::{Drained, QUEUE, Stage, finish};

pub(crate) const WORKER: Row = Row::new("Python RQ, Worker");
pub(crate) const SIMPLE: Row = Row::new("Python RQ, SimpleWorker");
pub(crate) const POOL: Row = Row::new("Python RQ, worker-pool of 2");

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let Some(python) = stage.python() else { return Ok(()) };
    let rq = python.parent().context("a Python lies in a directory")?.join("rq");
    for (row, arguments, jobs) in [
        (WORKER, &["worker"][..], extent.choose(50, 100)),
        (SIMPLE, &["worker", "--worker-class", "rq.SimpleWorker"], extent.choose(300, 600)),
        (POOL, &["worker-pool", "--num-workers", "2"], extent.choose(60, 120)),
    ] {
        stage.clear()?;
        let start = drain(stage, &rq, arguments, 0)?;
        stage.set(jobs)?;
        let mut drained = drain(stage, &rq, arguments, jobs)?;
        drained.took = drained.took.saturating_sub(start.took);
        drained.worker_cpu = drained.worker_cpu.saturating_sub(start.worker_cpu);
        row.add(&drained, figures);
    }
    Ok(())
}

fn drain(stage: &mut Stage, rq: &Path, arguments: &[&str], jobs: usize) -> Result<Drained> {
    let mut command = Command::new(rq);
    command.args(arguments).args(["--burst", "--quiet", "--url", &stage.url, QUEUE]);
    let drained = stage.measure(jobs, |_| finish(vec![command]))?;
    stage.check_finished(&[QUEUE], jobs)?;
    Ok(drained)
}
