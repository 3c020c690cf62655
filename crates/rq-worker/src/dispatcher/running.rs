//! [`Running`]: the executions this worker has begun and not settled yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rq_core::steps::Claimed;
use rq_core::steps::settlement::Settlement;
use rq_core::{Conclusion, Ended, Execution, ExecutionId, Failure, Fields, Host, Job, Timestamp};

use super::admission::Room;
use super::pace::Pace;
use crate::options::Options;

/// The executions this worker has begun and not settled yet.
#[derive(Default)]
pub(crate) struct Running {
    runs: HashMap<ExecutionId, Run>,
    held: Held,
    occupied: usize,
    pace: Pace,
    /// Whether death penalties replace the limits of what runs.
    replaces_limits: bool,
}

/// The ids of a worker's executions, for what is under way beside its loop.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashSet<ExecutionId>>>);

impl Held {
    /// Whether this worker has it now.
    pub(crate) fn has(&self, id: &ExecutionId) -> bool {
        self.ids().contains(id)
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<ExecutionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) job: Arc<Job>,
    claimed: Claimed,
    claimed_at: Timestamp,
    /// How long it may run; `None` also where nobody here knows.
    limit: Option<Duration>,
    /// When the executor got it.
    started_at: Instant,
    /// Why the worker asked it to end, and when: the first cause counts.
    cause: Option<(Cause, Instant)>,
    /// The newest meta the job has saved.
    meta: Option<Vec<u8>>,
    /// Whether it has a slot.
    occupies: bool,
    /// The room that its payload takes, until it ends.
    room: Option<Room>,
    /// Whether it took some.
    pub(crate) had_room: bool,
    /// What became of it, in a word, once it has ended.
    pub(crate) outcome: Option<&'static str>,
    /// Whether Redis no longer holds it as this worker's, and that was reported.
    pub(crate) lost: bool,
}

/// Why this worker has an execution end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody asked for that.
    Asked,
    /// The worker stops cold.
    ShutDown,
}

/// How beginning an execution went.
pub(crate) enum Begun {
    /// It runs; its job belongs to this queue.
    Runs(Execution, String),
    /// Its job's record cannot be read.
    Malformed(Failure),
}

impl Running {
    pub(crate) fn new(replaces_limits: bool) -> Running {
        Running { replaces_limits, ..Running::default() }
    }

    /// The limit that an executor gets which has nothing else to end by.
    pub(crate) fn limit_for_executor(&self, limit: Option<Duration>) -> Option<Duration> {
        limit.filter(|_| !self.replaces_limits)
    }

