//! `delete`: a job in no book, and nobody who waits for it.

use rq_core::Status;
use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::management::{Deleted, delete};
use rq_core::steps::settlement::SettleReply;

use super::cancel::{defer, dependent, limited_as_python_does};
use super::{QUEUE, Stage, assert_about, finished};

fn deleting(stage: &Stage, ids: &[&str]) -> rq_core::link::Step<Vec<Deleted>> {
    delete(&stage.keys, &ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Wherever it is, whatever its status says.
#[test]
fn nothing_of_it_is_left() {
    for registry in ["finished:q", "failed:q", "deferred:q", "ready:q", "scheduled:q", "canceled:q"] {
        for status in ["queued", "finished", "canceled", "nonsense", ""] {
            let stage = Stage::new();
            stage.enqueue(&["a"]);
            stage.run(&format!("HSET job:a status {status}"));
            stage.run("LPUSH queue:q a");
            stage.run("RPUSH queue:q:intermediate a");
            stage.run("SET queue:q:intermediate:first_seen:a 1");
            stage.run(&format!("ZADD {registry} 5 a"));
            stage.run("XADD results:a * type 1");
            stage.run("SADD job::a:dependencies x");
            stage.run("SADD group:g a");
            stage.run("HSET job:a group_id g");
            assert_eq!(stage.take_twice(&deleting(&stage, &["a"])), [Deleted::Done], "{registry} {status}");
            assert!(stage.key_names().iter().eq(["queues"]), "{registry} {status}: {:?}", stage.key_names());
        }
    }
}

#[test]
fn whoever_runs_it_has_lost_it() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    assert_eq!(stage.take_twice(&deleting(&stage, &["a"])), [Deleted::Done]);
    let begun = worker.begin(&claimed);
    assert_eq!(begun.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    let settled = stage.take(&worker.settle_step(&[finished(&claimed[0]), finished(&claimed[1])]));
    assert_eq!(settled, [SettleReply::Lost, SettleReply::Done]);
    let expected =
        ["claims:w", "finished:q", "job:b", "queues", "results:b", "worker:w", "workers", "workers:q"];
    assert!(stage.key_names().iter().eq(expected), "{:?}", stage.key_names());
}

#[test]
fn what_waits_for_it_waits_no_longer() {
    let stage = Stage::new();
    stage.enqueue(&["parent", "other"]);
    defer(
        &stage,
        &[dependent(&stage, "child", &["parent"]), dependent(&stage, "both", &["parent", "other"])],
    );
    assert_eq!(stage.take_twice(&deleting(&stage, &["parent"])), [Deleted::Done]);
    assert_eq!(stage.waiting(QUEUE), ["other", "child"]);
    assert_eq!(stage.books("both"), ["deferred:q"]);
    assert_eq!(stage.take_twice(&deleting(&stage, &["other", "parent"])), [Deleted::Done; 2]);
    assert_eq!(stage.waiting(QUEUE), ["child", "both"]);
    assert_eq!(stage.ask::<usize>("EXISTS deferred:q"), 0);
}

const MANY: usize = 2000;

fn parent_of_many() -> Stage {
    let stage = Stage::new();
    stage.enqueue(&["parent"]);
    let ids: Vec<String> = (0..MANY).map(|number| format!("d{number}")).collect();
    defer(&stage, &ids.iter().map(|id| dependent(&stage, id, &["parent"])).collect::<Vec<_>>());
    assert_eq!(stage.take(&deleting(&stage, &["parent"])), [Deleted::DependentsLeft]);
    stage
}

#[test]
fn it_goes_with_the_last_of_many_dependents() {
    let stage = parent_of_many();
    // In no book, and no reason to wait, should nobody go on.
    assert_eq!(stage.books("parent"), [] as [&str; 0]);
    assert_eq!(stage.field("parent", "status").as_deref(), Some(Status::Canceled.as_str()));
    assert_eq!(stage.field("parent", "released").as_deref(), Some("1"));
    assert_about("the ttl of what is left", stage.ask("TTL job:parent"), 3600);
    let mut cursor = Cursor::default();
    while let Some(next) = stage.take(&release(&stage.keys, "parent", &cursor, Release::Discarded)) {
        assert_eq!(stage.ask::<usize>("EXISTS job:parent"), 1);
        cursor = next;
    }
    assert_eq!(stage.waiting(QUEUE).len(), MANY);
    for key in ["job:parent", "job:parent:dependents", "deferred:q"] {
        assert_eq!(stage.ask::<usize>(&format!("EXISTS {key}")), 0, "{key}");
    }
}

/// Somebody else's job of that id, enqueued while the old one's dependents were still being released.
#[test]
fn a_new_job_of_the_id_stays() {
    let stage = parent_of_many();
    stage.enqueue(&["parent"]);
    let mut cursor = Cursor::default();
    while let Some(next) = stage.take(&release(&stage.keys, "parent", &cursor, Release::Discarded)) {
        cursor = next;
    }
    assert_eq!(
        (stage.field("parent", "status").as_deref(), stage.books("parent").len()),
        (Some("queued"), 1)
    );
}

#[test]
fn its_slot_goes_to_the_next_one() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b", "c"]);
    for id in ["a", "b", "c"] {
        stage.run(&format!("HSET job:{id} rate_limit_key k rate_limit_concurrency 1"));
    }
    limited_as_python_does(&stage, &["a", "b", "c"]);
    assert_eq!(stage.take_twice(&deleting(&stage, &["b"])), [Deleted::Done]);
    assert_eq!(stage.take_twice(&deleting(&stage, &["a"])), [Deleted::Done]);
    assert_eq!(stage.waiting(QUEUE), ["c"]);
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE rl:k:allowed 0 -1"), ["c"]);
    assert_eq!(stage.ask::<usize>("ZCARD rl:k:rate_limited"), 0);
}

/// A job without a hash, with half of one, or with keys of other types goes as well.
#[test]
fn broken_jobs_go_too() {
    let stage = Stage::new();
    stage.run("SADD queues $P:queue:q");
    for command in [
        "SET job:string x",
        "HSET job:ghost last_heartbeat x",
        "HSET job:half origin q status queued",
        "SET executions:half x",
        "SET job:half:dependents x",
        "SET results:half x",
        "ZADD executions:gone 5 x",
        "SADD job:gone:dependents nosuch",
    ] {
        stage.run(command);
    }
    assert_eq!(stage.take_twice(&deleting(&stage, &["string", "ghost", "half", "gone"])), [Deleted::Done; 4]);
    assert!(stage.key_names().iter().eq(["queues"]), "{:?}", stage.key_names());
}
