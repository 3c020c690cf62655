//! [`Status`]: where a job is in its life (docs/wire.md §3.2).

use std::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// Where a job is in its life. The text form is the `status` field of the job hash.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status { $($(#[$doc])* $variant,)+ }

        impl Status {
            /// Every status RQ knows.
            pub const ALL: &[Status] = &[$(Status::$variant,)+];

            /// The text in the job hash.
            pub const fn as_str(self) -> &'static str {
                match self { $(Status::$variant => $text,)+ }
            }
        }
    };
}

statuses! {
    /// Never enqueued.
    Created = "created",
    /// In a queue.
    Queued = "queued",
    /// Claimed by a worker.
    Started = "started",
    /// Ended with a value.
    Finished = "finished",
    /// Ended without one.
    Failed = "failed",
    /// Ended by request.
    Stopped = "stopped",
    /// Waits for other jobs.
    Deferred = "deferred",
    /// Its dependencies are met; Python 3.0 pushes it next.
    ReadyToEnqueue = "ready_to_enqueue",
    /// Waits for its time.
    Scheduled = "scheduled",
    /// Called off before it started.
    Canceled = "canceled",
    /// Waits for a slot of its rate limit.
    RateLimited = "rate_limited",
}

impl Status {
    /// The status `text` names.
    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.iter().copied().find(|status| status.as_str() == text)
    }

    /// Whether a job in this status will not run again by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Finished | Status::Failed | Status::Stopped | Status::Canceled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for &status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("cancelled"), None);
    }
}
