//! [`Settling`]: the worker shows failures to the exception handlers, and settles each ended execution once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::steps::BATCH_MAX;
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::settlement::{self as steps, SettleReply, Settlement};
use rq_core::{
    Conclusion, Ended, Error, ErrorClass, ExecutionId, Failure, Job, NextPlace, Settled, Timestamp, Ttl,
};

use super::Dispatcher;
use super::claiming::Capacity;
use super::outage::until_answered;
use super::pace::{BATCH_WORTH_MIN, batch_worth};
use super::posts;
use super::running::Run;
use crate::event::{Observers, WorkerEvent};

/// How many settle steps may be under way: the next batch gathers meanwhile.
const SETTLES_MAX: usize = 2;
/// How many bytes of results one settle step carries, unless one result alone has more: Redis drops a client that
/// sends it a gigabyte at once.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// The executions that have ended and are not settled yet.
#[derive(Default)]
pub(super) struct Settling {
    /// No step for them has been sent yet.
    waiting: Vec<Settlement>,
    /// Redis has refused a batch for one of them, so that each has a step of its own.
    alone: Vec<Settlement>,
    settles_under_way: usize,
    last_at: Option<Instant>,
    releases_under_way: usize,
}

impl Settling {
    /// Adds an ended execution to those that wait.
    pub(super) fn push(&mut self, settlement: Settlement) {
        self.waiting.push(settlement);
    }

    /// How many wait to be settled.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.alone.len()
    }

    /// How many steps are under way.
    pub(super) fn settles_under_way(&self) -> usize {
        self.settles_under_way
    }

    /// Whether steps are under way that queue the dependents of ended jobs.
    pub(super) fn is_releasing(&self) -> bool {
        self.releases_under_way > 0
    }

    /// The next batch, if it is time for one.
    ///
    /// Ended executions are settled at once; while a settle step is under way they gather until half a batch is there.
    fn begin(&mut self, capacity: Capacity) -> Option<Vec<Settlement>> {
        if self.settles_under_way >= SETTLES_MAX {
            return None;
        }
        if let Some(settlement) = self.alone.pop() {
            self.settles_under_way += 1;
            return Some(vec![settlement]);
        }
        // A second step beside one under way has to be worth its round trip; a lone job waits for nothing.
        let worth = match self.settles_under_way {
            0 if self.gathers_until(capacity).is_some() => batch_worth(capacity.slots),
            0 => 1,
            _ => BATCH_WORTH_MIN,
        };
        if self.waiting.len() < worth {
            return None;
        }
        // What is too large for this batch stays at the front, for the second step or the next turn.
        let rest = self.waiting.split_off(batch_len(&self.waiting));
        self.settles_under_way += 1;
        self.last_at = Some(Instant::now());
        Some(std::mem::replace(&mut self.waiting, rest))
    }

    /// Until when ended executions may wait for more.
    pub(super) fn gathers_until(&self, capacity: Capacity) -> Option<Instant> {
        let is_small = (1..batch_worth(capacity.slots)).contains(&self.waiting.len());
        capacity.pace.gathers_until(self.last_at).filter(|_| is_small && self.settles_under_way == 0)
    }
}

/// How many of the first settlements make a batch: one at least, and few where they are large.
fn batch_len(settlements: &[Settlement]) -> usize {
    let mut bytes = 0;
    let fits = |settlement: &&Settlement| {
        bytes += settlement.len_bytes();
        bytes <= BATCH_BYTES_MAX
    };
    settlements.iter().take(BATCH_MAX).take_while(fits).count().max(1)
}

impl Dispatcher {
    pub(super) fn on_ended(&mut self, id: &ExecutionId, ended: Ended) {
        // The executor may still report a job that a cold stop has ended by force and settled.
        let Some(run) = self.running.end(id, ended.ran) else { return };
        self.thrift.on_ended(run.had_room, Instant::now());
        self.beats.on_ended();
        // Meta that is still in its box goes with the settlement: saved later, it would find no execution in rq:wip.
        let has_called = ended.called_back;
        let (mut settlement, failure) = run.settlement(ended, &self.options, self.meta.take(id));
        self.running.note_outcome(id, described(&settlement.conclusion.settled));
        // Redis has given a lost execution to another worker, or dropped it: its end is no longer the job's. Settling it
        // clears what is left of it.
        if run.lost {
            self.settling.push(settlement);
        } else {
            tell_ended(&self.observers, &run.job, &settlement);
            self.add_call(&run.job, failure.as_ref(), has_called, &mut settlement);
            self.show_and_settle(run.job, failure, settlement);
        }
        // The executor may have given up the thread of this job, or lost a fork server too many, and take no more.
        self.look_at_executor();
    }

