//! [`Worker`]: the builder that programs use, whatever executor they choose.

use std::fmt;
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt};
use rq_core::{Handlers, Keys, OnCrash, Shown, Ttl};
use rq_cron::Cron;
use rq_process::{SingleThreaded, Title, leave_init_behind};

use crate::allocator;
use crate::dispatcher::{self, Parts};
use crate::error::{LaunchError, WorkerError};
use crate::event::Observer;
use crate::last_words::last_words;
use crate::launch::{Helper, Launch};
use crate::log::Log;
use crate::options::{DequeueStrategy, LEASE_MIN, Options, Scheduling};
use crate::program::Program;
use crate::program_methods;
use crate::request::{self, Request};
use crate::signals::signals;
use crate::webhooks::{WebhookAllow, WebhookSecret};

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
pub struct Worker<L: Launch> {
    program: Program,
    options: Options,
    /// What concerns the executor alone.
    own: L::Options,
}

impl<L: Launch> Worker<L> {
    /// A worker for these jobs, which serves the queue `default` of a Redis on this machine.
    pub fn new(handlers: Handlers) -> Worker<L> {
        Worker { program: Program::new(handlers), options: Options::default(), own: L::Options::default() }
    }

    program_methods!(Worker<L>, program);

    /// The Redis to work for.
    pub fn url(mut self, url: impl Into<String>) -> Worker<L> {
        self.options.url = url.into();
        self
    }

    /// The names of the keys; by default those under `rq:`.
    pub fn keys(mut self, keys: Keys) -> Worker<L> {
        self.options.keys = keys;
        self
    }

