//! The worker's log, in the lines that users of RQ know (CLI spec §2).

use std::fmt;
use std::time::Duration;

use rq_core::steps::settlement::Settlement;
use rq_core::steps::silent::Abandoned;
use rq_core::{Conclusion, Job, Next, Settled, Timestamp, Ttl};
use tracing::{error, info, warn};

/// Writes the log of one worker.
pub(crate) struct Report {
    worker: String,
    /// Whether lines say what is called, not only the job's id.
    descriptions: bool,
}

impl Report {
    pub(crate) fn new(worker: &str, descriptions: bool) -> Report {
        Report { worker: worker.to_owned(), descriptions }
    }

    pub(crate) fn started(&self, executor: &str, slots: usize) {
        let version = env!("CARGO_PKG_VERSION");
        let pid = std::process::id();
        info!(
            "Worker {}: started with PID {pid}, version {version}, {slots} jobs at once ({executor})",
            self.worker
        );
    }

    pub(crate) fn subscribing(&self, channel: &str) {
        info!("Worker {}: subscribing to channel {channel}", self.worker);
    }

    pub(crate) fn unsubscribing(&self, channel: &str) {
        info!("Worker {}: unsubscribing from channel {channel}", self.worker);
    }

    pub(crate) fn shutdown_command(&self) {
        info!("Received shutdown command, sending SIGINT signal.");
    }

    pub(crate) fn state(&self, state: &str) {
        info!("Worker {} [PID {}]: {state}", self.worker, std::process::id());
    }

    pub(crate) fn runs(&self, job: &Job, since: Timestamp) {
        let (call, age) = (job.described(), Clock(Timestamp::now().since(since)));
        info!("Worker {}: has run {call} ({}) for {age}s", self.worker, job.id);
    }

    pub(crate) fn horses_killed(&self, horses: usize) {
        info!("Received kill horse command.");
        info!("Worker {}: killing {horses} horses", self.worker);
    }

    pub(crate) fn kill_horse_ignored(&self) {
        info!("Worker is not working, kill horse command ignored");
    }

    pub(crate) fn not_working_on(&self, job_id: &str) {
        warn!("Not working on job {job_id}, command ignored.");
    }

    pub(crate) fn unknown_command(&self, so_far: u64) {
        warn!("Worker {}: a message that is no command of RQ was ignored ({so_far} so far)", self.worker);
    }

    pub(crate) fn listening(&self, queues: &[String]) {
        let queues = queues.join(", ");
        info!(queue = queues, "*** Listening on {queues}...");
    }

    pub(crate) fn begins(&self, queue: &str, job: &Job) {
        if self.descriptions {
            let call = job.described();
            info!(queue, call, "Worker {}: {queue}: {call} ({})", self.worker, job.id);
        } else {
            info!(queue, "Worker {}: {queue}: {}", self.worker, job.id);
        }
    }

    /// How an execution ended, before that is settled.
    pub(crate) fn ended(&self, job: &Job, settlement: &Settlement) {
        let worker = &self.worker;
        match &settlement.conclusion.settled {
            Settled::Finished(_) => {}
            Settled::Failed(text) | Settled::Again(Some(text)) => self.failed(job, text),
            Settled::Again(None) => {}
            Settled::Stopped(_) => {
                warn!("Worker {worker}: job {} stopped by user, moving job to FailedJobRegistry", job.id)
            }
            Settled::Exhausted => {
                error!("Worker {worker}: job {}: asked to be run again more often than it may", job.id)
            }
        }
    }

    /// An execution was settled.
    pub(crate) fn settled(&self, job: &Job, settlement: &Settlement) {
        if matches!(settlement.conclusion.settled, Settled::Finished(_)) {
            self.finished(job, settlement);
        }
        match settlement.conclusion.next {
            None => {}
            Some(Next::Head | Next::Tail) => info!("Worker {}: job {} will run again", self.worker, job.id),
            Some(Next::At(due_s)) => {
                let pause_s = due_s.saturating_sub(Timestamp::now().epoch_secs()).max(0);
                info!("Worker {}: job {} will run again in {pause_s} seconds", self.worker, job.id);
            }
        }
    }

    fn finished(&self, job: &Job, settlement: &Settlement) {
        let Settlement { claimed, conclusion, ran, .. } = settlement;
        let ttl = &conclusion.ttl;
        if self.descriptions {
            let (call, took) = (job.described(), Clock(*ran));
            info!("Successfully completed {call} job in {took}s on worker {}", self.worker);
        }
        let queue = &claimed.origin;
        info!(queue, call = "Job OK", "Worker {}: {queue}: Job OK ({})", self.worker, job.id);
        match ttl {
            Ttl::Seconds(0) => info!("Worker {}: job {} result discarded immediately", self.worker, job.id),
            Ttl::Seconds(kept_s) => {
                info!("Worker {}: job {} result is kept for {kept_s} seconds", self.worker, job.id)
            }
            Ttl::Forever => {
                info!(
                    "Worker {}: job {} result will never expire, clean up result key manually",
                    self.worker, job.id
                );
            }
        }
    }

    fn failed(&self, job: &Job, text: &str) {
        let what = if self.descriptions { job.described() } else { &job.id };
        error!("Worker {}: job {}: exception raised while executing ({what}): {text}", self.worker, job.id);
    }

