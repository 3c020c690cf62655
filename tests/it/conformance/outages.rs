//! What is lost when the worker or Redis dies: nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use rq_core::Call;
use rq_tests::{Child, Gate, Journal, PrivateRedis, Scratch, Signal, eventually};

use super::{LIMIT, SOON, Stage, assert_exit};
use crate::rq_test::Books;

/// After so many lines about jobs workers are killed: where they are then in their loops is up to the machine.
const KILLS: [usize; 9] = [1, 2, 3, 5, 8, 13, 21, 34, 55];
/// How long one of the jobs takes.
const JOB_MS: u64 = 3;

/// Puts jobs into the queues, in turns, and returns their ids.
fn enqueue(stage: &Stage, journal: &Journal, jobs: usize, queues: &[&str]) -> BTreeSet<String> {
    let ids: Vec<String> = (0..jobs).map(|number| format!("j{number}")).collect();
    for (turn, queue) in queues.iter().enumerate() {
        let mine = ids.iter().skip(turn).step_by(queues.len());
        let calls = mine
            .map(|id| Call::<()>::to("interop.journal").arg(journal.path()).arg(id).arg(JOB_MS).job_id(id));
        stage.scratch.queue(queue).enqueue_many(calls).unwrap();
    }
    ids.into_iter().collect()
}

/// The ids that some book holds: a queue, wip, or a registry of ended ones.
fn accounted(scratch: &Scratch, queues: &[&str]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for queue in queues {
        ids.extend(scratch.waiting(queue));
        for registry in ["wip", "finished", "failed"] {
            let members: Vec<String> = scratch
                .query("ZRANGE", [scratch.key(format!("{registry}:{queue}")), "0".into(), "-1".into()]);
            ids.extend(members.iter().map(|member| member.split(':').next().unwrap_or(member).to_string()));
        }
    }
    ids
}

/// What runs when a worker is killed may have begun: it fails with that cause, and nothing runs twice.
pub(super) fn no_id_is_lost_with_a_killed_worker(executor: &'static str) {
    const JOBS: usize = 600;
    const LEASE_S: &str = "0.3";
    for queues in [&["default"][..], &["high", "default", "low"]] {
        let stage = Stage::new(executor);
        let journal = Journal::new(&stage.scratch);
        let ids = enqueue(&stage, &journal, JOBS, queues);
        for lines in KILLS {
            let worker = stage.worker(&[&["--concurrency", "4", "--lease", LEASE_S], queues].concat());
            worker.wait_for_lines("(j", lines, LIMIT);
            worker.signal(Signal::SIGKILL);
            drop(worker);
            assert_eq!(accounted(&stage.scratch, queues), ids, "killed after {lines} lines");
        }
        let _worker = stage.worker(&[&["--lease", LEASE_S], queues].concat());
        let count = |book: &str| {
            queues.iter().map(|queue| stage.scratch.count(&format!("{book}:{queue}"))).sum::<usize>()
        };
        eventually("all jobs to have ended", LIMIT, || {
            (count("finished") + count("failed") == JOBS && count("wip") == 0).then_some(())
        });
        assert_eq!(accounted(&stage.scratch, queues), ids);
        assert!(count("finished") >= JOBS - KILLS.len() * 4, "{} failed", count("failed"));
        assert!(journal.ends().values().all(|&ends| ends == 1), "{:?}", journal.ends());
        assert_eq!(journal.began().len(), journal.began().iter().collect::<BTreeSet<_>>().len());
    }
}

pub(super) fn cut_connections_neither_lose_nor_repeat_a_job(executor: &'static str) {
    const JOBS: usize = 400;
    const CUT_EVERY: usize = 20;
    for queues in [&["default"][..], &["high", "default"]] {
        let redis = PrivateRedis::start(&[]);
        let stage = Stage::on(&redis.url(), executor);
        let journal = Journal::new(&stage.scratch);
        let ids = enqueue(&stage, &journal, JOBS, queues);
        let mut worker = stage.worker(&[&["--concurrency", "4", "--name", "w"], queues].concat());
        let mut cut_at = CUT_EVERY;
        eventually("all jobs to end", LIMIT, || {
            let ended = journal.ends().len();
            if ended >= cut_at {
                let killed: usize = stage.scratch.query("CLIENT", ["KILL", "TYPE", "normal"]);
                assert!(killed >= 1, "the worker has connections");
                cut_at = ended + CUT_EVERY;
            }
            let finished: usize =
                queues.iter().map(|queue| stage.scratch.count(&format!("finished:{queue}"))).sum();
            (finished == JOBS).then_some(())
        });
        check_each_ran_once(&stage, &mut worker, &journal, &ids, queues);
    }
}

