//! [`SlotName`]: what a slot is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A slot's name: its kind's and a number from 1 on, shown as `Name-1`. The children of a slot have it one after the
/// other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotName {
    pub(crate) kind: String,
    pub(crate) number: usize,
}

impl SlotName {
    /// The name of the kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The number among the slots of the kind, from 1 on.
    pub fn number(&self) -> usize {
        self.number
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.number)
    }
}
