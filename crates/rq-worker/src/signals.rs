//! [`Signals`]: what the operating system asks of the worker. They only record; the dispatcher's loop decides.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::WorkerError;

/// A second signal sooner than this after the first is the same one: a pool forwards what the terminal also sends.
const DISTINCT_AFTER: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGINT or SIGTERM: to stop.
    Stop,
    /// SIGUSR1: to say what the worker is at.
    Tell,
}

/// The signals a worker hears. Others do what the system does: SIGHUP and SIGQUIT end it at once, as they end RQ's, and
/// what it ran goes on as after a crash.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    user: Signal,
    last: Option<Instant>,
}

impl Signals {
    /// Takes them over from the system's defaults.
    pub(crate) fn install() -> Result<Signals, WorkerError> {
        let failed = |source| WorkerError::System { what: "signals cannot be handled", source };
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let user = signal(SignalKind::user_defined1()).map_err(failed)?;
        Ok(Signals { interrupt, terminate, user, last: None })
    }

    /// Waits for the next request. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Request {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.user.recv() => return Request::Tell,
            }
            let now = Instant::now();
            let repeated = self.last.is_some_and(|last| now - last < DISTINCT_AFTER);
            if !repeated {
                self.last = Some(now);
                return Request::Stop;
            }
        }
    }
}
