//! [`Shutdown`]: how far the worker is on its way out; on request, and by itself where the options say so.

use std::fmt;
use std::time::{Duration, Instant};

use rq_core::Ended;
use rq_core::steps::worker as steps;

use super::Dispatcher;
use super::running::Cause;
use crate::error::WorkerError;
use crate::event::{DrainCause, WorkerEvent};

/// How long a cold stop waits for running jobs to end by themselves.
const COLD_GRACE: Duration = Duration::from_secs(2);
/// How long the worker then waits for Redis to take the last settlements: all in all a cold stop takes 3 s at most, and under `-w
/// fork` one more where what jobs have started does not end by SIGTERM.
const LEAVE_GRACE: Duration = Duration::from_millis(600);
/// How long a worker on its way out waits for Redis to take off its record.
const UNREGISTER_LIMIT: Duration = Duration::from_millis(300);
/// How long a worker that has nothing left to hand in waits for a Redis that takes nothing else.
const COURTESY_LIMIT: Duration = Duration::from_secs(1);
/// How long a worker on its way out tries to hand in what became of its jobs, where no stop timeout says so.
const HAND_IN_LONGEST: Duration = Duration::from_secs(60);

/// How far the worker is on its way out.
#[derive(Default)]
pub(super) struct Shutdown {
    phase: Phase,
    /// Whether it was told why the worker leaves.
    has_told: bool,
    /// Whether somebody has asked it to.
    was_asked: bool,
    /// When a warm stop turns cold.
    cold_at: Option<Instant>,
    /// Why the worker must end with an error, once it has drained.
    broken: Option<WorkerError>,
    /// Since when the worker, on its way out, has nothing left that runs.
    ended_since: Option<Instant>,
    /// Since when nothing runs; `None` while something does.
    idle_since: Option<Instant>,
    /// The jobs of which Redis was never told what became of them, and what that is, in a word.
    not_taken: Vec<(String, &'static str)>,
}

/// The phases, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The worker is not on its way out.
    #[default]
    Working,
    /// The worker claims no more jobs, and waits for those that run.
    Draining,
    /// The worker has asked the jobs that run to end, and gives up waiting for them then.
    Ending(Instant),
    /// Nothing runs any more; the worker leaves then, whether or not Redis has answered.
    Leaving(Instant),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Working => "Working",
            Phase::Draining => "Stopping warm",
            Phase::Ending(_) => "Stopping cold",
            Phase::Leaving(_) => "Leaving",
        })
    }
}

