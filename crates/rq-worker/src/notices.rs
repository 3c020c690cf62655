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

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use rq_process::memory::{family, held_bytes};
use rq_process::{NotifySocket, Pid};

use crate::event::{Observer, WorkerEvent};
use notice::Notice;

/// How soon what the supervisor had no room for is told again, and how often by a worker that is gone then.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);
const LAST_TRIES: usize = 10;
/// How soon it hears how many jobs have ended.
const COUNT_PAUSE: Duration = Duration::from_secs(1);
/// How far apart those are.
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// What a worker tells its supervisor, and where to. Clones tell of the same worker.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    beat_every: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    notice: Notice,
    supervisor: NotifySocket,
    /// Whether there is something that the supervisor has not taken.
    is_untold: bool,
    /// Whether jobs have ended of which it has not heard.
    has_uncounted: bool,
    /// Whether a notice was not taken, and that was logged.
    has_failed: bool,
}

impl Notices {
    /// The variables that [`from_environment`](Notices::from_environment) reads. They are for this process alone: take them
    /// out of the environment then, before it starts others.
    pub const VARIABLES: [&str; 3] = [NotifySocket::VARIABLE, "WATCHDOG_USEC", "WATCHDOG_PID"];

    /// For the supervisor that the environment names: `NOTIFY_SOCKET` is a path, or behind an `@` an abstract name; none
    /// where it is neither. A beat is told every half of `WATCHDOG_USEC`, unless `WATCHDOG_PID` is another process; without it, none
    /// is.
    pub fn from_environment() -> Option<Notices> {
        let supervisor = NotifySocket::from_environment()?;
        let watchdog = sd_notify::watchdog_enabled().filter(|watchdog| !watchdog.is_zero());
        let beat_every = watchdog.map(|watchdog| watchdog / 2);
        Some(Notices::to(supervisor, beat_every))
    }

    fn to(supervisor: NotifySocket, beat_every: Option<Duration>) -> Notices {
        let state = State {
            notice: Notice::default(),
            supervisor,
            is_untold: false,
            has_uncounted: false,
            has_failed: false,
        };
        Notices(Arc::new(Inner { beat_every, state: Mutex::new(state) }))
    }

    /// Tells why the worker could not start, unless it has.
    pub fn fail(&self, why: &str) {
        self.tell(false, |notice| notice.on_failed(why));
    }

    /// Tells what was not taken yet, and waits a fifth of a second at most: this process ends.
    pub fn finish(&self) {
        for _ in 0..LAST_TRIES {
            if !self.is_untold() {
                return;
            }
            self.tell(false, |_| true);
            sleep(LAST_PAUSE);
        }
    }

    /// How soon the supervisor is to be told something that it does not know.
    pub(crate) fn news_within(&self) -> Option<Duration> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match (state.is_untold, state.has_uncounted) {
            (true, _) => Some(AGAIN_PAUSE),
            // Nobody who asks for no beats counts.
            (false, true) if self.0.beat_every.is_some() => Some(COUNT_PAUSE),
            (false, _) => None,
        }
    }

    /// Whether there is something that the supervisor has not taken.
    fn is_untold(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_untold
    }

    /// Tells again.
    pub(crate) fn tell_again(&self) {
        self.tell(false, |_| true);
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
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.notice.on_job_ended();
        state.has_uncounted = true;
    }

    /// Sends what is known after `change`, where that returns `true`. Never waits: what the supervisor has no room for is
    /// lost, and the next notice says it again.
    fn tell(&self, is_beat: bool, change: impl FnOnce(&mut Notice) -> bool) {
        // Each change is whole in itself, so what a panic left is in order.
        let state = &mut *self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut state.notice) {
            return;
        }
        let sent = state.supervisor.send(&state.notice.message(is_beat));
        state.has_uncounted = false;
        // One that is gone is not told again.
        state.is_untold = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if let Err(error) = sent
            && !std::mem::replace(&mut state.has_failed, true)
        {
            tracing::debug!("{:?} was not told: {error}", state.supervisor);
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

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    fn bound(name: &str) -> (String, UnixDatagram) {
        let name = format!("@rq-notices-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        receiver.set_nonblocking(true).unwrap();
        (name, receiver)
    }

    fn notices_to(name: &str) -> Notices {
        Notices::to(NotifySocket::named(name.as_ref()).unwrap(), None)
    }

    #[test]
    fn a_failure_is_told_and_not_of_a_worker_that_has_begun() {
        let (address, receiver) = bound("failure");
        let received = || {
            let mut buffer = [0; 4096];
            let length = receiver.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        notices_to(&address).fail("no Redis");
        assert_eq!(received().as_deref(), Some("STATUS=no Redis\nX_RQ_CAUSE=failed\n"));
        let notices = notices_to(&address);
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
        let notices = notices_to(&address);
        (0..MESSAGES).for_each(|_| notices.beat());
        // What had no room is told when there is some.
        assert!(notices.is_untold());
        while receiver.recv(&mut [0; 4096]).is_ok() {}
        notices.finish();
        assert!(!notices.is_untold() && receiver.recv(&mut [0; 4096]).is_ok());
        drop(receiver);
        notices.beat();
        assert!(!notices.is_untold());
    }
}
