//! `enqueue` of a job that is made only if it is the only one.

use rq_core::steps::management::delete;
use rq_core::steps::queue::{Enqueued, Place, UniqueBy, UniqueUntil, enqueue, enqueue_unique};
use rq_core::{Job, Ttl};

use super::{QUEUE, Stage, assert_about};

const WINDOW_MS: u64 = 600_000;
const DIGEST: &str = "0123456789abcdef0123456789abcdef";
const ALIVE: [&str; 6] = ["queued", "started", "deferred", "ready_to_enqueue", "scheduled", "rate_limited"];
const ENDED: [&str; 4] = ["finished", "failed", "stopped", "canceled"];

fn by_args(until: UniqueUntil) -> UniqueBy {
    UniqueBy::Args { until, window_ms: WINDOW_MS, digest: DIGEST.to_owned() }
}

fn send(stage: &Stage, job: Job, by: &UniqueBy) -> Enqueued {
    stage.take(&enqueue_unique(&stage.keys, QUEUE, &[(job, Place::Tail)], by)).swap_remove(0)
}

/// Two producers that name one id in one microsecond.
#[test]
fn another_producers_job_is_not_ones_own() {
    for by in [UniqueBy::Id, by_args(UniqueUntil::Ended)] {
        let stage = Stage::new();
        let job = stage.job("a");
        assert_eq!(send(&stage, job.clone(), &by), Enqueued::Done);
        assert_eq!(send(&stage, job, &by), there("a", "queued"), "{by:?}");
    }
}

fn there(job_id: &str, status: &str) -> Enqueued {
    Enqueued::There { job_id: job_id.to_owned(), status: status.to_owned() }
}

#[test]
fn a_unique_job_is_made_once_wherever_it_goes() {
    for by in [UniqueBy::Id, by_args(UniqueUntil::Ended)] {
        for (place, book) in
            [(Place::Tail, "queue:q"), (Place::Head, "queue:q"), (Place::At(2_000_000_000), "scheduled:q")]
        {
            let stage = Stage::new();
            let step = enqueue_unique(&stage.keys, QUEUE, &[(stage.job("a"), place)], &by);
            assert_eq!(stage.twice(&step), (vec![Enqueued::Done], vec![Enqueued::Already]), "{by:?}");
            assert_eq!(stage.books("a"), [book]);
        }
    }
}

#[test]
fn a_record_of_the_id_keeps_it_taken_whatever_its_state() {
    for status in ALIVE.iter().chain(&ENDED).chain(&["created", "dreaming"]) {
        let stage = Stage::new();
        // The same call: it is not made a second time either.
        let data = stage.job("a").to_fields();
        let data = data.get("data").unwrap().to_vec();
        stage.run(&format!("HSET job:a status {status} created_at then origin q"));
        stage.scratch.query::<()>("HSET", [stage.keys.job("a").into_bytes(), b"data".to_vec(), data]);
        let before = stage.scratch.dump();
        assert_eq!(send(&stage, stage.job("a"), &UniqueBy::Id), there("a", status));
        let mut after = stage.scratch.dump();
        // As with Python's.
        after.remove("rq:queues");
        assert_eq!(before, after, "{status}");
    }
    let stage = Stage::new();
    stage.run("HSET job:a data x created_at then");
    assert_eq!(send(&stage, stage.job("a"), &UniqueBy::Id), there("a", "created"));
    // What is no job takes no id.
    let stage = Stage::new();
    stage.run("HSET job:a last_heartbeat now");
    assert_eq!(send(&stage, stage.job("a"), &UniqueBy::Id), Enqueued::Done);
    let stage = Stage::new();
    stage.run("SET job:a mine");
    assert_eq!(send(&stage, stage.job("a"), &UniqueBy::Id), Enqueued::Taken("wrongtype".to_owned()));
}

