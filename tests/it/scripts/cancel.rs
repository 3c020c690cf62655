//! `cancel`: a job that nobody starts any more, wherever it was.

use rq_core::steps::Claimed;
use rq_core::steps::claim::renew;
use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::management::{Canceled, cancel};
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::steps::settlement::SettleReply;
use rq_core::{Cancel, Job};

use super::{QUEUE, Stage, failed, finished, job_ids};

/// A job that waits for others.
pub(super) fn dependent(stage: &Stage, id: &str, on: &[&str]) -> (Job, Place) {
    let mut job = stage.job(id);
    job.dependency_ids = Some(on.iter().map(ToString::to_string).collect());
    (job, Place::Tail)
}

#[track_caller]
pub(super) fn defer(stage: &Stage, jobs: &[(Job, Place)]) {
    let enqueued = stage.take(&enqueue(&stage.keys, QUEUE, jobs));
    assert_eq!(enqueued, vec![Enqueued::Deferred; jobs.len()]);
}

fn canceling(stage: &Stage, id: &str) -> rq_core::link::Step<Canceled> {
    cancel(&stage.keys, id, Cancel::default())
}

/// From wherever a job is, it goes to the canceled registry and to no other.
#[test]
fn a_canceled_job_is_in_one_book() {
    let check = |name: &str, put: fn(&Stage), books: &[&str]| {
        let stage = Stage::new();
        stage.enqueue(&["before", "a"]);
        put(&stage);
        assert_eq!(stage.books("a"), books, "{name}");
        assert_eq!(stage.take_twice(&canceling(&stage, "a")), Canceled::Done, "{name}");
        assert_eq!(stage.books("a"), ["canceled:q"], "{name}");
        assert_eq!(stage.field("a", "status").as_deref(), Some("canceled"), "{name}");
        assert_eq!(stage.books("before"), ["queue:q"], "{name}");
    };
    check("queued", |_| {}, &["queue:q"]);
    check("queued twice", |stage| stage.run("LPUSH queue:q a"), &["queue:q", "queue:q"]);
    check(
        "popped by Python",
        |stage| stage.run("LMOVE queue:q $P:queue:q:intermediate RIGHT LEFT"),
        &["queue:q:intermediate"],
    );
    for (status, registry) in [
        ("finished", "finished:q"),
        ("failed", "failed:q"),
        ("stopped", "failed:q"),
        ("deferred", "deferred:q"),
        ("ready_to_enqueue", "ready:q"),
        ("scheduled", "scheduled:q"),
    ] {
        let stage = Stage::new();
        stage.enqueue(&["a"]);
        stage.run("DEL queue:q");
        stage.run(&format!("HSET job:a status {status}"));
        stage.run(&format!("ZADD {registry} 5 a"));
        assert_eq!(stage.take_twice(&canceling(&stage, "a")), Canceled::Done, "{status}");
        assert_eq!(stage.books("a"), ["canceled:q"], "{status}");
    }
}

#[test]
fn whoever_runs_it_has_lost_it() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    worker.begin(&claimed);
    assert_eq!(stage.take_twice(&canceling(&stage, "a")), Canceled::Done);
    let execution = &claimed[0].id;
    for key in [format!("execution:{execution}"), "executions:a".to_owned()] {
        assert_eq!(stage.ask::<usize>(&format!("EXISTS {key}")), 0, "{key}");
    }
    assert_eq!(stage.ask::<usize>(&format!("SISMEMBER worker:w:executions {execution}")), 0);
    assert_eq!(stage.take(&renew(&worker.who, &claimed)), [false, true]);
    let settled = stage.take(&worker.settle_step(&[finished(&claimed[0]), finished(&claimed[1])]));
    assert_eq!(settled, [SettleReply::Lost, SettleReply::Done]);
    assert_eq!((stage.books("a"), stage.books("b")), (vec!["canceled:q".into()], vec!["finished:q".into()]));
    assert_eq!(stage.field("a", "status").as_deref(), Some("canceled"));
    assert_eq!(stage.ask::<usize>("EXISTS results:a"), 0);
}

/// What was claimed before is not begun after.
#[test]
fn a_claimed_job_is_not_begun() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    stage.take(&canceling(&stage, "a"));
    let begun = worker.begin(&claimed);
    assert_eq!(begun.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
}

