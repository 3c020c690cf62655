//! Changing what there is: kinds that come, go and change, and how many slots each has.

use std::rc::Rc;
use std::time::Instant;

use super::Supervisor;
use crate::cause::Cause;
use crate::child::Child;
use crate::event::ManagerEvent;
use crate::kind::{COUNT_MAX, Kind};
use crate::manager::check;
use crate::memory::refusal;
use crate::slot::{Renewal, Slot};
use crate::slot_name::SlotName;

/// One slot in so many of a kind is renewed at a time.
const RENEWED_SHARE: usize = 10;

impl Supervisor {
    /// Reads the kinds anew. What has not changed goes on.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let Some(read) = &mut self.rules.reload else {
            return Err("this Manager has no configuration to read".to_owned());
        };
        let read = read().map_err(|error| error.to_string());
        let checked = read.and_then(|kinds| check(&kinds).map(|()| kinds).map_err(|error| error.to_string()));
        let checked = checked.and_then(|kinds| self.check_limits(&kinds).map(|()| kinds));
        match checked {
            Ok(kinds) => {
                self.reload_failed = None;
                let before: Vec<Rc<Kind>> = self.kinds.clone();
                let names = |kinds: &mut dyn Iterator<Item = &Rc<Kind>>| {
                    kinds.map(|kind| kind.name.clone()).collect::<Vec<_>>()
                };
                let changed = self.set_kinds(kinds);
                let is_in =
                    |kinds: &[Rc<Kind>], kind: &Kind| kinds.iter().any(|known| known.name == kind.name);
                let added = names(&mut self.kinds.iter().filter(|kind| !is_in(&before, kind)));
                let removed = names(&mut before.iter().filter(|kind| !is_in(&self.kinds, kind)));
                self.tell(
                    None,
                    ManagerEvent::Reloaded { added: &added, changed: &changed, removed: &removed },
                );
                Ok(())
            }
            Err(reason) => {
                self.tell(None, ManagerEvent::ReloadFailed { reason: &reason });
                self.reload_failed = Some(reason.clone());
                Err(reason)
            }
        }
    }

    /// Refuses limits that are below what children of that kind are known to hold before they have done anything.
    fn check_limits(&self, kinds: &[Kind]) -> Result<(), String> {
        for kind in kinds {
            let slots = self.slots.iter().filter(|slot| slot.name.kind == kind.name);
            let baselines = slots.filter_map(|slot| slot.serving.as_ref()?.baseline_bytes());
            if let Some(reason) = baselines.min().and_then(|held| refusal(&kind.limits, held)) {
                return Err(format!("{}: {reason}", kind.name));
            }
        }
        Ok(())
    }

    /// Has these kinds from now on. The names of those that say something else than before.
    pub(super) fn set_kinds(&mut self, kinds: Vec<Kind>) -> Vec<String> {
        let kinds: Vec<Rc<Kind>> = kinds.into_iter().map(Rc::new).collect();
        let (now, mut changed) = (Instant::now(), Vec::new());
        for kind in &kinds {
            let former = self.kinds.iter().find(|former| former.name == kind.name);
            let mut has_changed = former.is_some_and(|former| former.says_other_than(kind));
            for slot in self.slots.iter_mut().filter(|slot| slot.name.kind == kind.name) {
                has_changed |= slot.take_on(kind, now);
            }
            if has_changed {
                changed.push(kind.name.clone());
            }
            self.fill(kind, kind.count);
        }
        for slot in &mut self.slots {
            if !kinds.iter().any(|kind| kind.name == slot.name.kind) {
                slot.remove(now);
            }
        }
        self.kinds = kinds;
        self.order_slots();
        changed
    }

    /// Has another number of slots of a kind.
    pub(super) fn scale(&mut self, name: &str, count: usize) -> Result<(), String> {
        if count > COUNT_MAX {
            return Err(format!("{count} processes are more than the {COUNT_MAX} a kind may have"));
        }
        let Some(kind) = self.kinds.iter().find(|kind| kind.name == name).cloned() else {
            return Err(self.unknown(name));
        };
        let from = self.count(name);
        if from != count {
            self.fill(&kind, count);
            self.order_slots();
            self.tell(None, ManagerEvent::Scaled { kind: name, from, to: count });
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> String {
        let known = self.kinds.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(", ");
        format!("there is no '{name}' here; there are {known}")
    }

    /// How many slots a kind has.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.slots.iter().filter(|slot| slot.is_wanted && slot.name.kind == kind).count()
    }

    /// Adds slots to a kind, or has those with the highest numbers go, until there are `count`.
    fn fill(&mut self, kind: &Rc<Kind>, count: usize) {
        let now = Instant::now();
        for slot in self.slots.iter_mut().filter(|slot| slot.name.kind == kind.name) {
            // One that was about to go may stay: it is filled again.
            if slot.name.number <= count { slot.is_wanted = true } else { slot.remove(now) }
        }
        for number in 1..=count {
            let name = SlotName { kind: kind.name.clone(), number };
            if !self.slots.iter().any(|slot| slot.name == name) {
                self.slots.push(Slot::new(name, Rc::clone(kind)));
            }
        }
    }

    fn order_slots(&mut self) {
        let place = |slot: &Slot| self.kinds.iter().position(|kind| kind.name == slot.name.kind);
        let mut slots = std::mem::take(&mut self.slots);
        slots.retain(|slot| slot.is_wanted || !slot.is_empty());
        // Those of kinds that are no more stand first, and are soon gone.
        slots.sort_by_key(|slot| (place(slot), slot.name.number));
        self.slots = slots;
    }

    /// Has the children of these kinds replaced, slot after slot; of all where none is named.
    pub(super) fn restart(&mut self, kinds: &[String]) -> Result<(), String> {
        if let Some(unknown) = kinds.iter().find(|name| !self.kinds.iter().any(|kind| kind.name == **name)) {
            return Err(self.unknown(unknown));
        }
        for slot in &mut self.slots {
            if kinds.is_empty() || kinds.contains(&slot.name.kind) {
                slot.renewal = Renewal::Wanted;
                slot.forgive();
            }
        }
        Ok(())
    }

    /// Begins to renew slots, few of a kind at a time: a new child that cannot begin then leaves most of the old ones as
    /// they are.
    pub(super) fn renew_some(&mut self, now: Instant) {
        for kind in &self.kinds {
            let mut slots: Vec<&mut Slot> =
                self.slots.iter_mut().filter(|slot| slot.name.kind == kind.name).collect();
            let under_way = slots.iter().filter(|slot| slot.renewal == Renewal::UnderWay).count();
            let at_once = slots.len().div_ceil(RENEWED_SHARE);
            let wanted = slots.iter_mut().filter(|slot| slot.renewal == Renewal::Wanted);
            wanted.take(at_once.saturating_sub(under_way)).for_each(|slot| slot.renew(now));
        }
    }
}

impl Slot {
    /// Is of this kind from now on; `true` where its child has to be replaced, which may be of an older kind than the last.
    fn take_on(&mut self, kind: &Rc<Kind>, now: Instant) -> bool {
        self.kind = Rc::clone(kind);
        for child in self.children_mut() {
            child.limits.soft_memory_limit = kind.limits.soft_memory_limit;
            child.limits.hard_memory_limit = kind.limits.hard_memory_limit;
        }
        // What was wrong may be right now.
        self.forgive();
        let differs = |child: &Child| child.kind.needs_other_children(kind);
        // One that has not begun is not worth its while.
        let coming = self.coming.as_mut().filter(|coming| differs(coming));
        let gives_up = coming.map(|coming| coming.ask(Cause::Renewed, None, now)).is_some();
        let is_other = self.serving.as_ref().is_some_and(differs);
        self.renewal = if is_other { Renewal::Wanted } else { Renewal::None };
        is_other || gives_up
    }

    /// Is to go, once its children have.
    fn remove(&mut self, now: Instant) {
        self.is_wanted = false;
        self.serving
            .iter_mut()
            .chain(&mut self.coming)
            .for_each(|child| child.ask(Cause::Removed, None, now));
    }
}
