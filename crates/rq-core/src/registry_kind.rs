//! [`RegistryKind`]: which registry of a queue.

use std::fmt;

use crate::keys::Keys;

/// Which registry of a queue (docs/wire.md §3.2, §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistryKind {
    /// Running executions, by when they count as abandoned unless their worker sends a heartbeat.
    Started,
    /// Jobs that ended well, by when they are forgotten.
    Finished,
    /// Jobs that failed or were stopped, by when they are forgotten.
    Failed,
    /// Jobs that wait for others, by since when.
    Deferred,
    /// Jobs that wait for their time, by that time.
    Scheduled,
    /// Jobs that were called off, by when that was.
    Canceled,
    /// Jobs that waited for others and that Python 3.0 is about to queue, by since when.
    Ready,
}

impl RegistryKind {
    /// Every kind there is.
    pub const ALL: [RegistryKind; 7] = {
        use RegistryKind::{Canceled, Deferred, Failed, Finished, Ready, Scheduled, Started};
        [Started, Finished, Failed, Deferred, Scheduled, Canceled, Ready]
    };

    /// Its name: `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            RegistryKind::Started => "started",
            RegistryKind::Finished => "finished",
            RegistryKind::Failed => "failed",
            RegistryKind::Deferred => "deferred",
            RegistryKind::Scheduled => "scheduled",
            RegistryKind::Canceled => "canceled",
            RegistryKind::Ready => "ready",
        }
    }

    /// Whether its jobs have ended with an outcome, so that they can be requeued.
    pub const fn can_requeue(self) -> bool {
        matches!(self, RegistryKind::Failed | RegistryKind::Finished)
    }

    /// The sorted set in Redis.
    pub fn key(self, keys: &Keys, queue: &str) -> String {
        match self {
            RegistryKind::Started => keys.wip(queue),
            RegistryKind::Finished => keys.finished(queue),
            RegistryKind::Failed => keys.failed(queue),
            RegistryKind::Deferred => keys.deferred(queue),
            RegistryKind::Scheduled => keys.scheduled(queue),
            RegistryKind::Canceled => keys.canceled(queue),
            RegistryKind::Ready => keys.ready(queue),
        }
    }
}

impl fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