pub(super) fn a_restart_of_redis_neither_loses_nor_repeats_a_job(executor: &'static str) {
    const JOBS: usize = 200;
    let folder = TemporaryFolder::new();
    let options = ["--appendonly", "yes", "--appendfsync", "always", "--dir", folder.path()];
    let mut redis = PrivateRedis::start(&options);
    let stage = Stage::on(&redis.url(), executor);
    let journal = Journal::new(&stage.scratch);
    let ids = enqueue(&stage, &journal, JOBS, &["default"]);
    let mut worker = stage.worker(&["--concurrency", "4", "--name", "w"]);
    for ended in [JOBS / 4, JOBS / 2] {
        eventually("some jobs to end", LIMIT, || (journal.ends().len() >= ended).then_some(()));
        redis.restart();
        eventually("Redis to have read its file", LIMIT, || {
            redis::cmd("PING").query::<String>(&mut redis.connection()).ok()
        });
    }
    eventually("all jobs to end", LIMIT, || (stage.scratch.count("finished:default") == JOBS).then_some(()));
    check_each_ran_once(&stage, &mut worker, &journal, &ids, &["default"]);
}

/// By hand, or because Redis evicts them: who runs a job finds out and writes it down anew, and how it ends is kept.
pub(super) fn deleted_registries_neither_end_nor_lose_a_running_job(executor: &'static str) {
    let stage = Stage::new(executor);
    let worker = stage.worker(&["--lease", "0.3", "--name", "w"]);
    let gate = Gate::new(&stage.scratch, "gate");
    let job = stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("j")).unwrap();
    gate.wait_for_arrival();
    let books = ["wip:default", "leases"];
    let delete = || {
        let keys = books.map(|book| stage.scratch.key(book));
        assert_eq!(stage.scratch.query::<usize>("DEL", keys), books.len());
    };
    for _ in 0..2 {
        delete();
        eventually("the next renewal", SOON, || {
            books.iter().all(|book| stage.scratch.count(book) == 1).then_some(())
        });
    }
    // This time the job ends first, or almost.
    delete();
    gate.open(1);
    assert_eq!(job.wait(LIMIT).unwrap(), "j", "{}", worker.report());
    eventually("the books to be right", SOON, || {
        let count = |book: &str| stage.scratch.count(book);
        (books.map(count) == [0, 0] && count("finished:default") == 1).then_some(())
    });
    assert!(!worker.report().contains("no longer this worker's"), "{}", worker.report());
}

#[track_caller]
fn check_each_ran_once(
    stage: &Stage,
    worker: &mut Child,
    journal: &Journal,
    ids: &BTreeSet<String>,
    queues: &[&str],
) {
    assert_eq!(journal.ends().into_keys().collect::<BTreeSet<_>>(), *ids);
    let repeated: Vec<_> = journal.ends().into_iter().filter(|(_, ends)| *ends > 1).collect();
    assert!(repeated.is_empty() && journal.began().len() == ids.len(), "{repeated:?} of {}", worker.report());
    for queue in queues {
        assert_eq!(stage.scratch.count(&format!("wip:{queue}")), 0);
    }
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(Duration::from_secs(20));
    assert_exit(worker, status, 0);
    assert_eq!(stage.scratch.hash("worker:w")["successful_job_count"], ids.len().to_string());
}

/// Where a Redis keeps what must survive it.
struct TemporaryFolder {
    path: std::path::PathBuf,
}

impl TemporaryFolder {
    fn new() -> Self {
        let name = format!("rq-tests-aof-{}", Scratch::new().prefix());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("the folder for temporary files has a plain name")
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
