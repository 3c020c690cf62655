//! [`Task`]: one execution on its way through a coroutine.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_util::future::BoxFuture;
use may::coroutine::{self, Coroutine};
use rq_core::{Ended, Execution, ExecutionId, Failure, Interrupted, Want};
use rq_worker::{Jobs, RETURN_GRACE, Watch};
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
    /// Whether its coroutine was cancelled.
    cut: AtomicBool,
}

impl Task {
    pub(crate) fn new(execution: Execution) -> Task {
        Task {
            watch: Watch::new(execution.limit),
            execution,
            begun: AtomicUsize::new(UNBEGUN),
            coroutine: OnceLock::new(),
            cut: AtomicBool::new(false),
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
        let Execution { id, job, host, .. } = &self.execution;
        let host = Arc::new(GreenHost(Arc::clone(host)));
        let drive = |handler: BoxFuture<'_, _>| Ok(drive(shared.jobs.runtime().get()?, handler));
        let mut ended = shared.jobs.run(id, job, self.watch.interrupt(), host, RETURN_GRACE, drive)?;
        // The flag decides, not the outcome: a job can swallow its cancellation, or turn it into a panic of its own.
        if self.cut.load(Ordering::Acquire) {
            ended.outcome = Err(Failure::interrupted(self.interrupted()));
        }
        Ok(ended)
    }

    fn interrupted(&self) -> Interrupted {
        self.watch.interrupt().check().err().unwrap_or(Interrupted::JobStopped)
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

    /// When the job's time is up, where it has a limit and has begun.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // To ask for its interrupt starts the job's time: not while it waits for its carrier.
        if self.has_begun() { self.watch.interrupt().deadline() } else { None }
    }

    /// The coroutine that has begun it.
    pub(crate) fn coroutine(&self) -> Option<&Coroutine> {
        self.coroutine.get()
    }

    /// Has the coroutine unwind from the wait it is in, or its next one.
    pub(crate) fn cut(&self) {
        let Some(coroutine) = self.coroutine() else { return };
        // The flag comes first, since `perform` reads it when the unwinding is over. Once is enough: `may` keeps it.
        if !self.cut.swap(true, Ordering::AcqRel) {
            cancel(coroutine);
        }
    }
}
