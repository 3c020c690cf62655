//! Random sequences of operations, from enqueue to delete, with crashes and with steps sent twice, against a small model
//! in memory: after each, every job is in the place the model says, and in no other; and in the outbox is what ends have
//! posted and nobody has delivered (`model/outbox.rs`), of which a callback is handed out once; and who waits for the end of
//! their group (`model/group.rs`) goes on once.
//!
//! `cargo xtask rig model` tries many. One that fails is printed, as short as it could be made.

mod group;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use group::{GROUP, GroupEnd};
use outbox::{Kind, Outbox};
use proptest::collection::vec;
use proptest::prelude::*;
use rq_core::link::Step;
use rq_core::steps::Claimed;
use rq_core::steps::claim::{put_back, renew};
use rq_core::steps::job::fetch_fields;
use rq_core::steps::management::{Canceled, Deleted, RequeueFrom, cancel, delete, requeue};
use rq_core::steps::outbox::Taken;
use rq_core::steps::queue::{Enqueued, Place as QueuePlace, enqueue};
use rq_core::steps::schedule::{Scheduler, due};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon, remains};
use rq_core::{
    BoxError, CRASHES_MAX, Cancel, Conclusion, ExecutionId, Failure, Job, OnCrash, Retry, Settled, Status,
    Timestamp, Ttl,
};
use rq_tests::fixture::Value;

use crate::scripts::{QUEUE, Stage, Worker, books_in, settlement};

/// How many jobs and workers there are.
const JOBS: u8 = 6;
const WORKERS: [&str; 2] = ["w0", "w1"];
/// How many sequences are tried, and how many with `RQ_RIG=full`.
const CASES: u32 = 24;
const CASES_FULL: u32 = 1000;
/// How long they are.
const OPERATIONS_MAX: usize = 40;
/// A pause that is over only when the test says so, in seconds.
const PAUSE_S: i64 = 100_000;

/// Books of running jobs that somebody may delete.
const DAMAGES: &[&[&str]] = &[&["wip:q"], &["leases"], &["wip:q", "leases"]];

/// What ends of executions call for.
const POSTS: &[&[Kind]] =
    &[&[], &[Kind::Webhooks], &[Kind::Callbacks], &[Kind::Callbacks, Kind::Webhooks, Kind::Webhooks]];
/// And what those do of which nothing is known but that their worker died.
const POSTS_OF_DEATH: &[Kind] = &[Kind::Callbacks, Kind::Webhooks];

/// What can happen. Numbers of jobs and executions are taken modulo what there is.
#[derive(Clone, Debug)]
enum Operation {
    Enqueue {
        job: u8,
        how: Enqueue,
    },
    Claim {
        worker: usize,
        want: usize,
    },
    Begin {
        worker: usize,
    },
    Abandonment {
        worker: usize,
        nth: usize,
        outcome: Outcome,
        posts: &'static [Kind],
    },
    PutBack {
        worker: usize,
    },
    Crash {
        worker: usize,
    },
    Damage {
        books: &'static [&'static str],
    },
    Cancel {
        job: u8,
        releases: bool,
    },
    Delete {
        job: u8,
    },
    /// Python enqueues the id of a job that runs.
    Anew {
        job: u8,
    },
    Requeue {
        job: u8,
        at_front: bool,
    },
    Due,
    Take {
        worker: usize,
        kind: Kind,
    },
    Deliver {
        worker: usize,
        nth: usize,
        is_done: bool,
    },
    /// The time is over for which entries of the outbox were put off or taken.
    Outwait,
    /// A job is to run when all have ended.
    AwaitEnd,
    /// A worker looks whether they have.
    LookForEnd,
}

#[derive(Clone, Debug)]
struct Enqueue {
    parents: BTreeSet<u8>,
    failures_allowed: bool,
    at_front: bool,
    scheduled: bool,
    retries: i64,
    repeats: i64,
    paused: bool,
    unkept: bool,
    on_crash: OnCrash,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Value,
    Error,
    AskAgain,
    Stopped,
}

