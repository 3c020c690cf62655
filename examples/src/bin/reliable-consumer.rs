//! Processes that take messages from a list in Redis, and lose none: `reliable-consumer`, and
//! `redis-cli LPUSH redis_queue hello`.
//!
//! A message moves from the common list to one of the child's own, and is removed from there when it was handled. The list
//! is named by the child's slot. So who follows a child that has died, in the same slot, finds what that had in hand, and
//! handles it first: each message at least once. If there are to be fewer children, see to the lists of those that are
//! gone: nobody looks at them until somebody has that slot again.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::time::Duration;

use anyhow::Result;
use redis::{Client, Commands, Connection, Direction};
use rq_manager::{BoxError, Context, Kind, Manager, Process, SlotName};
use tracing::{error, info};

const QUEUE: &str = "redis_queue";
/// How long a run waits for a message. A stop waits for the run.
const WAIT_S: f64 = 10.0;

struct Consumer {
    url: String,
    /// A child has a connection of its own; `None` behind one that has failed.
    redis: Option<Connection>,
    /// What this child, or the one before it, has in hand.
    private: String,
}

impl Consumer {
    fn new(url: &str, slot: &SlotName) -> Consumer {
        Consumer { url: url.to_owned(), redis: None, private: format!("{QUEUE}:{slot}") }
    }

    fn redis(&mut self) -> Result<&mut Connection, BoxError> {
        let redis = match self.redis.take() {
            Some(redis) => redis,
            None => Client::open(self.url.as_str())?.get_connection()?,
        };
        Ok(self.redis.insert(redis))
    }

    /// What was in hand already, or else the next message, if one comes.
    fn take(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        let private = self.private.clone();
        let redis = self.redis()?;
        let in_hand: Option<Vec<u8>> = redis.lindex(&private, 0)?;
        Ok(match in_hand {
            Some(message) => Some(message),
            None => redis.blmove(QUEUE, &private, Direction::Right, Direction::Left, WAIT_S)?,
        })
    }

    /// The message was handled.
    fn forget(&mut self, message: &[u8]) -> Result<(), BoxError> {
        let private = self.private.clone();
        Ok(self.redis()?.lrem(&private, 1, message)?)
    }
}

impl Process for Consumer {
    /// A child without a Redis has not begun.
    fn init(&mut self, _: &Context) -> Result<(), BoxError> {
        self.redis().map(|_| ())
    }

    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        let Some(message) = self.take()? else { return Ok(false) };
        // In place of work.
        context.sleep(Duration::from_millis(10))?;
        info!("{} has handled {}", context.name(), message.escape_ascii());
        self.forget(&message)?;
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
    let consumers = Kind::new("Consumer", move |slot| Consumer::new(&url, slot)).count(2);
    Ok(Manager::new([consumers]).title("Reliable consumers of a list").start()?)
}
