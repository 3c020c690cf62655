//! All scripts at `maxmemory`: what ends jobs goes on, so that the queue drains; what adds some is refused whole.

use std::time::Duration;

use rq_core::steps::claim::{put_back, renew, save_meta};
use rq_core::steps::cron::{tick, trigger};
use rq_core::steps::group::{await_group, let_end, look, note_open, tidy};
use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::maintenance::{
    Scope, bury, expire, free_slots, pick_up, prune, push_ready, take_round, undefer,
};
use rq_core::steps::management::{Canceled, Deleted, RequeueFrom, Requeued, cancel, delete, requeue};
use rq_core::steps::queue::{Place, UniqueBy, UniqueUntil, empty, enqueue, enqueue_unique};
use rq_core::steps::schedule::{due, leave};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon, remains};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_core::{Cancel, OnCrash};
use rq_tests::{PrivateRedis, Scratch, eventually};

use super::cancel::{defer, dependent};
use super::due::{ours, schedule, scheduler};
use super::group::{declare, last, member};
use super::release::child;
use super::tick::{announced, at, firing};
use super::{QUEUE, Stage, Worker, failed, finished};

/// A stage whose Redis takes no more data from here on.
struct FullMemory {
    stage: Stage,
    server: PrivateRedis,
}

impl FullMemory {
    /// On a server that holds `ids` in [`QUEUE`].
    fn holding(ids: &[&str]) -> FullMemory {
        let server = PrivateRedis::start(&["--maxmemory-policy", "noeviction"]);
        let stage = Stage::on(Scratch::on(&server.url()));
        stage.enqueue(ids);
        FullMemory { stage, server }
    }

    fn fill(&self) {
        let limit = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec(&mut self.server.connection());
        limit.expect("the server takes settings");
        let refused = redis::cmd("SET").arg("more").arg(1).exec(&mut self.server.connection());
        assert_eq!(refused.expect_err("the server is full").code(), Some("OOM"));
    }
}

