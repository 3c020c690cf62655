//! What is called where a job ran, once it has ended.

use rq_core::blocking::JobHandle;
use rq_core::{Call, Callback, Repeat, Retry, Status, Timestamp, secs};
use rq_tests::{Gate, Told, eventually};

use super::{LIMIT, SOON, Stage};
use crate::rq_test::Books;

/// What a callback says that reached the limit of one second that all have here.
const TOO_LONG: &str = "JobTimeoutException: Task exceeded maximum timeout value (1 seconds)";
const FAILED: &str = "Error: the callback failed";

/// How long callbacks here have to end by themselves, where the executor can end them by force.
fn force(executor: &str) -> &'static [&'static str] {
    if executor == "fork" { &["--job-grace", "1"] } else { &[] }
}

fn add(id: &str) -> Call<i64> {
    Call::to("math.add").arg(2).arg(3).job_id(id)
}

fn fail(id: &str) -> Call<i64> {
    Call::to("test.fail").arg("boom").job_id(id)
}

fn to(name: &str) -> Callback {
    Callback::to(name).timeout(secs(1))
}

fn failure_text(job: &JobHandle<i64>) -> String {
    job.latest_result().unwrap().unwrap().failure_text.unwrap()
}

pub(super) fn a_success_callback_sees_the_value_before_it_is_stored(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let none = Call::to("test.none").job_id("none").on_success(to("told.end"));
    let list = Call::to("interop.echo").arg(vec![1, 2]).job_id("list").on_success(to("told.end_async"));
    let both = add("both").on_success(to("told.end")).on_failure(to("told.end"));
    let jobs = stage.queue().enqueue_many([none, list, both]).unwrap();
    stage.drain(&[]);
    assert_eq!(told.of("none"), ["finished None, started"]);
    assert_eq!(told.of("list"), ["finished [1, 2], started"]);
    assert_eq!(told.of("both"), ["finished 5, started"]);
    assert!(jobs.iter().all(|job| job.status().unwrap() == Some(Status::Finished)));
    assert_eq!(stage.queue().handle::<i64>("both").result().unwrap(), Some(5));
}

/// As in RQ: it raises within what is taken for the job.
pub(super) fn a_success_callback_that_fails_fails_the_job(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let call = |id: &str, name| add(id).on_success(to(name)).on_failure(to("told.end"));
    let calls = [call("fails", "told.fail"), call("panics", "told.panic"), call("again", "told.again")];
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&[]);
    for (job, text) in jobs.iter().zip([
        FAILED,
        "Panic: callback told.panic panicked at ",
        "Error: a callback cannot ask for another run; its job can",
    ]) {
        let recorded = failure_text(job);
        assert!(recorded.starts_with(text), "{recorded}");
        let noted = ["finished 5, started".to_owned(), format!("failed {recorded}, started")];
        assert_eq!(told.of(job.id()), noted);
        assert_eq!(job.status().unwrap(), Some(Status::Failed));
    }
}

pub(super) fn a_failure_callback_is_called_however_the_job_failed(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let call = |id: &str, call: Call<i64>| call.job_id(id).on_failure(to("told.end"));
    let calls = [
        call("error", fail("")),
        call("panic", Call::to("test.panic").arg("wild")),
        call("unknown", Call::to("no.such.function")),
        call("arguments", Call::to("math.add").arg(2)),
        call("overdue", Call::to("test.sleep").arg(600_000).timeout(secs(1))),
    ];
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&[]);
    for job in &jobs {
        assert_eq!(told.of(job.id()), [format!("failed {}, started", failure_text(job))]);
    }
    assert_eq!(failure_text(&jobs[0]), "Error: boom");
    assert_eq!(failure_text(&jobs[4]), TOO_LONG);
}

