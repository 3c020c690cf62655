//! [`Ending`]: why an execution had to end, as far as the worker has asked or signaled it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rq_core::{CallbackKind, Ended, Failure, OverMemory, Usage, Want};
use rq_process::Exit;

use crate::TERM_GRACE;
use crate::frames::Death;
use crate::rules::Rules;

/// Why a job, or the callback behind it, had to end, as far as the worker has asked or signaled it to.
pub(crate) struct Ending {
    since: Instant,
    limit: Option<Duration>,
    grace: Duration,
    memory_mb: Option<u64>,
    /// Whether it was asked to stop before it was sent a signal for its limit: whichever came first is why it ends.
    stopped: bool,
    /// Whether the job may have had effects.
    pub(crate) began: bool,
    /// Whether a signal that was meant for the job, or an earlier callback, may still be on its way.
    was_signaled: bool,
    /// Whether the failure callback has begun, for the pool to know as well.
    called_back: Arc<AtomicBool>,
    /// How long the job itself ran, once a callback has begun.
    ran: Option<Duration>,
    /// From when on it is signaled because it is to be killed.
    kill_from: Option<Instant>,
    pub(crate) steps: SignalSteps,
}

impl Ending {
    pub(crate) fn new(limit: Option<Duration>, rules: &Rules, called_back: Arc<AtomicBool>) -> Ending {
        Ending {
            since: Instant::now(),
            limit,
            grace: rules.job_grace,
            memory_mb: rules.memory_mb,
            stopped: false,
            began: false,
            was_signaled: false,
            called_back,
            ran: None,
            kill_from: None,
            steps: SignalSteps::new(limit, rules.job_grace),
        }
    }

    /// Notes that the job is asked to stop.
    pub(crate) fn stop(&mut self) {
        // After a signal for its limit the job ends for that; a stop which comes then changes nothing.
        self.stopped |= self.steps.taken == 0;
    }

    /// Notes that it is to be killed, however long it might take. The first request counts.
    pub(crate) fn kill_from(&mut self, from: Instant) {
        let from = *self.kill_from.get_or_insert(from);
        self.steps.begin(from);
    }

    /// Notes that a death penalty has said that its time is up, which was `limit`.
    pub(crate) fn time_out(&mut self, limit: Duration) {
        self.began = true;
        self.limit = Some(limit);
        self.steps.begin(Instant::now() + self.grace);
    }

    /// Notes that the job has returned or failed, and a callback begins.
    pub(crate) fn call_back(&mut self, kind: CallbackKind, limit: Option<Duration>) {
        self.began = true;
        self.called_back.fetch_or(kind == CallbackKind::Failure, Ordering::Relaxed);
        self.ran.get_or_insert_with(|| self.since.elapsed());
        self.was_signaled |= self.steps.taken > 0;
        self.limit = limit;
        self.steps = SignalSteps::new(limit, self.grace);
        if let Some(from) = self.kill_from {
            self.steps.begin(from);
        }
    }

    pub(crate) fn is_signaled(&self) -> bool {
        self.steps.taken > 0 || self.was_signaled
    }

    /// The end with this failure.
    pub(crate) fn failed(&self, failure: Failure) -> Result<Ended, Want> {
        let ran = self.ran.unwrap_or_else(|| self.since.elapsed());
        Ok(Ended { outcome: Err(failure), ran, called_back: self.called_back.load(Ordering::Relaxed) })
    }

    /// Whether a process that is gone is the end of the job.
    pub(crate) fn is_due(&self) -> bool {
        self.began || self.stopped || self.is_signaled()
    }

    /// The failure of a job whose horse has died with its server, so that nobody can say how it ended.
    pub(crate) fn cause_unseen(&self) -> Failure {
        match self.limit {
            // Its worker has asked for its end, whatever ended it then.
            _ if self.stopped => Failure::Stopped,
            Some(limit) if self.is_signaled() => Failure::Timeout { limit },
            _ => Failure::Lost("the fork server has died, and the job's process with it".to_owned()),
        }
    }

    /// The failure of a job whose horse is gone without an outcome.
    pub(crate) fn cause(&self, death: Death) -> Failure {
        let usage = Usage::new(death.peak_rss_bytes, death.cpu);
        match (death.exit, self.limit, death.held_bytes.zip(self.memory_mb)) {
            // Whatever the process then ended by: the worker has asked for it.
            _ if self.stopped => Failure::Stopped,
            (Exit::Signal(_), Some(limit), _) if self.is_signaled() => Failure::Timeout { limit },
            (Exit::Signal(signal), _, Some((held_bytes, limit_mb))) => {
                Failure::OutOfMemory { over: Some(OverMemory { held_bytes, limit_mb }), signal, usage }
            }
            (Exit::Signal(signal), ..) if death.of_memory => {
                Failure::OutOfMemory { over: None, signal, usage }
            }
            (Exit::Signal(signal), ..) => Failure::Killed { signal, usage },
            (Exit::Code(code), ..) => Failure::Exited { code },
        }
    }
}

/// The signals to a job that does not end by itself: SIGTERM, then SIGKILL.
pub(crate) struct SignalSteps {
    from: Option<Instant>,
    taken: u32,
}

/// One of them.
pub(crate) struct SignalStep {
    pub(crate) at: Option<Instant>,
    pub(crate) signal: Signal,
}

impl SignalSteps {
    pub(crate) fn new(limit: Option<Duration>, grace: Duration) -> SignalSteps {
        // At the limit itself the job is told, in its horse; signals are for one that goes on after the grace.
        let from = limit.and_then(|limit| Instant::now().checked_add(limit.saturating_add(grace)));
        SignalSteps { from, taken: 0 }
    }

    /// Begins them no later than at `from`.
    pub(crate) fn begin(&mut self, from: Instant) {
        self.from = Some(self.from.map_or(from, |planned| planned.min(from)));
    }

    pub(crate) fn next(&self) -> SignalStep {
        match self.taken {
            0 => SignalStep { at: self.from, signal: Signal::SIGTERM },
            1 => SignalStep { at: self.from.map(|from| from + TERM_GRACE), signal: Signal::SIGKILL },
            // No signal is stronger: wait for the end.
            _ => SignalStep { at: None, signal: Signal::SIGKILL },
        }
    }

    pub(crate) fn take(&mut self) {
        self.taken += 1;
    }
}
