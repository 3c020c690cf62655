//! [`Notices`]: what a worker tells whoever supervises its process, systemd or `rq manager`, in systemd's protocol.
//!
//! | field | says |
//! |---|---|
//! | `READY=1` | the worker is registered and takes jobs |
//! | `WATCHDOG=1` | its loop turns |
//! | `STOPPING=1` | it takes no more jobs, and ends when those that run have ended |
//! | `STATUS=` | what it does, or why it ends, in a line |
//! | `X_RQ_CAUSE=` | why it ends, in a word: `max_requests`, `exhausted`, `idle`, `burst`, `asked` or `failed` |
//! | `X_RQ_REQUESTS=` | how many jobs have ended here so far |
//! | `X_RQ_BASELINE_BYTES=` | what it held in memory, with all it had started, before its first job |

mod notice;

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rq_process::Pid;
use rq_process::memory::{family, held_bytes};

use crate::event::{Observer, WorkerEvent};
use notice::Notice;

/// Where notices go.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// What a worker tells its supervisor, and where to. Clones tell of the same worker.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    supervisor: SocketAddr,
    beat_every: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    notice: Notice,
    /// Made with the first notice: a process that forks before has nothing that its children should not have. Kept, so that
    /// a worker which is short of descriptors goes on beating.
    socket: Option<UnixDatagram>,
    /// Whether a notice was not taken, and that was logged.
    has_failed: bool,
}

impl Notices {
    /// The variables that [`from_environment`](Notices::from_environment) reads. They are for this process alone: take them
    /// out of the environment then, before it starts others.
    pub const VARIABLES: [&str; 3] = [SOCKET_VARIABLE, "WATCHDOG_USEC", "WATCHDOG_PID"];

    /// For the supervisor that the environment names: `NOTIFY_SOCKET` is a path, or behind an `@` an abstract name; none
    /// where it is neither. A beat is told every half of `WATCHDOG_USEC`, unless `WATCHDOG_PID` is another process; without it, none
    /// is.
    pub fn from_environment() -> Option<Notices> {
        let supervisor = address(&env::var_os(SOCKET_VARIABLE)?)?;
        let watchdog = sd_notify::watchdog_enabled().filter(|watchdog| !watchdog.is_zero());
        let beat_every = watchdog.map(|watchdog| watchdog / 2);
        Some(Notices(Arc::new(Inner { supervisor, beat_every, state: Mutex::default() })))
    }

    /// Tells why the worker could not start, unless it has.
    pub fn fail(&self, why: &str) {
        self.tell(false, |notice| notice.on_failed(why));
    }

    /// How often to beat.
    pub(crate) fn beat_every(&self) -> Option<Duration> {
        self.0.beat_every
    }

    /// Tells that the worker's loop turns.
    pub(crate) fn beat(&self) {
        self.tell(true, |_| true);
    }

    /// Counts a job that has ended; the next notice says so.
    pub(crate) fn note_job_ended(&self) {
        self.tell(false, |notice| {
            notice.on_job_ended();
            false
        });
    }

    /// Sends what is known after `change`, where that returns `true`. Never waits: what the supervisor has no room for is
    /// lost, and the next notice says it again.
    fn tell(&self, is_beat: bool, change: impl FnOnce(&mut Notice) -> bool) {
        // Each change is whole in itself, so what a panic left is in order.
        let state = &mut *self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut state.notice) {
            return;
        }
        let sent = send(&mut state.socket, &state.notice.message(is_beat), &self.0.supervisor);
        if let Err(error) = sent
            && !std::mem::replace(&mut state.has_failed, true)
        {
            tracing::debug!("the supervisor at {:?} was not told: {error}", self.0.supervisor);
        }
    }
}

impl Observer for Notices {
    fn observe(&self, _: &str, event: &WorkerEvent<'_>) {
        match *event {
            WorkerEvent::Listening { queues } => self.tell(false, |notice| {
                notice.on_listening(queues, held_bytes(&family(Pid::this())));
                true
            }),
            WorkerEvent::Draining { cause } => self.tell(false, |notice| {
                notice.on_draining(cause);
                true
            }),
            _ => {}
        }
    }
}

/// Sends a message over the socket, which is made where there is none yet.
fn send(socket: &mut Option<UnixDatagram>, message: &str, to: &SocketAddr) -> io::Result<()> {
    // Not by `sd_notify::notify`: it waits for room, knows no abstract names, and asks the environment each time.
    let socket = match socket {
        Some(socket) => socket,
        None => {
            let unbound = UnixDatagram::unbound()?;
            unbound.set_nonblocking(true)?;
            socket.insert(unbound)
        }
    };
    socket.send_to_addr(message.as_bytes(), to).map(drop)
}

fn address(text: &OsStr) -> Option<SocketAddr> {
    match text.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices_to(supervisor: SocketAddr) -> Notices {
        Notices(Arc::new(Inner { supervisor, beat_every: None, state: Mutex::default() }))
    }

    fn bound(name: &str) -> (SocketAddr, UnixDatagram) {
        let address = address(format!("@rq-notices-{name}-{}", std::process::id()).as_ref()).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        receiver.set_nonblocking(true).unwrap();
        (address, receiver)
    }

    #[test]
    fn addresses_are_paths_and_abstract_names() {
        let abstract_name = address("@rq/x".as_ref()).unwrap();
        assert_eq!(abstract_name.as_abstract_name(), Some(&b"rq/x"[..]));
        assert_eq!(address("/run/notify".as_ref()).unwrap().as_pathname(), Some("/run/notify".as_ref()));
        for none in ["", "run/notify", "vsock:2:1234", &format!("/{}", "x".repeat(200))] {
            assert!(address(none.as_ref()).is_none(), "{none}");
        }
    }

    #[test]
    fn a_failure_is_told_and_not_of_a_worker_that_has_begun() {
        let (address, receiver) = bound("failure");
        let received = || {
            let mut buffer = [0; 4096];
            let length = receiver.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        notices_to(address.clone()).fail("no Redis");
        assert_eq!(received().as_deref(), Some("STATUS=no Redis\nX_RQ_CAUSE=failed\n"));
        let notices = notices_to(address);
        notices.observe("w", &WorkerEvent::Listening { queues: &["q".to_owned()] });
        assert!(received().is_some_and(|text| text.starts_with("READY=1\n")));
        notices.note_job_ended();
        notices.fail("exhausted");
        assert_eq!(received(), None);
    }

    #[test]
    fn nobody_waits_for_a_supervisor_that_is_full_or_gone() {
        /// More than a socket holds.
        const MESSAGES: usize = 10_000;
        let (address, receiver) = bound("full");
        let notices = notices_to(address);
        (0..MESSAGES).for_each(|_| notices.beat());
        drop(receiver);
        notices.beat();
    }
}
