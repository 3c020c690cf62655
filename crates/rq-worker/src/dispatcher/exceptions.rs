//! [`Exceptions`]: calls the program's exception handlers for each failure, on threads beside the loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::panics::{self, Panic};
use rq_core::{ExceptionHandler, Failure, Job};
use tokio::task::JoinHandle;

use super::Dispatcher;

/// How long a worker that leaves waits for what the handlers have kept to be sent later.
const FLUSH_LONGEST: Duration = Duration::from_secs(2);

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
        let handlers = self.handlers.clone();
        let shown = beside(move || show(&handlers, &job, &failure))?;
        Some(async move { drop(shown.await) })
    }

    /// Has the handlers send what they have kept, in the time that there is for it.
    async fn flush(&self) {
        if self.handlers.is_empty() {
            return;
        }
        let handlers = self.handlers.clone();
        let Some(flushed) = beside(move || flush(&handlers)) else { return };
        if !matches!(tokio::time::timeout(FLUSH_LONGEST, flushed).await, Ok(Ok(true))) {
            let limit_s = FLUSH_LONGEST.as_secs();
            tracing::warn!(
                "not all failures have reached those who are told of them: the worker waits no longer than {limit_s} s"
            );
        }
    }
}

/// Runs `call` on a thread beside the loop, which has leases to renew: handlers may block as long as they like.
fn beside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    // tokio panics where it cannot have a thread: the worker goes on all the same.
    match panics::catch(|| tokio::task::spawn_blocking(call)) {
        Ok(called) => Some(called),
        Err(panic) => {
            tracing::error!("no exception handler was called: {}", panic.message);
            None
        }
    }
}

/// Flushes the handlers in order, each in the time that is left. Whether none of them was too slow.
fn flush(handlers: &[Arc<dyn ExceptionHandler>]) -> bool {
    let until = Instant::now() + FLUSH_LONGEST;
    let is_left_over = |handler: &&Arc<dyn ExceptionHandler>| {
        let left = until.saturating_duration_since(Instant::now());
        // No time was too short for one that panicked, and the log has told of it.
        !told(|| handler.flush(left)).unwrap_or(true)
    };
    // Counted, so that none is skipped.
    handlers.iter().filter(is_left_over).count() == 0
}

/// Calls the handlers in order, until one breaks.
fn show(handlers: &[Arc<dyn ExceptionHandler>], job: &Job, failure: &Failure) {
    // A panic of theirs is theirs alone: the job is settled all the same.
    told(|| handlers.iter().any(|handler| handler.handle(job, failure).is_break()));
}

/// Calls handlers; `None` where one panicked, which the log then tells.
fn told<T>(call: impl FnOnce() -> T) -> Option<T> {
    let panicked = |panic: &Panic| tracing::error!("an exception handler panicked: {}", panic.message);
    panics::catch(call).inspect_err(panicked).ok()
}

impl Dispatcher {
    /// Shows the failure of a job that is settled: its worker stopped heartbeating, and this one reaped it.
    pub(super) fn show_abandoned(&self, job: Arc<Job>, failure: Failure) {
        if let Some(shown) = self.exceptions.show(job, failure) {
            // The thread goes on by itself; nothing waits for it.
            drop(shown);
        }
    }

    /// Has the handlers send what they have kept: nothing fails any more.
    pub(super) async fn flush_exceptions(&mut self) {
        self.exceptions.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    /// Flushes like this.
    struct Handler(fn() -> bool);

    impl ExceptionHandler for Handler {
        fn handle(&self, _: &Job, _: &Failure) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }

        fn flush(&self, _: Duration) -> bool {
            (self.0)()
        }
    }

    #[test]
    fn one_that_panics_was_not_too_slow_and_keeps_no_other_from_its_flush() {
        let check = |flushes: &[fn() -> bool], in_time: bool| {
            let handlers: Vec<Arc<dyn ExceptionHandler>> =
                flushes.iter().map(|flush| Arc::new(Handler(*flush)) as _).collect();
            assert_eq!(flush(&handlers), in_time);
        };
        check(&[|| panic!("boom"), || true], true);
        check(&[|| panic!("boom"), || false], false);
        check(&[|| true], true);
    }
}
