//! [`end_descendants`]: that nothing is left of a tree of processes.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::memory::family;

/// How far apart descendants are looked at that are to end.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Ends all descendants of this process, which [adopts orphans](crate::adopt_orphans), whatever group or session they are in,
/// and reaps them: each is sent SIGTERM, and SIGKILL when `grace` is over. Returns when there are none, or `limit` is over,
/// which is to be longer.
///
/// It takes all children, also those that something else in this process waits for.
pub fn end_descendants(grace: Duration, limit: Duration) {
    let began = Instant::now();
    let mut told = HashSet::new();
    // Again and again: what is killed leaves its children to this process, and one that lives may fork meanwhile.
    while !reap_all() && began.elapsed() < limit {
        let is_over = began.elapsed() >= grace;
        for pid in family(Pid::this()).into_iter().skip(1) {
            // One that is no child of this process may be reaped between the look and the signal. The system gives its id to
            // another when all others were given, which takes longer.
            if is_over {
                let _ = kill(pid, Signal::SIGKILL);
            } else if told.insert(pid) {
                let _ = kill(pid, Signal::SIGTERM);
            }
        }
        sleep(LOOK_PAUSE);
    }
}

/// Reaps the children that have ended. Whether there are none any more.
fn reap_all() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
}
