//! [`RedisError`]: how Redis, or the way to it, failed.

use std::io;

/// How Redis, or the way to it, failed. It hides which client library is used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RedisError(redis::RedisError);

impl RedisError {
    /// The word that begins Redis' own error, such as `OOM`, `READONLY` or `NOAUTH`; `None` where Redis did not answer.
    pub fn code(&self) -> Option<&str> {
        self.0.code()
    }

    /// Whether the connection broke, was refused, or gave no answer in time: what was sent may have been done, and
    /// trying later may help.
    pub fn is_connection_broken(&self) -> bool {
        is_broken(&self.0)
    }

    /// Whether no connection came about, so that nothing was sent.
    pub fn is_connection_refused(&self) -> bool {
        self.0.is_connection_refusal()
    }
}

/// The connection broke with this.
impl From<io::Error> for RedisError {
    fn from(error: io::Error) -> RedisError {
        RedisError(error.into())
    }
}

/// For `?` in RQ's own crates, which know the client library. Other code should not rely on it.
#[doc(hidden)]
impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> RedisError {
        RedisError(error)
    }
}

/// Whether the connection broke, so that it is unknown whether the commands were run.
pub fn is_broken(error: &redis::RedisError) -> bool {
    // A timeout as well: the answer may only be late, and the commands were run.
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn it_says_what_the_library_says_once() {
        let cause = || redis::RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        let error = RedisError::from(cause());
        assert_eq!(error.to_string(), cause().to_string());
        assert_eq!(error.source().map(ToString::to_string), cause().source().map(ToString::to_string));
        assert!(error.is_connection_broken() && error.is_connection_refused());
        assert_eq!(error.code(), None);
    }

    #[test]
    fn a_refusal_has_its_code() {
        let answer = redis::parse_redis_value(b"-OOM command not allowed\r\n").unwrap();
        let error = RedisError::from(answer.extract_error().unwrap_err());
        assert_eq!(error.code(), Some("OOM"));
        assert!(!error.is_connection_broken());
    }
}
