//! What the scenarios did, done by our own steps.

use std::sync::Arc;
use std::time::Duration;

use rq_core::blocking::Queue;
use rq_core::link::Link;
use rq_core::steps::Claimed;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{PickedUp, Scope, Slots, bury, free_slots, pick_up, take_round};
use rq_core::steps::outbox::Post;
use rq_core::steps::queue::{Place, enqueue as enqueue_step};
use rq_core::steps::schedule::{Holder, Scheduler, due, leave};
use rq_core::steps::settlement::{SettleReply, Settlement, settle};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_core::{
    Call, Callback, CallsFor, Cancel, Codec, Conclusion, Dependency, DueCall, Error, Failure, Fields, Job,
    Letter, OnCrash, Repeat, Retry, Settled, Timestamp, Ttl, Usage, Webhook, compose, handlers, job, secs,
    told_by,
};
use rq_cron::{Cron, CronEvent, CronScheduler, Entry};
use rq_tests::{HookServer, fixture};

use super::core_fields;
use super::end_states::VERSION;
use super::program::{Program, send_webhooks};
use crate::scripts::{Stage, Worker, settlement};

/// The names that the scenarios use.
const QUEUE: &str = "default";
const WORKER: &str = "worker-1";
/// More jobs than any scenario has.
const JOBS_MAX: usize = 10;
/// How long nobody else takes a round of maintenance, in milliseconds.
const ROUND_MS: u64 = 540_000;

/// The callbacks of the module `tasks`.
const OK_CB: &str = "tasks.ok_cb";
const FAIL_CB: &str = "tasks.fail_cb";
const STOP_CB: &str = "tasks.stop_cb";
/// Where the scenarios send webhooks to.
const HOOKS: &str = "http://127.0.0.1:7699";

/// How a job's function ended: its value in the job's codec, or its failure.
type Outcome = Result<Option<Vec<u8>>, Failure>;

// Enqueueing

fn queue(stage: &Stage) -> Queue {
    let queue = Queue::connect(stage.scratch.url(), QUEUE).expect("the server answers");
    queue.keys(stage.keys.clone()).codec(Codec::Pickle)
}

fn enqueue<T>(stage: &Stage, call: Call<T>) {
    enqueue_on(&queue(stage), call);
}

fn enqueue_on<T>(queue: &Queue, call: Call<T>) {
    queue.enqueue(call).expect("the job is enqueued");
}

fn add() -> Call<i64> {
    sum(1, 2)
}

fn sum(x: i64, y: i64) -> Call<i64> {
    Call::to("tasks.add").arg(x).arg(y)
}

fn none() -> Call<()> {
    Call::to("tasks.none")
}

fn fail() -> Call<()> {
    Call::to("tasks.fail")
}

fn sleeper(seconds: i64) -> Call<i64> {
    Call::to("tasks.sleeper").arg(seconds)
}

pub(super) fn queued_simple(stage: &Stage) {
    enqueue(stage, add().job_id("fd4d7300-262e-4cc8-8e3f-f541f701ca6d"));
}

pub(super) fn queued_all_options(stage: &Stage) {
    let greet = Call::<String>::to("tasks.greet").arg("bob").kwarg("greeting", "hi");
    let options = greet.job_id("job-all").description("say hi").timeout(secs(120)).ttl(secs(3600));
    let options = options.result_ttl(secs(300)).failure_ttl(secs(600));
    let retry = Retry::up_to(3).after([secs(10), secs(20), secs(30)]);
    let options = options.retry(retry).meta("k", "v").meta("n", 1);
    let options = options.on_success(Callback::python("tasks.ok_cb"));
    let options = options.on_failure(Callback::python("tasks.fail_cb").timeout(secs(10)));
    enqueue(stage, options.on_stopped(Callback::python("tasks.stop_cb")));
    let front = none().job_id("job-front").at_front().no_timeout();
    enqueue(stage, front.result_ttl(Ttl::Forever).failure_ttl(Ttl::Forever));
}

pub(super) fn enqueue_many(stage: &Stage) {
    enqueue(stage, none().job_id("job-done"));
    run_worker(stage, |_| Ok(None));
    enqueue(stage, none().job_id("job-pending"));
    let (first, second) = (sum(1, 1).job_id("m-1"), sum(2, 2).job_id("m-2").at_front());
    queue(stage).enqueue_many([first, second]).expect("the jobs are enqueued");
    let third = sum(3, 3).job_id("m-3").depends_on("job-done");
    let fourth = sum(4, 4).job_id("m-4").depends_on("job-pending").ttl(secs(500));
    queue(stage).enqueue_many([third, fourth]).expect("the jobs are enqueued");
}

pub(super) fn group_queued(stage: &Stage) {
    let calls = [sum(1, 2).job_id("job-1"), sum(3, 4).job_id("job-2")];
    queue(stage).group("group-1").expect("a name").enqueue_many(calls).expect("the jobs are enqueued");
}