#[test]
fn a_lock_is_given_back_by_a_second_look() {
    let check = |until: UniqueUntil, status: &str, holds: bool| {
        let stage = Stage::new();
        assert_eq!(send(&stage, stage.job("a"), &by_args(until)), Enqueued::Done);
        assert_about("the lock", stage.ask::<i64>(&format!("PTTL unique:{DIGEST}")) / 1000, 600);
        stage.run(&format!("HSET job:a status {status}"));
        let second = send(&stage, stage.job("b"), &by_args(until));
        let expected = if holds { there("a", status) } else { Enqueued::Done };
        assert_eq!(second, expected, "{until:?}, {status}");
        let holder: String = stage.ask(&format!("GET unique:{DIGEST}"));
        assert!(holder.starts_with(if holds { "a:" } else { "b:" }), "{holder}");
        assert_eq!(stage.ask::<bool>("EXISTS job:b"), !holds);
    };
    for status in ALIVE {
        check(UniqueUntil::Ended, status, true);
        check(UniqueUntil::Started, status, status != "started");
        check(UniqueUntil::Window, status, true);
    }
    for status in ENDED {
        check(UniqueUntil::Ended, status, false);
        check(UniqueUntil::Started, status, false);
        check(UniqueUntil::Window, status, true);
    }
    for (until, holds) in
        [(UniqueUntil::Ended, true), (UniqueUntil::Started, true), (UniqueUntil::Window, true)]
    {
        check(until, "created", holds);
    }
    // What nobody knows may run.
    check(UniqueUntil::Ended, "dreaming", true);
    check(UniqueUntil::Started, "dreaming", false);
}

#[test]
fn a_lock_is_free_once_its_job_or_its_window_is_gone() {
    for (until, held) in
        [(UniqueUntil::Ended, false), (UniqueUntil::Started, false), (UniqueUntil::Window, true)]
    {
        let stage = Stage::new();
        send(&stage, stage.job("a"), &by_args(until));
        stage.take(&delete(&stage.keys, &["a".to_owned()]));
        let expected = if held { there("a", "gone") } else { Enqueued::Done };
        assert_eq!(send(&stage, stage.job("b"), &by_args(until)), expected, "{until:?}");
        stage.run(&format!("DEL unique:{DIGEST}"));
        assert_eq!(send(&stage, stage.job("c"), &by_args(until)), Enqueued::Done, "{until:?}");
    }
}

/// The id of the holder has come again, for something else.
#[test]
fn another_life_of_the_holders_id_holds_nothing() {
    let stage = Stage::new();
    send(&stage, stage.job("a"), &by_args(UniqueUntil::Ended));
    stage.run("HSET job:a status finished");
    stage.take(&enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]));
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
    assert_eq!(send(&stage, stage.job("b"), &by_args(UniqueUntil::Ended)), Enqueued::Done);
}

#[test]
fn an_id_of_its_own_makes_no_difference_to_the_lock() {
    let stage = Stage::new();
    let by = by_args(UniqueUntil::Ended);
    assert_eq!(send(&stage, stage.job("a"), &by), Enqueued::Done);
    // The same id at another time is another call.
    assert_eq!(send(&stage, stage.job("a"), &by), there("a", "queued"));
    // The lock is gone, and the job lives.
    stage.run(&format!("DEL unique:{DIGEST}"));
    assert_eq!(send(&stage, stage.job("a"), &by), there("a", "queued"));
    stage.run("HSET job:a data other");
    assert_eq!(send(&stage, stage.job("a"), &by), Enqueued::Taken("queued".to_owned()));
    assert!(!stage.ask::<bool>(&format!("EXISTS unique:{DIGEST}")), "nothing was made");
}

/// A job that leaves nothing behind is made once, too, by a sending that is repeated after its end.
#[test]
fn a_lock_remembers_who_made_it() {
    let stage = Stage::new();
    let mut job = stage.job("a");
    job.result_ttl = Some(Ttl::Seconds(0));
    let step = enqueue_unique(&stage.keys, QUEUE, &[(job, Place::Tail)], &by_args(UniqueUntil::Ended));
    assert_eq!(stage.take(&step), [Enqueued::Done]);
    stage.run("DEL job:a");
    stage.run("DEL queue:q");
    assert_eq!(stage.take(&step), [Enqueued::Already]);
    assert!(stage.waiting(QUEUE).is_empty());
}

#[test]
fn keys_of_another_type_are_refused_or_hold_nothing() {
    let stage = Stage::new();
    stage.run(&format!("RPUSH unique:{DIGEST} mine"));
    let by = by_args(UniqueUntil::Ended);
    let error = stage.refuse(&enqueue_unique(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)], &by));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    for lock in ["mine", "gone:then", ":", "string:then"] {
        let stage = Stage::new();
        stage.run("SET job:string mine");
        stage.run(&format!("SET unique:{DIGEST} {lock}"));
        assert_eq!(send(&stage, stage.job("a"), &by), Enqueued::Done, "{lock}");
    }
}
