//! When a letter is sent again: pure functions of how often it has been.

use std::time::Duration;

use rq_core::{Retry, hours, minutes, secs};

/// The most attempts to send one letter; the last is made about 1 hour and 13 minutes after the first.
pub const WEBHOOK_ATTEMPTS_MAX: u32 = 1 + PAUSES.len() as u32;
/// The pauses between attempts.
const PAUSES: [Duration; 5] = [secs(10), secs(30), minutes(2), minutes(10), hours(1)];
/// The part of a pause that is left to chance, so that letters which failed together do not come back together.
const CHANCE: f64 = 0.25;

/// How long to wait after attempt number `attempt`, the first being 1, has failed; `None` where it was the last one.
///
/// 10 s, 30 s, 2 min, 10 min and 1 h, each shortened by up to a quarter, by chance.
pub(crate) fn pause_after(attempt: u32) -> Option<Duration> {
    let index = usize::try_from(attempt.max(1) - 1).ok()?;
    let pause = *PAUSES.get(index)?;
    let drawn_s = Retry::up_to(1).every(pause).jitter(CHANCE).intervals().first().copied();
    drawn_s.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_then_end() {
        let expected = [10, 30, 120, 600, 3600];
        for (attempt, longest_s) in (1..).zip(expected) {
            for _ in 0..20 {
                let pause = pause_after(attempt).unwrap();
                let longest = secs(longest_s);
                assert!(pause <= longest && pause >= longest.mul_f64(0.75), "{attempt}: {pause:?}");
            }
        }
        assert_eq!(pause_after(WEBHOOK_ATTEMPTS_MAX), None);
        assert_eq!(pause_after(u32::MAX), None);
    }

    #[test]
    fn letters_that_failed_together_come_back_apart() {
        let drawn: std::collections::HashSet<_> = (0..50).map(|_| pause_after(5)).collect();
        assert!(drawn.len() > 10, "{drawn:?}");
    }
}
