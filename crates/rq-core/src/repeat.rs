//! [`Repeat`]: running a job again after it succeeded.

use std::time::Duration;

use crate::ttl::whole_seconds;

/// How often, and after which pauses, a job runs again after it succeeded: RQ's `Repeat(times, interval)`.
///
/// ```
/// use rq_core::{minutes, Repeat};
/// let repeat = Repeat::times(3).every(minutes(1));
/// assert_eq!(repeat.intervals(), [60]);
/// ```
#[must_use = "a repeat does nothing until a call is given it"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    times: u32,
    intervals_s: Vec<u64>,
}

impl Repeat {
    /// Runs again `times` times, at once.
    pub fn times(times: u32) -> Repeat {
        Repeat { times, intervals_s: vec![0] }
    }

    /// Waits `pause` (whole seconds) before each further run.
    pub fn every(self, pause: Duration) -> Repeat {
        self.after([pause])
    }

    /// Waits the first pause before the first further run, and so on; the last one repeats. None means no pause.
    pub fn after(mut self, pauses: impl IntoIterator<Item = Duration>) -> Repeat {
        self.intervals_s = pauses.into_iter().map(whole_seconds).collect();
        if self.intervals_s.is_empty() {
            self.intervals_s.push(0);
        }
        self
    }

    /// How many further runs.
    pub fn count(&self) -> u32 {
        self.times
    }

    /// The pauses in seconds, never empty (docs/wire.md §3).
    pub fn intervals(&self) -> &[u64] {
        &self.intervals_s
    }
}
