//! What the two fronts differ in, under the same names for both: how they reach Redis.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::redis_url::RedisUrl;

/// Warns of what in `url` has no effect, the first time that something has none: a service may connect often.
fn warn_once_of(url: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    // What is wrong with a URL the link says.
    let Ok(url) = RedisUrl::parse(url) else { return };
    if !url.warnings().is_empty() && !WARNED.swap(true, Ordering::Relaxed) {
        url.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    }
}

/// With a runtime.
pub(crate) mod asynchronous {
    use std::time::Duration;

    use redis::Cmd;
    use redis::aio::MultiplexedConnection;

    use crate::error::Error;
    use crate::link::{Link, Step, within};

    /// The connection that a front and all it hands out share.
    pub(crate) type SharedLink = Link;

    pub(crate) async fn open(url: &str) -> Result<SharedLink, Error> {
        super::warn_once_of(url);
        Link::open(url).await
    }

    /// A connection of its own for one waiter.
    pub(crate) type WaitingConnection = MultiplexedConnection;

    /// Makes one, within `limit`.
    pub(crate) async fn waiting_connection(
        link: &SharedLink,
        limit: Duration,
    ) -> Result<WaitingConnection, Error> {
        within(limit, link.waiting_connection()).await
    }

    /// Runs a step, and waits no longer than `limit` for it.
    pub(crate) async fn run_within<T>(
        link: &SharedLink,
        limit: Duration,
        step: &Step<T>,
    ) -> Result<T, Error> {
        within(limit, link.run_within(limit, step)).await
    }

    /// Sends a command that may block, and waits no longer than `limit` for its answer.
    pub(crate) async fn ask(
        connection: &mut WaitingConnection,
        limit: Duration,
        cmd: &Cmd,
    ) -> Result<redis::Value, Error> {
        within(limit, async { Ok(cmd.query_async(connection).await?) }).await
    }

    pub(crate) async fn sleep(pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// Without one.
pub(crate) mod blocking {
    use std::sync::Arc;
    use std::time::Duration;

    use redis::Cmd;

    use crate::error::Error;
    use crate::link::{BlockingLink, Step, limit_answers};

    /// The connection that a front and all it hands out share.
    pub(crate) type SharedLink = Arc<BlockingLink>;

    pub(crate) fn open(url: &str) -> Result<SharedLink, Error> {
        super::warn_once_of(url);
        Ok(Arc::new(BlockingLink::open(url)?))
    }

    /// A connection of its own for one waiter.
    pub(crate) type WaitingConnection = redis::Connection;

    /// Makes one, within `limit`.
    pub(crate) fn waiting_connection(link: &SharedLink, limit: Duration) -> Result<WaitingConnection, Error> {
        link.waiting_connection(limit)
    }

    /// Runs a step, and waits no longer than `limit` for it.
    pub(crate) fn run_within<T>(link: &SharedLink, limit: Duration, step: &Step<T>) -> Result<T, Error> {
        link.run_within(limit, step)
    }

    /// Sends a command that may block, and waits no longer than `limit` for its answer.
    pub(crate) fn ask(
        connection: &mut WaitingConnection,
        limit: Duration,
        cmd: &Cmd,
    ) -> Result<redis::Value, Error> {
        limit_answers(connection, limit)?;
        Ok(cmd.query(connection)?)
    }

    pub(crate) fn sleep(pause: Duration) {
        std::thread::sleep(pause);
    }
}
