//! `claim`: ids off queues and into this worker's books, never into nobody's.

use rq_core::ExecutionId;
use rq_core::steps::Claimed;
use rq_core::steps::claim::Claim;

use super::{QUEUE, Stage, Worker, assert_about, job_ids, taken};

/// A heartbeat ttl after now, in the books of a claimed execution (docs/wire.md §6).
const EXECUTION_TTL_S: i64 = 90;

fn now_s() -> i64 {
    rq_core::Timestamp::now().epoch_secs()
}

#[test]
fn a_claimed_job_is_in_every_book() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    let (claimed, dropped) = taken(stage.take_twice(&worker.claim_step(16)));
    let [Claimed { id, origin }] = &claimed[..] else { panic!("one job, not {claimed:?}") };
    assert_eq!((id.job_id(), origin.as_str(), dropped), ("a", QUEUE, vec![]));
    assert_eq!(stage.books("a"), ["wip:q"]);
    let x = id.x();
    let execution = format!("execution:{id}");
    for (field, value) in [("id", x), ("job_id", "a"), ("worker_name", "w")] {
        assert_eq!(stage.ask::<String>(&format!("HGET {execution} {field}")), value);
    }
    assert_about("the ttl of the execution", stage.ask(&format!("TTL {execution}")), EXECUTION_TTL_S);
    let score = |command: &str| stage.ask::<i64>(command) - now_s();
    assert_about("the score in wip", score(&format!("ZSCORE wip:q {id}")), EXECUTION_TTL_S);
    assert_about("the score in executions", score(&format!("ZSCORE executions:a {x}")), EXECUTION_TTL_S + 60);
    assert_about("the ttl of executions", stage.ask("TTL executions:a"), EXECUTION_TTL_S + 60);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS worker:w:executions"), [id.to_string()]);
    assert_about("the ttl of the set", stage.ask("TTL worker:w:executions"), 480 + 3600);
    assert_eq!(stage.ask::<String>("HGET worker:w state"), "busy");
    assert_eq!(stage.field("a", "status").as_deref(), Some("started"));
    assert_eq!(stage.field("a", "worker_name").as_deref(), Some("w"));
    assert_eq!(stage.field("a", "execution").as_deref(), Some(x));
    assert_eq!(stage.field("a", "started_at"), stage.field("a", "last_heartbeat"));
}

#[test]
fn queues_are_served_in_order_and_no_further_than_wanted() {
    let stage = Stage::new();
    let push = |queue: &str, ids: &[&str]| {
        for id in ids {
            stage.run(&format!("HSET job:{id} data x status queued origin {queue}"));
            stage.run(&format!("RPUSH queue:{queue} {id}"));
        }
    };
    push("low", &["l1", "l2"]);
    push("high", &["h1", "h2", "h3"]);
    let worker = stage.worker("w", &["high", "none", "low"]);
    assert_eq!(job_ids(&worker.claim(2)), ["h1", "h2"]);
    assert_eq!(stage.waiting("high"), ["h3"]);
    let claimed = worker.claim(16);
    let origins: Vec<&str> = claimed.iter().map(|claimed| claimed.origin.as_str()).collect();
    assert_eq!((job_ids(&claimed), origins), (vec!["h3", "l1", "l2"], vec!["high", "low", "low"]));
    assert_eq!(job_ids(&worker.claim(16)), [""; 0]);
}

