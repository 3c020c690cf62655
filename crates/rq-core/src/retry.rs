//! [`Retry`]: running a job again after it failed.

use std::time::Duration;

use crate::ttl::whole_seconds;

/// The longest list of growing pauses; later ones are as the last.
const PAUSES_MAX: usize = 1000;

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
#[must_use = "a retry does nothing until a call is given it, or a job fails with it"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    max: u32,
    intervals_s: Vec<u64>,
    at_front: bool,
}

impl From<u32> for Retry {
    /// [`Retry::up_to`].
    fn from(max: u32) -> Retry {
        Retry::up_to(max)
    }
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

    /// Waits twice as long each time: `first` before the first further run, never longer than `longest`.
    ///
    /// RQ has lists of pauses only, so this is one, and any RQ worker follows it. See [`Retry::jitter`].
    ///
    /// ```
    /// use rq_core::{minutes, secs, Retry};
    /// assert_eq!(Retry::up_to(5).exponential(secs(5), minutes(1)).intervals(), [5, 10, 20, 40, 60]);
    /// ```
    pub fn exponential(mut self, first: Duration, longest: Duration) -> Retry {
        let (first_s, longest_s) = (whole_seconds(first), whole_seconds(longest));
        let pauses = std::iter::successors(Some(first_s), |pause_s| Some(pause_s.saturating_mul(2)));
        // Once the longest pause is reached it is the last of the list; but RQ indexes lists shorter than `max` from
        // their end, so the list is as long as there are retries.
        let length = usize::try_from(self.max).unwrap_or(usize::MAX).clamp(1, PAUSES_MAX);
        self.intervals_s = pauses.take(length).map(|pause_s| pause_s.min(longest_s)).collect();
        self
    }

    /// Takes off each pause a random part of at most `part` of it, from 0 to 1, so that jobs which failed together do
    /// not come back together. Drawn once, when this is called.
    pub fn jitter(mut self, part: f64) -> Retry {
        let part = part.clamp(0.0, 1.0);
        for pause_s in &mut self.intervals_s {
            *pause_s -= (*pause_s as f64 * part * random_part()) as u64;
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

    /// The pauses in seconds, never empty: `[0]` without pause, as RQ writes it (docs/wire.md §3).
    pub fn intervals(&self) -> &[u64] {
        &self.intervals_s
    }

    /// Whether further runs go to the head of the queue.
    pub fn is_at_front(&self) -> bool {
        self.at_front
    }
}

/// A random number from 0 to 1.
fn random_part() -> f64 {
    uuid::Uuid::new_v4().as_u128() as u64 as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{minutes, secs};

    #[test]
    fn growing_pauses_are_as_many_as_retries() {
        assert_eq!(Retry::up_to(3).exponential(secs(1), minutes(1)).intervals(), [1, 2, 4]);
        assert_eq!(Retry::up_to(0).exponential(secs(1), minutes(1)).intervals(), [1]);
        let endless = Retry::up_to(u32::MAX).exponential(secs(1), minutes(1));
        assert_eq!((endless.intervals().len(), endless.intervals().last()), (PAUSES_MAX, Some(&60)));
    }

    #[test]
    fn jitter_shortens_within_its_part() {
        let retry = Retry::up_to(100).every(secs(1000)).jitter(0.25);
        assert!(retry.intervals().iter().all(|pause_s| (750..=1000).contains(pause_s)), "{retry:?}");
        let spread = Retry::up_to(50).after(vec![secs(1000); 50]).jitter(1.0);
        let mut seen = spread.intervals().to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 10, "{seen:?}");
    }
}
