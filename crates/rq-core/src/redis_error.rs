//! [`RedisError`]: how Redis, or the way to it, failed.

use std::{fmt, io};

use crate::error_class::{self, ErrorClass};

/// How Redis, or the way to it, failed. It hides which client library is used.
#[derive(Clone, Debug)]
pub struct RedisError(redis::RedisError);

impl RedisError {
    /// The word that begins Redis' own error, such as `OOM`, `READONLY` or `NOAUTH`; `None` where Redis did not answer.
    pub fn code(&self) -> Option<&str> {
        error_class::code_of(&self.0)
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        error_class::class_of(&self.0)
    }

    /// Whether the connection broke, was refused, or gave no answer in time: what was sent may have been done, and
    /// trying later may help.
    pub fn is_connection_broken(&self) -> bool {
        error_class::is_broken(&self.0)
    }

    /// Whether no connection came about, so that nothing was sent.
    pub fn is_connection_refused(&self) -> bool {
        self.0.is_connection_refusal()
    }
}

/// What the client library says, or of Redis' own errors the error itself, and what an operator can do about it.
impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.detail().unwrap_or_default()) {
            (None, _) => self.0.fmt(f)?,
            (Some(code), "") => f.write_str(code)?,
            (Some(code), detail) => {
                // Which line of which script was refused says nothing to whoever reads this.
                let detail = detail.rsplit_once(" script: ").map_or(detail, |(detail, _)| detail);
                write!(f, "{code} {}", detail.trim_end_matches('.'))?;
            }
        }
        match error_class::advice_on(&self.0) {
            "" => Ok(()),
            advice => write!(f, " ({advice})"),
        }
    }
}

impl std::error::Error for RedisError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The one inside says the same; its cause may say more.
        std::error::Error::source(&self.0).filter(|_| self.0.code().is_none())
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

    fn refused(answer: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        RedisError::from(answer.extract_error().unwrap_err())
    }

    #[test]
    fn the_reason_is_told_without_the_line_of_the_script() {
        // Redis 7.2 and newer, and Valkey, which names no digest since 9.
        for place in ["8615b9, on @user_script:1.", "on @user_script:1."] {
            let reason = "ACL failure in script: User w has no permissions to run the 'set' command";
            let told = refused(&format!("ERR {reason} script: {place}")).to_string();
            assert_eq!(told, format!("ERR {reason} (give this user the commands and keys of RQ)"));
        }
    }

    #[test]
    fn of_a_connection_that_cannot_be_secured_it_says_what_to_do() {
        let error = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        let text = RedisError::from(error).to_string();
        assert!(text.contains("UnknownIssuer") && text.ends_with("ssl_ca_certs)"), "{text}");
    }

    #[test]
    fn a_refusal_has_its_code_and_says_what_can_be_done() {
        let error = refused("OOM command not allowed. script: 8615b9, on @user_script:12.");
        assert_eq!((error.code(), error.class()), (Some("OOM"), ErrorClass::Passing));
        assert!(!error.is_connection_broken());
        let text = "OOM command not allowed (raise its maxmemory, or remove what is not needed)";
        assert_eq!((error.to_string().as_str(), error.source().is_none()), (text, true));
    }
}