pub(super) fn a_failure_callback_that_fails_replaces_the_failure(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let calls = [("fails", "told.fail"), ("panics", "told.panic")];
    let jobs = calls.map(|(id, name)| fail(id).on_failure(to(name)));
    let jobs = stage.queue().enqueue_many(jobs).unwrap();
    stage.drain(&[]);
    assert_eq!(failure_text(&jobs[0]), FAILED);
    assert!(failure_text(&jobs[1]).ends_with(": the callback panicked"), "{}", failure_text(&jobs[1]));
    for job in &jobs {
        assert_eq!(told.of(job.id()), ["failed Error: boom, started"]);
    }
}

pub(super) fn each_attempt_that_fails_is_told_and_a_retry_is_not(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let tried = fail("tried").retry(Retry::up_to(2)).on_failure(to("told.end"));
    let asks = Call::to("test.ask_again").arg(1).arg(0).job_id("asks");
    let asks = asks.on_failure(to("told.end")).on_success(to("told.end"));
    stage.queue().enqueue_many([tried, asks]).unwrap();
    stage.drain(&[]);
    assert_eq!(told.of("tried"), ["failed Error: boom, started"; 3]);
    assert_eq!(told.of("asks"), [""; 0]);
}

/// The fields stay with the job, wherever it goes.
pub(super) fn what_runs_again_is_called_for_again(executor: &'static str) {
    let stage = Stage::new(executor);
    let (told, queue) = (Told::new(&stage.scratch), stage.queue());
    let repeated = add("repeated").repeat(Repeat::times(1)).on_success(to("told.end"));
    let later = add("later").on_success(to("told.end"));
    queue.enqueue(repeated).unwrap();
    let past = Timestamp::parse("2026-01-01T00:00:00.000000Z").unwrap();
    queue.enqueue_at(past, later).unwrap();
    let failed = queue.enqueue(fail("requeued").on_failure(to("told.end"))).unwrap();
    stage.drain(&["-s"]);
    failed.requeue().unwrap();
    stage.drain(&[]);
    assert_eq!(told.of("repeated"), ["finished 5, started"; 2]);
    assert_eq!(told.of("later"), ["finished 5, started"]);
    assert_eq!(told.of("requeued"), ["failed Error: boom, started"; 2]);
}

/// One alone is called: ours where the program has it, and else that of Python's fields.
pub(super) fn one_callback_is_called_that_the_program_has(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let python = |name| Callback::python(name).timeout(secs(1));
    let calls = [
        add("ours").on_success(python("told.fail")).on_success(to("told.end")),
        add("pythons").on_success(python("told.end")).on_success(to("no.such.callback")),
        add("unknown").on_success(to("no.such.callback")),
        // A job is no callback.
        add("job").on_success(to("math.add")),
    ];
    let jobs = stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&[]);
    let noted = ["ours", "pythons", "unknown", "job"].map(|id| told.of(id).len());
    assert_eq!(noted, [1, 1, 0, 0]);
    for job in jobs {
        assert_eq!(job.result().unwrap(), Some(5), "{}", job.id());
    }
}

pub(super) fn a_python_producer_names_callbacks(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    rq_tests::Python::new(&stage.scratch).run(
        "from rq import Callback\n\
         end = Callback('told.end', timeout=5)\n\
         queue = Queue('default', connection=conn)\n\
         queue.enqueue('math.add', 2, 3, job_id='good', on_success=end, on_failure=end)\n\
         queue.enqueue('test.fail', 'boom', job_id='bad', on_success=end, on_failure=end)",
    );
    stage.drain(&[]);
    assert_eq!(told.of("good"), ["finished 5, started"]);
    assert_eq!(told.of("bad"), ["failed Error: boom, started"]);
}

pub(super) fn a_callback_has_the_context_of_its_job_and_a_limit_of_its_own(executor: &'static str) {
    let stage = Stage::new(executor);
    let call = add("j").timeout(secs(3)).meta("mine", 1).on_success(Callback::to("told.context"));
    let job = stage.queue().enqueue(call).unwrap();
    stage.drain(&[]);
    assert_eq!(Told::new(&stage.scratch).of("j"), ["j true, started"]);
    assert_eq!(job.job().unwrap().unwrap().meta().unwrap().repr(), "{'mine': 1, 'told': 60.0}");
}

