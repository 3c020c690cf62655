//! Other job queues on Redis, each measured by a program of its own in `bench/peers`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Extent;
use crate::figures::{Figures, Name};
use crate::stage::Stage;

/// What such a program prints.
#[derive(Deserialize)]
struct Measured {
    peer: String,
    jobs: usize,
    seconds: f64,
}

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs: usize = extent.choose(1_000, 2_000);
    for (python, program) in stage.peers() {
        stage.clear()?;
        let output = Command::new(&python).arg(&program).arg(&stage.url).arg(jobs.to_string()).output()?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{} ended with {}: {stderr}", program.display(), output.status);
        let line = stdout.lines().last().context("the program printed nothing")?;
        let measured: Measured =
            serde_json::from_str(line).with_context(|| format!("not a result: {line}"))?;
        ensure!(measured.jobs == jobs, "{} drained {} of {jobs} jobs", measured.peer, measured.jobs);
        // A name lives as long as the program; there are a handful.
        let row: &'static str = Box::leak(format!("peer, {}", measured.peer).into_boxed_str());
        figures.add(Name { row, unit: "jobs/s" }, jobs as f64 / measured.seconds);
    }
    Ok(())
}
