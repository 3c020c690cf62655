//! [`Claiming`]: the worker takes jobs off the queues, marks them as begun, and hands them to the executor; or gives
//! them back.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use rq_core::link::{Link, Step};
use rq_core::steps::claim::{self as steps, Claim};
use rq_core::steps::worker::Identity;
use rq_core::steps::{BATCH_MAX, Claimed};
use rq_core::{Ended, Error, Execution, ExecutionId, Fields, Status};

use super::Dispatcher;
use super::order::QueueOrder;
use super::pace::{Pace, batch_worth};
use super::running::{Begun, Cause};
use crate::event::{Observers, WorkerEvent};
use crate::notifier::Notifier;
use crate::options::Options;

/// How many claims may be under way: `claim.lua` remembers the last claim of an even number and the last of an odd one.
const CLAIMS_MAX: usize = 2;
/// How many ended executions may wait for their settlement, per slot, before no more are claimed.
const UNSETTLED_PER_SLOT_MAX: usize = 4;
/// How many queues one claim looks at: Redis serves nobody else meanwhile. A worker of more looks at them part by part.
const QUEUES_MAX: usize = 256;
/// How often a suspended or refused worker tries to claim.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);

/// The claims of a worker, and what it knows of its queues.
pub(super) struct Claiming {
    notifier: Notifier,
    /// In which order the next claim serves the queues.
    order: QueueOrder,
    /// From which of them on. Those before it were found empty.
    from: usize,
    /// The number of the last claim.
    number: u64,
    /// How many jobs each claim under way asks for; its number says which is whose.
    asked: [usize; CLAIMS_MAX],
    /// From which queue on each of them looks.
    asked_from: [usize; CLAIMS_MAX],
    last_at: Option<Instant>,
    /// The claimed jobs that are being fetched.
    fetching: Vec<Claimed>,
    put_backs_under_way: usize,
    /// What did not begin and is to be given back, and since when the executor, or this worker, had it.
    unbegun: Vec<(Instant, Claimed)>,
    is_giving_back: bool,
    /// Whether the last claim found less than it asked for, and the notifier has not reported a job since.
    queues_empty: bool,
    /// Whether a step of this worker may have put jobs into queues, and no claim has begun since.
    refilled: bool,
    suspended: bool,
    /// The queues whose key holds no list, each of which has been reported.
    wrong_lists: HashSet<String>,
    /// No claim before then.
    not_before: Option<Instant>,
    jobs_begun: u64,
    /// How many may be begun in all.
    jobs_max: Option<u64>,
}

/// What a worker has room for: the duties decide by it whether a claim or a settlement is due.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    /// How many jobs may run at once.
    pub(super) slots: usize,
    /// How many run.
    pub(super) occupied: usize,
    /// How many have ended and wait to be settled.
    pub(super) unsettled: usize,
    /// Whether jobs may be begun at all.
    pub(super) takes_jobs: bool,
    pub(super) pace: Pace,
}

impl Claiming {
    pub(super) fn new(options: &Options, link: Link) -> Claiming {
        let lists = options.queues.iter().map(|queue| options.keys.queue(queue)).collect();
        Claiming {
            notifier: Notifier::new(link, lists),
            order: QueueOrder::new(options.dequeue, options.queues.clone()),
            from: 0,
            number: 0,
            asked: [0; CLAIMS_MAX],
            asked_from: [0; CLAIMS_MAX],
            last_at: None,
            fetching: Vec::new(),
            put_backs_under_way: 0,
            unbegun: Vec::new(),
            is_giving_back: false,
            queues_empty: false,
            refilled: false,
            suspended: false,
            wrong_lists: HashSet::new(),
            not_before: None,
            jobs_begun: 0,
            jobs_max: options.max_jobs,
        }
    }

