//! [`Task`]: one execution on its way through a coroutine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use may::coroutine::{self, Coroutine};
use rq_core::{
    CallbackKind, Ended, Execution, ExecutionId, Failure, Interrupt, Interrupted, JobOutcome, Want,
};
use rq_worker::{Jobs, Site, Watch};
use tokio::sync::mpsc::UnboundedSender;

use crate::carriers::cancel;
use crate::current_job::current_job;
use crate::drive::drive;
use crate::host::GreenHost;

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) jobs: Jobs,
    pub(crate) sender: UnboundedSender<(ExecutionId, Result<Ended, Want>)>,
}

/// No coroutine has begun the task.
const UNBEGUN: usize = 0;
/// No coroutine will begin the task.
const NEVER: usize = usize::MAX;

/// One execution on its way through a coroutine.
///
/// The executor sends a second coroutine for it where the first waits for a blocked thread: the first to run begins it.
pub(crate) struct Task {
    pub(crate) execution: Execution,
    pub(crate) watch: Watch,
    /// Which of the coroutines has begun it, counted from 1.
    begun: AtomicUsize,
    coroutine: OnceLock<Coroutine>,
}

impl Task {
    pub(crate) fn new(execution: Execution) -> Task {
        Task {
            watch: Watch::new(execution.limit),
            execution,
            begun: AtomicUsize::new(UNBEGUN),
            coroutine: OnceLock::new(),
        }
    }

    /// What the coroutine `number` does.
    pub(crate) fn run(self: &Arc<Task>, number: usize, shared: &Shared) {
        // Another coroutine was faster, or the job was given up before any came to run.
        if !self.begin(number) {
            return;
        }
        // Before the job runs: from now on it can be woken and unwound.
        self.coroutine.get_or_init(coroutine::current);
        // Looked up anew each time: behind a wait the coroutine may be on another thread.
        current_job().set(Arc::clone(&self.execution.job));
        let ended = self.perform(shared);
        current_job().clear();
        // Who takes this flag tells the end. If the executor has given the job up, nobody must hear of it again.
        if self.watch.returned() {
            // The receiver is gone when the worker has left.
            let _ = shared.sender.send((self.execution.id.clone(), ended));
        }
    }

    fn perform(&self, shared: &Shared) -> Result<Ended, Want> {
        let Execution { id, job, host, task, .. } = &self.execution;
        let host = Arc::new(GreenHost(Arc::clone(host)));
        let site = InCoroutine { watch: &self.watch, jobs: &shared.jobs };
        let mut ended = shared.jobs.run(id, job, task, host, &site)?;
        // The flag decides, not the outcome: a job can swallow its cancellation, or turn it into a panic of its own.
        if self.watch.is_cut() {
            ended.outcome = Err(interruption(&self.watch));
        }
        Ok(ended)
    }

    fn begin(&self, number: usize) -> bool {
        // One exchange for coroutines and executor alike: a job begins once, or never.
        self.begun.compare_exchange(UNBEGUN, number, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Keeps the task from ever beginning; `false` if it has begun.
    pub(crate) fn forbid(&self) -> bool {
        self.begin(NEVER)
    }

    /// Which of the coroutines has begun it, counted from 1; `None` if none has.
    pub(crate) fn begun_by(&self) -> Option<usize> {
        Some(self.begun.load(Ordering::Acquire)).filter(|&number| number != UNBEGUN && number != NEVER)
    }

    /// Whether a coroutine has begun it.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun_by().is_some()
    }

    /// The coroutine that has begun it.
    pub(crate) fn coroutine(&self) -> Option<&Coroutine> {
        self.coroutine.get()
    }

    /// Has the coroutine unwind from the wait it is in, or its next one, where its time has been up for `grace` or it was to be
    /// cut by `cut_at`.
    pub(crate) fn cut_if_due(&self, grace: Duration, cut_at: Option<Instant>, now: Instant) {
        let Some(coroutine) = self.coroutine() else { return };
        // The flag comes first, since `perform` reads it when the unwinding is over. Once is enough: `may` keeps it, and no
        // callback could wait for anything behind it.
        if self.watch.cut_if_due(grace, cut_at, now) {
            cancel(coroutine);
        }
    }
}

/// Why a job was cut short.
fn interruption(watch: &Watch) -> Failure {
    Failure::interrupted(watch.interrupt().check().err().unwrap_or(Interrupted::JobStopped))
}

/// The coroutine that runs a task.
struct InCoroutine<'a> {
    watch: &'a Watch,
    jobs: &'a Jobs,
}

impl Site for InCoroutine<'_> {
    fn interrupt(&self) -> &Arc<Interrupt> {
        self.watch.interrupt()
    }

    fn begin_callback(&self, kind: CallbackKind, limit: Option<Duration>) -> bool {
        self.watch.begin_callback(kind, limit)
    }

    fn get_ready(&self) -> Result<(), Want> {
        self.jobs.runtime().get().map(drop)
    }

    fn cut_short(&self) -> Option<Failure> {
        self.watch.is_cut().then(|| interruption(self.watch))
    }

    fn drive(&self, handler: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want> {
        Ok(drive(self.jobs.runtime().get()?, handler))
    }
}
