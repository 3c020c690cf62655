//! [`WorkerEvent`]: what a worker does, told to [`Observer`]s as it happens.

use std::sync::Arc;
use std::time::Duration;

use rq_core::{Job, Timestamp, Ttl, panics};

/// What a worker does. Its log is made of these alone, see [`Log`](crate::Log).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WorkerEvent<'a> {
    /// It is registered.
    Started {
        /// How its jobs run, in the word for `-w`.
        executor: &'a str,
        /// How many of them at once.
        slots: usize,
    },
    /// It is about to listen for commands.
    Subscribing {
        /// The channel they come over.
        channel: &'a str,
    },
    /// It listens for commands no longer.
    Unsubscribing {
        /// The channel they came over.
        channel: &'a str,
    },
    /// It takes jobs from now on.
    Listening {
        /// The queues they come from, the first ones first.
        queues: &'a [String],
    },

    /// A job begins.
    JobBegan {
        /// Its record as it was claimed.
        job: &'a Job,
        /// The queue it came from.
        queue: &'a str,
    },
    /// A run ended with a value, and Redis has taken that.
    JobFinished {
        /// The job.
        job: &'a Job,
        /// The queue it came from.
        queue: &'a str,
        /// How long the job itself ran.
        ran: Duration,
        /// How long the result is kept.
        kept: Ttl,
    },
    /// A run failed. It is settled next; the job may be run again.
    JobFailed {
        /// The job.
        job: &'a Job,
        /// The error and its causes, or a traceback.
        text: &'a str,
    },
    /// Somebody had a run stopped. It is settled next.
    JobStopped {
        /// The job.
        job: &'a Job,
    },
    /// A job asked to be run again more often than it may. It is settled next.
    JobExhausted {
        /// The job.
        job: &'a Job,
    },
    /// A job whose run is settled will run again.
    JobRunsAgain {
        /// The job.
        job: &'a Job,
        /// After which pause, if any.
        after: Option<Duration>,
    },
    /// Something was taken off a queue and not begun.
    JobSkipped {
        /// The job; the queue's list where `reason` is `wronglist`.
        id: &'a str,
        /// Why, in a word of the claim's script: `gone`, `wrongtype`, `wronglist`, `nottext`, `badorigin`, `badkeys`, or the
        /// status that the job has already.
        reason: &'a str,
    },
    /// A claimed job was canceled, deleted or given back before it began.
    JobCalledOff {
        /// The job.
        id: &'a str,
    },
    /// A job that runs, or ran, here is no longer this worker's: its outcome counts for nothing.
    JobLost {
        /// The job.
        id: &'a str,
    },
    /// A job whose worker stopped saying that it lives was taken from that worker.
    JobReaped {
        /// The job; [`worker_name`](Job::worker_name) tells whose it was.
        job: &'a Job,
        /// What becomes of it.
        fate: ReapedFate,
    },
    /// Maintenance found something about a job, and did something.
    JobRepaired {
        /// The job.
        id: &'a str,
        /// What it found, and did, to follow "the job".
        found: &'a str,
    },

    /// It was asked to stop, takes no more jobs, and finishes those that run.
    WarmStop {
        /// How many those are.
        running: usize,
    },
    /// It ends what runs.
    ColdStop,
    /// It is asked to stop over its channel.
    ShutdownCommand,
    /// It leaves, having stopped on request.
    Stopping,
    /// It leaves, the queues being empty: a burst.
    BurstDone,
    /// It leaves: a burst may not wait until it is resumed.
    BurstSuspended,
    /// It leaves, having begun as many jobs as it may.
    JobsReached {
        /// How many.
        jobs: u64,
    },
    /// It leaves, having had nothing to do.
    IdleReached {
        /// For how long.
        idle: Duration,
    },
    /// Its executor takes no more jobs; it leaves when those that run have ended.
    Exhausted {
        /// Why.
        reason: &'a str,
    },
    /// All workers are suspended; it looks again and again whether they still are.
    Suspended,
    /// Its record was gone from Redis, and was written again.
    RegisteredAgain,

    /// It was asked what it is at.
    State {
        /// What it is at, in words.
        text: &'a str,
    },
    /// It was asked what it is at, and this is one of the jobs it runs.
    StateOfJob {
        /// The job.
        job: &'a Job,
        /// Since when it is this worker's.
        since: Timestamp,
    },
    /// It was asked to stop a job that runs here, and has it stopped.
    StopCommand {
        /// The job.
        job_id: &'a str,
    },
    /// It was asked to stop a job that does not run here.
    NotWorkingOn {
        /// The job.
        job_id: &'a str,
    },
    /// It was asked to kill the processes that run its jobs, and does.
    KillingHorses {
        /// How many processes.
        horses: usize,
    },
    /// It was asked to kill them, and there is none.
    NoHorseToKill,
    /// A message on its channel is no command of RQ.
    MessageIgnored {
        /// How many such there were.
        so_far: u64,
    },

    /// It enqueues the scheduled jobs of a queue from now on.
    SchedulerLockAcquired {
        /// The queue.
        queue: &'a str,
    },
    /// Another scheduler has a queue that this one had.
    SchedulerLockLost {
        /// The queue.
        queue: &'a str,
    },
    /// Scheduled jobs of a queue cannot be enqueued.
    NotScheduled {
        /// The queue.
        queue: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Jobs that were due are canceled, deleted or expired, and were not enqueued.
    Unscheduled {
        /// How many.
        jobs: usize,
    },

    /// It looks after the registries of a queue.
    CleaningQueue {
        /// The queue.
        queue: &'a str,
    },
    /// It looks after the groups.
    CleaningGroups,
    /// A worker that is gone was taken off the sets of workers.
    WorkerBuried {
        /// The key its record had.
        key: &'a str,
    },

    /// Redis does not answer; the step will be sent again.
    Unreachable {
        /// What went wrong.
        error: &'a str,
        /// After which pause.
        pause: Duration,
    },
    /// Redis has refused a step.
    StepFailed {
        /// What the step was for.
        step: &'a str,
        /// What went wrong.
        error: &'a str,
    },
}

