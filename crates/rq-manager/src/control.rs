//! [`Control`]: the UNIX socket over which a Manager takes orders, and [`ask`], which sends it one.

use std::path::{Path, PathBuf};

use crate::error::ManagerError;
use crate::order::{Answer, Order};

/// The Manager's end.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    pub(crate) fn bind(path: PathBuf) -> Result<Control, ManagerError> {
        Ok(Control { path })
    }
    pub(crate) fn descriptors(&self) -> Vec<(std::os::fd::BorrowedFd<'_>, nix::poll::PollFlags)> { Vec::new() }
    pub(crate) fn drop_late(&mut self, _: std::time::Instant) {}
    pub(crate) fn take(&mut self) -> Vec<(u32, Order)> { Vec::new() }
    pub(crate) fn answer(&mut self, _: u32, _: &Answer) {}
}

/// Why a Manager could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no Manager listens at {0}")]
    NobodyThere(PathBuf),
    /// It is another user's.
    #[error("the Manager at {0} is another user's: ask it as that user")]
    Forbidden(PathBuf),
    /// It has not answered, or not as a Manager does.
    #[error("the Manager at {path} does not answer: {reason}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Sends an order to the Manager whose control socket is at `path`, and waits up to 5 s for its answer.
pub fn ask(path: &Path, order: &Order) -> Result<Answer, ControlError> {
    let _ = order;
    Err(ControlError::NobodyThere(path.to_owned()))
}
