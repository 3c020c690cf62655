//! [`Step`]: what the workers are at when the trouble begins.

use std::time::Duration;

/// What the workers are at when the trouble begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Short jobs come one by one, and are claimed at once.
    Claiming,
    /// All slots are taken by jobs that run for long; others wait in the queue.
    Running,
    /// Short jobs end all the time, and more wait.
    Settling,
    /// There are no jobs.
    Idle,
    /// As when running, and one of the two workers has been told to stop.
    Stopping,
    /// As when running, and ends call for webhooks and callbacks: jobs finish, and others are stopped.
    Posting,
}

/// Short jobs, of which there are always some.
pub(crate) struct Flow {
    /// How long one of them takes.
    pub(crate) job: Duration,
    /// How many wait at least; with none, the next one comes when the last one has been taken.
    pub(crate) waiting: usize,
}

impl Step {
    pub(crate) const ALL: [Self; 6] =
        [Self::Claiming, Self::Running, Self::Settling, Self::Idle, Self::Stopping, Self::Posting];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::Running => "running",
            Self::Settling => "settling",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::Posting => "posting",
        }
    }

    /// Whether there are jobs that run for long.
    pub(crate) fn has_long_jobs(self) -> bool {
        matches!(self, Self::Running | Self::Stopping | Self::Posting)
    }

    /// The short jobs, where there are some until the trouble begins.
    pub(crate) fn flow(self) -> Option<Flow> {
        match self {
            Self::Claiming => Some(Flow { job: Duration::ZERO, waiting: 0 }),
            Self::Settling => Some(Flow { job: Duration::from_millis(20), waiting: 40 }),
            Self::Running | Self::Idle | Self::Stopping | Self::Posting => None,
        }
    }
}
