//! [`ManagerError`]: why a Manager could not start, or had to leave.

use std::io;

/// Any error of a [`Process`](crate::Process).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a Manager could not start, or had to leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// It was given nothing to supervise.
    #[error("there is nothing to supervise: a Manager needs one kind of processes at least")]
    NoKinds,
    /// Two kinds are called the same.
    #[error("two kinds are called '{0}': give each a name of its own")]
    NameTaken(String),
    /// What a kind was told makes no sense.
    #[error("{kind}: {reason}")]
    Invalid {
        /// The kind.
        kind: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// No slot of any kind could be kept filled at the start.
    #[error("none of the processes can be started: {0}")]
    NothingStarts(String),
    /// The control socket cannot be had.
    #[error("the control socket {path} cannot be opened: {reason}")]
    Control {
        /// Where it was to be.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The system refused something that a supervisor cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What cannot be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl ManagerError {
    /// For `map_err`: what cannot be done.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> ManagerError {
        move |source| ManagerError::System { what, source }
    }
}