    /// Writes down an execution whose job was fetched.
    pub(crate) fn begin<H: Host + 'static>(
        &mut self,
        claimed: Claimed,
        fields: Fields,
        host: &Arc<H>,
    ) -> Begun {
        let id = claimed.id.clone();
        let origin = claimed.origin.clone();
        let (job, malformed) = match Job::from_fields(id.job_id(), fields) {
            Ok(job) => (job, None),
            // Of a record that cannot be read no retries are known, so its job fails, and has to be settled for that.
            Err(error) => (Job::new(id.job_id(), &*origin, Vec::new()), Some(error)),
        };
        let job = Arc::new(job);
        let limit = self.limit_for_executor(job.limit());
        // `claim.lua` wrote this time into the job and into the execution's own record.
        let claimed_at = job.started_at.unwrap_or_else(Timestamp::now);
        let run = Run {
            job: Arc::clone(&job),
            claimed,
            claimed_at,
            limit,
            started_at: Instant::now(),
            cause: None,
            meta: None,
            occupies: true,
            room: None,
            had_room: false,
            outcome: None,
            lost: false,
        };
        // In the list before the executor has it: a lease is renewed, and a stop finds it, from the first instant.
        self.held.ids().insert(id.clone());
        let before = self.runs.insert(id.clone(), run);
        assert!(before.is_none(), "execution ids are fresh for every claim");
        self.occupied += 1;
        match malformed {
            Some(error) => Begun::Malformed(Failure::Malformed { field: error.field, reason: error.reason }),
            None => {
                let host: Arc<dyn Host> = Arc::clone(host) as Arc<dyn Host>;
                Begun::Runs(Execution::new(id, job, limit, host), origin)
            }
        }
    }

    /// Notes why an execution has to end, unless there is a cause already.
    pub(crate) fn give_cause(&mut self, id: &ExecutionId, cause: Cause) {
        if let Some(run) = self.runs.get_mut(id) {
            // A job that somebody stopped must not be retried, or queued again, because its worker is shut down next.
            run.cause.get_or_insert((cause, Instant::now()));
        }
    }

    /// The failure of an execution that the worker settles without waiting for the job to end.
    pub(crate) fn end_by_force(&self, id: &ExecutionId) -> Failure {
        let over_limit = self.runs.get(id).and_then(Run::over_limit_first);
        // `first_cause` makes a shutdown of this where that was the cause: only the worker knows who asked.
        over_limit.map_or(Failure::Stopped, |limit| Failure::Timeout { limit })
    }

    /// Frees the slot of an execution whose job ran so long. `None` if the slot was free already: the executor may
    /// report the end of a job that the worker has ended by force.
    pub(crate) fn end(&mut self, id: &ExecutionId, ran: Duration) -> Option<Run> {
        let run = self.runs.get_mut(id)?;
        if !std::mem::replace(&mut run.occupies, false) {
            return None;
        }
        run.had_room = run.room.take().is_some();
        // The slot is free, the run stays in the list: until it is settled Redis holds it as ours, by its lease.
        self.occupied -= 1;
        // What it was here beside its run it has waited, for a processor or a process.
        self.pace.note(run.started_at.elapsed(), ran);
        Some(run.clone())
    }

    /// Notes that an execution is handed to the executor, with room for its payload.
    pub(crate) fn on_admitted(&mut self, id: &ExecutionId, room: Option<Room>) {
        if let Some(run) = self.runs.get_mut(id) {
            // Its time begins now, and what it has waited says nothing of the executor.
            (run.room, run.started_at) = (room, Instant::now());
        }
    }

    /// Frees the slot of an execution that did not begin; none if it was free already. Until Redis has it back it is
    /// held as this worker's, by its lease. Also when the executor got it.
    pub(crate) fn call_off(&mut self, id: &ExecutionId) -> Option<(Instant, Claimed)> {
        let run = self.runs.get_mut(id)?;
        if !std::mem::replace(&mut run.occupies, false) {
            return None;
        }
        run.room = None;
        self.occupied -= 1;
        Some((run.started_at, run.claimed.clone()))
    }

    /// Whether somebody has asked for the end of an execution.
    pub(crate) fn is_asked_to_end(&self, id: &ExecutionId) -> bool {
        self.runs.get(id).is_some_and(|run| matches!(run.cause, Some((Cause::Asked, _))))
    }

    /// Notes what became of an execution that has ended, in a word.
    pub(crate) fn note_outcome(&mut self, id: &ExecutionId, outcome: &'static str) {
        if let Some(run) = self.runs.get_mut(id) {
            run.outcome = Some(outcome);
        }
    }

    /// The executions that have ended and are not settled.
    pub(crate) fn unsettled(&self) -> Vec<ExecutionId> {
        let unsettled = self.runs.iter().filter(|(_, run)| run.outcome.is_some());
        unsettled.map(|(id, _)| id.clone()).collect()
    }

    /// The ids of all of them, now and later.
    pub(crate) fn held(&self) -> Held {
        self.held.clone()
    }

    /// Drops a settled execution.
    pub(crate) fn forget(&mut self, id: &ExecutionId) -> Option<Run> {
        self.held.ids().remove(id);
        self.runs.remove(id)
    }

    /// How long a step may wait for more jobs, as these jobs run.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// How many slots are taken.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// Whether everything begun is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All executions that Redis holds as this worker's: those that run, and those that are not settled yet.
    pub(crate) fn all(&self) -> Vec<Claimed> {
        self.runs.values().map(|run| run.claimed.clone()).collect()
    }

    /// The jobs that run, and since when they are this worker's.
    pub(crate) fn jobs(&self) -> Vec<(Arc<Job>, Timestamp)> {
        self.runs.values().map(|run| (Arc::clone(&run.job), run.claimed_at)).collect()
    }

    /// The registration of one execution.
    pub(crate) fn claimed(&self, id: &ExecutionId) -> Option<Claimed> {
        self.runs.get(id).map(|run| run.claimed.clone())
    }

    /// Remembers the newest meta of a job: its settlement writes it once more, after any save still under way.
    pub(crate) fn note_meta(&mut self, id: &ExecutionId, meta: &[u8]) {
        if let Some(run) = self.runs.get_mut(id) {
            run.meta = Some(meta.to_vec());
        }
    }

    /// Notes that Redis no longer holds an execution as ours. True the first time.
    pub(crate) fn notice_loss(&mut self, id: &ExecutionId) -> bool {
        // One that has ended is left to the answer to its settlement, which tells the loss as well.
        self.runs.get_mut(id).is_some_and(|run| run.occupies && !std::mem::replace(&mut run.lost, true))
    }
}

