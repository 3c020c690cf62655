//! How the Manager is, for those who ask.

use std::time::Instant;

use super::Supervisor;
use crate::child::Child;
use crate::slot::{Rest, Slot, until_s};
use crate::status::{ChildStatus, KindStatus, SlotStatus, Status};

impl Supervisor {
    pub(super) fn status(&self) -> Status {
        let now = Instant::now();
        let kinds = self.kinds.iter().map(|kind| KindStatus {
            name: kind.name.clone(),
            count: self.count(&kind.name),
            slots: self
                .slots
                .iter()
                .filter(|slot| slot.name.kind == kind.name)
                .map(|slot| slot.status(now))
                .collect(),
        });
        // Those of kinds that are no more, until their last child has left.
        let mut kinds: Vec<KindStatus> = kinds.collect();
        for slot in
            self.slots.iter().filter(|slot| !self.kinds.iter().any(|kind| kind.name == slot.name.kind))
        {
            let name = &slot.name.kind;
            let at = kinds.iter().position(|kind| kind.name == *name).unwrap_or_else(|| {
                kinds.push(KindStatus { name: name.clone(), count: 0, slots: Vec::new() });
                kinds.len() - 1
            });
            kinds[at].slots.push(slot.status(now));
        }
        Status {
            title: self.rules.title.clone(),
            pid: self.keeper.as_raw(),
            up_s: self.began.elapsed().as_secs_f64(),
            wait_time_s: self.rules.wait_time.map(|wait| wait.as_secs_f64()),
            is_stopping: self.stopping.is_some(),
            reload_failed: self.reload_failed.clone(),
            kinds,
        }
    }
}

impl Slot {
    fn status(&self, now: Instant) -> SlotStatus {
        let (reason, again_in_s) = match &self.rest {
            Rest::None => (None, None),
            Rest::Waiting { until } => {
                (self.last_end.as_ref().map(ToString::to_string), Some(until_s(*until, now)))
            }
            Rest::Parked { until, reason } => (Some(reason.clone()), Some(until_s(*until, now))),
            Rest::Refused { reason } => (Some(reason.clone()), None),
        };
        SlotStatus {
            name: self.name.to_string(),
            state: self.state().to_owned(),
            reason,
            again_in_s,
            children: self.children().map(|child| child.status(now)).collect(),
            starts: self.starts,
            ends: self.ends.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
            last_end: self.last_end.clone(),
        }
    }

    fn state(&self) -> &'static str {
        match &self.rest {
            _ if self.serving.is_some() => "running",
            _ if self.coming.is_some() => "starting",
            Rest::Parked { .. } => "parked",
            Rest::Refused { .. } => "refused",
            Rest::Waiting { .. } => "waiting",
            Rest::None => "leaving",
        }
    }
}

impl Child {
    fn status(&self, now: Instant) -> ChildStatus {
        let state = match (&self.ending, self.is_ready) {
            (Some(_), _) => "leaving",
            (None, true) => "running",
            (None, false) => "starting",
        };
        ChildStatus {
            name: self.name.clone(),
            pid: self.pid.as_raw(),
            state: state.to_owned(),
            up_s: now.duration_since(self.began).as_secs_f64(),
            requests: self.requests(),
            held_bytes: self.memory.held_bytes,
            says: self.says().map(str::to_owned),
            cause: self.ending.as_ref().map(|ending| ending.cause.clone()),
        }
    }
}