pub(super) fn group(stage: &Stage) {
    group_queued(stage);
    run_worker(stage, |id| Ok(pickled(if id == "job-1" { 3 } else { 7 })));
    queue(stage).handle::<i64>("job-1").delete().expect("the job is deleted");
}

pub(super) fn unique(stage: &Stage) {
    let queue = queue(stage);
    let job = || add().job_id("job-1").unique();
    queue.enqueue(job()).expect("the job is enqueued");
    let refused = queue.enqueue(job()).expect_err("the job is there");
    assert!(matches!(&refused, Error::Duplicate { job_id, .. } if job_id == "job-1"), "{refused}");
    let made = queue.enqueue_unique(add().job_id("job-2").unique().at_front().ttl(secs(60)));
    assert!(made.expect("the job is enqueued").is_made());
    let due = Timestamp::parse("2030-01-01T00:00:00.000000Z").expect("a time");
    queue.enqueue_at(due, add().job_id("job-3").unique()).expect("the job is scheduled");
}

pub(super) fn empty_delete_queue(stage: &Stage) {
    enqueue(stage, none().job_id("job-1"));
    enqueue(stage, none().job_id("job-2").depends_on("job-1"));
    assert_eq!(queue(stage).empty().expect("emptied"), 1);
    assert_eq!(queue(stage).delete().expect("deleted"), 0);
}

pub(super) fn sync_queue(stage: &Stage) {
    #[job("tasks.add")]
    fn add(x: i64, y: i64) -> rq_core::Result<i64> {
        Ok(x + y)
    }
    #[job("tasks.fail")]
    fn fail() -> rq_core::Result<()> {
        Err("boom".into())
    }
    let queue = queue(stage).inline(handlers![add, fail]);
    enqueue_on(&queue, add::call(1, 2).job_id("job-1"));
    enqueue_on(&queue, fail::call().job_id("job-2"));
}

// Running

pub(super) fn finished(stage: &Stage) {
    enqueue(stage, add().job_id("job-1"));
    run_worker(stage, |_| Ok(pickled(3)));
}

pub(super) fn finished_none_and_ttls(stage: &Stage) {
    enqueue(stage, none().job_id("job-none"));
    enqueue(stage, add().job_id("job-ttl0").result_ttl(secs(0)));
    enqueue(stage, add().job_id("job-ttlneg").result_ttl(Ttl::Forever));
    enqueue(stage, Call::<()>::to("tasks.unserializable").job_id("job-unser"));
    enqueue(stage, Call::<String>::to("tasks.set_meta").job_id("job-meta"));
    enqueue(stage, add().job_id("job-ttl").ttl(secs(1000)));
    let outcome = |id: &str| match id {
        "job-none" => Ok(None),
        "job-unser" => Ok(pickled("Unserializable return value")),
        "job-meta" => Ok(pickled("done")),
        _ => Ok(pickled(3)),
    };
    let entries = [("a", 1), ("progress", 50)].map(|(key, value)| (key.into(), value.into()));
    let meta = pickled(rq_core::Value::Dict(entries.into()));
    run_jobs(stage, JOBS_MAX, |claimed, fields| {
        let settlement = by_the_rules(claimed, fields, &outcome);
        let saves = claimed.id.job_id() == "job-meta";
        Settlement { meta: meta.clone().filter(|_| saves), ..settlement }
    });
}

pub(super) fn json_serializer_queued(stage: &Stage) {
    let queue = queue(stage).codec(Codec::Json);
    let greet = Call::<String>::to("tasks.greet").arg("bob").kwarg("greeting", "hi");
    enqueue_on(&queue, greet.job_id("job-ok").meta("k", "v"));
    enqueue_on(&queue, fail().job_id("job-bad"));
    enqueue_on(&queue, none().job_id("job-none"));
}

pub(super) fn json_serializer(stage: &Stage) {
    json_serializer_queued(stage);
    run_worker(stage, |id| match id {
        "job-ok" => Ok(Some(Codec::Json.encode_value(&"hi bob".into()).expect("plain data"))),
        "job-bad" => Err(boom()),
        _ => Ok(None),
    });
}

pub(super) fn key_prefix(stage: &Stage) {
    enqueue(stage, add().job_id("job-1"));
    queue(stage).enqueue_in(secs(3600), add().job_id("job-2")).expect("the job is scheduled");
    enqueue(stage, add().job_id("job-3").depends_on("job-2"));
    run_worker(stage, |_| Ok(pickled(3)));
}

pub(super) fn simple_worker(stage: &Stage) {
    enqueue(stage, add().job_id("job-1"));
    enqueue(stage, fail().job_id("job-2"));
    run_worker(stage, |id| if id == "job-1" { Ok(pickled(3)) } else { Err(boom()) });
}

