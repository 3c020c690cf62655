//! What the two fronts differ in, under the same names for both: how they reach Redis.

/// With a runtime.
pub(crate) mod asynchronous {
    use std::time::Duration;

    use redis::aio::MultiplexedConnection;

    use crate::error::Error;
    use crate::link::Link;

    /// The connection that a front and all it hands out share.
    pub(crate) type SharedLink = Link;

    pub(crate) async fn open(url: &str) -> Result<SharedLink, Error> {
        Link::open(url).await
    }

    /// A connection of its own for one waiter, which bounds its commands itself.
    pub(crate) async fn waiting_connection(
        link: &SharedLink,
        _longest: Duration,
    ) -> Result<MultiplexedConnection, Error> {
        link.waiting_connection().await
    }
}

/// Without one.
pub(crate) mod blocking {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::error::Error;
    use crate::link::BlockingLink;

    /// The connection that a front and all it hands out share.
    pub(crate) type SharedLink = Arc<BlockingLink>;

    pub(crate) fn open(url: &str) -> Result<SharedLink, Error> {
        Ok(Arc::new(BlockingLink::open(url)?))
    }

    /// A connection of its own for one waiter, whose commands may block for `longest`.
    pub(crate) fn waiting_connection(
        link: &SharedLink,
        longest: Duration,
    ) -> Result<redis::Connection, Error> {
        link.waiting_connection(longest)
    }
}
