//! [`Schedule`]: the scheduler inside a worker. It locks queues that no other scheduler has, and queues their scheduled
//! jobs when they are due.

use std::time::Duration;

use rq_core::link::{Link, Step, within};
use rq_core::steps::schedule::{self as steps, Holder, QueueTick, Scheduler};
use rq_core::{Error, Timestamp};
use tokio::time::{Interval, MissedTickBehavior};

use super::{Dispatcher, registration};
use crate::event::{Observers, WorkerEvent};
use crate::options::Options;

/// How often it looks for due jobs, as RQ's does.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long its locks outlive its last tick; then another scheduler, ours or Python's, takes its queues over.
const KEPT: Duration = Duration::from_secs(61);
/// How long one of its steps may take. None is retried: the next tick comes soon, and locks expire by themselves.
const STEP_LONGEST: Duration = Duration::from_secs(5);

/// A worker's scheduler. Its ticks are steps beside the loop, one at a time; one that fails is made up for by the next.
pub(crate) struct Schedule {
    who: Scheduler,
    interval: Interval,
    stage: Stage,
    /// Whether one pass over all that is due is enough: a burst worker's scheduler is done before the worker claims.
    once: bool,
    /// Per queue, whose it was at the last tick.
    holders: Vec<Option<Holder>>,
    /// Why the last tick failed, if it did.
    refusal: Option<String>,
}

/// What a scheduler is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for its next tick.
    Waiting,
    /// A tick is under way.
    Ticking,
    /// It makes no more ticks, and has to leave.
    Done,
    /// It is freeing its locks.
    Leaving,
}

impl Schedule {
    /// The scheduler that the options ask for.
    pub(crate) fn new(options: &Options) -> Option<Schedule> {
        if !options.with_scheduler {
            return None;
        }
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
        let mut interval = tokio::time::interval(INTERVAL);
        // One tick takes all that is due, so those missed in a stall need not follow one another.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let holders = vec![None; who.queues.len()];
        Some(Schedule { who, interval, stage: Stage::Waiting, once: options.burst, holders, refusal: None })
    }

    /// Waits until the next tick is due. Cancel-safe; never ready while none may begin.
    pub(crate) async fn due(schedule: &mut Option<Schedule>) {
        match schedule {
            Some(Schedule { stage: Stage::Waiting, interval, .. }) => {
                interval.tick().await;
            }
            _ => std::future::pending().await,
        }
    }

    /// Whether the worker may not claim yet: a burst worker also runs the jobs that were due when it began.
    pub(crate) fn comes_first(&self) -> bool {
        self.once && matches!(self.stage, Stage::Waiting | Stage::Ticking)
    }

    /// Begins a tick.
    pub(crate) fn begin_tick(&mut self) -> Step<Vec<QueueTick>> {
        self.stage = Stage::Ticking;
        steps::due(&self.who)
    }

    /// Ends a tick, and reports what it did.
    pub(crate) fn end_tick(
        &mut self,
        ticked: Result<Vec<QueueTick>, Error>,
        observers: &Observers,
    ) -> Ticked {
        let ticked = match ticked {
            Ok(ticks) => {
                self.refusal = None;
                self.tell_holders(&ticks, observers);
                // Gone, or in another status by now: a delete or a cancel that came first has won.
                let jobs = ticks.iter().map(|tick| tick.dropped).sum();
                if jobs > 0 {
                    observers.tell(WorkerEvent::Unscheduled { jobs });
                }
                Ticked::of(&ticks)
            }
            Err(error) => {
                self.tell_refusal(error.to_string(), observers);
                // Not repeated: the next tick takes the same jobs, and a burst's pass is over so that the worker may
                // claim.
                Ticked::default()
            }
        };
        self.stage = if self.once && !ticked.more { Stage::Done } else { Stage::Waiting };
        ticked
    }

    /// Begins to free the locks, if the scheduler is done or its worker stops, and no tick is under way.
    pub(crate) fn begin_leaving(&mut self, worker_stops: bool) -> Option<Step<usize>> {
        let leaves = self.stage == Stage::Done || (self.stage == Stage::Waiting && worker_stops);
        leaves.then(|| {
            self.stage = Stage::Leaving;
            steps::leave(&self.who)
        })
    }

    /// Reports a refusal, which may come again at every tick, once.
    fn tell_refusal(&mut self, refusal: String, observers: &Observers) {
        if self.refusal.as_ref() != Some(&refusal) {
            observers.step_failed("scheduling", &refusal);
            self.refusal = Some(refusal);
        }
    }

    fn tell_holders(&mut self, ticks: &[QueueTick], observers: &Observers) {
        for ((queue, before), tick) in self.who.queues.iter().zip(&mut self.holders).zip(ticks) {
            let before = before.replace(tick.holder);
            let not_scheduled = |reason| WorkerEvent::NotScheduled { queue, reason };
            match (before, tick.holder) {
                // With a tick a second only what has changed is worth a line.
                (before, now) if before == Some(now) => {}
                (_, Holder::Us) => observers.tell(WorkerEvent::SchedulerLockAcquired { queue }),
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
    }
}

/// What a tick came to, over all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticked {
    /// Whether a queue may hold more jobs than before.
    pub(crate) moved: bool,
    /// Whether more jobs are due, so that the next tick comes at once.
    pub(crate) more: bool,
}

impl Ticked {
    fn of(ticks: &[QueueTick]) -> Ticked {
        Ticked { moved: ticks.iter().any(|tick| tick.moved > 0), more: ticks.iter().any(|tick| tick.more) }
    }
}

/// Runs one of the scheduler's steps, once.
pub(crate) async fn run_once<T>(link: Link, step: Step<T>) -> Result<T, Error> {
    // A step without an answer would be the last tick for ever, and a worker on its way out would wait for it.
    within(STEP_LONGEST, link.run(&step)).await
}

impl Dispatcher {
    pub(super) fn start_tick(&mut self) {
        let Some(schedule) = &mut self.schedule else { return };
        let tick = run_once(self.link.clone(), schedule.begin_tick());
        self.beside(tick, Dispatcher::on_ticked);
    }

    fn on_ticked(&mut self, ticked: Result<Vec<QueueTick>, Error>) {
        let Some(schedule) = &mut self.schedule else { return };
        let ticked = schedule.end_tick(ticked, &self.observers);
        if ticked.moved {
            self.claiming.on_refill();
        }
        // A worker on its way out frees its locks next, and whoever takes them goes on with what is due.
        if ticked.more && self.shutdown.is_working() {
            self.start_tick();
        }
    }

    /// A worker on its way out frees its locks for other schedulers before it finishes what runs.
    pub(super) fn start_leaving_schedule(&mut self) {
        let stops = !self.shutdown.is_working();
        if let Some(step) = self.schedule.as_mut().and_then(|schedule| schedule.begin_leaving(stops)) {
            self.beside(run_once(self.link.clone(), step), |worker, left| {
                // Refused or not, the scheduler is gone: its locks expire, and no worker stays for them.
                worker.reported("leaving the schedule", left);
                worker.schedule = None;
            });
        }
    }
}
