//! `requeue`: ended jobs in their queues again, each once.

use rq_core::steps::management::{RequeueFrom, Requeued, requeue};
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::{RegistryKind, Settled, Ttl};

use super::cancel::{defer, dependent, limited_as_python_does};
use super::{QUEUE, Stage, assert_about, failed, finished, settlement};

const FAILED: RequeueFrom<'static> = RequeueFrom::Registry(RegistryKind::Failed, QUEUE);

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Jobs of [`QUEUE`] that failed, in that order.
fn with_failed(ids: &[&str]) -> Stage {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(ids);
    worker.settle(&claimed.iter().map(failed).collect::<Vec<_>>());
    stage
}

#[test]
fn a_failed_job_waits_again() {
    let stage = with_failed(&["a", "b"]);
    let enqueued_at = stage.field("a", "enqueued_at");
    let step = requeue(&stage.keys, FAILED, false, &owned(&["a"]));
    assert_eq!(stage.take_twice(&step), [Requeued::Done]);
    assert_eq!((stage.books("a"), stage.books("b")), (owned(&["queue:q"]), owned(&["failed:q"])));
    for (field, value) in [("status", "queued"), ("started_at", ""), ("ended_at", "")] {
        assert_eq!(stage.field("a", field).as_deref(), Some(value), "{field}");
    }
    let exc_info: Vec<u8> = stage.ask("HGET job:a exc_info");
    assert_eq!(exc_info, b"\x78\x9c\x03\x00\x00\x00\x00\x01");
    assert!(stage.field("a", "enqueued_at") > enqueued_at);
    assert_eq!((stage.ask::<i64>("TTL job:a"), stage.ask::<usize>("XLEN results:a")), (-1, 1));
    // It runs.
    let worker = stage.worker("v", &[QUEUE]);
    let claimed = worker.claim(1);
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.books("a"), ["finished:q"]);
    // A repetition long after does nothing, and a call of its own does it all again.
    assert_eq!(stage.take_twice(&step), [Requeued::Done]);
    assert_eq!(stage.books("a"), ["finished:q"]);
    let again = RequeueFrom::Registry(RegistryKind::Finished, QUEUE);
    assert_eq!(stage.take_twice(&requeue(&stage.keys, again, false, &owned(&["a"]))), [Requeued::Done]);
    assert_eq!(stage.books("a"), ["queue:q"]);
}

/// The reply was lost, and the job has failed again before the client came back.
#[test]
fn a_job_that_failed_again_is_not_requeued_by_a_repetition() {
    let stage = with_failed(&["a"]);
    let step = requeue(&stage.keys, FAILED, false, &owned(&["a"]));
    stage.take(&step);
    let worker = stage.worker("v", &[QUEUE]);
    worker.settle(&[failed(&worker.claim(1)[0])]);
    assert_eq!(stage.take_twice(&step), [Requeued::Done]);
    assert_eq!(stage.books("a"), ["failed:q"]);
}

#[test]
fn the_record_names_the_registry() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["good", "bad", "stopped", "queued"]);
    let text = || "stopped".to_owned();
    worker.settle(&[
        finished(&claimed[0]),
        failed(&claimed[1]),
        settlement(&claimed[2], Settled::Stopped(text()), Ttl::Forever),
    ]);
    let ids = owned(&["good", "bad", "stopped", "queued", "nosuch"]);
    let requeued = stage.take_twice(&requeue(&stage.keys, RequeueFrom::Record, false, &ids));
    use Requeued::{Done, NoJob, NotThere};
    assert_eq!(requeued, [Done, Done, Done, NotThere, NoJob]);
    assert_eq!(stage.waiting(QUEUE), ["good", "bad", "stopped"]);
    // One that was called off is to stay so.
    stage.run("HSET job:good status canceled");
    stage.run("LREM queue:q 0 good");
    stage.run("ZADD canceled:q 5 good");
    let requeued = stage.take_twice(&requeue(&stage.keys, RequeueFrom::Record, false, &owned(&["good"])));
    assert_eq!((requeued, stage.books("good")), (vec![NotThere], owned(&["canceled:q"])));
}

