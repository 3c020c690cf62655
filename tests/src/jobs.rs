//! The jobs that the tests enqueue.
//!
//! | name | does |
//! |---|---|
//! | `math.add` | adds two numbers |
//! | `interop.add`, `interop.echo`, `interop.fail`, `interop.flaky`, `interop.journal`, `interop.program` | what the Python jobs of those names do |
//! | `test.repr`, `test.record`, `test.none`, `test.unserializable` | return something of interest |
//! | `test.greet` | has a parameter that may be left out |
//! | `test.ask_again` | runs again |
//! | `test.fail`, `test.fail_with_causes`, `test.panic`, `test.panic_async` | fail |
//! | `test.sleep`, `test.sleep_async`, `test.check` | take long and heed their time limit |
//! | `test.pending`, `test.stubborn` | take long and do not |
//! | `test.gate`, `test.report` | wait at a [`Gate`](crate::Gate) |
//! | `test.journal` | takes its time, and says in a [`Journal`](crate::Journal) when it began and ended |
//! | `test.poll` | enqueues its own id anew while it runs |
//! | `test.stop_itself` | has its worker stop it |
//! | `test.deadline`, `test.who`, `test.count`, `test.meta` | tell what their context says |
//! | `test.current`, `test.current_async` | tell whether code without a context finds theirs |
//! | `test.spread` | enqueues more work |
//! | `test.surroundings` | tells what the system knows of its process |
//! | `due.*` | callbacks: see [`due`] |
//! | `programs.*` | start programs: see [`programs`] |
//! | `middleware.*` | tell what the middleware around them does: see [`middleware`] |
//! | `states.*` | ask for what their program shares: see [`states`] |
//! | `green.*` | wait as coroutines should, or should not: see [`green`] |
//! | `pages.fetch` | is the example's: see [`rq_examples::fetch`] |
//! | `zoo.*` | harm the process they run in: see [`zoo`] |
//! | `order.*` | are callbacks, the same as Python's, and a job that waits to be stopped |
//! | `told.*` | are callbacks: see [`callbacks`] |

pub mod callbacks;
pub mod due;
pub mod green;
pub mod middleware;
mod order;
pub mod programs;
pub mod states;
mod violence;
pub mod zoo;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rq_core::{Context, Failure, Handlers, Retry, Value, handlers, job};
use serde::{Deserialize, Serialize};

use crate::gate::Door;
use crate::journal;

type Result<T> = rq_core::Result<T>;

/// How often a job that could look at its time limit would do so.
const PACE: Duration = Duration::from_millis(5);
/// How often a job looks for a signal.
const SIGNAL_PACE: Duration = Duration::from_millis(20);
/// How often a job that heeds nothing looks at its gate before it ends all the same, in case the test is gone.
const STUBBORN_LOOKS_MAX: usize = 2_000;

/// All of them.
pub fn handlers() -> Handlers {
    let like_pythons = handlers![interop_add, interop_echo, interop_fail, interop_journal, flaky];
    let results = handlers![add, operator_add, repr, record, none, unserializable, greet];
    let failures = handlers![fail, fail_with_causes, panic, panic_async, ask_again];
    let long = handlers![
        sleep,
        sleep_async,
        check,
        pending,
        stubborn,
        gate,
        report,
        journal_run,
        weigh,
        leak,
        poll,
        stop_itself
    ];
    let contexts = handlers![deadline, who, count, meta, spread, surroundings, current, current_async];
    let ours = like_pythons.merge(results).merge(failures).merge(long).merge(contexts);
    ours.merge(programs::handlers())
        .merge(states::handlers())
        .merge(green::handlers())
        .merge(rq_examples::fetch::handlers())
        .merge(zoo::handlers())
        .merge(callbacks::handlers())
        .merge(due::handlers())
        .merge(order::handlers())
        .merge(middleware::handlers())
}

/// Adds two numbers.
#[job("math.add")]
pub fn add(x: i64, y: i64) -> Result<i64> {
    Ok(x + y)
}

/// What `test.surroundings` returns.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    /// What `ps` shows.
    pub title: String,
    /// The variables `RQ_JOB_ID` and `RQ_WORKER_ID`.
    pub variables: [Option<String>; 2],
}