    /// Has the exception handlers see the failure, if it is one, and the letters written, both beside the loop; then has the
    /// execution settled.
    fn show_and_settle(&mut self, job: Arc<Job>, failure: Option<Failure>, settlement: Settlement) {
        // A job that somebody has stopped is no exception, in RQ too.
        let is_stopped = matches!(settlement.conclusion.settled, Settled::Stopped(_));
        let failure = failure.filter(|_| !is_stopped);
        let shown = failure.and_then(|failure| self.exceptions.show(Arc::clone(&job), failure));
        let letters = posts::letters(&job, &settlement);
        if shown.is_none() && letters.is_none() {
            return self.settling.push(settlement);
        }
        let before = async move {
            if let Some(shown) = shown {
                shown.await;
            }
            match letters {
                Some(letters) => Some(letters.await),
                None => None,
            }
        };
        self.beside(before, move |worker, composed| worker.settle_with_letters(&job, settlement, composed));
    }

    pub(super) fn start_settling(&mut self) {
        let capacity = self.capacity();
        while let Some(batch) = self.settling.begin(capacity) {
            let settle = steps::settle(&self.who.keys, Some(&self.who.name), &batch);
            self.send(settle, |worker, settled| worker.on_settled(batch, settled));
        }
    }

    fn on_settled(&mut self, batch: Vec<Settlement>, settled: Result<Vec<SettleReply>, Error>) {
        self.settling.settles_under_way -= 1;
        // The step may have put jobs into the queues: dependents, repetitions. An idle worker is notified of them; a
        // burst worker has no notifier, and would leave.
        if self.options.burst {
            self.claiming.on_refill();
        }
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => return self.on_not_settled(batch, error),
        };
        for (settlement, settled) in batch.iter().zip(settled) {
            // Kept until here: through an outage the settlement is repeated, and its lease must be renewed meanwhile.
            if let Some(run) = self.running.forget(&settlement.claimed.id) {
                self.on_settled_one(&run, settlement, settled);
            }
        }
    }

    /// Redis has refused a batch, and would refuse it again; nothing of it was done.
    fn on_not_settled(&mut self, batch: Vec<Settlement>, error: Error) {
        self.observers.step_failed("settling jobs", &error);
        let is_fault = error.class() == ErrorClass::Fault;
        // What is wrong with one of them must not harm the others.
        if is_fault && batch.len() > 1 {
            return self.settling.alone.extend(batch);
        }
        // Their leases run out, and a worker takes them for abandoned.
        for settlement in &batch {
            let outcome = self.give_up_outcome(&settlement.claimed.id);
            if !is_fault {
                self.shutdown.note_not_taken(outcome);
            }
        }
        // They were sent for as long as they may be, and so would be all that end next.
        if !is_fault {
            self.leave_refused(error);
        }
    }

    /// Drops an execution of which Redis was never told what became of it. Its job, and what that is in a word.
    fn give_up_outcome(&mut self, id: &ExecutionId) -> Option<(String, &'static str)> {
        let run = self.running.forget(id)?;
        let outcome = run.outcome?;
        self.observers.tell(WorkerEvent::OutcomeNotTaken { id: &run.job.id, outcome });
        Some((run.job.id.clone(), outcome))
    }

    /// Drops what the worker can no longer hand in, as it leaves.
    pub(super) fn give_up_outcomes(&mut self) {
        for id in self.running.unsettled() {
            let outcome = self.give_up_outcome(&id);
            self.shutdown.note_not_taken(outcome);
        }
    }

    fn on_settled_one(&mut self, run: &Run, settlement: &Settlement, settled: SettleReply) {
        match settled {
            SettleReply::Done => self.on_concluded(run, settlement),
            SettleReply::Superseded => {
                self.note_posts(settlement);
                tell_finished(&self.observers, &run.job, settlement);
                self.observers.tell(WorkerEvent::JobSuperseded { id: &run.job.id });
            }
            SettleReply::DependentsLeft => {
                self.on_concluded(run, settlement);
                self.start_releasing(&run.job.id, settlement);
            }
            // A renewal or a heartbeat has noticed the loss before, and it was reported then.
            SettleReply::Lost | SettleReply::Deleted if run.lost => {}
            SettleReply::Lost | SettleReply::Deleted => {
                self.observers.tell(WorkerEvent::JobLost { id: &run.job.id });
            }
        }
    }

    fn on_concluded(&mut self, run: &Run, settlement: &Settlement) {
        self.note_posts(settlement);
        tell_settled(&self.observers, &run.job, settlement);
        if let (Some(NextPlace::At(due_s)), Some(schedule)) = (settlement.conclusion.next, &mut self.schedule)
        {
            schedule.note_due(due_s);
        }
    }

    /// Queues the dependents beyond the first page, which the settlement has queued itself. Should the worker die in
    /// between, maintenance queues the rest.
    fn start_releasing(&mut self, job_id: &str, settlement: &Settlement) {
        // A job with ttl 0 that will not run again keeps its record while dependents are left; the last page takes it
        // away.
        let Conclusion { ttl, filed, next, .. } = settlement.conclusion;
        let discarded = filed && ttl == Ttl::Seconds(0) && next.is_none();
        let why = if discarded { Release::Discarded } else { Release::Ended };
        let (link, outage) = (self.link.clone(), Arc::clone(&self.outage));
        let (keys, id) = (self.who.keys.clone(), job_id.to_owned());
        self.settling.releases_under_way += 1;
        let release = async move {
            // Beside the loop, page by page: a parent with many dependents holds up neither this worker nor Redis.
            let mut next = Some(Cursor::default());
            while let Some(cursor) = next {
                let step = job_steps::release(&keys, &id, &cursor, why);
                next = until_answered(link.clone(), step, Arc::clone(&outage)).await?;
            }
            Ok(())
        };
        self.beside(release, Dispatcher::on_released);
    }

    fn on_released(&mut self, released: Result<(), Error>) {
        self.settling.releases_under_way -= 1;
        // Even if it was refused: pages before the last may have queued jobs, and a burst worker would leave them.
        self.claiming.on_refill();
        self.accepted("releasing dependents", released);
    }
}