fn operation() -> impl Strategy<Value = (Operation, bool)> {
    let job = 0..JOBS;
    let worker = 0..WORKERS.len();
    let outcome = prop_oneof![4 => Just(Outcome::Value), 3 => Just(Outcome::Error), 1 => Just(Outcome::AskAgain), 1 => Just(Outcome::Stopped)];
    let operation = prop_oneof![
        6 => (job.clone(), how()).prop_map(|(job, how)| Operation::Enqueue { job, how }),
        5 => (worker.clone(), 1..4usize).prop_map(|(worker, want)| Operation::Claim { worker, want }),
        4 => worker.clone().prop_map(|worker| Operation::Begin { worker }),
        8 => (worker.clone(), 0..4usize, outcome, prop::sample::select(POSTS))
            .prop_map(|(worker, nth, outcome, posts)| Operation::Abandonment { worker, nth, outcome, posts }),
        1 => worker.clone().prop_map(|worker| Operation::PutBack { worker }),
        2 => worker.clone().prop_map(|worker| Operation::Crash { worker }),
        3 => (worker.clone(), prop::sample::select(&Kind::ALL[..]))
            .prop_map(|(worker, kind)| Operation::Take { worker, kind }),
        3 => (worker, 0..4usize, prop::bool::weighted(0.6))
            .prop_map(|(worker, nth, is_done)| Operation::Deliver { worker, nth, is_done }),
        2 => Just(Operation::Outwait),
        2 => prop::sample::select(DAMAGES).prop_map(|books| Operation::Damage { books }),
        1 => (job.clone(), any::<bool>()).prop_map(|(job, releases)| Operation::Cancel { job, releases }),
        1 => job.clone().prop_map(|job| Operation::Delete { job }),
        3 => job.clone().prop_map(|job| Operation::Anew { job }),
        2 => (job, any::<bool>()).prop_map(|(job, at_front)| Operation::Requeue { job, at_front }),
        2 => Just(Operation::Due),
        2 => Just(Operation::AwaitEnd),
        1 => Just(Operation::LookForEnd),
    ];
    (operation, any::<bool>())
}

fn how() -> impl Strategy<Value = Enqueue> {
    let parents =
        prop_oneof![3 => Just(BTreeSet::new()), 2 => proptest::collection::btree_set(0..JOBS, 1..4)];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), any::<bool>());
    let more = (
        0..3i64,
        0..2i64,
        prop::bool::weighted(0.2),
        prop_oneof![Just(OnCrash::Fail), Just(OnCrash::Requeue)],
    );
    (parents, flags, more).prop_map(|(parents, flags, more)| {
        let (failures_allowed, at_front, scheduled, paused) = flags;
        let (retries, repeats, unkept, on_crash) = more;
        Enqueue { parents, failures_allowed, at_front, scheduled, retries, repeats, paused, unkept, on_crash }
    })
}

// The model

/// A job as the model sees it.
#[derive(Clone, Debug)]
struct Model {
    how: Enqueue,
    place: Place,
    /// Whom it waits for, while it is deferred.
    held_by: BTreeSet<u8>,
    retries: i64,
    repeats: i64,
    asked: i64,
    crashes: i64,
    /// Whether it is in the finished registry too, because it is repeated.
    has_finished: bool,
    /// Whether it was canceled and holds nobody back.
    released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queued,
    Running { worker: usize, begun: bool },
    Scheduled,
    Deferred,
    Finished,
    Failed,
    Stopped,
    Canceled,
}

impl Place {
    fn status(self) -> Status {
        match self {
            Place::Queued => Status::Queued,
            Place::Running { .. } => Status::Started,
            Place::Scheduled => Status::Scheduled,
            Place::Deferred => Status::Deferred,
            Place::Finished => Status::Finished,
            Place::Failed => Status::Failed,
            Place::Stopped => Status::Stopped,
            Place::Canceled => Status::Canceled,
        }
    }

    fn book(self) -> &'static str {
        match self {
            Place::Queued => "queue:q",
            Place::Running { .. } => "wip:q",
            Place::Scheduled => "scheduled:q",
            Place::Deferred => "deferred:q",
            Place::Finished => "finished:q",
            Place::Failed | Place::Stopped => "failed:q",
            Place::Canceled => "canceled:q",
        }
    }

    fn has_ended(self) -> bool {
        self.status().is_terminal()
    }
}