pub(super) fn worker_multi_queue(stage: &Stage) {
    for name in ["low", "high"] {
        let queue = queue(stage).named(name).expect("a good name");
        enqueue_on(&queue, none().job_id(format!("job-{name}")));
    }
    let worker = stage.worker(WORKER, &["high", "default", "low"]);
    work(&worker, JOBS_MAX, |claimed, fields| by_the_rules(claimed, fields, &|_| Ok(None)));
    depart(stage, &worker);
}

pub(super) fn worker_idle_idle(stage: &Stage) {
    idle_worker(stage);
}

pub(super) fn worker_idle(stage: &Stage) {
    stage.take(&idle_worker(stage).death());
}

/// Its `--worker-ttl` is 30.
fn idle_worker(stage: &Stage) -> Worker<'_> {
    let mut worker = stage.worker(WORKER, &[QUEUE, "low"]);
    worker.who.worker_ttl = secs(30);
    beat(stage, &worker, "idle");
    worker
}

/// It looks after its job every second.
fn worker_busy_until(stage: &Stage, end: impl Fn(&Worker<'_>, Vec<Claimed>, Fields)) {
    enqueue(stage, sleeper(4).job_id("job-1"));
    let mut worker = stage.worker(WORKER, &[QUEUE]);
    worker.who.monitoring_interval = secs(1);
    let (claimed, fields) = begin_one(&worker);
    stage.take(&heartbeat(&worker.who, StateUpdate::default(), &claimed));
    end(&worker, claimed, fields);
}

fn ask_to_stop(stage: &Stage, worker: &Worker<'_>, running: &[Claimed]) {
    let news = StateUpdate { shutdown_requested: Some(Timestamp::now()), ..StateUpdate::default() };
    stage.take(&heartbeat(&worker.who, news, running));
}

pub(super) fn worker_busy_busy(stage: &Stage) {
    worker_busy_until(stage, |_, _, _| {});
}

pub(super) fn worker_busy_shutdown_requested(stage: &Stage) {
    worker_busy_until(stage, |worker, claimed, _| ask_to_stop(stage, worker, &claimed));
}

pub(super) fn worker_busy(stage: &Stage) {
    worker_busy_until(stage, |worker, claimed, fields| {
        ask_to_stop(stage, worker, &claimed);
        worker.settle(&[by_the_rules(&claimed[0], fields, &|_| Ok(pickled(4)))]);
        depart(stage, worker);
    });
}

// Failing, and running again

pub(super) fn failed(stage: &Stage) {
    enqueue(stage, fail().arg("boom").job_id("job-1"));
    run_worker(stage, |_| Err(boom()));
}

pub(super) fn timeout(stage: &Stage) {
    enqueue(stage, sleeper(10).job_id("job-1").timeout(secs(1)));
    run_worker(stage, |_| Err(Failure::Timeout { limit: secs(1) }));
}

pub(super) fn horse_crash(stage: &Stage) {
    enqueue(stage, Call::<()>::to("tasks.suicide").job_id("job-1"));
    run_worker(stage, |_| Err(KILLED));
}

/// What an executor with processes reports of one that was killed.
const KILLED: Failure = Failure::Killed { signal: 9, usage: Usage::new(1 << 20, Duration::ZERO) };

pub(super) fn horse_killed(stage: &Stage) {
    killed_on(stage, &stage.worker(WORKER, &[QUEUE]));
}

pub(super) fn kill_horse_and_shutdown(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    killed_on(stage, &worker);
    stage.take(&worker.death());
}

fn killed_on(stage: &Stage, worker: &Worker<'_>) {
    enqueue(stage, sleeper(60).job_id("job-1"));
    work(worker, 1, |claimed, fields| by_the_rules(claimed, fields, &|_| Err(KILLED)));
    beat(stage, worker, "idle");
}

pub(super) fn stopped_while_running(stage: &Stage) {
    enqueue(stage, sleeper(60).job_id("job-1").on_stopped(Callback::python("tasks.stop_cb")));
    begin_one(&stage.worker(WORKER, &[QUEUE]));
}

pub(super) fn stopped(stage: &Stage) {
    enqueue(stage, sleeper(60).job_id("job-1").on_stopped(Callback::python("tasks.stop_cb")));
    run_worker(stage, |_| Err(Failure::Stopped));
    Program::tasks().call_back(stage, STOP_CB);
}

pub(super) fn stop_execution(stage: &Stage) {
    enqueue(stage, sleeper(60).job_id("job-1"));
    run_worker(stage, |_| Err(Failure::Stopped));
}

pub(super) fn retry_with_pause(stage: &Stage) {
    enqueue(stage, fail().job_id("job-interval").retry(Retry::up_to(2).after([secs(60), secs(120)])));
    run_worker(stage, |_| Err(boom()));
}

pub(super) fn retry(stage: &Stage) {
    retry_with_pause(stage);
    enqueue(stage, fail().job_id("job-immediate").retry(Retry::up_to(1)));
    run_worker(stage, |_| Err(boom()));
}

fn ret_retry(max: u32, pause_s: u64) -> Call<()> {
    Call::to("tasks.ret_retry").arg(max).arg(pause_s)
}

pub(super) fn retry_returned_now(stage: &Stage) {
    enqueue(stage, ret_retry(1, 0).job_id("job-now"));
    run_worker(stage, |_| Err(Retry::up_to(1).into()));
}

pub(super) fn retry_returned(stage: &Stage) {
    retry_returned_now(stage);
    enqueue(stage, ret_retry(2, 30).job_id("job-int"));
    run_worker(stage, |_| Err(Retry::up_to(2).every(secs(30)).into()));
}

pub(super) fn repeat_queued(stage: &Stage) {
    enqueue(stage, add().job_id("job-1").repeat(Repeat::times(2).after([secs(0), secs(30)])));
    enqueue(stage, add().job_id("job-last").repeat(Repeat::times(1)));
}

pub(super) fn repeat(stage: &Stage) {
    repeat_queued(stage);
    run_worker(stage, |_| Ok(pickled(3)));
}

// What is called, and sent, when jobs have ended

pub(super) fn callbacks_queued(stage: &Stage) {
    let to = |name, limit_s| Callback::python(name).timeout(secs(limit_s));
    enqueue(stage, add().job_id("job-ok").on_success(to(OK_CB, 5)).on_failure(to(FAIL_CB, 60)));
    enqueue(stage, fail().job_id("job-bad").on_success(to(OK_CB, 60)).on_failure(to(FAIL_CB, 120)));
    enqueue(stage, none().job_id("job-cbfail").on_success(to("tasks.fail", 60)));
}

pub(super) fn callbacks(stage: &Stage) {
    callbacks_queued(stage);
    let (tasks, other) = (Program::tasks(), Program::with_fail_as_callback());
    run_jobs(stage, JOBS_MAX, |claimed, fields| {
        perform(stage, if claimed.id.job_id() == "job-cbfail" { &other } else { &tasks }, claimed, fields)
    });
}

pub(super) fn webhooks_queued(stage: &Stage) {
    let to = |path: &str| format!("{HOOKS}{path}");
    let good = add().job_id("job-ok").webhook(Webhook::finished(to("/get")));
    let post = Webhook::finished(to("/post")).post().header("X-Token", "abc").timeout(secs(3));
    enqueue(stage, good.webhook(post).webhook(Webhook::failed(to("/nope"))));
    enqueue(stage, fail().job_id("job-bad").webhook(Webhook::failed(to("/failed")).post()));
}

pub(super) fn webhooks(stage: &Stage) {
    webhooks_queued(stage);
    let tasks = Program::tasks();
    run_jobs(stage, JOBS_MAX, |claimed, fields| perform(stage, &tasks, claimed, fields));
    let server = HookServer::start();
    assert_eq!(send_webhooks(stage, HOOKS, &server), 3);
    let received = server.received();
    let mut paths: Vec<&str> = received.iter().map(|one| one.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/failed", "/get", "/post"]);
}

/// A job whose function is a method of an object of Python's: its record is Python's, since no producer of ours can make it.
pub(super) fn instance_methods_queued(stage: &Stage) {
    let captured = fixture::scenario(VERSION, "instance_methods");
    let record = core_fields(captured.snapshot("queued").keys["rq:job:job-bound"].hash());
    let mut bound = Job::from_fields("job-bound", record).expect("it is read");
    bound.created_at = Timestamp::now();
    bound.enqueued_at = Some(bound.created_at);
    stage.take(&enqueue_step(&stage.keys, QUEUE, &[(bound, Place::Tail)]));
    enqueue(stage, Call::<i64>::to("tasks.Calc.stat").arg(5).job_id("job-static"));
    enqueue(stage, Call::<i64>::to("builtins.len").arg(vec![1, 2, 3]).job_id("job-builtin"));
}

pub(super) fn instance_methods(stage: &Stage) {
    instance_methods_queued(stage);
    let tasks = Program::tasks();
    run_jobs(stage, JOBS_MAX, |claimed, fields| perform(stage, &tasks, claimed, fields));
}

// Waiting

pub(super) fn dependent_deferred(stage: &Stage) {
    enqueue(stage, add().job_id("job-a"));
    enqueue(stage, sum(3, 4).job_id("job-b").depends_on("job-a"));
    let both = Dependency::on(["job-a", "job-b"]).allow_failure().at_front();
    let other = queue(stage).named("other").expect("a good name");
    enqueue_on(&other, sum(5, 6).job_id("job-c").depends_on(both));
}

pub(super) fn dependent_half(stage: &Stage) {
    dependent_deferred(stage);
    run_jobs(stage, 1, |claimed, fields| by_the_rules(claimed, fields, &|_| Ok(pickled(3))));
}

pub(super) fn dependent(stage: &Stage) {
    dependent_half(stage);
    run_worker(stage, |_| Ok(pickled(7)));
    enqueue(stage, sum(7, 8).job_id("job-d").depends_on("job-a"));
}

pub(super) fn dependent_failed_parent(stage: &Stage) {
    enqueue(stage, fail().job_id("job-parent"));
    enqueue(stage, none().job_id("job-strict").depends_on("job-parent").ttl(secs(5000)));
    let lenient = Dependency::on(["job-parent"]).allow_failure();
    enqueue(stage, none().job_id("job-lenient").depends_on(lenient));
    run_jobs(stage, 1, |claimed, fields| by_the_rules(claimed, fields, &|_| Err(boom())));
}

pub(super) fn rate_limit_waiting(stage: &Stage) {
    for (id, number) in [("job-1", 1), ("job-2", 2), ("job-3", 3)] {
        enqueue(stage, sum(number, number).job_id(id).rate_limit("api", 2));
    }
    let later = sum(9, 9).job_id("job-sched").rate_limit("api", 2);
    queue(stage).enqueue_in(secs(3600), later).expect("the job is scheduled");
}

pub(super) fn rate_limit_first(stage: &Stage) {
    rate_limit_waiting(stage);
    run_jobs(stage, 1, |claimed, fields| by_the_rules(claimed, fields, &|_| Ok(pickled(2))));
}

pub(super) fn rate_limit_all(stage: &Stage) {
    rate_limit_first(stage);
    queue(stage).handle::<()>("job-2").cancel().expect("canceled");
    run_worker(stage, |_| Ok(pickled(6)));
}

pub(super) fn rate_limit(stage: &Stage) {
    rate_limit_all(stage);
    let slots = stage.take(&free_slots(&stage.keys, b"api", &Cursor::default()));
    assert_eq!((slots.found, slots.next), (Slots::default(), None));
}

pub(super) fn rate_limit_retry(stage: &Stage) {
    let past = Timestamp::now().before(secs(10));
    let call = fail().job_id("job-sched").retry(Retry::up_to(1).every(secs(60))).rate_limit("k1", 1);
    queue(stage).enqueue_at(past, call).expect("the job is scheduled");
    let scheduler = scheduler(stage, &[QUEUE]);
    tick(stage, &scheduler);
    assert_eq!(stage.take(&leave(&scheduler)), 1);
    run_worker(stage, |_| Err(boom()));
}

pub(super) fn rate_limit_child(stage: &Stage) {
    rate_limit_retry(stage);
    enqueue(stage, none().job_id("job-parent"));
    enqueue(stage, fail().job_id("job-child").depends_on("job-parent").rate_limit("k1", 1));
    run_worker(stage, |id| if id == "job-parent" { Ok(None) } else { Err(boom()) });
}

pub(super) fn rate_limit_requeued(stage: &Stage) {
    rate_limit_child(stage);
    queue(stage).handle::<()>("job-child").requeue().expect("requeued");
}

pub(super) fn rate_limit_paths(stage: &Stage) {
    rate_limit_requeued(stage);
    queue(stage).handle::<()>("job-child").delete().expect("deleted");
}

pub(super) fn scheduled_scheduled(stage: &Stage) {
    let queue = queue(stage);
    let past = Timestamp::parse("2024-01-01T00:00:00.750000Z").expect("a time");
    queue.enqueue_at(past, add().job_id("job-past")).expect("the job is scheduled");
    let future = sum(3, 4).job_id("job-future").at_front();
    queue.enqueue_in(secs(3600), future).expect("the job is scheduled");
    stage.run("ZADD scheduled:default 1 job-missing");
}

pub(super) fn scheduled(stage: &Stage) {
    scheduled_scheduled(stage);
    let scheduler = scheduler(stage, &[QUEUE]);
    tick(stage, &scheduler);
    assert_eq!(stage.take(&leave(&scheduler)), 1);
    run_worker(stage, |_| Ok(pickled(3)));
}

pub(super) fn scheduler_process_running(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE, "low"]);
    schedule_soon(stage, &worker);
}

