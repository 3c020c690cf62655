//! `begin`: which of the claimed executions may run.

use rq_core::steps::claim::{begin, put_back};

use super::Stage;

#[test]
fn claimed_jobs_are_marked_and_fetched() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    let not_begun = || stage.ask::<usize>("SCARD unbegun:w");
    assert_eq!(not_begun(), 2);
    let begun = stage.take_twice(&begin(&worker.who, &claimed));
    assert_eq!(not_begun(), 0);
    for (claimed, fields) in claimed.iter().zip(&begun) {
        let fields = fields.as_ref().expect("it may run");
        assert_eq!(fields.get("status"), Some(&b"started"[..]));
        let hash = rq_core::steps::job::fetch_fields(&stage.keys, &[claimed.id.job_id().to_owned()]);
        assert_eq!(stage.take(&hash), std::slice::from_ref(fields));
    }
}

/// What may have happened between the claim and the begin; `b` runs all the same.
#[test]
fn what_was_taken_away_meanwhile_is_not_run() {
    let check = |what: &str, happens: fn(&Stage, &str)| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a", "b"]);
        happens(&stage, &claimed[0].id.to_string());
        let begun = stage.take_twice(&begin(&worker.who, &claimed));
        assert_eq!(begun.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true], "{what}");
    };
    // As Python's cancel, delete and registry cleanup leave it.
    check("canceled", |stage, execution| {
        stage.run(&format!("ZREM wip:q {execution}"));
        stage.run("HSET job:a status canceled");
    });
    check("deleted", |stage, _| stage.run("DEL job:a"));
    check("no registry any more", |stage, execution| {
        stage.run(&format!("ZREM wip:q {execution}"));
        stage.run(&format!("HSET execution:{execution} id x"));
        stage.run("HSET job:a status failed");
    });
    check("another type", |stage, _| {
        stage.run("DEL job:a");
        stage.run("SET job:a mine");
    });
}

#[test]
fn what_was_put_back_is_not_run() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.take(&put_back(&worker.who, &claimed));
    assert_eq!(worker.begin(&claimed), [None]);
    assert_eq!(stage.ask::<usize>(&format!("EXISTS execution:{}", claimed[0].id)), 0);
}
