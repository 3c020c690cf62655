//! [`GreenHost`]: the worker's host, with sleeps that give the thread to other coroutines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::BlockingLink;
use rq_core::{BoxError, Error, ExecutionId, Host, Interrupt, Interrupted, Keys};

use crate::sleep::{here, later, yield_now};

/// The worker's host, with sleeps that give the thread to other coroutines.
pub(crate) struct GreenHost(pub(crate) Arc<dyn Host>);

impl Host for GreenHost {
    fn sleep(&self, interrupt: &Interrupt, duration: Duration) -> Result<(), Interrupted> {
        let Some(clock) = here() else { return self.0.sleep(interrupt, duration) };
        let until = later(Instant::now(), duration);
        let until = interrupt.deadline().map_or(until, |deadline| until.min(deadline));
        interrupt.check()?;
        // Else a loop of sleeps of no length would never let others have the thread.
        if duration.is_zero() {
            yield_now();
        }
        // A stop wakes the coroutine, too, and so may other calls: it looks at the time again after each wait.
        while Instant::now() < until {
            clock.wait_until(until);
            interrupt.check()?;
        }
        interrupt.check()
    }

    /// Blocks the thread for as long as Redis takes to answer.
    fn link(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        self.0.link()
    }

    fn save_meta(&self, execution: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError> {
        self.0.save_meta(execution, meta)
    }
}