/// What the system knows of the process that runs this.
#[job("test.surroundings")]
pub fn surroundings() -> Result<Surroundings> {
    let title = std::fs::read("/proc/self/cmdline")?;
    let title = String::from_utf8_lossy(&title).trim_end_matches('\0').to_owned();
    Ok(Surroundings { title, variables: ["RQ_JOB_ID", "RQ_WORKER_ID"].map(|name| std::env::var(name).ok()) })
}

/// Adds two numbers, under the name of a function that every Python has: what the benches drain.
#[job("operator.add")]
pub fn operator_add(x: i64, y: i64) -> Result<i64> {
    Ok(x + y)
}

/// Adds two numbers.
#[job("interop.add")]
pub fn interop_add(x: i64, y: i64) -> Result<i64> {
    Ok(x + y)
}

/// Returns its argument.
#[job("interop.echo")]
pub fn interop_echo(value: Value) -> Result<Value> {
    Ok(value)
}

/// Fails.
#[job("interop.fail")]
pub fn interop_fail(message: Option<String>) -> Result<()> {
    Err(message.unwrap_or_else(|| "boom".to_string()).into())
}

/// Writes into a [`Journal`](crate::Journal) that it began, takes its time, and writes that it ended.
#[job("interop.journal")]
pub fn interop_journal(path: String, id: String, ms: u64) -> Result<()> {
    journal::begin(Path::new(&path), &id)?;
    std::thread::sleep(Duration::from_millis(ms));
    Ok(journal::end(Path::new(&path), &id)?)
}

/// Its argument as Python would print it.
#[job("test.repr")]
pub fn repr(value: Value) -> Result<String> {
    Ok(value.repr())
}

/// What `test.record` returns.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Record {
    pub name: String,
    pub sizes: Vec<u8>,
    pub parent: Option<Box<Record>>,
}

/// A struct with all in it that structs have.
#[job("test.record")]
pub fn record() -> Result<Record> {
    let parent = Record { name: "parent".to_string(), sizes: vec![], parent: None };
    Ok(Record { name: "child".to_string(), sizes: vec![1, 2], parent: Some(Box::new(parent)) })
}

/// Returns nothing.
#[job("test.none")]
pub fn none() -> Result<()> {
    Ok(())
}

/// A value that refuses to be written.
#[derive(Debug)]
pub struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this cannot be written"))
    }
}

/// Returns what cannot be written.
#[job("test.unserializable")]
pub fn unserializable() -> Result<Unserializable> {
    Ok(Unserializable)
}

/// Greets; the greeting may be left out.
#[job("test.greet")]
pub fn greet(name: String, greeting: Option<String>) -> Result<String> {
    Ok(format!("{}, {name}", greeting.as_deref().unwrap_or("hello")))
}

/// Fails.
#[job("test.fail")]
pub fn fail(message: String) -> Result<()> {
    Err(message.into())
}

/// Writes into a [`Journal`](crate::Journal) that it began, fails in its first `fails` runs, and says how often it ran.
#[job("interop.flaky")]
pub fn flaky(path: String, id: String, fails: usize) -> Result<usize> {
    let path = Path::new(&path);
    journal::begin(path, &id)?;
    let runs = journal::beginnings(path, &id)?;
    if runs <= fails {
        return Err(format!("run {runs} fails").into());
    }
    journal::end(path, &id)?;
    Ok(runs)
}

/// Asks to be run again, as often as it may.
#[job("test.ask_again")]
pub fn ask_again(max: u32, pause_s: u64) -> Result<()> {
    Err(Retry::up_to(max).every(Duration::from_secs(pause_s)).into())
}

/// Fails for a reason that has a reason.
#[job("test.fail_with_causes")]
pub fn fail_with_causes() -> anyhow::Result<()> {
    Err(anyhow::anyhow!("the disk is full").context("the file cannot be written").context("no report"))
}

/// Panics.
#[job("test.panic")]
pub fn panic(message: String) -> Result<()> {
    panic!("{message}")
}

/// Panics behind an `await`.
#[job("test.panic_async")]
pub async fn panic_async(ctx: &Context, message: String) -> Result<()> {
    ctx.sleep_async(PACE).await?;
    panic!("{message}")
}

