//! What a worker, a queue and a command promise while Redis, or the way to it, is in trouble.
//!
//! | file | asks |
//! |---|---|
//! | `outcomes` | what becomes of jobs that run and end meanwhile |
//! | `recovery` | how soon a worker is back |
//! | `stops` | when a worker ends that is told to |
//! | `queues` | what callers of a queue get |
//!
//! The times here are short. `cargo xtask rig outages` has the long ones, for every trouble and executor.

mod outcomes;
mod queues;
mod recovery;
mod stops;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Child, Journal, Scratch, Signal, Trouble, TroubledRedis, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// When everything works again after the cause is gone.
const RECOVERY: Duration = Duration::from_secs(5);
/// The same where connections have died and nobody was told.
const RECOVERY_FROM_SILENCE: Duration = Duration::from_secs(15);
/// How long anything may take that no trouble holds up.
const SOON: Duration = Duration::from_secs(10);

/// A Redis in trouble, and a key space on it.
struct Stage {
    // Dropped first: a key space waits long for a frozen server to remove its keys.
    redis: TroubledRedis,
    scratch: Scratch,
    journal: Journal,
}

impl Stage {
    fn new(trouble: Trouble) -> Self {
        let redis = trouble.redis();
        let scratch = Scratch::on(&redis.url());
        Self { redis, journal: Journal::new(&scratch), scratch }
    }

    /// Starts a worker as the user that the trouble concerns, and waits until it listens.
    #[track_caller]
    fn worker(&self, args: &[&str]) -> Child {
        let mut command = RqTest::new(&self.scratch).command(&[&["worker"], args].concat());
        let worker = Child::spawn(command.env("RQ_REDIS_URL", self.redis.worker_url()));
        worker.wait_for_line("*** Listening on", LIMIT);
        worker
    }

    /// A job that writes into the journal, and takes so long in between.
    fn call(&self, id: &str, takes: Duration) -> Call<String> {
        let ms = u64::try_from(takes.as_millis()).expect("a job ends in this age");
        Call::to("test.journal").arg(self.journal.path()).arg(ms).job_id(id)
    }

    /// Enqueues such jobs, and returns their ids.
    fn enqueue(&self, jobs: usize, takes: Duration) -> Vec<String> {
        let ids: Vec<String> = (0..jobs).map(|number| format!("j{number}")).collect();
        let calls = ids.iter().map(|id| self.call(id, takes));
        self.scratch.queue("default").enqueue_many(calls).unwrap();
        ids
    }

    #[track_caller]
    fn wait_for_beginnings(&self, jobs: usize) {
        eventually("the jobs to run", SOON, || (self.journal.began().len() >= jobs).then_some(()));
    }

    #[track_caller]
    fn wait_for_ends(&self, jobs: usize) {
        eventually("the jobs to end", SOON, || (self.journal.ends().len() >= jobs).then_some(()));
    }

    fn finished(&self) -> usize {
        self.scratch.count("finished:default")
    }

    /// What is wrong with jobs that must have finished by `limit` after the first one to be back in Redis' books.
    fn complaints(&self, ids: &[String], limit: Duration) -> Vec<String> {
        let deadline = Instant::now() + limit;
        let is_over = || self.finished() + self.scratch.count("failed:default") >= ids.len();
        while !is_over() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut complaints: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let (began, ends) = (self.journal.began(), self.journal.ends());
        for id in ids {
            let status = self.scratch.status(id);
            let runs = began.iter().filter(|began| *began == id).count();
            let ends = ends.get(id).copied().unwrap_or_default();
            if status != "finished" || runs != 1 || ends != 1 {
                let what = format!("{status} after {limit:?}, began {runs} times and ended {ends} times");
                complaints.entry(what).or_default().push(id);
            }
        }
        complaints.into_iter().map(|(what, ids)| format!("{}: {what}", ids.join(", "))).collect()
    }

    /// Waits until a new job has run: the worker is back.
    #[track_caller]
    fn wait_for_work(&self, limit: Duration) {
        let began = Instant::now();
        let fresh = self.scratch.queue("default").enqueue(self.call("fresh", Duration::ZERO)).unwrap();
        eventually("a job that came after the trouble", limit.saturating_sub(began.elapsed()), || {
            (self.scratch.status(fresh.id()) == "finished").then_some(())
        });
    }

    /// Has a worker stop that has nothing to do.
    #[track_caller]
    fn stop(&self, worker: &mut Child) {
        worker.signal(Signal::SIGTERM);
        let status = worker.wait(SOON);
        assert!(status.success(), "{status}: {}", worker.report());
    }
}

/// Runs `check` for each case at the same time, since they mostly wait, and fails with all that they complain of.
#[track_caller]
fn check_all<T: Copy + std::fmt::Debug + Send>(
    cases: impl IntoIterator<Item = T>,
    check: impl Fn(T) -> Vec<String> + Sync,
) {
    let check = &check;
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            cases.into_iter().map(|case| (case, scope.spawn(move || check(case)))).collect();
        let ended = threads.into_iter().map(|(case, thread)| (case, thread.join()));
        let told = ended.map(|(case, complaints)| {
            let complaints = complaints.unwrap_or_else(|_| vec!["panicked, as told above".to_owned()]);
            complaints.into_iter().map(move |what| format!("{case:?}: {what}")).collect::<Vec<_>>()
        });
        told.flatten().collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
