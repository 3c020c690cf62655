//! `push_ready`: what Python left between its two steps is queued; ghosts are taken away.

use rq_core::steps::maintenance::{Page, READY_MAX, push_ready};

use super::{QUEUE, Stage, assert_about};

/// A job as Python leaves it after its first step.
fn ready(stage: &Stage, id: &str) {
    stage.enqueue(&[id]);
    stage.run(&format!("LREM queue:q 0 {id}"));
    stage.run(&format!("HSET job:{id} status ready_to_enqueue"));
    stage.run(&format!("ZADD ready:q 1 {id}"));
}

#[test]
fn ready_jobs_are_queued_once() {
    let stage = Stage::new();
    ready(&stage, "a");
    ready(&stage, "front");
    stage.run("HSET job:front enqueue_at_front 1 ttl 100");
    let (first, second) = stage.twice(&push_ready(&stage.keys, QUEUE));
    let found = vec![("a".to_owned(), true), ("front".to_owned(), true)];
    assert_eq!((first, second), (Page { found, next: None }, Page { found: vec![], next: None }));
    assert_eq!(stage.waiting(QUEUE), ["front", "a"]);
    for id in ["a", "front"] {
        assert_eq!(stage.field(id, "status").as_deref(), Some("queued"));
        assert_eq!(stage.books(id), ["queue:q"]);
    }
    assert_about("the ttl of the job", stage.ask("TTL job:front"), 100);
}

#[test]
fn what_is_not_ready_is_only_taken_off() {
    let check = |spoil: &str| {
        let stage = Stage::new();
        ready(&stage, "bad");
        ready(&stage, "good");
        stage.run(spoil);
        let page = stage.take(&push_ready(&stage.keys, QUEUE));
        assert_eq!(page.found, [("bad".to_owned(), false), ("good".to_owned(), true)], "{spoil}");
        assert_eq!((stage.books("bad"), stage.waiting(QUEUE)), (vec![], vec!["good".to_owned()]), "{spoil}");
    };
    for spoil in ["DEL job:bad", "HDEL job:bad data", "HSET job:bad status canceled", "HDEL job:bad status"] {
        check(spoil);
    }
}

#[test]
fn a_hash_of_another_type_and_an_id_that_is_no_text_harm_nobody() {
    let stage = Stage::new();
    ready(&stage, "good");
    stage.run("ZADD ready:q 0 string");
    stage.run("SET job:string x");
    stage
        .scratch
        .query::<()>("ZADD", [stage.keys.ready(QUEUE).into_bytes(), b"0".to_vec(), b"\xff".to_vec()]);
    let page = stage.take(&push_ready(&stage.keys, QUEUE));
    assert_eq!(page.found.iter().filter(|(_, queued)| *queued).count(), 1);
    assert_eq!(stage.ask::<usize>("EXISTS ready:q"), 0);
    assert_eq!(stage.waiting(QUEUE), ["good"]);
}

#[test]
fn a_rate_limited_job_waits_for_its_slot() {
    let stage = Stage::new();
    for id in ["a", "b"] {
        ready(&stage, id);
        stage.run(&format!("HSET job:{id} rate_limit_key k rate_limit_concurrency 1"));
    }
    stage.take(&push_ready(&stage.keys, QUEUE));
    assert_eq!(stage.waiting(QUEUE), ["a"]);
    assert_eq!(stage.books("b"), ["rl:k:rate_limited"]);
    assert_eq!(stage.field("b", "status").as_deref(), Some("rate_limited"));
}

#[test]
fn one_call_is_bounded() {
    let stage = Stage::new();
    let ids: Vec<String> = (0..READY_MAX + 10).map(|number| format!("j{number}")).collect();
    for id in &ids {
        stage.run(&format!("HSET job:{id} data x status ready_to_enqueue origin q"));
        stage.run(&format!("ZADD ready:q 1 {id}"));
    }
    let page = stage.take(&push_ready(&stage.keys, QUEUE));
    assert!(page.found.len() == READY_MAX && page.next.is_some());
    let page = stage.take(&push_ready(&stage.keys, QUEUE));
    assert!(page.found.len() == 10 && page.next.is_none());
    assert_eq!(stage.waiting(QUEUE).len(), ids.len());
}
