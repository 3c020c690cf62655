//! [`Signals`]: what the operating system asks of the worker. They only record; the dispatcher's loop decides.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::WorkerError;

/// A second signal sooner than this after the first is the same one: a pool forwards what the terminal also sends.
const DISTINCT_AFTER: Duration = Duration::from_secs(1);

/// SIGINT and SIGTERM, which mean the same.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl Signals {
    /// Takes both signals over from the system's defaults.
    pub(crate) fn install() -> Result<Signals, WorkerError> {
        let failed = |source| WorkerError::System { what: "signals cannot be handled", source };
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Signals { interrupt, terminate, last: None })
    }

    /// Waits for the next request to stop. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            let now = Instant::now();
            let repeated = self.last.is_some_and(|last| now - last < DISTINCT_AFTER);
            if !repeated {
                self.last = Some(now);
                return;
            }
        }
    }
}
