//! How many workers a backlog needs.

use std::time::Duration;

/// How long fewer workers must do before one of them goes.
const FEWER_FOR: Duration = Duration::from_secs(60);

/// How the number of an entry's workers follows its backlog.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    /// The fewest workers.
    pub(crate) min: usize,
    /// The most.
    pub(crate) max: usize,
    /// How many waiting jobs are one worker's.
    pub(crate) length: Option<u64>,
    /// How long the oldest job may wait before there is one worker more.
    pub(crate) age: Option<Duration>,
}

/// What waits for an entry's workers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Backlog {
    /// How many jobs, in all its queues.
    pub(crate) length: u64,
    /// How long the first job of a queue has waited: the longest of these times.
    pub(crate) oldest: Option<Duration>,
}

/// How many workers there are to be where there are `count`, and the backlog has needed fewer `fewer_for` so long.
///
/// More at once, as many as are needed; fewer one by one, when that would have done for a minute.
pub(crate) fn decide(scale: &Scale, backlog: Backlog, count: usize, fewer_for: Duration) -> usize {
    let needed = needed(scale, backlog, count);
    match needed >= count {
        true => needed,
        // More than there may be: their number was changed by hand, or in the file.
        false if count > scale.max => scale.max,
        false if fewer_for >= FEWER_FOR => count - 1,
        false => count,
    }
}

/// How many workers do for a backlog, by its length, or one more than there are by its age.
pub(crate) fn needed(scale: &Scale, backlog: Backlog, count: usize) -> usize {
    let by_length = scale.length.map_or(0, |length| backlog.length.div_ceil(length.max(1)));
    let is_old = scale.age.is_some_and(|age| backlog.oldest.is_some_and(|oldest| oldest > age));
    let by_age = if is_old { count.saturating_add(1) } else { 0 };
    usize::try_from(by_length).unwrap_or(usize::MAX).max(by_age).clamp(scale.min, scale.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { min: 1, max: 8, length: Some(100), age: Some(Duration::from_secs(30)) };

    fn decided(length: u64, oldest_s: u64, count: usize, fewer_for_s: u64) -> usize {
        let oldest = (length > 0).then(|| Duration::from_secs(oldest_s));
        decide(&SCALE, Backlog { length, oldest }, count, Duration::from_secs(fewer_for_s))
    }

    #[test]
    fn there_are_more_at_once_and_fewer_one_by_one() {
        for ((length, oldest_s, count, fewer_for_s), expected) in [
            ((0, 0, 1, 0), 1),
            ((100, 0, 1, 0), 1),
            ((101, 0, 1, 0), 2),
            ((750, 0, 1, 0), 8),
            ((1_000_000, 0, 1, 0), 8),
            // Few jobs that wait for long: one more at each look.
            ((3, 30, 2, 0), 2),
            ((3, 31, 2, 0), 3),
            ((3, 31, 8, 0), 8),
            ((501, 31, 2, 0), 6),
            ((150, 0, 6, 59), 6),
            ((150, 0, 6, 60), 5),
            ((150, 0, 6, 3600), 5),
            ((0, 0, 1, 3600), 1),
            // Somebody else has changed the number.
            ((0, 0, 0, 0), 1),
            ((0, 0, 12, 0), 8),
        ] {
            assert_eq!(
                decided(length, oldest_s, count, fewer_for_s),
                expected,
                "{length} {oldest_s} {count}"
            );
        }
    }

    #[test]
    fn length_and_age_may_be_alone() {
        let by_age = Scale { length: None, ..SCALE };
        let by_length = Scale { age: None, ..SCALE };
        let backlog = Backlog { length: 1000, oldest: Some(Duration::from_secs(60)) };
        assert_eq!(needed(&by_age, backlog, 2), 3);
        assert_eq!(needed(&by_length, backlog, 2), 8);
        // No worker at all until there is something to do.
        let from_none = Scale { min: 0, ..by_age };
        assert_eq!(needed(&from_none, Backlog::default(), 0), 0);
        assert_eq!(needed(&from_none, backlog, 0), 1);
    }
}
