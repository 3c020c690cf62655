//! [`Worker`]: the builder that programs use, whatever executor they choose.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::time::Duration;

use rq_core::{Handlers, Keys, OnCrash, Ttl};

use crate::dispatcher;
use crate::error::WorkerError;
use crate::launch::{HELPER_VARIABLE, Launch};
use crate::options::{DequeueStrategy, LEASE_MIN, Options};
use crate::program::Program;
use crate::program_methods;

/// A worker whose jobs run in `L`. Each executor's crate exports it as its own `Worker`.
///
/// ```ignore
/// use rq_worker_thread::Worker;
/// fn main() -> std::process::ExitCode {
///     Worker::new(handlers![add, fetch]).queues(["high", "default"]).run()
/// }
/// ```
#[must_use = "a worker does nothing until it is run"]
#[derive(Debug)]
pub struct Worker<L> {
    program: Program,
    options: Options,
    launches: PhantomData<fn() -> L>,
}

impl<L: Launch> Worker<L> {
    /// A worker for these jobs, which serves the queue `default` of a Redis on this machine.
    pub fn new(handlers: Handlers) -> Worker<L> {
        Worker { program: Program::new(handlers), options: Options::default(), launches: PhantomData }
    }

    program_methods!(Worker<L>, program);

    /// The Redis to work for.
    pub fn url(mut self, url: impl Into<String>) -> Worker<L> {
        self.options.url = url.into();
        self
    }

    /// Under which keys; under `rq:` unless told.
    pub fn keys(mut self, keys: Keys) -> Worker<L> {
        self.options.keys = keys;
        self
    }

    /// The queues to serve, the first ones first.
    pub fn queues(mut self, queues: impl IntoIterator<Item = impl Into<String>>) -> Worker<L> {
        self.options.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// The worker's name; a fresh UUID unless told.
    pub fn name(mut self, name: impl Into<String>) -> Worker<L> {
        self.options.name = Some(name.into());
        self
    }

    /// How many jobs run at once.
    pub fn concurrency(mut self, jobs: usize) -> Worker<L> {
        self.options.concurrency = Some(jobs);
        self
    }

    /// How long a warm stop waits for running jobs before it ends them; as long as they take unless told.
    pub fn stop_timeout(mut self, timeout: Duration) -> Worker<L> {
        self.options.stop_timeout = Some(timeout);
        self
    }

    /// How large the stack of a job is, where jobs run in coroutines; 256 kB unless told.
    pub fn job_stack_kb(mut self, kilobytes: usize) -> Worker<L> {
        self.options.job_stack_kb = kilobytes;
        self
    }

    /// Stops when all queues are empty.
    pub fn burst(mut self) -> Worker<L> {
        self.options.burst = true;
        self
    }

    /// Stops after this many jobs.
    pub fn max_jobs(mut self, jobs: u64) -> Worker<L> {
        self.options.max_jobs = Some(jobs);
        self
    }

    /// Stops after being idle this long.
    pub fn max_idle(mut self, idle: Duration) -> Worker<L> {
        self.options.max_idle = Some(idle);
        self
    }

    /// How long results are kept where the job does not say.
    pub fn result_ttl(mut self, ttl: impl Into<Ttl>) -> Worker<L> {
        self.options.result_ttl = ttl.into();
        self
    }

    /// How long the worker may be silent before others take what it runs from it; 10 s unless told, 0.1 s at least.
    pub fn lease(mut self, lease: Duration) -> Worker<L> {
        self.options.lease = lease.max(LEASE_MIN);
        self
    }

    /// What becomes of a job whose worker died while it ran, where the job does not say.
    pub fn on_crash(mut self, policy: OnCrash) -> Worker<L> {
        self.options.on_crash = policy;
        self
    }

    /// In which order the queues are served.
    pub fn dequeue_strategy(mut self, strategy: DequeueStrategy) -> Worker<L> {
        self.options.dequeue = strategy;
        self
    }

    /// How often the worker looks after what others have left lying; every 600 s unless told.
    pub fn maintenance_interval(mut self, interval: Duration) -> Worker<L> {
        self.options.maintenance_interval = interval;
        self
    }

    /// Moves scheduled jobs into their queues when they are due.
    pub fn with_scheduler(mut self) -> Worker<L> {
        self.options.with_scheduler = true;
        self
    }

    /// Runs until it is told to stop, and says on standard error why it could not. Must be called before the program
    /// starts a runtime.
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// [`run`](Worker::run) for programs that report errors themselves.
    pub fn try_run(self) -> Result<(), WorkerError> {
        run::<L>(self.program, self.options)
    }
}

/// Runs a worker until it is told to stop: launches the executor, then builds a runtime, then dispatches.
pub fn run<L: Launch>(mut program: Program, mut options: Options) -> Result<(), WorkerError> {
    if program.handlers.is_empty() {
        return Err(WorkerError::NoHandlers);
    }
    rq_core::panics::record_locations();
    options.name = std::env::var(HELPER_VARIABLE).ok().or(options.name);
    options.named();
    let exception_handlers = std::mem::take(&mut program.exception_handlers);
    let executor =
        L::launch(program, &options).map_err(|source| WorkerError::Launch { executor: L::NAME, source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| WorkerError::System { what: "the runtime could not start", source })?;
    let result = runtime.block_on(dispatcher::run(options, executor, L::NAME, exception_handlers));
    // A connection attempt or an exception handler may still be under way; nobody waits for it any more.
    runtime.shutdown_background();
    result
}