pub(super) fn callbacks_end_at_their_limit(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let names = ["sleep", "sleep_async", "check", "pending"];
    let of = |name| to(&format!("told.{name}"));
    let good = names.map(|name| add(&format!("good-{name}")).on_success(of(name)));
    let bad = names.map(|name| fail(&format!("bad-{name}")).on_failure(of(name)));
    // Its failure is the job's, and is told in turn.
    let both = add("both").on_success(to("told.sleep")).on_failure(to("told.end"));
    let jobs = stage.queue().enqueue_many(good.into_iter().chain(bad).chain([both])).unwrap();
    stage.drain(&[&["--concurrency", "9"][..], force(executor)].concat());
    for job in &jobs {
        assert_eq!(failure_text(job), TOO_LONG, "{}", job.id());
    }
    let (both, once) = jobs.split_last().unwrap();
    assert!(once.iter().all(|job| told.of(job.id()).len() == 1));
    assert_eq!(told.of(both.id())[1..], [format!("failed {TOO_LONG}, started")]);
}

/// Once and once only, though who called it cannot say how it ended.
pub(super) fn a_callback_that_ignores_its_limit_is_cut_short_and_not_called_again(executor: &'static str) {
    let stage = Stage::new(executor);
    let (told, gate) = (Told::new(&stage.scratch), Gate::new(&stage.scratch, Told::GATE));
    let worker = stage.worker(&[&["--concurrency", "1"][..], force(executor)].concat());
    let job = stage.queue().enqueue(fail("bad").on_failure(to("told.stubborn"))).unwrap();
    let next = stage.queue().enqueue(add("next")).unwrap();
    assert_eq!(next.wait(LIMIT).unwrap(), 5);
    assert_eq!(failure_text(&job), TOO_LONG);
    // On a thread it comes back after all, and changes nothing; a process does not.
    gate.open(1);
    let last = stage.queue().enqueue(add("last")).unwrap();
    assert_eq!(last.wait(LIMIT).unwrap(), 5);
    assert_eq!(failure_text(&job), TOO_LONG);
    assert_eq!(told.of("bad"), ["failed Error: boom, started"]);
    assert_eq!(stage.scratch.query::<usize>("XLEN", [stage.scratch.key("results:bad")]), 1);
    drop(worker);
}

/// What was cut short where the job ran can call nothing there any more: its worker has the failure told.
pub(super) fn a_success_callback_that_is_cut_short_fails_the_job(executor: &'static str) {
    let stage = Stage::new(executor);
    let (told, gate) = (Told::new(&stage.scratch), Gate::new(&stage.scratch, Told::GATE));
    let worker = stage.worker(&[&["--concurrency", "1"][..], force(executor)].concat());
    let call = add("good").on_success(to("told.stubborn")).on_failure(to("told.end"));
    let job = stage.queue().enqueue(call).unwrap();
    gate.wait_for_arrival();
    eventually("the failure to be told", SOON, || (told.of("good").len() > 1).then_some(()));
    assert_eq!(failure_text(&job), TOO_LONG);
    let told = told.of("good");
    assert!(told.len() == 2 && told[1].starts_with(&format!("failed {TOO_LONG}")), "{told:?}");
    gate.open(1);
    drop(worker);
}

