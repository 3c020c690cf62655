//! `undefer`: deferred jobs that nobody will release are released; those that wait go on waiting.

use rq_core::Timestamp;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Undeferred, deferred, undefer};
use rq_core::steps::queue::{Enqueued, Place, enqueue};

use super::{QUEUE, Stage};

/// Deferred long ago, behind `parents`, which have not ended.
fn defer(stage: &Stage, id: &str, parents: &[&str]) {
    let mut job = stage.job(id);
    job.dependency_ids = Some(parents.iter().map(ToString::to_string).collect());
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &[(job, Place::Tail)])), [Enqueued::Deferred]);
    stage.run(&format!("ZADD deferred:q 1 {id}"));
}

#[track_caller]
fn check(stage: &Stage, ids: &[&str], became: &[Undeferred]) {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    let (first, second) = stage.twice(&undefer(&stage.keys, QUEUE, &ids));
    assert_eq!(first, became);
    assert_eq!(second, vec![Undeferred::Waits; ids.len()]);
}

#[test]
fn a_job_whose_parent_is_over_is_queued() {
    for end in ["DEL job:p", "HDEL job:p data", "HSET job:p status finished"] {
        let stage = Stage::new();
        stage.enqueue(&["p"]);
        defer(&stage, "a", &["p"]);
        check(&stage, &["a"], &[Undeferred::Waits]);
        stage.run(end);
        check(&stage, &["a"], &[Undeferred::Queued]);
        assert_eq!(
            (stage.books("a"), stage.field("a", "status").unwrap()),
            (vec!["queue:q".to_owned()], "queued".to_owned())
        );
        // Python's workers watch that set: without this change one of them would queue the job once more.
        assert_eq!(stage.ask::<usize>("EXISTS job:p:dependents"), 0, "{end}");
    }
}

/// What Python's worker has written over the record of a deferred job does not take the job away.
#[test]
fn a_job_whose_record_shows_an_earlier_life_still_waits() {
    let stage = Stage::new();
    stage.enqueue(&["p"]);
    defer(&stage, "a", &["p"]);
    stage.run("HSET job:a status finished enqueued_at 1969-12-31T00:00:00.000000Z");
    check(&stage, &["a"], &[Undeferred::Waits]);
    stage.run("HSET job:p status finished");
    check(&stage, &["a"], &[Undeferred::Queued]);
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
}

#[test]
fn a_job_that_waits_goes_on_waiting() {
    for status in ["queued", "started", "failed", "stopped", "canceled", "deferred"] {
        let stage = Stage::new();
        stage.enqueue(&["p", "done"]);
        defer(&stage, "a", &["done", "p"]);
        stage.run("HSET job:done status finished");
        stage.run(&format!("HSET job:p status {status}"));
        check(&stage, &["a"], &[Undeferred::Waits]);
        assert_eq!(stage.books("a"), ["deferred:q"], "{status}");
    }
    let stage = Stage::new();
    stage.enqueue(&["p"]);
    defer(&stage, "a", &["p"]);
    stage.run("HSET job:p status failed");
    stage.run("HSET job:a allow_dependency_failures 1");
    check(&stage, &["a"], &[Undeferred::Queued]);
}

/// Producers in Python write the registry and the sets one after the other.
#[test]
fn a_job_deferred_just_now_is_left_alone() {
    let stage = Stage::new();
    stage.enqueue(&["p"]);
    defer(&stage, "a", &["p"]);
    stage.run("DEL job:p");
    let now = Timestamp::now().epoch_secs();
    for (since, became) in
        [(now - 50, Undeferred::Waits), (now + 500, Undeferred::Waits), (now - 61, Undeferred::Queued)]
    {
        stage.run(&format!("ZADD deferred:q {since} a"));
        check(&stage, &["a"], &[became]);
    }
}

