//! [`Stage`]: a Redis of our own, jobs in it, and workers that drain them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use rq_core::blocking::Queue;
use rq_core::{BlockingLink, Call, Codec, Keys, Ttl};

/// The queue of all sections that need but one.
pub(crate) const QUEUE: &str = "bench";
/// How many jobs one run of the filling script makes: Redis answers nobody meanwhile, and the client waits 10 s.
const FILLED_PER_SCRIPT: usize = 20_000;

/// Makes many jobs out of one: each has the fields of the first, and an id of its own. What enqueueing them would leave.
const FILL: &str = "
local book, jobs, kind, score, from, to = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
for i = from, to do
  local id = string.format('%s-0000-4000-8000-%012d', ARGV[6], i)
  redis.call('HSET', jobs .. id, unpack(ARGV, 7))
  if kind == 'list' then redis.call('RPUSH', book, id) else redis.call('ZADD', book, score, id) end
end";

/// A Redis of our own, and the programs that are measured on it.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) keys: Keys,
    pub(crate) redis: redis::Connection,
    worker: PathBuf,
    python: Option<PathBuf>,
    /// Programs that measure other job queues, and the Python that runs them.
    peers: Vec<(PathBuf, PathBuf)>,
    /// How often jobs were filled in: each time they have other ids.
    fills: u32,
}

/// Where jobs wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Queued,
    /// Until this second since 1970.
    Scheduled(i64),
}

/// What Redis has spent since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) commands: u64,
    pub(crate) cpu: Duration,
}

/// What it took to drain a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) jobs: usize,
    /// From the start of the worker to its end.
    pub(crate) took: Duration,
    /// Commands that Redis counted, those inside scripts too.
    pub(crate) commands: u64,
    pub(crate) redis_cpu: Duration,
    /// Processor time of the worker and all processes it had.
    pub(crate) worker_cpu: Duration,
}

impl Drained {
    pub(crate) fn jobs_per_s(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn commands_per_job(&self) -> f64 {
        self.commands as f64 / self.jobs as f64
    }

    pub(crate) fn redis_us_per_job(&self) -> f64 {
        self.redis_cpu.as_secs_f64() * 1e6 / self.jobs as f64
    }

    pub(crate) fn worker_us_per_job(&self) -> f64 {
        self.worker_cpu.as_secs_f64() * 1e6 / self.jobs as f64
    }
}

impl Stage {
    /// On a Redis that holds nothing: it will be emptied again and again.
    pub(crate) fn open(url: &str, worker: &Path, python: Option<&Path>) -> Result<Stage> {
        let mut redis = redis::Client::open(url)?.get_connection()?;
        let held: usize = redis::cmd("DBSIZE").query(&mut redis)?;
        ensure!(
            held == 0,
            "This Redis holds {held} keys, and measuring would remove them: give an empty one."
        );
        Ok(Stage {
            url: url.to_owned(),
            keys: Keys::default(),
            redis,
            worker: worker.to_owned(),
            python: python.map(Path::to_owned),
            peers: Vec::new(),
            fills: 0,
        })
    }

    /// Has other job queues take part: `programs/*_peer.py`, run by that Python.
    pub(crate) fn invite_peers(&mut self, python: &Path, programs: &Path) -> Result<()> {
        let entries =
            std::fs::read_dir(programs).with_context(|| format!("could not list {}", programs.display()))?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
        let is_peer = |path: &PathBuf| path.to_string_lossy().ends_with("_peer.py");
        let mut programs: Vec<PathBuf> = paths.into_iter().filter(is_peer).collect();
        programs.sort();
        self.peers = programs.into_iter().map(|program| (python.to_owned(), program)).collect();
        Ok(())
    }

    pub(crate) fn python(&self) -> Option<PathBuf> {
        self.python.clone()
    }

    pub(crate) fn peers(&self) -> Vec<(PathBuf, PathBuf)> {
        self.peers.clone()
    }

    /// Removes all that Redis holds, and waits until that is done.
    pub(crate) fn clear(&mut self) -> Result<()> {
        redis::cmd("FLUSHALL").arg("SYNC").exec(&mut self.redis)?;
        Ok(())
    }

    /// A connection for steps of a worker's.
    pub(crate) fn link(&self) -> Result<BlockingLink> {
        Ok(BlockingLink::open(&self.url)?)
    }

    /// A queue whose jobs Python can run as well.
    pub(crate) fn queue(&self, name: &str) -> Result<Queue> {
        Ok(Queue::connect(&self.url, name)?.keys(self.keys.clone()).codec(Codec::Pickle))
    }

    /// Empties Redis and fills [`QUEUE`] with so many trivial jobs.
    pub(crate) fn set(&mut self, jobs: usize) -> Result<()> {
        self.clear()?;
        self.fill(QUEUE, &trivial(), jobs, Wait::Queued)
    }

