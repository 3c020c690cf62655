//! `free_slots`: slots of rate limits come back from jobs that are over, and go to those that wait.

use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Slots, free_slots, rate_limits};

use super::{QUEUE, Stage};

const CONCURRENCY: usize = 2;

/// A rate limit `k` with these holders of slots, by status, and these who wait for one.
fn limited(stage: &Stage, holders: &[(&str, &str)], waiting: &[&str]) {
    stage.run("SADD rl-keys k");
    stage.run(&format!("HSET rl:k concurrency {CONCURRENCY}"));
    for (number, (id, status)) in holders.iter().enumerate() {
        stage.run(&format!("HSET job:{id} data x origin q status {status}"));
        stage.run(&format!("ZADD rl:k:allowed {number} {id}"));
    }
    for (number, id) in waiting.iter().enumerate() {
        stage.run(&format!("HSET job:{id} data x origin q status rate_limited"));
        stage.run(&format!("ZADD rl:k:rate_limited {number} {id}"));
    }
}

/// Goes on until all is done.
#[track_caller]
fn freed(stage: &Stage) -> Slots {
    let (mut all, mut next) = (Slots::default(), Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&free_slots(&stage.keys, b"k", &at));
        all.given += page.found.given;
        all.freed.extend(page.found.freed);
        next = page.next;
    }
    let again = stage.take_twice(&free_slots(&stage.keys, b"k", &Cursor::default()));
    assert_eq!(again.found, Slots::default());
    all
}

#[test]
fn a_slot_goes_from_a_job_that_is_over_to_the_one_that_waits_longest() {
    for status in ["finished", "failed", "stopped", "canceled", "scheduled", "deferred", "rate_limited"] {
        let stage = Stage::new();
        limited(&stage, &[("a", "started"), ("b", status)], &["c", "d"]);
        assert_eq!(freed(&stage), Slots { freed: vec!["b".to_owned()], given: 1 }, "{status}");
        assert_eq!(stage.ask::<Vec<String>>("ZRANGE rl:k:allowed 0 -1"), ["a", "c"]);
        assert_eq!(
            (stage.waiting(QUEUE), stage.field("c", "status").unwrap()),
            (vec!["c".to_owned()], "queued".to_owned())
        );
    }
}

#[test]
fn who_waits_or_runs_keeps_its_slot() {
    let stage = Stage::new();
    limited(&stage, &[("a", "queued"), ("b", "finished")], &["c"]);
    stage.run("ZADD executions:b 9999999999 x");
    assert_eq!(freed(&stage), Slots::default());
    stage.run("ZADD executions:b 1 x");
    assert_eq!(freed(&stage).freed, ["b"]);
}

#[test]
fn free_slots_are_given_though_nobody_lost_one() {
    let stage = Stage::new();
    limited(&stage, &[], &["a", "b", "c"]);
    assert_eq!(freed(&stage), Slots { freed: vec![], given: 2 });
    assert_eq!(stage.books("c"), ["rl:k:rate_limited"]);
}

#[test]
fn a_rate_limit_that_nobody_uses_goes() {
    let stage = Stage::new();
    limited(&stage, &[("a", "finished")], &["ghost"]);
    stage.run("HDEL job:ghost data");
    stage.run("SADD rl-keys other");
    assert_eq!(freed(&stage).freed, ["a"]);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS rl-keys"), ["other"]);
    assert!(stage.key_names().iter().all(|name| !name.starts_with("rl:")), "{:?}", stage.key_names());
}

#[test]
fn bad_records_harm_nobody_else() {
    let stage = Stage::new();
    limited(&stage, &[("string", "x"), ("gone", "x")], &["ghost", "good"]);
    stage.run("DEL job:string");
    stage.run("DEL job:gone");
    stage.run("SET job:string x");
    stage.run("HDEL job:ghost data");
    stage.scratch.query::<()>(
        "ZADD",
        [stage.keys.rate_limit_allowed("k").into_bytes(), b"1".to_vec(), b"\xff".to_vec()],
    );
    let slots = freed(&stage);
    assert_eq!((slots.freed.len(), slots.given), (3, 1), "{slots:?}");
    assert_eq!(stage.waiting(QUEUE), ["good"]);
    // A limit that nobody knows lets nobody on, and ends.
    for bad in ["DEL rl:k", "HSET rl:k concurrency many", "HSET rl:k concurrency -1"] {
        let stage = Stage::new();
        limited(&stage, &[], &["a"]);
        stage.run(bad);
        assert_eq!(freed(&stage), Slots::default(), "{bad}");
    }
    let stage = Stage::new();
    stage.run("SET rl:k:allowed mine");
    let error = stage.refuse(&free_slots(&stage.keys, b"k", &Cursor::default()));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}

#[test]
fn many_are_taken_page_by_page() {
    let stage = Stage::new();
    limited(&stage, &[], &[]);
    stage.run("HSET rl:k concurrency 1000");
    for number in 0..500 {
        stage.run(&format!("ZADD rl:k:allowed {number} over{number}"));
        stage.run(&format!("HSET job:w{number} data x origin q status rate_limited"));
        stage.run(&format!("ZADD rl:k:rate_limited {number} w{number}"));
    }
    let page = stage.take(&free_slots(&stage.keys, b"k", &Cursor::default()));
    assert!(page.next.is_some() && page.found.freed.len() < 250, "{page:?}");
    let slots = freed(&stage);
    assert_eq!((slots.freed.len() + page.found.freed.len(), slots.given), (500, 500));
    assert_eq!(stage.waiting(QUEUE).len(), 500);
}

#[test]
fn names_are_bytes() {
    let stage = Stage::new();
    stage.scratch.query::<()>("SADD", [stage.keys.rate_limits().into_bytes(), b"\xff".to_vec()]);
    let page = stage.take(&rate_limits(&stage.keys, &Cursor::default()));
    assert_eq!(page.found, [b"\xff".to_vec()]);
    stage.take(&free_slots(&stage.keys, &page.found[0], &Cursor::default()));
    assert_eq!(stage.ask::<usize>("EXISTS rl-keys"), 0);
}
