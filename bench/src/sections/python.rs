//! Python RQ drains the same jobs. What a worker takes to start is measured beside it and does not count; with a pool it does, as
//! that looks only now and then whether its workers have ended.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Extent;
use super::drain::Row;
use crate::figures::Figures;
use crate::stage::{Drained, QUEUE, Stage, finish};

pub(crate) const WORKER: Row = Row::new("Python RQ, Worker");
pub(crate) const SIMPLE: Row = Row::new("Python RQ, SimpleWorker");
const POOL: Row = Row::new("Python RQ, worker-pool of 2");

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let Some(python) = stage.python() else { return Ok(()) };
    let rq = python.parent().context("a Python lies in a directory")?.join("rq");
    for (row, arguments, jobs) in [
        (WORKER, &["worker"][..], extent.choose(50, 100)),
        (SIMPLE, &["worker", "--worker-class", "rq.SimpleWorker"], extent.choose(300, 600)),
    ] {
        stage.clear()?;
        let start = drain(stage, &rq, arguments, 0)?;
        stage.set(jobs)?;
        let mut drained = drain(stage, &rq, arguments, jobs)?;
        drained.took = drained.took.saturating_sub(start.took);
        drained.worker_cpu = drained.worker_cpu.saturating_sub(start.worker_cpu);
        row.add(&drained, figures);
    }
    let jobs = extent.choose(100, 200);
    stage.set(jobs)?;
    POOL.add(&drain(stage, &rq, &["worker-pool", "--num-workers", "2"], jobs)?, figures);
    Ok(())
}

fn drain(stage: &mut Stage, rq: &Path, arguments: &[&str], jobs: usize) -> Result<Drained> {
    let mut command = Command::new(rq);
    command.args(arguments).args(["--burst", "--quiet", "--url", &stage.url, QUEUE]);
    let drained = stage.measure(jobs, |_| finish(vec![command]))?;
    stage.check_finished(&[QUEUE], jobs)?;
    Ok(drained)
}
