//! Callbacks. Each first notes what it was called with: see [`Told`](crate::Told).
//!
//! | name | does then |
//! |---|---|
//! | `told.end`, `told.end_async` | nothing |
//! | `told.fail`, `told.panic`, `told.again` | fail |
//! | `told.sleep`, `told.sleep_async`, `told.check` | take long and heed their time limit |
//! | `told.pending`, `told.nap`, `told.stubborn` | take long and do not |
//! | `told.abort` | ends its process |
//! | `told.context` | notes what its context says, and saves meta |

use std::time::{Duration, Instant};

use rq_core::{Context, End, Handlers, Retry, Value, callback, handlers};

use super::{PACE, Result, STUBBORN_LOOKS_MAX};
use crate::gate::Door;
use crate::told;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// All of them.
pub(super) fn handlers() -> Handlers {
    let short = handlers![end, end_async, fail, panic, again, abort, context];
    short.merge(handlers![sleep, sleep_async, check, pending, nap, stubborn])
}

/// How the job ended, and where it is while this is called.
fn note(ctx: &Context, end: &End) -> Result<()> {
    let current = Context::current().map(|current| current.execution().x().to_owned());
    if current.as_deref() != Some(ctx.execution().x()) {
        return Err(format!("the context of a callback is not the current one: {current:?}").into());
    }
    let end = match end {
        End::Finished(value) => format!("finished {}", value.read::<Value>()?.repr()),
        End::Failed(failure) => format!("failed {}", failure.text()),
        _ => "stopped".to_owned(),
    };
    Ok(told::note(&ctx.job().id, &end)?)
}

/// Notes it.
#[callback("told.end")]
pub fn end(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)
}

/// Notes it, behind an `await`.
#[callback("told.end_async")]
pub async fn end_async(ctx: &Context, end: End) -> Result<()> {
    ctx.sleep_async(PACE).await?;
    note(ctx, &end)
}

/// Fails.
#[callback("told.fail")]
pub fn fail(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    Err("the callback failed".into())
}

/// Panics.
#[callback("told.panic")]
pub fn panic(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    panic!("the callback panicked")
}

/// Asks for what only a job may ask for.
#[callback("told.again")]
pub fn again(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    Err(Retry::up_to(3).into())
}

/// Ends its process, where that is one of its own.
#[callback("told.abort")]
pub fn abort(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    std::process::abort()
}

/// Notes which run it is of and how long it has, and saves meta.
#[callback("told.context")]
pub fn context(ctx: &Context, _: End) -> Result<()> {
    let left = ctx.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let is_current = Context::current().is_some_and(|current| current.execution() == ctx.execution());
    ctx.set_meta("told", left.map(|left| left.as_secs_f64().ceil()))?;
    Ok(told::note(&ctx.job().id, &format!("{} {is_current}", ctx.execution().job_id()))?)
}

/// Sleeps, on a thread.
#[callback("told.sleep")]
pub fn sleep(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    Ok(ctx.sleep(LONG)?)
}

/// Sleeps, in a task.
#[callback("told.sleep_async")]
pub async fn sleep_async(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    Ok(ctx.sleep_async(LONG).await?)
}

/// Works, and looks now and then whether it has to end.
#[callback("told.check")]
pub fn check(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    let began = Instant::now();
    while began.elapsed() < LONG {
        ctx.check()?;
        std::thread::sleep(PACE);
    }
    Ok(())
}

/// Waits for what never comes. Only dropping it ends it.
#[callback("told.pending")]
pub async fn pending(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    std::future::pending().await
}

/// Sleeps as coroutines do, without its context.
#[callback("told.nap")]
pub fn nap(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    rq_worker_green::sleep(LONG);
    Ok(())
}

/// Waits at the gate `told` and heeds nothing else.
#[callback("told.stubborn")]
pub fn stubborn(ctx: &Context, end: End) -> Result<()> {
    note(ctx, &end)?;
    let mut door = Door::arrive(&told::gate_key()?, &ctx.job().id)?;
    for _ in 0..STUBBORN_LOOKS_MAX {
        if door.look()? {
            break;
        }
    }
    Ok(())
}
