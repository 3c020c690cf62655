//! How long it takes from the call that enqueues to the start of the job, where a worker is idle.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use rq_core::blocking::Queue;
use rq_core::{Call, Ttl};

use super::Extent;
use crate::figures::{Figures, Name, percentile};
use crate::floors::bare_wake_up;
use crate::stage::Stage;

pub(crate) const BARE: Row = Row::new("idle to start, bare BLMOVE wake-up");
pub(crate) const ONE_QUEUE: Row = Row::new("idle to start, one queue");
pub(crate) const FIVE_QUEUES: Row = Row::new("idle to start, five queues");
const FORK: Row = Row::new("idle to start, one queue, -w fork");

pub(crate) struct Row {
    pub(crate) p50_us: Name,
    pub(crate) p99_us: Name,
}

impl Row {
    const fn new(row: &'static str) -> Row {
        Row { p50_us: Name::new(row, "p50 µs"), p99_us: Name::new(row, "p99 µs") }
    }

    fn add(&self, latencies: Vec<Duration>, figures: &mut Figures) {
        let mut all_us: Vec<f64> = latencies.iter().map(|latency| latency.as_secs_f64() * 1e6).collect();
        all_us.sort_by(f64::total_cmp);
        figures.add(self.p50_us, percentile(&all_us, 50));
        figures.add(self.p99_us, percentile(&all_us, 99));
    }
}

/// How long a worker may take until it has run the job.
const LONGEST: Duration = Duration::from_secs(10);
/// The pauses between two jobs: a worker is idle again after the shortest, and none is in step with anything.
const PAUSES_US: [u64; 4] = [3_000, 3_700, 4_300, 5_100];

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let samples = extent.choose(200, 400);
    BARE.add(bare_wake_up::latencies(stage, samples, pause)?, figures);
    for (row, executor, queues) in [
        (ONE_QUEUE, "thread", &["one"][..]),
        (FIVE_QUEUES, "thread", &["one", "two", "three", "four", "five"]),
        (FORK, "fork", &["one"]),
    ] {
        stage.clear()?;
        row.add(latencies(stage, executor, queues, samples)?, figures);
    }
    Ok(())
}

fn pause(sample: usize) {
    std::thread::sleep(Duration::from_micros(PAUSES_US[sample % PAUSES_US.len()]));
}

fn latencies(stage: &Stage, executor: &str, queues: &[&str], samples: usize) -> Result<Vec<Duration>> {
    let ear = Ear::open()?;
    let mut worker = IdleWorker::start(stage, executor, queues)?;
    let queues = queues.iter().map(|name| stage.queue(name)).collect::<Result<Vec<Queue>>>()?;
    // The first ones find connections and threads that are not there yet.
    for queue in queues.iter().chain(&queues) {
        ear.latency(queue)?;
    }
    let latencies = (0..samples).map(|sample| {
        pause(sample);
        ear.latency(&queues[sample % queues.len()])
    });
    let latencies = latencies.collect::<Result<Vec<Duration>>>()?;
    worker.end()?;
    Ok(latencies)
}

/// A socket that jobs tell when they began.
struct Ear {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ear {
    fn open() -> Result<Ear> {
        let path = std::env::temp_dir().join(format!("rq-bench-{}.socket", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(LONGEST))?;
        Ok(Ear { socket, path })
    }

    /// From before a job is enqueued until it runs.
    fn latency(&self, queue: &Queue) -> Result<Duration> {
        let call = Call::<()>::to("bench.tell_start").arg(path_text(&self.path)?);
        let began = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        queue.enqueue(call.result_ttl(Ttl::RESULT_DEFAULT))?;
        let mut nanoseconds = [0; 8];
        self.socket.recv(&mut nanoseconds).context("no job told that it began")?;
        Ok(Duration::from_nanos(u64::from_le_bytes(nanoseconds)).saturating_sub(began))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("the directory for temporary files has a name that is no text")
}

/// A worker that waits for jobs.
pub(crate) struct IdleWorker {
    pub(crate) process: Child,
}

impl IdleWorker {
    pub(crate) fn start(stage: &Stage, executor: &str, queues: &[&str]) -> Result<IdleWorker> {
        let mut command = stage.worker(&["-w", executor, "--quiet"], queues);
        let process = command.stdout(Stdio::null()).spawn().context("could not start a worker")?;
        Ok(IdleWorker { process })
    }

    /// Has it stop, and waits until it has.
    pub(crate) fn end(&mut self) -> Result<()> {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.process.id())?);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM)?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for IdleWorker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
