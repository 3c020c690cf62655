//! [`ManagerEvent`]: what a Manager does, reported to [`Observer`]s as it happens.

use std::time::Duration;

use crate::cause::Cause;
use crate::slot_name::SlotName;

/// What a Manager does. Its log is made of these alone.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ManagerEvent<'a> {
    /// The Manager begins.
    Started {
        /// Its title.
        title: &'a str,
        /// The process that signals go to: the Manager's keeper.
        pid: i32,
        /// How far apart it looks at its children.
        check_point: Duration,
    },
    /// A child was started.
    Created {
        /// Its slot.
        slot: &'a SlotName,
        /// Its process.
        pid: i32,
    },
    /// A child is ready.
    Ready {
        /// Its slot.
        slot: &'a SlotName,
        /// Its process.
        pid: i32,
        /// An executed child's own name; the slot's of a forked one.
        name: &'a str,
    },
    /// A child is to end, or begins to leave.
    Ending {
        /// Its slot.
        slot: &'a SlotName,
        /// Its process.
        pid: i32,
        /// Why.
        cause: &'a Cause,
    },
    /// A child is ended by force: its time to leave is over.
    Forced {
        /// Its slot.
        slot: &'a SlotName,
        /// Its process.
        pid: i32,
    },
    /// A child is gone.
    Ended {
        /// Its slot.
        slot: &'a SlotName,
        /// Its process.
        pid: i32,
        /// An executed child's own name; the slot's of a forked one.
        name: &'a str,
        /// Why it had to end, or has ended.
        cause: &'a Cause,
        /// Whether that was [told](ManagerEvent::Ending) before.
        is_told: bool,
    },
    /// A child could not be started at all: the system refuses it.
    Unstarted {
        /// The slot.
        slot: &'a SlotName,
        /// What is wrong.
        reason: &'a str,
    },
    /// A slot has nobody for a while: its children fail to begin.
    Parked {
        /// The slot.
        slot: &'a SlotName,
        /// What is wrong.
        reason: &'a str,
        /// When it is tried again.
        again_in: Duration,
    },
    /// A slot stays empty until its kind changes: what it was told cannot work.
    Refused {
        /// The slot.
        slot: &'a SlotName,
        /// What is wrong.
        reason: &'a str,
    },
    /// A process was found whose parent, a child or something that it had started, is gone; it is ended.
    Stray {
        /// The process.
        pid: i32,
    },
    /// There are other kinds now, or others of them.
    Reloaded {
        /// The kinds that are new.
        added: &'a [String],
        /// The kinds that say something else than before; their children are replaced where that takes others.
        changed: &'a [String],
        /// The kinds that are no more.
        removed: &'a [String],
    },
    /// What was to be reloaded cannot be; all stays as it was.
    ReloadFailed {
        /// Why.
        reason: &'a str,
    },
    /// A kind has another number of slots.
    Scaled {
        /// The kind.
        kind: &'a str,
        /// How many there were.
        from: usize,
        /// How many there are now.
        to: usize,
    },
    /// The Manager leaves, and has asked its children to.
    Stopping,
    /// No child is left.
    Stopped,
}

/// Is told what a Manager does. Called in the Manager's loop, which waits for it: it must not block.
pub trait Observer {
    /// Is told of one event.
    fn on(&self, event: &ManagerEvent<'_>);
}
