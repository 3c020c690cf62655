//! What a worker takes that has nothing to do: its start, its memory, the commands it sends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Extent;
use super::wake_up::IdleWorker;
use crate::figures::{Figures, Name};
use crate::stage::{QUEUE, Stage};

/// What one executor's worker takes.
pub(crate) struct Row {
    executor: &'static str,
    pub(crate) ready_ms: Name,
    pub(crate) resident_mb: Name,
}

macro_rules! row {
    ($executor:literal) => {
        Row {
            executor: $executor,
            ready_ms: Name::new(concat!("idle worker, -w ", $executor), "start to ready, ms"),
            resident_mb: Name::new(concat!("idle worker, -w ", $executor), "resident, MB"),
        }
    };
}

pub(crate) const FORK: Row = row!("fork");
pub(crate) const THREAD: Row = row!("thread");
pub(crate) const GREEN: Row = row!("green");
pub(crate) const COMMANDS: Name = Name::new("idle worker", "Redis commands/s");

/// What a worker says when it is ready.
const READY: &str = "Listening on";
/// How often it is started; the middle one counts.
const STARTS: usize = 5;

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let mut workers = Vec::new();
    for row in [FORK, THREAD, GREEN] {
        for start in 1..=STARTS {
            let (worker, took) = start_until_ready(stage, row.executor)?;
            figures.add(row.ready_ms, took.as_secs_f64() * 1e3);
            if start == STARTS {
                workers.push((row.resident_mb, worker));
            }
        }
    }
    let window = extent.choose(Duration::from_secs(8), Duration::from_secs(20));
    // What a start has set in motion is over by then.
    std::thread::sleep(Duration::from_secs(1));
    let before = stage.spent()?;
    std::thread::sleep(window);
    let commands = stage.spent()?.commands - before.commands;
    // Asking is a command, too.
    let per_worker = commands.saturating_sub(1) as f64 / workers.len() as f64;
    figures.add(COMMANDS, per_worker / window.as_secs_f64());
    for (name, worker) in &mut workers {
        figures.add(*name, resident_mb(worker.process.id())?);
        worker.end()?;
    }
    Ok(())
}

fn start_until_ready(stage: &Stage, executor: &str) -> Result<(IdleWorker, Duration)> {
    let began = Instant::now();
    let mut command = stage.worker(&["-w", executor], &[QUEUE]);
    let process = command.stdout(Stdio::piped()).spawn().context("could not start a worker")?;
    let mut worker = IdleWorker { process };
    let mut said = BufReader::new(worker.process.stdout.take().context("its output is a pipe")?);
    let mut line = String::new();
    while !line.contains(READY) {
        line.clear();
        ensure!(said.read_line(&mut line)? > 0, "a worker ended before it was ready");
    }
    let took = began.elapsed();
    // Kept open: who writes into a pipe that nobody reads ends.
    worker.process.stdout = Some(said.into_inner());
    Ok((worker, took))
}

/// How much memory a process and those it has started hold, shared pages counted once (`Pss`).
fn resident_mb(id: u32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let kb = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    let own: f64 = kb.context("the system tells no Pss")?.trim().parse()?;
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let mut all = own / 1024.0;
    for child in children.split_whitespace() {
        all += resident_mb(child.parse()?)?;
    }
    Ok(all)
}
