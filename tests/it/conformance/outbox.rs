//! What ends of jobs call for outside of Redis: callbacks that were not called where the job ran, and webhooks.

use std::time::Duration;

use rq_core::{Call, Callback, OnCrash, Retry, Webhook};
use rq_tests::{Answer, Gate, HookServer, Signal, Told, eventually, jobs};

use super::{LIMIT, SOON, Stage, assert_exit};
use crate::rq_test::Books;

/// A worker may send to this machine.
const ALLOW: [&str; 2] = ["--webhook-allow", "private"];

impl Stage {
    /// What callbacks have written down so far.
    fn calls(&self) -> Vec<String> {
        self.scratch.query("LRANGE", [self.scratch.key(jobs::due::CALLS), "0".to_owned(), "-1".to_owned()])
    }

    #[track_caller]
    fn wait_for_calls(&self, expected: &[&str]) {
        eventually("callbacks to be called", LIMIT, || (self.calls().len() >= expected.len()).then_some(()));
        assert_eq!(self.calls(), expected);
    }

    /// What lies in a box of the outbox.
    fn waiting_in(&self, name: &str) -> Vec<String> {
        let key = self.scratch.key(format!("outbox:{name}"));
        self.scratch.query("ZRANGE", [key, "0".to_owned(), "-1".to_owned()])
    }

    /// As if the time were over until what lies there is due again.
    fn pass_time_in(&self, name: &str) {
        for entry in self.waiting_in(name) {
            let key = self.scratch.key(format!("outbox:{name}"));
            self.scratch.query::<i64>("ZADD", [key, "XX".to_owned(), "1".to_owned(), entry]);
        }
    }

    /// A job that waits at a gate.
    fn at(&self, gate: &Gate<'_>, id: &str) -> Call<()> {
        let note = || Callback::to("due.note");
        Call::<()>::to("test.gate").arg(gate.key()).job_id(id).on_failure(note()).on_stopped(note())
    }
}

pub(super) fn a_stopped_job_has_its_callback_called_once_it_is_stopped(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let worker = stage.worker(&["--name", "w"]);
    stage.queue().enqueue(stage.at(&gate, "j").retry(Retry::up_to(3))).unwrap();
    gate.wait_for_arrival();
    let stop = r#"{"command": "stop-job", "job_id": "j"}"#.to_owned();
    stage.scratch.query::<usize>("PUBLISH", [stage.scratch.key("pubsub:w"), stop]);
    stage.wait_for_calls(&["j stopped, stopped"]);
    worker.wait_for_line("callback due.note is called", SOON);
    eventually("the outbox to be empty", SOON, || {
        stage.waiting_in("callbacks:due.note").is_empty().then_some(())
    });
}

/// One that heeds nothing, in a worker that waits for nobody: under `-w fork` it is the worker that ends the job.
pub(super) fn a_failure_callback_that_lingers_through_a_cold_stop_is_called_once(executor: &'static str) {
    let stage = Stage::new(executor);
    let (told, gate) = (Told::new(&stage.scratch), Gate::new(&stage.scratch, Told::GATE));
    let call = Call::<()>::to("test.fail").arg("boom").job_id("j");
    stage.queue().enqueue(call.on_failure(Callback::to("told.stubborn"))).unwrap();
    let mut worker = stage.worker(&["--name", "w", "--stop-timeout", "1"]);
    gate.wait_for_arrival();
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    assert_eq!(stage.scratch.status("j"), "failed");
    assert_eq!(stage.waiting_in("callbacks:told.stubborn"), [""; 0]);
    stage.drain(&[]);
    assert_eq!(told.of("j"), ["failed Error: boom, started"]);
}

pub(super) fn the_callback_of_a_job_whose_worker_died_is_called_by_whoever_reaps_it(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    stage.queue().enqueue(stage.at(&gate, "fails")).unwrap();
    stage.queue().enqueue(stage.at(&gate, "waits-again").on_crash(OnCrash::Requeue)).unwrap();
    let worker = stage.worker(&["--concurrency", "2", "--lease", "0.3"]);
    gate.wait_for_arrival();
    gate.wait_for_arrival();
    worker.signal(Signal::SIGKILL);
    drop(worker);
    let _reaper = stage.worker(&["--concurrency", "2", "--lease", "0.3"]);
    stage.wait_for_calls(&["fails failed by AbandonedJobError, failed"]);
    assert_eq!(gate.wait_for_arrival(), "waits-again");
    gate.open(1);
    eventually("it to run", SOON, || (stage.scratch.status("waits-again") == "finished").then_some(()));
    assert_eq!(stage.calls().len(), 1, "what is given back has not failed");
}

