//! [`Log`]: the observer that writes a worker's log, in the lines that users of RQ know (docs/cli.md §2).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use rq_core::{Counted, Job, Letter, Shown, Timestamp, Ttl, without_argument};
use rq_cron::{CronLog, CronObserver};

use crate::event::{Observer, ReapedFate, WorkerEvent};
use crate::webhooks::SendError;

/// The most bytes of a failure's text in the log: this many of its beginning, and as many of its end, where a traceback
/// has the error.
const FAILURE_PART_BYTES_MAX: usize = 3000;

/// `tracing`'s macros for one line that is shown: with everything in it that others may have written.
macro_rules! shown {
    ($level:ident, $($field:ident $(= $value:expr)?,)* $format:literal $($args:tt)*) => {
        tracing::$level!($($field $(= $value)?,)* "{}", Shown::line(format_args!($format $($args)*)))
    };
}
macro_rules! debug { ($($args:tt)*) => { shown!(debug, $($args)*) }; }
macro_rules! info { ($($args:tt)*) => { shown!(info, $($args)*) }; }
macro_rules! warn { ($($args:tt)*) => { shown!(warn, $($args)*) }; }
macro_rules! error { ($($args:tt)*) => { shown!(error, $($args)*) }; }

/// Writes what workers do to the subscriber of `tracing` that the program has installed; nowhere where it has none.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Whether lines say what is called with which arguments, not only the job's id.
    pub descriptions: bool,
}

