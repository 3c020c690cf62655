//! [`CronEvent`]: what a scheduler does, reported to a [`CronObserver`] as it happens.

use std::sync::Arc;
use std::time::Duration;

use rq_core::Timestamp;

/// What a scheduler does. Its log is made of these alone, see [`CronLog`](crate::CronLog).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CronEvent<'a> {
    /// It begins.
    Starting,
    /// It is about to write its record.
    RegisteringBirth,
    /// A tick was fired: its job is enqueued.
    Fired {
        /// The entry.
        entry: &'a str,
        /// The function that is called.
        function: &'a str,
        /// The job.
        job_id: &'a str,
        /// Where it waits.
        queue: &'a str,
        /// When it was due.
        due: Timestamp,
        /// How long ago that was.
        late: Duration,
    },
    /// Another scheduler has fired a tick, or dropped it.
    Taken {
        /// The entry.
        entry: &'a str,
        /// What is decided by now.
        decided: Timestamp,
    },
    /// Ticks at which nobody was there are not made up for.
    Missed {
        /// The entry.
        entry: &'a str,
        /// How many; those of an expression are not counted beyond 1,000.
        ticks: u64,
        /// The oldest of them.
        first: Timestamp,
        /// The newest of them.
        last: Timestamp,
    },
    /// A tick was dropped: the entry is paused. It is told of the first one alone.
    Paused {
        /// The entry.
        entry: &'a str,
        /// When it was due.
        due: Timestamp,
    },
    /// A tick is fired again after a pause.
    PauseOver {
        /// The entry.
        entry: &'a str,
        /// How many ticks this scheduler has dropped.
        ticks: u64,
    },
    /// A tick is fired again, as the job of an earlier one has ended.
    OverlapOver {
        /// The entry.
        entry: &'a str,
        /// How many ticks this scheduler has dropped.
        ticks: u64,
    },
    /// A tick was dropped: the job of an earlier one has not ended. It is told of the first one alone.
    Overlaps {
        /// The entry.
        entry: &'a str,
        /// When it was due.
        due: Timestamp,
        /// That job.
        job_id: &'a str,
    },
    /// A tick could not be decided. It is tried again each minute, and told of once for each reason.
    NotDecided {
        /// The entry.
        entry: &'a str,
        /// When it was due.
        due: Timestamp,
        /// Why.
        error: &'a str,
    },
    /// An entry had another schedule, and has this one from now on.
    ScheduleChanged {
        /// The entry.
        entry: &'a str,
        /// Its schedule now.
        schedule: &'a str,
    },
    /// An entry has another schedule by whoever started after this scheduler, which does not fire it meanwhile.
    DefinedOtherwise {
        /// The entry.
        entry: &'a str,
        /// Its schedule here.
        ours: &'a str,
        /// Its schedule there.
        theirs: &'a str,
    },
    /// The key of an entry is of another type, so that it cannot be fired.
    BadKey {
        /// The entry.
        entry: &'a str,
    },
    /// Schedulers of Python RQ have entries of the same names, and enqueue their ticks as well.
    SharedWithPython {
        /// These schedulers.
        schedulers: &'a [String],
        /// The entries.
        entries: &'a [String],
    },
    /// Redis is away, or refuses what it is sent; it is sent again until Redis takes it.
    OutageOn {
        /// What went wrong.
        error: &'a str,
        /// How long it has been so.
        lasts: Duration,
    },
    /// Redis has taken what was sent again.
    OutageOver {
        /// How long it was.
        lasted: Duration,
    },
    /// It sleeps.
    Sleeping {
        /// For so long, at most.
        pause: Duration,
    },
    /// It was asked to stop.
    StopRequested,
    /// It is about to take itself off the list of schedulers.
    RegisteringDeath,
    /// It has stopped.
    ShutdownComplete,
}

/// Gets the events of a scheduler as they happen.
pub trait CronObserver: Send + Sync {
    /// Called for everything that the scheduler of this name does, from its loop.
    fn observe(&self, scheduler: &str, event: &CronEvent<'_>);
}

impl<F: Fn(&str, &CronEvent<'_>) + Send + Sync> CronObserver for F {
    fn observe(&self, scheduler: &str, event: &CronEvent<'_>) {
        self(scheduler, event);
    }
}

impl<O: CronObserver + ?Sized> CronObserver for Arc<O> {
    fn observe(&self, scheduler: &str, event: &CronEvent<'_>) {
        (**self).observe(scheduler, event);
    }
}