/// Another worker's list may still have the id: the claim drops it.
#[test]
fn a_canceled_job_is_not_claimed() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.take(&canceling(&stage, "a"));
    stage.run("RPUSH queue:q a");
    let worker = stage.worker("w", &[QUEUE]);
    assert_eq!(worker.claim_all(1), (vec![], vec![("a".into(), "canceled".into())]));
    assert_eq!(stage.books("a"), ["canceled:q"]);
}

#[test]
fn a_second_call_is_told() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    assert_eq!(stage.take(&canceling(&stage, "a")), Canceled::Done);
    let before = stage.scratch.dump_json();
    assert_eq!(stage.take(&canceling(&stage, "a")), Canceled::Already);
    assert_eq!(stage.take(&canceling(&stage, "nosuch")), Canceled::NoJob);
    stage.run("HSET job:ghost status queued");
    assert_eq!(stage.take(&canceling(&stage, "ghost")), Canceled::NoJob);
    stage.run("DEL job:ghost");
    assert_eq!(stage.scratch.dump_json(), before);
}

#[test]
fn what_was_there_stays() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.settle(&[finished(&claimed[0])]);
    stage.take(&canceling(&stage, "a"));
    assert_eq!(stage.ask::<usize>("XLEN results:a"), 1, "its result");
    assert!(stage.ask::<i64>("TTL job:a") > 400, "and its ttl");
}

#[test]
fn dependents_wait_on_unless_they_are_released() {
    let check = |how: Cancel, books: &str, listed: usize| {
        let stage = Stage::new();
        stage.enqueue(&["parent", "other"]);
        let jobs = [dependent(&stage, "child", &["parent"]), dependent(&stage, "both", &["parent", "other"])];
        defer(&stage, &jobs);
        assert_eq!(stage.take_twice(&cancel(&stage.keys, "parent", how)), Canceled::Done);
        assert_eq!(stage.books("child"), [books]);
        assert_eq!(stage.books("both"), ["deferred:q"]);
        assert_eq!(stage.ask::<usize>("SCARD job:parent:dependents"), listed);
        stage
    };
    let stage = check(Cancel::default(), "deferred:q", 2);
    assert_eq!(stage.field("parent", "released"), None);
    let jobs = [dependent(&stage, "late", &["parent"])];
    defer(&stage, &jobs);
}

#[test]
fn released_dependents_hold_on_to_other_parents_alone() {
    let stage = Stage::new();
    stage.enqueue(&["parent", "other"]);
    defer(
        &stage,
        &[dependent(&stage, "child", &["parent"]), dependent(&stage, "both", &["parent", "other"])],
    );
    let step = cancel(&stage.keys, "parent", Cancel::default().release_dependents());
    assert_eq!(stage.take(&step), Canceled::Done);
    assert_eq!(
        (stage.books("child"), stage.books("both")),
        (vec!["queue:q".into()], vec!["deferred:q".into()])
    );
    // `both` waits for the other parent alone now, so that a repetition finds nobody.
    assert_eq!(stage.twice(&step), (Canceled::Done, Canceled::Done));
    assert_eq!(stage.take(&release(&stage.keys, "parent", &Cursor::default(), Release::Past)), None);
    // The other parent's end finds that the canceled one holds nobody back.
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(2);
    assert_eq!(job_ids(&claimed), ["other", "child"]);
    worker.settle(&claimed.iter().map(finished).collect::<Vec<_>>());
    assert_eq!(stage.books("both"), ["queue:q"]);
}

#[test]
fn many_dependents_take_more_than_one_step() {
    const MANY: usize = 2000;
    let stage = Stage::new();
    stage.enqueue(&["parent"]);
    let ids: Vec<String> = (0..MANY).map(|number| format!("d{number}")).collect();
    let jobs: Vec<_> = ids.iter().map(|id| dependent(&stage, id, &["parent"])).collect();
    defer(&stage, &jobs);
    let step = cancel(&stage.keys, "parent", Cancel::default().release_dependents());
    assert_eq!(stage.take(&step), Canceled::DependentsLeft);
    let waiting = stage.waiting(QUEUE).len();
    assert!((1..MANY).contains(&waiting), "{waiting} released by the first step");
    let (mut cursor, mut steps) = (Cursor::default(), 0);
    while let Some(next) = stage.take(&release(&stage.keys, "parent", &cursor, Release::Past)) {
        (cursor, steps) = (next, steps + 1);
    }
    assert!(steps > 3, "{steps} steps");
    assert_eq!((stage.waiting(QUEUE).len(), stage.ask::<usize>("EXISTS deferred:q")), (MANY, 0));
    assert_eq!(stage.take(&step), Canceled::Done);
}

