//! [`Strays`]: what dead children leave behind. It becomes the Manager's, and sees SIGTERM, and SIGKILL a moment later.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use rq_process::{Pid, Signal};

/// How long they have. A worker's fork server that outlives its worker needs a little over a second to end its own.
const GRACE: Duration = Duration::from_millis(1400);

/// Processes whose parents are gone, and when each has had its time.
#[derive(Debug, Default)]
pub(super) struct Strays(HashMap<Pid, Instant>);

impl Strays {
    /// Has those of this process's children end that nobody knows: they are not reaped, so that the id of each is its own.
    /// Those that are new are returned.
    pub(super) fn look(&mut self, now: Instant, is_known: impl Fn(Pid) -> bool) -> Vec<Pid> {
        let mut new = Vec::new();
        for pid in rq_process::children_of(Pid::this()).into_iter().filter(|pid| !is_known(*pid)) {
            let kill_at = *self.0.entry(pid).or_insert_with(|| {
                new.push(pid);
                now + GRACE
            });
            // One that has just ended hears nothing.
            let _ = match (kill_at <= now, new.contains(&pid)) {
                (true, _) => kill(pid, Signal::SIGKILL),
                (false, true) => kill(pid, Signal::SIGTERM),
                (false, false) => Ok(()),
            };
        }
        new
    }

    /// One is reaped.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.0.remove(&pid);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next one has had its time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}
