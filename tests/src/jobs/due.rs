//! Callbacks that say in Redis that they were called, and with what.

use rq_core::{Context, End, Handlers, callback, handlers};

use super::Result;

/// The list, under the prefix, to which each call appends a line: the job's id, how it ended, the status of its record.
pub const CALLS: &str = "calls";

/// All of them.
pub(super) fn handlers() -> Handlers {
    handlers![note, linger]
}

/// Writes down that it was called.
#[callback("due.note")]
fn note(ctx: &Context, end: End) -> Result<()> {
    write_down(ctx, &end)
}

/// Writes down that it was called, and takes for ever.
#[callback("due.linger")]
fn linger(ctx: &Context, end: End) -> Result<()> {
    write_down(ctx, &end)?;
    loop {
        ctx.sleep(rq_core::minutes(1))?;
    }
}

fn write_down(ctx: &Context, end: &End) -> Result<()> {
    let id = &ctx.job().id;
    let prefix = std::env::var("RQ_KEY_PREFIX")?;
    let mut connection = redis::Client::open(std::env::var("RQ_REDIS_URL")?)?.get_connection()?;
    let status: Option<String> =
        redis::cmd("HGET").arg(format!("{prefix}:job:{id}")).arg("status").query(&mut connection)?;
    let status = status.unwrap_or_default();
    let line = match end {
        End::Finished(_) => format!("{id} finished, {status}"),
        End::Failed(failure) => format!("{id} failed by {}, {status}", failure.kind()),
        _ => format!("{id} stopped, {status}"),
    };
    redis::cmd("RPUSH").arg(format!("{prefix}:{CALLS}")).arg(line).exec(&mut connection)?;
    Ok(())
}
