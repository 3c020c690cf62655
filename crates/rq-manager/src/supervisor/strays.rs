//! [`Strays`]: what dead children leave behind. It becomes the Manager's, and sees SIGTERM, and SIGKILL a moment later.
//!
//! What a living child has put into the background becomes the Manager's, too, and is left alone until that child is gone. Its
//! origin is known by its environment, which goes with it into other groups and sessions, else by its group.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::getpgid;
use rq_process::{Pid, Signal};

use crate::child::{Child, MARK_VARIABLE};

/// How long they have. A worker's fork server that outlives its worker needs a little over a second to end its own.
const GRACE: Duration = Duration::from_millis(1400);

/// Processes whose parents are gone, and when each has had its time.
#[derive(Debug, Default)]
pub(super) struct Strays(HashMap<Pid, Instant>);

impl Strays {
    /// Has those of this process's children end that are none of `children` nor of their making: they are not reaped, so
    /// that the id of each is its own. Those that are new are returned.
    pub(super) fn look<'a>(
        &mut self,
        now: Instant,
        children: impl Iterator<Item = &'a Child> + Clone,
    ) -> Vec<Pid> {
        let mut new = Vec::new();
        let is_known = |pid: &Pid| children.clone().any(|child| child.pid == *pid);
        let unknown = rq_process::children_of(Pid::this()).into_iter().filter(|pid| !is_known(pid));
        for pid in unknown.filter(|pid| !is_made_by_one_of(children.clone(), *pid)) {
            let kill_at = self.0.entry(pid).or_insert_with(|| {
                new.push(pid);
                now + GRACE
            });
            let signal = match (new.contains(&pid), *kill_at <= now) {
                (true, _) => Signal::SIGTERM,
                (false, true) => Signal::SIGKILL,
                (false, false) => continue,
            };
            if signal == Signal::SIGKILL {
                // Again, should it survive that: a process that waits for a disk dies when that has answered.
                *kill_at = now + GRACE;
            }
            // One that has just ended hears nothing.
            let _ = kill(pid, signal);
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

fn is_made_by_one_of<'a>(mut children: impl Iterator<Item = &'a Child>, pid: Pid) -> bool {
    match mark_of(pid) {
        Some(mark) => children.any(|child| child.mark == mark),
        None => getpgid(Some(pid)).is_ok_and(|group| children.any(|child| child.pid == group)),
    }
}

/// The mark that a process was started with. One that was only forked has that of its parent's program.
fn mark_of(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(MARK_VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(mark).into_owned())
}