#[test]
fn the_queue_drains() {
    let ids: Vec<String> = (0..40).map(|number| format!("j{number}")).collect();
    let full = FullMemory::holding(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let stage = &full.stage;
    full.fill();
    let worker = stage.worker("w", &[QUEUE]);

    let claimed = worker.claim(16);
    assert_eq!(stage.take(&put_back(&worker.who, &claimed)), [true; 16]);
    assert_eq!(stage.waiting(QUEUE), ids);
    for _ in 0..3 {
        let claimed = worker.claim(16);
        assert!(worker.begin(&claimed).iter().all(Option::is_some));
        let pulse = stage.take(&heartbeat(
            &worker.who,
            StateUpdate { state: Some("busy"), ..StateUpdate::default() },
            &claimed,
        ));
        assert!(!pulse.record_gone && pulse.alive.iter().all(|&alive| alive), "{pulse:?}");
        let (odd, even) = claimed.split_at(claimed.len() / 2);
        let ends: Vec<_> = odd.iter().map(finished).chain(even.iter().map(failed)).collect();
        worker.settle(&ends);
    }
    assert_eq!(stage.ask::<usize>("EXISTS queue:q"), 0);
    assert_eq!((stage.ask::<usize>("ZCARD finished:q"), stage.ask::<usize>("ZCARD failed:q")), (20, 20));
    assert_eq!(
        (worker.count("successful_job_count"), worker.count("failed_job_count")),
        (Some(20), Some(20))
    );
    for id in &ids {
        assert_eq!(stage.ask::<usize>(&format!("XLEN results:{id}")), 1, "{id}");
        assert_eq!(
            stage.ask::<String>(&format!("HGET job:{id} status")),
            stage.books(id)[0].replace(":q", "")
        );
    }
    stage.take(&worker.death());
    assert_eq!(stage.ask::<usize>("EXISTS workers"), 0);
    assert!(stage.ask::<Option<String>>("HGET worker:w death").is_some());
}

/// What a silent worker held goes on, and so does who waits for it.
#[test]
fn silent_workers_are_relieved() {
    let full = FullMemory::holding(&["a", "b"]);
    let stage = &full.stage;
    let lenient = child(stage, "c", &["a"], |job| job.allow_dependency_failures = Some(true));
    stage.take(&enqueue(&stage.keys, QUEUE, &[(lenient, Place::Tail)]));
    let mut worker = stage.worker("w", &[QUEUE]);
    worker.who.lease = Duration::from_millis(1);
    let claimed = worker.claim(2);
    worker.begin(&claimed[..1]);
    full.fill();
    assert_eq!(stage.take(&renew(&worker.who, &claimed)), [true, true]);
    let silent = eventually("the leases to be over", Duration::from_secs(5), || {
        let silent = stage.silent();
        (silent.len() == 2).then_some(silent)
    });
    let fields = stage.take(&remains(&stage.keys, &silent)).jobs;
    let ends: Vec<_> =
        silent.iter().zip(fields).map(|(silent, fields)| silent.end(fields, OnCrash::Fail)).collect();
    let mut answers = stage.take(&abandon(&stage.keys, Evidence::Lease, &ends));
    answers.sort_by_key(|answer| *answer == AbandonReply::PutBack);
    assert_eq!(answers, [AbandonReply::Concluded, AbandonReply::PutBack]);
    let mut waiting = stage.waiting(QUEUE);
    waiting.sort();
    assert_eq!(
        (waiting, stage.books("a")),
        (vec!["b".to_owned(), "c".to_owned()], vec!["failed:q".to_owned()])
    );
    assert_eq!(stage.take(&release(&stage.keys, "a", &Cursor::default(), Release::Past)), None);
}

/// A scheduler begins and ends there, too.
#[test]
fn due_jobs_go_on() {
    let full = FullMemory::holding(&[]);
    let stage = &full.stage;
    for id in ["a", "b", "limited"] {
        schedule(stage, id, -1, |_| {});
    }
    stage.run("HSET job:limited rate_limit_key k rate_limit_concurrency 1");
    full.fill();
    let who = scheduler(stage, "s", &[QUEUE]);
    assert_eq!(stage.take(&due(&who)), [ours(3, 0)]);
    assert_eq!(stage.waiting(QUEUE), ["a", "b", "limited"]);
    for key in ["scheduler:s", "scheduler-lock:q"] {
        assert!(stage.ask::<bool>(&format!("EXISTS {key}")), "{key}");
    }
    assert_eq!(stage.take(&due(&who)), [ours(0, 0)]);
    assert_eq!(stage.take(&leave(&who)), 1);
}

#[test]
fn enqueuing_is_refused_whole() {
    let full = FullMemory::holding(&["old"]);
    full.fill();
    let stage = &full.stage;
    // Three scripts in one round trip: none may do a part.
    let jobs: Vec<_> = (0..250).map(|number| (stage.job(&format!("j{number}")), Place::Tail)).collect();
    for jobs in [&jobs[..1], &jobs] {
        let error = stage.refuse(&enqueue(&stage.keys, QUEUE, jobs));
        assert!(error.to_string().contains("maxmemory"), "{error}");
    }
    let key = || "k".to_owned();
    let limits = [
        Place::Limited { key: key(), slots: 1 },
        Place::Paced { key: key(), count: 1, period_s: 1, at_front: false },
    ];
    let steps = limits.map(|place| enqueue(&stage.keys, QUEUE, &[(stage.job("guarded"), place)])).into_iter();
    let by = UniqueBy::Args { until: UniqueUntil::Ended, window_ms: 1000, digest: "00".to_owned() };
    let unique = enqueue_unique(&stage.keys, QUEUE, &[(stage.job("guarded"), Place::Tail)], &by);
    for step in steps.chain([unique]) {
        let error = stage.refuse(&step);
        assert!(error.to_string().contains("maxmemory"), "{error}");
    }
    assert_eq!(stage.waiting(QUEUE), ["old"]);
}

/// A tick is not decided then, and is made up for.
#[test]
fn ticks_wait() {
    let full = FullMemory::holding(&[]);
    announced(&full.stage);
    full.fill();
    let step = tick(&full.stage.keys, &[firing(&full.stage, "a", 10, None)]);
    for refused in
        [full.stage.refuse(&step), full.stage.refuse(&trigger(&full.stage.keys, "nightly", "t", at(10)))]
    {
        assert!(refused.to_string().contains("maxmemory"), "{refused}");
    }
}

#[test]
fn meta_is_refused_with_an_error() {
    let full = FullMemory::holding(&["a"]);
    let stage = &full.stage;
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1).swap_remove(0);
    full.fill();
    let error = stage.refuse(&save_meta(&stage.keys, "w", &[(claimed, b"{}".to_vec())]));
    assert!(error.to_string().contains("maxmemory"), "{error}");
}

#[test]
fn queues_can_be_emptied() {
    let full = FullMemory::holding(&["a", "b"]);
    full.fill();
    assert_eq!(full.stage.take(&empty(&full.stage.keys, QUEUE, true)), 2);
    assert!(full.stage.scratch.dump().is_empty());
}

