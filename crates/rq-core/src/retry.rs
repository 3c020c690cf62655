//! [`Retry`]: running a job again after it failed.

use std::time::Duration;

use crate::ttl::whole_seconds;

/// How often, and after which pauses, a job runs again after a failure: RQ's `Retry(max, interval)`.
///
/// Given with a call (`Call::retry`) it governs every failure of the job. Returned by a job as an error it is
/// RQ's "return Retry": this run asks to be repeated.
///
/// ```
/// use rq_core::{secs, Retry};
/// let retry = Retry::up_to(3).every(secs(10));
/// assert_eq!(retry.intervals(), [10]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    max: u32,
    intervals_s: Vec<u64>,
    at_front: bool,
}

impl Retry {
    /// Runs again at once, at most `max` times.
    pub fn up_to(max: u32) -> Retry {
        Retry { max, intervals_s: vec![0], at_front: false }
    }

    /// Waits `pause` (whole seconds) before each further run.
    pub fn every(self, pause: Duration) -> Retry {
        self.after([pause])
    }

    /// Waits the first pause before the first further run, and so on; the last one repeats. None means no pause.
    pub fn after(mut self, pauses: impl IntoIterator<Item = Duration>) -> Retry {
        self.intervals_s = pauses.into_iter().map(whole_seconds).collect();
        if self.intervals_s.is_empty() {
            self.intervals_s.push(0);
        }
        self
    }

    /// Puts further runs at the head of the queue.
    pub fn at_front(mut self) -> Retry {
        self.at_front = true;
        self
    }

    /// The most further runs.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// The pauses in seconds, never empty: `[0]` without pause, as RQ writes it (wire spec §3).
    pub fn intervals(&self) -> &[u64] {
        &self.intervals_s
    }

    /// Whether further runs go to the head of the queue.
    pub fn is_at_front(&self) -> bool {
        self.at_front
    }
}
