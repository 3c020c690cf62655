//! [`Looks`]: looking at what children hold and how long they run.

use std::time::{Duration, Instant};

use rq_process::Pid;
use rq_process::memory::{family, held_bytes, resident_bytes};
use tracing::warn;

use super::Supervisor;
use super::strays::Strays;
use crate::child::Child;
use crate::event::ManagerEvent;
use crate::memory::lowest_limit_bytes;
use crate::notices::Notices;
use crate::slot::Slot;

/// Looking at memory takes no more than one in so many parts of the Manager's time.
const MEMORY_SHARE: u32 = 500;

/// When to look, and at what.
#[derive(Debug)]
pub(super) struct Looks {
    check_point: Duration,
    next: Instant,
    memory_next: Instant,
    strays_wanted: bool,
}

impl Looks {
    pub(super) fn new(check_point: Duration) -> Looks {
        let now = Instant::now();
        Looks { check_point, next: now, memory_next: now, strays_wanted: false }
    }

    /// Has the next turn look for strays: somebody has died.
    pub(super) fn look_for_strays(&mut self) {
        self.strays_wanted = true;
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        if self.strays_wanted { Instant::now() } else { self.next }
    }
}

impl Supervisor {
    /// Looks at the children, if it is time to.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            slot.children_mut().for_each(|child| child.look_ready(now));
        }
        // Whose limits cannot work is found before they are held against it.
        self.sort();
        let is_due = self.looks.next <= now;
        if is_due {
            self.looks.next = now + self.looks.check_point;
            self.look_at_notices();
        }
        if is_due || self.looks.strays_wanted || self.strays.next().is_some_and(|at| at <= now) {
            self.looks.strays_wanted = false;
            self.look_at_strays(now);
        }
        let mut has_looked = self.look_at_runs(now);
        if self.looks.memory_next <= now {
            has_looked = true;
            self.look_at_memory(now);
            let share = now.elapsed() * MEMORY_SHARE;
            self.looks.memory_next = now + self.looks.check_point.max(share);
        }
        // Those that were found to have to leave.
        if has_looked {
            self.sort();
        }
        self.sources.tell_fares(now, &self.slots);
    }

    /// Listens anew where what children tell has no way in any more: somebody has tidied up. Those of before cannot tell
    /// anything, and nothing is expected of them.
    fn look_at_notices(&mut self) {
        if self.sources.notices.is_there() {
            return;
        }
        match Notices::bind() {
            Ok(notices) => {
                self.sources.notices = notices;
                self.slots.iter_mut().flat_map(|slot| slot.children_mut()).for_each(Child::expect_nothing);
                self.rules.log.with(|| {
                    warn!("the socket that children tell how they fare by was removed, and is made anew")
                });
            }
            Err(error) => self.rules.log.with(|| warn!("children cannot be listened to: {error}")),
        }
    }

    fn look_at_strays(&mut self, now: Instant) {
        let children = self.slots.iter().flat_map(Slot::children);
        for pid in self.strays.look(now, children) {
            self.tell(None, ManagerEvent::Stray { pid: pid.as_raw() });
        }
    }

    /// `true` where some have to leave.
    fn look_at_runs(&mut self, now: Instant) -> bool {
        let mut some = false;
        for child in self.slots.iter_mut().flat_map(|slot| slot.children_mut()) {
            if let Some(cause) = child.hangs(now) {
                child.force(cause, now);
                some = true;
            } else if child.is_full() {
                child.leaves_full();
                some = true;
            }
        }
        some
    }

    fn look_at_memory(&mut self, now: Instant) {
        let Supervisor { slots, strays, .. } = self;
        for child in
            slots.iter_mut().flat_map(|slot| slot.children_mut()).filter(|child| child.is_judged(now))
        {
            let Some(held) = held(child, strays) else { continue };
            if let Some(cause) = child.memory.note(held, &child.limits) {
                child.exceeds(cause, now);
            }
        }
    }
}

/// What a child and all it has started hold, where its kind has limits: exactly only where that may be too much.
fn held(child: &Child, strays: &Strays) -> Option<u64> {
    let lowest = lowest_limit_bytes(&child.limits)?;
    // What it has put into the background is no descendant of its any more.
    let roots = [child.pid].into_iter().chain(strays.left_alone(child));
    let family: Vec<Pid> = roots.flat_map(family).collect();
    // What processes share is counted to each of them here: it costs little, and is no less than they hold.
    let at_most: u64 = family.iter().filter_map(|pid| resident_bytes(*pid)).sum();
    Some(if at_most <= lowest { at_most } else { held_bytes(&family) })
}
