//! [`Link`]: a shared connection to Redis for tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::sync::Mutex;

use super::limit::within;
use super::place::{Place, introduced};
use super::reconnecting::Reconnecting;
use super::step::{Again, Answers, Step, Tried};
use crate::error::Error;
use crate::error_class::of_connecting;
use crate::keys::Keys;

/// A shared connection to Redis for tokio, which is replaced when it is of no more use.
///
/// Clones share the connection.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    answer_limit: Duration,
}

struct Shared {
    place: Place,
    slot: Mutex<Slot>,
    /// How often those who need a connection were told that there is none.
    failures: AtomicU64,
    /// The number of the newest connection, to whoever has connections beside it.
    #[cfg(feature = "worker")]
    newest: tokio::sync::watch::Sender<u64>,
}

struct Slot {
    connection: Option<Numbered>,
    /// The number of the newest connection there was, from 1.
    number: u64,
    reconnecting: Reconnecting,
    /// What they were told last.
    failure: Option<redis::RedisError>,
}

/// A connection, and which one of the link's it is.
#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
    /// Whether a step was answered over it.
    has_served: Arc<AtomicBool>,
}

impl Link {
    /// Connects to `url`, a [`RedisUrl`](crate::RedisUrl).
    pub async fn open(url: &str) -> Result<Link, Error> {
        let slot = Slot { connection: None, number: 0, reconnecting: Reconnecting::new(), failure: None };
        let place = Place::new(url)?;
        let answer_limit = place.answer_limit();
        let shared = Shared {
            place,
            slot: Mutex::new(slot),
            failures: AtomicU64::new(0),
            #[cfg(feature = "worker")]
            newest: tokio::sync::watch::Sender::new(0),
        };
        let link = Link { shared: Arc::new(shared), answer_limit };
        link.shared.connection().await?;
        Ok(link)
    }

    /// Runs a step: sends it, once more if that is safe and the connection was of no use, and reads the answers.
    pub async fn run<T>(&self, step: &Step<T>) -> Result<T, Error> {
        self.run_within(self.answer_limit, step).await
    }

    /// [`run`](Link::run) for a caller who waits no longer than `limit` for an answer.
    pub(crate) async fn run_within<T>(&self, limit: Duration, step: &Step<T>) -> Result<T, Error> {
        if step.is_empty() {
            return step.read(Vec::new());
        }
        let deadline = Instant::now() + limit;
        let (mut pipeline, mut tried, mut broken) = (step.pipeline(), Tried::nothing(), None);
        loop {
            let Numbered { number, mut connection, has_served } = match self.shared.connection().await {
                Ok(connection) => connection,
                // What was sent before may have been done, which the caller has to know.
                Err(error) => return Err(broken.unwrap_or(error).into()),
            };
            connection.set_response_timeout(limit);
            let result: RedisResult<Answers> = pipeline.query_async(&mut connection).await;
            let verdict = step.judge(&result, &mut tried);
            if verdict.connection_serves {
                has_served.store(true, Ordering::Relaxed);
                self.learn_nodes(connection);
            } else {
                self.shared.give_up(number, verdict.node.as_deref()).await;
            }
            let in_time = |_: &Again| verdict.pause.is_zero() || Instant::now() + verdict.pause < deadline;
            let Some(again) = verdict.again.filter(in_time) else { return step.read(result?) };
            tokio::time::sleep(verdict.pause).await;
            broken = result.err();
            pipeline = step.pipeline_again(again);
        }
    }

    /// Asks for the nodes of the cluster, if they are wanted. Whoever has an answer need not wait for that.
    fn learn_nodes(&self, mut connection: MultiplexedConnection) {
        if let Some(question) = self.shared.place.question_for_nodes() {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                shared.place.learn_nodes(&question.query_async(&mut connection).await);
            });
        }
    }

    /// A connection of its own for one waiter: commands on it may block as long as they like.
    pub async fn waiting_connection(&self) -> Result<MultiplexedConnection, Error> {
        // Not the shared connection: Redis answers in order, so one blocking command would hold up all that come
        // after it.
        let client = self.shared.place.client().await?;
        // No limit to an answer: a blocking command says itself how long it waits.
        Ok(self
            .shared
            .place
            .connect(&client, AsyncConnectionConfig::new().set_response_timeout(None))
            .await?)
    }

    /// Says which keys are used here. Where they share a slot, the server may be a cluster's: its nodes are asked for then
    /// (`CLUSTER SLOTS`), and when one dies the others are tried.
    pub fn follow_cluster(&self, keys: &Keys) {
        self.shared.place.follow_cluster(keys);
    }
}

/// What workers need beside.
#[cfg(feature = "worker")]
impl Link {
    /// The same link, for steps that wait no longer than `limit` for an answer.
    ///
    /// The URL's `socket_timeout` stays, where that is shorter.
    pub fn with_answer_limit(mut self, limit: Duration) -> Link {
        self.answer_limit = match self.shared.place.url().answer_limit {
            Some(urls) => limit.min(urls),
            None => limit,
        };
        self
    }

