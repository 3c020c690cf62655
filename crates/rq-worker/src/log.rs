//! [`Log`]: the observer that writes a worker's log, in the lines that users of RQ know (docs/cli.md §2).

use std::fmt;
use std::time::Duration;

use rq_core::{Job, Timestamp, Ttl, without_argument};
use tracing::{error, info, warn};

use crate::event::{Observer, ReapedFate, WorkerEvent};

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
            WorkerEvent::JobFailed { job, text } => {
                let id = &job.id;
                let (what, text) = match self.descriptions {
                    true => (job.described(), text.into()),
                    false => (id.as_str(), without_argument(text)),
                };
                error!("Worker {worker}: job {id}: exception raised while executing ({what}): {text}");
            }
            WorkerEvent::JobStopped { job } => {
                warn!("Worker {worker}: job {} stopped by user, moving job to FailedJobRegistry", job.id);
            }
            WorkerEvent::JobExhausted { job } => {
                error!("Worker {worker}: job {}: asked to be run again more often than it may", job.id);
            }
            WorkerEvent::JobRunsAgain { job, after: None } => {
                info!("Worker {worker}: job {} will run again", job.id);
            }
            WorkerEvent::JobRunsAgain { job, after: Some(pause) } => {
                info!("Worker {worker}: job {} will run again in {} seconds", job.id, pause.as_secs());
            }
            WorkerEvent::JobSkipped { id, reason } => skipped(worker, id, reason),
            WorkerEvent::JobCalledOff { id } => {
                info!("Worker {worker}: job {id} was canceled, deleted or given back before it began");
            }
            WorkerEvent::JobLost { id } => {
                warn!(
                    "Worker {worker}: job {id} is no longer this worker's: it was canceled, deleted or taken for dead"
                );
            }
            WorkerEvent::JobReaped { job, fate } => reaped(worker, job, fate),
            WorkerEvent::JobRepaired { id, found } => info!("Worker {worker}: job {id} {found}"),

            WorkerEvent::WarmStop { running } => warm_stop(worker, running),
            WorkerEvent::ColdStop => warn!("Worker {worker}: cold shut down"),
            WorkerEvent::ShutdownCommand => info!("Received shutdown command, sending SIGINT signal."),
            WorkerEvent::Stopping => info!("Worker {worker}: stopping on request"),
            WorkerEvent::BurstDone => info!("Worker {worker}: done, quitting"),
            WorkerEvent::BurstSuspended => info!("Worker {worker}: suspended in burst mode, exiting"),
            WorkerEvent::JobsReached { jobs } => {
                info!("Worker {worker}: finished executing {jobs} jobs, quitting");
            }
            WorkerEvent::IdleReached { idle } => {
                info!("Worker {worker}: idle for {} seconds, quitting", idle.as_secs());
            }
            WorkerEvent::Exhausted { reason } => error!("Worker {worker}: {reason}; taking no more jobs"),
            WorkerEvent::Suspended => info!("Worker {worker}: suspended, run `rq resume` to resume"),
            WorkerEvent::RegisteredAgain => {
                warn!("Worker {worker}: its record was gone from Redis and was written again");
            }

            WorkerEvent::State { text } => info!("Worker {worker} [PID {}]: {text}", std::process::id()),
            WorkerEvent::StateOfJob { job, since } => {
                let (call, age) = (job.described(), Clock(Timestamp::now().since(since)));
                info!("Worker {worker}: has run {call} ({}) for {age}s", job.id);
            }
            WorkerEvent::StopCommand { job_id } => info!("Worker {worker}: stopping job {job_id} on request"),
            WorkerEvent::NotWorkingOn { job_id } => warn!("Not working on job {job_id}, command ignored."),
            WorkerEvent::KillingHorses { horses } => {
                info!("Received kill horse command.");
                info!("Worker {worker}: killing {horses} horses");
            }
            WorkerEvent::NoHorseToKill => info!("Worker is not working, kill horse command ignored"),
            WorkerEvent::MessageIgnored { so_far } => {
                warn!("Worker {worker}: a message that is no command of RQ was ignored ({so_far} so far)");
            }

            WorkerEvent::SchedulerLockAcquired { queue } => {
                info!(queue, "Acquired scheduler lock for {queue}");
            }
            WorkerEvent::SchedulerLockLost { queue } => {
                warn!(queue, "Scheduler lock for {queue} was taken over by another scheduler");
            }
            WorkerEvent::NotScheduled { queue, reason } => {
                error!(queue, "Worker {worker}: jobs of {queue} are not scheduled: {reason}");
            }
            WorkerEvent::Unscheduled { jobs } => info!(
                "Worker {worker}: {jobs} scheduled jobs were not enqueued: canceled, deleted or expired before they \
                 were due"
            ),

            WorkerEvent::CleaningQueue { queue } => {
                info!(queue, "Worker {worker}: cleaning registries for queue: {queue}");
            }
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
                error!("Worker {worker}: job {id} is {outcome}, and Redis was never told");
            }
            WorkerEvent::StepFailed { step, error } => error!("Worker {worker}: {step} failed: {error}"),
        }
    }
}

impl Log {
    fn began(self, worker: &str, job: &Job, queue: &str) {
        let id = &job.id;
        if self.descriptions {
            let call = job.described();
            info!(queue, call, "Worker {worker}: {queue}: {call} ({id})");
        } else {
            info!(queue, "Worker {worker}: {queue}: {id}");
        }
    }

    fn finished(self, worker: &str, job: &Job, queue: &str, ran: Duration, kept: Ttl) {
        let id = &job.id;
        if self.descriptions {
            let (call, took) = (job.described(), Clock(ran));
            info!("Successfully completed {call} job in {took}s on worker {worker}");
        }
        info!(queue, call = "Job OK", "Worker {worker}: {queue}: Job OK ({id})");
        match kept {
            Ttl::Seconds(0) => info!("Worker {worker}: job {id} result discarded immediately"),
            Ttl::Seconds(kept_s) => info!("Worker {worker}: job {id} result is kept for {kept_s} seconds"),
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

fn started(worker: &str, executor: &str, slots: usize) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    info!("Worker {worker}: started with PID {pid}, version {version}, {slots} jobs at once ({executor})");
}

fn warm_stop(worker: &str, running: usize) {
    info!("Worker {worker} [PID {}]: warm shut down requested", std::process::id());
    if running > 0 {
        info!("Worker {worker}: finishing {running} jobs; signal again to end them");
    }
}

fn skipped(worker: &str, id: &str, reason: &str) {
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
    let (id, silent) = (&job.id, job.worker_name.as_deref().unwrap_or("its worker"));
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
    fn durations_read_as_pythons() {
        for (duration, text) in [
            (Duration::from_micros(2798), "0:00:00.002798"),
            (Duration::from_millis(3_725_500), "1:02:05.500000"),
        ] {
            assert_eq!(Clock(duration).to_string(), text);
        }
    }
}
