//! [`Slot`]: where one child after the other runs.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rq_process::{Exit, Pid};

use crate::backoff::{Backoff, Next, Outcome};
use crate::cause::Cause;
use crate::child::Child;
use crate::kind::Kind;
use crate::memory::refusal;
use crate::slot_name::SlotName;

/// How many children of a slot may be on their way out while another serves: with more, a slot whose children do little and
/// take long about it would be several.
const LEAVING_MAX: usize = 1;
/// A child that has to go sooner is not what it was to be: its successor waits, as behind one that has failed.
const SOON: Duration = Duration::from_secs(10);

/// Where one child after the other runs: one that serves, maybe one that begins, and those that leave.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: SlotName,
    pub(crate) kind: Rc<Kind>,
    /// Whether the kind still has so many slots.
    pub(crate) is_wanted: bool,
    pub(crate) renewal: Renewal,
    pub(crate) rest: Rest,
    pub(crate) serving: Option<Child>,
    pub(crate) coming: Option<Child>,
    pub(crate) leaving: Vec<Child>,
    pub(crate) starts: u64,
    pub(crate) ends: BTreeMap<&'static str, u64>,
    pub(crate) last_end: Option<Cause>,
    backoff: Backoff,
}

/// Whether the child that serves is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    None,
    Wanted,
    UnderWay,
}

/// Why no child begins in a slot that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    None,
    /// Its last child has failed.
    Waiting {
        until: Instant,
    },
    /// Its children fail to begin.
    Parked {
        until: Instant,
        reason: String,
    },
    /// What it was told cannot work.
    Refused {
        reason: String,
    },
}

/// A child that is gone.
pub(crate) struct Gone {
    pub(crate) child: Child,
    pub(crate) cause: Cause,
    /// Whether it was told before that it was to leave.
    pub(crate) is_told: bool,
}

impl Slot {
    pub(crate) fn new(name: SlotName, kind: Rc<Kind>) -> Slot {
        Slot {
            name,
            kind,
            is_wanted: true,
            renewal: Renewal::None,
            rest: Rest::None,
            serving: None,
            coming: None,
            leaving: Vec::new(),
            starts: 0,
            ends: BTreeMap::new(),
            last_end: None,
            backoff: Backoff::default(),
        }
    }