impl Shutdown {
    /// Whether the worker is not on its way out.
    pub(super) fn is_working(&self) -> bool {
        self.phase == Phase::Working
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether what runs is being ended.
    pub(super) fn is_cold(&self) -> bool {
        matches!(self.phase, Phase::Ending(_) | Phase::Leaving(_))
    }

    /// How the worker has ended.
    pub(super) fn result(&mut self) -> Result<(), WorkerError> {
        let outcomes = std::mem::take(&mut self.not_taken);
        if !outcomes.is_empty() {
            return Err(WorkerError::OutcomesNotTaken { outcomes });
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Notes a job of which Redis was never told what became of it.
    pub(super) fn note_not_taken(&mut self, outcome: Option<(String, &'static str)>) {
        self.not_taken.extend(outcome);
    }

    /// When a warm stop turns cold.
    fn cold_at(&self) -> Option<Instant> {
        // Used up once the stop is cold: a time that has passed would be looked at for ever.
        self.cold_at.filter(|_| self.phase == Phase::Draining)
    }

    /// When the phase ends, even if no event comes.
    fn phase_ends_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Working | Phase::Draining => None,
            Phase::Ending(by) | Phase::Leaving(by) => Some(by),
        }
    }
}

fn is_past(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}

impl Dispatcher {
    /// Stops the worker: warm at the first request, cold at the second, and at the third without waiting for jobs.
    pub(super) fn stop(&mut self) {
        match self.shutdown.phase {
            Phase::Working => self.stop_warm(),
            Phase::Draining => self.stop_cold(),
            Phase::Ending(_) => self.end_what_runs(),
            Phase::Leaving(_) => {}
        }
    }

    /// The worker claims no more jobs, and waits for those that run.
    pub(super) fn stop_warm(&mut self) {
        if !self.shutdown.is_working() {
            return;
        }
        self.drain(DrainCause::Asked);
        self.shutdown.was_asked = true;
        // A timeout beyond the end of the clock is none.
        let timeout = self.options.stop_timeout;
        self.shutdown.cold_at = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // What is being fetched may be marked as begun already, so it runs, too.
        let running = self.running.occupied() + self.claiming.fetching().len();
        self.observers.tell(WorkerEvent::WarmStop { running });
        self.report_shutdown();
    }

    /// The worker asks the jobs that run to end, and waits for that for a short time.
    pub(super) fn stop_cold(&mut self) {
        self.stop_warm();
        // A second cold stop neither begins the grace anew nor tells the jobs once more.
        if self.shutdown.phase != Phase::Draining {
            return;
        }
        self.shutdown.phase = Phase::Ending(Instant::now() + COLD_GRACE);
        self.observers.tell(WorkerEvent::ColdStop);
        for claimed in self.running.all() {
            // One that waits for its settlement is not changed by this: its failure was judged when it ended.
            self.stop_execution(&claimed.id, Cause::ShutDown);
        }
        self.stop_calls();
    }

    /// The grace of a cold stop is over: the worker settles the jobs that still run as failed, without waiting for
    /// them.
    fn end_what_runs(&mut self) {
        self.shutdown.phase = Phase::Leaving(Instant::now() + LEAVE_GRACE);
        for claimed in self.running.all() {
            let outcome = Err(self.running.end_by_force(&claimed.id));
            // A failure callback that runs on until the process ends has been called.
            let called_back = self.executor.has_called_back(&claimed.id);
            // Does nothing for those that have ended by themselves and only wait for Redis.
            self.on_ended(&claimed.id, Ended { outcome, ran: Duration::ZERO, called_back });
        }
    }

    /// Goes on to the next phase, if it is time for that.
    pub(super) fn look_at_shutdown(&mut self) {
        if is_past(self.shutdown.cold_at()) {
            self.stop_cold();
        }
        if matches!(self.shutdown.phase, Phase::Ending(by) if is_past(Some(by))) {
            self.end_what_runs();
        }
        if is_past(self.hand_in_by()) {
            self.shutdown.phase = Phase::Leaving(Instant::now());
        }
    }

    /// When [`look_at_shutdown`](Dispatcher::look_at_shutdown) must be called even if no event comes.
    pub(super) fn next_look_at_shutdown(&self) -> Option<Instant> {
        // While a claim is unanswered nothing can be decided, and a time that has passed would be looked at for ever.
        let may_stop = self.shutdown.is_working() && self.claiming.is_over() && !self.shortage.is_pausing();
        let idle_since = self.shutdown.idle_since.filter(|_| may_stop);
        let idle_ends_at = idle_since.zip(self.options.max_idle).map(|(since, max)| since + max);
        let looks = [
            self.shutdown.phase_ends_at(),
            self.shutdown.cold_at(),
            idle_ends_at,
            self.hand_in_by(),
            // One that has passed would be looked at for ever, while webhooks are still sent.
            self.courtesies_end_at().filter(|at| *at > Instant::now()),
            self.parting_ends_at(self.shutdown.ended_since),
        ];
        looks.into_iter().flatten().min()
    }

    /// When a worker on its way out, whose jobs have ended, gives up handing in what became of them.
    fn hand_in_by(&self) -> Option<Instant> {
        // Where there is a stop timeout, that turns the stop cold, which ends in seconds.
        let by_itself = self.shutdown.phase == Phase::Draining && self.options.stop_timeout.is_none();
        let since = self.shutdown.ended_since.filter(|_| by_itself)?;
        Some(since + HAND_IN_LONGEST)
    }

    /// When a worker on its way out, which has nothing to hand in, no longer waits for a Redis that takes nothing.
    fn courtesies_end_at(&self) -> Option<Instant> {
        let since = self.shutdown.ended_since.filter(|_| self.holds_nothing())?;
        Some(since.max(self.outage.answered_at()) + COURTESY_LIMIT)
    }

    /// If Redis has refused what the worker sent for as long as that was to be tried, the worker drains, and ends with that
    /// error.
    pub(super) fn leave_refused(&mut self, error: rq_core::Error) {
        if self.shutdown.is_working() {
            self.drain(DrainCause::Refused { error: &error.to_string() });
        }
        self.shutdown.broken.get_or_insert(WorkerError::Refused { source: error });
    }

    /// If nothing could be begun for so long, the worker drains, and ends with that error.
    pub(super) fn leave_short(&mut self, reason: String, lasted: Duration) {
        if self.shutdown.is_working() {
            self.observers.tell(WorkerEvent::Exhausted { reason: &reason });
            self.drain(DrainCause::Exhausted { reason: &reason });
            self.shutdown.broken.get_or_insert(WorkerError::Short { reason, lasted });
        }
    }

    /// If its executor takes no more jobs, the worker drains, and ends with that error.
    pub(super) fn look_at_executor(&mut self) {
        if !self.shutdown.is_working() {
            return;
        }
        if let Some(reason) = self.executor.exhausted() {
            self.observers.tell(WorkerEvent::Exhausted { reason: &reason });
            self.drain(DrainCause::Exhausted { reason: &reason });
            // Kept until what runs has ended: the error then has a supervisor start a fresh worker.
            self.shutdown.broken = Some(WorkerError::Exhausted { reason });
        }
    }

    /// Stops the worker if its options say so: at the end of a burst, after so many jobs, after being idle so long.
    pub(super) fn consider_stopping(&mut self) {
        // Before any return: the calls also note since when nothing has run.
        let idle_for = self.idle_for();
        self.note_ended();
        self.tell_jobs_reached();
        // `running` holds what is not settled yet, too: left now, it would wait for its lease to end.
        if !self.shutdown.is_working() || !self.running.is_empty() || !self.claiming.is_over() {
            return;
        }
        // There is work, which the worker is about to try again.
        if self.shortage.is_pausing() {
            return;
        }
        let (why, cause) = if self.claiming.jobs_left() == Some(0) {
            let jobs = self.claiming.jobs_begun();
            (WorkerEvent::JobsReached { jobs }, DrainCause::JobsReached { jobs })
        } else if self.options.burst && self.claiming.suspended() {
            // As in RQ: a burst does not wait until workers are resumed (docs/wire.md §8.5).
            (WorkerEvent::BurstSuspended, DrainCause::BurstSuspended)
        } else if self.options.burst && self.claiming.queues_empty() && self.has_tidied() {
            (WorkerEvent::BurstDone, DrainCause::BurstDone)
        } else if self.options.max_idle.is_some_and(|max| idle_for >= max) {
            (WorkerEvent::IdleReached { idle: idle_for }, DrainCause::IdleReached { idle: idle_for })
        } else {
            return;
        };
        self.observers.tell(why);
        self.drain(cause);
    }

    /// Tells, as soon as the last job has begun that the worker may run, that it leaves: somebody may start another one while
    /// that job runs.
    fn tell_jobs_reached(&mut self) {
        if self.shutdown.is_working() && self.claiming.jobs_left() == Some(0) && self.claiming.is_over() {
            self.tell_draining(DrainCause::JobsReached { jobs: self.claiming.jobs_begun() });
        }
    }

    fn drain(&mut self, cause: DrainCause<'_>) {
        self.shutdown.phase = Phase::Draining;
        self.tell_draining(cause);
    }

    /// Tells why the worker leaves, unless it was told.
    fn tell_draining(&mut self, cause: DrainCause<'_>) {
        if !std::mem::replace(&mut self.shutdown.has_told, true) {
            self.observers.tell(WorkerEvent::Draining { cause });
        }
    }

    /// How long nothing has run.
    fn idle_for(&mut self) -> Duration {
        if self.holds_nothing() {
            self.shutdown.idle_since.get_or_insert_with(Instant::now).elapsed()
        } else {
            self.shutdown.idle_since = None;
            Duration::ZERO
        }
    }

    /// Notes since when a worker on its way out has nothing left that runs.
    fn note_ended(&mut self) {
        // What is being fetched does not run yet, and will not if Redis stays away.
        let has_ended = self.running.occupied() == 0 && !self.is_calling() && !self.shutdown.is_working();
        let since = self.shutdown.ended_since.or_else(|| Some(Instant::now()));
        self.shutdown.ended_since = since.filter(|_| has_ended);
    }

    /// Whether a burst may end as far as it concerns jobs that other workers left, and dependents of those that have
    /// ended: reaping and maintenance have run once, and the worker has claimed what they put into queues. Or what their ends
    /// call for. It may be
    /// the only worker, and nobody would run those jobs.
    fn has_tidied(&self) -> bool {
        self.reaping.is_done()
            && self.outbox.is_done()
            && self.group_ends.is_done()
            && !self.settling.is_releasing()
            && !self.maintenance.is_under_way()
            && !self.claiming.is_refilled()
    }

    /// Whether a worker on its way out has nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        match self.shutdown.phase {
            Phase::Working => false,
            // What Redis has not taken by now is left to the leases: other workers take it over.
            Phase::Leaving(by) if is_past(Some(by)) => true,
            // Fetched jobs may count as begun in Redis, and would be taken for abandoned.
            _ => {
                self.holds_nothing()
                    && self.settling.waiting() == 0
                    && self.has_emptied_outbox(self.shutdown.ended_since)
                    && (self.courtesies_are_done() || is_past(self.courtesies_end_at()))
            }
        }
    }

