//! [`Schedule`]: when an entry is due.

use std::time::Duration;

/// When an entry is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At once when it is first seen, and then this long after the tick before.
    Every(Duration),
    /// At the times of an expression, such as `0 3 * * *`.
    At(String),
}
