//! [`NotifySocket`]: where a process tells its supervisor, systemd or a Manager, how it fares (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where a process tells its supervisor how it fares. What is told never waits.
///
/// `sd_notify::notify` waits for room, knows no abstract names, and asks the environment each time.
#[derive(Debug)]
pub struct NotifySocket {
    supervisor: SocketAddr,
    /// Made with the first message: a process that forks before has nothing that its children should not have. Kept, so
    /// that one which is short of descriptors goes on telling.
    socket: Option<UnixDatagram>,
}

impl NotifySocket {
    /// The variable that names it.
    pub const VARIABLE: &'static str = "NOTIFY_SOCKET";

    /// What the environment names: a path, or behind an `@` an abstract name; none where it is neither.
    pub fn from_environment() -> Option<NotifySocket> {
        NotifySocket::named(&env::var_os(NotifySocket::VARIABLE)?)
    }

    /// The one of this name, as it would stand in the environment.
    pub fn named(name: &OsStr) -> Option<NotifySocket> {
        Some(NotifySocket { supervisor: address(name)?, socket: None })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Where nobody listens, or there is no room for it: [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub fn send(&mut self, message: &str) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let unbound = UnixDatagram::unbound()?;
                unbound.set_nonblocking(true)?;
                none.insert(unbound)
            }
        };
        socket.send_to_addr(message.as_bytes(), &self.supervisor).map(drop)
    }
}

fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_and_abstract_names() {
        let abstract_name = address("@rq/x".as_ref()).unwrap();
        assert_eq!(abstract_name.as_abstract_name(), Some(&b"rq/x"[..]));
        assert_eq!(address("/run/notify".as_ref()).unwrap().as_pathname(), Some("/run/notify".as_ref()));
        for none in ["", "run/notify", "vsock:2:1234", &format!("/{}", "x".repeat(200))] {
            assert!(address(none.as_ref()).is_none(), "{none}");
        }
    }

    #[test]
    fn what_is_told_never_waits() {
        let name = format!("@rq-notify-{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&address(name.as_ref()).unwrap()).unwrap();
        let mut socket = NotifySocket::named(name.as_ref()).unwrap();
        socket.send("READY=1\n").unwrap();
        let error = std::iter::from_fn(|| Some(socket.send("WATCHDOG=1\n"))).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(receiver);
        assert_eq!(socket.send("WATCHDOG=1\n").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