pub(super) fn scheduler_process(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE, "low"]);
    let scheduler = schedule_soon(stage, &worker);
    assert_eq!(stage.take(&leave(&scheduler)), 2);
    stage.take(&worker.death());
}

/// The job is due at once, as far as we are concerned.
fn schedule_soon(stage: &Stage, worker: &Worker<'_>) -> Scheduler {
    queue(stage).enqueue_at(Timestamp::now(), add().job_id("job-soon")).expect("the job is scheduled");
    // Python writes a set, in no order.
    let scheduler = scheduler(stage, &["low", QUEUE]);
    tick(stage, &scheduler);
    work(worker, 1, |claimed, fields| by_the_rules(claimed, fields, &|_| Ok(pickled(3))));
    beat(stage, worker, "idle");
    scheduler
}

fn scheduler(stage: &Stage, queues: &[&str]) -> Scheduler {
    Scheduler {
        keys: stage.keys.clone(),
        name: "0123456789abcdef0123456789abcdef".to_owned(),
        hostname: "host".to_owned(),
        pid: 4711,
        created_at: Timestamp::now(),
        queues: queues.iter().map(ToString::to_string).collect(),
        kept: secs(61),
    }
}

fn tick(stage: &Stage, scheduler: &Scheduler) {
    let ticks = stage.take(&due(scheduler));
    assert!(ticks.iter().all(|tick| tick.holder == Holder::Us), "{ticks:?}");
    assert_eq!(ticks.iter().map(|tick| tick.moved).sum::<usize>(), 1);
}

