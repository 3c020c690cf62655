//! [`Site`]: where an execution runs, as its executor has made it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rq_core::{CallbackKind, Failure, Interrupt, JobOutcome, Want};

use crate::watch::RETURN_GRACE;

/// Where an execution runs, as its executor has made it: what [`Jobs::run`](crate::Jobs::run) asks of it meanwhile.
pub trait Site {
    /// How what runs learns that it has to end.
    fn interrupt(&self) -> &Arc<Interrupt>;

    /// How long what runs may take to return once it has to end. An async handler that does not return within a part of it
    /// is dropped: at its end the executor would give it up.
    fn return_grace(&self) -> Duration {
        RETURN_GRACE
    }

    /// The job has ended, and a callback is about to begin that may take `limit`: [rearms](Interrupt::rearm) the interrupt,
    /// and makes sure that the executor knows of both before it next cuts short what runs here. `false`: too late, for it
    /// has done so already, or cannot be told; the callback is not called then.
    fn begin_callback(&self, kind: CallbackKind, limit: Option<Duration>) -> bool;

    /// Gets what [`drive`](Site::drive) needs, before anything of a job with an async handler runs: its middleware, and its
    /// death penalties.
    ///
    /// # Errors
    /// If it cannot be had.
    fn get_ready(&self) -> Result<(), Want> {
        Ok(())
    }

    /// The failure of a handler that the executor has cut short, whatever the handler has made of that.
    fn cut_short(&self) -> Option<Failure> {
        None
    }

    /// Runs an async handler to its end.
    ///
    /// # Errors
    /// If it cannot be had what this needs: the handler has not begun.
    fn drive(&self, handler: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want>;
}
