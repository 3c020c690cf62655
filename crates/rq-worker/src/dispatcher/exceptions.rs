//! [`Exceptions`]: calls the program's exception handlers for each failure, on threads beside the loop.

use std::sync::Arc;

use rq_core::{ExceptionHandler, Failure, Job, panics};

use super::Dispatcher;

/// Shows failures to the exception handlers.
pub(super) struct Exceptions {
    handlers: Vec<Arc<dyn ExceptionHandler>>,
}

impl Exceptions {
    pub(super) fn new(handlers: Vec<Arc<dyn ExceptionHandler>>) -> Exceptions {
        Exceptions { handlers }
    }

    /// Calls the handlers on another thread; `None` where there are none, or nothing has failed: a job that asks to be run
    /// again does so by an error, which is a value in RQ.
    pub(super) fn show(
        &self,
        job: Arc<Job>,
        failure: Failure,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.handlers.is_empty() || matches!(failure, Failure::Retry(_)) {
            return None;
        }
        // Handlers may block as long as they like, and the loop has leases to renew.
        let handlers = self.handlers.clone();
        let show = move || show(&handlers, &job, &failure);
        // tokio panics where it cannot have a thread: the job is settled all the same.
        match panics::catch(|| tokio::task::spawn_blocking(show)) {
            Ok(shown) => Some(async move { drop(shown.await) }),
            Err(panic) => {
                tracing::error!("no exception handler was called: {}", panic.message);
                None
            }
        }
    }
}

/// Calls the handlers in order, until one breaks.
fn show(handlers: &[Arc<dyn ExceptionHandler>], job: &Job, failure: &Failure) {
    let handle = || handlers.iter().any(|handler| handler.handle(job, failure).is_break());
    // A panic of theirs is theirs alone: the job is settled all the same.
    if let Err(panic) = panics::catch(handle) {
        tracing::error!("an exception handler panicked: {}", panic.message);
    }
}

impl Dispatcher {
    /// Shows the failure of a job that is settled: its worker stopped heartbeating, and this one reaped it.
    pub(super) fn show_abandoned(&self, job: Arc<Job>, failure: Failure) {
        if let Some(shown) = self.exceptions.show(job, failure) {
            // The thread goes on by itself; nothing waits for it.
            drop(shown);
        }
    }
}