// Management

pub(super) fn canceled(stage: &Stage) {
    let queue = queue(stage);
    let job = queue.enqueue(none().job_id("job-queued")).expect("the job is enqueued");
    job.cancel().expect("canceled");
    let parent = queue.enqueue(none().job_id("job-parent")).expect("the job is enqueued");
    enqueue(stage, none().job_id("job-child").depends_on(&parent));
    parent.cancel_with(Cancel::default().release_dependents()).expect("canceled");
    let later = queue.enqueue_in(secs(3600), none().job_id("job-sched")).expect("the job is scheduled");
    later.cancel().expect("canceled");
    let parent = queue.enqueue(none().job_id("job-parent2")).expect("the job is enqueued");
    let child = queue.enqueue(none().job_id("job-child2").depends_on(&parent)).expect("the job is enqueued");
    child.cancel_with(Cancel::default().leave_dependencies()).expect("canceled");
}

pub(super) fn requeued(stage: &Stage) {
    let queue = queue(stage);
    let [first, second] =
        ["job-1", "job-2"].map(|id| queue.enqueue(fail().job_id(id)).expect("the job is enqueued"));
    run_worker(stage, |_| Err(boom()));
    first.requeue().expect("requeued");
    second.requeue_at_front().expect("requeued");
}

pub(super) fn requeued_and_deleted(stage: &Stage) {
    requeued(stage);
    let handle = |id| queue(stage).handle::<()>(id);
    handle("job-1").delete().expect("deleted");
    run_worker(stage, |_| Err(boom()));
    handle("job-2").delete().expect("deleted");
}