impl Observer for Log {
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
        match *event {
            WorkerEvent::Started { executor, slots } => started(worker, executor, slots),
            WorkerEvent::RedisLoading => {
                info!("Worker {worker}: Redis still reads its data; waiting until it has")
            }
            WorkerEvent::EvictionPossible { policy } => warn!(
                "Worker {worker}: Redis may evict jobs: maxmemory-policy is {policy}; set it to noeviction"
            ),
            WorkerEvent::PersistenceMissing => warn!(
                "Worker {worker}: a restart of Redis loses all jobs: it has neither an append-only file nor save \
                 points; set appendonly to yes, or save"
            ),
            WorkerEvent::QueuesSharedWithRq1 { workers } => warn!(
                "Worker {worker}: Python RQ 1 serves the same queues ({}); it and newer workers do not see each other's \
                 running jobs: upgrade it to RQ 2, or give each queues of its own",
                enumerated(workers)
            ),
            WorkerEvent::Subscribing { channel } => {
                info!("Worker {worker}: subscribing to channel {channel}")
            }
            WorkerEvent::Unsubscribing { channel } => {
                info!("Worker {worker}: unsubscribing from channel {channel}");
            }
            WorkerEvent::Listening { queues } => {
                let queues = queues.join(", ");
                info!(queue = queues, "*** Listening on {queues}...");
            }

            WorkerEvent::JobBegan { job, queue } => self.began(worker, job, queue),
            WorkerEvent::JobFinished { job, queue, ran, kept } => {
                self.finished(worker, job, queue, ran, kept)
            }
            WorkerEvent::CallbackUnknown { job, name, waits } => callback_unknown(worker, job, name, waits),
            WorkerEvent::CallbackBegan { id, name } => {
                let (id, name) = (Shown::name(id), Shown::name(name));
                info!("Worker {worker}: job {id}: callback {name} is called");
            }
            WorkerEvent::CallbackFailed { id, name, text } => {
                let (id, name) = (Shown::name(id), Shown::name(name));
                warn!("Worker {worker}: job {id}: callback {name} has failed: {}", Shown::lines(text));
            }
            WorkerEvent::CallbackLost { id, name } => {
                let (id, name) = (Shown::name(id), Shown::name(name));
                warn!(
                    "Worker {worker}: job {id}: callback {name} was taken by a worker that is gone; it may not have \
                     run, and is not called again"
                );
            }
            WorkerEvent::PostRefused { of, entry } => {
                let (of, entry) = (Shown::name(of), Shown::name(entry));
                warn!(
                    "Worker {worker}: {entry} is not in the outbox {of}, which is full, or another worker has done it"
                );
            }
            WorkerEvent::WebhooksWrong { job, error } => {
                let id = Shown::name(&job.id);
                warn!("Worker {worker}: job {id}: {}", Shown::line(&error.to_string()));
            }
            WorkerEvent::WebhookSent { letter } => {
                let (id, to) = (Shown::name(&letter.job_id), letter.destination());
                debug!("Worker {worker}: job {id}: webhook sent to {}", Shown::line(&to));
            }
            WorkerEvent::WebhookFailed { letter, error, again_in } => {
                webhook_failed(worker, letter, error, again_in);
            }
            WorkerEvent::JobFailed { job, text } => self.failed(worker, job, text),
            WorkerEvent::JobStopped { job } => {
                let id = Shown::name(&job.id);
                warn!("Worker {worker}: job {id} stopped by user, moving job to FailedJobRegistry");
            }
            WorkerEvent::JobExhausted { job } => {
                let id = Shown::name(&job.id);
                error!("Worker {worker}: job {id}: asked to be run again more often than it may");
            }
            WorkerEvent::JobRunsAgain { job, after: None } => {
                info!("Worker {worker}: job {} will run again", Shown::name(&job.id));
            }
            WorkerEvent::JobRunsAgain { job, after: Some(pause) } => {
                let (id, pause) = (Shown::name(&job.id), Counted(pause.as_secs(), "second"));
                info!("Worker {worker}: job {id} will run again in {pause}");
            }
            WorkerEvent::JobSkipped { id, reason } => skipped(worker, id, reason),
            WorkerEvent::JobCalledOff { id } => {
                let id = Shown::name(id);
                info!("Worker {worker}: job {id} was canceled, deleted or given back before it began");
            }
            // A worker that is short says so once, and not for each job that comes by.
            WorkerEvent::JobGivenBack { id } => {
                debug!("Worker {worker}: job {id} did not begin and was put back")
            }
            WorkerEvent::JobLost { id } => {
                let id = Shown::name(id);
                warn!(
                    "Worker {worker}: job {id} is no longer this worker's: it was canceled, deleted or taken for dead"
                );
            }
            WorkerEvent::NameAwaited { lease } => info!(
                "Worker {worker}: another worker has that name and seems to be gone; waiting for its leases, {} at least",
                Counted(lease.as_secs(), "second")
            ),
            WorkerEvent::JobSuperseded { id } => {
                info!(
                    "Worker {worker}: job {id} was enqueued anew while it ran: its record belongs to the next run"
                );
            }
            WorkerEvent::JobReaped { job, fate } => reaped(worker, job, fate),
            WorkerEvent::JobRepaired { id, found } => {
                info!("Worker {worker}: job {} {found}", Shown::name(id));
            }

            // Each cause has a line of its own.
            WorkerEvent::Draining { .. } => {}
            WorkerEvent::WarmStop { running } => warm_stop(worker, running),
            WorkerEvent::ColdStop => warn!("Worker {worker}: cold shut down"),
            WorkerEvent::ShutdownCommand => info!("Received shutdown command, sending SIGINT signal."),
            WorkerEvent::Stopping => info!("Worker {worker}: stopping on request"),
            WorkerEvent::BurstDone => info!("Worker {worker}: done, quitting"),
            WorkerEvent::BurstSuspended => info!("Worker {worker}: suspended in burst mode, exiting"),
            WorkerEvent::JobsReached { jobs } => {
                info!("Worker {worker}: finished executing {}, quitting", Counted(jobs, "job"));
            }
            WorkerEvent::IdleReached { idle } => {
                info!("Worker {worker}: idle for {}, quitting", Counted(idle.as_secs(), "second"));
            }
            WorkerEvent::Exhausted { reason } => error!("Worker {worker}: {reason}; taking no more jobs"),
            WorkerEvent::Short { reason, slots } => warn!(
                "Worker {worker}: {reason}; jobs that cannot begin are put back, and {slots} run at once until more can"
            ),
            WorkerEvent::ShortNoMore { slots } => {
                info!("Worker {worker}: jobs begin again, {slots} at once");
            }
            WorkerEvent::Suspended => info!("Worker {worker}: suspended, run `rq resume` to resume"),
            WorkerEvent::RegisteredAgain => {
                warn!("Worker {worker}: its record was gone from Redis and was written again");
            }

            WorkerEvent::State { text } => info!("Worker {worker} [PID {}]: {text}", std::process::id()),
            WorkerEvent::StateOfJob { job, since } => {
                let (call, age) = (job.described(), Clock(Timestamp::now().since(since)));
                info!("Worker {worker}: has run {call} ({}) for {age}s", Shown::name(&job.id));
            }
            WorkerEvent::StopCommand { job_id } => {
                info!("Worker {worker}: stopping job {} on request", Shown::name(job_id));
            }
            WorkerEvent::NotWorkingOn { job_id } => {
                warn!("Not working on job {}, command ignored.", Shown::name(job_id));
            }
            WorkerEvent::KillingHorses { horses } => {
                info!("Received kill horse command.");
                info!("Worker {worker}: killing {}", Counted(horses, "horse"));
            }
            WorkerEvent::NoHorseToKill => info!("Worker is not working, kill horse command ignored"),
            WorkerEvent::MessageIgnored { so_far } => {
                warn!("Worker {worker}: a message that is no command of RQ was ignored ({so_far} so far)");
            }

            WorkerEvent::SchedulerLockAcquired { queue } => {
                info!(queue, "Acquired scheduler lock for {queue}");
            }
            WorkerEvent::SchedulerLocksAcquired { queues } => {
                info!("Acquired scheduler locks for {}", Counted(queues, "queue"));
            }
            WorkerEvent::SchedulerLockLost { queue } => {
                warn!(queue, "Scheduler lock for {queue} was taken over by another scheduler");
            }
            WorkerEvent::NotScheduled { queue, reason } => {
                error!(queue, "Worker {worker}: jobs of {queue} are not scheduled: {reason}");
            }
            WorkerEvent::Unscheduled { jobs } => info!(
                "Worker {worker}: {} not enqueued: canceled, deleted or expired before their time came",
                Counted(jobs, "scheduled job")
            ),

            WorkerEvent::CleaningQueue { queue } => {
                info!(queue, "Worker {worker}: cleaning registries for queue: {queue}");
            }
            WorkerEvent::CleaningQueues { queues } => {
                info!("Worker {worker}: cleaning registries for {}", Counted(queues, "queue"));
            }
            WorkerEvent::GroupEnded { group, jobs } => info!(
                "Worker {worker}: all jobs of group {} have ended: {} that waited for it, queued",
                Shown::name(group),
                Counted(jobs, "job")
            ),
            WorkerEvent::CleaningGroups => info!("Worker {worker}: cleaning group registries"),
            WorkerEvent::WorkerBuried { key } => {
                info!("Worker {worker}: {key} has expired: that worker is taken off the books");
            }

            WorkerEvent::OutageOn { error, refused, lasts } => {
                let (lasts_s, what) = (
                    lasts.as_secs(),
                    if refused { "Redis refuses" } else { "could not connect to Redis instance" },
                );
                error!("Worker {worker}: {what}: {error}; retrying, for {lasts_s} s so far");
            }
            WorkerEvent::OutageOver { lasted } => {
                warn!("Worker {worker}: Redis answers again, after {:.1} s", lasted.as_secs_f32());
            }
            WorkerEvent::OutcomeNotTaken { id, outcome } => {
                error!("Worker {worker}: job {} is {outcome}, and Redis was never told", Shown::name(id));
            }
            WorkerEvent::Cron { scheduler, event } => CronLog.observe(scheduler, event),
            WorkerEvent::StepFailed { step, error } => error!("Worker {worker}: {step} failed: {error}"),
        }
    }
}

