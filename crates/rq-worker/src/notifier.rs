//! [`Notifier`]: notifies an idle worker that a queue may hold a job, and takes nothing off it.
//!
//! A blocking pop would lose the job if the worker died before it had written down what it popped. For one queue the
//! notifier rotates the head onto itself (`BLMOVE q q LEFT LEFT`). For several it uses `CLIENT TRACKING`, which is
//! armed by reading (`LLEN`) and notifies once. Where neither works, the notifier polls.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::PushInfo;
use redis::aio::MultiplexedConnection;
use rq_core::link::{Link, is_broken};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest wait for one notification: proxies and dead links drop them without an error.
const WAIT_LONGEST: Duration = Duration::from_secs(10);
/// How much longer than that Redis may take to answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);
/// How often the notifier polls where Redis does not notify, as at `maxmemory`, where it refuses `BLMOVE`.
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// The pause before a broken connection is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Notifies its worker when a queue may hold a job.
pub(crate) struct Notifier {
    link: Link,
    /// The keys of the queue lists.
    lists: Vec<String>,
    /// The wait under way. It goes on while the loop handles other events: a blocking command cannot be taken back.
    waiting: Option<BoxFuture<'static, (Option<Subscription>, Waited)>>,
    subscription: Option<Subscription>,
}

/// What came of one wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// A queue holds a job, or may: the worker has to claim.
    Notified,
    /// No queue got a job. The next wait looks at the queues before it waits, so the worker need not claim.
    InVain,
}

/// A connection of the notifier's own.
struct Subscription {
    connection: MultiplexedConnection,
    /// Invalidations, where the connection tracks.
    pushes: Option<UnboundedReceiver<PushInfo>>,
}

impl Notifier {
    pub(crate) fn new(link: Link, lists: Vec<String>) -> Notifier {
        Notifier { link, lists, waiting: None, subscription: None }
    }

    /// Waits until a queue may hold a job. Cancel-safe.
    pub(crate) async fn notified(&mut self) {
        loop {
            let waiting = match &mut self.waiting {
                Some(waiting) => waiting,
                None => {
                    // Kept in `self`: the loop drops this future at each other event, and a blocking command cannot be
                    // taken back.
                    let wait = wait(self.link.clone(), self.lists.clone(), self.subscription.take());
                    self.waiting.insert(Box::pin(wait))
                }
            };
            let (subscription, waited) = waiting.await;
            (self.subscription, self.waiting) = (subscription, None);
            // A wait in vain begins anew without a claim, so that an idle worker sends next to nothing.
            if waited == Waited::Notified {
                return;
            }
        }
    }
}

/// One wait, with the connection of the last one if that still serves. Gives the connection back unless it broke.
async fn wait(
    link: Link,
    lists: Vec<String>,
    subscription: Option<Subscription>,
) -> (Option<Subscription>, Waited) {
    let mut subscription = match subscription {
        Some(subscription) => subscription,
        None => match connect(&link, &lists).await {
            Ok(subscription) => subscription,
            // Jobs may have come meanwhile, so the worker claims.
            Err(_) => {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                return (None, Waited::Notified);
            }
        },
    };
    let waited = match lists.as_slice() {
        [list] => rotate(&mut subscription, list).await,
        lists => watch(&mut subscription, lists).await,
    };
    match waited {
        Ok(waited) => (Some(subscription), waited),
        Err(error) if is_broken(&error) => {
            tokio::time::sleep(RECONNECT_PAUSE).await;
            (None, Waited::Notified)
        }
        // Redis refuses the command: the worker claims now and then instead.
        Err(_) => {
            tokio::time::sleep(POLL_PAUSE).await;
            (Some(subscription), Waited::Notified)
        }
    }
}

/// Makes the connection: a tracking one for several queues, where the server can.
async fn connect(link: &Link, lists: &[String]) -> Result<Subscription, rq_core::Error> {
    // `BLMOVE` notifies of one queue, and needs no tracking. Of several it could watch only the first.
    if lists.len() == 1 {
        return Ok(Subscription { connection: link.waiting_connection().await?, pushes: None });
    }
    let (sender, pushes) = unbounded_channel();
    let mut connection = link.tracking_connection(sender).await?;
    let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await;
    // A server that refuses to track is no reason to fail: the notifier polls then.
    Ok(Subscription { connection, pushes: tracking.is_ok().then_some(pushes) })
}

async fn rotate(subscription: &mut Subscription, list: &str) -> redis::RedisResult<Waited> {
    let mut cmd = redis::cmd("BLMOVE");
    // From the head to the head of the same list: nothing leaves the queue, whoever dies meanwhile.
    cmd.arg(list).arg(list).arg("LEFT").arg("LEFT").arg(WAIT_LONGEST.as_secs());
    // The id itself is not read here: it may be no text, and the claim looks at it.
    let moved: Option<redis::Value> =
        answered(WAIT_LONGEST, cmd.query_async(&mut subscription.connection)).await?;
    Ok(moved.map_or(Waited::InVain, |_| Waited::Notified))
}

async fn watch(subscription: &mut Subscription, lists: &[String]) -> redis::RedisResult<Waited> {
    if let Some(pushes) = &mut subscription.pushes {
        // These notify of keys that were read before; the reading below arms the connection anew.
        while pushes.try_recv().is_ok() {}
    }
    // Counted and armed by one command: a job is there before it, and counts, or comes later, and is notified of.
    let mut lengths = redis::pipe();
    for list in lists {
        lengths.cmd("LLEN").arg(list);
    }
    let lengths: Vec<usize> =
        answered(Duration::ZERO, lengths.query_async(&mut subscription.connection)).await?;
    if lengths.iter().any(|&length| length > 0) {
        return Ok(Waited::Notified);
    }
    match &mut subscription.pushes {
        Some(pushes) => match tokio::time::timeout(WAIT_LONGEST, pushes.recv()).await {
            Ok(Some(_)) => Ok(Waited::Notified),
            // The channel ends with the connection that fills it.
            Ok(None) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
            Err(_) => Ok(Waited::InVain),
        },
        None => {
            tokio::time::sleep(POLL_PAUSE).await;
            Ok(Waited::InVain)
        }
    }
}

/// Bounds a command on a connection that has no bound of its own; a connection without an answer counts as broken.
async fn answered<T>(
    block: Duration,
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> redis::RedisResult<T> {
    match tokio::time::timeout(block + ANSWER_MARGIN, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
