//! [`Notice`]: what a supervisor is told of a worker, as a message of systemd's protocol (sd_notify(3)).

use std::fmt::Write;

use rq_core::{Counted, Shown};
use sd_notify::NotifyState;

use crate::event::DrainCause;

/// The most bytes of a status. systemd takes messages of 4,096 bytes.
const STATUS_BYTES_MAX: usize = 1024;
/// The cause of a worker that could not start, or to which Redis refuses what it needs.
const FAILED: &str = "failed";

/// All that a supervisor is told. Each message says all of it, so that one which is lost does no harm.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// Whether the worker has taken jobs.
    is_ready: bool,
    /// Whether it takes no more.
    is_stopping: bool,
    /// What it does, or why it ends, in a line.
    status: String,
    /// Why it ends, in a word.
    cause: Option<&'static str>,
    jobs_ended: u64,
    /// What its process, and all that has started, held before its first job.
    held_at_rest_bytes: u64,
}

impl Notice {
    /// The worker takes jobs of these queues, and holds so much before the first one.
    pub(super) fn on_listening(&mut self, queues: &[String], held_at_rest_bytes: u64) {
        self.is_ready = true;
        self.held_at_rest_bytes = held_at_rest_bytes;
        if !self.is_stopping {
            self.status = one_line(&format!("Listening on {}", queues.join(", ")));
        }
    }

    /// It takes no more.
    pub(super) fn on_draining(&mut self, cause: DrainCause<'_>) {
        let (word, why) = told(cause);
        self.is_stopping = true;
        self.cause = Some(word);
        self.status = one_line(&format!("Stopping: {why}"));
    }

    /// It could not start; `false` for one that did, of whose end all is said.
    pub(super) fn on_failed(&mut self, why: &str) -> bool {
        if self.is_ready || self.is_stopping {
            return false;
        }
        self.cause = Some(FAILED);
        self.status = one_line(why);
        true
    }

    /// A job has ended, however it did.
    pub(super) fn on_job_ended(&mut self) {
        self.jobs_ended += 1;
    }

    /// The message, a line for each field. `is_beat`: the worker's loop turns.
    pub(super) fn message(&self, is_beat: bool) -> String {
        let mut message = String::new();
        let mut say = |state: NotifyState<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(message, "{state}");
        };
        if self.is_ready {
            say(NotifyState::Ready);
        }
        if self.is_stopping {
            say(NotifyState::Stopping);
        }
        if is_beat {
            say(NotifyState::Watchdog);
        }
        say(NotifyState::Status(&self.status));
        if let Some(cause) = self.cause {
            say(NotifyState::Custom(&format!("X_RQ_CAUSE={cause}")));
        }
        if self.is_ready {
            say(NotifyState::Custom(&format!("X_RQ_REQUESTS={}", self.jobs_ended)));
            say(NotifyState::Custom(&format!("X_RQ_BASELINE_BYTES={}", self.held_at_rest_bytes)));
        }
        message
    }
}

/// A cause in a word, and in some more.
fn told(cause: DrainCause<'_>) -> (&'static str, String) {
    match cause {
        DrainCause::JobsReached { jobs } => {
            ("max_requests", format!("has begun {}, as many as it may", Counted(jobs, "job")))
        }
        DrainCause::Exhausted { reason } => ("exhausted", reason.to_owned()),
        DrainCause::IdleReached { idle } => {
            ("idle", format!("idle for {}", Counted(idle.as_secs(), "second")))
        }
        DrainCause::BurstDone => ("burst", "its queues are empty, and it is a burst".to_owned()),
        DrainCause::BurstSuspended => {
            ("burst", "all workers are suspended, and it is a burst, which does not wait".to_owned())
        }
        DrainCause::Asked => ("asked", "it was asked to".to_owned()),
        DrainCause::Refused { error } => (FAILED, error.to_owned()),
    }
}

