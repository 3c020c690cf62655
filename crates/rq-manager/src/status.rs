//! [`Status`]: how a Manager is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// How a Manager is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its title.
    pub title: String,
    /// The process that signals go to.
    pub pid: i32,
    /// How long it has been running.
    pub up_s: f64,
    /// How many seconds it gives its children when it leaves; as many as they take where there is none.
    pub wait_time_s: Option<f64>,
    /// Whether it is on its way out.
    pub is_stopping: bool,
    /// Why its last reload has failed, if it has.
    pub reload_failed: Option<String>,
    /// Its kinds, in their order.
    pub kinds: Vec<KindStatus>,
}

/// How one kind is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindStatus {
    /// Its name.
    pub name: String,
    /// How many slots it is to have.
    pub count: usize,
    /// Its slots, those that are to go included.
    pub slots: Vec<SlotStatus>,
}

/// How one slot is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Its name.
    pub name: String,
    /// `running`, `starting`, `waiting` (for its next start), `parked`, `refused` or `leaving`.
    pub state: String,
    /// Why it is parked or refused, or waits.
    pub reason: Option<String>,
    /// When it is tried again, where it waits or is parked.
    pub again_in_s: Option<f64>,
    /// Its children: the one that serves first, then one that begins, then those that leave.
    pub children: Vec<ChildStatus>,
    /// How many children were started.
    pub starts: u64,
    /// How many have ended, by the [word](Cause::word) of their cause.
    pub ends: BTreeMap<String, u64>,
    /// Why the last one has ended.
    pub last_end: Option<Cause>,
}

/// How one child is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildStatus {
    /// Its own name.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// `starting`, `running` or `leaving`.
    pub state: String,
    /// How long it has been running.
    pub up_s: f64,
    /// How many requests it has done.
    pub requests: u64,
    /// What it and all it has started held in memory at the last look, where that is looked at.
    pub held_bytes: Option<u64>,
    /// What an executed child says of itself.
    pub says: Option<String>,
    /// Why it leaves.
    pub cause: Option<Cause>,
}
