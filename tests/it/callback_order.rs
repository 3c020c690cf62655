//! RQ's own order of callback and commit: a worker of Python's and ours call the same callbacks at each end, and these write
//! down what they see in Redis (`tests/python/order.py`).
//!
//! Four ends times three callbacks: one that works, one that fails, one that takes too long.

use rq_tests::{Child, Python, Scratch, eventually};
use serde_json::json;

use crate::interop::seen;
use crate::rq_test::{Books, LIMIT, RqTest};

/// Has Python enqueue all twelve, and read what is there in the end. RQ's own fields name the callbacks.
const ENQUEUE: &str = "\
from rq import Callback
queue = Queue('default', connection=conn)
works = Callback('order.works')
for how, limit_s in (('works', 30), ('raises', 30), ('lingers', 1)):
    callback = Callback(f'order.{how}', timeout=limit_s)
    queue.enqueue('interop.echo', 5, job_id=f'finished-{how}', on_success=callback, on_failure=works)
    queue.enqueue('interop.fail', 'the job failed', job_id=f'failed-{how}', on_success=works, on_failure=callback)
    queue.enqueue('interop.fail', 'the job failed', job_id=f'again-{how}', on_failure=callback,
                  retry=Retry(max=1, interval=1000))
    queue.enqueue('order.wait', job_id=f'stopped-{how}', on_failure=works, on_stopped=callback)
";

/// What is seen of one of the twelve.
struct Case {
    id: &'static str,
    /// By the callbacks that are called, and, last, in the end.
    python: &'static [&'static str],
    /// The same with us, where it is something else.
    ours: Option<&'static [&'static str]>,
}

const CASES: [Case; 12] = [
    same("finished-works", &[VALUE, "finished, in finished, 1 results; SUCCESSFUL"]),
    same(
        "finished-raises",
        &[
            VALUE,
            "failed: the callback failed - started, in wip, 0 results",
            "failed, in failed, 1 results; FAILED, the callback failed",
        ],
    ),
    same(
        "finished-lingers",
        &[
            VALUE,
            "failed: Task exceeded maximum timeout value (1 seconds) - started, in wip, 0 results",
            "failed, in failed, 1 results; FAILED, maximum timeout value",
        ],
    ),
    same("failed-works", &[FAILURE, "failed, in failed, 1 results; FAILED, the job failed"]),
    same("failed-raises", &[FAILURE, "failed, in failed, 1 results; FAILED, the callback failed"]),
    same("failed-lingers", &[FAILURE, "failed, in failed, 1 results; FAILED, maximum timeout value"]),
    retried("again-works", &[FAILURE, "scheduled, in scheduled, 1 results; RETRIED, the job failed"]),
    retried("again-raises", &[FAILURE, "scheduled, in scheduled, 1 results; RETRIED, the callback failed"]),
    retried(
        "again-lingers",
        &[FAILURE, "scheduled, in scheduled, 1 results; RETRIED, maximum timeout value"],
    ),
    stopped("stopped-works"),
    stopped("stopped-raises"),
    stopped("stopped-lingers"),
];

/// What callbacks see that are called before the end is committed.
const VALUE: &str = "finished 5 - started, in wip, 0 results";
const FAILURE: &str = "failed: the job failed - started, in wip, 0 results";
/// What becomes of a stopped job, whatever its callback does.
const STOPPED: &str = "stopped, in failed, 1 results; FAILED, stopped by user";

const fn same(id: &'static str, python: &'static [&'static str]) -> Case {
    Case { id, python, ours: None }
}

/// The order is the same; of an attempt that another one follows Python keeps no result.
const fn retried(id: &'static str, ours: &'static [&'static str]) -> Case {
    Case { id, python: &[FAILURE, "scheduled, in scheduled, 0 results; no result"], ours: Some(ours) }
}

/// Ours is called once the end is committed: the process that ran the job is gone by then, and jobs and callbacks run
/// nowhere else (docs/design/outbox.md).
const fn stopped(id: &'static str) -> Case {
    Case {
        id,
        python: &["stopped - started, in wip, 0 results", STOPPED],
        ours: Some(&["stopped - stopped, in failed, 1 results", STOPPED]),
    }
}

#[test]
fn python_calls_each_callback_before_it_commits_the_end() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(ENQUEUE);
    stop_what_waits(&scratch, python.spawn_rq(&["worker", "--burst", "--name", "w", "default"]));
    check(&python, |case| case.python);
}

fn ours(executor: &str) {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(ENQUEUE);
    let args = ["worker", "--burst", "--name", "w", "--concurrency", "1", "-w", executor];
    stop_what_waits(&scratch, RqTest::new(&scratch).spawn(&args));
    check(&python, |case| case.ours.unwrap_or(case.python));
}

#[test]
fn we_do_so_too_where_the_job_has_ended_by_itself_in_processes() {
    ours("fork");
}

#[test]
fn we_do_so_too_where_the_job_has_ended_by_itself_on_threads() {
    ours("thread");
}

#[test]
fn we_do_so_too_where_the_job_has_ended_by_itself_in_coroutines() {
    ours("green");
}

/// Stops the jobs that wait for that, as they come, and waits for the worker to have run all.
fn stop_what_waits(scratch: &Scratch, mut worker: Child) {
    for how in ["works", "raises", "lingers"] {
        let job = scratch.queue("default").handle::<()>(&format!("stopped-{how}"));
        eventually("it to run", LIMIT, || {
            scratch.query::<bool>("EXISTS", [scratch.key(format!("order:{}:runs", job.id()))]).then_some(())
        });
        assert!(job.stop().unwrap(), "the worker listens");
    }
    let status = worker.wait(LIMIT);
    assert!(status.success(), "{}", worker.report());
}

fn check(python: &Python<'_>, expected: impl Fn(&Case) -> &'static [&'static str]) {
    let ids = CASES.map(|case| case.id);
    let all = seen(python, &format!("[__import__('order').seen(id, conn) for id in {ids:?}]"));
    let expected: Vec<_> = CASES.iter().map(|case| json!(expected(case))).collect();
    assert_eq!(all, json!(expected), "{all:#}");
}