    /// The next claim and its number, if it is time for one.
    ///
    /// Jobs are claimed at once. Only a batch that is [worth it](batch_worth) is claimed while another claim is under
    /// way; while claimed jobs are being fetched, if jobs are short; and while jobs wait in the executor for a
    /// processor.
    fn begin(&mut self, who: &Identity, capacity: Capacity) -> Option<(u64, Step<Claim>)> {
        // The answer to a claim under way may set `queues_empty` again, from before the jobs were there.
        if self.asked() == 0 && std::mem::take(&mut self.refilled) {
            self.on_refilled();
        }
        let want = self.wanted(capacity);
        // Where jobs take their time no free slot waits for a larger claim: it is worth more than a step.
        let gathers =
            !self.fetching.is_empty() && capacity.pace.is_short() || self.gathers_until(capacity).is_some();
        let worth = if self.asked() > 0 || gathers { batch_worth(capacity.slots) } else { 1 };
        // No third claim: sent before the first was answered, it would make the first one's repetition stale.
        let number = self.number + 1;
        if want < worth || self.asked[place_of(number)] > 0 || self.queues_empty || self.not_before.is_some()
        {
            return None;
        }
        self.number = number;
        // Counted until the answer is there: the slots and the jobs of `--max-jobs` are promised to this claim.
        self.asked[place_of(number)] = want;
        self.asked_from[place_of(number)] = self.from;
        self.last_at = Some(Instant::now());
        let queues = &self.order.queues()[self.part()];
        Some((number, steps::claim(who, queues, self.order.per_turn(), number, want)))
    }

    /// Reads the answer to a claim, none if it was refused: the jobs it took. `is_idle` says that nothing runs.
    fn end(
        &mut self,
        number: u64,
        claim: Option<Claim>,
        is_idle: bool,
        observers: &Observers,
    ) -> Vec<Claimed> {
        // However the claim ended it is not sent again, so the next of its kind, even or odd, makes nothing stale.
        let asked = std::mem::take(&mut self.asked[place_of(number)]);
        match claim {
            Some(Claim::Taken { claimed, dropped, more }) => {
                self.suspended = false;
                // `more`: the script has dropped as many ids as one call may, and not seen the end of the queues.
                match claimed.len() < asked && !more {
                    true => self.on_part_empty(self.asked_from[place_of(number)], claimed.is_empty()),
                    false => self.on_refilled(),
                }
                for (id, reason) in &dropped {
                    self.on_dropped(id, reason, is_idle, observers);
                }
                // Under round robin the queue that gave the last job goes to the end; no job leaves the order as it is.
                self.order.advance(claimed.last().map(|claimed| claimed.origin.as_str()));
                return claimed;
            }
            Some(Claim::Suspended) if !std::mem::replace(&mut self.suspended, true) => {
                observers.tell(WorkerEvent::Suspended);
            }
            Some(Claim::Suspended) | None => {}
        }
        // A suspended worker asks again after a second, as RQ's does; a refused one must not ask in a tight loop.
        self.not_before = Some(Instant::now() + CLAIM_PAUSE);
        Vec::new()
    }

    /// The queues that the next claim looks at.
    fn part(&self) -> Range<usize> {
        self.from..self.order.queues().len().min(self.from + QUEUES_MAX)
    }

    /// A claim has emptied the queues it looked at: the next one looks at those behind them. What it took may have changed
    /// their order, and others may have got jobs meanwhile.
    fn on_part_empty(&mut self, from: usize, took_none: bool) {
        // Another claim has been answered since this one was sent, and moved on.
        if from != self.from {
            return;
        }
        let (part, queues) = (self.part(), self.order.queues().len());
        let is_all = part.len() == queues;
        self.queues_empty = part.end == queues && (is_all || took_none);
        self.from = if took_none && part.end < queues { part.end } else { 0 };
    }

    /// There may be jobs in any queue.
    fn on_refilled(&mut self) {
        self.queues_empty = false;
        self.from = 0;
    }

