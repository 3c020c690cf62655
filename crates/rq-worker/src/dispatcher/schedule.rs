//! [`Schedule`]: what a worker does about scheduled jobs. A scheduler locks queues that no other scheduler has, and queues
//! their scheduled jobs when they are due; any other worker queues those of queues that no scheduler has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::Backoff;
use rq_core::steps::schedule::{Holder, QueueTick, Scheduler};
use rq_core::{Error, Timestamp};

use self::look::{Look, Looked, leave, next_turn};
use super::round::QUEUES_NAMED_MAX;
use super::{Dispatcher, registration};
use crate::event::{Observers, WorkerEvent};
use crate::options::{Options, Scheduling};

mod look;

/// How often a scheduler looks for due jobs, as RQ's does, and all workers together that are none.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest that a worker that is no scheduler waits between two looks. Dead workers are counted until maintenance takes
/// them off.
const PAUSE_LONGEST: Duration = Duration::from_secs(20);
/// How long a count of the workers is good for.
const COUNT_GOOD: Duration = Duration::from_secs(60);
/// How long a scheduler's locks outlive its last tick; then another scheduler, ours or Python's, takes its queues over.
const KEPT: Duration = Duration::from_secs(61);
/// How long after a job of this worker's own is due it looks for it. What is due is a matter of whole seconds.
const AFTER_DUE: Duration = Duration::from_millis(20);
/// How many such times it remembers. Jobs beyond them are found by the looks that come in any case.
const TIMES_MAX: usize = 1000;

/// A worker's part in scheduling. Its looks are steps beside the loop, one at a time; one that fails is made up for by the
/// next.
pub(crate) struct Schedule {
    who: Arc<Scheduler>,
    /// Whether it is a scheduler, which takes locks.
    locks: bool,
    stage: Stage,
    /// When it looks next.
    next_at: Instant,
    /// When jobs are due that this worker itself has put into the schedule.
    own_due: BTreeSet<Instant>,
    /// The queue from which on locks are kept next; none before the first look has taken all of them.
    turn_from: Option<usize>,
    /// How many workers the queue has that has the fewest, and when that was counted.
    fewest_workers: Option<(usize, Instant)>,
    /// Whether one pass over all that is due is enough: a burst worker's scheduler is done before the worker claims.
    once: bool,
    /// Per queue, whose it was at the last tick.
    holders: Vec<Option<Holder>>,
    /// Why the last look failed, if it did.
    refusal: Option<String>,
}

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for its next look.
    Waiting,
    /// A look is under way.
    Looking,
    /// It looks no more, and has to leave.
    Done,
    /// It is freeing its locks.
    Leaving,
}

impl Schedule {
    /// What the options ask for.
    pub(crate) fn new(options: &Options) -> Option<Schedule> {
        let locks = match options.scheduling {
            Scheduling::Scheduler => true,
            Scheduling::WhereNobodyDoes if !options.burst => false,
            Scheduling::WhereNobodyDoes | Scheduling::Nothing => return None,
        };
        let who = Scheduler {
            keys: options.keys.clone(),
            // A name of its own, as RQ's schedulers have, which is the value of their locks (docs/wire.md §16).
            name: uuid::Uuid::new_v4().simple().to_string(),
            hostname: registration::hostname(),
            pid: std::process::id(),
            created_at: Timestamp::now(),
            queues: options.queues.clone(),
            kept: KEPT,
        };
        Some(Schedule {
            locks,
            stage: Stage::Waiting,
            next_at: Instant::now(),
            own_due: BTreeSet::new(),
            turn_from: None,
            fewest_workers: None,
            once: options.burst,
            holders: vec![None; who.queues.len()],
            refusal: None,
            who: Arc::new(who),
        })
    }

