//! [`Bell`]: tells an idle worker that a queue may hold a job, and takes nothing off it.
//!
//! A blocking pop would lose the job to a worker that dies before it has written down what it popped. One queue is
//! waited for by rotating its head onto itself (`BLMOVE q q LEFT LEFT`). Several are watched by `CLIENT TRACKING`,
//! whose ring is armed by reading (`LLEN`) and rings once. Where neither serves, the worker polls.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::PushInfo;
use redis::aio::MultiplexedConnection;
use rq_core::link::{Link, is_broken};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest wait for one ring: proxies and dead links drop rings without an error.
const RING_LONGEST: Duration = Duration::from_secs(10);
/// How much longer than that Redis may take to answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);
/// How often queues are looked at where no bell serves, as at `maxmemory`, where `BLMOVE` is refused.
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// The pause before a broken connection is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Rings when a queue may hold a job.
pub(crate) struct Bell {
    link: Link,
    /// The keys of the queue lists.
    lists: Vec<String>,
    /// A wait goes on while other events are handled: a blocking command cannot be taken back.
    waiting: Option<BoxFuture<'static, (Option<Rope>, Ring)>>,
    rope: Option<Rope>,
}

/// What came of one wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ring {
    /// A queue holds a job, or may: whoever waits has to look.
    Rang,
    /// Nothing came. The next wait looks at the queues before it waits, so nobody else has to.
    Silence,
}

/// A connection of the bell's own.
struct Rope {
    connection: MultiplexedConnection,
    /// Invalidations, where the connection tracks.
    pushes: Option<UnboundedReceiver<PushInfo>>,
}

impl Bell {
    pub(crate) fn new(link: Link, lists: Vec<String>) -> Bell {
        Bell { link, lists, waiting: None, rope: None }
    }

    /// Waits until a queue may hold a job. Cancel-safe.
    pub(crate) async fn rung(&mut self) {
        loop {
            let waiting = match &mut self.waiting {
                Some(waiting) => waiting,
                None => {
                    let wait = wait(self.link.clone(), self.lists.clone(), self.rope.take());
                    self.waiting.insert(Box::pin(wait))
                }
            };
            let (rope, ring) = waiting.await;
            (self.rope, self.waiting) = (rope, None);
            if ring == Ring::Rang {
                return;
            }
        }
    }
}

/// One wait, with the connection of the last one if that still serves. Gives the connection back unless it broke.
async fn wait(link: Link, lists: Vec<String>, rope: Option<Rope>) -> (Option<Rope>, Ring) {
    let mut rope = match rope {
        Some(rope) => rope,
        None => match tie(&link, &lists).await {
            Ok(rope) => rope,
            Err(_) => {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                return (None, Ring::Rang);
            }
        },
    };
    let waited = match lists.as_slice() {
        [list] => rotate(&mut rope, list).await,
        lists => watch(&mut rope, lists).await,
    };
    match waited {
        Ok(ring) => (Some(rope), ring),
        Err(error) if is_broken(&error) => {
            tokio::time::sleep(RECONNECT_PAUSE).await;
            (None, Ring::Rang)
        }
        // Refused: the loop looks for itself instead.
        Err(_) => {
            tokio::time::sleep(POLL_PAUSE).await;
            (Some(rope), Ring::Rang)
        }
    }
}

/// Makes the connection: a tracking one for several queues, where the server can.
async fn tie(link: &Link, lists: &[String]) -> Result<Rope, rq_core::Error> {
    if lists.len() == 1 {
        return Ok(Rope { connection: link.waiting_connection().await?, pushes: None });
    }
    let (sender, pushes) = unbounded_channel();
    let mut connection = link.tracking_connection(sender).await?;
    let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await;
    Ok(Rope { connection, pushes: tracking.is_ok().then_some(pushes) })
}

async fn rotate(rope: &mut Rope, list: &str) -> redis::RedisResult<Ring> {
    let mut cmd = redis::cmd("BLMOVE");
    cmd.arg(list).arg(list).arg("LEFT").arg("LEFT").arg(RING_LONGEST.as_secs());
    let moved: Option<redis::Value> = answered(RING_LONGEST, cmd.query_async(&mut rope.connection)).await?;
    Ok(moved.map_or(Ring::Silence, |_| Ring::Rang))
}

async fn watch(rope: &mut Rope, lists: &[String]) -> redis::RedisResult<Ring> {
    if let Some(pushes) = &mut rope.pushes {
        // Rings for what was read before; the reading below arms the bell anew.
        while pushes.try_recv().is_ok() {}
    }
    let mut lengths = redis::pipe();
    for list in lists {
        lengths.cmd("LLEN").arg(list);
    }
    let lengths: Vec<usize> = answered(Duration::ZERO, lengths.query_async(&mut rope.connection)).await?;
    if lengths.iter().any(|&length| length > 0) {
        return Ok(Ring::Rang);
    }
    match &mut rope.pushes {
        Some(pushes) => match tokio::time::timeout(RING_LONGEST, pushes.recv()).await {
            Ok(Some(_)) => Ok(Ring::Rang),
            Ok(None) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
            Err(_) => Ok(Ring::Silence),
        },
        None => {
            tokio::time::sleep(POLL_PAUSE).await;
            Ok(Ring::Silence)
        }
    }
}

/// Bounds a command on a connection that has no bound of its own; a silent link counts as broken.
async fn answered<T>(
    block: Duration,
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> redis::RedisResult<T> {
    match tokio::time::timeout(block + ANSWER_MARGIN, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
