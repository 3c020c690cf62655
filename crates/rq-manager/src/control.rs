//! [`Control`]: the UNIX socket over which a Manager takes orders, and [`ask`], which sends it one.
//!
//! An order is a line of JSON, so is its answer, and a connection is for one order. Nothing on the Manager's side waits:
//! its loop polls the [descriptors](Control::descriptors), and [takes](Control::take) what has come.
//!
//! | file | holds |
//! |---|---|
//! | `control/address.rs` | how a socket comes to its path, and who is there already |
//! | `control/connection.rs` | one connection, on the Manager's side |
//! | `control/ask.rs` | the other side |

mod address;
mod ask;
mod connection;

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

pub use self::ask::{ControlError, ask};
use self::connection::Connection;
use crate::error::ManagerError;
use crate::order::{Answer, Order};
use crate::owned_path::OwnedPath;

/// How many connections there are at a time; more wait until one of them is over.
const CLIENTS_MAX: usize = 16;
/// The longest order, its line end included.
const ORDER_BYTES_MAX: usize = 64 << 10;
/// How long a connection lasts at most, and how long who asks waits.
const CLIENT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long no connection is accepted after the system has refused one, as for want of descriptors: it would be tried
/// without a pause.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientId(u64);

/// The Manager's end.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    _file: OwnedPath,
    connections: Vec<(ClientId, Connection)>,
    /// How many there have been.
    accepted: u64,
    accepts_again_at: Option<Instant>,
}

impl Control {
    /// Listens at `path`, in a folder that there is or whose parent there is. Only this user and root may ask there.
    pub(crate) fn bind(path: PathBuf) -> Result<Control, ManagerError> {
        let refusal = |reason| ManagerError::Control { path: path.display().to_string(), reason };
        let (listener, file) = address::listen_at(&path).map_err(refusal)?;
        Ok(Control { listener, _file: file, connections: Vec::new(), accepted: 0, accepts_again_at: None })
    }

    /// Closes all, and leaves the socket, as a Manager does that is killed.
    #[cfg(test)]
    fn leave(mut self) {
        self._file.leave();
    }

    /// What to poll. Behind it comes [`take`](Control::take), whichever of them is ready.
    pub(crate) fn descriptors(&self) -> Vec<PollFd<'_>> {
        let accepts = self.accepts_again_at.is_none() && self.connections.len() < CLIENTS_MAX;
        let listener = accepts.then(|| PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        listener.into_iter().chain(self.connections.iter().filter_map(|(_, one)| one.descriptor())).collect()
    }

    /// All that is open.
    pub(crate) fn opened(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.listener.as_fd()).chain(self.connections.iter().map(|(_, one)| one.opened()))
    }

    /// Accepts, reads and writes what it can without waiting; returns the orders that are whole. Each is to be
    /// [answered](Control::answer).
    pub(crate) fn take(&mut self) -> Vec<(ClientId, Order)> {
        self.accept();
        let advanced = self.connections.iter_mut().filter_map(|(id, one)| Some((*id, one.advance()?)));
        let orders = advanced.collect();
        self.connections.retain(|(_, one)| !one.is_over());
        orders
    }

    /// Answers an order. A client that is gone has no effect.
    pub(crate) fn answer(&mut self, client: ClientId, answer: &Answer) {
        if let Some((_, connection)) = self.connections.iter_mut().find(|(id, _)| *id == client) {
            connection.answer(answer);
        }
        self.connections.retain(|(_, one)| !one.is_over());
    }

    /// Closes the connections that have lasted too long.
    pub(crate) fn drop_late(&mut self, now: Instant) {
        self.connections.retain(|(_, one)| !one.is_late(now));
        self.accepts_again_at = self.accepts_again_at.filter(|at| *at > now);
    }

    fn accept(&mut self) {
        if self.accepts_again_at.is_some() {
            return;
        }
        while self.connections.len() < CLIENTS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.accepted += 1;
                    let connection = Connection::new(stream).map(|one| (ClientId(self.accepted), one));
                    self.connections.extend(connection);
                }
                Err(error) => {
                    let passes = matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    );
                    self.accepts_again_at = (!passes).then(|| Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
