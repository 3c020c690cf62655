//! What signals do: the first one stops warm, a second one a second later stops cold.

use std::time::Instant;

use rq_core::{Call, Retry, Timestamp, secs};
use rq_tests::{Child, Gate, Signal, Stream, eventually};

use super::{SOON, Stage, assert_exit};
use crate::rq_test::Books;

/// Jobs at a gate, on a worker that has no slot for one more, which waits.
struct Scene {
    stage: Stage,
    worker: Child,
}

impl Scene {
    fn new(executor: &'static str, function: &str) -> Self {
        Self::with(executor, function, &[])
    }

    fn with(executor: &'static str, function: &str, options: &[&str]) -> Self {
        let stage = Stage::new(executor);
        let gate = Gate::new(&stage.scratch, "gate");
        let call = |id| Call::<()>::to(function).arg(gate.key()).job_id(id);
        stage.queue().enqueue_many([call("a"), call("b"), call("waiting")]).unwrap();
        let worker = stage.worker(&[&["--name", "w", "--concurrency", "2"], options].concat());
        gate.wait_for_arrival();
        gate.wait_for_arrival();
        drop(gate);
        Self { stage, worker }
    }

    /// Lets the jobs at the gate end.
    fn open_the_gate(&self) {
        Gate::new(&self.stage.scratch, "gate").open(2);
    }

    /// Returns when the signal was sent.
    fn stop_warm(&self, signal: Signal) -> Instant {
        let asked_at = Instant::now();
        self.worker.signal(signal);
        self.worker.wait_for_line("warm shut down requested", SOON);
        asked_at
    }

    /// Signals until it is taken for a second signal, which is not before a second has passed since the first.
    fn stop_cold(&self, signal: Signal, asked_at: Instant) -> Instant {
        eventually("the cold stop", SOON, || {
            self.worker.signal(signal);
            self.worker.text(Stream::Stdout).contains("cold shut down").then_some(())
        });
        assert!(asked_at.elapsed() >= secs(1), "cold after {:?}", asked_at.elapsed());
        Instant::now()
    }

    /// What must hold whichever way it ended: what never ran waits, and nothing is in the books of a dead worker.
    fn check_end(&mut self) {
        let status = self.worker.wait(SOON);
        assert_exit(&self.worker, status, 0);
        let scratch = &self.stage.scratch;
        assert_eq!(scratch.waiting("default"), ["waiting"]);
        assert_eq!(scratch.status("waiting"), "queued");
        assert_eq!(scratch.count("wip:default"), 0);
        let record = scratch.hash("worker:w");
        assert!(record.contains_key("death"), "{record:?}");
        assert!(Timestamp::parse(&record["shutdown_requested_date"]).is_ok(), "{record:?}");
    }
}

pub(super) fn the_first_signal_stops_warm(executor: &'static str) {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scene = Scene::new(executor, "test.gate");
        scene.stop_warm(signal);
        assert_eq!(scene.stage.scratch.count("wip:default"), 2, "what runs goes on");
        scene.open_the_gate();
        scene.check_end();
        assert_eq!(["a", "b"].map(|id| scene.stage.scratch.status(id)), ["finished", "finished"]);
    }
}

pub(super) fn the_second_signal_stops_cold(executor: &'static str) {
    let mut scene = Scene::new(executor, "test.gate");
    let asked_at = scene.stop_warm(Signal::SIGINT);
    scene.stop_cold(Signal::SIGTERM, asked_at);
    scene.check_end();
    check_cut_off(&scene.stage);
}

pub(super) fn a_cold_stop_waits_for_nobody(executor: &'static str) {
    let mut scene = Scene::new(executor, "test.stubborn");
    let asked_at = scene.stop_warm(Signal::SIGTERM);
    let cold_at = scene.stop_cold(Signal::SIGTERM, asked_at);
    scene.check_end();
    assert!(cold_at.elapsed() < secs(4), "{:?}", cold_at.elapsed());
    check_cut_off(&scene.stage);
}

