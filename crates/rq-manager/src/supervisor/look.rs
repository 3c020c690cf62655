//! [`Looks`]: looking at what children hold and how long they run.

use std::time::{Duration, Instant};

use rq_process::memory::{family, held_bytes, resident_bytes};

use super::Supervisor;
use crate::child::Child;
use crate::event::ManagerEvent;
use crate::memory::{lowest_limit_bytes, refusal};
use crate::slot::{Rest, Slot};

/// Looking at memory takes no more than one in so many parts of the Manager's time.
const MEMORY_SHARE: u32 = 250;
/// A look that is later than this was held up by the host, or the Manager was stopped: what children have not told meanwhile
/// proves nothing.
const LATE_AFTER: Duration = Duration::from_secs(5);

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
        let is_due = self.looks.next <= now;
        if is_due {
            let is_late = now.duration_since(self.looks.next) > LATE_AFTER;
            self.looks.next = now + self.looks.check_point;
            if is_late {
                self.slots
                    .iter_mut()
                    .flat_map(|slot| slot.children_mut())
                    .for_each(|child| child.excuse(now));
            }
        }
        if is_due || self.looks.strays_wanted || self.strays.next().is_some_and(|at| at <= now) {
            self.looks.strays_wanted = false;
            self.look_at_strays(now);
        }
        self.look_at_runs(now);
        if self.looks.memory_next <= now {
            self.look_at_memory(now);
            let share = now.elapsed() * MEMORY_SHARE;
            self.looks.memory_next = now + self.looks.check_point.max(share);
        }
        self.sources.beat(now, &self.slots);
    }

    fn look_at_strays(&mut self, now: Instant) {
        let children = self.slots.iter().flat_map(Slot::children);
        for pid in self.strays.look(now, children) {
            self.tell(None, ManagerEvent::Stray { pid: pid.as_raw() });
        }
    }

    fn look_at_runs(&mut self, now: Instant) {
        for slot in &mut self.slots {
            for child in slot.children_mut() {
                if let Some(cause) = child.hangs(now) {
                    child.force(cause, now);
                } else if child.is_full() {
                    child.leaves_full();
                }
            }
        }
    }

    fn look_at_memory(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            let mut reason = None;
            for child in slot.children_mut().filter(|child| child.is_judged(now)) {
                let Some(held) = held(child) else { continue };
                if child.memory.held_bytes.is_none() {
                    reason = reason.or(child.baseline_bytes().and_then(|held| refusal(&child.limits, held)));
                }
                if let Some(cause) = child.memory.note(held, &child.limits) {
                    child.exceeds(cause, now);
                }
            }
            if let Some(reason) = reason {
                slot.refuse(reason, now);
                self.tell_rest(at, now);
            }
        }
    }
}

impl Slot {
    /// Leaves the slot empty: what it was told cannot work. A child of before serves on.
    fn refuse(&mut self, reason: String, now: Instant) {
        let cause = || crate::Cause::BootFailed { reason: reason.clone() };
        match (&mut self.coming, &mut self.serving) {
            (Some(coming), _) => coming.ask(cause(), None, now),
            (None, Some(serving)) => serving.ask(cause(), None, now),
            (None, None) => {}
        }
        self.rest = Rest::Refused { reason };
    }
}

/// What a child and all it has started hold, where its kind has limits: exactly only where that may be too much.
fn held(child: &Child) -> Option<u64> {
    let lowest = lowest_limit_bytes(&child.limits)?;
    let family = family(child.pid);
    // What processes share is counted to each of them here: it costs little, and is no less than they hold.
    let at_most: u64 = family.iter().filter_map(|pid| resident_bytes(*pid)).sum();
    Some(if at_most <= lowest { at_most } else { held_bytes(&family) })
}
