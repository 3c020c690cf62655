//! The scripts on a real Redis: what each leaves there, and that taking its step twice leaves the same.
//!
//! | file | holds |
//! |---|---|
//! | `scripts/<name>.rs` | the script of that name |
//! | `scripts/due.rs` | `due` and `leave` |
//! | `scripts/group.rs` | `await_group`, `note_open`, `let_end`, `take_groups` and `look_at_group` |
//! | `scripts/unique.rs`, `scripts/limits.rs` | `enqueue` of unique jobs, and behind limits, with `fill_slots` |
//! | `scripts/tick.rs` | `announce`, `tick`, `trigger` and `pause` |
//! | `scripts/outbox.rs` | `take` and `deliver`, and what `settle` and `abandon` post |
//! | `scripts/registration.rs` | `birth` and `death` |
//! | `scripts/lives.rs` | those of a running job, whose id has been enqueued anew |
//! | `scripts/damage.rs` | those of a running job, whose books somebody has deleted |
//! | `scripts/full_memory.rs` | all of them at `maxmemory` |
//! | `scripts/refusals.rs` | all of them on a server that takes no writes |
//! | `scripts/flush.rs` | all of them on a server that forgets them |

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use redis::FromRedisValue;
use rq_core::link::{BlockingLink, Step};
use rq_core::steps::claim::Claim;
use rq_core::steps::queue::{self, Enqueued, Place};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::silent::{Silent, first_leases};
use rq_core::steps::worker::Identity;
use rq_core::steps::{self, Claimed, settlement, worker};
use rq_core::{
    Codec, Conclusion, Error, Fields, Job, Keys, Payload, Settled, Status, Timestamp, Ttl, WorkerRecord, zlib,
};
use rq_tests::Scratch;
use rq_tests::fixture::{self, Value};

mod abandon;
mod begin;
mod bury;
mod cancel;
mod claim;
mod damage;
mod delete;
mod due;
mod empty;
mod enqueue;
mod expire;
mod flush;
mod free_slots;
mod full_memory;
mod group;
mod heartbeat;
mod limits;
mod lives;
mod outbox;
mod pick_up;
mod prune;
mod push_ready;
mod put_back;
mod refusals;
mod registration;
mod release;
mod renew;
mod requeue;
mod save_meta;
mod settle;
mod take_round;
mod tick;
mod tidy_group;
mod undefer;
mod unique;

/// The queue that jobs here belong to unless a test says otherwise.
pub(crate) const QUEUE: &str = "q";
/// RQ's defaults (docs/wire.md §6, §8).
const WORKER_TTL: Duration = Duration::from_secs(420);
const MONITORING_INTERVAL: Duration = Duration::from_secs(30);
/// As the worker has it unless told.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// How far two readings of a TTL may differ because time passed between them, in seconds.
const TTL_SLACK_S: i64 = 20;

/// A key space, and a connection that takes steps in it.
pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) keys: Keys,
    link: BlockingLink,
}

impl Stage {
    /// On the server that all tests share.
    pub(crate) fn new() -> Stage {
        Stage::on(Scratch::new())
    }

    pub(crate) fn on(scratch: Scratch) -> Stage {
        let keys = Keys::new(scratch.prefix()).expect("a scratch has a legal prefix");
        let link = BlockingLink::open(scratch.url()).expect("the server answers");
        Stage { scratch, keys, link }
    }

    /// Takes a step that must succeed.
    #[track_caller]
    pub(crate) fn take<T>(&self, step: &Step<T>) -> T {
        self.link.run(step).unwrap_or_else(|error| panic!("{}: {error}", step.name()))
    }

    /// What a worker finds that looks for leases that are over.
    pub(crate) fn silent(&self) -> Vec<Silent> {
        self.take(&first_leases(&identity(&self.keys, "who looks"))).over()
    }

    /// Takes a step that Redis must refuse, and checks that it left everything as it was.
    #[track_caller]
    fn refuse<T: Debug>(&self, step: &Step<T>) -> Error {
        let before = self.scratch.dump();
        let error = self.link.run(step).expect_err("the step is refused");
        assert_same(&before, &self.scratch.dump());
        error
    }

    /// Takes a step twice, as a client does that lost the first answer, and checks that the second time changes
    /// nothing. Both answers.
    #[track_caller]
    fn twice<T>(&self, step: &Step<T>) -> (T, T) {
        let first = self.take(step);
        let between = self.scratch.dump();
        let second = self.take(step);
        assert_same(&between, &self.scratch.dump());
        (first, second)
    }

    /// [`Stage::twice`] for a step that answers the same both times.
    #[track_caller]
    pub(crate) fn take_twice<T: PartialEq + Debug>(&self, step: &Step<T>) -> T {
        let (first, second) = self.twice(step);
        assert_eq!(first, second, "the second answer to {}", step.name());
        first
    }

