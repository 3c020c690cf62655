//! Jobs with middleware around them, and that middleware: `outer` and `inner`, which say on standard error what they see.
//!
//! What `inner` does stands in the job's meta, under `inner`: `refuse` and `mend` give the job a value, without it and
//! where it has failed; `spoil` has it fail; `panic` panics before it, `panic-behind` behind it. `drop-panics` hands two values to
//! it of which each panics as it is dropped, `drop-hangs` one whose drop does not return.
//!
//! | name | does |
//! |---|---|
//! | `middleware.tell`, `middleware.tell_async` | says what `outer` has handed to it, and fails where it is asked to |
//! | `middleware.linger` | waits for what never comes: only force ends it |
//! | `middleware.end` | is a callback, which says what it finds |

use std::io::Write as _;
use std::time::Duration;

use rq_cli::App;
use rq_core::{
    BlockOnError, Context, End, Handlers, JobMiddleware, JobOutcome, Next, Value, callback, handlers, job,
};

use super::Result;

/// What `outer` hands to jobs.
#[derive(Debug)]
struct Handed(String);

/// Panics as it is dropped.
struct Breaks<const N: u8>;

impl<const N: u8> Drop for Breaks<N> {
    fn drop(&mut self) {
        panic!("value {N} breaks");
    }
}

/// Is dropped for as long as nobody uses force.
struct Hangs;

impl Drop for Hangs {
    fn drop(&mut self) {
        rq_worker_green::sleep(Duration::from_secs(600));
    }
}

/// Says what it sees.
struct Outer;

impl JobMiddleware for Outer {
    fn call(&self, ctx: &Context, next: Next<'_>) -> JobOutcome {
        let id = &ctx.job().id;
        let is_current = Context::current().is_some_and(|current| current.execution() == ctx.execution());
        say(format!("outer: {id} before, current: {is_current}"));
        // The timer of a runtime, in sync code.
        let slept = ctx.block_on(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            "slept"
        })?;
        ctx.extensions().insert(Handed(format!("{slept} for {id}")));
        let outcome = next.run();
        say(format!("outer: {id} behind, {}", told(ctx, &outcome)));
        outcome
    }
}

/// Does what the job's meta says.
struct Inner;

impl JobMiddleware for Inner {
    fn call(&self, ctx: &Context, next: Next<'_>) -> JobOutcome {
        let id = &ctx.job().id;
        say(format!("inner: {id} before"));
        let Some(Value::Str(does)) = ctx.meta_value("inner")? else { return next.run() };
        match does.as_str() {
            "refuse" => return Ok(ctx.encode("refused")?),
            "panic" => panic!("inner panics"),
            "drop-panics" => {
                ctx.extensions().insert(Breaks::<1>);
                ctx.extensions().insert(Breaks::<2>);
            }
            "drop-hangs" => drop(ctx.extensions().insert(Hangs)),
            _ => {}
        }
        let outcome = next.run();
        say(format!("inner: {id} behind, {}", told(ctx, &outcome)));
        match (does.as_str(), outcome) {
            ("mend", Err(_)) => Ok(ctx.encode("mended")?),
            ("spoil", Ok(_)) => Err("inner spoils it".into()),
            ("panic-behind", _) => panic!("inner panics"),
            (_, outcome) => outcome,
        }
    }
}

fn told(ctx: &Context, outcome: &JobOutcome) -> String {
    match outcome {
        Ok(value) => rq_core::EndValue::new(ctx.codec(), value.clone())
            .read::<Value>()
            .map_or_else(|error| error.to_string(), |value| value.repr()),
        Err(failure) => failure.kind().to_owned(),
    }
}

/// A line in one piece: several processes may write at once.
fn say(line: String) {
    // A test that reads no more misses nothing.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// An app with the middleware around its jobs.
pub fn app(handlers: Handlers) -> App {
    App::new(handlers).middleware(Outer).middleware(Inner)
}

/// All of them.
pub fn handlers() -> Handlers {
    handlers![tell, tell_async, linger, end]
}

fn handed(ctx: &Context) -> Result<String> {
    Ok(ctx.extensions().get::<Handed>().ok_or("nothing was handed to it")?.0.clone())
}

/// What it was handed; fails if it is asked to.
#[job("middleware.tell")]
pub fn tell(ctx: &Context, fails: bool) -> Result<String> {
    if fails { Err("as was asked".into()) } else { handed(ctx) }
}

/// The same behind an `await`, where nobody can block.
#[job("middleware.tell_async")]
pub async fn tell_async(ctx: &Context, fails: bool) -> Result<String> {
    ctx.sleep_async(Duration::from_millis(5)).await?;
    if ctx.block_on(async {}) != Err(BlockOnError::InAsyncCode) {
        return Err("async code has blocked".into());
    }
    tell(ctx, fails)
}

/// Waits for what never comes, in a way that can be cut short.
#[job("middleware.linger")]
pub fn linger() -> Result<()> {
    rq_worker_green::sleep(Duration::from_secs(600));
    Ok(())
}

/// Says what it finds.
#[callback("middleware.end")]
pub fn end(ctx: &Context, _: End) -> Result<()> {
    say(format!("callback: {} finds {:?}", ctx.job().id, handed(ctx).ok()));
    Ok(())
}