impl Run {
    /// What the worker writes about the end, and the failure if it is one. `meta` is what the job saved last, if that
    /// is not stored yet.
    pub(crate) fn settlement(
        &self,
        ended: Ended,
        options: &Options,
        meta: Option<Vec<u8>>,
    ) -> (Settlement, Option<Failure>) {
        let (value, failure) = match ended.outcome {
            Ok(value) => (value, None),
            Err(failure) => (None, Some(self.first_cause(failure))),
        };
        let ended_at = Timestamp::now();
        let conclusion = match &failure {
            // The worker cut it off, so that is no failure of its own: if it may run twice, it waits at the head again.
            Some(failure @ Failure::ShutDown) => {
                Conclusion::of_shut_down(&self.job, failure.text(), ended_at, options.on_crash)
            }
            // As where the worker dies with it: the job may bear a second run, or not.
            Some(failure) if failure.is_crash() => {
                Conclusion::of_crash(&self.job, failure.text(), ended_at, options.on_crash)
            }
            failure => {
                let outcome = failure.as_ref().map_or(Ok(value), Err);
                Conclusion::of(&self.job, outcome, ended_at, options.result_ttl)
            }
        };
        let conclusion =
            if options.default_exception_handler { conclusion } else { conclusion.without_default_handler() };
        let settlement = Settlement {
            claimed: self.claimed.clone(),
            conclusion,
            slot: self.job.rate_limit().map(|(key, _)| key.to_owned()),
            group: self.job.group().map(str::to_owned),
            claimed_at: self.claimed_at,
            ended_at,
            ran: ended.ran,
            // What was still in the box is newer than what was sent, which this may overtake.
            meta: meta.or_else(|| self.meta.clone()),
            posts: Vec::new(),
        };
        (settlement, failure)
    }

    /// The failure for the first cause there was. An executor knows that it was asked to end a job, and the job's
    /// limit, but not who asked; and where a job learns of a request late, its limit may have passed meanwhile.
    fn first_cause(&self, failure: Failure) -> Failure {
        // Only what an executor reports of a job that had to end is judged again: one that failed by itself has failed.
        let cause = self.cause.map(|(cause, _)| cause);
        match (failure, cause) {
            // The executor says that the request came first; when the job began, it knows best.
            (Failure::Stopped, Some(Cause::ShutDown)) => Failure::ShutDown,
            (failure @ Failure::Timeout { .. }, _) if self.over_limit_first().is_some() => failure,
            // Of a death penalty: where the request came first, nobody is timed out any more.
            (failure @ Failure::Timeout { .. }, _) if self.limit.is_none() => failure,
            (Failure::Timeout { .. }, Some(Cause::Asked)) => Failure::Stopped,
            (Failure::Timeout { .. }, Some(Cause::ShutDown)) => Failure::ShutDown,
            (failure, _) => failure,
        }
    }

