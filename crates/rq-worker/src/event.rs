//! [`WorkerEvent`]: what a worker does, reported to [`Observer`]s as it happens.

use std::sync::Arc;
use std::time::Duration;

use rq_core::{Job, Letter, Timestamp, Ttl, WebhooksError, panics};
use rq_cron::CronEvent;

use crate::webhooks::SendError;

/// What a worker does. Its log is made of these alone, see [`Log`](crate::Log).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WorkerEvent<'a> {
    /// The worker is registered.
    Started {
        /// Its executor, by its name for `-w`.
        executor: &'a str,
        /// How many jobs run at once.
        slots: usize,
    },
    /// Redis has restarted and still reads its data: the worker starts when that is done.
    RedisLoading,
    /// Redis may give up keys, jobs among them, when its memory is full. Told once, at the worker's start.
    EvictionPossible {
        /// Its `maxmemory-policy`.
        policy: &'a str,
    },
    /// Redis keeps nothing on disk, so that a restart loses all jobs. Told once, at the worker's start.
    PersistenceMissing,
    /// Workers of Python RQ 1 serve some of the same queues, and take what this one runs for lost. Told once, at the
    /// worker's start.
    QueuesSharedWithRq1 {
        /// Their names and versions.
        workers: &'a [String],
    },
    /// The worker is about to listen for commands.
    Subscribing {
        /// The channel they come over.
        channel: &'a str,
    },
    /// The worker listens for commands no longer.
    Unsubscribing {
        /// The channel they came over.
        channel: &'a str,
    },
    /// The worker takes jobs from now on.
    Listening {
        /// The queues they come from, the first ones first.
        queues: &'a [String],
    },

    /// A job begins.
    JobBegan {
        /// The job's record as the worker claimed it.
        job: &'a Job,
        /// The queue it came from.
        queue: &'a str,
    },
    /// A run ended with a value, and was settled.
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
    /// A run's end calls for a callback that this program does not have; the end stays as it is.
    CallbackUnknown {
        /// The job.
        job: &'a Job,
        /// The callback.
        name: &'a str,
        /// Whether it waits for a worker that has it; what only Python can import waits for nobody.
        waits: bool,
    },
    /// A callback is called for a job that has ended.
    CallbackBegan {
        /// The job.
        id: &'a str,
        /// The callback.
        name: &'a str,
    },
    /// A callback that was called for a job that has ended has failed. It is not called again.
    CallbackFailed {
        /// The job.
        id: &'a str,
        /// The callback.
        name: &'a str,
        /// Its failure.
        text: &'a str,
    },
    /// A callback is not called, or not to its end: a worker has taken it, and is gone.
    CallbackLost {
        /// The job.
        id: &'a str,
        /// The callback.
        name: &'a str,
    },
    /// What was posted just now is not in the outbox: its box is full, or another worker was faster by a hair.
    PostRefused {
        /// The box: `webhooks`, or `callbacks:<name>`.
        of: &'a str,
        /// The entry, by the execution that called for it.
        entry: &'a str,
    },
    /// Something is wrong with the webhooks of a job that has ended.
    WebhooksWrong {
        /// The job.
        job: &'a Job,
        /// What.
        error: &'a WebhooksError,
    },
    /// A webhook was sent, and taken.
    WebhookSent {
        /// What was sent.
        letter: &'a Letter,
    },
    /// An attempt to send a webhook has failed.
    WebhookFailed {
        /// What was to be sent.
        letter: &'a Letter,
        /// Why it was not.
        error: &'a SendError,
        /// After which pause it is tried again; `None`: it is given up.
        again_in: Option<Duration>,
    },
    /// A job whose run is settled will run again.
    JobRunsAgain {
        /// The job.
        job: &'a Job,
        /// After which pause, if there is one.
        after: Option<Duration>,
    },
    /// The worker took an id off a queue and did not begin it.
    JobSkipped {
        /// The id; the queue's list where `reason` is `wronglist`.
        id: &'a str,
        /// Why, in a word of the claim's script: `gone`, `wrongtype`, `wronglist`, `nottext`, `badorigin`, `badkeys`,
        /// or the status that the job has already.
        reason: &'a str,
    },
    /// A claimed job was canceled, deleted or given back before it began.
    JobCalledOff {
        /// The job.
        id: &'a str,
    },
    /// A job that could not begin here, as something was [short](WorkerEvent::Short), has gone back to its queue.
    JobGivenBack {
        /// The job.
        id: &'a str,
    },
    /// A job that runs, or ran, here is no longer this worker's: its outcome counts for nothing.
    JobLost {
        /// The job.
        id: &'a str,
    },
    /// A worker that seems to be gone has this one's name. It has it at the earliest after so long without a sign of life,
    /// when its leases are over.
    NameAwaited {
        /// How long.
        lease: Duration,
    },
    /// A job was enqueued anew under its id while it ran here. This run's outcome is among the job's results; the record
    /// belongs to the run that is to come.
    JobSuperseded {
        /// The job.
        id: &'a str,
    },
    /// The worker took a job from another worker, which stopped heartbeating.
    JobReaped {
        /// The job; [`worker_name`](Job::worker_name) is the other worker.
        job: &'a Job,
        /// What becomes of it.
        fate: ReapedFate,
    },
    /// Maintenance repaired what a registry said of a job.
    JobRepaired {
        /// The job.
        id: &'a str,
        /// What it found and did, in words to follow "the job".
        found: &'a str,
    },

    /// The worker begins to leave: it takes no more jobs, and leaves when those that run have ended. Told once, with the first
    /// cause.
    Draining {
        /// Why.
        cause: DrainCause<'a>,
    },
    /// The worker was asked to stop, takes no more jobs, and finishes those that run.
    WarmStop {
        /// How many jobs run.
        running: usize,
    },
    /// The worker stops cold: it asks the jobs that run to end.
    ColdStop,
    /// The worker was asked over its channel to stop.
    ShutdownCommand,
    /// It leaves, having stopped on request.
    Stopping,
    /// It leaves, the queues being empty: a burst.
    BurstDone,
    /// The worker leaves: all are suspended, and a burst does not wait until they are resumed.
    BurstSuspended,
    /// It leaves, having begun as many jobs as it may.
    JobsReached {
        /// How many jobs.
        jobs: u64,
    },
    /// It leaves, having had nothing to do.
    IdleReached {
        /// How long it was idle.
        idle: Duration,
    },
    /// The worker's executor takes no more jobs; the worker leaves when those that run have ended.
    Exhausted {
        /// Why.
        reason: &'a str,
    },
    /// What it takes to run a job is short. Jobs that cannot begin go back to the heads of their queues, and the worker
    /// takes on fewer at once until they can. Told once, until that is over.
    Short {
        /// What is short, and what can be done.
        reason: &'a str,
        /// How many jobs the worker takes on at once, for now.
        slots: usize,
    },
    /// It is no longer short of anything.
    ShortNoMore {
        /// How many jobs run at once again.
        slots: usize,
    },
    /// All workers are suspended; this one goes on asking whether they still are.
    Suspended,
    /// The worker's record was gone from Redis, and the worker wrote it again.
    RegisteredAgain,

    /// The worker was asked for its state.
    State {
        /// Its state, in words.
        text: &'a str,
    },
    /// The worker was asked for its state, and this is one of the jobs it runs.
    StateOfJob {
        /// The job.
        job: &'a Job,
        /// Since when it is this worker's.
        since: Timestamp,
    },
    /// The worker was asked to stop a job that runs here, and has it stopped.
    StopCommand {
        /// The job.
        job_id: &'a str,
    },
    /// The worker was asked to stop a job that does not run here.
    NotWorkingOn {
        /// The job.
        job_id: &'a str,
    },
    /// The worker was asked to kill the processes that run its jobs, and does.
    KillingHorses {
        /// How many processes.
        horses: usize,
    },
    /// The worker was asked to kill the processes that run its jobs, and there is none.
    NoHorseToKill,
    /// A message on its channel is no command of RQ.
    MessageIgnored {
        /// How many messages were ignored so far.
        so_far: u64,
    },

    /// The worker enqueues the scheduled jobs of a queue from now on.
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
        /// How many jobs.
        jobs: usize,
    },

    /// The worker's cron scheduler does something.
    Cron {
        /// The scheduler's name.
        scheduler: &'a str,
        /// What.
        event: &'a CronEvent<'a>,
    },

    /// The worker begins maintenance of the registries of a queue.
    CleaningQueue {
        /// The queue.
        queue: &'a str,
    },
    /// The worker's scheduler has taken many queues at once, of which each is not told by itself.
    SchedulerLocksAcquired {
        /// How many queues.
        queues: usize,
    },
    /// The worker begins maintenance of the registries of many queues, of which each is not told by itself.
    CleaningQueues {
        /// How many queues.
        queues: usize,
    },
    /// All jobs of a group have ended, the last ones where nobody told of it.
    GroupEnded {
        /// The group.
        group: &'a str,
        /// How many jobs waited for that, and go on.
        jobs: usize,
    },
    /// The worker begins maintenance of the groups.
    CleaningGroups,
    /// A worker that is gone was taken off the sets of workers.
    WorkerBuried {
        /// The key its record had.
        key: &'a str,
    },

    /// Redis is away, or refuses what it is sent; steps are sent again until it takes them. Reported now and then while it
    /// lasts.
    OutageOn {
        /// What went wrong.
        error: &'a str,
        /// Whether Redis answers, and refuses.
        refused: bool,
        /// How long it has been so.
        lasts: Duration,
    },
    /// Redis has taken all that was sent again.
    OutageOver {
        /// How long it was.
        lasted: Duration,
    },
    /// Redis has not taken what became of a job, and the worker no longer tries to hand it in.
    OutcomeNotTaken {
        /// The job.
        id: &'a str,
        /// What became of it, in a word: `finished`.
        outcome: &'a str,
    },
    /// Redis has refused a step.
    StepFailed {
        /// What the step was for.
        step: &'a str,
        /// What went wrong.
        error: &'a str,
    },
}

