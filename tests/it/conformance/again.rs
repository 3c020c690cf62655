//! What runs again, what waits for others, and what people stop.

use rq_core::{Call, Dependency, Repeat, ResultKind, Retry, Status, secs};
use rq_tests::{Gate, Journal, eventually};

use super::{LIMIT, SOON, Stage};
use crate::rq_test::Books;

/// A job that fails the first `fails` times.
fn flaky(journal: &Journal, id: &str, fails: usize) -> Call<usize> {
    Call::to("interop.flaky").arg(journal.path()).arg(id).arg(fails).job_id(id)
}

/// The kinds of a job's results, the first ones first, and what they say.
fn attempts(stage: &Stage, id: &str) -> Vec<(ResultKind, Option<String>)> {
    type Entry = (String, Vec<(Vec<u8>, Vec<u8>)>);
    let entries: Vec<Entry> =
        stage.scratch.query("XRANGE", [stage.scratch.key(format!("results:{id}")), "-".into(), "+".into()]);
    let results = entries.into_iter().map(|(_, fields)| {
        let result = rq_core::JobResult::from_fields(fields.into_iter().collect()).unwrap();
        (result.kind, result.failure_text)
    });
    results.collect()
}

pub(super) fn a_failing_job_is_retried_as_often_as_it_may(executor: &'static str) {
    let check = |fails: usize, retries: u32, status: Status, runs: usize| {
        let stage = Stage::new(executor);
        let journal = Journal::new(&stage.scratch);
        let job = stage.queue().enqueue(flaky(&journal, "j", fails).retry(Retry::up_to(retries))).unwrap();
        stage.drain(&[]);
        assert_eq!(job.status().unwrap(), Some(status));
        assert_eq!(journal.began().len(), runs);
        // Every attempt is kept with its traceback.
        let attempts = attempts(&stage, "j");
        assert_eq!(attempts.len(), runs);
        for (number, (kind, text)) in attempts.iter().enumerate() {
            let expected = match (number + 1 == runs, status) {
                (false, _) => ResultKind::Retried,
                (true, Status::Finished) => ResultKind::Successful,
                (true, _) => ResultKind::Failed,
            };
            assert_eq!(*kind, expected, "attempt {number}");
            let tells = text.as_deref() == Some(&*format!("Error: run {} fails", number + 1));
            assert_eq!(tells, *kind != ResultKind::Successful, "{text:?}");
        }
    };
    check(2, 3, Status::Finished, 3);
    check(9, 2, Status::Failed, 3);
    check(9, 0, Status::Failed, 1);
}

pub(super) fn a_job_may_ask_to_run_again(executor: &'static str) {
    let stage = Stage::new(executor);
    let ask = |id: &str, pause_s: u64| Call::<()>::to("test.ask_again").arg(2).arg(pause_s).job_id(id);
    stage.queue().enqueue_many([ask("now", 0), ask("later", 60)]).unwrap();
    stage.drain(&[]);
    let kinds = |id: &str| attempts(&stage, id).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds("now"), [ResultKind::Retried, ResultKind::Retried, ResultKind::MaxRetriesExceeded]);
    assert_eq!(stage.scratch.status("now"), "failed");
    assert_eq!(kinds("later"), [ResultKind::Retried]);
    assert_eq!(stage.scratch.status("later"), "scheduled");
    assert!(stage.scratch.score("scheduled:default", "later").is_some());
}

pub(super) fn a_job_is_repeated(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let call = flaky(&journal, "j", 0).repeat(Repeat::times(3));
    let job = stage.queue().enqueue(call).unwrap();
    stage.drain(&[]);
    assert_eq!((journal.began().len(), job.wait(SOON).unwrap()), (4, 4));
    assert_eq!(attempts(&stage, "j").len(), 4);
}

pub(super) fn jobs_run_after_those_they_depend_on(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let work = |id: &str| flaky(&journal, id, 0);
    // A diamond, and one behind a failure; children first in the list.
    let calls = [
        work("end").depends_on(["left", "right"]),
        work("left").depends_on("begin"),
        work("right").depends_on("begin"),
        flaky(&journal, "fails", 9),
        work("strict").depends_on("fails"),
        work("lenient").depends_on(Dependency::on(["fails"]).allow_failure()),
        work("begin"),
    ];
    stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&[]);
    let began = journal.began();
    let place = |id: &str| began.iter().position(|began| began == id);
    assert!(place("begin") < place("left").min(place("right")), "{began:?}");
    assert!(
        place("end") > place("left").max(place("right")) && place("lenient") > place("fails"),
        "{began:?}"
    );
    assert_eq!((began.len(), place("strict")), (6, None), "{began:?}");
    assert_eq!(stage.scratch.status("strict"), "deferred");
}

pub(super) fn a_stop_command_ends_a_running_job(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let worker = stage.worker(&["--name", "w"]);
    let waits = Call::<String>::to("test.gate").arg(gate.key()).retry(Retry::up_to(3));
    stage.queue().enqueue(waits.job_id("j")).unwrap();
    gate.wait_for_arrival();
    for message in [
        "garbage",
        r#"{"command": "stop-job", "job_id": "other"}"#,
        r#"{"command": "stop-job", "job_id": "j"}"#,
    ] {
        let heard: usize =
            stage.scratch.query("PUBLISH", [stage.scratch.key("pubsub:w"), message.to_owned()]);
        assert_eq!(heard, 1, "the worker listens");
    }
    eventually("the job to be stopped", SOON, || (stage.scratch.status("j") == "stopped").then_some(()));
    worker.wait_for_line("Not working on job other, command ignored.", SOON);
    worker.wait_for_line("job j stopped by user", SOON);
    assert_eq!(attempts(&stage, "j").len(), 1, "a stopped job is not retried");
    assert!(stage.scratch.score("failed:default", "j").is_some());
    // The worker goes on.
    let next = stage.queue().enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(next.wait(secs(10)).unwrap(), 5);
}

pub(super) fn a_shutdown_command_is_a_warm_stop(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let mut worker = stage.worker(&["--name", "w"]);
    stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("j")).unwrap();
    gate.wait_for_arrival();
    stage
        .scratch
        .query::<()>("PUBLISH", [stage.scratch.key("pubsub:w"), r#"{"command": "shutdown"}"#.into()]);
    worker.wait_for_line("warm shut down requested", SOON);
    gate.open(1);
    let status = worker.wait(LIMIT);
    super::assert_exit(&worker, status, 0);
    assert_eq!(stage.scratch.status("j"), "finished");
}
