//! [`Backoff`]: how long a slot waits for its next child.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first pause, which doubles with each failure in a row, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A child that has lived as long has nothing to do with failures before it.
const STEADY_AFTER: Duration = Duration::from_secs(60);
/// So many failures to begin within such a time park a slot.
const BOOTS_MAX: usize = 5;
const BOOTS_WITHIN: Duration = Duration::from_secs(60);
/// How long a slot is parked at first, doubled each time, and the longest.
const PARK_MIN: Duration = Duration::from_secs(30);
const PARK_MAX: Duration = Duration::from_secs(60);
/// By how much a pause is drawn shorter or longer, so that not all slots begin together.
const JITTER: f64 = 0.2;

/// How a child has ended, as far as its successor is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it was to: the successor need not wait.
    Planned,
    /// Otherwise, after such a time.
    Failed { up: Duration },
    /// Before it was ready.
    BootFailed,
}

/// When a slot's next child may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Now,
    At(Instant),
    Parked(Instant),
}

/// What is remembered of the failures in a slot.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    failed_boots: VecDeque<Instant>,
    parks: u32,
}

impl Backoff {
    /// When the next child may begin, behind one that has ended now. `draw` is from 0 to 1.
    pub(crate) fn after(&mut self, outcome: Outcome, now: Instant, draw: f64) -> Next {
        match outcome {
            Outcome::Planned => {
                // It has done what it was to do: whatever others have failed of is over.
                self.failures = 0;
                return Next::Now;
            }
            Outcome::Failed { up } if up >= STEADY_AFTER => *self = Backoff::default(),
            Outcome::Failed { .. } => {}
            Outcome::BootFailed => {
                self.failed_boots.push_back(now);
                self.failed_boots.retain(|boot| now.duration_since(*boot) < BOOTS_WITHIN);
                if self.parks > 0 || self.failed_boots.len() >= BOOTS_MAX {
                    let pause = doubled(PARK_MIN, self.parks, PARK_MAX);
                    self.parks += 1;
                    return Next::Parked(now + jittered(pause, draw));
                }
            }
        }
        let pause = doubled(PAUSE_MIN, self.failures, PAUSE_MAX);
        self.failures += 1;
        Next::At(now + jittered(pause, draw))
    }

    /// A child is ready: what kept others from beginning is over. That it lives on is another matter.
    pub(crate) fn began(&mut self) {
        self.failed_boots.clear();
        self.parks = 0;
    }
}

/// `first`, doubled so many times, and at most `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

fn jittered(pause: Duration, draw: f64) -> Duration {
    pause.mul_f64(1.0 + JITTER * (2.0 * draw - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: f64 = 0.5;

    fn pause(next: Next, now: Instant) -> Duration {
        match next {
            Next::Now => Duration::ZERO,
            Next::At(at) | Next::Parked(at) => at - now,
        }
    }

    #[test]
    fn pauses_double_until_a_child_is_steady() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let failed = |up| Outcome::Failed { up: Duration::from_secs(up) };
        let mut pauses = (0..11).map(|_| pause(backoff.after(failed(1), now, EVEN), now).as_secs_f64());
        for expected in [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0] {
            let pause = pauses.next().unwrap();
            assert!((pause - expected).abs() < 1e-6, "{pause} for {expected}");
        }
        drop(pauses);
        assert_eq!(pause(backoff.after(failed(61), now, EVEN), now), PAUSE_MIN);
        assert_eq!(backoff.after(Outcome::Planned, now, EVEN), Next::Now);
    }

    #[test]
    fn five_failed_boots_in_a_minute_park_a_slot() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for _ in 0..4 {
            assert!(matches!(backoff.after(Outcome::BootFailed, start, EVEN), Next::At(_)));
        }
        assert_eq!(backoff.after(Outcome::BootFailed, start, EVEN), Next::Parked(start + PARK_MIN));
        // Each try then parks it again, for longer, until one begins.
        assert_eq!(backoff.after(Outcome::BootFailed, start, EVEN), Next::Parked(start + 2 * PARK_MIN));
        for _ in 0..10 {
            let next = backoff.after(Outcome::BootFailed, start, EVEN);
            assert!(pause(next, start) <= PARK_MAX);
        }
        backoff.began();
        assert!(matches!(backoff.after(Outcome::BootFailed, start, EVEN), Next::At(_)));
        // Five over several minutes do not.
        let mut backoff = Backoff::default();
        for minute in 0..10 {
            let now = start + minute * BOOTS_WITHIN;
            assert!(matches!(backoff.after(Outcome::BootFailed, now, EVEN), Next::At(_)), "{minute}");
        }
    }

    #[test]
    fn a_minute_has_ten_starts_at_most() {
        for draw in [0.0, EVEN, 1.0] {
            for outcome in [Outcome::BootFailed, Outcome::Failed { up: Duration::ZERO }] {
                let (mut backoff, start) = (Backoff::default(), Instant::now());
                let (mut now, mut starts) = (start, 0);
                while now < start + Duration::from_secs(60) {
                    starts += 1;
                    now += pause(backoff.after(outcome, now, draw), now);
                }
                assert!(starts <= 10, "{starts} for {outcome:?} with {draw}");
            }
        }
    }
}
