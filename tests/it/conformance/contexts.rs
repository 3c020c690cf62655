//! What jobs, exception handlers and death penalties see.

use std::collections::BTreeSet;

use rq_core::blocking::JobHandle;
use rq_core::{Call, Callback, Codec, PROGRESS_KEY, PROGRESS_NOTE_KEY, Status, Value, secs};
use rq_tests::jobs::states::Told;
use rq_tests::{Fault, Gate, Proxy, Stream, eventually};

use super::{LIMIT, SOON, Stage, assert_exit};
use crate::rq_test::{Books, RqTest};

pub(super) fn meta_and_progress_are_saved_during_the_run_and_after_it(executor: &'static str) {
    let stage = Stage::new(executor);
    let worker = stage.worker(&["--concurrency", "3"]);
    for codec in [Codec::Json, Codec::Pickle, Codec::Bincode] {
        let gate = Gate::new(&stage.scratch, codec.name());
        let call = Call::<()>::to("test.report").arg(gate.key()).meta("mine", 7);
        let job = stage.queue().codec(codec).enqueue(call).unwrap();
        let meta = || {
            let job = job.job().unwrap().unwrap();
            assert_eq!(Codec::detect_value(job.meta.as_deref().unwrap()), codec);
            job.meta().unwrap()
        };
        let wanted = |stage: &str, progress: f64, note: &str| {
            let entries: [(&str, Value); 4] = [
                ("mine", 7.into()),
                ("stage", stage.into()),
                (PROGRESS_KEY, progress.into()),
                (PROGRESS_NOTE_KEY, note.into()),
            ];
            Value::Dict(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
        };
        assert_eq!(gate.wait_for_arrival(), job.id());
        let during = wanted("before", 0.5, "at the gate");
        eventually("the meta of a running job", SOON, || (meta() == during).then_some(()));
        gate.open(1);
        job.wait(LIMIT).unwrap();
        assert_eq!(meta(), wanted("after", 1.0, "done"));
    }
    drop(worker);
}

pub(super) fn state_is_made_once_and_shared(executor: &'static str) {
    let stage = Stage::new(executor);
    let calls = (0..20).map(|_| Call::<u64>::to("test.count"));
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&["--concurrency", "4"]);
    let mut counts: Vec<u64> = jobs.iter().map(|job| job.result().unwrap().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, counts_of(executor));
}

/// What twenty jobs count, in ascending order.
fn counts_of(executor: &str) -> Vec<u64> {
    match executor {
        // A process shares with nobody but the jobs that it runs after one another, which is one unless told.
        "fork" => vec![1; 20],
        _ => (1..=20).collect(),
    }
}

pub(super) fn states_are_made_where_and_when_they_should_be(executor: &'static str) {
    const JOBS: usize = 3;
    let stage = Stage::new(executor);
    let worker = stage.worker_of("states", &["--concurrency", "1"]);
    let accept = stage.queue().enqueue(Call::<()>::to("states.accept")).unwrap();
    let jobs = stage.queue().enqueue_many((0..JOBS).map(|_| Call::<Told>::to("states.tell"))).unwrap();
    accept.wait(LIMIT).unwrap_or_else(|error| panic!("{error}: {}", worker.report()));
    let told: Vec<Told> = jobs.iter().map(|job| job.wait(LIMIT).unwrap()).collect();
    for told in &told {
        assert_eq!(told.service, told.process, "once in each process that runs jobs");
        let broken = "the state `rq_tests::jobs::states::Broken` could not be made: no such database";
        assert_eq!(told.broken, broken);
    }
    let made_in: BTreeSet<u32> = told.iter().map(|told| told.table).collect();
    assert_eq!(made_in.len(), 1, "made once, before the first job: {told:?}");
    let processes: BTreeSet<u32> = told.iter().map(|told| told.process).collect();
    match executor {
        "fork" => assert!(processes.len() == JOBS && processes.is_disjoint(&made_in), "{told:?}"),
        _ => assert_eq!(processes, made_in),
    }
}