/// What became of an execution, in a word.
fn described(settled: &Settled) -> &'static str {
    match settled {
        Settled::Finished(_) => "finished",
        Settled::Failed(_) | Settled::Exhausted => "failed",
        Settled::Stopped(_) => "stopped",
        Settled::Again(_) => "to run again",
    }
}

/// Reports how an execution ended, before it is settled.
fn tell_ended(observers: &Observers, job: &Job, settlement: &Settlement) {
    match &settlement.conclusion.settled {
        Settled::Failed(text) | Settled::Again(Some(text)) => {
            observers.tell(WorkerEvent::JobFailed { job, text });
        }
        Settled::Stopped(_) => observers.tell(WorkerEvent::JobStopped { job }),
        Settled::Exhausted => observers.tell(WorkerEvent::JobExhausted { job }),
        Settled::Finished(_) | Settled::Again(None) => {}
    }
}

/// Reports that an execution whose job has finished was settled.
fn tell_finished(observers: &Observers, job: &Job, settlement: &Settlement) {
    let Settlement { claimed, conclusion, ran, .. } = settlement;
    if let Settled::Finished(_) = conclusion.settled {
        let (queue, ran, kept) = (claimed.origin.as_str(), *ran, conclusion.ttl);
        observers.tell(WorkerEvent::JobFinished { job, queue, ran, kept });
    }
}

/// Reports that an execution was settled, and what becomes of its job.
fn tell_settled(observers: &Observers, job: &Job, settlement: &Settlement) {
    tell_finished(observers, job, settlement);
    if let Some(next) = settlement.conclusion.next {
        let after = match next {
            NextPlace::Head | NextPlace::Tail => None,
            NextPlace::At(due_s) => {
                // The due time was set when the job ended; an outage since then may have used it up.
                let pause_s = due_s.saturating_sub(Timestamp::now().epoch_secs()).max(0);
                Some(Duration::from_secs(pause_s.unsigned_abs()))
            }
        };
        observers.tell(WorkerEvent::JobRunsAgain { job, after });
    }
}