    /// Reports an id that was not begun. Every claim meets a queue whose key holds no list: that is reported once, and
    /// an idle worker pauses, as it would claim again at once.
    fn on_dropped(&mut self, id: &str, reason: &str, is_idle: bool, observers: &Observers) {
        let is_list = reason == "wronglist";
        if !is_list || self.wrong_lists.insert(id.to_owned()) {
            observers.tell(WorkerEvent::JobSkipped { id, reason });
        }
        if is_list && is_idle {
            self.not_before = Some(Instant::now() + CLAIM_PAUSE);
        }
    }

    /// Waits until a queue may hold a job. Cancel-safe.
    pub(super) async fn notified(&mut self) {
        self.notifier.notified().await;
    }

    pub(super) fn on_notified(&mut self) {
        self.on_refilled();
    }

    /// Ends the pause after a refusal, if that is over.
    pub(super) fn on_look(&mut self) {
        if self.not_before.is_some_and(|at| at <= Instant::now()) {
            // Nobody has waited for the notifier during the pause, so what is known of the queues is old.
            self.not_before = None;
            self.on_refilled();
        }
    }

    /// A job that counted as begun did not begin.
    pub(super) fn on_unbegun(&mut self, started_at: Instant, claimed: Claimed) {
        self.jobs_begun -= 1;
        self.unbegun.push((started_at, claimed));
    }

    /// What to give back next, in the order of the queue.
    fn take_unbegun(&mut self) -> Vec<Claimed> {
        self.unbegun.sort_by_key(|(since, _)| *since);
        // The last ones first: what goes back later comes before them in the queue.
        let rest = self.unbegun.len().saturating_sub(BATCH_MAX);
        self.unbegun.drain(rest..).map(|(_, claimed)| claimed).collect()
    }

    /// This worker may have put jobs into the queues. A burst worker has no notifier that would report them.
    pub(super) fn on_refill(&mut self) {
        self.refilled = true;
    }

    /// When [`on_look`](Claiming::on_look), or another try to claim, is due even if no event comes.
    pub(super) fn next_look(&self, capacity: Capacity) -> Option<Instant> {
        [self.not_before, self.gathers_until(capacity)].into_iter().flatten().min()
    }

    /// Until when the next claim may wait for more free slots.
    fn gathers_until(&self, capacity: Capacity) -> Option<Instant> {
        let is_small = (1..batch_worth(capacity.slots)).contains(&self.wanted(capacity));
        let until = capacity.pace.gathers_until(self.last_at);
        // A claim under way and empty queues have events of their own that wake the loop; a timer is for neither.
        until.filter(|_| is_small && self.asked() == 0 && !self.queues_empty)
    }

    /// Whether to wait for the notifier: while a slot is free and the queues were empty.
    pub(super) fn wants_notifier(&self, capacity: Capacity) -> bool {
        // A claim under way tells of the queues itself, and in a pause nothing is claimed whatever they hold.
        self.queues_empty && self.wanted(capacity) > 0 && self.asked() == 0 && self.not_before.is_none()
    }

    /// How many jobs could be begun now.
    fn wanted(&self, capacity: Capacity) -> usize {
        // While Redis takes no settlements, the worker must not gather ended jobs without end.
        if !capacity.takes_jobs || capacity.unsettled > capacity.slots * UNSETTLED_PER_SLOT_MAX {
            return 0;
        }
        // Jobs that are being fetched have no run yet and take their slots all the same.
        let free = capacity.slots.saturating_sub(capacity.occupied + self.fetching.len());
        let left = self.jobs_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        // Larger claims than `BATCH_MAX` stall other clients of Redis for milliseconds, and slots wait for each other.
        free.min(left).saturating_sub(self.asked()).min(BATCH_MAX)
    }

    /// How many jobs `--max-jobs` still allows.
    pub(super) fn jobs_left(&self) -> Option<u64> {
        self.jobs_max.map(|max| max.saturating_sub(self.jobs_begun + self.fetching.len() as u64))
    }

