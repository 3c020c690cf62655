//! [`signals`]: signals as requests to a worker. Handlers only record; the dispatcher's loop decides.

use std::io;
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::request::Request;

/// A second signal sooner than this after the first is the same one: a pool forwards what the terminal also sends.
const DISTINCT_AFTER: Duration = Duration::from_secs(1);

/// The requests that signals make: SIGINT and SIGTERM to [stop](Request::Stop), SIGUSR1 to [tell](Request::Tell).
///
/// Their handlers stay installed for as long as the process lives. Other signals keep the system's defaults: SIGHUP and
/// SIGQUIT end a worker at once, as they end RQ's, and other workers take over what it ran, as after a crash.
///
/// No thread blocks a signal, and SIGPIPE has a handler that does nothing where Rust ignores it: programs that jobs start
/// would inherit masks and ignored signals, and they inherit no handlers (docs/operations.md). Which thread a handler
/// interrupts is the system's choice: Linux takes a process's first thread, where that can be had.
///
/// # Errors
/// Outside of a runtime, and where the system refuses.
pub fn signals() -> io::Result<impl Stream<Item = Request> + Send> {
    let signals = Signals {
        // tokio's handlers only note the signal and wake the runtime: nothing of ours runs in one.
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        user: signal(SignalKind::user_defined1())?,
        _pipe: signal(SignalKind::pipe())?,
        last_stop: None,
    };
    Ok(stream::unfold(signals, |mut signals| async { Some((signals.next().await, signals)) }))
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    user: Signal,
    /// Never asked: a write to a closed pipe fails by its error, whoever writes.
    _pipe: Signal,
    last_stop: Option<Instant>,
}

impl Signals {
    async fn next(&mut self) -> Request {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = self.user.recv() => return Request::Tell,
            }
            // Counted as one request: two would turn a warm stop cold.
            let now = Instant::now();
            let repeated = self.last_stop.is_some_and(|last| now - last < DISTINCT_AFTER);
            if !repeated {
                self.last_stop = Some(now);
                return Request::Stop;
            }
        }
    }
}