#[test]
fn each_id_is_answered() {
    let stage = with_failed(&["a", "b", "repeats", "canceled", "gone"]);
    stage.enqueue(&["queued"]);
    stage.run("DEL job:gone");
    // A job that repeats: in a registry, and waiting (docs/wire.md §3.2).
    stage.run("HSET job:repeats status scheduled");
    stage.run("ZADD scheduled:q 5 repeats");
    stage.run("HSET job:canceled status canceled");
    let ids = owned(&["b", "queued", "gone", "nosuch", "repeats", "canceled", "a", "a"]);
    let step = requeue(&stage.keys, FAILED, false, &ids);
    use Requeued::{Done, Elsewhere, NoJob, NotThere};
    let expected = [Done, NotThere, NoJob, NoJob, Elsewhere, Elsewhere, Done, Done];
    assert_eq!(stage.take_twice(&step), expected);
    assert_eq!(stage.waiting(QUEUE), ["queued", "b", "a"]);
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE failed:q 0 -1"), ["canceled", "repeats"]);
    assert_eq!(stage.books("repeats"), ["failed:q", "scheduled:q"]);
}

/// An id that failed, was enqueued again by somebody else, and has ended since: running it once more is not what was
/// asked for.
#[test]
fn what_has_ended_elsewhere_since_is_left_alone() {
    let stage = with_failed(&["finished-there", "failed-there", "finished-here", "failed"]);
    for (id, origin, status) in [
        ("finished-there", "r", "finished"),
        ("failed-there", "r", "failed"),
        ("finished-here", "q", "finished"),
    ] {
        stage.run(&format!("HSET job:{id} origin {origin} status {status}"));
        stage.run(&format!("ZADD {status}:{origin} 4000000000 {id}"));
    }
    let ids = owned(&["finished-there", "failed-there", "finished-here", "failed"]);
    let step = requeue(&stage.keys, FAILED, false, &ids);
    use Requeued::{Done, Elsewhere};
    assert_eq!(stage.take_twice(&step), [Elsewhere, Elsewhere, Elsewhere, Done]);
    assert_eq!(stage.waiting(QUEUE), ["failed"]);
    assert_eq!(stage.books("finished-there"), ["failed:q", "finished:r"]);
    // From where it is, it can be.
    let there = RequeueFrom::Registry(RegistryKind::Failed, "r");
    assert_eq!(stage.take_twice(&requeue(&stage.keys, there, false, &owned(&["failed-there"]))), [Done]);
    assert_eq!(stage.waiting("r"), ["failed-there"]);
}