#[test]
fn it_leaves_the_jobs_it_waited_for_if_told() {
    let check = |how: Cancel, listed: usize| {
        let stage = Stage::new();
        stage.enqueue(&["parent"]);
        defer(&stage, &[dependent(&stage, "child", &["parent"])]);
        assert_eq!(stage.take_twice(&cancel(&stage.keys, "child", how)), Canceled::Done);
        assert_eq!(stage.ask::<usize>("SCARD job:parent:dependents"), listed);
        // Either way it is canceled for good.
        let worker = stage.worker("w", &[QUEUE]);
        worker.settle(&[finished(&worker.claim(1)[0])]);
        assert_eq!(stage.books("child"), ["canceled:q"]);
    };
    check(Cancel::default(), 1);
    check(Cancel::default().leave_dependencies(), 0);
}

#[test]
fn its_slot_goes_to_the_next_one() {
    let check = |act: fn(&Stage, &[Claimed])| {
        let stage = Stage::new();
        let jobs = ["a", "b", "c"].map(|id| {
            let mut job = stage.job(id);
            (job.rate_limit_key, job.rate_limit_concurrency) = (Some("k".into()), Some(1));
            (job, Place::Tail)
        });
        stage.take(&enqueue(&stage.keys, QUEUE, &jobs));
        limited_as_python_does(&stage, &["a", "b", "c"]);
        assert_eq!(stage.waiting(QUEUE), ["a"]);
        let worker = stage.worker("w", &[QUEUE]);
        act(&stage, &worker.claim(1));
    };
    // One that runs.
    check(|stage, claimed| {
        stage.take_twice(&canceling(stage, claimed[0].id.job_id()));
        assert_eq!((stage.waiting(QUEUE), stage.books("a")), (vec!["b".into()], vec!["canceled:q".into()]));
        assert_eq!(stage.ask::<Vec<String>>("ZRANGE rl:k:allowed 0 -1"), ["b"]);
    });
    // One that waits for a slot.
    check(|stage, _| {
        stage.take_twice(&canceling(stage, "b"));
        assert_eq!(stage.books("b"), ["canceled:q"]);
        assert_eq!(stage.ask::<Vec<String>>("ZRANGE rl:k:rate_limited 0 -1"), ["c"]);
    });
}

/// The first has the one slot of the rate limit `k`, the others wait for it.
pub(super) fn limited_as_python_does(stage: &Stage, ids: &[&str]) {
    stage.run("SADD rl-keys k");
    stage.run("HSET rl:k concurrency 1");
    for (index, id) in ids.iter().enumerate() {
        stage.run(&format!("LREM queue:q 0 {id}"));
        if index == 0 {
            stage.run(&format!("RPUSH queue:q {id}"));
            stage.run(&format!("ZADD rl:k:allowed 1 {id}"));
        } else {
            stage.run(&format!("HSET job:{id} status rate_limited"));
            stage.run(&format!("ZADD rl:k:rate_limited {index} {id}"));
        }
    }
}

#[test]
fn broken_keys_are_an_error_or_in_nobodys_way() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("SET canceled:q x");
    let error = stage.refuse(&canceling(&stage, "a"));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    stage.run("DEL canceled:q");
    for key in ["executions:a", "job:a:dependents", "queue:q:intermediate"] {
        stage.run(&format!("SET {key} x"));
    }
    let step = cancel(&stage.keys, "a", Cancel::default().release_dependents());
    assert_eq!(stage.take(&step), Canceled::Done);
    assert_eq!(stage.books("a"), ["canceled:q"]);
}

/// A run that failed keeps its failure.
#[test]
fn a_failed_job_can_be_canceled() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.settle(&[failed(&claimed[0])]);
    assert_eq!(stage.take_twice(&canceling(&stage, "a")), Canceled::Done);
    assert_eq!((stage.books("a"), stage.ask::<usize>("XLEN results:a")), (vec!["canceled:q".into()], 1));
}