/// What may have become of an id while it waited: what is done to it, and what a claim must make of it.
#[test]
fn every_id_ends_in_one_book() {
    let claimed = |tampered: &[&str], origin: &str, book: &str| check(tampered, Ok(origin), &[book]);
    let dropped = |tampered: &[&str], reason: &str, books: &[&str]| check(tampered, Err(reason), books);

    // Nothing that could run.
    dropped(&["DEL job:a"], "gone", &[]);
    dropped(&["HDEL job:a data"], "gone", &[]);
    dropped(&["DEL job:a", "RPUSH job:a x"], "wrongtype", &[]);

    // In another book: that one counts.
    dropped(&["HSET job:a status canceled", "ZADD canceled:q 1 a"], "canceled", &["canceled:q"]);
    dropped(&["HSET job:a status finished", "ZADD finished:q inf a"], "finished", &["finished:q"]);
    dropped(&["HSET job:a status failed", "ZADD failed:q -1 a"], "failed", &["failed:q"]);
    dropped(&["HSET job:a status stopped", "ZADD failed:q 1 a"], "stopped", &["failed:q"]);
    dropped(&["HSET job:a status deferred", "ZADD deferred:q 1 a"], "deferred", &["deferred:q"]);
    dropped(&["HSET job:a status scheduled", "ZADD scheduled:q 1 a"], "scheduled", &["scheduled:q"]);
    dropped(&["HSET job:a status ready_to_enqueue", "ZADD ready:q 1 a"], "ready_to_enqueue", &["ready:q"]);
    dropped(
        &["HSET job:a status started", "ZADD executions:a 1 x", "ZADD wip:q 1 a:x"],
        "started",
        &["wip:q"],
    );

    // In no other book, whatever the status says: the list is the only one, so it is run.
    for status in
        ["canceled", "finished", "failed", "stopped", "deferred", "scheduled", "started", "dreaming"]
    {
        claimed(&[&format!("HSET job:a status {status}")], QUEUE, "wip:q");
    }
    claimed(&["HSET job:a status started", "ZADD executions:a 1 x"], QUEUE, "wip:q");
    claimed(&["HDEL job:a status"], QUEUE, "wip:q");
    claimed(&["HSET job:a status finished", "SET finished:q mine"], QUEUE, "wip:q");

    // Where it belongs.
    claimed(&["HDEL job:a origin"], QUEUE, "wip:q");
    claimed(&["HSET job:a origin other"], "other", "wip:other");

    // Keys that cannot hold an execution: people find it among the failed.
    dropped(&["SET executions:a mine"], "badkeys", &["failed:q"]);
    dropped(&["SET wip:q mine"], "badkeys", &["failed:q"]);
    dropped(&["HDEL job:a origin", "SET executions:a mine"], "badkeys", &["failed:q"]);
}

/// Enqueues `a`, does that to it, claims twice, and looks where it went: `Ok` claimed with this origin, `Err` dropped
/// for this reason.
#[track_caller]
fn check(tampered: &[&str], outcome: Result<&str, &str>, books: &[&str]) {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    tampered.iter().for_each(|command| stage.run(command));
    let worker = stage.worker("w", &[QUEUE]);
    let (claimed, dropped) = taken(stage.take_twice(&worker.claim_step(1)));
    match outcome {
        Ok(origin) => {
            assert_eq!((job_ids(&claimed), dropped), (vec!["a"], vec![]), "{tampered:?}");
            assert_eq!(claimed[0].origin, origin, "{tampered:?}");
            assert_eq!(stage.field("a", "origin").as_deref(), Some(origin), "{tampered:?}");
        }
        Err(reason) => assert_eq!(dropped[0], ("a".to_owned(), reason.to_owned()), "{tampered:?}"),
    }
    assert_eq!(stage.books("a"), books, "{tampered:?}");
    assert_eq!(stage.books("b").len(), 1, "{tampered:?}");
}

#[test]
fn an_id_that_is_in_a_list_twice_is_claimed_once() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    stage.run("RPUSH queue:q a a");
    let worker = stage.worker("w", &[QUEUE]);
    let (claimed, dropped) = taken(stage.take_twice(&worker.claim_step(16)));
    assert_eq!(job_ids(&claimed), ["a", "b"]);
    assert_eq!(dropped, [("a".to_owned(), "started".to_owned()), ("a".to_owned(), "started".to_owned())]);
    assert_eq!(stage.books("a"), ["wip:q"]);
}

/// It would otherwise expire while it runs.
#[test]
fn a_claimed_job_no_longer_expires() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("EXPIRE job:a 100");
    stage.worker("w", &[QUEUE]).claim(1);
    assert_eq!(stage.ask::<i64>("TTL job:a"), -1);
}

/// Python's maintenance would take a job for stuck that it once saw in flight (docs/wire.md §22-6).
#[test]
fn what_maintenance_noted_of_an_earlier_flight_is_forgotten() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("SET queue:q:intermediate:first_seen:a 1");
    stage.worker("w", &[QUEUE]).claim(1);
    assert_eq!(stage.ask::<usize>("EXISTS queue:q:intermediate:first_seen:a"), 0);
}

#[test]
fn suspended_workers_claim_nothing() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    stage.run("SET suspended 1");
    let step = worker.claim_step(1);
    assert_eq!(stage.take_twice(&step), Claim::Suspended);
    assert_eq!(stage.books("a"), ["queue:q"]);
    stage.run("DEL suspended");
    assert_eq!(job_ids(&taken(stage.take(&step)).0), ["a"], "no number is used up");
}