    /// The queues to serve, the first ones first.
    pub fn queues(mut self, queues: impl IntoIterator<Item = impl Into<String>>) -> Worker<L> {
        self.options.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// The worker's name; by default a fresh UUID.
    pub fn name(mut self, name: impl Into<String>) -> Worker<L> {
        self.options.name = Some(name.into());
        self
    }

    /// How many jobs run at once.
    pub fn concurrency(mut self, jobs: usize) -> Worker<L> {
        self.options.concurrency = Some(jobs);
        self
    }

    /// How long a warm stop waits for running jobs before it ends them; by default as long as they take.
    pub fn stop_timeout(mut self, timeout: Duration) -> Worker<L> {
        self.options.stop_timeout = Some(timeout);
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

    /// How long the results of jobs are kept that have no `result_ttl` of their own; by default 500 s.
    pub fn result_ttl(mut self, ttl: impl Into<Ttl>) -> Worker<L> {
        self.options.result_ttl = ttl.into();
        self
    }

    /// How long after the worker stops heartbeating other workers take over what it runs; by default 10 s, at least 0.1
    /// s.
    pub fn lease(mut self, lease: Duration) -> Worker<L> {
        self.options.lease = lease.max(LEASE_MIN);
        self
    }

    /// What becomes of a job whose worker, or process, died while it ran, where the job has no `on_crash` of its own.
    pub fn on_crash(mut self, policy: OnCrash) -> Worker<L> {
        self.options.on_crash = policy;
        self
    }

    /// Whether failures are filed, as they are by default: with `false`, a job that has failed for good, or was stopped, gets
    /// its status and nothing else, neither an entry in a registry nor a result nor a time to live. For programs whose
    /// exception handlers keep the books.
    pub fn default_exception_handler(mut self, files: bool) -> Worker<L> {
        self.options.default_exception_handler = files;
        self
    }

    /// In which order the queues are served.
    pub fn dequeue_strategy(mut self, strategy: DequeueStrategy) -> Worker<L> {
        self.options.dequeue = strategy;
        self
    }

    /// How often the worker does maintenance, which repairs what other workers have left; by default every 600 s.
    pub fn maintenance_interval(mut self, interval: Duration) -> Worker<L> {
        self.options.maintenance_interval = interval;
        self
    }

    /// What the worker does about scheduled jobs; by default it queues those that are due where no scheduler does.
    pub fn scheduling(mut self, scheduling: Scheduling) -> Worker<L> {
        self.options.scheduling = scheduling;
        self
    }

    /// Makes the worker a scheduler, which locks its queues: [`Scheduling::Scheduler`].
    pub fn with_scheduler(self) -> Worker<L> {
        self.scheduling(Scheduling::Scheduler)
    }

    /// Has the worker fire the ticks of these entries, once each however many workers and schedulers have the same ones
    /// (docs/cron.md). It begins when the worker does, and fires no more as soon as the worker is asked to stop.
    pub fn cron(mut self, cron: Cron) -> Worker<L> {
        self.options.cron = Some(cron);
        self
    }

    /// Lets webhooks be sent to addresses that are refused otherwise: private ones, or those of a network.
    pub fn webhook_allow(mut self, allow: WebhookAllow) -> Worker<L> {
        self.options.webhooks.allow.push(allow);
        self
    }

    /// Signs webhooks with this secret, which their receivers know.
    pub fn webhook_secret(mut self, secret: impl Into<WebhookSecret>) -> Worker<L> {
        self.options.webhooks.secret = Some(secret.into());
        self
    }

    /// What concerns the executor alone.
    pub fn executor_options(mut self, own: L::Options) -> Worker<L> {
        self.own = own;
        self
    }

    /// Runs until a signal stops it, and says on standard error why it could not.
    ///
    /// Blocks this thread, and must be called outside of a runtime.
    pub fn run(self) -> ExitCode {
        let result = self.try_run();
        let code = if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        last_words(move || {
            if let Err(error) = result {
                // Standard error may be closed; the exit code remains.
                let _ = writeln!(io::stderr(), "{}", Shown::message(error));
            }
        });
        code
    }

    /// [`run`](Worker::run) for programs that report errors themselves.
    pub fn try_run(self) -> Result<(), WorkerError> {
        prepare::<L>(self.program, self.options, self.own)?.run()
    }

    /// Runs in the runtime of the caller until `shutdown` completes, or panics, which is a warm stop, or until it stops by
    /// itself. Signals stay the program's.
    ///
    /// Preloads are done on a thread beside the runtime. An executor that forks refuses: there are threads by now; see
    /// [`prepare`](Worker::prepare).
    ///
    /// Whoever drops the future gives up what runs: jobs are asked to end, other workers take them over as from one that
    /// died, and the worker's name is taken until its record has expired.
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), WorkerError> {
        // Preloads block as long as they like, and the runtime is the caller's.
        let prepared = tokio::task::spawn_blocking(|| self.prepare()).await;
        prepared
            .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?
            .run_until(shutdown)
            .await
    }

    /// Launches the executor: what forks forks now. Call it first in `main`, before there is a thread or a runtime, in
    /// programs that run the worker in a runtime later:
    ///
    /// ```ignore
    /// fn main() -> anyhow::Result<()> {
    ///     let worker = rq_worker_fork::Worker::new(handlers![add]).prepare()?;
    ///     tokio::runtime::Runtime::new()?.block_on(async {
    ///         let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    ///         let worker = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
    ///         serve().await?;
    ///         drop(stop);
    ///         Ok(worker.await??)
    ///     })
    /// }
    /// ```
    pub fn prepare(self) -> Result<PreparedWorker, WorkerError> {
        launch::<L>(self.program, self.options, self.own)
    }
}

/// A worker whose executor is launched.
#[must_use = "a worker does nothing until it is run"]
pub struct PreparedWorker {
    /// None in a process that helps another worker.
    parts: Option<Parts>,
}

impl PreparedWorker {
    /// Runs until a [signal](signals()) stops it. Blocks this thread, and must be called outside of a runtime.
    pub fn run(self) -> Result<(), WorkerError> {
        refuse_runtime()?;
        allocator::keep_little();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| WorkerError::System { what: "the runtime could not start", source })?;
        let result = runtime.block_on(async {
            // Made in here: a signal needs the runtime's own driver.
            let signals = signals();
            let signals = signals
                .map_err(|source| WorkerError::System { what: "signals cannot be handled", source })?;
            self.run_with(signals).await
        });
        // A connection attempt or an exception handler may still be under way; nobody waits for it any more.
        runtime.shutdown_background();
        result
    }

    /// Runs in the runtime of the caller until `shutdown` completes, which is a warm stop, or until it stops by itself.
    /// See [`Worker::run_until`].
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), WorkerError> {
        // One that panics asks no less than one that completes.
        let shutdown = AssertUnwindSafe(shutdown).catch_unwind();
        self.run_with(stream::once(shutdown).map(|_| Request::StopWarm)).await
    }

    /// Runs in the runtime of the caller, and carries out `requests` and commands over Redis, until it has stopped. It
    /// goes on where `requests` end.
    pub async fn run_with(
        self,
        requests: impl Stream<Item = Request> + Send + 'static,
    ) -> Result<(), WorkerError> {
        let parts = self.parts.ok_or(WorkerError::Bystander)?;
        dispatcher::run(parts, request::requests(requests)).await
    }
}

