//! [`Reaped`]: how a process has ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a process has ended, and what it had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// By what.
    pub exit: Exit,
    /// The most that was resident of it, or of one of the children that it has reaped.
    pub peak_rss_bytes: u64,
    /// How long it has computed, with the children that it has reaped.
    pub cpu: Duration,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}
