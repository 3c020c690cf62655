//! [`Options`]: what the operator decides about a worker.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use rq_core::{Keys, OnCrash, RedisUrl, Ttl};
use rq_cron::Cron;

use crate::error::LaunchError;
use crate::launch::HELPER_VARIABLE;
use crate::notices::Notices;
use crate::webhooks::WebhookOptions;

/// The queue served where none is named.
pub const QUEUE_DEFAULT: &str = "default";

/// How long a worker that stopped heartbeating keeps what it runs: enough for one that is starved or swapped out for
/// some seconds.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest lease: workers renew theirs three times as often, each time with one command.
pub const LEASE_MIN: Duration = Duration::from_millis(100);

/// In which order a worker serves its queues: RQ's `--dequeue-strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DequeueStrategy {
    /// As they were given: a queue is served when those before it are empty.
    #[default]
    Default,
    /// In turns.
    RoundRobin,
    /// In a new random order each time.
    Random,
}

/// What the operator decides about a worker, whatever runs its jobs. The defaults are RQ's. What concerns one executor
/// alone is among [its own options](crate::Launch::Options).
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The Redis to work for: `redis://127.0.0.1:6379/0`.
    pub url: String,
    /// The names of the keys: those under `rq:`.
    pub keys: Keys,
    /// The queues to serve, the first ones first.
    pub queues: Vec<String>,
    /// The worker's name; a fresh UUID where it is `None`.
    pub name: Option<String>,
    /// How many jobs run at once; the executor's own default where it is `None`.
    pub concurrency: Option<usize>,
    /// How long a warm stop waits for running jobs before it turns cold; as long as they take where it is `None`.
    pub stop_timeout: Option<Duration>,
    /// Stop when all queues are empty.
    pub burst: bool,
    /// Where all workers are suspended at its start, be there all the same, and wait until they are resumed. Without it the
    /// worker refuses to start then, as RQ's does.
    pub starts_suspended: bool,
    /// Stop after this many jobs.
    pub max_jobs: Option<u64>,
    /// Stop after being idle this long.
    pub max_idle: Option<Duration>,
    /// How long the results of jobs are kept that have no `result_ttl` of their own: 500 s.
    pub result_ttl: Ttl,
    /// How long the worker's record outlives its last heartbeat, beside a margin of a minute: 420 s.
    pub worker_ttl: Duration,
    /// How often the worker sends heartbeats: 30 s.
    pub monitoring_interval: Duration,
    /// How long the worker keeps what it runs once it stops heartbeating: 10 s.
    pub lease: Duration,
    /// What becomes of a job whose worker, or process, died while it ran, where the job has no `on_crash` of its own.
    pub on_crash: OnCrash,
    /// Whether failures are filed: in the registry of failed jobs, with a result, and with a time to live. Without, a job that
    /// has failed for good, or was stopped, gets its status and nothing else: for programs whose exception handlers keep
    /// the books themselves. RQ's `--disable-default-exception-handler`.
    pub default_exception_handler: bool,
    /// In which order queues are served.
    pub dequeue: DequeueStrategy,
    /// How often the worker does maintenance, which repairs what other workers have left: 600 s.
    pub maintenance_interval: Duration,
    /// What this worker does about scheduled jobs.
    pub scheduling: Scheduling,
    /// Entries whose ticks this worker fires, beside other workers and cron schedulers that have the same ones. A burst
    /// worker has none.
    pub cron: Option<Cron>,
    /// Where they come from, for the scheduler's record.
    pub cron_config_file: String,
    /// How webhooks are sent, and where to.
    pub webhooks: WebhookOptions,
    /// Log what is called with which arguments, not the job's id alone.
    pub log_descriptions: bool,
    /// What the supervisor of this process is told: nothing. For a worker that is its process's purpose.
    pub notices: Option<Notices>,
    /// Variables that a program has which is executed to help this worker, and this process has not, any more: by them it
    /// prepares the same worker again, and takes them out of its environment, too.
    pub helper_environment: Vec<(OsString, OsString)>,
    /// Which of the workers that this process prepares it is, from 0.
    pub(crate) ordinal: usize,
}

/// What a worker does about scheduled jobs: those that were enqueued for a time, and those that run again after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduling {
    /// Queues those that are due where no scheduler does at the moment. It takes no lock, so that a scheduler that wants
    /// one has it at once, and looks once a second, or less often the more workers there are. A burst worker does nothing.
    #[default]
    WhereNobodyDoes,
    /// Is a scheduler, as RQ's `--with-scheduler`: locks the queues that no other scheduler has, and looks once a second.
    Scheduler,
    /// Nothing: others see to them.
    Nothing,
}

/// Without the URL's password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("url", &RedisUrl::parse(&self.url)).field("keys", &self.keys).field("name", &self.name);
        shown.field("queues", &self.queues).field("concurrency", &self.concurrency).finish_non_exhaustive()
    }
}

impl Options {
    /// The worker's name, which is made, and kept, where there is none yet.
    pub(crate) fn named(&mut self) -> &str {
        self.name.get_or_insert_with(|| uuid::Uuid::new_v4().simple().to_string())
    }

    /// What [`HELPER_VARIABLE`] says in a process that is executed to help this worker.
    pub fn helper_mark(&self) -> String {
        format!("{}:{}", self.ordinal, self.name.as_deref().unwrap_or_default())
    }

    /// What a program has in its environment that is executed to help this worker.
    pub fn helper_variables(&self) -> Vec<(OsString, OsString)> {
        let mark = (HELPER_VARIABLE.into(), self.helper_mark().into());
        self.helper_environment.iter().cloned().chain([mark]).collect()
    }

    /// How many jobs an executor runs at once that can run `max`: [`concurrency`](Options::concurrency), or what
    /// `default` makes of the number of cores.
    ///
    /// # Errors
    /// If the concurrency is 0 or more than `max`.
    pub fn slots(&self, max: usize, default: impl FnOnce(usize) -> usize) -> Result<usize, LaunchError> {
        match self.concurrency {
            Some(slots) if (1..=max).contains(&slots) => Ok(slots),
            Some(slots) => Err(LaunchError::Refused(format!(
                "a concurrency of {slots} is not possible; choose 1 to {max}"
            ))),
            None => Ok(default(std::thread::available_parallelism().map_or(1, usize::from)).min(max)),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            keys: Keys::default(),
            queues: vec![QUEUE_DEFAULT.to_owned()],
            name: None,
            concurrency: None,
            stop_timeout: None,
            burst: false,
            starts_suspended: false,
            max_jobs: None,
            max_idle: None,
            result_ttl: Ttl::RESULT_DEFAULT,
            worker_ttl: Duration::from_secs(420),
            monitoring_interval: Duration::from_secs(30),
            lease: LEASE_DEFAULT,
            on_crash: OnCrash::default(),
            default_exception_handler: true,
            dequeue: DequeueStrategy::default(),
            maintenance_interval: Duration::from_secs(600),
            scheduling: Scheduling::default(),
            cron: None,
            cron_config_file: String::new(),
            webhooks: WebhookOptions::default(),
            log_descriptions: true,
            notices: None,
            helper_environment: Vec::new(),
            ordinal: 0,
        }
    }
}