/// What becomes of a job that was taken from a silent worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReapedFate {
    /// It had not begun, and waits again.
    Waits,
    /// It may have begun, and runs again.
    RunsAgain,
    /// It may have begun, and has failed.
    Failed,
}

/// Is told what a worker does, as it happens: counts it, shows it, sends it elsewhere.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use rq_worker::{Observer, WorkerEvent};
///
/// #[derive(Default)]
/// struct Finished(AtomicU64);
/// impl Observer for Finished {
///     fn observe(&self, _worker: &str, event: &WorkerEvent<'_>) {
///         if let WorkerEvent::JobFinished { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// Called for everything that the worker of this name does, from its loop: what takes long here holds up the worker. A
    /// panic is logged, and the worker goes on.
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>);
}

impl<F: Fn(&str, &WorkerEvent<'_>) + Send + Sync> Observer for F {
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
        self(worker, event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
        (**self).observe(worker, event);
    }
}

/// All who are told what one worker does.
pub(crate) struct Observers {
    worker: String,
    all: Vec<Arc<dyn Observer>>,
}

impl Observers {
    pub(crate) fn new(worker: &str, all: Vec<Arc<dyn Observer>>) -> Observers {
        Observers { worker: worker.to_owned(), all }
    }

    pub(crate) fn tell(&self, event: WorkerEvent<'_>) {
        for observer in &self.all {
            if let Err(panic) = panics::catch(|| observer.observe(&self.worker, &event)) {
                tracing::error!("an observer panicked: {}", panic.message);
            }
        }
    }

    /// Redis has refused a step, or could not be asked.
    pub(crate) fn step_failed(&self, step: &str, error: &dyn std::fmt::Display) {
        self.tell(WorkerEvent::StepFailed { step, error: &error.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn an_observer_that_panics_harms_nobody() {
        let told = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&told);
        let count = move |worker: &str, _: &WorkerEvent<'_>| {
            assert_eq!(worker, "w");
            counts.fetch_add(1, Ordering::Relaxed);
        };
        let breaks_down = |_: &str, _: &WorkerEvent<'_>| panic!("out of order");
        let observers = Observers::new("w", vec![Arc::new(breaks_down), Arc::new(count)]);
        observers.tell(WorkerEvent::ColdStop);
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