    /// Adds so many jobs like this one.
    pub(crate) fn fill<T>(&mut self, queue: &str, call: &Call<T>, jobs: usize, wait: Wait) -> Result<()>
    where
        Call<T>: Clone,
    {
        let (kind, book, score) = match wait {
            Wait::Queued => ("list", self.keys.queue(queue), 0),
            Wait::Scheduled(due_s) => ("zset", self.keys.scheduled(queue), due_s),
        };
        let template = self.queue(queue)?.enqueue(call.clone())?;
        let fields = self.fields_of(template.id(), wait)?;
        redis::cmd("RPOP").arg(self.keys.queue(queue)).exec(&mut self.redis)?;
        redis::cmd("DEL").arg(self.keys.job(template.id())).exec(&mut self.redis)?;
        self.fills += 1;
        let batch = format!("{:08x}", self.fills);
        for from in (1..=jobs).step_by(FILLED_PER_SCRIPT) {
            let mut fill = redis::cmd("EVAL");
            fill.arg(FILL).arg(1).arg(&book).arg(self.keys.job("")).arg(kind).arg(score);
            fill.arg(from).arg(jobs.min(from + FILLED_PER_SCRIPT - 1)).arg(&batch).arg(&fields);
            fill.exec(&mut self.redis)?;
        }
        Ok(())
    }

    /// The fields of a job and their values, one after the other.
    fn fields_of(&mut self, id: &str, wait: Wait) -> Result<Vec<Vec<u8>>> {
        let mut fields: Vec<Vec<u8>> = redis::cmd("HGETALL").arg(self.keys.job(id)).query(&mut self.redis)?;
        if matches!(wait, Wait::Scheduled(_)) {
            let status = fields.iter().step_by(2).position(|field| field == b"status");
            let at = 2 * status.context("every job has a status")? + 1;
            fields[at] = b"scheduled".to_vec();
        }
        Ok(fields)
    }

    /// Our worker for these queues, with these options.
    pub(crate) fn worker(&self, options: &[&str], queues: &[&str]) -> Command {
        let mut command = Command::new(&self.worker);
        command.arg("worker").args(options).args(["--url", &self.url]).args(queues);
        command.stdin(Stdio::null());
        command
    }

    /// Has our worker drain [`QUEUE`], which holds `jobs` jobs.
    pub(crate) fn drain(&mut self, options: &[&str], jobs: usize) -> Result<Drained> {
        let options = [options, &["--burst", "--quiet"]].concat();
        let worker = self.worker(&options, &[QUEUE]);
        let drained = self.measure(jobs, |_| finish(vec![worker]))?;
        self.check_finished(&[QUEUE], jobs)?;
        Ok(drained)
    }

    /// What it takes to do something with `jobs` jobs.
    pub(crate) fn measure(
        &mut self,
        jobs: usize,
        act: impl FnOnce(&mut Stage) -> Result<()>,
    ) -> Result<Drained> {
        let (spent, children) = (self.spent()?, children_cpu()?);
        let began = Instant::now();
        act(self)?;
        let took = began.elapsed();
        let after = self.spent()?;
        Ok(Drained {
            jobs,
            took,
            commands: after.commands - spent.commands,
            redis_cpu: after.cpu.saturating_sub(spent.cpu),
            worker_cpu: children_cpu()?.saturating_sub(children),
        })
    }

    /// Every job must have finished: a figure for jobs that were lost is none.
    pub(crate) fn check_finished(&mut self, queues: &[&str], jobs: usize) -> Result<()> {
        let mut finished = 0;
        for queue in queues {
            let there: usize = redis::cmd("ZCARD").arg(self.keys.finished(queue)).query(&mut self.redis)?;
            finished += there;
        }
        ensure!(finished == jobs, "{finished} of {jobs} jobs finished.");
        Ok(())
    }

    pub(crate) fn spent(&mut self) -> Result<Spent> {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut self.redis)?;
        let seconds = |field: &str| info.get::<f64>(field).with_context(|| format!("INFO has no {field}"));
        let commands =
            info.get("total_commands_processed").context("INFO has no total_commands_processed")?;
        let cpu = Duration::from_secs_f64(seconds("used_cpu_user")? + seconds("used_cpu_sys")?);
        Ok(Spent { commands, cpu })
    }
}

/// As good as no work: `operator.add(2, 3)`, which Python can run too.
pub(crate) fn trivial() -> Call<i64> {
    Call::to("operator.add").arg(2).arg(3).result_ttl(Ttl::RESULT_DEFAULT)
}

/// Runs programs at once, to their ends.
pub(crate) fn finish(commands: Vec<Command>) -> Result<()> {
    let mut children = Vec::new();
    for mut command in commands {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        children.push((child.with_context(|| format!("could not start {command:?}"))?, command));
    }
    for (mut child, command) in children {
        let status = child.wait()?;
        ensure!(status.success(), "{command:?} ended with {status}");
    }
    Ok(())
}

/// Processor time of all children that have ended, and of theirs.
fn children_cpu() -> Result<Duration> {
    let usage: Usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let duration = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), time.tv_usec() as u32 * 1000)
    };
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}