impl Log {
    fn began(self, worker: &str, job: &Job, queue: &str) {
        let (queue, id) = (Shown::name(queue).to_string(), Shown::name(&job.id));
        if self.descriptions {
            let call = job.described();
            info!(queue, call, "Worker {worker}: {queue}: {call} ({id})");
        } else {
            info!(queue, "Worker {worker}: {queue}: {id}");
        }
    }

    fn finished(self, worker: &str, job: &Job, queue: &str, ran: Duration, kept: Ttl) {
        let (queue, id) = (Shown::name(queue).to_string(), Shown::name(&job.id));
        let took = Clock(ran);
        if self.descriptions {
            let call = job.described();
            info!("Successfully completed {call} job in {took}s on worker {worker}");
        } else {
            info!("Successfully completed job {id} in {took}s on worker {worker}");
        }
        info!(queue, call = "Job OK", "Worker {worker}: {queue}: Job OK ({id})");
        match kept {
            Ttl::Seconds(0) => info!("Worker {worker}: job {id} result discarded immediately"),
            Ttl::Seconds(kept_s) => {
                info!("Worker {worker}: job {id} result is kept for {}", Counted(kept_s, "second"));
            }
            Ttl::Forever => {
                info!("Worker {worker}: job {id} result will never expire, clean up result key manually");
            }
        }
    }
}

/// The first of them, and how many more there are.
fn enumerated(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.split_at_checked(SHOWN) {
        Some((shown, more)) if !more.is_empty() => format!("{} and {} more", shown.join(", "), more.len()),
        _ => names.join(", "),
    }
}

impl Log {
    fn failed(self, worker: &str, job: &Job, text: &str) {
        let id = Shown::name(&job.id);
        let (what, text) = match self.descriptions {
            true => (job.described(), Cow::Borrowed(text)),
            false => (job.id.as_str(), without_argument(text)),
        };
        let head = format!("Worker {worker}: job {id}: exception raised while executing ({what}):");
        let (text, head) = (abridged(text.trim_end()), Shown::line(head));
        // A traceback stands together, below the line that says whose it is.
        let space = if text.contains('\n') { '\n' } else { ' ' };
        tracing::error!("{}", Shown::lines(format_args!("{head}{space}{text}")));
    }
}

