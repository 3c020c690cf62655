//! [`Cause`]: why a child had to end, or has ended.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a child had to end, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// It has done as much as one child is to do.
    MaxRequests {
        /// How many requests that are.
        count: u64,
    },
    /// It held more memory than the soft limit, over several looks.
    SoftMemoryLimit {
        /// What it held, with all it had started.
        held_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// It held more memory than the hard limit.
    HardMemoryLimit {
        /// What it held, with all it had started.
        held_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// One of its runs took longer than it may, and did not end when it was asked to.
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// It has not told for too long that it lives.
    Silent {
        /// How long.
        after: Duration,
    },
    /// It could not take on anything more, such as a worker whose threads are stuck.
    Exhausted,
    /// It has left of itself, since it had nothing to do for a while.
    Idle,
    /// It has left of itself, with exit code 0.
    Finished,
    /// It has ended before it was ready.
    BootFailed {
        /// Why, in its own words if it had any.
        reason: String,
    },
    /// It has left of itself, with another exit code.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal that the Manager has not sent has ended it.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// The system has killed it for want of memory.
    OutOfMemory,
    /// It was replaced: on request, or since its kind has changed.
    Renewed,
    /// There are to be fewer of its kind.
    Removed,
    /// The Manager leaves.
    Stopped,
}

impl Cause {
    /// Its name in counts.
    pub fn word(&self) -> &'static str {
        match self {
            Cause::MaxRequests { .. } => "max_requests",
            Cause::SoftMemoryLimit { .. } => "soft_memory_limit",
            Cause::HardMemoryLimit { .. } => "hard_memory_limit",
            Cause::TimedOut { .. } => "timed_out",
            Cause::Silent { .. } => "silent",
            Cause::Exhausted => "exhausted",
            Cause::Idle => "idle",
            Cause::Finished => "finished",
            Cause::BootFailed { .. } => "boot_failed",
            Cause::Exited { .. } => "exited",
            Cause::Killed { .. } => "killed",
            Cause::OutOfMemory => "out_of_memory",
            Cause::Renewed => "renewed",
            Cause::Removed => "removed",
            Cause::Stopped => "stopped",
        }
    }

    /// Whether the child has done what it was to do, so that its successor need not wait.
    pub(crate) fn is_planned(&self) -> bool {
        matches!(
            self,
            Cause::MaxRequests { .. }
                | Cause::SoftMemoryLimit { .. }
                | Cause::HardMemoryLimit { .. }
                | Cause::Exhausted
                | Cause::Idle
                | Cause::Renewed
                | Cause::Removed
                | Cause::Stopped
        )
    }
}

/// As it stands in the log, behind the child's name.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The original's words.
            Cause::MaxRequests { count } => write!(f, "cancelled by reaching max requests count [{count}]"),
            Cause::SoftMemoryLimit { held_bytes, limit_bytes } => write!(
                f,
                "cancelled by reaching soft memory limit [{}]: it holds {}",
                megabytes(*limit_bytes),
                megabytes(*held_bytes)
            ),
            Cause::HardMemoryLimit { held_bytes, limit_bytes } => write!(
                f,
                "cancelled by reaching hard memory limit [{}]: it holds {}",
                megabytes(*limit_bytes),
                megabytes(*held_bytes)
            ),
            Cause::TimedOut { after } => {
                write!(f, "cancelled by reaching timeout [{} s]", after.as_secs_f64())
            }
            Cause::Silent { after } => {
                write!(f, "cancelled: it has not told for {} s that it lives", after.as_secs_f64())
            }
            Cause::Exhausted => f.write_str("leaves: it is exhausted"),
            Cause::Idle => f.write_str("leaves: it was idle for too long"),
            Cause::Finished => f.write_str("has left of itself"),
            Cause::BootFailed { reason } => write!(f, "could not start: {reason}"),
            Cause::Exited { code } => write!(f, "has left with exit code {code}"),
            Cause::Killed { signal } => write!(f, "was killed by signal {signal}"),
            Cause::OutOfMemory => f.write_str("was killed by the system for want of memory"),
            Cause::Renewed => f.write_str("cancelled: it is replaced"),
            Cause::Removed => f.write_str("cancelled: there are to be fewer"),
            Cause::Stopped => f.write_str("cancelled: the Manager leaves"),
        }
    }
}

/// Bytes as people read them: `12.5 MB`, of 2^20 bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    match tenths % 10 {
        0 => format!("{} MB", tenths / 10),
        tenth => format!("{}.{tenth} MB", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_the_originals() {
        let text = Cause::MaxRequests { count: 2 }.to_string();
        assert_eq!(text, "cancelled by reaching max requests count [2]");
        let text = Cause::SoftMemoryLimit { held_bytes: 13 << 19, limit_bytes: 5 << 20 }.to_string();
        assert_eq!(text, "cancelled by reaching soft memory limit [5 MB]: it holds 6.5 MB");
        let json = serde_json::to_string(&Cause::BootFailed { reason: "x".to_owned() }).unwrap();
        assert_eq!(json, r#"{"word":"boot_failed","reason":"x"}"#);
    }
}