/// Why a worker takes no more jobs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DrainCause<'a> {
    /// It has begun as many jobs as it may. One of them that cannot begin after all goes back to its queue, and it then takes
    /// another.
    JobsReached {
        /// How many jobs.
        jobs: u64,
    },
    /// Its executor takes no more jobs, or for too long none could be begun.
    Exhausted {
        /// Why.
        reason: &'a str,
    },
    /// It had nothing to do.
    IdleReached {
        /// For how long.
        idle: Duration,
    },
    /// Its queues are empty: a burst.
    BurstDone,
    /// All workers are suspended, and a burst does not wait until they are resumed.
    BurstSuspended,
    /// It was asked to stop.
    Asked,
    /// Redis refuses what it needs.
    Refused {
        /// What Redis says.
        error: &'a str,
    },
}

/// What becomes of a job whose worker stopped heartbeating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReapedFate {
    /// The job had not begun, and waits again.
    Waits,
    /// The job may have begun, and runs again.
    RunsAgain,
    /// The job may have begun, and has failed.
    Failed,
}

/// Gets the events of a worker as they happen: to count them, show them, send them elsewhere.
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
    /// Called for everything that the worker of this name does, from its loop: what takes long here holds up the
    /// worker. A panic is logged, and the worker goes on.
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

/// All observers of one worker.
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
            // An observer is the program's code, called from the loop: its panic would end the worker with all its
            // jobs.
            if let Err(panic) = panics::catch(|| observer.observe(&self.worker, &event)) {
                tracing::error!("an observer panicked: {}", panic.message);
            }
        }
    }

    /// Reports that Redis has refused a step, or could not be reached.
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