/// A text of any lines as one, with nothing harmful in it and not too long.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut line = Shown::line(lines.join(" ")).to_string();
    if line.len() > STATUS_BYTES_MAX {
        line.truncate(line.floor_char_boundary(STATUS_BYTES_MAX - '…'.len_utf8()));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ready() -> Notice {
        let mut notice = Notice::default();
        notice.on_listening(&["high".to_owned(), "default".to_owned()], 4096);
        notice
    }

    #[test]
    fn a_worker_is_ready_and_beats() {
        let mut notice = ready();
        assert_eq!(
            notice.message(false),
            "READY=1\nSTATUS=Listening on high, default\nX_RQ_REQUESTS=0\nX_RQ_BASELINE_BYTES=4096\n"
        );
        notice.on_job_ended();
        assert_eq!(
            notice.message(true),
            "READY=1\nWATCHDOG=1\nSTATUS=Listening on high, default\nX_RQ_REQUESTS=1\nX_RQ_BASELINE_BYTES=4096\n"
        );
    }

    #[test]
    fn a_worker_that_leaves_says_why_in_each_message() {
        for (cause, word, why) in [
            (DrainCause::JobsReached { jobs: 1 }, "max_requests", "has begun 1 job, as many as it may"),
            (DrainCause::Exhausted { reason: "2 threads are stuck" }, "exhausted", "2 threads are stuck"),
            (DrainCause::IdleReached { idle: Duration::from_secs(60) }, "idle", "idle for 60 seconds"),
            (DrainCause::BurstDone, "burst", "its queues are empty, and it is a burst"),
            (
                DrainCause::BurstSuspended,
                "burst",
                "all workers are suspended, and it is a burst, which does not wait",
            ),
            (DrainCause::Asked, "asked", "it was asked to"),
            (DrainCause::Refused { error: "NOPERM no\nmore" }, "failed", "NOPERM no more"),
        ] {
            let mut notice = ready();
            notice.on_draining(cause);
            let rest = format!(
                "STATUS=Stopping: {why}\nX_RQ_CAUSE={word}\nX_RQ_REQUESTS=0\nX_RQ_BASELINE_BYTES=4096\n"
            );
            assert_eq!(notice.message(false), format!("READY=1\nSTOPPING=1\n{rest}"));
            assert!(!notice.on_failed("exiting so that a supervisor can start a fresh worker"));
            assert_eq!(notice.message(true), format!("READY=1\nSTOPPING=1\nWATCHDOG=1\n{rest}"));
        }
    }

    #[test]
    fn one_that_is_asked_to_stop_before_it_listens_stops_all_the_same() {
        let mut notice = Notice::default();
        notice.on_draining(DrainCause::Asked);
        assert_eq!(notice.message(false), "STOPPING=1\nSTATUS=Stopping: it was asked to\nX_RQ_CAUSE=asked\n");
        notice.on_listening(&["q".to_owned()], 4096);
        let listening = notice.message(false);
        assert!(listening.starts_with("READY=1\nSTOPPING=1\nSTATUS=Stopping:"), "{listening}");
    }

    #[test]
    fn a_worker_that_cannot_start_says_why_on_one_line() {
        let mut notice = Notice::default();
        assert!(notice.on_failed("no handlers. Ways on:\n  * \x1b[2Jone\n\n  * another\n"));
        let told = "STATUS=no handlers. Ways on: * \\x1b[2Jone * another\nX_RQ_CAUSE=failed\n";
        assert_eq!(notice.message(false), told);
    }

    #[test]
    fn a_status_has_an_end() {
        let queues: Vec<String> = (0..5000).map(|number| format!("queue-é-{number}")).collect();
        let mut notice = Notice::default();
        notice.on_listening(&queues, 4096);
        let message = notice.message(true);
        assert!(
            message.len() < STATUS_BYTES_MAX + 100 && message.contains("…\nX_RQ_REQUESTS=0"),
            "{message}"
        );
    }
}