/// Its `--worker-ttl` is 17.
pub(super) fn suspended(stage: &Stage) {
    let mut worker = stage.worker(WORKER, &[QUEUE]);
    worker.who.worker_ttl = secs(17);
    beat(stage, &worker, "idle");
    queue(stage).suspend_all_workers(Some(secs(100))).expect("suspended");
}

pub(super) fn resumed(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    queue(stage).suspend_all_workers(Some(secs(100))).expect("suspended");
    assert!(queue(stage).resume_all_workers().expect("resumed"));
    depart(stage, &worker);
}

pub(super) fn canceled_while_it_runs(stage: &Stage) {
    enqueue(stage, sleeper(2).job_id("job-cancel"));
    begin_one(&stage.worker(WORKER, &[QUEUE]));
    queue(stage).handle::<()>("job-cancel").cancel().expect("canceled");
}

pub(super) fn deleted_while_it_runs(stage: &Stage) {
    cancel_and_delete_running(stage);
}

pub(super) fn canceled_and_deleted_while_they_run(stage: &Stage) {
    let (worker, deleted) = cancel_and_delete_running(stage);
    settle_in_vain(stage, &worker, &deleted);
    depart(stage, &worker);
}

/// The worker, and the execution of the deleted job, which runs on.
fn cancel_and_delete_running(stage: &Stage) -> (Worker<'_>, Claimed) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    enqueue(stage, sleeper(2).job_id("job-cancel"));
    let canceled = begin_one(&worker).0.remove(0);
    queue(stage).handle::<()>("job-cancel").cancel().expect("canceled");
    settle_in_vain(stage, &worker, &canceled);
    enqueue(stage, sleeper(2).job_id("job-delete"));
    let deleted = begin_one(&worker).0.remove(0);
    queue(stage).handle::<()>("job-delete").delete().expect("deleted");
    (worker, deleted)
}

fn settle_in_vain(stage: &Stage, worker: &Worker<'_>, claimed: &Claimed) {
    let end = settlement(claimed, Settled::Finished(pickled(2)), Ttl::RESULT_DEFAULT);
    assert_eq!(stage.take(&settle(&stage.keys, Some(&worker.who.name), &[end])), [SettleReply::Lost]);
}

// What others left

/// Two workers are killed while they run a job each.
pub(super) fn left_behind(stage: &Stage) {
    begun_by_the_dead(stage);
}

