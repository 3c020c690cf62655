//! [`Ender`]: by which a death penalty ends what it is armed for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::interrupt::{Arming, Interrupt};

/// By which a death penalty ends what it is armed for: a job, or a callback behind it. From any thread;
/// [`Context::ender`](crate::Context::ender) makes it.
#[derive(Clone)]
pub struct Ender {
    interrupt: Arc<Interrupt>,
    arming: Arming,
}

impl Ender {
    pub(crate) fn new(interrupt: &Arc<Interrupt>) -> Ender {
        Ender { interrupt: Arc::clone(interrupt), arming: interrupt.arming() }
    }

    /// Says that its time is up, which was `limit`. It is asked to end, as at its own limit, and fails as one that has reached
    /// this one, `JobTimeoutException`; where it goes on, its executor ends it by all that it can do, after the grace that
    /// it has otherwise.
    ///
    /// `false` where it was too late: what this was made for has ended, was asked to stop, or its time was up already.
    pub fn time_out(&self, limit: Duration) -> bool {
        self.interrupt.time_out(self.arming, limit)
    }
}

impl fmt::Debug for Ender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ender").field("arming", &self.arming).finish_non_exhaustive()
    }
}
