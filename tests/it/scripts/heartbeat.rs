//! `heartbeat`: who lives and what they still run.

use rq_core::Timestamp;
use rq_core::steps::Claimed;
use rq_core::steps::worker::{Pulse, StateUpdate, heartbeat};

use super::{Stage, Worker, assert_about};

/// Lets the books of a worker and an execution look as if nobody had said anything for long.
fn age(stage: &Stage, claimed: &Claimed) {
    let (id, x, job) = (&claimed.id, claimed.id.x(), claimed.id.job_id());
    stage.run("EXPIRE worker:w 5");
    stage.run("EXPIRE worker:w:executions 5");
    stage.run("HSET worker:w last_heartbeat old");
    stage.run(&format!("HSET job:{job} last_heartbeat old"));
    stage.run(&format!("HSET execution:{id} last_heartbeat old"));
    stage.run(&format!("EXPIRE execution:{id} 5"));
    stage.run(&format!("ZADD executions:{job} 5 {x}"));
    stage.run(&format!("EXPIRE executions:{job} 5"));
    if stage.ask::<Option<f64>>(&format!("ZSCORE wip:q {id}")).is_some() {
        stage.run(&format!("ZADD wip:q 5 {id}"));
    }
}

/// Seconds from now until the books of an execution expire: the registry entry, the execution, its entry with the
/// job, the job's set of executions.
fn seconds_left(stage: &Stage, claimed: &Claimed) -> [Option<i64>; 4] {
    let (id, x, job) = (&claimed.id, claimed.id.x(), claimed.id.job_id());
    let from_now = |score: Option<i64>| score.map(|score| score - Timestamp::now().epoch_secs());
    [
        from_now(stage.ask(&format!("ZSCORE wip:q {id}"))),
        stage.ask(&format!("TTL execution:{id}")),
        from_now(stage.ask(&format!("ZSCORE executions:{job} {x}"))),
        stage.ask(&format!("TTL executions:{job}")),
    ]
}

fn beat(worker: &Worker<'_>, claimed: &[Claimed]) -> Pulse {
    worker.stage.take_twice(&heartbeat(&worker.who, StateUpdate::default(), claimed))
}

#[test]
fn what_runs_is_good_for_another_while() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    age(&stage, &claimed[0]);
    assert_eq!(beat(&worker, &claimed), Pulse { record_gone: false, alive: vec![true] });
    let left = seconds_left(&stage, &claimed[0]).map(|seconds| seconds.expect("it is there"));
    for (what, seconds, expected) in [
        ("wip", left[0], 90),
        ("execution", left[1], 90),
        ("its entry", left[2], 150),
        ("executions", left[3], 150),
    ] {
        assert_about(what, seconds, expected);
    }
    assert_about("the ttl of the worker", stage.ask("TTL worker:w"), 480);
    assert_about("the ttl of its executions", stage.ask("TTL worker:w:executions"), 4080);
    let beaten: String = stage.ask("HGET worker:w last_heartbeat");
    assert_eq!(stage.field("a", "last_heartbeat"), Some(beaten.clone()));
    let execution: f64 = stage.ask(&format!("HGET execution:{} last_heartbeat", claimed[0].id));
    assert_eq!(Timestamp::from_epoch_seconds(execution).to_string(), beaten);
}

/// Whoever took it away, or whoever runs it now, must not find it refreshed.
#[test]
fn what_is_lost_is_not_refreshed() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    stage.run(&format!("ZREM wip:q {}", claimed[0].id));
    stage.run("HSET job:a status canceled");
    age(&stage, &claimed[0]);
    assert_eq!(beat(&worker, &claimed), Pulse { record_gone: false, alive: vec![false, true] });
    let [wip, execution, entry, executions] = seconds_left(&stage, &claimed[0]);
    assert_eq!(wip, None);
    assert!(execution.is_some_and(|left| left <= 5), "{execution:?}");
    assert!(entry.is_some_and(|left| left < 0), "{entry:?}");
    assert!(executions.is_some_and(|left| left <= 5), "{executions:?}");
    assert_eq!(stage.field("a", "last_heartbeat").as_deref(), Some("old"));
}

/// Half a job hash kills Python's workers (docs/wire.md §21-2).
#[test]
fn a_job_that_was_deleted_gets_no_new_hash() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL job:a");
    stage.run(&format!("DEL execution:{}", claimed[0].id));
    assert_eq!(beat(&worker, &claimed).alive, [true]);
    assert_eq!(stage.ask::<usize>("EXISTS job:a"), 0);
    assert_eq!(stage.ask::<usize>(&format!("EXISTS execution:{}", claimed[0].id)), 0);
}

#[test]
fn a_worker_whose_record_is_gone_is_told_so() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL worker:w");
    assert_eq!(beat(&worker, &claimed), Pulse { record_gone: true, alive: vec![true] });
    assert_eq!(stage.ask::<usize>("EXISTS worker:w"), 0);
    assert!(stage.take(&worker.birth()));
    assert_eq!(beat(&worker, &claimed), Pulse { record_gone: false, alive: vec![true] });
}

#[test]
fn news_are_written() {
    let stage = Stage::new();
    let worker = stage.worker("w", &["q"]);
    let asked_at = Timestamp::now();
    let news = StateUpdate { state: Some("suspended"), shutdown_requested: Some(asked_at) };
    let pulse = stage.take_twice(&heartbeat(&worker.who, news, &[]));
    assert_eq!(pulse, Pulse { record_gone: false, alive: vec![] });
    assert_eq!(stage.ask::<String>("HGET worker:w state"), "suspended");
    assert_eq!(stage.ask::<String>("HGET worker:w shutdown_requested_date"), asked_at.to_string());
    beat(&worker, &[]);
    assert_eq!(stage.ask::<String>("HGET worker:w state"), "suspended", "no news change nothing");
}