/// What people do to get out of it.
#[test]
fn jobs_can_be_called_off_deleted_and_requeued() {
    let full = FullMemory::holding(&["parent", "runs", "fails", "a", "b"]);
    let stage = &full.stage;
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(3);
    worker.settle(&[failed(&claimed[2])]);
    defer(stage, &[dependent(stage, "child", &["parent"])]);
    full.fill();
    let how = Cancel::default().release_dependents();
    assert_eq!(stage.take_twice(&cancel(&stage.keys, "parent", how)), Canceled::Done);
    assert_eq!(stage.take_twice(&cancel(&stage.keys, "a", Cancel::default())), Canceled::Done);
    assert_eq!(stage.take_twice(&delete(&stage.keys, &["runs".into(), "b".into()])), [Deleted::Done; 2]);
    // An id that is in no registry must not make the script begin with a write that is refused.
    let ids = ["a".into(), "fails".into()];
    let requeued = stage.take_twice(&requeue(&stage.keys, RequeueFrom::Record, false, &ids));
    assert_eq!(requeued, [Requeued::NotThere, Requeued::Done]);
    assert_eq!(stage.waiting(QUEUE), ["child", "fails"]);
    assert_eq!((stage.books("parent"), stage.books("runs")), (vec!["canceled:q".to_owned()], vec![]));
}

/// A claim of a worker that is not registered begins with writes, too.
#[test]
fn a_worker_without_a_record_claims() {
    let full = FullMemory::holding(&["a"]);
    full.fill();
    let worker = Worker::new(&full.stage, "w", &[QUEUE]);
    assert_eq!(super::job_ids(&worker.claim(1)), ["a"]);
    assert_eq!(full.stage.books("a"), ["wip:q"]);
}

/// Ends of groups are let go, by whoever ends the last job and by a look; a new declaration is refused whole.
#[test]
fn groups_end() {
    let full = FullMemory::holding(&[]);
    let (stage, keys) = (&full.stage, &full.stage.keys);
    for id in ["a", "b"] {
        stage.take(&enqueue(keys, QUEUE, &[(member(stage, id), Place::Tail)]));
    }
    declare(stage, "z");
    stage.take(&await_group(keys, "empty", &last(stage, "y")));
    stage.run("HSET job:y after_group empty");
    full.fill();
    let refused = stage.refuse(&await_group(keys, "g", &last(stage, "x")));
    assert!(refused.to_string().contains("OOM"), "{refused}");
    assert_eq!(stage.take(&note_open(keys, "empty", "y", &Cursor::default())).next, None);
    assert_eq!(stage.take(&let_end(keys, "empty", "y")), 1);
    stage.take(&cancel(keys, "a", Cancel::default()));
    stage.run("DEL job:b");
    assert_eq!(stage.take(&look(keys, "g", &Cursor::default(), 60_000)).found.gone_on, 1);
    assert_eq!(stage.waiting(QUEUE), ["b", "y", "z"]);
}

/// What lies about takes memory, and what waits for nobody could free some.
#[test]
fn the_books_are_looked_after() {
    let full = FullMemory::holding(&["stuck", "ready", "deferred", "limited"]);
    let (stage, keys, at) = (&full.stage, &full.stage.keys, Cursor::default());
    for left_lying in [
        "DEL queue:q",
        "RPUSH queue:q:intermediate stuck",
        "SET queue:q:intermediate:first_seen:stuck 1",
        "HSET job:stuck enqueued_at x",
        "HSET job:ready status ready_to_enqueue",
        "ZADD ready:q 1 ready",
        "HSET job:deferred status deferred",
        "ZADD deferred:q 1 deferred",
        "HSET job:limited status rate_limited",
        "HSET rl:k concurrency 1",
        "ZADD rl:k:allowed 1 over",
        "ZADD rl:k:rate_limited 1 limited",
        "ZADD finished:q 1 over",
        "ZADD canceled:q 1 gone",
        "SADD groups g",
        "SADD group:g gone",
        "SADD workers $P:worker:gone",
    ] {
        stage.run(left_lying);
    }
    full.fill();
    assert!(stage.take(&take_round(keys, Scope::AtLarge, "w 1", 60_000)));
    assert_eq!(stage.take(&expire(&keys.finished(QUEUE))).found, 1);
    assert_eq!(stage.take(&prune(keys, &keys.canceled(QUEUE), &at)).found, 1);
    assert_eq!(stage.take(&push_ready(keys, QUEUE)).found, [("ready".to_owned(), true)]);
    assert_eq!(stage.take(&pick_up(keys, QUEUE, &at)).found.len(), 1);
    assert_eq!(stage.take(&undefer(keys, QUEUE, &[b"deferred".to_vec()])).len(), 1);
    assert_eq!(stage.take(&free_slots(keys, b"k", &at)).found.given, 1);
    assert_eq!(stage.take(&tidy(keys, b"g", &at)).found, 1);
    assert_eq!(stage.take(&bury(keys, Scope::AtLarge, &at)).found.len(), 1);
    assert_eq!(stage.waiting(QUEUE), ["stuck", "ready", "deferred", "limited"]);
    let books = ["maintained", "queue:q", "queues", "rl:k", "rl:k:allowed"].map(str::to_owned);
    let left = stage.key_names().into_iter().filter(|name| !name.starts_with("job:"));
    assert!(left.eq(books), "{:?}", stage.key_names());
}
