//! [`Program`]: what runs in the replays, jobs and callbacks, as an executor has it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rq_core::steps::Claimed;
use rq_core::steps::outbox::{OutBox, Take, Taken, deliver, due, take};
use rq_core::{
    BoxError, CallbackKind, Context, DueCall, End, Ended, ExecutionId, Handlers, Host, Interrupt, Job,
    JobOutcome, Letter, Task, Timestamp, Value, Want, callback, handlers, job, secs,
};
use rq_tests::HookServer;
use rq_worker::{Jobs, Sender, Site, WebhookAllow, WebhookOptions};

use crate::scripts::Stage;

/// How long an entry of the outbox is held.
const HOLD: Duration = Duration::from_secs(60);

thread_local! {
    /// Where callbacks write: a test plays on one thread.
    static WRITES_TO: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Functions that run on the thread of the test.
pub(super) struct Program(Jobs);

impl Program {
    pub(super) fn new(handlers: Handlers) -> Program {
        let (jobs, _) = Jobs::of(rq_worker::Program::new(handlers)).expect("it has functions");
        Program(jobs)
    }

    /// What the module `tasks` of the scenarios has.
    pub(super) fn tasks() -> Program {
        let calc = handlers![stat, len];
        Program::new(handlers![add, fail, none, ok_cb, fail_cb, stop_cb].merge(calc))
    }

    /// The same where `tasks.fail` is a callback: in Rust one name is one thing.
    pub(super) fn with_fail_as_callback() -> Program {
        Program::new(handlers![none, failing_cb])
    }

    /// Runs a job, and its callbacks behind it.
    pub(super) fn run(&self, stage: &Stage, claimed: &Claimed, job: &Arc<Job>) -> Ended {
        self.perform(stage, &claimed.id, job, &Task::Job, job.limit())
    }

    /// Calls what waits for the callback of this name.
    pub(super) fn call_back(&self, stage: &Stage, name: &str) {
        for taken in take_all(stage, &OutBox::Callbacks(name.to_owned())) {
            let call = DueCall::from_json(&taken.body).expect("a call");
            let (name, end, limit) = (call.name.clone(), call.end.clone(), Some(call.limit));
            let task = Task::Callback { kind: call.kind, name, end, limit };
            let id = ExecutionId::new(&call.job_id);
            let ended = self.perform(stage, &id, &Arc::new(call.job()), &task, Some(call.limit));
            assert!(ended.outcome.is_ok(), "{ended:?}");
            assert!(stage.take(&deliver(&stage.keys, &taken, None)));
        }
    }

    fn perform(
        &self,
        stage: &Stage,
        id: &ExecutionId,
        job: &Arc<Job>,
        task: &Task,
        limit: Option<Duration>,
    ) -> Ended {
        let place = (stage.scratch.url().to_owned(), stage.scratch.prefix().to_owned());
        WRITES_TO.with(|writes_to| writes_to.replace(Some(place)));
        let here = Here(Arc::new(Interrupt::new(limit)));
        self.0.run(id, job, task, Arc::new(NoMeta), &here).expect("nothing is short")
    }
}

/// Sends the webhooks that wait to this server, and returns how many they were.
pub(super) fn send_webhooks(stage: &Stage, from: &str, server: &HookServer) -> usize {
    let mut options = WebhookOptions::default();
    options.allow = vec![WebhookAllow::Private];
    let sender = Sender::new(options);
    let all = take_all(stage, &OutBox::Webhooks);
    for taken in &all {
        let mut letter = Letter::from_json(taken.body.as_bytes()).expect("a letter");
        // The port of the scenarios is nobody's here.
        letter.url = server.url(letter.url.strip_prefix(from).expect("where the scenario sends"));
        sender.send(&letter, taken.attempt).expect("it is received");
        assert!(stage.take(&deliver(&stage.keys, taken, None)));
    }
    all.len()
}

fn take_all(stage: &Stage, from: &OutBox) -> Vec<Taken> {
    // Of Redis' clock, which is the clock of this machine.
    let now_ms = (Timestamp::now().epoch_secs() + 1) as f64 * 1000.0;
    let names = stage.take(&due(&stage.keys, std::slice::from_ref(from), now_ms)).remove(0);
    assert!(!names.is_empty(), "something waits in {from:?}");
    let taken = stage.take(&take(&stage.keys, from, &names, HOLD)).into_iter().map(|take| match take {
        Take::Taken(taken) => taken,
        other => panic!("{other:?}"),
    });
    taken.collect()
}

/// The test's own thread.
struct Here(Arc<Interrupt>);

impl Site for Here {
    fn interrupt(&self) -> &Arc<Interrupt> {
        &self.0
    }

    fn begin_callback(&self, _: CallbackKind, limit: Option<Duration>) -> bool {
        self.0.rearm(limit);
        true
    }

    fn drive(&self, _: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want> {
        unreachable!("nothing here is async")
    }
}

/// No job here saves any.
struct NoMeta;

impl Host for NoMeta {
    fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
        Err("no job here saves meta".into())
    }
}

#[job("tasks.add")]
fn add(x: i64, y: i64) -> rq_core::Result<i64> {
    Ok(x + y)
}

#[job("tasks.fail")]
fn fail() -> rq_core::Result<()> {
    Err("boom".into())
}

#[job("tasks.none")]
fn none() -> rq_core::Result<()> {
    Ok(())
}

#[job("tasks.Calc.stat")]
fn stat(n: i64) -> rq_core::Result<i64> {
    Ok(2 * n)
}

#[job("builtins.len")]
fn len(of: Vec<i64>) -> rq_core::Result<usize> {
    Ok(of.len())
}

#[callback("tasks.ok_cb")]
fn ok_cb(ctx: &Context, end: End) -> rq_core::Result<()> {
    let End::Finished(value) = end else { return Err("it has a value".into()) };
    write("success", ctx, value.read::<Value>()?.repr())
}

#[callback("tasks.fail_cb")]
fn fail_cb(ctx: &Context, end: End) -> rq_core::Result<()> {
    let End::Failed(failure) = end else { return Err("it has a failure".into()) };
    let kind = failure.kind();
    let what = failure.text().strip_prefix(kind).and_then(|rest| rest.strip_prefix(": "));
    write("failure", ctx, format!("('{kind}', '{}')", what.unwrap_or_default()))
}

#[callback("tasks.stop_cb")]
fn stop_cb(ctx: &Context, _: End) -> rq_core::Result<()> {
    write("stopped", ctx, "stopped".to_owned())
}

#[callback("tasks.fail")]
fn failing_cb(_: &Context, _: End) -> rq_core::Result<()> {
    Err("boom".into())
}

/// Writes as the callbacks of the scenarios do, under the prefix of the test.
fn write(kind: &str, ctx: &Context, what: String) -> rq_core::Result<()> {
    let place = WRITES_TO.with(|writes_to| writes_to.borrow().clone());
    let (url, prefix) = place.ok_or("nobody said where to write")?;
    let mut connection = redis::Client::open(url)?.get_connection_with_timeout(secs(10))?;
    let key = format!("{prefix}:cb:{kind}:{}", ctx.job().id);
    Ok(redis::cmd("SET").arg(key).arg(what).exec(&mut connection)?)
}