pub(super) fn a_stop_ends_a_callback(executor: &'static str) {
    let stage = Stage::new(executor);
    let told = Told::new(&stage.scratch);
    let worker = stage.worker(&[]);
    let long = |name| Callback::to(name).timeout(secs(600));
    let calls = [add("good").on_success(long("told.sleep")), fail("bad").on_failure(long("told.sleep"))];
    for call in calls {
        let job = stage.queue().enqueue(call).unwrap();
        eventually("the callback", SOON, || (told.of(job.id()).len() == 1).then_some(()));
        assert!(job.stop().unwrap(), "the worker listens");
        eventually("the end", SOON, || (job.status().unwrap() == Some(Status::Stopped)).then_some(()));
        assert_eq!(told.of(job.id()).len(), 1);
    }
    drop(worker);
}

/// A coroutine that was cut cannot wait for anything any more.
#[test]
fn a_callback_that_is_cut_at_its_wait_has_failed_once() {
    let stage = Stage::new("green");
    let told = Told::new(&stage.scratch);
    let good = add("good").on_success(to("told.nap")).on_failure(to("told.end"));
    let bad = fail("bad").on_failure(to("told.nap"));
    let worker = stage.worker(&[]);
    let jobs = stage.queue().enqueue_many([good, bad]).unwrap();
    eventually("the failure to be told", SOON, || (told.of("good").len() > 1).then_some(()));
    let ended = || (jobs[1].status().unwrap() == Some(Status::Failed)).then_some(());
    eventually("the other end", SOON, ended);
    assert!(jobs.iter().all(|job| failure_text(job) == TOO_LONG));
    assert!(told.of("good")[1].starts_with(&format!("failed {TOO_LONG}")), "{:?}", told.of("good"));
    assert_eq!(told.of("bad"), ["failed Error: boom, started"]);
    drop(worker);
}

/// Only a process can die alone.
#[test]
fn a_failure_callback_whose_process_dies_is_not_called_again() {
    let stage = Stage::new("fork");
    let told = Told::new(&stage.scratch);
    let calls = [
        ("bad", fail("bad").on_failure(to("told.abort"))),
        ("good", add("good").on_success(to("told.abort"))),
    ];
    for (id, call) in calls {
        let job = stage.queue().enqueue(call).unwrap();
        stage.drain(&[]);
        let text = failure_text(&job);
        assert!(text.contains("SIGABRT"), "{text}");
        assert_eq!(told.of(id).len(), 1);
    }
}

/// In the producer, as it enqueues.
#[test]
fn an_inline_queue_calls_them_as_well() {
    use std::sync::Mutex;

    use rq_core::{Context, End, callback, handlers, job};

    static NOTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    #[job("math.add")]
    fn add(x: i64, y: i64) -> rq_core::Result<i64> {
        Ok(x + y)
    }

    #[callback("told.end")]
    fn end(ctx: &Context, end: End) -> rq_core::Result<()> {
        NOTED.lock().unwrap().push(format!("{} {end:?}", ctx.job().id));
        Ok(())
    }

    #[callback("told.late")]
    async fn late(ctx: &Context, end: End) -> rq_core::Result<()> {
        Ok(ctx.sleep(secs(if matches!(end, End::Finished(_)) { 600 } else { 0 }))?)
    }

    let scratch = rq_tests::Scratch::new();
    let queue = scratch.queue("default").inline(handlers![add, end]);
    let good = add::call(2, 3).job_id("good").on_success(end::callback());
    assert_eq!(queue.enqueue(good).unwrap().result().unwrap(), Some(5));
    let wrong = Call::<i64>::to(add::NAME).arg("x").arg(1).job_id("wrong").on_failure(end::callback());
    assert_eq!(queue.enqueue(wrong).unwrap().status().unwrap(), Some(Status::Failed));
    let noted = NOTED.lock().unwrap();
    assert!(noted[0].starts_with("good Finished") && noted[1].starts_with("wrong Failed"), "{noted:?}");
    // Only the async queue can run those that are async.
    let queue = scratch.queue("default").inline(handlers![add, late]);
    let job = queue.enqueue(add::call(2, 3).job_id("late").on_success(late::callback())).unwrap();
    assert!(failure_text(&job).contains("`told.late` is an async handler"), "{}", failure_text(&job));
}
