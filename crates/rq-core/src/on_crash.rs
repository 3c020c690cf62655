//! [`OnCrash`]: what becomes of a job when its worker, or the process that ran it, died.

use std::fmt;

/// How many deaths of what ran it one job may see before it is failed all the same.
pub const CRASHES_MAX: i64 = 3;

/// What becomes of a job that may have begun when its worker died, or the process in which that ran it. One that provably
/// never began is always put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCrash {
    /// The job fails with that cause, or is retried where it has retries left: RQ's way, for jobs that must not run
    /// twice.
    #[default]
    Fail,
    /// The job runs again, for at most [`CRASHES_MAX`] deaths: for jobs that may run twice.
    Requeue,
}

impl OnCrash {
    /// The text in the private job field `on_crash`.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnCrash::Fail => "fail",
            OnCrash::Requeue => "requeue",
        }
    }

    /// What `text` names.
    pub fn parse(text: &str) -> Option<OnCrash> {
        [OnCrash::Fail, OnCrash::Requeue].into_iter().find(|policy| policy.as_str() == text)
    }
}

impl fmt::Display for OnCrash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