    /// The job's time limit, where that had passed before there was another cause.
    fn over_limit_first(&self) -> Option<Duration> {
        let limit = self.limit?;
        // A limit beyond the end of the clock is none.
        let over_at = self.started_at.checked_add(limit)?;
        let asked_at = self.cause.map_or_else(Instant::now, |(_, at)| at);
        (over_at <= asked_at).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use rq_core::{BoxError, TIMEOUT_DEFAULT};

    use super::*;

    struct Nowhere;

    impl Host for Nowhere {
        fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    /// What becomes of a job that has run for so long, is asked to end for these reasons, in this order, and then ends
    /// like this.
    fn failure(mut running: Running, ran: Duration, causes: &[Cause], told: Option<Failure>) -> Failure {
        let mut job = Job::new("j", "q", Vec::new());
        job.timeout = Some(TIMEOUT_DEFAULT);
        let id = ExecutionId::new("j");
        let claimed = Claimed { id: id.clone(), origin: "q".to_owned() };
        running.begin(claimed, job.to_fields(), &Arc::new(Nowhere));
        running.runs.get_mut(&id).unwrap().started_at = Instant::now().checked_sub(ran).unwrap();
        causes.iter().for_each(|cause| running.give_cause(&id, *cause));
        let outcome = Err(told.unwrap_or_else(|| running.end_by_force(&id)));
        let run = running.end(&id, ran).unwrap();
        run.settlement(Ended { outcome, ran, called_back: false }, &Options::default(), None).1.unwrap()
    }

    #[test]
    fn the_first_cause_of_an_end_counts() {
        use Cause::{Asked, ShutDown};
        let limit = TIMEOUT_DEFAULT.limit().unwrap();
        let timeout = || Some(Failure::Timeout { limit });
        for (ran, causes, told, kind) in [
            (Duration::ZERO, &[Asked][..], Some(Failure::Stopped), "Stopped"),
            (Duration::ZERO, &[Asked, ShutDown], Some(Failure::Stopped), "Stopped"),
            (Duration::ZERO, &[Asked, ShutDown], None, "Stopped"),
            (Duration::ZERO, &[ShutDown, Asked], Some(Failure::Stopped), "ShutDown"),
            (Duration::ZERO, &[ShutDown], None, "ShutDown"),
            // It learned of that late.
            (Duration::ZERO, &[Asked], timeout(), "Stopped"),
            (Duration::ZERO, &[ShutDown], timeout(), "ShutDown"),
            (Duration::ZERO, &[], timeout(), "JobTimeoutException"),
            (limit, &[Asked], timeout(), "JobTimeoutException"),
            (limit, &[ShutDown], timeout(), "JobTimeoutException"),
            // It began late in its executor.
            (limit, &[ShutDown], Some(Failure::Stopped), "ShutDown"),
            (limit, &[Asked], Some(Failure::Stopped), "Stopped"),
            (limit, &[ShutDown], None, "JobTimeoutException"),
        ] {
            let failure = failure(Running::default(), ran, causes, told);
            assert_eq!(failure.kind(), kind, "{ran:?}, {causes:?}");
        }
    }

    #[test]
    fn where_penalties_replace_the_limit_it_is_no_cause() {
        use Cause::{Asked, ShutDown};
        let limit = TIMEOUT_DEFAULT.limit().unwrap();
        for (causes, told, kind) in [
            (&[ShutDown][..], None, "ShutDown"),
            (&[Asked], Some(Failure::Stopped), "Stopped"),
            // A penalty has timed it out before it was asked.
            (&[Asked], Some(Failure::Timeout { limit: 2 * limit }), "JobTimeoutException"),
        ] {
            let failure = failure(Running::new(true), limit, causes, told);
            assert_eq!(failure.kind(), kind, "{causes:?}");
        }
    }
}
