//! Processes that take messages from a list in Redis: `list-consumer`, and `redis-cli LPUSH redis_queue hello`.
//!
//! A message that a child has taken is gone if that child dies while it handles it; `reliable-consumer` keeps it.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use anyhow::Result;
use redis::{Client, Commands, Connection};
use rq_manager::{BoxError, Context, Kind, Manager, Process};
use tracing::{error, info};

const QUEUE: &str = "redis_queue";
/// How long a run waits for a message. A stop waits for the run.
const WAIT_S: f64 = 10.0;

struct Consumer {
    url: String,
    /// A child has a connection of its own; `None` behind one that has failed.
    redis: Option<Connection>,
}

impl Consumer {
    fn redis(&mut self) -> Result<&mut Connection, BoxError> {
        let redis = match self.redis.take() {
            Some(redis) => redis,
            None => Client::open(self.url.as_str())?.get_connection()?,
        };
        Ok(self.redis.insert(redis))
    }
}

impl Process for Consumer {
    /// A child without a Redis has not begun.
    fn init(&mut self, _: &Context) -> Result<(), BoxError> {
        self.redis().map(|_| ())
    }

    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        let taken: Option<(String, Vec<u8>)> = self.redis()?.brpop(QUEUE, WAIT_S)?;
        let Some((_, message)) = taken else { return Ok(false) };
        info!("{} has got {}", context.name(), message.escape_ascii());
        Ok(true)
    }

    /// The next run connects anew.
    fn on_exception(&mut self, context: &Context, exception: &BoxError) {
        error!("{} failed: {exception}", context.name());
        self.redis = None;
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_target(false).init();
    let url = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let consumers = Kind::new("Consumer", move |_| Consumer { url: url.clone(), redis: None }).count(2);
    Ok(Manager::new([consumers]).title("Consumers of a list").start()?)
}