    /// Whether a worker on its way out has left Redis in order. Claimed jobs that nobody puts back wait for their leases to
    /// end, dependents for a round of maintenance, and locks that a scheduler leaves behind keep others from its queues
    /// for 61 s: so these come first, but not at the price of waiting for a Redis that is away.
    fn courtesies_are_done(&self) -> bool {
        self.claiming.is_over() && !self.settling.is_releasing() && !self.has_locks()
    }

    /// Removes the worker's record.
    pub(super) async fn unregister(&mut self) {
        let is_warm = self.shutdown.phase == Phase::Draining && self.shutdown.broken.is_none();
        if is_warm && self.shutdown.was_asked {
            self.observers.tell(WorkerEvent::Stopping);
        }
        // Sent once: who leaves waits for no outage, and a record that is not renewed expires by itself.
        // With it the last state: the worker leaves as soon as the last job is settled, and a heartbeat of its own would be
        // overtaken.
        let death = steps::death(&self.who, &self.options.queues, self.state().unwrap_or("idle"));
        match tokio::time::timeout(UNREGISTER_LIMIT, self.link.run(&death)).await {
            Ok(death) => drop(self.reported("unregistering", death)),
            Err(_) => self.observers.step_failed("unregistering", &"redis does not answer"),
        }
        self.observers.tell(WorkerEvent::Unsubscribing { channel: self.commands.channel() });
    }
}
