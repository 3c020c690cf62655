//! [`ExceptionHandler`]: decides what else happens when a job fails.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::failure::Failure;
use crate::job::Job;

/// Decides what else happens when a job fails: reports it, counts it, wakes somebody.
///
/// Runs in the worker, on a thread beside its loop, before the failure is stored, once per failure and however the
/// job failed; one that returns a [`Retry`](crate::Retry), or that somebody has stopped, has not, as in RQ. Handlers run in the order they were added.
///
/// ```
/// use std::ops::ControlFlow;
/// use rq_core::{ExceptionHandler, Failure, Job};
///
/// struct Report;
/// impl ExceptionHandler for Report {
///     fn handle(&self, job: &Job, failure: &Failure) -> ControlFlow<()> {
///         eprintln!("{} failed: {}", job.id, failure.text());
///         ControlFlow::Continue(())
///     }
/// }
/// ```
pub trait ExceptionHandler: Send + Sync {
    /// Called for a job that failed. `Break` keeps the handlers after this one from being called.
    fn handle(&self, job: &Job, failure: &Failure) -> ControlFlow<()>;

    /// Called once, when the worker has settled its last job and leaves: what was kept to be sent later is sent now, or
    /// never, since the worker waits for `limit` and no longer. Whether all was.
    fn flush(&self, limit: Duration) -> bool {
        let _ = limit;
        true
    }
}

impl<F: Fn(&Job, &Failure) -> ControlFlow<()> + Send + Sync> ExceptionHandler for F {
    fn handle(&self, job: &Job, failure: &Failure) -> ControlFlow<()> {
        self(job, failure)
    }
}
