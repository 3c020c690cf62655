//! [`Sentinels`]: who knows where the master is, and how they are asked.
//!
//! Not by the client library's own way, which waits for a sentinel that is silent as long as it likes.

use std::time::Duration;

use redis::{Client, Cmd, RedisError, RedisResult};

use crate::redis_url::Host;

/// How long one sentinel may take: a dead host must not cost the time in which the others could answer.
const SENTINEL_LIMIT: Duration = Duration::from_millis(800);

/// The sentinels, in the order to ask them: the one that answered last comes first.
pub(super) struct Sentinels {
    order: Vec<Host>,
}

/// A sentinel to ask for a master.
pub(super) struct Askable {
    pub(super) client: Client,
    pub(super) host: Host,
    pub(super) master: String,
}

/// Where the master is, and who said so.
pub(super) struct Found {
    pub(super) master: Host,
    pub(super) by: Host,
}

impl Sentinels {
    pub(super) fn new(order: Vec<Host>) -> Sentinels {
        Sentinels { order }
    }

    pub(super) fn in_order(&self) -> Vec<Host> {
        self.order.clone()
    }

    /// Notes who knew it.
    pub(super) fn answered(&mut self, by: &Host) {
        self.order.sort_by_key(|host| host != by);
    }

    /// Nobody did in time, or where they led to was of no use: another one comes first.
    pub(super) fn failed(&mut self) {
        self.order.rotate_left(1);
    }
}

impl Askable {
    fn question(&self) -> Cmd {
        let mut cmd = redis::cmd("SENTINEL");
        cmd.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        cmd
    }

    fn read(&self, answer: RedisResult<Option<(String, u16)>>) -> RedisResult<Found> {
        let nobody = || self.failure("it knows no such master");
        let (name, port) = answer.map_err(|error| self.failure(&error.to_string()))?.ok_or_else(nobody)?;
        Ok(Found { master: Host { name, port }, by: self.host.clone() })
    }

    /// As a broken connection is one: asked again, sentinels may know more.
    fn failure(&self, why: &str) -> RedisError {
        let Askable { host, master, .. } = self;
        std::io::Error::other(format!("the sentinel at {host}, asked for the master {master}: {why}")).into()
    }
}

/// Nobody answered.
fn nobody(failure: Option<RedisError>) -> RedisError {
    failure.unwrap_or_else(|| std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}

/// With a runtime.
pub(super) mod asynchronous {
    use super::{Askable, Found, SENTINEL_LIMIT, nobody};
    use crate::link::within;
    use redis::{AsyncConnectionConfig, RedisResult};

    /// Asks one after the other until one knows it.
    pub(in crate::link) async fn ask(sentinels: &[Askable]) -> RedisResult<Found> {
        let mut failure = None;
        for sentinel in sentinels {
            let answer = within(SENTINEL_LIMIT, async {
                let config = AsyncConnectionConfig::new().set_response_timeout(None);
                let mut connection =
                    sentinel.client.get_multiplexed_async_connection_with_config(&config).await?;
                sentinel.question().query_async(&mut connection).await
            });
            match sentinel.read(answer.await) {
                Ok(found) => return Ok(found),
                Err(error) => failure = Some(error),
            }
        }
        Err(nobody(failure))
    }
}

/// Without one.
pub(super) mod blocking {
    use super::{Askable, Found, SENTINEL_LIMIT, nobody};
    use std::time::Instant;

    use crate::link::limit_answers;
    use redis::RedisResult;

    /// Asks one after the other until one knows it, or the time is over.
    pub(in crate::link) fn ask(sentinels: &[Askable], deadline: Instant) -> RedisResult<Found> {
        let mut failure = None;
        for sentinel in sentinels {
            let limit = deadline.saturating_duration_since(Instant::now()).min(SENTINEL_LIMIT);
            // The system refuses to wait for nothing.
            if limit.is_zero() {
                break;
            }
            let answer = || {
                let mut connection = sentinel.client.get_connection_with_timeout(limit)?;
                limit_answers(&connection, limit)?;
                sentinel.question().query(&mut connection)
            };
            match sentinel.read(answer()) {
                Ok(found) => return Ok(found),
                Err(error) => failure = Some(error),
            }
        }
        Err(nobody(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knew_it_is_asked_first() {
        let host = |port| Host { name: "s".to_owned(), port };
        let mut sentinels = Sentinels::new(vec![host(1), host(2), host(3)]);
        sentinels.answered(&host(3));
        assert_eq!(sentinels.in_order(), [host(3), host(1), host(2)]);
        sentinels.answered(&host(9));
        assert_eq!(sentinels.in_order(), [host(3), host(1), host(2)]);
        sentinels.failed();
        assert_eq!(sentinels.in_order(), [host(1), host(2), host(3)]);
    }
}