/// Sleeps, on a thread.
#[job("test.sleep")]
pub fn sleep(ctx: &Context, ms: u64) -> Result<u64> {
    ctx.sleep(Duration::from_millis(ms))?;
    Ok(ms)
}

/// Sleeps, in a task.
#[job("test.sleep_async")]
pub async fn sleep_async(ctx: &Context, ms: u64) -> Result<u64> {
    ctx.sleep_async(Duration::from_millis(ms)).await?;
    Ok(ms)
}

/// Works, and looks now and then whether it has to end.
#[job("test.check")]
pub fn check(ctx: &Context, ms: u64) -> Result<u64> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(ms) {
        ctx.check()?;
        std::thread::sleep(PACE);
    }
    Ok(ms)
}

/// Waits for what never comes. Only dropping it ends it.
#[job("test.pending")]
pub async fn pending() -> Result<()> {
    std::future::pending().await
}

/// Waits at a gate and heeds nothing else: an executor without force has to live with it.
#[job("test.stubborn")]
pub fn stubborn(ctx: &Context, key: String) -> Result<()> {
    let mut door = Door::arrive(&key, &ctx.job().id)?;
    for _ in 0..STUBBORN_LOOKS_MAX {
        if door.look()? {
            break;
        }
    }
    Ok(())
}

/// Waits at a gate.
#[job("test.gate")]
pub fn gate(ctx: &Context, key: String) -> Result<String> {
    wait_at(ctx, &key)?;
    Ok(ctx.job().id.clone())
}

/// Saves meta and progress, waits at a gate, and saves once more.
#[job("test.report")]
pub fn report(ctx: &Context, key: String) -> Result<()> {
    ctx.set_meta("stage", "before")?;
    ctx.progress(0.5, "at the gate")?;
    wait_at(ctx, &key)?;
    ctx.set_meta("stage", "after")?;
    Ok(ctx.progress(1.0, "done")?)
}

/// Writes into a [`Journal`](crate::Journal) that it began, waits for a signal where it is given one, takes its time, and
/// writes that it ended. Returns its id. No word of this is Redis'.
#[job("test.journal")]
pub fn journal_run(ctx: &Context, path: String, ms: u64, signal: Option<String>) -> Result<String> {
    let (path, id) = (Path::new(&path), &ctx.job().id);
    journal::begin(path, id)?;
    if let Some(signal) = signal {
        while !Path::new(&signal).exists() {
            ctx.sleep(SIGNAL_PACE)?;
        }
    }
    ctx.sleep(Duration::from_millis(ms))?;
    journal::end(path, id)?;
    Ok(id.clone())
}

/// Polls: its first run enqueues its own id anew, as Python's producers do it, over a connection of its own to that Redis.
/// Writes into the [`Journal`](crate::Journal) as `test.journal` does.
#[job("test.poll")]
pub fn poll(ctx: &Context, url: String, prefix: String, path: String) -> Result<()> {
    let (path, job) = (Path::new(&path), ctx.job());
    journal::begin(path, &job.id)?;
    if journal::beginnings(path, &job.id)? == 1 {
        let mut connection = redis::Client::open(url)?.get_connection()?;
        let record = ["status", "queued", "worker_name", "", "started_at", "", "last_heartbeat", ""];
        let mut enqueue = redis::pipe();
        enqueue.atomic().cmd("HSET").arg(format!("{prefix}:job:{}", job.id)).arg(&record);
        enqueue.cmd("RPUSH").arg(format!("{prefix}:queue:{}", job.origin)).arg(&job.id);
        enqueue.exec(&mut connection)?;
    }
    Ok(journal::end(path, &job.id)?)
}

