//! [`RedisError`]: how Redis, or the way to it, failed.

use std::{fmt, io};

use crate::error_class::{self, ErrorClass};
use crate::scripts;
use crate::shown::Shown;

/// What stands before an error within a script, and the script's digest, before Redis 7.
const WRAPPED: &str = "Error running script (call to f_";
/// What stands before the line of a script in which an error came up.
const LINE: &str = "@user_script:";
/// How those errors begin that are of interest without their place.
const TOLD: [&str; 2] = ["this user may not run", "The user executing the script"];

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

    /// Whether another connection may be answered otherwise, so that this one is given up.
    #[cfg(feature = "worker")]
    pub(crate) fn spoils_connection(&self) -> bool {
        error_class::spoils_connection(&self.0)
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
            (None, _) => Shown::line(&self.0).fmt(f)?,
            (Some(code), "") => Shown::line(code).fmt(f)?,
            (Some(code), detail) => {
                // Which line of which script was refused says nothing to whoever reads this.
                write!(f, "{} {}", Shown::name(code), Shown::line(without_place(detail)))?;
                if let Some(command) = refused_command(detail) {
                    write!(f, ": {command}")?;
                }
            }
        }
        match error_class::advice_on(&self.0) {
            "" => Ok(()),
            advice => write!(f, " ({advice})"),
        }
    }
}

/// An error within a script without the place where it came up.
fn without_place(detail: &str) -> &str {
    // The last one: what comes before may say that something failed in a script.
    let placed = detail.rsplit_once(" script: ").filter(|(_, place)| place.contains(LINE));
    let detail = placed.map_or(detail, |(detail, _)| detail).trim_end_matches('.');
    // Before Redis 7 the place comes first.
    let told =
        if detail.starts_with(WRAPPED) { TOLD.iter().find_map(|told| detail.find(told)) } else { None };
    told.map_or(detail, |at| &detail[at..])
}

/// The command that a user may not run, where a server before 7.2 says only in which line of a script that was.
fn refused_command(detail: &str) -> Option<String> {
    if !detail.contains("can't run this command") {
        return None;
    }
    let digest = match detail.split_once(WRAPPED) {
        Some((_, digest)) => digest.split_once(')')?.0,
        None => detail.split_once(" script: ")?.1.split_once(',')?.0,
    };
    let line = detail.split_once(LINE)?.1;
    let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
    scripts::command_at(digest.as_bytes(), line[..digits].parse().ok()?)
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
    fn of_a_connection_that_cannot_be_secured_it_says_what_to_do() {
        let error = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        let text = RedisError::from(error).to_string();
        assert!(text.contains("UnknownIssuer") && text.ends_with("ssl_ca_certs)"), "{text}");
    }

    #[test]
    fn a_command_that_a_script_may_not_run_is_named() {
        let invocation = scripts::ENQUEUE.invoke(&["key"]);
        let Some(redis::Arg::Simple(digest)) = invocation.args_iter().nth(1) else { panic!("no digest") };
        let text = scripts::text_of(digest).unwrap();
        let line = text.lines().position(|line| line.contains("redis.call('LLEN'")).unwrap() + 1;
        let digest = String::from_utf8_lossy(digest);
        let refused = "The user executing the script can't run this command or subcommand";
        for answer in [
            format!("{refused} script: {digest}, on @user_script:{line}."),
            format!(
                "Error running script (call to f_{digest}): @user_script:{line}: @user_script: {line}: {refused}"
            ),
        ] {
            let answer = redis::parse_redis_value(format!("-ERR {answer}\r\n").as_bytes()).unwrap();
            let told = RedisError::from(answer.extract_error().unwrap_err()).to_string();
            assert!(told.starts_with(&format!("ERR {refused}: LLEN (")), "{told}");
        }
    }

    #[test]
    fn a_refusal_in_a_script_is_told_whole() {
        let refused = "ACL failure in script: User v has no permissions to run the 'hset' command";
        for place in ["", " script: 892d1b, on @user_script:1.", " script: on @user_script:1."] {
            let answer = redis::parse_redis_value(format!("-ERR {refused}{place}\r\n").as_bytes()).unwrap();
            let told = RedisError::from(answer.extract_error().unwrap_err()).to_string();
            assert!(told.starts_with(&format!("ERR {refused} (")), "{told}");
        }
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
