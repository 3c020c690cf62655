//! [`Task`]: one execution on its way through a thread.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use rq_core::{Ended, Execution, Failure};
use rq_worker::Jobs;
use tokio::runtime::Runtime;

use crate::watch::{RETURN_GRACE, Watch};

/// How many threads of the runtime drive the I/O of async handlers; the handlers themselves run on the pool's.
const RUNTIME_THREADS: usize = 2;

/// What every task needs.
pub(crate) struct Shop {
    jobs: Jobs,
    /// Made for the first async handler. One for all threads, so that what handlers share keeps running between them.
    runtime: OnceLock<Result<Runtime, String>>,
}

impl Shop {
    pub(crate) fn new(jobs: Jobs) -> Shop {
        Shop { jobs, runtime: OnceLock::new() }
    }

    fn runtime(&self) -> Result<&Runtime, Failure> {
        let made = self.runtime.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime =
                builder.worker_threads(RUNTIME_THREADS).thread_name("rq-async").enable_all().build();
            runtime.map_err(|error| error.to_string())
        });
        made.as_ref().map_err(|error| {
            Failure::Executor(format!("the runtime for async jobs could not start: {error}"))
        })
    }
}

/// One execution on its way through a thread.
pub(crate) struct Task {
    pub(crate) execution: Execution,
    pub(crate) watch: Arc<Watch>,
}

impl Task {
    /// Runs the job here and now.
    pub(crate) fn run(&self, shop: &Shop) -> Ended {
        let Execution { id, job, limit: _, host } = &self.execution;
        let drive = |handler: BoxFuture<'_, _>| shop.runtime()?.block_on(handler);
        shop.jobs.run(id, job, self.watch.interrupt(), Arc::clone(host), RETURN_GRACE, drive)
    }
}
