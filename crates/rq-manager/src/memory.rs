//! [`MemoryWatch`]: what a child holds in memory, judged by the limits of its kind.

use crate::cause::{Cause, megabytes};
use crate::kind::Limits;

/// At how many looks in a row a child holds more than its soft limit before that counts: what a run needs for a moment is no
/// growth.
const SOFT_LOOKS: u32 = 3;

/// What a child holds, with all it has started.
#[derive(Debug, Default)]
pub(crate) struct MemoryWatch {
    pub(crate) held_bytes: Option<u64>,
    over_soft: u32,
}

impl MemoryWatch {
    /// Notes what it holds; why it has to end, if it has to.
    pub(crate) fn note(&mut self, held_bytes: u64, limits: &Limits) -> Option<Cause> {
        self.held_bytes = Some(held_bytes);
        if let Some(limit_bytes) = bytes(limits.hard_memory_limit)
            && held_bytes > limit_bytes
        {
            return Some(Cause::HardMemoryLimit { held_bytes, limit_bytes });
        }
        let limit_bytes = bytes(limits.soft_memory_limit)?;
        self.over_soft = if held_bytes > limit_bytes { self.over_soft + 1 } else { 0 };
        (self.over_soft >= SOFT_LOOKS).then_some(Cause::SoftMemoryLimit { held_bytes, limit_bytes })
    }
}

/// What a look may find before it has to be exact: the lower limit.
pub(crate) fn lowest_limit_bytes(limits: &Limits) -> Option<u64> {
    bytes(limits.soft_memory_limit.into_iter().chain(limits.hard_memory_limit).min())
}

/// Why limits cannot work for a child that holds so much before its first run.
pub(crate) fn refusal(limits: &Limits, baseline_bytes: u64) -> Option<String> {
    let both = [("soft", limits.soft_memory_limit), ("hard", limits.hard_memory_limit)];
    let (word, limit) = both.into_iter().find_map(|(word, limit)| {
        bytes(limit).filter(|bytes| *bytes <= baseline_bytes).zip(limit).map(|(_, limit)| (word, limit))
    })?;
    Some(format!(
        "the {word} memory limit of {limit} MB is no more than the {} that a child holds before it has done anything; raise it",
        megabytes(baseline_bytes)
    ))
}

fn bytes(megabytes: Option<u64>) -> Option<u64> {
    megabytes.map(|megabytes| megabytes.saturating_mul(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn limits(soft: Option<u64>, hard: Option<u64>) -> Limits {
        Limits {
            max_requests: None,
            soft_memory_limit: soft,
            hard_memory_limit: hard,
            timeout: None,
            silence: None,
        }
    }

    #[test]
    fn a_soft_limit_counts_when_it_lasts_and_a_hard_one_at_once() {
        let limits = limits(Some(10), Some(20));
        let mut watch = MemoryWatch::default();
        let soft = Cause::SoftMemoryLimit { held_bytes: 11 * MB, limit_bytes: 10 * MB };
        let looks = [11, 11, 10, 11, 11, 11].map(|held| watch.note(held * MB, &limits));
        assert_eq!(looks, [None, None, None, None, None, Some(soft)]);
        let hard = Cause::HardMemoryLimit { held_bytes: 21 * MB, limit_bytes: 20 * MB };
        assert_eq!(MemoryWatch::default().note(21 * MB, &limits), Some(hard));
        assert_eq!(lowest_limit_bytes(&limits), Some(10 * MB));
    }

    #[test]
    fn a_limit_below_what_a_child_holds_at_rest_is_refused_with_the_figure() {
        assert_eq!(refusal(&limits(Some(10), Some(20)), 9 * MB), None);
        assert_eq!(refusal(&limits(None, None), u64::MAX), None);
        let reason = refusal(&limits(Some(10), Some(20)), 10 * MB + MB / 2).unwrap();
        assert!(reason.contains("soft memory limit of 10 MB") && reason.contains("10.5 MB"), "{reason}");
        let reason = refusal(&limits(None, Some(2)), 3 * MB).unwrap();
        assert!(reason.contains("hard memory limit of 2 MB") && reason.contains("3 MB"), "{reason}");
    }
}
