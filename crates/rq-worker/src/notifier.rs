//! [`Notifier`]: notifies an idle worker that a queue may hold a job, and takes nothing off it.
//!
//! A blocking pop would lose the job if the worker died before it had written down what it popped. For one queue the
//! notifier rotates the head onto itself (`BLMOVE q q LEFT LEFT`). For several it uses `CLIENT TRACKING`, which is
//! armed by reading (`LLEN`) and notifies once. Where neither works, the notifier polls.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::PushInfo;
use redis::aio::MultiplexedConnection;
use rq_core::link::{Backoff, Link, spoils_connection, within};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

/// The longest wait for one notification: proxies and dead links drop them without an error.
const WAIT_LONGEST: Duration = Duration::from_secs(10);
/// How much longer than that Redis may take to answer: the connection has no limit of its own.
const ANSWER_MARGIN: Duration = Duration::from_secs(3);
/// How often the notifier polls where Redis does not notify, as at `maxmemory`, where it refuses `BLMOVE`.
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// The pauses before a broken connection is made anew.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));

/// Notifies its worker when a queue may hold a job.
pub(crate) struct Notifier {
    link: Link,
    /// The keys of the queue lists.
    lists: Vec<String>,
    /// The wait under way. It goes on while the loop handles other events: a blocking command cannot be taken back.
    waiting: Option<BoxFuture<'static, (Option<Subscription>, Waited)>>,
    subscription: Option<Subscription>,
    backoff: Backoff,
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
    /// The number of the link's newest connection when this one was made.
    newest: watch::Receiver<u64>,
}

impl Notifier {
    pub(crate) fn new(link: Link, lists: Vec<String>) -> Notifier {
        Notifier { link, lists, waiting: None, subscription: None, backoff: RECONNECT }
    }

    /// Waits until a queue may hold a job. Cancel-safe.
    pub(crate) async fn notified(&mut self) {
        loop {
            let waiting = match &mut self.waiting {
                Some(waiting) => waiting,
                None => {
                    // Kept in `self`: the loop drops this future at each other event, and a blocking command cannot be
                    // taken back.
                    let (link, lists) = (self.link.clone(), self.lists.clone());
                    let wait = wait(link, lists, self.subscription.take(), self.backoff.pause());
                    self.waiting.insert(Box::pin(wait))
                }
            };
            let (subscription, waited) = waiting.await;
            (self.subscription, self.waiting) = (subscription, None);
            if self.subscription.is_some() {
                self.backoff.reset();
            }
            // A wait in vain begins anew without a claim, so that an idle worker sends next to nothing.
            if waited == Waited::Notified {
                return;
            }
        }
    }
}

/// One wait, with the connection of the last one if that still serves. Gives the connection back unless it is of no more
/// use, and then only after a pause.
async fn wait(
    link: Link,
    lists: Vec<String>,
    subscription: Option<Subscription>,
    pause: Duration,
) -> (Option<Subscription>, Waited) {
    let waited = async {
        let mut subscription = match subscription {
            Some(subscription) => subscription,
            None => connect(&link, &lists).await.ok()?,
        };
        let mut newest = subscription.newest.clone();
        let waited = tokio::select! {
            waited = wait_over(&mut subscription, &lists) => waited,
            // Redis is reached over a newer connection: this one may lead to where it was.
            _ = newest.changed() => return None,
        };
        match waited {
            Ok(waited) => Some((subscription, waited)),
            Err(error) if spoils_connection(&error) => None,
            // Redis refuses the command: the worker claims now and then instead.
            Err(_) => {
                tokio::time::sleep(POLL_PAUSE).await;
                Some((subscription, Waited::Notified))
            }
        }
    };
    match waited.await {
        Some((subscription, waited)) => (Some(subscription), waited),
        // Jobs may have come meanwhile, so the worker claims.
        None => {
            tokio::time::sleep(pause).await;
            (None, Waited::Notified)
        }
    }
}

async fn wait_over(subscription: &mut Subscription, lists: &[String]) -> redis::RedisResult<Waited> {
    match lists {
        [list] => rotate(subscription, list).await,
        lists => track(subscription, lists).await,
    }
}

/// Makes the connection: a tracking one for several queues, where the server can.
async fn connect(link: &Link, lists: &[String]) -> Result<Subscription, rq_core::Error> {
    let newest = link.newest();
    // `BLMOVE` notifies of one queue, and needs no tracking. Of several it could watch only the first.
    if lists.len() == 1 {
        return Ok(Subscription { connection: link.waiting_connection().await?, pushes: None, newest });
    }
    let (sender, pushes) = unbounded_channel();
    let mut connection = link.tracking_connection(sender).await?;
    let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await;
    // A server that refuses to track is no reason to fail: the notifier polls then.
    Ok(Subscription { connection, pushes: tracking.is_ok().then_some(pushes), newest })
}

async fn rotate(subscription: &mut Subscription, list: &str) -> redis::RedisResult<Waited> {
    let mut cmd = redis::cmd("BLMOVE");
    // From the head to the head of the same list: nothing leaves the queue, whoever dies meanwhile.
    cmd.arg(list).arg(list).arg("LEFT").arg("LEFT").arg(WAIT_LONGEST.as_secs());
    // The id itself is not read here: it may be no text, and the claim looks at it.
    let moved: Option<redis::Value> =
        within(WAIT_LONGEST + ANSWER_MARGIN, cmd.query_async(&mut subscription.connection)).await?;
    Ok(moved.map_or(Waited::InVain, |_| Waited::Notified))
}

async fn track(subscription: &mut Subscription, lists: &[String]) -> redis::RedisResult<Waited> {
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
        within(ANSWER_MARGIN, lengths.query_async(&mut subscription.connection)).await?;
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
