//! What happens at a job's time limit.

use std::time::Duration;

use rq_core::{Call, JobResult, blocking::JobHandle, secs};
use rq_tests::{Gate, Stream};

use super::{LIMIT, Stage, assert_exit};
use crate::rq_test::Books;

/// What a job says that reached the limit of one second that all have here.
const TEXT: &str = "JobTimeoutException: Task exceeded maximum timeout value (1 seconds)";
/// How much later than its limit a job may be settled, whatever it does.
const LATE_MAX: Duration = Duration::from_secs(3);
/// Longer than any test.
const LONG_MS: u64 = 600_000;

/// How long jobs here have to end by themselves, where the executor can end them by force.
fn force(executor: &str) -> &'static [&'static str] {
    if executor == "fork" { &["--job-grace", "1"] } else { &[] }
}

pub(super) fn every_kind_of_job_ends_at_its_time_limit(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let calls = [
        Call::<()>::to("test.sleep").arg(LONG_MS),
        Call::to("test.sleep_async").arg(LONG_MS),
        Call::to("test.check").arg(LONG_MS),
        Call::to("test.gate").arg(gate.key()),
        Call::to("test.pending"),
        Call::to("test.stubborn").arg(gate.key()),
    ];
    let jobs = stage.queue().enqueue_many(calls.map(|call| call.timeout(secs(1)))).unwrap();
    stage.drain(&[&["--concurrency", "8"][..], force(executor)].concat());
    jobs.iter().for_each(check_timed_out);
    assert_eq!(stage.scratch.count("wip:default"), 0);
}

fn check_timed_out(job: &JobHandle<()>) {
    let function = job.job().unwrap().unwrap().description.unwrap();
    let JobResult { failure_text, execution_started_at, execution_ended_at, .. } =
        job.latest_result().unwrap().unwrap();
    assert_eq!(failure_text.as_deref(), Some(TEXT), "{function}");
    let took = execution_ended_at.unwrap().since(execution_started_at.unwrap());
    assert!((secs(1)..secs(1) + LATE_MAX).contains(&took), "{function} took {took:?}");
}

pub(super) fn a_job_that_ignores_its_limit_holds_nobody_up(executor: &'static str) {
    let stage = Stage::new(executor);
    let worker = stage.worker(&[&["--concurrency", "1"][..], force(executor)].concat());
    let (queue, gate) = (stage.queue(), Gate::new(&stage.scratch, "gate"));
    let stubborn = Call::<()>::to("test.stubborn").arg(gate.key()).timeout(secs(1)).job_id("stubborn");
    let stubborn = queue.enqueue(stubborn).unwrap();
    let next = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(next.wait(LIMIT).unwrap(), 5);
    check_timed_out(&stubborn);
    // On a thread it comes back after all, and changes nothing; a process does not.
    gate.open(1);
    let last = queue.enqueue(Call::<i64>::to("math.add").arg(1).arg(1)).unwrap();
    assert_eq!(last.wait(LIMIT).unwrap(), 2);
    check_timed_out(&stubborn);
    assert_eq!(stage.scratch.query::<usize>("XLEN", [stage.scratch.key("results:stubborn")]), 1);
    drop(worker);
}

/// Only threads can be stuck: elsewhere the code itself ends.
#[test]
fn a_worker_whose_threads_are_stuck_drains_and_exits_for_its_supervisor() {
    let stage = Stage::new("thread");
    let (queue, gate) = (stage.queue(), Gate::new(&stage.scratch, "gate"));
    let mut worker = stage.worker(&["--concurrency", "2"]);
    let stubborn = || Call::<()>::to("test.stubborn").arg(gate.key()).timeout(secs(1));
    let jobs = queue.enqueue_many([stubborn(), stubborn()]).unwrap();
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 1);
    let reason = "2 threads are stuck in jobs that ignore their time limits";
    let said = worker.text(Stream::Stderr);
    assert!(
        said.contains(&format!("{reason}; exiting so that a supervisor can start a fresh worker")),
        "{said}"
    );
    jobs.iter().for_each(check_timed_out);
    assert_eq!(stage.scratch.query::<usize>("SCARD", [stage.scratch.key("workers")]), 0);
}