    /// A job of [`QUEUE`], ready to be enqueued.
    pub(crate) fn job(&self, id: &str) -> Job {
        let payload =
            Payload { func: "math.add".to_owned(), args: vec![2.into(), 3.into()], kwargs: Vec::new() };
        let data = zlib::deflate(&Codec::Json.encode_payload(&payload).expect("plain data"));
        let mut job = Job::new(id, QUEUE, data);
        job.status = Status::Queued;
        job.enqueued_at = Some(job.created_at);
        job.description = Some(payload.description());
        job
    }

    /// Enqueues new jobs at the tail of [`QUEUE`].
    #[track_caller]
    pub(crate) fn enqueue(&self, ids: &[&str]) {
        let jobs: Vec<(Job, Place)> = ids.iter().map(|id| (self.job(id), Place::Tail)).collect();
        let enqueued = self.take(&queue::enqueue(&self.keys, QUEUE, &jobs));
        assert_eq!(enqueued, vec![Enqueued::Done; ids.len()]);
    }

    /// Registers a worker of `queues`.
    #[track_caller]
    pub(crate) fn worker(&self, name: &str, queues: &[&str]) -> Worker<'_> {
        let worker = Worker::new(self, name, queues);
        assert!(self.take(&worker.birth()), "the name {name} is free");
        worker
    }

    /// A worker of [`QUEUE`] that has claimed `ids`, in this order, from an otherwise empty queue.
    #[track_caller]
    pub(crate) fn worker_with(&self, ids: &[&str]) -> (Worker<'_>, Vec<Claimed>) {
        self.enqueue(ids);
        let worker = self.worker("w", &[QUEUE]);
        let claimed = worker.claim(ids.len());
        assert_eq!(job_ids(&claimed), ids);
        (worker, claimed)
    }

    /// Runs a command by hand: `run("ZADD finished:q 1 a")`, key names without the prefix, and words without spaces.
    pub(crate) fn run(&self, command: &str) {
        self.ask::<redis::Value>(command);
    }

    /// As [`Stage::run`], with the answer.
    #[track_caller]
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let words: Vec<&str> = command.split(' ').collect();
        let (name, key, rest) = (words[0], self.scratch.key(words[1]), &words[2..]);
        let rest = rest.iter().map(|word| word.replace("$P", self.scratch.prefix()));
        self.scratch.query(name, std::iter::once(key).chain(rest))
    }

    /// A field of a job's hash, as text.
    pub(crate) fn field(&self, id: &str, field: &str) -> Option<String> {
        self.ask(&format!("HGET job:{id} {field}"))
    }

    /// The ids that wait in a queue, next one first.
    pub(crate) fn waiting(&self, queue: &str) -> Vec<String> {
        self.take(&queue::job_ids(&self.keys, queue, 0, usize::MAX))
    }

    /// Every list and registry that holds the id, once for each time: `queue:q`, `wip:q`. One is right; none is a
    /// lost job.
    pub(crate) fn books(&self, id: &str) -> Vec<String> {
        books_in(&self.scratch.dump(), id)
    }

    /// The names of all keys, without the prefix.
    pub(crate) fn key_names(&self) -> BTreeSet<String> {
        self.scratch.dump().into_keys().map(|name| name.trim_start_matches("rq:").to_owned()).collect()
    }
}

/// [`Stage::books`] of a dump.
pub(crate) fn books_in(dump: &fixture::Keys, id: &str) -> Vec<String> {
    let mut books = Vec::new();
    for (name, key) in dump {
        let name = name.trim_start_matches("rq:");
        let execution = format!("{id}:");
        let count = match &key.value {
            Value::List(ids) => ids.iter().filter(|held| **held == *id).count(),
            Value::SortedSet(members) if name.starts_with("wip:") => {
                members.iter().filter(|(member, _)| member.as_str().starts_with(&execution)).count()
            }
            // No place of a job, but who of a group has not ended.
            Value::SortedSet(_) if name.starts_with("group_") => 0,
            Value::SortedSet(members) => members.iter().filter(|(member, _)| *member == *id).count(),
            _ => 0,
        };
        books.extend(std::iter::repeat_n(name.to_owned(), count));
    }
    books
}

fn identity(keys: &Keys, name: &str) -> Identity {
    Identity {
        keys: keys.clone(),
        name: name.to_owned(),
        worker_ttl: WORKER_TTL,
        monitoring_interval: MONITORING_INTERVAL,
        lease: LEASE,
    }
}

/// A worker as Redis sees it: what a worker process would send.
pub(crate) struct Worker<'a> {
    stage: &'a Stage,
    pub(crate) who: Identity,
    queues: Vec<String>,
    claims: Cell<u64>,
}

