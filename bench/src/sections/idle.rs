//! What a worker takes that has nothing to do: its start, its memory, and what it costs while nothing happens: connections,
//! commands, processor time.

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

/// What one worker costs while nothing happens.
pub(crate) struct Cost {
    executor: &'static str,
    queues: &'static [&'static str],
    pub(crate) commands: Name,
    connections: Name,
    /// Of the worker and the processes that it has started.
    cpu_us: Name,
}

macro_rules! cost {
    ($row:literal, $executor:literal, $queues:expr) => {
        Cost {
            executor: $executor,
            queues: &$queues,
            commands: Name::new($row, "Redis commands/s"),
            connections: Name::new($row, "connections"),
            cpu_us: Name::new($row, "CPU, µs/s"),
        }
    };
}

const FIVE_QUEUES: [&str; 5] = ["one", "two", "three", "four", "five"];
pub(crate) const IDLE: Cost = cost!("idle worker", "thread", [QUEUE]);
pub(crate) const IDLE_FIVE: Cost = cost!("idle worker, five queues", "thread", FIVE_QUEUES);
const IDLE_FORK: Cost = cost!("idle worker, -w fork", "fork", [QUEUE]);
const IDLE_GREEN: Cost = cost!("idle worker, -w green", "green", [QUEUE]);

/// What a worker says when it is ready.
const READY: &str = "Listening on";
/// What a start has set in motion is over by then.
const SETTLED: Duration = Duration::from_secs(1);
/// How often it is started; the middle one counts.
const STARTS: usize = 5;

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let mut workers = Vec::new();
    for row in [FORK, THREAD, GREEN] {
        for start in 1..=STARTS {
            let (worker, took) = start_until_ready(stage, row.executor, &[QUEUE])?;
            figures.add(row.ready_ms, took.as_secs_f64() * 1e3);
            if start == STARTS {
                workers.push((row.resident_mb, worker));
            }
        }
    }
    std::thread::sleep(SETTLED);
    // While all are there: what they share is counted once.
    for (name, worker) in &workers {
        figures.add(*name, resident_mb(worker.process.id())?);
    }
    workers.iter_mut().try_for_each(|(_, worker)| worker.end())?;
    let window = extent.choose(Duration::from_secs(8), Duration::from_secs(20));
    for cost in [IDLE, IDLE_FIVE, IDLE_FORK, IDLE_GREEN] {
        cost.measure(stage, window, figures)?;
    }
    Ok(())
}

impl Cost {
    fn measure(&self, stage: &mut Stage, window: Duration, figures: &mut Figures) -> Result<()> {
        let before = connections(stage)?;
        let (mut worker, _) = start_until_ready(stage, self.executor, self.queues)?;
        std::thread::sleep(SETTLED);
        figures.add(self.connections, (connections(stage)? - before) as f64);
        let (spent, cpu) = (stage.spent()?, cpu_of(worker.process.id())?);
        std::thread::sleep(window);
        // Asking is a command, too.
        let commands = (stage.spent()?.commands - spent.commands).saturating_sub(1);
        figures.add(self.commands, commands as f64 / window.as_secs_f64());
        let cpu = cpu_of(worker.process.id())?.saturating_sub(cpu);
        figures.add(self.cpu_us, cpu.as_secs_f64() * 1e6 / window.as_secs_f64());
        worker.end()
    }
}

/// How many clients Redis has.
fn connections(stage: &mut Stage) -> Result<u64> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("clients").query(&mut stage.redis)?;
    info.get("connected_clients").context("INFO has no connected_clients")
}

fn start_until_ready(stage: &Stage, executor: &str, queues: &[&str]) -> Result<(IdleWorker, Duration)> {
    let began = Instant::now();
    let mut command = stage.worker(&["-w", executor], queues);
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
    let mut all = 0.0;
    for id in family(id)? {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let kb = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
        let own: f64 = kb.context("the system tells no Pss")?.trim().parse()?;
        all += own / 1024.0;
    }
    Ok(all)
}

/// How long a process and those it has started have computed.
fn cpu_of(id: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for id in family(id)? {
        for thread in fs::read_dir(format!("/proc/{id}/task"))? {
            // To the nanosecond, where `stat` counts hundredths of a second (sched-stats(5) of the kernel).
            let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu_ns = stat.split_whitespace().next().context("the system tells no processor time")?;
            all += Duration::from_nanos(on_cpu_ns.parse()?);
        }
    }
    Ok(all)
}

/// A process, those it has started, and so on.
fn family(id: u32) -> Result<Vec<u32>> {
    let mut all = vec![id];
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    for child in children.split_whitespace() {
        all.extend(family(child.parse()?)?);
    }
    Ok(all)
}