    /// How many jobs were begun.
    pub(super) fn jobs_begun(&self) -> u64 {
        self.jobs_begun
    }

    /// How many slots are promised to jobs that are not in the executor yet.
    pub(super) fn promised(&self) -> usize {
        self.asked() + self.fetching.len()
    }

    /// How many jobs the claims under way ask for.
    fn asked(&self) -> usize {
        self.asked.iter().sum()
    }

    /// The claimed jobs that are being fetched.
    pub(super) fn fetching(&self) -> &[Claimed] {
        &self.fetching
    }

    /// Whether no job is being asked for or fetched.
    pub(super) fn is_idle(&self) -> bool {
        self.asked() == 0 && self.fetching.is_empty()
    }

    /// Whether every claimed job has been handed on or given back.
    pub(super) fn is_over(&self) -> bool {
        self.is_idle() && self.put_backs_under_way == 0 && self.unbegun.is_empty() && !self.is_giving_back
    }

    /// Whether the queues are empty, as far as is known.
    pub(super) fn queues_empty(&self) -> bool {
        self.queues_empty
    }

    /// Whether what this worker has put into queues has not been claimed yet.
    pub(super) fn is_refilled(&self) -> bool {
        self.refilled
    }

    /// Whether all workers are suspended, as far as is known.
    pub(super) fn suspended(&self) -> bool {
        self.suspended
    }
}

/// Where the claim of that number is noted while it is under way.
fn place_of(number: u64) -> usize {
    (number % CLAIMS_MAX as u64) as usize
}

/// Whether a job's record is still that of this run, as the claim wrote it. A record that is gone tells nothing.
fn names_run(fields: &Fields, claimed: &Claimed, worker: &str) -> bool {
    let says = |field: &str, value: &str| fields.get(field) == Some(value.as_bytes());
    fields.is_empty()
        || (says("status", Status::Started.as_str())
            && says("execution", claimed.id.x())
            && says("worker_name", worker))
}

impl Dispatcher {
    pub(super) fn start_claims(&mut self) {
        let capacity = self.capacity();
        if let Some((number, claim)) = self.claiming.begin(&self.who, capacity) {
            self.send(claim, move |worker, claim| worker.on_claimed(number, claim));
        }
    }

    /// Fetches what was claimed, or gives it back if the worker is on its way out.
    fn on_claimed(&mut self, number: u64, claim: Result<Claim, Error>) {
        let claim = self.accepted("claiming jobs", claim);
        let claimed = self.claiming.end(number, claim, self.running.is_empty(), &self.observers);
        if claimed.is_empty() {
            return;
        }
        // They have not been marked as begun, so they may go back without a trace.
        if !self.shutdown.is_working() {
            return self.start_putting_back(claimed);
        }
        // Begun now, they would not begin in the executor.
        if self.shortage.is_pausing() {
            let now = Instant::now();
            return self.claiming.unbegun.extend(claimed.into_iter().map(|claimed| (now, claimed)));
        }
        // Two steps, though one would save a round trip: whoever dies between them leaves jobs that provably never
        // began, and that go back in silence instead of being failed.
        self.claiming.fetching.extend_from_slice(&claimed);
        let begin = steps::begin(&self.who, &claimed);
        self.send(begin, |worker, fetched| worker.on_fetched(claimed, fetched));
    }

