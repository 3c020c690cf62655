//! [`Order`]: what a Manager is asked from outside.

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// What a Manager is asked from outside, over its control socket or by a [`Handle`](crate::Handle).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// To say how it is.
    Status,
    /// To leave: warm, as by SIGTERM; `now`, as by a second one.
    Stop {
        /// Whether runs in hand are not waited for.
        now: bool,
    },
    /// To replace the children of these kinds, slot after slot; of all where none is named.
    Restart {
        /// The kinds.
        kinds: Vec<String>,
    },
    /// To have another number of slots of a kind.
    Scale {
        /// The kind.
        kind: String,
        /// How many.
        count: usize,
    },
    /// To read its configuration again, as by SIGHUP.
    Reload,
}

/// What a Manager answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How it is, once the order is under way.
    Status(Box<Status>),
    /// Why it cannot do that.
    Refused(String),
}