/// Has the worker that runs it stop it, over a connection of its own to that Redis. Writes into the
/// [`Journal`](crate::Journal) that it began.
#[job("test.stop_itself")]
pub fn stop_itself(ctx: &Context, url: String, prefix: String, path: String) -> Result<()> {
    let id = &ctx.job().id;
    journal::begin(Path::new(&path), id)?;
    let mut connection = redis::Client::open(url)?.get_connection()?;
    loop {
        let worker: Option<String> =
            redis::cmd("HGET").arg(format!("{prefix}:job:{id}")).arg("worker_name").query(&mut connection)?;
        let channel = format!("{prefix}:pubsub:{}", worker.unwrap_or_default());
        let command = format!(r#"{{"command": "stop-job", "job_id": "{id}"}}"#);
        redis::cmd("PUBLISH").arg(channel).arg(command).exec(&mut connection)?;
        // A worker whose connection has just been cut does not hear it.
        ctx.sleep(SIGNAL_PACE)?;
    }
}

/// As `test.journal`, with something to carry. Returns how many bytes that has.
#[job("test.weigh")]
pub fn weigh(ctx: &Context, path: String, ms: u64, ballast: String) -> Result<usize> {
    journal_run(ctx, path, ms, None)?;
    Ok(ballast.len())
}

/// Holds so many megabytes until its process ends, and waits at a gate where it is given one.
#[job("test.leak")]
pub fn leak(ctx: &Context, megabytes: usize, gate: Option<String>) -> Result<()> {
    // Written to: what is only reserved is not held.
    std::mem::forget(vec![1_u8; megabytes << 20]);
    gate.map_or(Ok(()), |key| wait_at(ctx, &key))
}

/// How many seconds it has left; `None` for no limit.
#[job("test.deadline")]
pub fn deadline(ctx: &Context) -> Result<Option<f64>> {
    let left = ctx.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    Ok(left.map(|left| left.as_secs_f64()))
}

/// Its id and its queue.
#[job("test.who")]
pub async fn who(ctx: &Context) -> Result<(String, String)> {
    Ok((ctx.job().id.clone(), ctx.job().origin.clone()))
}

/// What `test.count` counts with.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How often it was called in this process.
#[job("test.count")]
pub fn count(ctx: &Context) -> Result<u64> {
    Ok(ctx.state::<Counter>().0.fetch_add(1, Ordering::Relaxed) + 1)
}

/// What code finds that is not given its job's context.
fn found() -> Option<String> {
    Context::current().map(|ctx| ctx.execution().x().to_owned())
}

/// Asks for its context before and after it slept for so many milliseconds, and on threads of its own; panics if it
/// should.
#[job("test.current")]
pub fn current(ctx: &Context, ms: u64, panics: bool) -> Result<()> {
    let own = Some(ctx.execution().x().to_owned());
    assert_eq!(found(), own, "as it begins");
    ctx.sleep(Duration::from_millis(ms))?;
    assert_eq!(found(), own, "behind a sleep");
    let passed_on = ctx.clone();
    let of_thread = std::thread::spawn(move || (found(), passed_on.enter(found), found()));
    assert_eq!(of_thread.join().expect("it does nothing"), (None, own, None), "on another thread");
    assert!(!panics, "as was asked");
    Ok(())
}

/// Asks for its context before and after it waited for so many milliseconds.
#[job("test.current_async")]
pub async fn current_async(ctx: &Context, ms: u64, panics: bool) -> Result<()> {
    let own = Some(ctx.execution().x().to_owned());
    assert_eq!(found(), own, "as it begins");
    ctx.sleep_async(Duration::from_millis(ms)).await?;
    assert_eq!(found(), own, "behind a wait");
    tokio::task::yield_now().await;
    assert_eq!(found(), own, "behind another one");
    let elsewhere = tokio::spawn(async { found() }).await?;
    assert_eq!(elsewhere, None, "in another task");
    assert!(!panics, "as was asked");
    Ok(())
}

/// Enqueues a job of its own kind with one less, until there is none; returns how many follow.
#[job("test.spread")]
pub fn spread(ctx: &Context, count: u64) -> Result<u64> {
    if count > 0 {
        let more = spread::call(count - 1).job_id(format!("spread-{}", count - 1));
        ctx.queue(&ctx.job().origin)?.enqueue(more)?;
    }
    Ok(count)
}

/// The meta it was enqueued with.
#[job("test.meta")]
pub fn meta(ctx: &Context) -> Result<Value> {
    Ok(ctx.meta()?)
}

fn wait_at(ctx: &Context, key: &str) -> std::result::Result<(), Failure> {
    let mut door = Door::arrive(key, &ctx.job().id)?;
    while !door.look()? {
        ctx.check()?;
    }
    Ok(())
}