    pub(crate) fn dropped(&self, id: &str, reason: &str) {
        let worker = &self.worker;
        match reason {
            "gone" => {
                warn!("Worker {worker}: job {id} skipped: it was deleted, or its time to live has passed")
            }
            "wrongtype" => warn!("Worker {worker}: job {id} skipped: its key holds no hash"),
            "wronglist" => warn!("Worker {worker}: queue {id} skipped: its key holds no list"),
            "nottext" => warn!("Worker {worker}: job {id} skipped: its id is not UTF-8"),
            "badorigin" => warn!("Worker {worker}: job {id} failed: its field `origin` is not UTF-8"),
            "badkeys" => {
                warn!("Worker {worker}: job {id} failed: rq:executions:{id} or rq:wip is no sorted set")
            }
            status => warn!("Worker {worker}: job {id} skipped: it is {status} already"),
        }
    }

    pub(crate) fn called_off(&self, id: &str) {
        info!("Worker {}: job {id} was canceled, deleted or given back before it began", self.worker);
    }

    pub(crate) fn lost(&self, id: &str) {
        warn!(
            "Worker {}: job {id} is no longer this worker's: it was canceled, deleted or taken for dead",
            self.worker
        );
    }

    pub(crate) fn reaped(&self, job: &Job, conclusion: &Conclusion, abandoned: Abandoned) {
        let (worker, id) = (&self.worker, &job.id);
        let silent = job.worker_name.as_deref().unwrap_or("its worker");
        match (abandoned, conclusion.next) {
            (Abandoned::PutBack, _) => {
                info!("Worker {worker}: job {id} waits again: {silent} fell silent before it began")
            }
            (_, Some(_)) => {
                warn!("Worker {worker}: job {id} will run again: {silent} fell silent while it ran")
            }
            (_, None) => error!("Worker {worker}: job {id} failed: {silent} fell silent while it ran"),
        }
    }

    pub(crate) fn scheduler_lock_acquired(&self, queue: &str) {
        info!(queue, "Acquired scheduler lock for {queue}");
    }

    pub(crate) fn scheduler_lock_lost(&self, queue: &str) {
        warn!(queue, "Scheduler lock for {queue} was taken over by another scheduler");
    }

    pub(crate) fn not_scheduled(&self, queue: &str, reason: &str) {
        error!(queue, "Worker {}: jobs of {queue} are not scheduled: {reason}", self.worker);
    }

    pub(crate) fn unscheduled(&self, jobs: usize) {
        if jobs > 0 {
            info!(
                "Worker {}: {jobs} scheduled jobs were not enqueued: canceled, deleted or expired before they were due",
                self.worker
            );
        }
    }

    pub(crate) fn unreachable(&self, error: &dyn fmt::Display, pause: Duration) {
        let pause_s = pause.as_secs_f32();
        error!(
            "Worker {}: could not connect to Redis instance: {error} retrying in {pause_s} seconds...",
            self.worker
        );
    }

    pub(crate) fn refused(&self, step: &str, error: &dyn fmt::Display) {
        error!("Worker {}: {step} failed: {error}", self.worker);
    }

    pub(crate) fn suspended(&self) {
        info!("Worker {}: suspended, run `rq resume` to resume", self.worker);
    }

    pub(crate) fn suspended_in_burst(&self) {
        info!("Worker {}: suspended in burst mode, exiting", self.worker);
    }

    pub(crate) fn warm_stop(&self, running: usize) {
        info!("Worker {} [PID {}]: warm shut down requested", self.worker, std::process::id());
        if running > 0 {
            info!("Worker {}: finishing {running} jobs; signal again to end them", self.worker);
        }
    }

    pub(crate) fn cold_stop(&self) {
        warn!("Worker {}: cold shut down", self.worker);
    }

    pub(crate) fn stopping(&self) {
        info!("Worker {}: stopping on request", self.worker);
    }

    pub(crate) fn done(&self) {
        info!("Worker {}: done, quitting", self.worker);
    }

    pub(crate) fn max_jobs(&self, jobs: u64) {
        info!("Worker {}: finished executing {jobs} jobs, quitting", self.worker);
    }

    pub(crate) fn idle(&self, idle: Duration) {
        info!("Worker {}: idle for {} seconds, quitting", self.worker, idle.as_secs());
    }

    pub(crate) fn exhausted(&self, reason: &str) {
        error!("Worker {}: {reason}; taking no more jobs", self.worker);
    }

    pub(crate) fn cleaning_queue(&self, queue: &str) {
        info!(queue, "Worker {}: cleaning registries for queue: {queue}", self.worker);
    }

    pub(crate) fn cleaning_groups(&self) {
        info!("Worker {}: cleaning group registries", self.worker);
    }

    /// What maintenance found about a job, and did.
    pub(crate) fn repaired(&self, id: &str, found: &str) {
        info!("Worker {}: job {id} {found}", self.worker);
    }

    /// Maintenance took a worker off the books; `key` is that of its record.
    pub(crate) fn buried(&self, key: &str) {
        info!("Worker {}: {key} has expired: that worker is taken off the books", self.worker);
    }

    pub(crate) fn registered_again(&self) {
        warn!("Worker {}: its record was gone from Redis and was written again", self.worker);
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
