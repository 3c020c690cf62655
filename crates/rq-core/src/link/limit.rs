//! [`within`]: work that is given up after a time, as a connection without an answer is.

use std::future::Future;
use std::io;
use std::time::Duration;

use redis::RedisError;

/// What `work` yields; the error of a connection that gives no answer where that takes longer than `limit`.
pub async fn within<T, E: From<RedisError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(timed_out().into()),
    }
}

/// The error of a connection that gives no answer.
pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
