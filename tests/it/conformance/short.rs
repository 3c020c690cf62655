//! What a worker does that is short of what it takes to run jobs.

use rq_core::Call;
use rq_tests::{Signal, eventually};

use super::{SOON, Stage, assert_exit};
use crate::rq_test::Books;
use crate::starved::{SHORT, allow_no_more_files, assert_says_once, limit};

/// Under `-w fork` a process for it cannot be had, and else a runtime for async jobs.
fn call() -> Call<u64> {
    Call::to("test.sleep_async").arg(1)
}

pub(super) fn what_cannot_begin_goes_back_in_order_and_runs_when_it_can(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let mut worker = stage.worker(&["--concurrency", "1", "--max-jobs", "20"]);
    allow_no_more_files(worker.id());
    let jobs = stage.queue().enqueue_many((0..20).map(|_| call())).unwrap();
    let ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    worker.wait_for_line(SHORT, SOON);
    // Between two tries all of them wait, the first one first.
    eventually("all jobs to wait", SOON, || (scratch.waiting("default") == ids).then_some(()));
    for id in &ids {
        let status = scratch.status(id);
        assert!(["queued", "started"].contains(&&*status), "{status}");
    }
    assert_eq!(scratch.count("failed:default"), 0, "{}", worker.report());
    limit(worker.id(), "nofile=1024:1024");
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    assert_eq!(scratch.count("finished:default"), 20, "{}", worker.report());
    assert_eq!(scratch.count("failed:default") + scratch.count("wip:default"), 0);
    assert_says_once(&worker, "Too many open files");
}

pub(super) fn a_stop_finds_nothing_that_cannot_begin(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    // There is work, so it is not idle.
    let mut worker = stage.worker(&["--concurrency", "4", "--max-idle-time", "1"]);
    allow_no_more_files(worker.id());
    let jobs = stage.queue().enqueue_many((0..20).map(|_| call())).unwrap();
    let mut ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    worker.wait_for_line(SHORT, SOON);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    let mut waiting = scratch.waiting("default");
    waiting.sort();
    ids.sort();
    assert_eq!(waiting, ids, "{}", worker.report());
    assert_eq!(scratch.count("failed:default") + scratch.count("wip:default"), 0);
    worker.wait_for_line("stopping on request", SOON);
}
