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