impl<'a> Worker<'a> {
    /// One that is not registered yet.
    fn new(stage: &'a Stage, name: &str, queues: &[&str]) -> Worker<'a> {
        let who = identity(&stage.keys, name);
        let queues = queues.iter().map(ToString::to_string).collect();
        Worker { stage, who, queues, claims: Cell::new(0) }
    }

    fn birth(&self) -> Step<bool> {
        worker::birth(&self.who, &self.record())
    }

    fn record(&self) -> WorkerRecord {
        let mut record = WorkerRecord::new(self.who.name.as_str());
        record.birth = Some(Timestamp::now());
        record.last_heartbeat = record.birth;
        record.queues = self.queues.clone();
        record.pid = Some(4711);
        record.hostname = Some("host".to_owned());
        record.ip_address = Some("unknown".to_owned());
        record.version = Some("0".to_owned());
        record.python_version = Some("none".to_owned());
        record
    }

    /// The next claim, not taken yet.
    fn claim_step(&self, want: usize) -> Step<Claim> {
        self.claims.set(self.claims.get() + 1);
        steps::claim::claim(&self.who, &self.queues, 0, self.claims.get(), want)
    }

    /// Claims up to `want` jobs and what had to be dropped.
    #[track_caller]
    pub(crate) fn claim_all(&self, want: usize) -> (Vec<Claimed>, Vec<(String, String)>) {
        taken(self.stage.take(&self.claim_step(want)))
    }

    /// Claims up to `want` jobs from lists that hold nothing else.
    #[track_caller]
    pub(crate) fn claim(&self, want: usize) -> Vec<Claimed> {
        let (claimed, dropped) = self.claim_all(want);
        assert_eq!(dropped, [], "dropped by the claim");
        claimed
    }

    /// Begins claimed executions; which of them may run.
    #[track_caller]
    pub(crate) fn begin(&self, claimed: &[Claimed]) -> Vec<Option<Fields>> {
        self.stage.take(&steps::claim::begin(&self.who, claimed))
    }

    pub(crate) fn settle_step(&self, settlements: &[Settlement]) -> Step<Vec<SettleReply>> {
        settlement::settle(&self.stage.keys, Some(&self.who.name), settlements)
    }

    /// Settles executions that are this worker's.
    #[track_caller]
    pub(crate) fn settle(&self, settlements: &[Settlement]) {
        let settled = self.stage.take(&self.settle_step(settlements));
        assert_eq!(settled, vec![SettleReply::Done; settlements.len()]);
    }

    /// Its death, not taken yet.
    pub(crate) fn death(&self) -> Step<()> {
        worker::death(&self.who, &self.queues, "idle")
    }

    /// A number of the worker's hash.
    fn count(&self, field: &str) -> Option<i64> {
        self.stage.ask(&format!("HGET worker:{} {field}", self.who.name))
    }
}

/// An execution that ran for 10 ms and ended now.
pub(crate) fn settlement(claimed: &Claimed, settled: Settled, ttl: Ttl) -> Settlement {
    const RAN: Duration = Duration::from_millis(10);
    let ended_at = Timestamp::now();
    let claimed_at = ended_at.before(2 * RAN);
    let conclusion = Conclusion { settled, ttl, filed: true, next: None, changes: Vec::new() };
    let claimed = claimed.clone();
    Settlement {
        claimed,
        conclusion,
        slot: None,
        group: None,
        claimed_at,
        ended_at,
        ran: RAN,
        meta: None,
        posts: Vec::new(),
    }
}

/// One that ended with the value 5 in JSON, kept for RQ's 500 s.
pub(crate) fn finished(claimed: &Claimed) -> Settlement {
    settlement(claimed, Settled::Finished(Some(b"5".to_vec())), Ttl::RESULT_DEFAULT)
}

/// One that failed, kept for RQ's year.
pub(crate) fn failed(claimed: &Claimed) -> Settlement {
    settlement(claimed, Settled::Failed("Error: boom".to_owned()), Ttl::FAILURE_DEFAULT)
}

/// What a claim took, and what it dropped.
#[track_caller]
fn taken(claim: Claim) -> (Vec<Claimed>, Vec<(String, String)>) {
    match claim {
        Claim::Taken { claimed, dropped, .. } => (claimed, dropped),
        Claim::Suspended => panic!("workers are suspended"),
    }
}

fn job_ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.id.job_id()).collect()
}

/// Checks that two dumps agree but for the time that passed.
#[track_caller]
fn assert_same(before: &fixture::Keys, after: &fixture::Keys) {
    let names = |keys: &fixture::Keys| keys.keys().cloned().collect::<Vec<String>>();
    assert_eq!(names(before), names(after), "keys before and after");
    for (name, key) in before {
        let again = &after[name];
        assert_eq!(key.value, again.value, "{name} before and after");
        assert!(
            (key.ttl_s - again.ttl_s).abs() <= TTL_SLACK_S,
            "{name}: ttl {} and {}",
            key.ttl_s,
            again.ttl_s
        );
        assert_eq!(key.ttl_s < 0, again.ttl_s < 0, "{name} expires before and after");
    }
}

/// Checks a TTL, or a score that counts from now, in seconds.
#[track_caller]
fn assert_about(what: &str, seconds: i64, expected: i64) {
    assert!((seconds - expected).abs() <= TTL_SLACK_S, "{what} is {seconds}, not about {expected}");
}
