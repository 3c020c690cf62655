//! [`Task`]: one execution on its way through a thread.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rq_core::{CallbackKind, Ended, Execution, Interrupt, JobOutcome, Want};
use rq_worker::{Jobs, Site, Watch};

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) jobs: Jobs,
}

/// One execution on its way through a thread.
pub(crate) struct Task {
    pub(crate) execution: Execution,
    pub(crate) watch: Arc<Watch>,
}

impl Task {
    /// Runs the job here and now.
    pub(crate) fn run(&self, shared: &Shared) -> Result<Ended, Want> {
        let Execution { id, job, host, task, .. } = &self.execution;
        let site = Thread { watch: &self.watch, jobs: &shared.jobs };
        shared.jobs.run(id, job, task, Arc::clone(host), &site)
    }
}

/// The thread that runs a task.
struct Thread<'a> {
    watch: &'a Watch,
    jobs: &'a Jobs,
}

impl Site for Thread<'_> {
    fn interrupt(&self) -> &Arc<Interrupt> {
        self.watch.interrupt()
    }

    fn begin_callback(&self, kind: CallbackKind, limit: Option<Duration>) -> bool {
        self.watch.begin_callback(kind, limit)
    }

    fn get_ready(&self) -> Result<(), Want> {
        self.jobs.runtime().get().map(drop)
    }

    fn drive(&self, handler: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want> {
        Ok(self.jobs.runtime().get()?.block_on(handler))
    }
}
