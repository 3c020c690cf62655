//! [`Exceptions`]: failures are shown to the program's exception handlers, on threads beside the loop.

use std::sync::Arc;

use rq_core::steps::settlement::Settlement;
use rq_core::{ExceptionHandler, Failure, Job};

use super::Dispatcher;

/// Shows failures to the exception handlers.
pub(super) struct Exceptions {
    handlers: Vec<Arc<dyn ExceptionHandler>>,
}

impl Exceptions {
    pub(super) fn new(handlers: Vec<Arc<dyn ExceptionHandler>>) -> Exceptions {
        Exceptions { handlers }
    }

    /// Shows a failure, on another thread; none where there are no handlers.
    fn show(&self, job: Arc<Job>, failure: Failure) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.handlers.is_empty() {
            return None;
        }
        let handlers = self.handlers.clone();
        let shown = tokio::task::spawn_blocking(move || show(&handlers, &job, &failure));
        // A thread that could not be had is no reason to lose what follows.
        Some(async move { drop(shown.await) })
    }
}

/// Calls the handlers in order, until one says that it is enough.
fn show(handlers: &[Arc<dyn ExceptionHandler>], job: &Job, failure: &Failure) {
    let handle = || handlers.iter().any(|handler| handler.handle(job, failure).is_break());
    if let Err(panic) = rq_core::panics::catch(handle) {
        tracing::error!("an exception handler panicked: {}", panic.message);
    }
}

impl Dispatcher {
    /// Shows the failure of a job, then has it settled.
    pub(super) fn show_failure(&mut self, job: Arc<Job>, failure: Failure, settlement: Settlement) {
        match self.exceptions.show(job, failure) {
            Some(shown) => self.beside(shown, |worker, ()| worker.settling.push(settlement)),
            None => self.settling.push(settlement),
        }
    }

    /// Shows the failure of a job that is settled: one whose worker fell silent.
    pub(super) fn show_abandoned(&self, job: Arc<Job>, failure: Failure) {
        if let Some(shown) = self.exceptions.show(job, failure) {
            // It goes on by itself; nothing waits for it.
            drop(shown);
        }
    }
}
