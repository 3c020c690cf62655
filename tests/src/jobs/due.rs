//! Callbacks that say in Redis, or in a journal, that they were called, and with what.

use std::collections::BTreeMap;
use std::path::Path;

use rq_core::{Context, End, Handlers, callback, handlers};

use super::Result;
use crate::journal;

/// The list, under the prefix, to which each call appends a line: the job's id, how it ended, the status of its record.
pub const CALLS: &str = "calls";

/// In the meta of a job, the path of the [`Journal`](crate::Journal) into which `due.journal` writes.
pub const JOURNAL: &str = "journal";

/// All of them.
pub(super) fn handlers() -> Handlers {
    handlers![note, linger, write]
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

/// Writes into the [`Journal`](crate::Journal) of its job that it was called: no word of this is Redis'.
#[callback("due.journal")]
fn write(ctx: &Context, end: End) -> Result<()> {
    let end = match &end {
        End::Finished(_) => "finished".to_owned(),
        End::Failed(failure) => format!("failed {}", failure.kind()),
        _ => "stopped".to_owned(),
    };
    let meta: BTreeMap<String, String> = ctx.meta()?.deserialize_into()?;
    let path = meta.get(JOURNAL).ok_or("the job's meta names no journal")?;
    Ok(journal::call(Path::new(path), &ctx.job().id, &end)?)
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