#[test]
fn at_the_head_the_first_one_is_next() {
    let ids: Vec<String> = (0..250).map(|number| format!("j{number:03}")).collect();
    let stage = Stage::new();
    let worker = stage.worker("w", &[QUEUE]);
    stage.enqueue(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    loop {
        let claimed = worker.claim(16);
        if claimed.is_empty() {
            break;
        }
        worker.settle(&claimed.iter().map(failed).collect::<Vec<_>>());
    }
    stage.enqueue(&["old"]);
    stage.run("DEL job:j007");
    let requeued = stage.take_twice(&requeue(&stage.keys, FAILED, true, &ids));
    let gone = |index: usize| if index == 7 { Requeued::NoJob } else { Requeued::Done };
    assert_eq!(requeued, (0..250).map(gone).collect::<Vec<_>>());
    let expected: Vec<String> =
        ids.iter().filter(|id| *id != "j007").cloned().chain(["old".to_owned()]).collect();
    assert_eq!(stage.waiting(QUEUE), expected);
}

#[test]
fn it_is_in_one_book_whatever_held_it() {
    let stage = with_failed(&["a"]);
    stage.run("ZADD finished:q 5 a");
    stage.run("ZADD canceled:q 5 a");
    stage.take_twice(&requeue(&stage.keys, FAILED, false, &owned(&["a"])));
    assert_eq!(stage.books("a"), ["queue:q"]);
}

#[test]
fn its_times_to_live_count_anew() {
    let stage = with_failed(&["a"]);
    stage.enqueue(&["b"]);
    stage.run("HSET job:a ttl 100");
    defer(&stage, &[dependent(&stage, "child", &["b"])]);
    for key in ["job:a:dependents", "job::a:dependencies"] {
        stage.run(&format!("SADD {key} x"));
        stage.run(&format!("EXPIRE {key} 50"));
    }
    stage.run("RPUSH queue:other x");
    stage.take_twice(&requeue(&stage.keys, FAILED, false, &owned(&["a"])));
    for key in ["job:a", "job:a:dependents", "job::a:dependencies"] {
        assert_about(key, stage.ask(&format!("TTL {key}")), 100);
    }
    // Without one it waits as long as it takes, and its dependents are known as long.
    let stage = with_failed(&["a"]);
    stage.run("SADD job:a:dependents x");
    stage.run("EXPIRE job:a:dependents 50");
    stage.take_twice(&requeue(&stage.keys, FAILED, false, &owned(&["a"])));
    assert_eq!((stage.ask::<i64>("TTL job:a"), stage.ask::<i64>("TTL job:a:dependents")), (-1, -1));
}

/// It has to get a slot again (docs/wire.md §9.7).
#[test]
fn a_rate_limited_job_waits_for_its_slot() {
    let stage = with_failed(&["a"]);
    stage.enqueue(&["holder"]);
    for id in ["holder", "a"] {
        stage.run(&format!("HSET job:{id} rate_limit_key k rate_limit_concurrency 1"));
    }
    limited_as_python_does(&stage, &["holder"]);
    let step = requeue(&stage.keys, FAILED, true, &owned(&["a"]));
    assert_eq!(stage.take_twice(&step), [Requeued::Done]);
    assert_eq!(stage.books("a"), ["rl:k:rate_limited"]);
    assert_eq!(stage.field("a", "status").as_deref(), Some("rate_limited"));
    assert_eq!(stage.field("a", "enqueue_at_front").as_deref(), Some("1"));
}

/// Names and registries of a queue that the job's record does not know.
#[test]
fn a_job_goes_back_to_the_queue_it_belongs_to() {
    let stage = with_failed(&["a", "b"]);
    stage.run("HSET job:a origin other");
    stage.run("HDEL job:b origin");
    stage.take_twice(&requeue(&stage.keys, FAILED, false, &owned(&["a", "b"])));
    assert_eq!((stage.books("a"), stage.books("b")), (owned(&["queue:other"]), owned(&["queue:q"])));
    assert_eq!(stage.ask::<usize>(&format!("SISMEMBER queues {}:queue:other", stage.scratch.prefix())), 1);
}

#[test]
fn broken_keys_harm_themselves_alone() {
    let stage = with_failed(&["a", "b", "c"]);
    stage.run("DEL job:a");
    stage.run("SET job:a x");
    stage.run("HSET job:b origin broken");
    stage.run("SET queue:broken x");
    let step = requeue(&stage.keys, FAILED, false, &owned(&["a", "b", "c"]));
    assert_eq!(stage.take(&step), [Requeued::NoJob, Requeued::Done, Requeued::Done]);
    assert_eq!((stage.books("b"), stage.waiting(QUEUE)), (owned(&["failed:broken"]), owned(&["c"])));
}

/// A job that was enqueued anew keeps no memory of an earlier call.
#[test]
fn a_new_job_of_the_id_is_another_one() {
    let stage = with_failed(&["a"]);
    stage.take(&requeue(&stage.keys, FAILED, false, &owned(&["a"])));
    let worker = stage.worker("v", &[QUEUE]);
    worker.settle(&[failed(&worker.claim(1)[0])]);
    let enqueued = stage.take(&enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]));
    assert_eq!((enqueued, stage.field("a", "requeued")), (vec![Enqueued::Done], None));
}
