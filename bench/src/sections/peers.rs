//! Other job queues on Redis, each measured by a program of its own in `bench/peers`.

use std::path::Path;
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
    let jobs = extent.choose(1_000, 2_000);
    for (python, program) in stage.peers() {
        stage.clear()?;
        match run(stage, &python, &program, jobs) {
            Ok(measured) => figures.add(name(measured.peer), jobs as f64 / measured.seconds),
            // What is not ours must not end a run of twenty minutes.
            Err(error) => eprintln!("{} is left out: {error:#}", program.display()),
        }
    }
    Ok(())
}

fn run(stage: &Stage, python: &Path, program: &Path, jobs: usize) -> Result<Measured> {
    let output = Command::new(python).arg(program).arg(&stage.url).arg(jobs.to_string()).output()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "it ended with {}: {stderr}", output.status);
    let line = stdout.lines().last().context("it printed nothing")?;
    let measured: Measured = serde_json::from_str(line).with_context(|| format!("not a result: {line}"))?;
    ensure!(measured.jobs == jobs, "it drained {} of {jobs} jobs", measured.jobs);
    Ok(measured)
}

/// A name lives as long as the program; there are a handful.
fn name(peer: String) -> Name {
    Name { row: Box::leak(format!("peer, {peer}").into_boxed_str()), unit: "jobs/s" }
}
