//! [`Connection`]: one client of a Manager, from its order to its answer.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;

use super::{CLIENT_TIME_MAX, ORDER_BYTES_MAX};
use crate::order::{Answer, Order};

/// How much is read at once.
const PIECE_BYTES: usize = 4096;

/// One client of a Manager. Nothing that it does waits.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    late_at: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The beginning of an order has come.
    Asking(Vec<u8>),
    /// The Manager has the order.
    Waiting,
    /// This much of the answer was taken.
    Answering { answer: Vec<u8>, taken: usize },
    /// The client has its answer, or is gone.
    Over,
}

impl Connection {
    /// Fails for a client that may not ask.
    pub(super) fn new(stream: UnixStream) -> io::Result<Connection> {
        let peer = getsockopt(&stream, PeerCredentials)?.uid();
        if !may_ask(peer, geteuid().as_raw()) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        stream.set_nonblocking(true)?;
        let late_at = Instant::now() + CLIENT_TIME_MAX;
        Ok(Connection { stream, late_at, state: State::Asking(Vec::new()) })
    }

    /// Its socket.
    pub(super) fn opened(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What to poll, where something of the client's is waited for.
    pub(super) fn descriptor(&self) -> Option<PollFd<'_>> {
        let events = match self.state {
            State::Asking(_) => PollFlags::POLLIN,
            State::Answering { .. } => PollFlags::POLLOUT,
            State::Waiting | State::Over => return None,
        };
        Some(PollFd::new(self.stream.as_fd(), events))
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.late_at <= now
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Reads what has come, or writes what there is room for. The order, once it is whole.
    pub(super) fn advance(&mut self) -> Option<Order> {
        let order = match &mut self.state {
            State::Asking(received) => receive(&mut self.stream, received),
            _ => {
                self.write();
                return None;
            }
        };
        match order {
            Ok(None) => None,
            Ok(Some(order)) => {
                self.state = State::Waiting;
                Some(order)
            }
            Err(reason) => {
                self.answer(&Answer::Refused(reason));
                None
            }
        }
    }

    /// Begins to write the answer.
    pub(super) fn answer(&mut self, answer: &Answer) {
        self.state = match serde_json::to_vec(answer) {
            Ok(mut answer) => {
                answer.push(b'\n');
                State::Answering { answer, taken: 0 }
            }
            Err(_) => State::Over,
        };
        self.write();
    }

    /// Writes what there is room for.
    fn write(&mut self) {
        let State::Answering { answer, taken } = &mut self.state else { return };
        while *taken < answer.len() {
            match self.stream.write(&answer[*taken..]) {
                Ok(count @ 1..) => *taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => break,
            }
        }
        self.state = State::Over;
    }
}

/// Reads what has come of an order: `None` as long as it is not whole. The reason why it never will be one is a sentence.
fn receive(stream: &mut UnixStream, received: &mut Vec<u8>) -> Result<Option<Order>, String> {
    let mut piece = [0; PIECE_BYTES];
    loop {
        let count = match stream.read(&mut piece) {
            Ok(0) => return Err("the order has no line end".to_owned()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        received.extend_from_slice(&piece[..count]);
        let end = received.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(received.len()) >= ORDER_BYTES_MAX {
            return Err(format!("an order has {ORDER_BYTES_MAX} bytes at most"));
        }
        if let Some(end) = end {
            let order = serde_json::from_slice(&received[..end]);
            return order.map(Some).map_err(|error| format!("that is no order: {error}"));
        }
    }
}

/// Whether a process of `peer` may give orders to one of `own`: the same user, or root.
fn may_ask(peer: u32, own: u32) -> bool {
    const ROOT: u32 = 0;
    peer == own || peer == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask() {
        assert!(may_ask(1000, 1000));
        assert!(may_ask(0, 1000));
        assert!(!may_ask(1001, 1000));
        assert!(!may_ask(1000, 0));
    }
}