    /// The number of the newest connection, which rises with each: Redis may have moved, and connections beside this one
    /// lead to where it was.
    pub fn newest(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    /// A subscription to a channel, over a connection of its own (`SUBSCRIBE`).
    pub async fn subscribe(
        &self,
        channel: &str,
    ) -> Result<(redis::aio::PubSubSink, redis::aio::PubSubStream), Error> {
        // While it is subscribed, a connection takes hardly any other command.
        within(self.shared.place.connect_limit(), async {
            let client = self.shared.place.client().await?;
            let mut connection = client.get_async_pubsub().await?;
            connection.subscribe(channel).await?;
            Ok(connection.split())
        })
        .await
    }

    /// A connection of its own that speaks RESP3 and hands invalidations to `pushes` (`CLIENT TRACKING`).
    pub async fn tracking_connection(
        &self,
        pushes: tokio::sync::mpsc::UnboundedSender<redis::PushInfo>,
    ) -> Result<MultiplexedConnection, Error> {
        let client = self.shared.place.client().await?;
        let info = client.get_connection_info().clone();
        // Only RESP3 lets Redis push invalidations over the connection that asked for them.
        let settings = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(pushes);
        Ok(self.shared.place.connect(&client, config).await?)
    }
}

impl Shared {
    /// The connection, which is made if there is none.
    async fn connection(&self) -> RedisResult<Numbered> {
        let failures = self.failures.load(Ordering::Relaxed);
        // Held while a connection is made: all who need one wait for the same attempt.
        let mut slot = self.slot.lock().await;
        loop {
            if let Some(connection) = &slot.connection {
                return Ok(connection.clone());
            }
            let has_failed_meanwhile = self.failures.load(Ordering::Relaxed) > failures;
            if let Some(failure) = slot.failure.as_ref().filter(|_| has_failed_meanwhile) {
                return Err(failure.clone());
            }
            if let Some(at) = slot.reconnecting.not_before() {
                tokio::time::sleep_until(at.into()).await;
            }
            let began = Instant::now();
            // A caller who waits no longer takes the attempt with it, which has failed for all others then.
            let attempt = Attempt { place: &self.place, is_over: false };
            match attempt.end(self.connect().await) {
                Ok(connection) => self.succeeded(&mut slot, connection),
                Err(error) => {
                    if slot.reconnecting.failed(began) {
                        continue;
                    }
                    // At the first connection it is told as it is: nothing depends on its class yet.
                    let error = if slot.number > 0 { of_connecting(error) } else { error };
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    slot.failure = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let limit = self.place.connect_limit();
        // Around all of it: asking sentinels, looking up the name, and what is said first on a connection.
        within(limit, async {
            let client = self.place.client().await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.place.answer_limit()));
            self.place.connect(&client, config).await
        })
        .await
    }

    fn succeeded(&self, slot: &mut Slot, connection: MultiplexedConnection) {
        slot.failure = None;
        slot.number += 1;
        let has_served = Arc::new(AtomicBool::new(false));
        slot.connection = Some(Numbered { number: slot.number, connection, has_served });
        self.place.connected();
        #[cfg(feature = "worker")]
        self.newest.send_replace(slot.number);
    }

    /// Gives up the connection of that number, unless that is done already.
    async fn give_up(&self, number: u64, node: Option<&str>) {
        let mut slot = self.slot.lock().await;
        let Some(connection) = slot.connection.take_if(|connection| connection.number == number) else {
            return;
        };
        // Closed once the steps under way on it have their answers, or have waited for them long enough.
        match node {
            Some(node) => self.place.moved(node),
            None if !connection.has_served.load(Ordering::Relaxed) => self.place.failed(),
            None => {}
        }
        if connection.has_served.load(Ordering::Relaxed) {
            slot.reconnecting.succeeded();
        } else {
            // It led to a server that is no better: the next one may wait as after an attempt that failed.
            slot.reconnecting.failed(Instant::now());
        }
    }
}

/// An attempt to connect, which has failed if it does not come to its end.
struct Attempt<'a> {
    place: &'a Place,
    is_over: bool,
}

impl Attempt<'_> {
    fn end<T>(mut self, result: RedisResult<T>) -> RedisResult<T> {
        self.is_over = result.is_ok();
        result
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.place.failed();
        }
    }
}

impl Place {
    /// A connection of this configuration, made within the limit and introduced.
    async fn connect(
        &self,
        client: &Client,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let limit = self.connect_limit();
        let config = config.set_connection_timeout(Some(limit));
        within(limit, async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            if let Some(introduction) = self.introduction() {
                introduced(introduction.exec_async(&mut connection).await)?;
            }
            Ok(connection)
        })
        .await
    }
}