/// Its producer was cut off before it had written them all.
#[test]
fn what_the_job_names_counts_where_the_sets_are_not_there() {
    for half_written in ["DEL job::a:dependencies", "SREM job::a:dependencies p2"] {
        let stage = Stage::new();
        stage.enqueue(&["p1", "p2"]);
        defer(&stage, "a", &["p1", "p2"]);
        stage.run("HSET job:p1 status finished");
        stage.run(half_written);
        check(&stage, &["a"], &[Undeferred::Waits]);
        stage.run("HSET job:p2 status finished");
        check(&stage, &["a"], &[Undeferred::Queued]);
        assert_eq!(stage.ask::<usize>("EXISTS job:p1:dependents $P:job:p2:dependents"), 0);
    }
    // One alone, as old RQ names it.
    let stage = Stage::new();
    stage.enqueue(&["p"]);
    defer(&stage, "a", &["p"]);
    stage.run("DEL job::a:dependencies");
    stage.run("HDEL job:a dependency_ids");
    stage.run("HSET job:a dependency_id p");
    check(&stage, &["a"], &[Undeferred::Waits]);
    stage.run("DEL job:p");
    check(&stage, &["a"], &[Undeferred::Queued]);
}

#[test]
fn bad_records_harm_nobody_else() {
    let stage = Stage::new();
    for (id, spoil) in [
        ("gone", "DEL job:gone"),
        ("ghost", "HDEL job:ghost data"),
        ("json", "HSET job:json dependency_ids [\"p\""),
        ("number", "HSET job:number dependency_ids 5"),
        ("mixed", "HSET job:mixed dependency_ids [null,{},7,\"p\"]"),
        ("status", "HSET job:status status finished"),
        ("set", "RENAME job::set:dependencies $P:gone"),
    ] {
        stage.enqueue(&["p"]);
        defer(&stage, id, &["p"]);
        stage.run(spoil);
        stage.run("DEL job:p");
    }
    stage.run("SET job::set:dependencies x");
    stage.run("SET job:string x");
    stage.run("ZADD deferred:q 1 string");
    stage
        .scratch
        .query::<()>("ZADD", [stage.keys.deferred(QUEUE).into_bytes(), b"1".to_vec(), b"\xff".to_vec()]);
    let page = stage.take(&deferred(&stage.keys, QUEUE, &Cursor::default()));
    assert!(page.found.len() == 9 && page.next.is_none(), "{page:?}");
    let answers = stage.take(&undefer(&stage.keys, QUEUE, &page.found));
    let of = |wanted| {
        let found = page.found.iter().zip(&answers).filter(|(_, became)| **became == wanted);
        let mut ids: Vec<_> = found.map(|(id, _)| String::from_utf8_lossy(id).into_owned()).collect();
        ids.sort();
        ids
    };
    // One was given another life, and waits for nobody.
    assert_eq!(of(Undeferred::Gone), ["ghost", "gone", "status", "string", "\u{fffd}"]);
    assert_eq!(of(Undeferred::Queued), ["json", "mixed", "number", "set"]);
    assert_eq!(of(Undeferred::Waits), [""; 0]);
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE deferred:q 0 -1"), [""; 0]);
}

#[test]
fn a_registry_of_another_type_is_refused() {
    let stage = Stage::new();
    stage.run("SET deferred:q mine");
    let error = stage.refuse(&undefer(&stage.keys, QUEUE, &[b"a".to_vec()]));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}

/// The last of many dependencies holds each back, in the order of the set as in that of the job.
#[test]
fn one_call_looks_at_a_bounded_number_of_dependencies() {
    let stage = Stage::new();
    let parents: Vec<String> = (0..400).map(|number| format!("p{number}")).collect();
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    stage.enqueue(&parents);
    let ids: Vec<String> = (0..10).map(|number| format!("j{number}")).collect();
    for id in &ids {
        defer(&stage, id, &parents);
    }
    for parent in &parents[..399] {
        stage.run(&format!("DEL job:{parent}"));
    }
    let ids: Vec<Vec<u8>> = ids.into_iter().map(String::into_bytes).collect();
    assert_eq!(stage.take(&undefer(&stage.keys, QUEUE, &ids)), [Undeferred::Waits; 3]);
    stage.run("DEL job:p399");
    assert_eq!(stage.take(&undefer(&stage.keys, QUEUE, &ids)), [Undeferred::Queued; 2]);
    assert_eq!(stage.take(&undefer(&stage.keys, QUEUE, &ids[2..])), [Undeferred::Queued; 2]);
}