#[test]
fn an_empty_queue_writes_nothing_and_uses_no_number_up() {
    let stage = Stage::new();
    let worker = stage.worker("w", &[QUEUE]);
    let before = stage.scratch.dump();
    let step = worker.claim_step(1);
    assert_eq!(taken(stage.take_twice(&step)), (vec![], vec![]));
    super::assert_same(&before, &stage.scratch.dump());
    stage.enqueue(&["a"]);
    assert_eq!(job_ids(&taken(stage.take(&step)).0), ["a"]);
}

#[test]
fn a_list_of_another_type_does_not_keep_the_next_from_being_served() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("SET queue:bad mine");
    let worker = stage.worker("w", &["bad", QUEUE]);
    let (claimed, dropped) = taken(stage.take_twice(&worker.claim_step(1)));
    assert_eq!((job_ids(&claimed), dropped), (vec!["a"], vec![("bad".to_owned(), "wronglist".to_owned())]));
    assert_eq!(stage.ask::<String>("GET queue:bad"), "mine");
}

#[test]
fn own_keys_of_another_type_refuse_before_anything_is_popped() {
    for key in ["worker:w", "worker:w:executions", "claims:w"] {
        let stage = Stage::new();
        stage.enqueue(&["a"]);
        stage.run(&format!("SET {key} mine"));
        let error = stage.refuse(&Worker::new(&stage, "w", &[QUEUE]).claim_step(1));
        assert!(error.to_string().contains("WRONGTYPE"), "{key}: {error}");
    }
}

/// A claim that lingered on its way must not take jobs that nobody will run.
#[test]
fn a_claim_overtaken_by_a_later_one_does_nothing() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    let worker = stage.worker("w", &[QUEUE]);
    let (late, _, next) = (worker.claim_step(1), worker.claim_step(1), worker.claim_step(1));
    assert_eq!(job_ids(&taken(stage.take(&next)).0), ["a"]);
    stage.refuse(&late);
    assert_eq!(stage.waiting(QUEUE), ["b"]);
}

/// Two may be under way at once, and a broken connection may have both sent again, in any order.
#[test]
fn the_last_two_claims_are_answered_as_the_first_time() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b", "c"]);
    let worker = stage.worker("w", &[QUEUE]);
    let (first, second) = (worker.claim_step(1), worker.claim_step(1));
    let answers = (stage.take(&first), stage.take(&second));
    assert_eq!(stage.take(&second), answers.1);
    assert_eq!(stage.take(&first), answers.0);
    assert_eq!(stage.waiting(QUEUE), ["c"]);
}

#[test]
fn a_list_full_of_dead_ids_does_not_hold_redis_up() {
    const DEAD: usize = 1500;
    let stage = Stage::new();
    let ids: Vec<String> = (0..DEAD).map(|number| format!("dead{number}")).collect();
    stage.run(&format!("RPUSH queue:q {}", ids.join(" ")));
    stage.enqueue(&["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    let (claimed, dropped) = taken(stage.take_twice(&worker.claim_step(1)));
    assert!(claimed.is_empty() && (500..DEAD).contains(&dropped.len()), "{} dropped at once", dropped.len());
    let (claimed, rest) = worker.claim_all(1);
    assert_eq!((job_ids(&claimed), dropped.len() + rest.len()), (vec!["a"], DEAD));
}

/// The record comes back by a birth, which a heartbeat asks for while the key is missing; half a record, without
/// an expiry, would be taken for a whole one for ever.
#[test]
fn a_claim_after_the_workers_record_expired_writes_none() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    stage.run("DEL worker:w");
    let claimed = worker.claim(1);
    assert_eq!(job_ids(&claimed), ["a"], "the job is claimed all the same");
    assert_eq!(stage.ask::<usize>("EXISTS worker:w"), 0);
}

/// Ids that nobody but us should write, as keys of a job that cannot be told from others.
#[test]
fn ids_with_colons_and_binary_ids_lose_nothing_of_others() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("LPUSH queue:q x:y");
    let list = stage.keys.queue(QUEUE).into_bytes();
    stage.scratch.query::<()>("LPUSH", [list, b"\xff\x00".to_vec()]);
    let worker = stage.worker("w", &[QUEUE]);
    let (claimed, dropped) = worker.claim_all(16);
    assert_eq!(job_ids(&claimed), ["a"]);
    assert_eq!(dropped.len(), 2, "{dropped:?}");
}

#[test]
fn execution_ids_are_fresh() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    let claimed = stage.worker("w", &[QUEUE]).claim(2);
    let xs: Vec<&str> = claimed.iter().map(|claimed| claimed.id.x()).collect();
    assert_ne!(xs[0], xs[1]);
    for claimed in &claimed {
        assert_eq!(ExecutionId::parse(&claimed.id.to_string()).as_ref(), Some(&claimed.id));
    }
}
