//! [`Task`]: one execution on its way through a thread.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rq_core::{Context, DeathPenalty, Ended, Execution, Failure, Handlers, States, panics};
use rq_worker::run_until_interrupted;
use tokio::runtime::Runtime;

use crate::watch::{RETURN_GRACE, Watch};

/// How many threads of the runtime drive the I/O of async handlers; the handlers themselves run on the pool's.
const RUNTIME_THREADS: usize = 2;

/// What every task needs of the program.
pub(crate) struct Shop {
    pub(crate) handlers: Handlers,
    pub(crate) states: Arc<States>,
    pub(crate) death_penalties: Vec<Arc<dyn DeathPenalty>>,
    /// Made for the first async handler. One for all threads, so that what handlers share keeps running between them.
    runtime: OnceLock<Result<Runtime, String>>,
}

impl Shop {
    pub(crate) fn new(
        handlers: Handlers,
        states: States,
        death_penalties: Vec<Arc<dyn DeathPenalty>>,
    ) -> Shop {
        Shop { handlers, states: Arc::new(states), death_penalties, runtime: OnceLock::new() }
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
        let began = Instant::now();
        let outcome = panics::catch(|| self.perform(shop)).unwrap_or_else(|panic| Err(Failure::Panic(panic)));
        Ended { outcome, ran: began.elapsed() }
    }

    fn perform(&self, shop: &Shop) -> Result<Option<Vec<u8>>, Failure> {
        let Execution { id, job, limit, host } = &self.execution;
        let interrupt = self.watch.interrupt();
        let (job, host, states) = (Arc::clone(job), Arc::clone(host), Arc::clone(&shop.states));
        let context = Context::new(Arc::clone(&job), id.clone(), Arc::clone(interrupt), host, states);
        let prepared = shop.handlers.prepare(&job)?;
        let _armed: Vec<_> =
            shop.death_penalties.iter().map(|penalty| penalty.arm(&context, *limit)).collect();
        if prepared.is_async() {
            shop.runtime()?.block_on(run_until_interrupted(prepared, &context, interrupt, RETURN_GRACE))
        } else {
            prepared.run(&context)
        }
    }
}
