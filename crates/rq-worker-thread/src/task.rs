//! [`Task`]: one execution on its way through a thread.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rq_core::{Ended, Execution, Want};
use rq_worker::{Jobs, RETURN_GRACE, Watch};

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
        let Execution { id, job, host, .. } = &self.execution;
        let drive = |handler: BoxFuture<'_, _>| Ok(shared.jobs.runtime().get()?.block_on(handler));
        shared.jobs.run(id, job, self.watch.interrupt(), Arc::clone(host), RETURN_GRACE, drive)
    }
}