    /// The children: the one that serves first, then one that begins, then those that leave.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Child> + Clone {
        self.serving.iter().chain(&self.coming).chain(&self.leaving)
    }

    pub(crate) fn children_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        self.serving.iter_mut().chain(&mut self.coming).chain(&mut self.leaving)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.children().next().is_none()
    }

    /// Whether a child is to be started now.
    pub(crate) fn wants_child(&self, now: Instant) -> bool {
        if !self.is_wanted || self.coming.is_some() || !self.is_rested(now) {
            return false;
        }
        match (&self.serving, self.kind.start.overlaps()) {
            (Some(_), overlaps) => overlaps && self.renewal == Renewal::UnderWay && self.has_room(),
            (None, true) => self.has_room(),
            (None, false) => self.leaving.is_empty(),
        }
    }

    fn has_room(&self) -> bool {
        self.leaving.len() <= LEAVING_MAX
    }

    fn is_rested(&self, now: Instant) -> bool {
        match &self.rest {
            Rest::None => true,
            Rest::Waiting { until } | Rest::Parked { until, .. } => *until <= now,
            Rest::Refused { .. } => false,
        }
    }

    /// A child begins.
    pub(crate) fn begin(&mut self, child: Child) {
        self.starts += 1;
        self.rest = Rest::None;
        self.coming = Some(child);
    }

    /// Has the slot try again at once, whatever has gone wrong there.
    pub(crate) fn forgive(&mut self) {
        self.rest = Rest::None;
        self.backoff = Backoff::default();
    }

    /// Begins to replace the child that serves, if that is wanted.
    pub(crate) fn renew(&mut self, now: Instant) {
        if self.renewal != Renewal::Wanted {
            return;
        }
        self.renewal = Renewal::UnderWay;
        if let Some(coming) = &mut self.coming {
            // It began as what is to be replaced.
            coming.ask(Cause::Renewed, None, now);
        }
        if !self.kind.start.overlaps() {
            match &mut self.serving {
                Some(serving) => serving.ask(Cause::Renewed, None, now),
                None => self.renewal = Renewal::None,
            }
        }
    }

    /// Has the child that begins leave where what it was told cannot work; `true` where that is so. The slot stays without
    /// another, and the one that serves goes on.
    pub(crate) fn refuse(&mut self, now: Instant) -> bool {
        let is_ready = |coming: &&mut Child| coming.is_ready && coming.ending.is_none();
        let Some(coming) = self.coming.as_mut().filter(is_ready) else { return false };
        let held_bytes = coming.baseline_bytes();
        let Some(reason) = held_bytes.and_then(|held| refusal(&coming.limits, held)) else { return false };
        coming.ask(Cause::BootFailed { reason: reason.clone() }, None, now);
        self.rest = Rest::Refused { reason };
        true
    }

    /// Lets a child serve that has become ready; it is returned. The one before it leaves.
    pub(crate) fn promote(&mut self, now: Instant) -> Option<&Child> {
        let may_serve = self.coming.as_ref().is_some_and(|coming| {
            coming.is_ready
                && coming.ending.is_none()
                && self.serving.as_ref().is_none_or(|former| coming.displaces(former))
        });
        let coming = if may_serve { self.coming.take()? } else { return None };
        self.backoff.began();
        if self.renewal == Renewal::UnderWay {
            self.renewal = Renewal::None;
        }
        if let Some(mut former) = self.serving.replace(coming) {
            former.ask(Cause::Renewed, None, now);
            self.leaving.push(former);
        }
        self.serving.as_ref()
    }

    /// Sorts those that have begun to leave from the others, and decides about their successors where these need not wait
    /// until they are gone. Those of which it is news, and why.
    pub(crate) fn sort(&mut self, now: Instant, draw: fn() -> f64) -> Vec<(Pid, Cause)> {
        let leaves = |child: &mut Child| child.ending.is_some();
        self.leaving.extend(self.serving.take_if(leaves));
        self.leaving.extend(self.coming.take_if(leaves));
        let mut news = Vec::new();
        for child in self.leaving.iter_mut().filter(|child| !child.ending_is_told) {
            child.ending_is_told = true;
            let cause = child.ending.as_ref().map(|ending| ending.cause.clone());
            news.extend(cause.map(|cause| (child.pid, outcome(child, &cause, now), cause)));
        }
        if self.kind.start.overlaps() {
            news.iter().for_each(|(_, outcome, cause)| self.decide(*outcome, cause, now, draw));
        }
        news.into_iter().map(|(pid, _, cause)| (pid, cause)).collect()
    }

    /// A child is gone: why, and what becomes of the slot.
    pub(crate) fn lose(
        &mut self,
        pid: Pid,
        exit: Exit,
        of_memory: bool,
        now: Instant,
        draw: fn() -> f64,
    ) -> Option<Gone> {
        let has_pid = |child: &mut Child| child.pid == pid;
        let mut child =
            self.serving.take_if(has_pid).or_else(|| self.coming.take_if(has_pid)).or_else(|| {
                let at = self.leaving.iter_mut().position(has_pid)?;
                Some(self.leaving.remove(at))
            })?;
        // It may have become ready since it was looked at.
        child.look_ready(now);
        let is_told = child.ending_is_told;
        let told = child.ending.as_ref().map(|ending| ending.cause.clone());
        let cause = told.unwrap_or_else(|| child.cause_of(exit, of_memory));
        // Of one that was told to leave it is decided by now, where its successor need not wait.
        if !is_told || !self.kind.start.overlaps() {
            self.decide(outcome(&child, &cause, now), &cause, now, draw);
        }
        self.count_end(cause.clone());
        Some(Gone { child, cause, is_told })
    }

    /// A child could not even be started.
    pub(crate) fn fail_start(&mut self, reason: String, now: Instant, draw: fn() -> f64) {
        self.starts += 1;
        let cause = Cause::BootFailed { reason };
        self.decide(Outcome::BootFailed, &cause, now, draw);
        self.count_end(cause);
    }

    fn count_end(&mut self, cause: Cause) {
        *self.ends.entry(cause.word()).or_default() += 1;
        self.last_end = Some(cause);
    }

    /// Decides when the next child may begin.
    fn decide(&mut self, outcome: Outcome, cause: &Cause, now: Instant, draw: fn() -> f64) {
        if matches!(self.rest, Rest::Refused { .. }) {
            return;
        }
        self.rest = match self.backoff.after(outcome, now, draw()) {
            Next::Now => Rest::None,
            Next::At(until) => Rest::Waiting { until },
            Next::Parked(until) => Rest::Parked { until, reason: cause.to_string() },
        };
    }

    /// When something is to be done here, though nothing happens.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let rest = match &self.rest {
            Rest::Waiting { until } | Rest::Parked { until, .. } if self.is_wanted && *until > now => {
                Some(*until)
            }
            _ => None,
        };
        let endings = self.children().filter_map(|child| child.ending.as_ref()?.next());
        let hangs = self.serving.iter().filter_map(|child| child.hangs_at(now));
        let ready = self.coming.iter().filter_map(Child::ready_at);
        rest.into_iter().chain(endings).chain(hangs).chain(ready).min()
    }
}

/// How a child has ended, as far as its successor is concerned.
fn outcome(child: &Child, cause: &Cause, now: Instant) -> Outcome {
    match cause {
        Cause::BootFailed { .. } => Outcome::BootFailed,
        // Whether it was ready or not: it was not to go on.
        Cause::Renewed | Cause::Removed | Cause::Stopped => Outcome::Planned,
        Cause::MaxRequests { .. } => Outcome::Planned,
        cause if cause.is_planned() && child.is_ready && now.duration_since(child.began) >= SOON => {
            Outcome::Planned
        }
        _ => Outcome::Failed { up: now.duration_since(child.began) },
    }
}

/// How long until a moment, for people.
pub(crate) fn until_s(at: Instant, now: Instant) -> f64 {
    at.saturating_duration_since(now).as_secs_f64()
}