/// All jobs; those that are not there are gone.
#[derive(Clone, Debug, Default)]
struct World {
    jobs: BTreeMap<u8, Model>,
}

impl World {
    fn is_over(&self, id: u8, failures_allowed: bool) -> bool {
        self.jobs.get(&id).is_none_or(|job| match job.place {
            Place::Finished => true,
            Place::Failed => failures_allowed,
            Place::Canceled => job.released,
            _ => false,
        })
    }

    /// Whether one of `parents`, or one they wait for, is `id`.
    fn waits_for(&self, parents: &BTreeSet<u8>, id: u8) -> bool {
        let (mut ahead, mut seen) = (parents.clone(), BTreeSet::new());
        while let Some(next) = ahead.pop_first() {
            if next == id {
                return true;
            }
            let waits = self.jobs.get(&next).filter(|job| job.place == Place::Deferred);
            if seen.insert(next)
                && let Some(job) = waits
            {
                ahead.extend(&job.held_by);
            }
        }
        false
    }

    /// Queues those who wait for nobody any more, `parent` perhaps being over whatever its place. Who waits for others still
    /// may forget it for good.
    fn release(&mut self, parent: u8, is_over: bool, forgets: bool) {
        let children: Vec<u8> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.place == Place::Deferred && job.held_by.contains(&parent))
            .map(|(&id, _)| id)
            .collect();
        for child in children {
            let job = &self.jobs[&child];
            let frees = |id: u8| (is_over && id == parent) || self.is_over(id, job.how.failures_allowed);
            let free = job.held_by.iter().all(|&id| frees(id));
            let job = self.jobs.get_mut(&child).expect("it was there");
            if free {
                job.place = Place::Queued;
            } else if forgets {
                job.held_by.remove(&parent);
            }
        }
    }

    fn running(&self, worker: usize) -> Vec<u8> {
        let on = |job: &Model| matches!(job.place, Place::Running { worker: on, .. } if on == worker);
        self.jobs.iter().filter(|(_, job)| on(job)).map(|(&id, _)| id).collect()
    }

    fn enqueue(&mut self, id: u8, how: &Enqueue) -> Enqueued {
        if let Some(job) = self.jobs.get(&id)
            && !job.place.has_ended()
        {
            return Enqueued::Already;
        }
        if !how.scheduled && !how.parents.is_empty() && self.waits_for(&how.parents, id) {
            return Enqueued::Cycle;
        }
        self.jobs.remove(&id);
        let held = how.parents.iter().any(|&parent| !self.is_over(parent, how.failures_allowed));
        let (place, answer) = match () {
            () if how.scheduled => (Place::Scheduled, Enqueued::Done),
            () if held => (Place::Deferred, Enqueued::Deferred),
            () => (Place::Queued, Enqueued::Done),
        };
        let job = Model {
            place,
            held_by: how.parents.clone(),
            retries: how.retries,
            repeats: how.repeats,
            asked: 0,
            crashes: 0,
            has_finished: false,
            released: false,
            how: how.clone(),
        };
        self.jobs.insert(id, job);
        answer
    }

    fn end(&mut self, id: u8, outcome: Outcome) {
        let job = self.jobs.get_mut(&id).expect("it runs");
        let paused = if job.how.paused { Place::Scheduled } else { Place::Queued };
        match outcome {
            Outcome::Value if job.repeats > 0 => {
                job.repeats -= 1;
                job.has_finished |= !job.how.unkept;
                job.place = paused;
            }
            Outcome::Value => job.place = Place::Finished,
            Outcome::Error if job.retries > 0 => {
                job.retries -= 1;
                job.place = paused;
            }
            Outcome::AskAgain if job.asked < 1 => {
                job.asked += 1;
                job.place = paused;
            }
            Outcome::Error | Outcome::AskAgain => job.place = Place::Failed,
            Outcome::Stopped => job.place = Place::Stopped,
        }
        self.settled(id, matches!(outcome, Outcome::Value));
    }

    /// What comes of an end: the other registry is left, dependents go, and what is not kept is gone. A repetition is an end
    /// for those who wait, although the job waits again; but then it holds them back.
    fn settled(&mut self, id: u8, well: bool) {
        let job = self.jobs.get_mut(&id).expect("it ended");
        if job.place.has_ended() {
            job.has_finished &= well;
            if well && job.how.unkept {
                self.release(id, true, true);
                self.jobs.remove(&id);
                return;
            }
        }
        if job.place.has_ended() {
            self.release(id, false, false);
        } else if well {
            // Dependents of a job that is repeated are released by its first success.
            self.release(id, true, false);
        }
    }

    fn crash(&mut self, id: u8, begun: bool) {
        let job = self.jobs.get_mut(&id).expect("it ran");
        if !begun {
            job.place = Place::Queued;
            return;
        }
        job.crashes += 1;
        if job.retries > 0 {
            job.retries -= 1;
            job.place = if job.how.paused { Place::Scheduled } else { Place::Queued };
        } else if job.how.on_crash == OnCrash::Requeue && job.crashes <= CRASHES_MAX {
            job.place = Place::Queued;
        } else {
            job.place = Place::Failed;
        }
        self.settled(id, false);
    }

    /// Nobody waits who need not: there is no step left that would release him.
    fn assert_nobody_is_stuck(&self) {
        for (id, job) in &self.jobs {
            let stuck = job.place == Place::Deferred
                && job.held_by.iter().all(|&parent| self.is_over(parent, job.how.failures_allowed));
            assert!(!stuck, "j{id} waits for nobody");
        }
    }
}

