//! [`Strays`]: the processes that jobs have started, once their horse is gone. Each sees SIGTERM, and SIGKILL a second
//! later.
//!
//! They are the server's children, which alone reaps them: so the id of each is nobody else's, and so is that of its
//! group, as long as it is in it.

use std::time::Instant;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};

use crate::TERM_GRACE;

/// The processes that horses have left behind, and when each has had its time.
#[derive(Default)]
pub(crate) struct Strays {
    endings: Vec<Ending>,
}

/// What was sent SIGTERM.
struct Ending {
    whom: Whom,
    kill_at: Instant,
    /// Whether the last look has found it.
    is_there: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Process(Pid),
    /// All in a group of processes.
    Group(Pid),
}

impl Whom {
    fn signal(self, signal: Signal) {
        // One that is gone meanwhile is what is wanted.
        let _ = match self {
            Whom::Process(pid) => kill(pid, signal),
            Whom::Group(group) => killpg(group, signal),
        };
    }
}

impl Strays {
    /// Notes that a horse has ended which is not reaped yet, and has its group end: by `kill_at`, where the group was sent
    /// SIGTERM before.
    pub(crate) fn end_group(&mut self, horse: Pid, kill_at: Option<Instant>) {
        let whom = Whom::Group(horse);
        let kill_at = kill_at.unwrap_or_else(|| {
            whom.signal(Signal::SIGTERM);
            Instant::now() + TERM_GRACE
        });
        self.endings.push(Ending { whom, kill_at, is_there: false });
    }

    /// Has `strays`, which are all there are now, end: those that are new get SIGTERM, those whose time is over SIGKILL.
    /// `is_others` knows the groups that have members beside strays.
    pub(crate) fn look(&mut self, strays: impl Iterator<Item = Pid>, is_others: impl Fn(Pid) -> bool) {
        let now = Instant::now();
        let terminate = |whom: Whom| {
            whom.signal(Signal::SIGTERM);
            now + TERM_GRACE
        };
        self.endings.iter_mut().for_each(|ending| ending.is_there = false);
        for pid in strays {
            let process = Whom::Process(pid);
            let group = getpgid(Some(pid)).ok().filter(|group| !is_others(*group)).map(Whom::Group);
            let group_at = group.map(|group| self.kill_at(group, || terminate(group)));
            // Noted for each process as well: to change its group gives it no more time.
            let process_at = self.kill_at(process, || group_at.unwrap_or_else(|| terminate(process)));
            let is_over = |(_, kill_at): &(Whom, Instant)| *kill_at <= now;
            let both = group.zip(group_at).into_iter().chain([(process, process_at)]);
            both.filter(is_over).for_each(|(whom, _)| whom.signal(Signal::SIGKILL));
        }
        self.endings.retain(|ending| ending.is_there);
    }

    /// When something that is there has had its time; by `first`, if this is the first look that finds it.
    fn kill_at(&mut self, whom: Whom, first: impl FnOnce() -> Instant) -> Instant {
        if let Some(ending) = self.endings.iter_mut().find(|ending| ending.whom == whom) {
            ending.is_there = true;
            return ending.kill_at;
        }
        let kill_at = first();
        self.endings.push(Ending { whom, kill_at, is_there: true });
        kill_at
    }

    /// Whether the last look has found something of this horse's group.
    pub(crate) fn has_group_of(&self, horse: Pid) -> bool {
        self.endings.iter().any(|ending| ending.whom == Whom::Group(horse))
    }

    /// When to look again, though nothing ends; `None` where nothing is left behind.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.endings.iter().map(|ending| ending.kill_at).min()
    }
}
