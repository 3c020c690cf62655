//! [`Thrift`]: a worker that has nothing to do gives back the memory that its jobs have left with the allocator.
//!
//! The system's allocator keeps what is freed: after a few payloads of megabytes on a few threads, hundreds of
//! megabytes, for as long as the process lives.

use std::time::{Duration, Instant};

use rq_core::panics;

use super::Dispatcher;
use crate::allocator;

/// How long nothing must have run.
const IDLE: Duration = Duration::from_secs(1);
/// How long a worker that always runs something keeps what large payloads have left.
const BUSY: Duration = Duration::from_secs(10);

/// Whether, and when, memory is given back.
#[derive(Default)]
pub(super) struct Thrift {
    /// When a job has ended last, since memory was given back.
    ended_at: Option<Instant>,
    /// When the first one with a large payload has ended since then.
    large_ended_at: Option<Instant>,
}

impl Thrift {
    /// A job has ended.
    pub(super) fn on_ended(&mut self, is_large: bool, now: Instant) {
        self.ended_at = Some(now);
        if is_large {
            self.large_ended_at.get_or_insert(now);
        }
    }

    /// When memory is to be given back.
    pub(super) fn due_at(&self, is_idle: bool) -> Option<Instant> {
        let idle_at = self.ended_at.filter(|_| is_idle).map(|at| at + IDLE);
        let busy_at = self.large_ended_at.map(|at| at + BUSY);
        [idle_at, busy_at].into_iter().flatten().min()
    }

    /// Whether it is time for that now; then it is not until another job has ended.
    fn take_due(&mut self, is_idle: bool, now: Instant) -> bool {
        let is_due = self.due_at(is_idle).is_some_and(|at| at <= now);
        if is_due {
            *self = Thrift::default();
        }
        is_due
    }
}

impl Dispatcher {
    /// Gives memory back, if it is time for that.
    pub(super) fn look_at_memory(&mut self) {
        if self.thrift.take_due(self.running.occupied() == 0, Instant::now()) {
            // Beside the loop, since large heaps take their time. tokio panics where it cannot have a thread; then the
            // memory is kept until next time.
            let _ = panics::catch(|| drop(tokio::task::spawn_blocking(allocator::give_back)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_the_worker_rests_and_after_large_payloads() {
        let (mut thrift, now) = (Thrift::default(), Instant::now());
        assert_eq!(thrift.due_at(true), None, "nothing has run");
        thrift.on_ended(false, now);
        assert_eq!((thrift.due_at(true), thrift.due_at(false)), (Some(now + IDLE), None));
        assert!(!thrift.take_due(true, now));
        thrift.on_ended(true, now);
        thrift.on_ended(true, now + IDLE);
        assert_eq!((thrift.due_at(true), thrift.due_at(false)), (Some(now + 2 * IDLE), Some(now + BUSY)));
        assert!(thrift.take_due(false, now + BUSY));
        assert_eq!(thrift.due_at(true), None, "once");
    }
}
