//! Stopping: by signals, by commands, and by itself where the options say so.

use std::time::{Duration, Instant};

use rq_core::steps::worker::{self as steps, News};
use rq_core::{Ended, ExecutionId, Failure, Stop, Timestamp};

use super::{Course, Dispatcher};
use crate::commands::Command;
use crate::error::WorkerError;

/// How long a cold stop waits for running jobs to end by themselves.
const COLD_GRACE: Duration = Duration::from_secs(2);
/// How long it then waits for Redis to take what is left to say.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

impl Dispatcher {
    pub(super) fn absorb_command(&mut self, command: Command) {
        match command {
            Command::Shutdown => {
                self.report.shutdown_command();
                // As one signal: a second one must come from the system.
                if self.course == Course::Working {
                    self.absorb_signal();
                }
            }
            Command::KillHorse => self.kill_horses(),
            Command::StopJob { job_id } => self.stop_executions(&job_id, None),
            Command::StopExecution { job_id, execution_id } => {
                self.stop_executions(&job_id, Some(&execution_id));
            }
            Command::Unknown => {
                self.unknown_commands += 1;
                self.report.unknown_command(self.unknown_commands);
            }
        }
    }

    fn kill_horses(&mut self) {
        let mut killed = 0;
        for claimed in self.running.all() {
            killed += usize::from(self.executor.crash(&claimed.id));
        }
        if killed > 0 { self.report.horses_killed(killed) } else { self.report.kill_horse_ignored() }
    }

    /// Stops the runs of a job, or the one that is named.
    fn stop_executions(&mut self, job_id: &str, x: Option<&str>) {
        let asked = |id: &ExecutionId| id.job_id() == job_id && x.is_none_or(|x| x == id.x());
        let running = self.running.all();
        let mut ids = running.iter().map(|claimed| &claimed.id).filter(|id| asked(id)).peekable();
        if ids.peek().is_none() {
            return self.report.not_working_on(job_id);
        }
        for id in ids {
            self.executor.stop(id, Stop::Kill);
        }
    }

    pub(super) fn absorb_signal(&mut self) {
        match self.course {
            Course::Working => {
                self.course = Course::Draining;
                self.cold_at =
                    self.options.stop_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
                self.report.warm_stop(self.running.occupied() + self.fetching);
                if !self.running.is_empty() {
                    let news = News { shutdown_requested: Some(Timestamp::now()), ..News::default() };
                    self.start_heartbeat(news, Vec::new());
                }
            }
            Course::Draining => self.stop_cold(),
            Course::Ending(_) => self.end_what_runs(),
            Course::Leaving(_) => {}
        }
    }

    fn stop_cold(&mut self) {
        self.course = Course::Ending(Instant::now() + COLD_GRACE);
        self.report.cold_stop();
        for claimed in self.running.all() {
            self.executor.stop(&claimed.id, Stop::Kill);
        }
    }

    /// The grace of a cold stop is over: what still runs is settled as failed, here, and its end no longer waited for.
    fn end_what_runs(&mut self) {
        self.course = Course::Leaving(Instant::now() + LEAVE_GRACE);
        for claimed in self.running.all() {
            self.absorb_ended(&claimed.id, Ended { outcome: Err(Failure::Stopped), ran: Duration::ZERO });
        }
    }

    pub(super) fn absorb_look(&mut self) {
        if self.claim_after.is_some_and(|after| after <= Instant::now()) {
            self.claim_after = None;
            self.queues_empty = false;
        }
        if self.cold_stop_due().is_some_and(|due| due <= Instant::now()) {
            self.stop_cold();
        }
        if matches!(self.course, Course::Ending(by) if by <= Instant::now()) {
            self.end_what_runs();
        }
    }

    pub(super) fn heed_exhaustion(&mut self) {
        if self.course != Course::Working {
            return;
        }
        if let Some(reason) = self.executor.exhausted() {
            self.report.exhausted(&reason);
            self.broken = Some(WorkerError::Exhausted { reason });
            self.course = Course::Draining;
        }
    }

    /// Stops by itself where the options say so.
    pub(super) fn consider_stopping(&mut self) {
        if !self.running.is_empty() || self.fetching > 0 {
            self.idle_since = Instant::now();
        }
        if !self.is_idle() || self.course != Course::Working {
            return;
        }
        if self.jobs_left() == Some(0) {
            self.report.max_jobs(self.jobs_begun);
            self.course = Course::Draining;
        } else if self.options.burst && self.suspended {
            self.report.suspended_in_burst();
            self.course = Course::Draining;
        } else if self.options.burst && self.queues_empty && self.has_tidied() {
            self.report.done();
            self.course = Course::Draining;
        } else if self.options.max_idle.is_some_and(|max| self.idle_since.elapsed() >= max) {
            self.report.idle(self.idle_since.elapsed());
            self.course = Course::Draining;
        }
    }

    /// Whether a burst may end, as far as jobs are concerned that others left, or that wait for those which ended: the
    /// looks at its start are over, and what they put into queues has been claimed.
    fn has_tidied(&self) -> bool {
        self.looked && !self.reaping && self.releases_under_way == 0 && !self.maintaining && !self.refilled
    }

    /// Whether there is no job and none is being asked for.
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.fetching == 0 && self.claiming() == 0
    }

    /// Whether nothing is left to do on the way out.
    pub(super) fn is_over(&self) -> bool {
        match self.course {
            Course::Working => false,
            Course::Leaving(by) if by <= Instant::now() => true,
            _ => {
                let taking_on =
                    self.claiming() + self.fetching + self.put_backs_under_way + self.releases_under_way;
                taking_on == 0
                    && self.schedule.is_none()
                    && self.running.is_empty()
                    && self.unsettled.is_empty()
            }
        }
    }

    /// When a warm stop has taken long enough.
    fn cold_stop_due(&self) -> Option<Instant> {
        self.cold_at.filter(|_| self.course == Course::Draining)
    }

    /// A bell is of use while a slot is free and the queues were empty.
    pub(super) fn wants_bell(&self) -> bool {
        self.queues_empty
            && self.wanted() > 0
            && self.claiming() == 0
            && self.claim_after.is_none()
            && !self.options.burst
    }

    /// When the state must be looked at even if nothing happens.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let idle_end = match self.options.max_idle {
            Some(max) if self.course == Course::Working && self.is_idle() => Some(self.idle_since + max),
            _ => None,
        };
        let ending = match self.course {
            Course::Ending(by) | Course::Leaving(by) => Some(by),
            Course::Working | Course::Draining => None,
        };
        let gathered = [self.claim_gathers_until(), self.settlement_gathers_until()];
        [self.claim_after, idle_end, ending, self.cold_stop_due()].into_iter().chain(gathered).flatten().min()
    }

    pub(super) async fn unregister(&mut self) {
        if self.course == Course::Draining && self.broken.is_none() && !self.options.burst {
            self.report.stopping();
        }
        let death = self.link.take(&steps::death(&self.who, &self.options.queues)).await;
        self.tell_refused("unregistering", death);
        self.report.unsubscribing(self.commands.channel());
    }
}