    /// Waits until the next look is due. Cancel-safe; never ready while none may begin.
    pub(crate) async fn due(schedule: &Option<Schedule>) {
        match schedule {
            Some(schedule) if schedule.stage == Stage::Waiting => {
                let next_at =
                    schedule.own_due.first().map_or(schedule.next_at, |own| schedule.next_at.min(*own));
                tokio::time::sleep_until(next_at.into()).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Notes that this worker has put a job into the schedule, until the second `due_s`.
    pub(crate) fn note_due(&mut self, due_s: i64) {
        let pause_s = due_s.saturating_sub(Timestamp::now().epoch_secs());
        // A scheduler looks every second.
        if self.locks || self.own_due.len() == TIMES_MAX {
            return;
        }
        let pause = Duration::from_secs(pause_s.max(0).unsigned_abs()) + AFTER_DUE;
        self.own_due.extend(Instant::now().checked_add(pause));
    }

    /// Whether the worker may not claim yet: a burst worker also runs the jobs that were due when it began.
    pub(crate) fn comes_first(&self) -> bool {
        self.once && matches!(self.stage, Stage::Waiting | Stage::Looking)
    }

    /// Begins a look.
    fn begin_look(&mut self) -> Look {
        let now = Instant::now();
        self.stage = Stage::Looking;
        self.next_at = now + self.pause();
        self.own_due = self.own_due.split_off(&now);
        let queues = self.who.queues.len();
        let turn = match (self.locks, self.turn_from) {
            (false, _) => 0..0,
            (true, None) => 0..queues,
            (true, Some(from)) => next_turn(queues, from),
        };
        let is_counted = self.fewest_workers.is_some_and(|(_, at)| at.elapsed() < COUNT_GOOD);
        Look { who: Arc::clone(&self.who), locks: self.locks, turn, counts: !self.locks && !is_counted }
    }

    /// How long until the look after this one.
    fn pause(&self) -> Duration {
        if self.locks {
            return INTERVAL;
        }
        let workers = self.fewest_workers.map_or(1, |(workers, _)| workers);
        let pause = INTERVAL.saturating_mul(u32::try_from(workers).unwrap_or(u32::MAX)).min(PAUSE_LONGEST);
        // With jitter, so that they do not all look at once.
        if workers == 1 { pause } else { Backoff::new(pause, pause).pause() }
    }

    /// Ends a look, and reports what it did.
    fn end_look(&mut self, looked: Result<Looked, Error>, observers: &Observers) -> Ticked {
        let ticked = match looked {
            Ok(Looked { ticks, fewest_workers }) => {
                self.refusal = None;
                if let Some(workers) = fewest_workers {
                    self.fewest_workers = Some((workers, Instant::now()));
                    self.next_at = Instant::now() + self.pause();
                }
                if self.locks {
                    let queues = self.who.queues.len();
                    self.turn_from = Some(self.turn_from.map_or(0, |from| next_turn(queues, from).end));
                }
                self.tell_holders(&ticks, observers);
                // Gone, or in another status by now: a delete or a cancel that came first has won.
                let jobs = ticks.iter().map(|(_, tick)| tick.dropped).sum();
                if jobs > 0 {
                    observers.tell(WorkerEvent::Unscheduled { jobs });
                }
                Ticked::of(&ticks)
            }
            Err(error) => {
                self.tell_refusal(error.to_string(), observers);
                // Not repeated: the next look finds the same jobs, and a burst's pass is over so that the worker may
                // claim.
                Ticked::default()
            }
        };
        self.stage = if self.once && !ticked.more { Stage::Done } else { Stage::Waiting };
        ticked
    }

    /// Whether it leaves now: if it is done or its worker stops, and no look is under way.
    fn begins_to_leave(&mut self, worker_stops: bool) -> bool {
        let leaves = self.stage == Stage::Done || (self.stage == Stage::Waiting && worker_stops);
        if leaves {
            self.stage = Stage::Leaving;
        }
        leaves
    }

    /// Reports a refusal, which may come again at every tick, once.
    fn tell_refusal(&mut self, refusal: String, observers: &Observers) {
        if self.refusal.as_ref() != Some(&refusal) {
            observers.step_failed("scheduling", &refusal);
            self.refusal = Some(refusal);
        }
    }

    fn tell_holders(&mut self, ticks: &[(usize, QueueTick)], observers: &Observers) {
        let mut acquired = Vec::new();
        for (number, tick) in ticks {
            let queue = self.who.queues[*number].as_str();
            let before = self.holders[*number].replace(tick.holder);
            let not_scheduled = |reason| WorkerEvent::NotScheduled { queue, reason };
            match (before, tick.holder) {
                // With a tick a second only what has changed is worth a line.
                (before, now) if before == Some(now) => {}
                // What is nobody's is no lock of this worker's.
                (_, Holder::Us | Holder::Another) if !self.locks => {}
                (_, Holder::Us) => acquired.push(queue),
                (Some(Holder::Us), Holder::Another) => {
                    observers.tell(WorkerEvent::SchedulerLockLost { queue });
                }
                // Usual where several workers have a scheduler: one of them holds the lock.
                (_, Holder::Another) => {}
                (_, Holder::BadLock) => {
                    observers.tell(not_scheduled("the key of its lock holds no string"));
                }
                (_, Holder::BadSchedule) => {
                    observers.tell(not_scheduled("its schedule is no sorted set"));
                }
            }
        }
        if acquired.len() > QUEUES_NAMED_MAX {
            return observers.tell(WorkerEvent::SchedulerLocksAcquired { queues: acquired.len() });
        }
        for queue in acquired {
            observers.tell(WorkerEvent::SchedulerLockAcquired { queue });
        }
    }
}

/// What a look came to, over all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticked {
    /// Whether a queue may hold more jobs than before.
    pub(crate) moved: bool,
    /// Whether more jobs are due, so that the next look comes at once.
    pub(crate) more: bool,
}

impl Ticked {
    fn of(ticks: &[(usize, QueueTick)]) -> Ticked {
        let any = |what: fn(&QueueTick) -> bool| ticks.iter().any(|(_, tick)| what(tick));
        Ticked { moved: any(|tick| tick.moved > 0), more: any(|tick| tick.more) }
    }
}

impl Dispatcher {
    pub(super) fn start_look_at_schedule(&mut self) {
        let Some(schedule) = &mut self.schedule else { return };
        let look = schedule.begin_look().take(self.link.clone());
        self.beside(look, Dispatcher::on_looked_at_schedule);
    }

    fn on_looked_at_schedule(&mut self, looked: Result<Looked, Error>) {
        let Some(schedule) = &mut self.schedule else { return };
        let ticked = schedule.end_look(looked, &self.observers);
        if ticked.moved {
            self.claiming.on_refill();
        }
        // A worker on its way out frees its locks next, and whoever takes them goes on with what is due.
        if ticked.more && self.shutdown.is_working() {
            self.start_look_at_schedule();
        }
    }

    /// Whether this worker is a scheduler that has not left.
    pub(super) fn has_locks(&self) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| schedule.locks)
    }

    /// A worker on its way out frees its locks for other schedulers before it finishes what runs.
    pub(super) fn start_leaving_schedule(&mut self) {
        let stops = !self.shutdown.is_working();
        let Some(schedule) = self.schedule.as_mut().filter(|schedule| schedule.locks) else { return };
        if !schedule.begins_to_leave(stops) {
            return;
        }
        let leaving = leave(self.link.clone(), Arc::clone(&schedule.who));
        self.beside(leaving, |worker, left| {
            // Refused or not, the scheduler is gone: its locks expire, and no worker stays for them.
            worker.reported("leaving the schedule", left);
            worker.schedule = None;
        });
    }
}
