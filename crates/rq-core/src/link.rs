//! [`Link`] and [`BlockingLink`]: the only places that talk to the Redis client library.
//!
//! A [`Step`] says what to send and how to read the answer; the two links run steps, one for tokio and one without
//! it. Neither re-sends a step that is not safe to send twice.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisResult,
    ServerErrorKind,
};

use crate::error::Error;
#[cfg(feature = "worker")]
pub use crate::redis_error::is_broken;
#[cfg(not(feature = "worker"))]
use crate::redis_error::is_broken;
use crate::scripts;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the 5 s after which Redis calls a script slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one command tries to connect anew before it fails.
const CONNECT_ATTEMPTS: usize = 3;
/// The longest pause between two of those attempts.
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The answers to a step's commands, in order.
pub type Answers = Vec<RedisResult<redis::Value>>;

/// What to send to Redis, and how to read the answers.
#[must_use = "a step does nothing until a link takes it"]
pub struct Step<T> {
    name: &'static str,
    pipeline: Pipeline,
    /// Whether the step has the same effect sent once or twice.
    resend: bool,
    read: Box<dyn Fn(Answers) -> Result<T, Error> + Send + Sync>,
}

impl<T> Step<T> {
    /// A step that may be sent twice: it only reads, or is fenced.
    pub fn new(
        name: &'static str,
        mut pipeline: Pipeline,
        read: impl Fn(Answers) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Step<T> {
        // Each command has an answer of its own: the client would else fail the whole step for one key of a wrong
        // type.
        pipeline.ignore_errors();
        Step { name, pipeline, resend: true, read: Box::new(read) }
    }

    /// The same step, which must not be sent twice.
    pub fn once(mut self) -> Step<T> {
        self.resend = false;
        self
    }

    /// The step's name in errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the step should be sent again after `result`.
    fn wants_resend(&self, result: &RedisResult<Answers>, tries: &mut Tries) -> Option<Again> {
        match result {
            // Redis forgets its scripts when it restarts, or with `SCRIPT FLUSH`. That comes as an answer, not as a
            // broken connection.
            Ok(answers) if !tries.loaded && self.is_unknown_script(answers) => {
                tries.loaded = true;
                Some(Again::LoadScripts)
            }
            // Once only: a Redis that is away for longer is waited for by who sends the step (`outage.rs` of the
            // worker), or told to the caller.
            Err(error) if !tries.resent && self.resend && is_broken(error) => {
                tries.resent = true;
                Some(Again::AsItIs)
            }
            _ => None,
        }
    }

    /// Whether the server did not know a script, and sending the step anew does nothing twice.
    fn is_unknown_script(&self, answers: &Answers) -> bool {
        // Of a step that must not be sent twice, no command may have been run.
        let unknown = answers.iter().filter(|answer| is_noscript(answer)).count();
        if self.resend { unknown > 0 } else { unknown > 0 && unknown == answers.len() }
    }
}

/// Which of the two remedies a link has tried for a step: each once, and both where a server restarts.
#[derive(Default)]
struct Tries {
    resent: bool,
    loaded: bool,
}

enum Again {
    AsItIs,
    /// The server does not know the scripts: none of them was run, and the rest of the step is safe to repeat.
    LoadScripts,
}

fn is_noscript(answer: &RedisResult<redis::Value>) -> bool {
    let noscript = ErrorKind::Server(ServerErrorKind::NoScript);
    matches!(answer, Err(error) if error.kind() == noscript)
}

/// A shared connection to Redis for tokio, which comes back by itself after it broke.
#[derive(Clone)]
pub struct Link {
    client: Client,
    shared: ConnectionManager,
}

impl Link {
    /// Connects to `url`: `redis://`, `rediss://` or `unix:///path?db=n`.
    pub async fn open(url: &str) -> Result<Link, Error> {
        let client = client(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(CONNECT_ATTEMPTS)
            .set_max_delay(CONNECT_PAUSE_MAX);
        let shared = client.get_connection_manager_with_config(config).await?;
        Ok(Link { client, shared })
    }

    /// Runs a step: sends it, once more if that is safe and the connection broke, and reads the answers.
    pub async fn run<T>(&self, step: &Step<T>) -> Result<T, Error> {
        // The client refuses an empty pipeline.
        if step.pipeline.is_empty() {
            return (step.read)(Vec::new());
        }
        // A clone is a handle to the one connection: steps of others are under way on it at the same time.
        let mut shared = self.shared.clone();
        let mut tries = Tries::default();
        loop {
            let result: RedisResult<Answers> = step.pipeline.query_async(&mut shared).await;
            match step.wants_resend(&result, &mut tries) {
                Some(Again::AsItIs) => {}
                Some(Again::LoadScripts) => scripts::load_all().query_async::<()>(&mut shared).await?,
                None => return (step.read)(result?),
            }
        }
    }

    /// A connection of its own for one waiter: commands on it may block as long as they like.
    pub async fn waiting_connection(&self) -> Result<MultiplexedConnection, Error> {
        // Not the shared connection: Redis answers in order, so one blocking command would hold up all that come
        // after it.
        let config = waiting_config();
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

/// The connections on which a worker waits.
#[cfg(feature = "worker")]
impl Link {
    /// The messages of a channel, over a connection of their own (`SUBSCRIBE`).
    pub async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSubStream, Error> {
        // While it is subscribed, a connection takes hardly any other command.
        let mut connection = self.client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok(connection.into_on_message())
    }

    /// A connection of its own that speaks RESP3 and hands invalidations to `pushes` (`CLIENT TRACKING`).
    pub async fn tracking_connection(
        &self,
        pushes: tokio::sync::mpsc::UnboundedSender<redis::PushInfo>,
    ) -> Result<MultiplexedConnection, Error> {
        let info = self.client.get_connection_info().clone();
        // Only RESP3 lets Redis push invalidations over the connection that asked for them.
        let settings = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let config = waiting_config().set_push_sender(pushes);
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

fn waiting_config() -> AsyncConnectionConfig {
    // No limit to an answer: a blocking command says itself how long it waits.
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None)
}

/// A connection to Redis for programs without a runtime. It is made when first needed, and anew after it broke.
pub struct BlockingLink {
    client: Client,
    connection: Mutex<Option<redis::Connection>>,
}

impl BlockingLink {
    /// Connects to `url`.
    pub fn open(url: &str) -> Result<BlockingLink, Error> {
        let client = client(url)?;
        let connection = connect(&client)?;
        Ok(BlockingLink { client, connection: Mutex::new(Some(connection)) })
    }

    /// Runs a step: sends it, once more if that is safe and the connection broke, and reads the answers.
    pub fn run<T>(&self, step: &Step<T>) -> Result<T, Error> {
        if step.pipeline.is_empty() {
            return (step.read)(Vec::new());
        }
        // Held for the whole round trip: the connection serves one step after the other. A panic in between leaves
        // the slot empty, and the next step connects anew.
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tries = Tries::default();
        loop {
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => connect(&self.client)?,
            };
            let result: RedisResult<Answers> = step.pipeline.query(&mut connection);
            let again = step.wants_resend(&result, &mut tries);
            if let Some(Again::LoadScripts) = again {
                scripts::load_all().query::<()>(&mut connection)?;
            }
            // Not kept after an error: it is broken, or may still deliver an answer that the next step would take for
            // its own.
            if result.is_ok() {
                *slot = Some(connection);
            }
            if again.is_none() {
                return (step.read)(result?);
            }
        }
    }

    /// A connection of its own for one waiter, whose commands may block for `longest`.
    pub fn waiting_connection(&self, longest: Duration) -> Result<redis::Connection, Error> {
        let connection = connect(&self.client)?;
        // Longer than the command blocks, so that the socket's limit tells a Redis that is gone and not a wait
        // without a result.
        connection.set_read_timeout(Some(longest + ANSWER_TIMEOUT))?;
        Ok(connection)
    }
}

fn connect(client: &Client) -> Result<redis::Connection, Error> {
    let connection = client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

/// A client whose connections send small packets at once (`TCP_NODELAY`), which redis 1.x does not do by default.
fn client(url: &str) -> Result<Client, Error> {
    let info: ConnectionInfo = as_the_client_reads(url).as_ref().into_connection_info()?;
    Ok(Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?)
}

/// `url` in the form that the client library reads, where Python's reads more: in `redis://host/1?db=2` the query
/// decides, and a host that is left out is this machine.
fn as_the_client_reads(url: &str) -> Cow<'_, str> {
    let Some((scheme @ ("redis" | "rediss"), rest)) = url.split_once("://") else {
        return Cow::Borrowed(url);
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    // The client library takes the database from the path alone, and passes over `db` in the query of such a URL.
    let (db, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("db="));
    let host = match authority {
        no_host if no_host.is_empty() || no_host.ends_with('@') => format!("{no_host}localhost"),
        with_host => with_host.to_owned(),
    };
    let path = db.first().map_or(path, |pair| &pair["db=".len()..]);
    let query = others.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    Cow::Owned(format!("{scheme}://{host}/{path}{mark}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_python_does() {
        for (url, expected) in [
            ("redis://h:1?db=2", "redis://h:1/2"),
            ("redis://h/1?db=2&protocol=resp3", "redis://h/2?protocol=resp3"),
            ("redis://h", "redis://h/"),
            ("redis://h/1?protocol=resp3", "redis://h/1?protocol=resp3"),
            ("redis:///2", "redis://localhost/2"),
            ("redis://:p@/2", "redis://:p@localhost/2"),
            ("unix:///tmp/s?db=2", "unix:///tmp/s?db=2"),
        ] {
            assert_eq!(as_the_client_reads(url), expected);
        }
    }
}