pub(super) fn what_a_cold_stop_cuts_off_is_told_by_another_worker(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    stage.queue().enqueue(stage.at(&gate, "j")).unwrap();
    let mut worker = stage.worker(&["--stop-timeout", "1"]);
    gate.wait_for_arrival();
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    assert_eq!(stage.scratch.status("j"), "failed");
    if stage.calls().is_empty() {
        assert_eq!(stage.waiting_in("callbacks:due.note").len(), 1);
    }
    stage.drain(&[]);
    stage.wait_for_calls(&["j failed by ShutDown, failed"]);
}

pub(super) fn a_callback_that_a_worker_died_with_is_not_called_again(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let call = stage.at(&gate, "j").on_stopped(Callback::to("due.linger"));
    stage.queue().enqueue(call).unwrap();
    let worker = stage.worker(&["--name", "w"]);
    gate.wait_for_arrival();
    let stop = r#"{"command": "stop-job", "job_id": "j"}"#.to_owned();
    stage.scratch.query::<usize>("PUBLISH", [stage.scratch.key("pubsub:w"), stop]);
    stage.wait_for_calls(&["j stopped, stopped"]);
    worker.signal(Signal::SIGKILL);
    drop(worker);
    stage.pass_time_in("callbacks:due.linger");
    let log = stage.drain(&[]);
    assert!(log.contains("callback due.linger was taken by a worker that is gone"), "{log}");
    assert_eq!(stage.calls(), ["j stopped, stopped"]);
    assert_eq!(stage.waiting_in("callbacks:due.linger"), [""; 0]);
}

pub(super) fn a_callback_that_a_cold_stop_ends_is_not_told_as_lost(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let call = stage.at(&gate, "j").on_stopped(Callback::to("due.linger"));
    stage.queue().enqueue(call).unwrap();
    let mut worker = stage.worker(&["--name", "w", "--stop-timeout", "1"]);
    gate.wait_for_arrival();
    let stop = r#"{"command": "stop-job", "job_id": "j"}"#.to_owned();
    stage.scratch.query::<usize>("PUBLISH", [stage.scratch.key("pubsub:w"), stop]);
    stage.wait_for_calls(&["j stopped, stopped"]);
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    assert_eq!(stage.waiting_in("callbacks:due.linger"), [""; 0]);
}

pub(super) fn a_callback_that_nobody_here_knows_leaves_the_end_alone_and_is_told_once(
    executor: &'static str,
) {
    let stage = Stage::new(executor);
    let elsewhere = |id: &str, function: &str| {
        let here = Call::<i64>::to(function).arg(2).arg(3).job_id(id);
        here.on_success(Callback::python("shop.done")).on_failure(Callback::to("elsewhere.page"))
    };
    let fails = elsewhere("fails", "interop.fail").retry(Retry::up_to(1));
    stage.queue().enqueue_many([elsewhere("j", "math.add"), fails]).unwrap();
    let log = stage.drain(&[]);
    assert_eq!(
        (stage.scratch.status("j"), stage.scratch.status("fails")),
        ("finished".into(), "failed".into())
    );
    assert_eq!(
        log.matches("this program has no callback shop.done, so it is not called").count(),
        1,
        "{log}"
    );
    assert_eq!(
        log.matches("this program has no callback elsewhere.page; the call waits").count(),
        1,
        "{log}"
    );
    assert_eq!(stage.waiting_in("callbacks:shop.done").len(), 0);
    assert_eq!(stage.waiting_in("callbacks:elsewhere.page").len(), 2, "one for each attempt");
}

