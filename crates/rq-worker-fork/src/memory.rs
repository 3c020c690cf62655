//! [`MemoryLimit`]: what a job and the processes that it has started may hold in memory.

use std::time::{Duration, Instant};

use rq_process::Pid;
use rq_process::memory::{family, held_bytes, resident_bytes};

/// How often the memory of jobs is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a job and the processes that it has started may hold in memory: what is resident, not what is mapped, of which
/// runtimes such as Node's or Java's reserve gigabytes and use little.
///
/// It is sampled. A control group would count exactly, but the worker could make none beside itself: in version 2 a
/// group that has processes has no groups with a limit, and the worker's own is its service manager's.
pub(crate) struct MemoryLimit {
    bytes: u64,
    look_at: Instant,
}

impl MemoryLimit {
    pub(crate) fn new(megabytes: u64) -> MemoryLimit {
        MemoryLimit { bytes: megabytes.saturating_mul(1 << 20), look_at: Instant::now() }
    }

    /// How long until it is time to look.
    pub(crate) fn pause(&self) -> Duration {
        self.look_at.saturating_duration_since(Instant::now())
    }

    /// Whether it is time to look; then it is not for a while.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.look_at <= now;
        if is_due {
            self.look_at = now + LOOK_PAUSE;
        }
        is_due
    }

    /// How many bytes a process and its descendants hold, where that is more than they may.
    pub(crate) fn excess(&self, process: Pid) -> Option<u64> {
        let family = family(process);
        // What processes share is counted to each of them here: it costs little, and is no less than they hold.
        let at_most: u64 = family.iter().filter_map(|pid| resident_bytes(*pid)).sum();
        if at_most <= self.bytes {
            return None;
        }
        // Here to none more than its share, by a look at each of their pages.
        let held = held_bytes(&family);
        (held > self.bytes).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_more_than_it_may_is_told_of() {
        let own = Pid::this();
        assert_eq!(MemoryLimit::new(u64::MAX).excess(own), None);
        assert!(MemoryLimit::new(1).excess(own).is_some());
        assert_eq!(MemoryLimit::new(1).excess(Pid::from_raw(i32::MAX)), None, "one that is gone");
    }

    #[test]
    fn looks_have_pauses() {
        let mut limit = MemoryLimit::new(1);
        assert!(limit.is_due() && !limit.is_due());
        assert!(limit.pause() > Duration::ZERO && limit.pause() <= LOOK_PAUSE);
    }
}