fn begun_by_the_dead(stage: &Stage) -> [(Vec<Claimed>, Fields); 2] {
    enqueue(stage, sleeper(60).job_id("job-1").on_failure(Callback::python("tasks.fail_cb")));
    let first = begin_one(&stage.worker("worker-dead", &[QUEUE]));
    enqueue(stage, sleeper(60).job_id("job-2").retry(Retry::up_to(1).every(secs(100))));
    [first, begin_one(&stage.worker("worker-dead2", &[QUEUE]))]
}

/// Their leases end, and what they left expires. A fresh worker finds nothing to run.
pub(super) fn abandoned(stage: &Stage) {
    for (claimed, fields) in begun_by_the_dead(stage) {
        stage.run(&format!("ZADD leases 5 {}", claimed[0].id));
        let mut end = stage.silent()[0].end(fields, OnCrash::Fail);
        let failure = Failure::Abandoned { worker: end.worker.clone() };
        end.settlement.posts = posts(&end.job, Some(&failure), false, &end.settlement);
        assert_eq!(stage.take(&abandon(&stage.keys, Evidence::Lease, &[end])), [AbandonReply::Concluded]);
    }
    for name in ["worker-dead", "worker-dead2"] {
        ["worker", "claims"].iter().for_each(|key| stage.run(&format!("DEL {key}:{name}")));
    }
    for scope in [Scope::Queue(QUEUE), Scope::AtLarge] {
        assert_eq!(stage.take(&bury(&stage.keys, scope, &Cursor::default())).found.len(), 2);
    }
    run_worker(stage, |_| panic!("nothing waits"));
    Program::tasks().call_back(stage, FAIL_CB);
}

/// A worker of Python's died between popping and running: its jobs are in nobody's books but this list.
pub(super) fn stuck_first_seen(stage: &Stage) {
    enqueue(stage, none().job_id("job-1"));
    stage.run("LMOVE queue:default $P:queue:default:intermediate LEFT RIGHT");
    stage.run("RPUSH queue:default:intermediate job-gone");
    let worker = stage.worker(WORKER, &[QUEUE]);
    assert_eq!(pick_up_stuck(stage), [("job-gone".to_owned(), PickedUp::Gone)]);
    depart(stage, &worker);
}

/// Some minutes later another worker looks again, and runs what it found.
pub(super) fn stuck(stage: &Stage) {
    stuck_first_seen(stage);
    let [queued_at, seen_at] = [180, 120].map(|ago_s| Timestamp::now().before(secs(ago_s)));
    stage.run(&format!("HSET job:job-1 enqueued_at {queued_at}"));
    stage.run(&format!("SET queue:default:intermediate:first_seen:job-1 {} EX 3600", seen_at.epoch_text()));
    ["maintained", "maintained:default"].iter().for_each(|key| stage.run(&format!("DEL {key}")));
    let worker = stage.worker(WORKER, &[QUEUE]);
    assert_eq!(pick_up_stuck(stage), [("job-1".to_owned(), PickedUp::Queued)]);
    work(&worker, JOBS_MAX, |claimed, fields| by_the_rules(claimed, fields, &|_| Ok(None)));
    depart(stage, &worker);
}

/// The part of a round of maintenance that is for such jobs.
fn pick_up_stuck(stage: &Stage) -> Vec<(String, PickedUp)> {
    for scope in [Scope::Queue(QUEUE), Scope::AtLarge] {
        assert!(stage.take(&take_round(&stage.keys, scope, WORKER, ROUND_MS)));
    }
    let page = stage.take(&pick_up(&stage.keys, QUEUE, &Cursor::default()));
    assert_eq!(page.next, None);
    page.found
}

// The life of a worker

/// A burst worker: birth, all that waits one by one, death. `run` is given the job's id.
fn run_worker(stage: &Stage, run: impl Fn(&str) -> Outcome) {
    run_jobs(stage, JOBS_MAX, |claimed, fields| by_the_rules(claimed, fields, &run));
}

/// The same with RQ's `--max-jobs`.
fn run_jobs(stage: &Stage, most: usize, run: impl Fn(&Claimed, Fields) -> Settlement) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    work(&worker, most, run);
    depart(stage, &worker);
}

fn work(worker: &Worker<'_>, most: usize, run: impl Fn(&Claimed, Fields) -> Settlement) {
    for _ in 0..most {
        let claimed = worker.claim(1);
        if claimed.is_empty() {
            return;
        }
        let fields = worker.begin(&claimed).remove(0).expect("it may begin");
        worker.settle(&[run(&claimed[0], fields)]);
    }
    assert!(most < JOBS_MAX, "{JOBS_MAX} jobs or more");
}

/// Claims and begins the one job that waits.
fn begin_one(worker: &Worker<'_>) -> (Vec<Claimed>, Fields) {
    let claimed = worker.claim(1);
    let fields = worker.begin(&claimed).remove(0).expect("it may begin");
    (claimed, fields)
}

