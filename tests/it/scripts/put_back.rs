//! `put_back`: claimed jobs at the head of their queue again, as they were.

use rq_core::steps::claim::put_back;

use super::{QUEUE, Stage, assert_about, job_ids};

#[test]
fn jobs_are_next_again_in_their_old_order() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b", "c", "d", "e"]);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(3);
    assert_eq!(job_ids(&claimed), ["a", "b", "c"]);
    let (first, second) = stage.twice(&put_back(&worker.who, &claimed));
    assert_eq!((first, second), (vec![true; 3], vec![false; 3]));
    assert_eq!(stage.waiting(QUEUE), ["a", "b", "c", "d", "e"]);
}

#[test]
fn nothing_of_the_execution_is_left() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.take(&put_back(&worker.who, &claimed));
    let expected = ["claims:w", "job:a", "queue:q", "queues", "worker:w", "workers", "workers:q"];
    assert!(stage.key_names().iter().eq(expected), "{:?}", stage.key_names());
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
    for field in ["started_at", "last_heartbeat", "worker_name"] {
        assert_eq!(stage.field("a", field).as_deref(), Some(""), "{field}");
    }
}

/// The claim lifted it.
#[test]
fn the_time_a_job_may_wait_counts_anew() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("HSET job:a ttl 100");
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    assert_eq!(stage.ask::<i64>("TTL job:a"), -1);
    stage.take(&put_back(&worker.who, &claimed));
    assert_about("the ttl of the job", stage.ask("TTL job:a"), 100);
}

#[test]
fn a_job_goes_back_to_the_queue_it_belongs_to() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("HSET job:a origin other");
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    stage.take(&put_back(&worker.who, &claimed));
    assert_eq!(stage.books("a"), ["queue:other"]);
}

#[test]
fn what_is_no_longer_ours_is_left_alone() {
    let check = |happens: fn(&Stage, &str), books: &[&str]| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a", "b"]);
        happens(&stage, &claimed[0].id.to_string());
        let before = stage.field("a", "status");
        let (first, second) = stage.twice(&put_back(&worker.who, &claimed));
        assert_eq!((first, second), (vec![false, true], vec![false, false]));
        assert_eq!((stage.field("a", "status"), stage.books("a")), (before, to_owned(books)));
        assert_eq!(stage.ask::<usize>(&format!("EXISTS execution:{}", claimed[0].id)), 0);
        assert_eq!(stage.ask::<usize>("EXISTS worker:w:executions"), 0);
    };
    // Canceled by Python.
    check(
        |stage, execution| {
            stage.run(&format!("ZREM wip:q {execution}"));
            stage.run("HSET job:a status canceled");
            stage.run("ZADD canceled:q 1 a");
        },
        &["canceled:q"],
    );
    // Deleted, with and without its registry entry.
    check(|stage, _| stage.run("DEL job:a"), &[]);
    check(
        |stage, execution| {
            stage.run(&format!("ZREM wip:q {execution}"));
            stage.run("DEL job:a");
        },
        &[],
    );
}

fn to_owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