pub(super) fn a_warm_stop_turns_cold_when_it_has_taken_long_enough(executor: &'static str) {
    let mut scene = Scene::with(executor, "test.gate", &["--stop-timeout", "1"]);
    let asked_at = scene.stop_warm(Signal::SIGTERM);
    scene.worker.wait_for_line("cold shut down", SOON);
    assert!(asked_at.elapsed() >= secs(1), "cold after {:?}", asked_at.elapsed());
    scene.check_end();
    check_cut_off(&scene.stage);
}

pub(super) fn a_cold_stop_gives_back_what_may_run_twice(executor: &'static str) {
    let options = ["--stop-timeout", "1", "--on-crash", "requeue"];
    let mut scene = Scene::with(executor, "test.gate", &options);
    scene.stop_warm(Signal::SIGTERM);
    let status = scene.worker.wait(SOON);
    assert_exit(&scene.worker, status, 0);
    let scratch = &scene.stage.scratch;
    let mut waiting = scratch.waiting("default");
    waiting[..2].sort_unstable();
    assert_eq!(waiting, ["a", "b", "waiting"], "before what has not run yet");
    assert_eq!(["a", "b"].map(|id| scratch.status(id)), ["queued", "queued"]);
    assert_eq!((scratch.count("wip:default"), scratch.count("failed:default")), (0, 0));
    let crashes = &scratch.hash("job:a").get("crashes").cloned();
    assert_eq!(*crashes, None, "nobody has crashed");
}

/// The first cause counts: a job that somebody has stopped is not retried because its worker is shut down next.
pub(super) fn a_job_that_was_stopped_stays_stopped_in_a_cold_stop(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let call = |id| Call::<()>::to("test.stubborn").arg(gate.key()).retry(Retry::up_to(3)).job_id(id);
    let jobs = stage.queue().enqueue_many([call("stopped"), call("cut-off"), call("waiting")]).unwrap();
    let worker = stage.worker(&["--name", "w", "--concurrency", "2"]);
    gate.wait_for_arrival();
    gate.wait_for_arrival();
    let mut scene = Scene { stage, worker };
    let asked_at = scene.stop_warm(Signal::SIGTERM);
    // Within a second it would be the same signal, and half a second after its stop a thread's job is given up.
    std::thread::sleep(secs(1).saturating_sub(asked_at.elapsed()));
    assert!(jobs[0].stop().unwrap(), "the worker listens");
    scene.worker.wait_for_line("stopping job stopped on request", SOON);
    scene.stop_cold(Signal::SIGTERM, asked_at);
    let status = scene.worker.wait(SOON);
    assert_exit(&scene.worker, status, 0);
    let job = |id: &str| scene.stage.scratch.hash(&format!("job:{id}"));
    let fate = |id: &str| (job(id)["status"].clone(), job(id)["retries_left"].clone());
    assert_eq!(fate("stopped"), ("stopped".to_owned(), "3".to_owned()));
    assert_eq!(fate("cut-off"), ("queued".to_owned(), "2".to_owned()));
    assert!(scene.stage.scratch.score("failed:default", "stopped").is_some());
}

/// Running jobs of a cold stop have failed, with a text that says so.
fn check_cut_off(stage: &Stage) {
    for id in ["a", "b"] {
        assert_eq!(stage.scratch.status(id), "failed", "{id}");
        let result = stage.queue().handle::<()>(id).latest_result().unwrap().unwrap();
        let text = result.failure_text.unwrap();
        assert!(text.to_lowercase().contains("stop") || text.contains("shut down"), "{text}");
        assert!(stage.scratch.score("failed:default", id).is_some(), "{id}");
    }
}

pub(super) fn signals_within_a_second_are_one(executor: &'static str) {
    let mut scene = Scene::new(executor, "test.gate");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM, Signal::SIGINT] {
        scene.worker.signal(signal);
    }
    scene.worker.wait_for_line("warm shut down requested", SOON);
    scene.open_the_gate();
    scene.check_end();
    assert!(!scene.worker.text(Stream::Stdout).contains("cold"), "{}", scene.worker.report());
    assert_eq!(["a", "b"].map(|id| scene.stage.scratch.status(id)), ["finished", "finished"]);
}
