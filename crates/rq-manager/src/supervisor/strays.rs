//! [`Strays`]: what dead children leave behind. It becomes the Manager's, and sees SIGTERM, and SIGKILL a moment later.
//!
//! What a living child has put into the background becomes the Manager's, too, and is left alone until that child is gone. Its
//! origin is known by its environment, which goes with it into other groups and sessions, else by its group. What shows
//! neither is left alone until all are gone that it may be of.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::getpgid;
use rq_process::{Pid, Signal};

use crate::child::{Child, MARK_VARIABLE};

/// How long they have. A worker's fork server that outlives its worker needs a little over a second to end its own.
const GRACE: Duration = Duration::from_millis(1400);
/// How often one is killed that does not die: it waits for a disk, maybe, and dies when that has answered.
const KILLS_MAX: u32 = 3;
/// How many dead children are remembered, as the groups of what they have left.
const DEAD_MAX: usize = 1000;

/// Processes whose parents are gone.
#[derive(Debug, Default)]
pub(super) struct Strays {
    ending: HashMap<Pid, Ending>,
    /// What belongs to a living child, and to which; to all of those where that cannot be told.
    left_alone: HashMap<Pid, Vec<Pid>>,
    dead: VecDeque<Pid>,
}

/// One that is to end.
#[derive(Debug)]
struct Ending {
    /// `None` where nothing more can be done.
    kill_at: Option<Instant>,
    kills: u32,
}

impl Strays {
    /// Has those of this process's children end that are none of `children` nor of their making: they are not reaped, so
    /// that the id of each is its own. Those that are new are returned.
    pub(super) fn look<'a>(
        &mut self,
        now: Instant,
        children: impl Iterator<Item = &'a Child> + Clone,
    ) -> Vec<Pid> {
        let mut new = Vec::new();
        let known: HashSet<Pid> = children.clone().map(|child| child.pid).collect();
        for pid in rq_process::children_of(Pid::this()).into_iter().filter(|pid| !known.contains(pid)) {
            let makers = self.makers(pid, children.clone());
            if !makers.is_empty() {
                self.left_alone.insert(pid, makers);
                continue;
            }
            self.left_alone.remove(&pid);
            if let Some(ending) = self.ending.get_mut(&pid) {
                ending.kill_if_due(pid, now);
                continue;
            }
            new.push(pid);
            // Another user's cannot be signaled: it is told of, and stays.
            let may_end = kill(pid, Signal::SIGTERM) != Err(Errno::EPERM);
            self.ending.insert(pid, Ending { kill_at: may_end.then(|| now + GRACE), kills: 0 });
        }
        new
    }

    /// The living children that a process may be of.
    fn makers<'a>(&self, pid: Pid, children: impl Iterator<Item = &'a Child> + Clone) -> Vec<Pid> {
        if let Some(mark) = mark_of(pid) {
            return children.filter(|child| child.mark == mark).map(|child| child.pid).collect();
        }
        let group = getpgid(Some(pid)).ok();
        let is_group = |child: &&Child| Some(child.pid) == group;
        if let Some(child) = children.clone().find(is_group) {
            return vec![child.pid];
        }
        if group.is_some_and(|group| self.dead.contains(&group)) {
            return Vec::new();
        }
        // Those that were there when it was first seen.
        let suspects = self.left_alone.get(&pid);
        let is_suspect = |child: &Child| suspects.is_none_or(|suspects| suspects.contains(&child.pid));
        children.filter(|child| is_suspect(child)).map(|child| child.pid).collect()
    }

    /// What a child has put into the background, as far as that is certain.
    pub(super) fn left_alone(&self, child: &Child) -> impl Iterator<Item = Pid> {
        let is_its = move |makers: &[Pid]| *makers == [child.pid];
        self.left_alone.iter().filter(move |(_, makers)| is_its(makers)).map(|(pid, _)| *pid)
    }

    /// One is reaped, which may be a child.
    pub(super) fn forget(&mut self, pid: Pid, is_child: bool) {
        self.ending.remove(&pid);
        self.left_alone.remove(&pid);
        if is_child {
            self.dead.push_back(pid);
            if self.dead.len() > DEAD_MAX {
                self.dead.pop_front();
            }
        }
    }

    /// Whether there is none that still has to end.
    pub(super) fn is_empty(&self) -> bool {
        self.next().is_none()
    }

    /// When the next one has had its time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ending.values().filter_map(|ending| ending.kill_at).min()
    }
}

impl Ending {
    fn kill_if_due(&mut self, pid: Pid, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            // One that has just ended hears nothing.
            let _ = kill(pid, Signal::SIGKILL);
            self.kills += 1;
            self.kill_at = (self.kills < KILLS_MAX).then(|| now + GRACE);
        }
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
