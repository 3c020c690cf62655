//! The callbacks of `tests/python/order.py`, which write down what they see in Redis.

use redis::Connection;
use rq_core::{Context, End, Handlers, Value, callback, handlers, job};

use super::Result;

/// The registries that are looked into.
const BOOKS: [&str; 4] = ["wip", "finished", "failed", "scheduled"];

/// All of them.
pub(super) fn handlers() -> Handlers {
    handlers![wait, works, raises, lingers]
}

/// Says that it runs, and does until it is stopped.
#[job("order.wait")]
fn wait(ctx: &Context) -> Result<()> {
    let mut connection = redis::Client::open(std::env::var("RQ_REDIS_URL")?)?.get_connection()?;
    let key = format!("{}:order:{}:runs", std::env::var("RQ_KEY_PREFIX")?, ctx.job().id);
    redis::cmd("SET").arg(key).arg(1).exec(&mut connection)?;
    Ok(ctx.sleep(rq_core::minutes(10))?)
}

/// Writes down what it sees.
#[callback("order.works")]
fn works(ctx: &Context, end: End) -> Result<()> {
    write(ctx, &end)
}

/// The same, and fails.
#[callback("order.raises")]
fn raises(ctx: &Context, end: End) -> Result<()> {
    write(ctx, &end)?;
    Err("the callback failed".into())
}

/// The same, and takes too long.
#[callback("order.lingers")]
fn lingers(ctx: &Context, end: End) -> Result<()> {
    write(ctx, &end)?;
    Ok(ctx.sleep(rq_core::minutes(10))?)
}

fn write(ctx: &Context, end: &End) -> Result<()> {
    let said = match end {
        End::Finished(value) => format!("finished {}", value.read::<Value>()?.repr()),
        // Behind its kind, as Python says it.
        End::Failed(failure) => {
            format!("failed: {}", failure.text().split_once(": ").map_or("", |(_, what)| what))
        }
        _ => "stopped".to_owned(),
    };
    let mut connection = redis::Client::open(std::env::var("RQ_REDIS_URL")?)?.get_connection()?;
    let (prefix, id) = (std::env::var("RQ_KEY_PREFIX")?, &ctx.job().id);
    let line = format!("{said} - {}", there(&mut connection, &prefix, id)?);
    Ok(redis::cmd("RPUSH").arg(format!("{prefix}:order:{id}")).arg(line).exec(&mut connection)?)
}

fn there(connection: &mut Connection, prefix: &str, id: &str) -> Result<String> {
    let status: String =
        redis::cmd("HGET").arg(format!("{prefix}:job:{id}")).arg("status").query(connection)?;
    let mut books = Vec::new();
    for book in BOOKS {
        let members: Vec<String> =
            redis::cmd("ZRANGE").arg(format!("{prefix}:{book}:default")).arg(0).arg(-1).query(connection)?;
        if members.iter().any(|member| member.split(':').next() == Some(id)) {
            books.push(book);
        }
    }
    let books = if books.is_empty() { "nothing".to_owned() } else { books.join("+") };
    let results: usize = redis::cmd("XLEN").arg(format!("{prefix}:results:{id}")).query(connection)?;
    Ok(format!("{status}, in {books}, {results} results"))
}