pub(super) fn webhooks_are_sent_when_the_end_is_written_and_before_a_burst_is_over(executor: &'static str) {
    let (stage, server) = (Stage::new(executor), HookServer::start());
    let hooks = |call: Call<i64>| {
        call.webhook(Webhook::finished(server.url("/finished")).post())
            .webhook(Webhook::failed(server.url("/failed")).post())
    };
    let add = || Call::<i64>::to("math.add").arg(2).arg(3);
    let gone = hooks(add().job_id("gone")).result_ttl(Duration::ZERO);
    let fails = hooks(Call::to("interop.fail").job_id("fails")).retry(Retry::up_to(1));
    stage.queue().enqueue_many([hooks(add().job_id("good")), gone, fails]).unwrap();
    let log = stage.drain(&ALLOW);
    let received = server.received();
    let mut told: Vec<(&str, &str)> =
        received.iter().map(|hook| (hook.headers["job-id"].as_str(), hook.path.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told, [("fails", "/failed"), ("gone", "/finished"), ("good", "/finished")], "{log}");
    assert_eq!(stage.waiting_in("webhooks"), [""; 0]);
    let keys: Vec<String> = stage.scratch.query("KEYS", [stage.scratch.key("outbox*")]);
    assert_eq!(keys, [""; 0]);
}

pub(super) fn a_webhook_outlives_the_worker_that_sends_it(executor: &'static str) {
    let (stage, server) = (Stage::new(executor), HookServer::start());
    server.answer([Answer::Hang]);
    let call = Call::<i64>::to("math.add").arg(2).arg(3).job_id("j");
    stage.queue().enqueue(call.webhook(Webhook::finished(server.url("/")))).unwrap();
    let worker = stage.worker(&ALLOW);
    server.wait_for(1);
    worker.signal(Signal::SIGKILL);
    drop(worker);
    stage.pass_time_in("webhooks");
    stage.drain(&ALLOW);
    let attempts: Vec<String> =
        server.received().iter().map(|hook| hook.headers["rq-attempt"].clone()).collect();
    assert_eq!(attempts, ["1", "2"]);
    assert_eq!(stage.waiting_in("webhooks"), [""; 0]);
}

pub(super) fn a_webhook_is_sent_again_until_it_is_taken_or_given_up(executor: &'static str) {
    let (stage, server) = (Stage::new(executor), HookServer::start());
    server.answer([Answer::Status(500), Answer::Close, Answer::Status(404)]);
    let call = Call::<i64>::to("math.add").arg(2).arg(3).job_id("j");
    stage.queue().enqueue(call.webhook(Webhook::finished(server.url("/")))).unwrap();
    let log = stage.drain(&ALLOW);
    assert!(log.contains("is tried again in") && log.contains("the status 500"), "{log}");
    assert_eq!(stage.waiting_in("webhooks").len(), 1);
    stage.drain(&ALLOW);
    assert_eq!(server.received().len(), 1, "it is not due yet");
    for requests in [2, 3] {
        stage.pass_time_in("webhooks");
        stage.drain(&ALLOW);
        assert_eq!(server.received().len(), requests);
    }
    assert_eq!(stage.waiting_in("webhooks"), [""; 0], "a 404 would be one the next time, too");
}

pub(super) fn a_webhook_to_an_address_of_ones_own_is_refused(executor: &'static str) {
    let (stage, server) = (Stage::new(executor), HookServer::start());
    let call = Call::<i64>::to("math.add").arg(2).arg(3).job_id("j");
    stage.queue().enqueue(call.webhook(Webhook::finished(server.url("/secret/path")))).unwrap();
    let log = stage.drain(&[]);
    assert!(log.contains("is given up") && log.contains("--webhook-allow"), "{log}");
    assert!(!log.contains("/secret/path"), "{log}");
    assert_eq!((server.received().len(), stage.waiting_in("webhooks").len()), (0, 0));
    assert_eq!(stage.scratch.status("j"), "finished");
}

pub(super) fn a_value_too_large_to_wait_for_a_callback_ends_no_worker(executor: &'static str) {
    const BYTES: usize = 2 << 20;
    let stage = Stage::new(executor);
    let echo = |id: &str, bytes: usize| {
        let call = Call::<String>::to("interop.echo").arg("x".repeat(bytes)).job_id(id);
        call.on_success(Callback::to("elsewhere.done"))
    };
    stage.queue().enqueue_many([echo("large", BYTES), echo("small", 1)]).unwrap();
    let log = stage.drain(&[]);
    assert_eq!(["large", "small"].map(|id| stage.scratch.status(id)), ["finished", "finished"]);
    assert!(
        log.contains("job large: this program has no callback elsewhere.done, so it is not called"),
        "{log}"
    );
    assert_eq!(stage.waiting_in("callbacks:elsewhere.done").len(), 1);
}

pub(super) fn a_warm_stop_waits_for_webhooks_and_computes_nothing(executor: &'static str) {
    let (stage, server) = (Stage::new(executor), HookServer::start());
    server.answer([Answer::Hang]);
    let call = Call::<i64>::to("math.add").arg(2).arg(3).job_id("j");
    stage
        .queue()
        .enqueue(call.webhook(Webhook::finished(server.url("/")).timeout(rq_core::secs(4))))
        .unwrap();
    let mut worker = stage.worker(&ALLOW);
    server.wait_for(1);
    let before = worker.cpu();
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("a webhook to", LIMIT);
    let spent = worker.cpu() - before;
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    assert!(spent < Duration::from_secs(1), "{spent:?} in about four seconds");
    assert_eq!(stage.waiting_in("webhooks").len(), 1);
}
