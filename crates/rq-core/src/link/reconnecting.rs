//! [`Reconnecting`]: when the next attempt to connect may be made.

use std::time::{Duration, Instant};

use super::backoff::Backoff;

/// How many attempts follow one another before callers are told that there is no connection.
const ATTEMPTS_AT_ONCE: u32 = 3;
/// The first pause between two attempts.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two attempts: whoever waits for Redis goes on within five seconds.
const PAUSE_LONGEST: Duration = Duration::from_secs(3);

/// The attempts to connect since there was a connection that served.
pub(super) struct Reconnecting {
    failed: u32,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Reconnecting {
    pub(super) fn new() -> Reconnecting {
        Reconnecting { failed: 0, backoff: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST), not_before: None }
    }

    /// Before when no attempt is to be made.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Notes an attempt, begun at `began`, that failed. Whether the caller should try again now, and not be told.
    pub(super) fn failed(&mut self, began: Instant) -> bool {
        self.failed = self.failed.saturating_add(1);
        // From its beginning: an attempt that took long was a pause itself.
        self.not_before = Some(began + self.backoff.pause());
        self.failed < ATTEMPTS_AT_ONCE
    }

    /// Notes that a connection has served.
    pub(super) fn succeeded(&mut self) {
        *self = Reconnecting::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_bridged_and_a_long_outage_is_told_at_each_attempt() {
        let mut reconnecting = Reconnecting::new();
        assert_eq!(reconnecting.not_before(), None, "the first attempt comes at once");
        let began = Instant::now();
        let again: Vec<bool> = (0..9).map(|_| reconnecting.failed(began)).collect();
        assert_eq!(again[..4], [true, true, false, false]);
        let pause = reconnecting.not_before().unwrap() - began;
        assert!(pause >= PAUSE_LONGEST / 2 && pause <= PAUSE_LONGEST, "{pause:?}");
        reconnecting.succeeded();
        assert_eq!(reconnecting.not_before(), None);
    }
}