fn beat(stage: &Stage, worker: &Worker<'_>, state: &'static str) {
    stage.take(&heartbeat(&worker.who, StateUpdate { state: Some(state), ..StateUpdate::default() }, &[]));
}

fn depart(stage: &Stage, worker: &Worker<'_>) {
    beat(stage, worker, "idle");
    stage.take(&worker.death());
}

/// Runs a job and what it has called behind it, and says how that is settled.
fn perform(stage: &Stage, program: &Program, claimed: &Claimed, fields: Fields) -> Settlement {
    let job = Job::from_fields(claimed.id.job_id(), fields).expect("a job");
    let ended = program.run(stage, claimed, &Arc::new(job.clone()));
    settled_by_the_rules(claimed, &job, &ended.outcome, ended.called_back)
}

/// How an execution that ended so is settled: the job's record decides.
fn by_the_rules(claimed: &Claimed, fields: Fields, run: &impl Fn(&str) -> Outcome) -> Settlement {
    let job = Job::from_fields(claimed.id.job_id(), fields).expect("a job");
    let outcome = run(&job.id);
    settled_by_the_rules(claimed, &job, &outcome, false)
}

fn settled_by_the_rules(claimed: &Claimed, job: &Job, outcome: &Outcome, has_called: bool) -> Settlement {
    let now = Timestamp::now();
    let conclusion = match outcome {
        Err(failure) if failure.is_crash() => {
            Conclusion::of_crash(job, failure.text(), now, OnCrash::default())
        }
        _ => Conclusion::of(job, outcome.as_ref().cloned(), now, Ttl::RESULT_DEFAULT),
    };
    let slot = job.rate_limit().map(|(key, _)| key.to_owned());
    let settlement = Settlement { conclusion, slot, ..settlement(claimed, Settled::Exhausted, Ttl::Forever) };
    let posts = posts(job, outcome.as_ref().err(), has_called, &settlement);
    Settlement { posts, ..settlement }
}

/// What an end calls for, beside what was called where the job ran.
fn posts(job: &Job, failure: Option<&Failure>, has_called: bool, settlement: &Settlement) -> Vec<Post> {
    let is_known = |name: &str| [OK_CB, FAIL_CB, STOP_CB].contains(&name);
    let call = match DueCall::of(job, failure, has_called, &settlement.conclusion, is_known) {
        CallsFor::Call(call) => Some(call.post()),
        _ => None,
    };
    let letters = told_by(job, &settlement.conclusion.settled)
        .map(|(status, text)| compose(job, status, Some(settlement.ended_at), text).letters);
    call.into_iter().chain(letters.unwrap_or_default().iter().map(Letter::post)).collect()
}

fn boom() -> Failure {
    Failure::Error("boom".into())
}

fn pickled(value: impl Into<rq_core::Value>) -> Option<Vec<u8>> {
    Some(Codec::Pickle.encode_value(&value.into()).expect("plain data"))
}

// Cron

/// The scheduler of the scenario, until it sleeps; then it is ended, or dropped.
fn run_cron(stage: &Stage, ends: bool) {
    let webhook = Webhook::finished("http://127.0.0.1:9/hook");
    let entries = Cron::new()
        .entry(
            Entry::every(
                secs(3600),
                add().timeout(secs(30)).ttl(secs(100)).failure_ttl(secs(50)).meta("m", 1),
            )
            .named("my-interval"),
        )
        .entry(Entry::at("0 3 * * *", none()).queue("other").zone("UTC"))
        .every(
            secs(60),
            Call::<String>::to("tasks.greet").kwarg("name", "bob").result_ttl(secs(10)).webhook(webhook),
        );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let link = Link::open(stage.scratch.url()).await.expect("the server answers");
        let checked = entries.check().expect("the entries can be");
        let scheduler = CronScheduler::new(&checked, link, stage.keys.clone()).expect("so can their calls");
        let (slept, sleeps) = tokio::sync::mpsc::unbounded_channel();
        let observer = move |_: &str, event: &CronEvent<'_>| {
            if matches!(event, CronEvent::Sleeping { .. }) {
                let _ = slept.send(());
            }
        };
        let scheduler = scheduler.named("cron-1").observer(Arc::new(observer));
        let sleeps = Arc::new(tokio::sync::Mutex::new(sleeps));
        let stop = Arc::clone(&sleeps);
        tokio::select! {
            biased;
            _ = async { sleeps.lock().await.recv().await }, if !ends => {}
            ended = scheduler.run(async move {
                if ends { stop.lock().await.recv().await; } else { std::future::pending::<()>().await }
            }) => ended.expect("Redis takes it all"),
        }
    });
}

pub(super) fn cron_running(stage: &Stage) {
    run_cron(stage, false);
}

pub(super) fn cron(stage: &Stage) {
    run_cron(stage, true);
}
