//! What happens at a job's time limit.

use std::time::Duration;

use rq_core::{Call, Callback, Error, JobResult, Status, Value, blocking::JobHandle, secs};
use rq_tests::{Gate, Stream, Told};

use super::{LIMIT, Stage, assert_exit};
use crate::rq_test::Books;

/// How much later than its limit a job may be settled, whatever it does.
const LATE_MAX: Duration = Duration::from_secs(3);
/// Longer than any test.
const LONG_MS: u64 = 600_000;

/// How long jobs here have to end by themselves, where the executor can end them by force.
fn force(executor: &str) -> &'static [&'static str] {
    if executor == "fork" { &["--job-grace", "1"] } else { &[] }
}

pub(super) fn every_kind_of_job_ends_at_its_time_limit(executor: &'static str) {
    check_all_time_out("", executor, 1, 1);
}

/// A penalty that replaces the limit decides alone, be it earlier or later.
pub(super) fn a_death_penalty_may_replace_the_limit(executor: &'static str) {
    check_all_time_out("half-limit", executor, 2, 1);
    check_all_time_out("double-limit", executor, 1, 2);
    // Of callbacks as of jobs, the one after the other: each has a time of its own.
    let stage = Stage::new(executor);
    let calls = ["told.sleep", "told.pending", "told.stubborn"].map(|name| {
        let call = Call::<i64>::to("math.add").arg(2).arg(3).timeout(secs(60));
        call.on_success(Callback::to(name).timeout(secs(2)))
    });
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    let mut worker =
        stage.worker_of("half-limit", &[&["--burst", "--concurrency", "3"][..], force(executor)].concat());
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    jobs.iter().for_each(|job| check_timed_out(job, 1));
}

/// Jobs of every kind, which may run for `limit_s` by their records, reach `ends_s` as their limit.
#[track_caller]
fn check_all_time_out(app: &'static str, executor: &'static str, limit_s: u64, ends_s: u64) {
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
    let jobs = stage.queue().enqueue_many(calls.map(|call| call.timeout(secs(limit_s)))).unwrap();
    let mut worker =
        stage.worker_of(app, &[&["--burst", "--concurrency", "8"][..], force(executor)].concat());
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    jobs.iter().for_each(|job| check_timed_out(job, ends_s));
    assert_eq!(stage.scratch.count("wip:default"), 0);
}

/// A penalty that replaces the limit and does nothing leaves jobs as much time as they like, and their callbacks; whoever
/// asks a job to end is heard all the same.
pub(super) fn without_a_limit_jobs_end_by_themselves_or_by_request(executor: &'static str) {
    /// Longer than the limit and all that an executor does behind it.
    const OVER_MS: u64 = 3_500;
    let stage = Stage::new(executor);
    let (queue, gate) = (stage.queue(), Gate::new(&stage.scratch, "gate"));
    let worker = stage.worker_of("no-limit", &[&["--concurrency", "8"][..], force(executor)].concat());
    let [stubborn, stopped] = ["test.stubborn", "test.gate"]
        .map(|function| queue.enqueue(Call::<Value>::to(function).arg(gate.key()).timeout(secs(1))).unwrap());
    let called = Call::<i64>::to("math.add").arg(2).arg(3);
    let called = queue.enqueue(called.on_success(Callback::to("told.stubborn").timeout(secs(1)))).unwrap();
    let behind = Gate::new(&stage.scratch, Told::GATE);
    for gate in [&gate, &gate, &behind] {
        gate.wait_for_arrival();
    }
    let calls =
        ["test.sleep", "test.sleep_async", "test.check"].map(|name| Call::<u64>::to(name).arg(OVER_MS));
    let slept = queue.enqueue_many(calls.map(|call| call.timeout(secs(1)))).unwrap();
    for job in slept {
        assert_eq!(job.wait(LIMIT).unwrap_or_else(|error| panic!("{error}: {}", worker.report())), OVER_MS);
    }
    behind.open(1);
    assert_eq!(called.wait(LIMIT).unwrap(), 5);
    assert!(stopped.stop().unwrap(), "the worker listens");
    let error = stopped.wait(LIMIT).unwrap_err();
    assert!(matches!(&error, Error::JobFailed { status: Status::Stopped, .. }), "{error:?}");
    gate.open(1);
    stubborn.wait(LIMIT).unwrap_or_else(|error| panic!("{error}: {}", worker.report()));
}

fn check_timed_out<T>(job: &JobHandle<T>, limit_s: u64) {
    let limit = secs(limit_s);
    let text = format!("JobTimeoutException: Task exceeded maximum timeout value ({limit_s} seconds)");
    let function = job.job().unwrap().unwrap().description.unwrap();
    let JobResult { failure_text, execution_started_at, execution_ended_at, .. } =
        job.latest_result().unwrap().unwrap();
    assert_eq!(failure_text.as_deref(), Some(&*text), "{function}");
    let took = execution_ended_at.unwrap().since(execution_started_at.unwrap());
    assert!((limit..limit + LATE_MAX).contains(&took), "{function} took {took:?}");
}

pub(super) fn a_job_that_ignores_its_limit_holds_nobody_up(executor: &'static str) {
    let stage = Stage::new(executor);
    let worker = stage.worker(&[&["--concurrency", "1"][..], force(executor)].concat());
    let (queue, gate) = (stage.queue(), Gate::new(&stage.scratch, "gate"));
    let stubborn = Call::<()>::to("test.stubborn").arg(gate.key()).timeout(secs(1)).job_id("stubborn");
    let stubborn = queue.enqueue(stubborn).unwrap();
    let next = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(next.wait(LIMIT).unwrap(), 5);
    check_timed_out(&stubborn, 1);
    // On a thread it comes back after all, and changes nothing; a process does not.
    gate.open(1);
    let last = queue.enqueue(Call::<i64>::to("math.add").arg(1).arg(1)).unwrap();
    assert_eq!(last.wait(LIMIT).unwrap(), 2);
    check_timed_out(&stubborn, 1);
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
    jobs.iter().for_each(|job| check_timed_out(job, 1));
    assert_eq!(stage.scratch.query::<usize>("SCARD", [stage.scratch.key("workers")]), 0);
}