/// The beginning and the end of what is too long for a log.
fn abridged(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * FAILURE_PART_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let head = &text[..text.floor_char_boundary(FAILURE_PART_BYTES_MAX)];
    let tail = &text[text.ceil_char_boundary(text.len() - FAILURE_PART_BYTES_MAX)..];
    let left_out = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}\n… ({left_out} bytes are left out here; the job's result has them)\n{tail}"))
}

fn callback_unknown(worker: &str, job: &Job, name: &str, waits: bool) {
    let (id, name) = (Shown::name(&job.id), Shown::name(name));
    match waits {
        true => warn!(
            "Worker {worker}: job {id}: this program has no callback {name}; the call waits for a day for a worker that has it"
        ),
        false => warn!("Worker {worker}: job {id}: this program has no callback {name}, so it is not called"),
    }
}

fn webhook_failed(worker: &str, letter: &Letter, error: &SendError, again_in: Option<Duration>) {
    let (id, to, error) = (Shown::name(&letter.job_id), letter.destination(), error.to_string());
    let (to, error) = (Shown::line(&to), Shown::line(&error));
    match again_in {
        Some(pause) => {
            let pause = Counted(pause.as_secs(), "second");
            warn!(
                "Worker {worker}: job {id}: a webhook to {to} was not sent, and is tried again in {pause}, by any worker that runs then: {error}"
            );
        }
        None => warn!("Worker {worker}: job {id}: a webhook to {to} is given up: {error}"),
    }
}

fn started(worker: &str, executor: &str, slots: usize) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let jobs = Counted(slots, "job");
    info!("Worker {worker}: started with PID {pid}, version {version}, {jobs} at once ({executor})");
}

fn warm_stop(worker: &str, running: usize) {
    info!("Worker {worker} [PID {}]: warm shut down requested", std::process::id());
    if running > 0 {
        let (jobs, them) = (Counted(running, "job"), if running == 1 { "it" } else { "them" });
        info!("Worker {worker}: finishing {jobs}; signal again to end {them}");
    }
}

fn skipped(worker: &str, id: &str, reason: &str) {
    let id = Shown::name(id);
    match reason {
        "gone" => warn!("Worker {worker}: job {id} skipped: it was deleted, or its time to live has passed"),
        "wrongtype" => warn!("Worker {worker}: job {id} skipped: its key holds no hash"),
        "wronglist" => warn!("Worker {worker}: queue {id} skipped: its key holds no list"),
        "nottext" => warn!("Worker {worker}: job {id} skipped: its id is not UTF-8"),
        "badorigin" => warn!("Worker {worker}: job {id} failed: its field `origin` is not UTF-8"),
        "badkeys" => {
            warn!("Worker {worker}: job {id} failed: rq:executions:{id} or rq:wip is no sorted set");
        }
        status => warn!("Worker {worker}: job {id} skipped: it is {status} already"),
    }
}

fn reaped(worker: &str, job: &Job, fate: ReapedFate) {
    let (id, silent) =
        (Shown::name(&job.id), Shown::name(job.worker_name.as_deref().unwrap_or("its worker")));
    match fate {
        ReapedFate::Waits => {
            info!("Worker {worker}: job {id} waits again: {silent} stopped heartbeating before it began");
        }
        ReapedFate::RunsAgain => {
            warn!("Worker {worker}: job {id} will run again: {silent} stopped heartbeating while it ran");
        }
        ReapedFate::Failed => {
            error!("Worker {worker}: job {id} failed: {silent} stopped heartbeating while it ran");
        }
    }
}

/// A duration as Python prints one: `0:00:00.002798`.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.as_secs(), self.0.subsec_micros());
        write!(f, "{}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_failure_both_ends_are_kept() {
        assert_eq!(abridged("oh no"), "oh no");
        let text = format!("Traceback\n{}\nValueError: no", "é\n".repeat(10_000));
        let short = abridged(&text);
        assert!(short.starts_with("Traceback\né") && short.ends_with("é\n\nValueError: no"), "{short}");
        assert!(short.len() < 6200 && short.contains("bytes are left out here"), "{short}");
    }

    #[test]
    fn durations_read_as_pythons() {
        for (duration, text) in [
            (Duration::from_micros(2798), "0:00:00.002798"),
            (Duration::from_millis(3_725_500), "1:02:05.500000"),
        ] {
            assert_eq!(Clock(duration).to_string(), text);
        }
    }
}