pub(super) fn a_state_that_cannot_be_made_says_why(executor: &'static str) {
    let stage = Stage::new(executor);
    let calls = ["states.broken", "states.unknown"].map(Call::<()>::to);
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    let mut worker = stage.worker_of("states", &["--burst"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let text = |job: &JobHandle<()>| job.latest_result().unwrap().unwrap().failure_text.unwrap();
    for (job, says) in jobs.iter().zip([
        "the state `rq_tests::jobs::states::Broken` could not be made: no such database",
        "no state of type `rq_tests::jobs::states::Unknown`",
    ]) {
        let text = text(job);
        // The line of the job that has asked.
        let place = "Panic: job panicked at tests/src/jobs/states.rs:";
        assert!(text.starts_with(place) && text.contains(says), "{text}");
    }
    for (app, says) in [
        ("broken-state", "the state `rq_tests::jobs::states::Broken` could not be made: no such file"),
        ("panic-in-preload", "no model"),
    ] {
        let (code, stdout, stderr) =
            RqTest::app(&stage.scratch, app).outcome(&["worker", "--burst", "-w", executor]);
        let is_told = code == Some(1) && stderr.contains(says) && stderr.matches(says).count() == 1;
        assert!(is_told, "{app}: {code:?} {stdout}{stderr}");
    }
}

pub(super) fn handlers_and_penalties_are_called_in_order(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "never");
    let calls = [
        Call::<()>::to("math.add").arg(1).arg(2).job_id("good").no_timeout(),
        Call::to("test.fail").arg("x").job_id("bad"),
        Call::to("test.gate").arg(gate.key()).job_id("slow").timeout(secs(1)),
        Call::to("test.panic").arg("x").job_id("wild"),
        Call::to("no.such.function").job_id("unknown"),
        Call::to("test.ask_again").arg(1).arg(0).job_id("asks"),
    ];
    stage.queue().enqueue_many(calls).unwrap();
    let mut worker = stage.worker_of("watched", &["--burst"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let said = worker.text(Stream::Stderr);
    assert_eq!(said.matches("preloaded").count(), 1, "{said}");
    let all = &["first", "second", "third"];
    check_told(&said, "good", "None", &[], "");
    check_told(&said, "bad", "Some(180s)", all, "Error");
    // The second one breaks off.
    check_told(&said, "slow", "Some(1s)", &all[..2], "JobTimeoutException");
    // The second one breaks down, and the job fails all the same.
    check_told(&said, "wild", "Some(180s)", &all[..1], "Panic");
    assert!(said.contains("the second handler breaks down"), "{said}");
    assert!(said.contains("first handler: unknown ended by UnknownFunction"), "{said}");
    // As in RQ, where it returns that it wants to, and then has asked too often.
    assert!(said.contains("penalty: asks armed") && !said.contains("handler: asks"), "{said}");
    for id in ["bad", "slow", "wild", "unknown", "asks"] {
        assert_eq!(stage.scratch.status(id), "failed", "{id}");
    }
}

pub(super) fn penalties_are_armed_around_callbacks_with_their_own_limit(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "never");
    let to = |name, limit_s| Callback::to(name).timeout(secs(limit_s));
    let good = Call::<i64>::to("math.add").arg(1).arg(2).job_id("good").timeout(secs(30));
    let bad = Call::<()>::to("test.fail").arg("x").job_id("bad").on_failure(to("told.fail", 9));
    let halted = Call::<()>::to("test.gate").arg(gate.key()).job_id("halted").on_stopped(to("due.note", 7));
    stage.queue().enqueue(good.on_success(to("told.end", 5))).unwrap();
    stage.queue().enqueue_many([bad, halted]).unwrap();
    let mut worker = stage.worker_of("watched", &["--burst", "--concurrency", "1"]);
    gate.wait_for_arrival();
    assert!(stage.queue().handle::<()>("halted").stop().unwrap(), "the worker listens");
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let said = worker.text(Stream::Stderr);
    let armed = |id: &str| -> Vec<&str> {
        let begins = format!("first penalty: {id} ");
        said.lines().filter_map(|line| line.strip_prefix(&begins)).collect()
    };
    let both = |job, callback| [job, "called off", callback, "called off"];
    assert_eq!(armed("good"), both("armed for Some(30s)", "armed for Some(5s)"), "{said}");
    assert_eq!(armed("bad"), both("armed for Some(180s)", "armed for Some(9s)"), "{said}");
    // What was ended by force is not disarmed where it ran; its callback is called elsewhere.
    let halted = armed("halted");
    assert_eq!(halted[0], "armed for Some(180s)", "{said}");
    assert!(halted.ends_with(&["armed for Some(7s)", "called off"]), "{said}");
}

/// The handlers run before the settlement is sent, which may then be sent as often as it takes.
pub(super) fn a_failure_is_shown_once_through_an_outage(executor: &'static str) {
    const SETTLE: &str = "EVALSHA settle";
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        let stage = Stage::new(executor);
        let proxy = Proxy::at_first(stage.scratch.url(), SETTLE, fault);
        stage.queue().enqueue(Call::<()>::to("test.fail").arg("x").job_id("bad")).unwrap();
        let mut worker = stage.worker_of("watched", &["--burst", "--url", proxy.url()]);
        let status = worker.wait(LIMIT);
        assert_exit(&worker, status, 0);
        let requests = proxy.requests();
        let sent = requests.iter().filter(|request| *request == SETTLE).count();
        assert_eq!((proxy.struck().len(), sent), (1, 2), "it is sent again: {requests:?}");
        let all = ["first", "second", "third"];
        check_told(&worker.text(Stream::Stderr), "bad", "Some(180s)", &all, "Error");
        let results: usize = stage.scratch.query("XLEN", [stage.scratch.key("results:bad")]);
        assert_eq!(results, 1);
        assert_eq!(stage.scratch.status("bad"), "failed");
    }
}

pub(super) fn the_context_is_current_in_its_job_alone(executor: &'static str) {
    const JOBS: usize = 40;
    let stage = Stage::new(executor);
    // Of different lengths, so that they overtake each other wherever they share threads.
    let calls = (0..JOBS).map(|n| {
        let function = if n % 2 == 0 { "test.current" } else { "test.current_async" };
        Call::<()>::to(function).arg(n * 7 % 50).arg(n % 5 == 0).job_id(format!("j{n}"))
    });
    stage.queue().enqueue_many(calls).unwrap();
    let mut worker = stage.worker_of("watched", &["--burst", "--concurrency", "4"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let said = worker.text(Stream::Stderr);
    assert!(!said.contains("has left its context"), "{said}");
    for n in 0..JOBS {
        let job = stage.queue().handle::<()>(&format!("j{n}"));
        let text = job.latest_result().unwrap().unwrap().failure_text.unwrap_or_default();
        let wanted = if n % 5 == 0 { "as was asked" } else { "" };
        assert!(text.contains(wanted) && text.is_empty() == wanted.is_empty(), "j{n}: {text}");
    }
}

/// What both penalties and these handlers say of a job, in this order.
#[track_caller]
fn check_told(said: &str, id: &str, limit: &str, handlers: &[&str], kind: &str) {
    let mut wanted = vec![
        format!("first penalty: {id} armed for {limit}"),
        format!("second penalty: {id} armed for {limit}"),
        format!("first penalty: {id} called off"),
        format!("second penalty: {id} called off"),
    ];
    wanted.extend(handlers.iter().map(|handler| format!("{handler} handler: {id} ended by {kind}")));
    let is_about_it = |line: &&str| line.contains(&format!(": {id} ")) && !line.contains("Worker ");
    assert_eq!(said.lines().filter(is_about_it).collect::<Vec<_>>(), wanted, "{said}");
}

pub(super) fn jobs_enqueue_more_work(executor: &'static str) {
    for codec in [Codec::Json, Codec::Pickle] {
        let stage = Stage::new(executor);
        stage.queue().codec(codec).enqueue(Call::<u64>::to("test.spread").arg(5).job_id("spread-5")).unwrap();
        stage.drain(&[]);
        for count in 0..=5 {
            let job = stage.queue().fetch_job(&format!("spread-{count}")).unwrap().expect("it was enqueued");
            assert_eq!(job.status, Status::Finished, "{count}");
            assert_eq!(job.payload().unwrap().0, codec, "{count}");
        }
    }
}
