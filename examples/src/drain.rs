//! Measuring how fast a worker drains a queue, and what that costs Redis.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rq_core::blocking::Queue;
use rq_core::{Keys, Ttl};

use crate::word_count::add;

/// How many calls one round trip carries.
const BATCH: usize = 10_000;

/// What draining a queue took.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    /// How many jobs.
    pub jobs: usize,
    /// From the worker's start to its end.
    pub took: Duration,
    /// Commands that Redis counted (`INFO`: `total_commands_processed`), those inside scripts too.
    pub commands: u64,
    /// Processor time of Redis (`INFO`: `used_cpu_user` and `used_cpu_sys`).
    pub redis_cpu: Duration,
}

impl Drained {
    /// Jobs a second.
    pub fn jobs_per_s(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64()
    }

    /// Redis commands a job.
    pub fn commands_per_job(&self) -> f64 {
        self.commands as f64 / self.jobs as f64
    }

    /// Microseconds of Redis a job.
    pub fn redis_us_per_job(&self) -> f64 {
        self.redis_cpu.as_secs_f64() * 1e6 / self.jobs as f64
    }
}

/// A queue of trivial jobs, `operator.add(2, 3)`, which both Rust and Python can run.
pub struct Drain {
    url: String,
    keys: Keys,
    queue: Queue,
    redis: redis::Connection,
}

impl Drain {
    /// On the Redis at `url`, in a queue of that name.
    pub fn new(url: &str, queue: &str) -> Result<Drain> {
        let redis = redis::Client::open(url)?.get_connection()?;
        let queue = Queue::connect(url, queue)?;
        Ok(Drain { url: url.to_owned(), keys: Keys::from_env()?, queue, redis })
    }

    /// Fills the queue with `jobs` jobs and has our worker drain it: `program worker -w thread --burst`.
    pub fn by_rust(&mut self, program: &Path, jobs: usize) -> Result<Drained> {
        let mut worker = Command::new(program);
        worker.args(["worker", "-w", "thread", "--burst", "--quiet", "--url", &self.url, self.queue.name()]);
        self.fill(jobs)?;
        self.measure(worker, jobs)
    }

    /// The same by Python RQ's `SimpleWorker`, its fastest.
    pub fn by_python(&mut self, python: &Path, jobs: usize) -> Result<Drained> {
        const WORK: &str = "import sys, redis, rq\n\
             connection = redis.Redis.from_url(sys.argv[1])\n\
             rq.SimpleWorker([rq.Queue(sys.argv[2], connection=connection)], connection=connection)\
             .work(burst=True, logging_level='WARNING')";
        let mut worker = Command::new(python);
        worker.args(["-c", WORK, &self.url, self.queue.name()]);
        self.fill(jobs)?;
        self.measure(worker, jobs)
    }

    fn measure(&mut self, mut worker: Command, jobs: usize) -> Result<Drained> {
        let (commands, cpu) = self.spent()?;
        let began = Instant::now();
        let output =
            worker.stdin(Stdio::null()).output().with_context(|| format!("could not start {worker:?}"))?;
        let took = began.elapsed();
        let (commands_after, cpu_after) = self.spent()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{worker:?} ended with {}: {stderr}", output.status);
        self.check(jobs)?;
        Ok(Drained {
            jobs,
            took,
            commands: commands_after - commands,
            redis_cpu: cpu_after.saturating_sub(cpu),
        })
    }

    fn fill(&mut self, jobs: usize) -> Result<()> {
        self.clear()?;
        for begin in (0..jobs).step_by(BATCH) {
            let add = |_| add::call(2, 3).result_ttl(Ttl::RESULT_DEFAULT);
            let calls = (begin..jobs.min(begin + BATCH)).map(add);
            self.queue.enqueue_many(calls)?;
        }
        Ok(())
    }

    /// Every job must have finished: a figure for jobs that were lost is none.
    fn check(&mut self, jobs: usize) -> Result<()> {
        let finished: usize =
            redis::cmd("ZCARD").arg(self.keys.finished(self.queue.name())).query(&mut self.redis)?;
        ensure!(finished == jobs, "{finished} of {jobs} jobs finished");
        Ok(())
    }

    fn spent(&mut self) -> Result<(u64, Duration)> {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut self.redis)?;
        let seconds = |field: &str| info.get::<f64>(field).with_context(|| format!("INFO has no {field}"));
        let commands =
            info.get("total_commands_processed").context("INFO has no total_commands_processed")?;
        Ok((commands, Duration::from_secs_f64(seconds("used_cpu_user")? + seconds("used_cpu_sys")?)))
    }

    /// Removes all keys under the prefix that belong to this queue's jobs.
    fn clear(&mut self) -> Result<()> {
        self.queue.delete()?;
        let finished = self.keys.finished(self.queue.name());
        let ids: Vec<String> = redis::cmd("ZRANGE").arg(&finished).arg(0).arg(-1).query(&mut self.redis)?;
        for ids in ids.chunks(BATCH) {
            let mut unlink = redis::cmd("UNLINK");
            for id in ids {
                unlink.arg(self.keys.job(id)).arg(self.keys.results(id));
            }
            unlink.exec(&mut self.redis)?;
        }
        redis::cmd("UNLINK").arg(finished).exec(&mut self.redis)?;
        Ok(())
    }
}

impl Drop for Drain {
    /// Leaves nothing behind; what cannot be removed expires.
    fn drop(&mut self) {
        let _ = self.clear();
    }
}