impl fmt::Debug for PreparedWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.parts.as_ref().and_then(|parts| parts.options.name.as_deref());
        f.debug_struct("PreparedWorker").field("name", &name).finish_non_exhaustive()
    }
}

/// Launches the executor of a worker that is to [run](PreparedWorker::run) on this thread, and block it: the program is
/// this worker, and `ps` shows so.
///
/// The first process of a container forks here, while it has one thread: the worker is its child, and it stays to pass
/// signals on and to reap what nobody else does.
pub fn prepare<L: Launch>(
    program: Program,
    mut options: Options,
    own: L::Options,
) -> Result<PreparedWorker, WorkerError> {
    refuse_runtime()?;
    if let Err(error) = leave_init_behind() {
        tracing::warn!("the first process of this container stays without an init: {error}");
    }
    show_title(&mut options);
    launch::<L>(program, options, own)
}

/// Has lists of processes show which worker this process is, as RQ's do (docs/cli.md §2); not where there are threads, or where
/// the program could not read its arguments then: an executor may execute it anew.
fn show_title(options: &mut Options) {
    if Helper::of_this_process().is_some() {
        return;
    }
    let (Ok(single_threaded), Some(title)) = (SingleThreaded::make_sure(), Title::of_this_process()) else {
        return;
    };
    let queues = options.queues.join(", ");
    let name = options.named();
    let text = format_args!("rq:worker:{name}: Listening on {queues}");
    title.set_apart(&single_threaded, Shown::line(text));
}

/// Fails where this thread must not be blocked, since an async runtime runs its tasks on it.
fn refuse_runtime() -> Result<(), WorkerError> {
    rq_core::panics::record_locations();
    // It has neither threads nor descriptors, so that whoever forks next may. tokio tells by a panic alone: there is a handle
    // in `spawn_blocking` too, where blocking is fine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|source| WorkerError::System { what: "the runtime could not start", source })?;
    let may_block = rq_core::panics::catch(|| runtime.block_on(async {})).is_ok();
    runtime.shutdown_background();
    if may_block { Ok(()) } else { Err(WorkerError::InsideRuntime) }
}

/// How many workers this process has prepared.
static PREPARED: AtomicUsize = AtomicUsize::new(0);

fn launch<L: Launch>(
    mut program: Program,
    mut options: Options,
    own: L::Options,
) -> Result<PreparedWorker, WorkerError> {
    rq_core::panics::record_locations();
    if let Some(cron) = &options.cron {
        if options.burst {
            return Err(WorkerError::CronInBurst);
        }
        // Before anything is forked or written.
        cron.check().map_err(WorkerError::Cron)?;
    }
    // Executed anew, a program prepares all of its workers again: by its number a helper knows which one is meant.
    options.ordinal = PREPARED.fetch_add(1, Ordering::Relaxed);
    if let Some(helper) = Helper::of_this_process() {
        if helper.ordinal != options.ordinal {
            return Ok(PreparedWorker { parts: None });
        }
        options.name = Some(helper.worker);
    }
    // Before the launch: a fork server shows the name, and what jobs start inherits it.
    options.named();
    // Handlers and observers stay here, with the loop; the rest may be moved into another process.
    let exception_handlers = std::mem::take(&mut program.exception_handlers);
    let mut observers: Vec<Arc<dyn Observer>> =
        vec![Arc::new(Log { descriptions: options.log_descriptions })];
    if let Some(notices) = &options.notices {
        observers.push(Arc::new(notices.clone()));
    }
    observers.append(&mut program.observers);
    let callback_names = program.handlers.callback_names().collect();
    let replaces_limits = program.replaces_limits();
    let executor = L::launch(program, &options, own).map_err(|error| match error {
        LaunchError::NoHandlers => WorkerError::NoHandlers,
        source => WorkerError::Launch { executor: L::NAME, source },
    })?;
    let parts = Parts {
        options,
        executor_name: L::NAME,
        executor,
        callback_names,
        replaces_limits,
        exception_handlers,
        observers,
    };
    Ok(PreparedWorker { parts: Some(parts) })
}