    fn on_fetched(&mut self, claimed: Vec<Claimed>, fetched: Result<Vec<Option<Fields>>, Error>) {
        self.claiming.fetching.retain(|fetched| !claimed.contains(fetched));
        let Some(fetched) = self.accepted("fetching claimed jobs", fetched) else {
            // None of them has reached the executor, whatever became of the step, so they may still go back.
            return self.start_putting_back(claimed);
        };
        let mut overwritten = Vec::new();
        for (claimed, fields) in claimed.into_iter().zip(fetched) {
            match fields {
                // Somebody has enqueued the id anew since the claim, and what this run would have run is gone: the other
                // life runs, or the job goes back if the record was only saved by somebody (docs/design/lives.md).
                Some(fields) if !names_run(&fields, &claimed, &self.who.name) => overwritten.push(claimed),
                Some(fields) => self.begin(claimed, fields),
                // Canceled, deleted or put back since the claim: by the script's word nothing is left to settle.
                None => self.observers.tell(WorkerEvent::JobCalledOff { id: claimed.id.job_id() }),
            }
        }
        if !overwritten.is_empty() {
            self.start_putting_back(overwritten);
        }
    }

    fn begin(&mut self, claimed: Claimed, fields: Fields) {
        self.claiming.jobs_begun += 1;
        let id = claimed.id.clone();
        let is_cold = self.shutdown.is_cold();
        match self.running.begin(claimed, fields, self.meta.host()) {
            Begun::Runs(execution, queue) => {
                self.admit(execution, queue);
                if is_cold {
                    // It was fetched while the stop turned cold: nobody else ends it, or says why.
                    self.stop_execution(&id, Cause::ShutDown);
                }
            }
            Begun::Malformed(failure) => {
                // Redis counts it as begun, so it has to be settled, as a failure of the job.
                self.on_ended(&id, Ended { outcome: Err(failure), ran: Duration::ZERO, called_back: false });
            }
        }
    }

    /// Hands an execution to the executor.
    pub(super) fn start(&mut self, execution: Execution, queue: &str) {
        self.observers.tell(WorkerEvent::JobBegan { job: &execution.job, queue });
        self.shortage.on_started(Instant::now());
        self.executor.start(execution);
    }

    /// Has an execution that did not begin given back; `false` if its slot is free already.
    pub(super) fn give_back(&mut self, id: &ExecutionId) -> bool {
        let Some((started_at, claimed)) = self.running.call_off(id) else { return false };
        self.claiming.on_unbegun(started_at, claimed);
        true
    }

    fn start_putting_back(&mut self, claimed: Vec<Claimed>) {
        self.claiming.put_backs_under_way += 1;
        let put_back = steps::put_back(&self.who, &claimed);
        self.send(put_back, move |worker, put_back| worker.on_put_back(&claimed, put_back));
    }

    fn on_put_back(&mut self, claimed: &[Claimed], put_back: Result<Vec<bool>, Error>) {
        self.claiming.put_backs_under_way -= 1;
        // Told even if Redis refuses: nobody renews their leases, so another worker reaps them.
        for claimed in claimed {
            self.observers.tell(WorkerEvent::JobCalledOff { id: claimed.id.job_id() });
        }
        self.accepted("giving jobs back", put_back);
    }

    /// Gives back what did not begin, a batch at a time: two at once might reach their queue in the wrong order.
    pub(super) fn start_giving_back(&mut self) {
        if self.claiming.unbegun.is_empty() || self.claiming.is_giving_back {
            return;
        }
        self.claiming.is_giving_back = true;
        let unbegun = self.claiming.take_unbegun();
        let put_back = steps::put_back(&self.who, &unbegun);
        self.send(put_back, move |worker, put_back| worker.on_given_back(&unbegun, put_back));
    }

    fn on_given_back(&mut self, unbegun: &[Claimed], put_back: Result<Vec<bool>, Error>) {
        self.claiming.is_giving_back = false;
        for claimed in unbegun {
            // Their leases were renewed until here: through an outage the step is repeated, and they count as begun.
            self.running.forget(&claimed.id);
            self.observers.tell(WorkerEvent::JobGivenBack { id: claimed.id.job_id() });
        }
        self.claiming.on_refill();
        self.accepted("giving jobs back", put_back);
    }

    pub(super) fn wants_notifier(&self) -> bool {
        // A burst worker needs none: it leaves when the queues are empty.
        !self.options.burst && self.claiming.wants_notifier(self.capacity())
    }
}
