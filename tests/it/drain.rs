//! Many jobs, one worker: none is lost.

use std::collections::BTreeSet;

use rq_core::secs;
use rq_tests::{Python, Scratch, jobs};

use crate::rq_test::{Books, RqTest};

const JOBS: i64 = 10_000;

#[test]
fn ten_thousand_jobs_are_drained_and_none_is_lost() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let calls = (0..JOBS).map(|number| jobs::add::call(number, 1).result_ttl(secs(3600)));
    let handles = queue.enqueue_many(calls).unwrap();
    assert_eq!(handles.iter().map(|job| job.id()).collect::<BTreeSet<_>>().len(), JOBS as usize);
    let ours = RqTest::new(&scratch);
    let python = Python::new(&scratch);
    let check = |queued: i64, finished: i64| {
        let line = format!("queue default {queued}, 0 executing, {finished} finished, 0 failed\n");
        assert_eq!(ours.run(&["info", "--raw", "--only-queues"]), line);
        assert_eq!(python.rq(&["info", "--raw", "--only-queues"]), line);
    };
    check(JOBS, 0);
    // Without a line for each job.
    ours.drain(&["--name", "w", "--quiet"]);
    check(0, JOBS);
    for (number, job) in (0..JOBS).zip(&handles) {
        assert_eq!(job.result().unwrap(), Some(number + 1), "job {number}");
    }
    let worker = scratch.hash("worker:w");
    assert_eq!(worker["successful_job_count"], JOBS.to_string());
    assert!(!worker.contains_key("failed_job_count"));
    let left: i64 = scratch
        .query("EXISTS", ["wip:default", "queue:default", "failed:default"].map(|key| scratch.key(key)));
    assert_eq!(left, 0);
}

/// More than one claim may drop: a burst worker must not take that for the end of the queue.
#[test]
fn thousands_of_dead_ids_do_not_hide_the_job_behind_them() {
    let scratch = Scratch::new();
    let mut dead = vec![scratch.key("queue:default")];
    dead.extend((0..2_500).map(|number| format!("dead-{number}")));
    scratch.query::<()>("RPUSH", dead);
    let job = scratch.queue("default").enqueue(jobs::add::call(2, 3)).unwrap();
    RqTest::new(&scratch).drain(&["--quiet"]);
    assert_eq!(job.result().unwrap(), Some(5));
}