// The same, done by us

/// What a worker holds: its executions in the order of its claims, with their jobs once they have begun; and entries of
/// the outbox.
#[derive(Default)]
struct Hands {
    taken: Vec<Taken>,
    claimed: Vec<(Claimed, Option<Job>)>,
}

struct Play<'a> {
    stage: &'a Stage,
    workers: Vec<Worker<'a>>,
    hands: Vec<Hands>,
    world: World,
    outbox: Outbox,
    group_end: GroupEnd,
    /// Runs of a life that the record is in no more.
    earlier: Vec<ExecutionId>,
}

fn name(id: u8) -> String {
    format!("j{id}")
}

fn number(id: &str) -> u8 {
    id[1..].parse().expect("j and a number")
}

impl<'a> Play<'a> {
    fn new(stage: &'a Stage) -> Play<'a> {
        let workers = WORKERS.iter().map(|name| stage.worker(name, &[QUEUE])).collect();
        Play {
            stage,
            workers,
            hands: WORKERS.iter().map(|_| Hands::default()).collect(),
            world: World::default(),
            outbox: Outbox::default(),
            group_end: GroupEnd::default(),
            earlier: Vec::new(),
        }
    }

    /// Takes a step, perhaps twice; the first answer.
    fn take<T>(&self, step: &Step<T>, twice: bool) -> T {
        let answer = self.stage.take(step);
        if twice {
            self.stage.take(step);
        }
        answer
    }

    fn play(&mut self, operation: &Operation, twice: bool) {
        match operation {
            Operation::Enqueue { job, how } => self.enqueue(*job, how, twice),
            Operation::Claim { worker, want } => self.claim(*worker, *want),
            Operation::Begin { worker } => self.begin(*worker),
            Operation::Abandonment { worker, nth, outcome, posts } => {
                self.end(*worker, *nth, (*outcome, posts), twice);
            }
            Operation::PutBack { worker } => self.put_back(*worker, twice),
            Operation::Crash { worker } => self.crash(*worker, twice),
            Operation::Damage { books } => self.damage(books, twice),
            Operation::Cancel { job, releases } => self.cancel(*job, *releases, twice),
            Operation::Delete { job } => self.delete(*job, twice),
            Operation::Anew { job } => self.anew(*job),
            Operation::Requeue { job, at_front } => self.requeue(*job, *at_front, twice),
            Operation::Due => self.due(twice),
            Operation::Take { worker, kind } => {
                let taken = self.outbox.take(self.stage, *kind, twice);
                self.hands[*worker].taken.extend(taken);
            }
            Operation::Deliver { worker, nth, is_done } => {
                let taken = &mut self.hands[*worker].taken;
                if !taken.is_empty() {
                    let taken = taken.remove(nth % taken.len());
                    self.outbox.deliver(self.stage, &taken, *is_done, twice);
                }
            }
            Operation::Outwait => self.outbox.pass_time(self.stage),
            Operation::AwaitEnd => self.group_end.declare(self.stage, twice),
            Operation::LookForEnd => self.group_end.look(self.stage, twice),
        }
    }

    fn enqueue(&mut self, id: u8, how: &Enqueue, twice: bool) {
        let mut job = self.stage.job(&name(id));
        job.group_id = Some(GROUP.to_owned());
        job.retries_left = Some(how.retries);
        job.repeats_left = Some(how.repeats);
        let pause_s = if how.paused { PAUSE_S.unsigned_abs() } else { 0 };
        job.retry_intervals_s = Some(vec![pause_s]);
        job.repeat_intervals_s = Some(vec![pause_s]);
        job.on_crash = Some(how.on_crash);
        job.result_ttl = how.unkept.then_some(Ttl::Seconds(0));
        job.dependency_ids =
            (!how.parents.is_empty()).then(|| how.parents.iter().map(|&id| name(id)).collect());
        job.allow_dependency_failures = Some(how.failures_allowed);
        let place = match () {
            () if how.scheduled => QueuePlace::At(Timestamp::now().epoch_secs() + PAUSE_S),
            () if how.at_front => QueuePlace::Head,
            () => QueuePlace::Tail,
        };
        if how.scheduled {
            (job.status, job.enqueued_at) = (Status::Scheduled, None);
        }
        let step = enqueue(&self.stage.keys, QUEUE, &[(job, place)]);
        let answer = self.take(&step, twice).remove(0);
        assert_eq!(answer, self.world.enqueue(id, how), "enqueue j{id}");
    }

    fn claim(&mut self, worker: usize, want: usize) {
        let claimed = self.workers[worker].claim(want);
        let queued = self.world.jobs.values().filter(|job| job.place == Place::Queued).count();
        assert_eq!(claimed.len(), queued.min(want), "as many as there are");
        for claimed in claimed {
            let id = number(claimed.id.job_id());
            let job = self.world.jobs.get_mut(&id).expect("a claimed job is there");
            assert_eq!(job.place, Place::Queued, "j{id} was claimed");
            job.place = Place::Running { worker, begun: false };
            self.hands[worker].claimed.push((claimed, None));
        }
    }

    fn begin(&mut self, worker: usize) {
        let waiting: Vec<usize> = (0..self.hands[worker].claimed.len())
            .filter(|&index| self.hands[worker].claimed[index].1.is_none())
            .collect();
        let claimed: Vec<Claimed> =
            waiting.iter().map(|&index| self.hands[worker].claimed[index].0.clone()).collect();
        if claimed.is_empty() {
            return;
        }
        let begun = self.workers[worker].begin(&claimed);
        let mut gone = Vec::new();
        for ((index, claimed), fields) in waiting.into_iter().zip(claimed).zip(begun) {
            let id = number(claimed.id.job_id());
            let is_earlier = self.earlier.contains(&claimed.id);
            let runs = is_earlier || self.is_ours(worker, &claimed);
            assert_eq!(fields.is_some(), runs, "whether j{id} may begin");
            match fields {
                // A run of an earlier life whose record is gone has nothing to run.
                Some(fields) if fields.is_empty() => gone.push(index),
                Some(fields) => {
                    let job = Job::from_fields(claimed.id.job_id(), fields).expect("a job");
                    self.hands[worker].claimed[index].1 = Some(job);
                    if is_earlier {
                        continue;
                    }
                    self.world.jobs.get_mut(&id).expect("it runs").place =
                        Place::Running { worker, begun: true };
                }
                None => gone.push(index),
            }
        }
        for index in gone.into_iter().rev() {
            self.hands[worker].claimed.remove(index);
        }
    }

    /// Whether the model still has this very run: a job that was canceled and enqueued anew may run a second time here.
    fn is_ours(&self, worker: usize, claimed: &Claimed) -> bool {
        let id = number(claimed.id.job_id());
        let newest = self.hands[worker].claimed.iter().rev().find(|(held, _)| number(held.id.job_id()) == id);
        self.world.running(worker).contains(&id) && newest.is_some_and(|(newest, _)| newest.id == claimed.id)
    }

    fn end(&mut self, worker: usize, nth: usize, (outcome, posts): (Outcome, &[Kind]), twice: bool) {
        let begun: Vec<usize> = (0..self.hands[worker].claimed.len())
            .filter(|&index| self.hands[worker].claimed[index].1.is_some())
            .collect();
        if begun.is_empty() {
            return;
        }
        let index = begun[nth % begun.len()];
        let ours = self.is_ours(worker, &self.hands[worker].claimed[index].0);
        let (claimed, job) = self.hands[worker].claimed.remove(index);
        let job = job.expect("it has begun");
        let failure: BoxError = "boom".into();
        let pause =
            Duration::from_secs(if job.retry_intervals_s == Some(vec![0]) { 0 } else { PAUSE_S as u64 });
        let failure = match outcome {
            Outcome::Value => None,
            Outcome::Error => Some(Failure::Error(failure)),
            Outcome::AskAgain => Some(Failure::Retry(Retry::up_to(1).every(pause))),
            Outcome::Stopped => Some(Failure::Stopped),
        };
        let outcome_of = failure.as_ref().map_or(Ok(None), Err);
        let conclusion = Conclusion::of(&job, outcome_of, Timestamp::now(), Ttl::RESULT_DEFAULT);
        let posts = self.outbox.posts(posts);
        let end = Settlement {
            conclusion,
            posts: posts.clone(),
            group: job.group().map(str::to_owned),
            ..settlement(&claimed, Settled::Exhausted, Ttl::Forever)
        };
        let answer = self.take(&self.workers[worker].settle_step(&[end]), twice).remove(0);
        let id = number(claimed.id.job_id());
        if matches!(answer, SettleReply::Done | SettleReply::Superseded) {
            self.outbox.note(&claimed.id, posts);
        }
        if self.forget_earlier(&claimed.id) {
            let expected = match self.world.jobs.contains_key(&id) {
                true => SettleReply::Superseded,
                false => SettleReply::Deleted,
            };
            assert_eq!(answer, expected, "an earlier life of j{id} ended");
        } else if ours {
            assert_eq!(answer, SettleReply::Done, "j{id} ended");
            self.world.end(id, outcome);
        } else {
            assert!(matches!(answer, SettleReply::Lost | SettleReply::Deleted), "j{id} was lost: {answer:?}");
        }
    }

    fn put_back(&mut self, worker: usize, twice: bool) {
        let held = &self.hands[worker].claimed;
        let waiting = held.iter().filter(|(_, job)| job.is_none()).map(|(claimed, _)| claimed.clone());
        let claimed: Vec<Claimed> = waiting.collect();
        let ours: Vec<bool> = claimed.iter().map(|claimed| self.is_ours(worker, claimed)).collect();
        self.hands[worker].claimed.retain(|(_, job)| job.is_some());
        if claimed.is_empty() {
            return;
        }
        assert_eq!(self.take(&put_back(&self.workers[worker].who, &claimed), twice), ours);
        for (claimed, ours) in claimed.iter().zip(ours) {
            self.forget_earlier(&claimed.id);
            if ours {
                self.world.jobs.get_mut(&number(claimed.id.job_id())).expect("it ran").place = Place::Queued;
            }
        }
    }

    /// The worker dies, and its leases run out.
    fn crash(&mut self, worker: usize, twice: bool) {
        let Hands { claimed: held, .. } = std::mem::take(&mut self.hands[worker]);
        for (claimed, _) in &held {
            self.stage.scratch.query::<()>(
                "ZADD",
                [self.stage.scratch.key("leases"), "XX".into(), "5".into(), claimed.id.to_string()],
            );
        }
        let silent = self.stage.silent();
        let running = self.world.running(worker);
        let earlier = silent.iter().filter(|silent| self.earlier.contains(&silent.id)).count();
        assert_eq!(silent.len(), running.len() + earlier, "each run has a lease");
        if silent.is_empty() {
            return;
        }
        let fields = self.stage.take(&remains(&self.stage.keys, &silent)).jobs;
        let mut ends: Vec<_> =
            silent.iter().zip(fields).map(|(silent, fields)| silent.end(fields, OnCrash::Fail)).collect();
        for end in &mut ends {
            end.settlement.posts = self.outbox.posts(POSTS_OF_DEATH);
        }
        let answers = self.take(&abandon(&self.stage.keys, Evidence::Lease, &ends), twice);
        for (end, answer) in ends.into_iter().zip(answers) {
            let (run, posts) = (end.settlement.claimed.id, end.settlement.posts);
            let id = number(run.job_id());
            let has_begun = held.iter().any(|(claimed, job)| claimed.id == run && job.is_some());
            // Where the id's next life has ended, it has without this run.
            let is_open = self.world.jobs.get(&id).is_some_and(|job| !job.place.has_ended());
            if has_begun && is_open {
                self.outbox.note(&run, posts);
            }
            if self.forget_earlier(&run) {
                assert_eq!(answer, AbandonReply::Cleared, "an earlier life of j{id}");
                continue;
            }
            let Place::Running { begun, .. } = self.world.jobs[&id].place else { panic!("j{id} ran") };
            let expected = if begun { AbandonReply::Concluded } else { AbandonReply::PutBack };
            assert_eq!(answer, expected, "j{id}");
            self.world.crash(id, begun);
        }
    }

    /// Somebody deletes books of running jobs, and the workers renew their leases: what is theirs is there again, and
    /// what they have lost is not.
    fn damage(&mut self, books: &[&str], twice: bool) {
        // Without its entry nothing says that such a run is still its worker's: it is lost.
        if !self.earlier.is_empty() {
            return;
        }
        books.iter().for_each(|book| self.stage.run(&format!("DEL {book}")));
        for worker in 0..WORKERS.len() {
            let claimed: Vec<Claimed> =
                self.hands[worker].claimed.iter().map(|(claimed, _)| claimed.clone()).collect();
            let ours: Vec<bool> = claimed.iter().map(|claimed| self.is_ours(worker, claimed)).collect();
            assert_eq!(self.take(&renew(&self.workers[worker].who, &claimed), twice), ours);
        }
    }

    fn cancel(&mut self, id: u8, releases: bool, twice: bool) {
        let how = if releases { Cancel::default().release_dependents() } else { Cancel::default() };
        let answer = self.take(&cancel(&self.stage.keys, &name(id), how), twice);
        match self.world.jobs.get_mut(&id) {
            None => assert_eq!(answer, Canceled::NoJob),
            Some(job) if job.place == Place::Canceled => assert_eq!(answer, Canceled::Already),
            Some(job) => {
                assert_eq!(answer, Canceled::Done);
                self.earlier.retain(|run| number(run.job_id()) != id);
                (job.place, job.released) = (Place::Canceled, releases);
                if releases {
                    self.world.release(id, true, true);
                }
            }
        }
    }

    fn delete(&mut self, id: u8, twice: bool) {
        assert_eq!(self.take(&delete(&self.stage.keys, &[name(id)]), twice), [Deleted::Done]);
        if self.world.jobs.remove(&id).is_some() {
            self.earlier.retain(|run| number(run.job_id()) != id);
        }
        self.world.release(id, true, true);
    }

    /// What Python's enqueue writes of an id that it does not know to run.
    fn anew(&mut self, id: u8) {
        let Some(job) = self.world.jobs.get_mut(&id) else { return };
        let Place::Running { worker, .. } = job.place else { return };
        job.place = Place::Queued;
        let newest = self.hands[worker].claimed.iter().rev().find(|(held, _)| number(held.id.job_id()) == id);
        self.earlier.push(newest.expect("it runs").0.id.clone());
        self.stage.run(&format!("HSET job:{} status queued worker_name ", name(id)));
        self.stage.run(&format!("RPUSH queue:q {}", name(id)));
    }

    /// Whether a run was one of an earlier life, which it is no more.
    fn forget_earlier(&mut self, run: &ExecutionId) -> bool {
        let before = self.earlier.len();
        self.earlier.retain(|earlier| earlier != run);
        self.earlier.len() < before
    }

    fn requeue(&mut self, id: u8, at_front: bool, twice: bool) {
        let step = requeue(&self.stage.keys, RequeueFrom::Record, at_front, &[name(id)]);
        self.take(&step, twice);
        if let Some(job) = self.world.jobs.get_mut(&id)
            && matches!(job.place, Place::Failed | Place::Stopped | Place::Finished)
        {
            job.place = Place::Queued;
            job.has_finished = false;
        }
    }

    /// Time passes: all that is scheduled is due.
    fn due(&mut self, twice: bool) {
        for (&id, job) in &self.world.jobs {
            if job.place == Place::Scheduled {
                self.stage.run(&format!("ZADD scheduled:q XX 5 {}", name(id)));
            }
        }
        let scheduler = Scheduler {
            keys: self.stage.keys.clone(),
            name: "s".to_owned(),
            hostname: "h".to_owned(),
            pid: 1,
            created_at: Timestamp::now(),
            queues: vec![QUEUE.to_owned()],
            kept: Duration::from_secs(61),
        };
        self.take(&due(&scheduler), twice);
        for job in self.world.jobs.values_mut().filter(|job| job.place == Place::Scheduled) {
            job.place = Place::Queued;
        }
    }

    // The checks (invariants I1, I2, I6 and I7 of the fault catalogue)

    fn check(&mut self) {
        self.world.assert_nobody_is_stuck();
        let dump = self.stage.scratch.dump();
        self.outbox.check(&dump);
        let open = self.world.jobs.iter().filter(|(_, job)| !job.place.has_ended());
        self.group_end.check(&dump, &open.map(|(&id, _)| name(id)).collect());
        for id in 0..JOBS {
            let mut expected: Vec<&str> = Vec::new();
            if let Some(job) = self.world.jobs.get(&id) {
                expected.push(job.place.book());
                if job.has_finished && job.place != Place::Finished {
                    expected.push("finished:q");
                }
            }
            expected.extend(self.earlier.iter().filter(|run| number(run.job_id()) == id).map(|_| "wip:q"));
            expected.sort_unstable();
            assert_eq!(books_in(&dump, &name(id)), expected, "j{id}: {:?}", self.world.jobs.get(&id));
            let job = dump.get(&format!("rq:job:{}", name(id)));
            let status =
                job.and_then(|job| job.hash().get("status")).map(|status| status.as_str().to_owned());
            let place = self.world.jobs.get(&id).map(|job| job.place.status().to_string());
            assert_eq!(status, place, "j{id}");
        }
        // Nothing is left of runs that are over.
        let running = (0..WORKERS.len()).flat_map(|worker| self.world.running(worker)).map(name);
        let earlier = self.earlier.iter().map(|run| run.job_id().to_owned());
        let running: BTreeSet<String> = running.chain(earlier).collect();
        let mut found = BTreeSet::new();
        for (key, held) in &dump {
            let members: Vec<&str> = match (key.trim_start_matches("rq:"), &held.value) {
                ("leases", Value::SortedSet(members)) => {
                    members.iter().map(|(member, _)| member.as_str()).collect()
                }
                (key, Value::Set(members)) if key.ends_with(":executions") => {
                    members.iter().map(|member| member.as_str()).collect()
                }
                (key, _) if key.starts_with("execution:") => vec![&key["execution:".len()..]],
                (key, _) if key.starts_with("executions:") => vec![&key["executions:".len()..]],
                _ => continue,
            };
            found.extend(
                members.into_iter().map(|member| member.split(':').next().expect("an id").to_owned()),
            );
        }
        assert_eq!(found, running, "runs that have something in Redis");
    }
}

fn check_sequence(operations: &[(Operation, bool)]) {
    let stage = Stage::new();
    let mut play = Play::new(&stage);
    for (operation, twice) in operations {
        play.play(operation, *twice);
        play.check();
    }
    // To the end: what is there can still be read.
    let ids: Vec<String> = (0..JOBS).map(name).collect();
    for (id, fields) in ids.iter().zip(stage.take(&fetch_fields(&stage.keys, &ids))) {
        if !fields.is_empty() {
            Job::from_fields(id.as_str(), fields).expect("a job that can be read");
        }
    }
}

#[test]
fn every_sequence_of_operations_leaves_each_job_in_its_place() {
    let is_full = std::env::var("RQ_RIG").is_ok_and(|size| size == "full");
    let cases = if is_full { CASES_FULL } else { CASES };
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, ..Default::default() };
    proptest!(config, |(operations in vec(operation(), 1..OPERATIONS_MAX))| check_sequence(&operations));
}
