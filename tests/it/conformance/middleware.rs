//! What code around jobs sees, and decides.

use rq_core::{Call, Callback, Retry, Value, secs};
use rq_tests::Stream;

use super::{LIMIT, Stage, assert_exit};
use crate::rq_test::Books;

fn tell(function: &str, id: &str, fails: bool) -> Call<Value> {
    Call::to(function).arg(fails).job_id(id)
}

/// Runs these, and returns what is said of each id.
#[track_caller]
fn said_of(stage: &Stage, calls: impl IntoIterator<Item = Call<Value>>) -> impl Fn(&str) -> Vec<String> {
    stage.queue().enqueue_many(calls).unwrap();
    let mut worker = stage.worker_of("middleware", &["--burst", "--concurrency", "4"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let said = worker.text(Stream::Stderr);
    move |id| {
        let is_of_id = |line: &str| line.strip_prefix(id).is_some_and(|rest| rest.starts_with(' '));
        let about = said.lines().filter_map(|line| {
            let (who, what) = line.split_once(": ")?;
            (["outer", "inner", "callback"].contains(&who) && is_of_id(what))
                .then(|| format!("{who}{}", &what[id.len()..]))
        });
        about.collect()
    }
}

/// What is said where both let the job run, which ends like this.
fn around(end: &str) -> Vec<String> {
    let said = ["outer before, current: true".to_owned(), "inner before".to_owned()];
    said.into_iter().chain([format!("outer behind, {end}")]).collect()
}

pub(super) fn it_is_around_jobs_in_order_and_once_for_each_run(executor: &'static str) {
    let stage = Stage::new(executor);
    let to_end = || Callback::to("middleware.end");
    let said_of = said_of(
        &stage,
        [
            tell("middleware.tell", "sync", false).on_success(to_end()),
            tell("middleware.tell_async", "async", false),
            tell("middleware.tell", "fails", true).retry(Retry::up_to(1)).on_failure(to_end()),
            tell("middleware.tell_async", "fails-async", true),
            Call::to("test.panic").arg("boom").job_id("panics"),
            Call::to("no.such.function").job_id("unknown"),
            Call::to("middleware.tell").arg("no bool").job_id("misfit"),
        ],
    );
    let value = |id: &str| stage.queue().handle::<String>(id).result().unwrap().unwrap();
    for id in ["sync", "async"] {
        assert_eq!(value(id), format!("slept for {id}"));
        let callback = (id == "sync").then(|| "callback finds None".to_owned());
        let wanted: Vec<_> = around(&format!("'slept for {id}'")).into_iter().chain(callback).collect();
        assert_eq!(said_of(id), wanted);
    }
    // A run after the other, each with what it was handed.
    let callback = "callback finds None".to_owned();
    let once: Vec<_> = around("Error").into_iter().chain([callback]).collect();
    assert_eq!(said_of("fails"), [once.clone(), once].concat());
    assert_eq!(said_of("fails-async"), around("Error"));
    assert_eq!(said_of("panics"), around("Panic"));
    // Arguments are read as the function is called; a function that is not there is never called.
    assert_eq!(said_of("misfit"), around("TypeError"));
    assert_eq!(said_of("unknown"), [""; 0]);
}

pub(super) fn what_it_returns_is_the_end_of_the_job(executor: &'static str) {
    let stage = Stage::new(executor);
    let asks = |function: &str, does: &str, fails| {
        let id = format!("{does}-{}", function.replace('.', "-"));
        tell(function, &id, fails).meta("inner", does)
    };
    let functions = ["middleware.tell", "middleware.tell_async"];
    let said_of = said_of(
        &stage,
        functions.iter().flat_map(|function| {
            [("mend", true), ("refuse", true), ("spoil", false), ("panic", false), ("panic-behind", false)]
                .map(|(does, fails)| asks(function, does, fails))
        }),
    );
    for function in functions {
        let id = |does: &str| format!("{does}-{}", function.replace('.', "-"));
        for (does, value) in [("mend", "mended"), ("refuse", "refused")] {
            let job = stage.queue().handle::<String>(&id(does));
            assert_eq!(job.result().unwrap().as_deref(), Some(value), "{function}");
            assert_eq!(said_of(&id(does)).last().unwrap(), &format!("outer behind, '{value}'"));
        }
        for (does, text) in [
            ("spoil", "Error: inner spoils it"),
            ("panic", "Panic: job panicked at tests/src/jobs/middleware.rs:"),
            ("panic-behind", "Panic: job panicked at tests/src/jobs/middleware.rs:"),
        ] {
            let job = stage.queue().handle::<String>(&id(does));
            let told = job.latest_result().unwrap().unwrap().failure_text.unwrap();
            assert!(told.starts_with(text), "{function}: {told}");
            let kind = text.split(':').next().unwrap();
            assert_eq!(said_of(&id(does)).last().unwrap(), &format!("outer behind, {kind}"));
        }
        // The job itself runs where `inner` lets it.
        let inner =
            |does: &str| said_of(&id(does)).iter().filter(|said| said.starts_with("inner behind")).count();
        assert_eq!(["mend", "refuse", "spoil", "panic", "panic-behind"].map(inner), [1, 0, 1, 0, 1]);
    }
}

pub(super) fn it_sees_a_job_that_reached_its_limit(executor: &'static str) {
    let stage = Stage::new(executor);
    let mut calls = vec![
        Call::<Value>::to("test.sleep").arg(600_000).job_id("sync"),
        Call::to("test.sleep_async").arg(600_000).job_id("async"),
        Call::to("test.pending").job_id("pending"),
    ];
    // Its coroutine is unwound; elsewhere it ends with its process, or goes on.
    if executor == "green" {
        calls.push(Call::to("middleware.linger").job_id("linger"));
    }
    let ids: Vec<_> = calls.iter().map(|call| call.id().unwrap().to_owned()).collect();
    let said_of = said_of(&stage, calls.into_iter().map(|call| call.timeout(secs(1))));
    for id in ids {
        assert_eq!(said_of(&id), around("JobTimeoutException"), "{id}");
        assert_eq!(stage.scratch.status(&id), "failed");
    }
}

pub(super) fn what_it_hands_to_a_job_is_dropped_before_the_job_has_ended(executor: &'static str) {
    let stage = Stage::new(executor);
    let to_end = || Callback::to("middleware.end");
    let asks = |id: &str, does: &str, fails| tell("middleware.tell", id, fails).meta("inner", does);
    let said_of = said_of(
        &stage,
        [
            asks("breaks", "drop-panics", false)
                .on_success(Callback::to("no.such.callback"))
                .on_failure(to_end()),
            asks("fails", "drop-panics", true).on_failure(to_end()),
            asks("hangs", "drop-hangs", false).timeout(secs(1)),
        ],
    );
    let callback = || "callback finds None".to_owned();
    for (id, ends, callbacks) in [
        ("breaks", "Panic: job panicked at tests/src/jobs/middleware.rs:", vec![callback()]),
        ("fails", "Error: as was asked", vec![callback()]),
        ("hangs", "JobTimeoutException", vec![]),
    ] {
        let text = stage.queue().handle::<String>(id).latest_result().unwrap().unwrap().failure_text.unwrap();
        assert!(text.contains(ends), "{id}: {text}");
        let is_callback = |said: &String| said.starts_with("callback");
        assert_eq!(said_of(id).into_iter().filter(is_callback).collect::<Vec<_>>(), callbacks, "{id}");
    }
}
