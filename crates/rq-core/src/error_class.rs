//! [`ErrorClass`]: what to do about an answer of Redis that is an error. One table says it for all of RQ.

use redis::{ErrorKind, RedisError};

/// What to do about an error of Redis, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// It is about what was sent, such as a key of a wrong type: sent again, it would be refused again.
    Fault,
    /// The server will take it later: send it again until then.
    Passing,
    /// There was no answer, or this is not the place any more: connect anew, and send it again.
    Moved,
    /// Somebody has to give this user, or this server, what it lacks: say so, and send it again until then, but not for ever.
    Misconfigured,
}

/// An error of Redis: how it begins, what its text has in it, and what is to be done about it.
struct Row {
    code: &'static str,
    /// Empty for any text.
    text: &'static str,
    class: ErrorClass,
    /// Whether the connection is replaced: another one may lead elsewhere, or be let in.
    reconnects: bool,
    /// What an operator can do.
    advice: &'static str,
}

const fn row(
    code: &'static str,
    text: &'static str,
    class: ErrorClass,
    reconnects: bool,
    advice: &'static str,
) -> Row {
    Row { code, text, class, reconnects, advice }
}

const RECONNECTS: bool = true;
const STAYS: bool = false;
const PERMISSIONS: &str = "give this user the commands and keys of RQ: docs/operations.md";

const TAGGED_PREFIX: &str = "in a cluster, set RQ_KEY_PREFIX to a prefix with a hash tag, such as {app}:rq, for producers and workers alike";

const ANOTHER_NODE: &str = "another node of the cluster has these keys; without a hash tag in RQ_KEY_PREFIX, as in {app}:rq, they are on several";

/// The first row that fits decides. What is not in the table is a [`Fault`](ErrorClass::Fault).
const TABLE: &[Row] = {
    use ErrorClass::{Fault, Misconfigured, Moved, Passing};
    &[
        // A server that is a replica now, or follows one that it cannot reach, or is not the one for this slot.
        row("READONLY", "", Moved, RECONNECTS, "this server is a replica"),
        row("MASTERDOWN", "", Moved, RECONNECTS, "this server is a replica without its master"),
        row("CLUSTERDOWN", "", Moved, RECONNECTS, "the cluster has no node for these keys"),
        row("MOVED", "", Moved, RECONNECTS, ANOTHER_NODE),
        row("ERR", "non local key", Moved, RECONNECTS, "the cluster moves these keys"),
        // It restarts: its name may lead to another one meanwhile.
        row("LOADING", "", Moved, RECONNECTS, "it restarts and reads its data"),
        row("ERR", "max number of clients", Passing, RECONNECTS, "raise its maxclients"),
        row("BUSY", "", Passing, STAYS, "a script runs there for long"),
        // So the client library tells of a refused `SELECT`, whose code it drops.
        row("ERR", "is busy running a script", Passing, STAYS, "a script runs there for long"),
        row("ERR", "Authentication required", Misconfigured, RECONNECTS, "give the URL a password"),
        row("ERR", "no permissions to run the 'select'", Misconfigured, RECONNECTS, PERMISSIONS),
        row("UNKILLABLE", "", Passing, STAYS, "a script runs there for long"),
        row("TRYAGAIN", "", Passing, STAYS, "the cluster moves these keys"),
        row("ASK", "", Passing, STAYS, "the cluster moves these keys"),
        row("CROSSSLOT", "", Misconfigured, STAYS, TAGGED_PREFIX),
        row("ERR", "do not hash to the same slot", Misconfigured, STAYS, TAGGED_PREFIX),
        row("NOSCRIPT", "", Passing, STAYS, "it is told to forget its scripts all the time"),
        row("NOREPLICAS", "", Passing, STAYS, "it takes no writes with so few replicas"),
        row("MISCONF", "", Passing, STAYS, "it cannot save its data; see its log"),
        row("OOM", "", Passing, STAYS, "raise its maxmemory, or remove what is not needed"),
        // Who we are, and what we may do. A password that is refused while a server restarts may be taken later.
        row("NOAUTH", "", Misconfigured, RECONNECTS, "give the URL a password"),
        // Who has not said who it is may send short commands alone, and is told nothing else of a long one.
        row("ERR", "Protocol error: unauthenticated", Misconfigured, RECONNECTS, "give the URL a password"),
        row("WRONGPASS", "", Misconfigured, RECONNECTS, "correct the user and the password of the URL"),
        row("DENIED", "", Misconfigured, RECONNECTS, "this server takes no connections from here"),
        row("NOPERM", "", Misconfigured, STAYS, PERMISSIONS),
        row("ERR", "ACL failure in script", Misconfigured, STAYS, PERMISSIONS),
        row("ERR", "can't run this command", Misconfigured, STAYS, PERMISSIONS),
        row("ERR", "this user may not run", Misconfigured, STAYS, PERMISSIONS),
        row("ERR", "can't publish to the channel", Misconfigured, STAYS, PERMISSIONS),
        row(
            "ERR",
            "can't access at least one of the keys",
            Misconfigured,
            STAYS,
            "give this user the keys of RQ",
        ),
        row("ERR", "unknown command", Misconfigured, STAYS, "this server lacks a command, or has renamed it"),
        // The server closes the connection after each of these.
        row(
            "ERR",
            "Protocol error: invalid bulk length",
            Fault,
            RECONNECTS,
            "that is too large for this server",
        ),
        row("ERR", "Protocol error", Moved, RECONNECTS, ""),
    ]
};

/// What an operator can do where no secured connection is agreed to, by what rustls says.
const SECURING: [(&str, &str); 6] = [
    (
        "not valid for name",
        "its certificate is for another host; ask for that one, or set ssl_check_hostname=no",
    ),
    ("UnknownIssuer", "name the authority that its certificate is from: ssl_ca_certs"),
    ("certificate expired", "the server's certificate is too old"),
    ("InvalidContentType", "nothing there speaks TLS; without it, the URL begins with redis://"),
    ("CertificateRequired", "the server asks for a certificate of ours: ssl_certfile and ssl_keyfile"),
    ("fatal alert", "the server refuses our certificate, or how we speak TLS: ssl_certfile and ssl_keyfile"),
];

/// What to do about an error.
pub(crate) fn class_of(error: &RedisError) -> ErrorClass {
    if is_broken(error) {
        return ErrorClass::Moved;
    }
    match error.kind() {
        // The client library says this of a refused password, whatever the server said.
        ErrorKind::AuthenticationFailed => ErrorClass::Misconfigured,
        _ => row_of(error).map_or(ErrorClass::Fault, |row| row.class),
    }
}

/// Whether the connection on which this came is of no more use.
pub fn spoils_connection(error: &RedisError) -> bool {
    is_broken(error) || row_of(error).is_some_and(|row| row.reconnects)
}

/// Whether a cluster says that another of its nodes has the keys, or soon will: the command has done nothing.
pub(crate) fn is_of_moving_keys(error: &RedisError) -> bool {
    // Not one from within a script, which may have written before.
    matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN"))
}

/// An error of making a connection: since nothing was sent, it is about no step, whatever it says.
pub(crate) fn of_connecting(error: RedisError) -> RedisError {
    match class_of(&error) {
        ErrorClass::Fault => std::io::Error::other(error.to_string()).into(),
        _ => error,
    }
}

/// Whether the connection broke, so that it is unknown whether the commands were run.
pub(crate) fn is_broken(error: &RedisError) -> bool {
    // A timeout as well: the answer may only be late, and the commands were run. What cannot be parsed was an answer.
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.kind() == ErrorKind::Parse
}

/// What an operator can do about an error; empty where that is nothing in particular.
pub(crate) fn advice_on(error: &RedisError) -> &'static str {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "correct the user and the password of the URL; a password alone is written :password@";
    }
    if error.code().is_some() {
        return row_of(error).map_or("", |row| row.advice);
    }
    let text = error.to_string();
    SECURING.iter().find(|(part, _)| text.contains(part)).map_or("", |(_, advice)| advice)
}

/// The word that begins an error of Redis.
pub(crate) fn code_of(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    Some(error.detail().and_then(within_script).unwrap_or(code))
}

fn row_of(error: &RedisError) -> Option<&'static Row> {
    let code = code_of(error)?;
    let text = error.detail().unwrap_or_default();
    TABLE.iter().find(|row| row.code == code && text.contains(row.text))
}

/// The code of an error within a script, as Redis before 7 wraps it: `Error running script (call to f_<digest>):
/// @user_script:1: @user_script: 1: -READONLY You can't write ..`.
fn within_script(text: &str) -> Option<&str> {
    let text = text.strip_prefix("Error running script")?;
    let inner = text.split(": ").find_map(|part| part.strip_prefix('-'))?;
    let code = inner.split(' ').next()?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(answer: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn each_answer_has_its_class() {
        use ErrorClass::{Fault, Misconfigured, Moved, Passing};
        for (answer, class, spoils) in [
            ("READONLY You can't write against a read only replica.", Moved, true),
            ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Moved, true),
            ("LOADING Redis is loading the dataset in memory", Moved, true),
            ("CLUSTERDOWN The cluster is down", Moved, true),
            ("MOVED 3999 127.0.0.1:6381", Moved, true),
            (
                "ERR Script attempted to access a non local key in a cluster node script: x, on @user_script:1.",
                Moved,
                true,
            ),
            ("ERR max number of clients reached", Passing, true),
            ("CROSSSLOT Keys in request don't hash to the same slot", Misconfigured, false),
            (
                "ERR Script attempted to access keys that do not hash to the same slot script: x, on @user_script:1.",
                Misconfigured,
                false,
            ),
            ("ASK 3999 127.0.0.1:6381", Passing, false),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Passing, false),
            (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Passing,
                false,
            ),
            ("NOREPLICAS Not enough good replicas to write.", Passing, false),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist on disk.",
                Passing,
                false,
            ),
            ("OOM command not allowed when used memory > 'maxmemory'.", Passing, false),
            ("NOAUTH Authentication required.", Misconfigured, true),
            ("ERR Protocol error: unauthenticated multibulk length", Misconfigured, true),
            ("ERR Protocol error: invalid bulk length", Fault, true),
            ("WRONGPASS invalid username-password pair or user is disabled.", Misconfigured, true),
            ("NOPERM User worker has no permissions to run the 'evalsha' command", Misconfigured, false),
            (
                "ERR ACL failure in script: User w has no permissions to run the 'set' command script: x, on @user_script:1.",
                Misconfigured,
                false,
            ),
            (
                "ERR Error running script (call to f_2fa): @user_script:9: user_script:9: this user may not run ZADD on rq:leases",
                Misconfigured,
                false,
            ),
            (
                "ERR Error running script (call to f_2fa): @user_script:9: @user_script: 9: The user executing the script can't run this command or subcommand",
                Misconfigured,
                false,
            ),
            (
                "NOPERM this user may not run ZADD on rq:leases script: 2fa, on @user_script:9.",
                Misconfigured,
                false,
            ),
            ("ERR unknown command 'EVALSHA', with args beginning with: ", Misconfigured, false),
            (
                "ERR Error running script (call to f_2fa): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
                Moved,
                true,
            ),
            (
                "ERR Error running script (call to f_2fa): @user_script:1: user_script:1: attempt to index a nil value",
                Fault,
                false,
            ),
            (
                "ERR Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Passing,
                false,
            ),
            ("ERR Authentication required", Misconfigured, true),
            ("ERR value is not an integer or out of range", Fault, false),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Fault, false),
        ] {
            let error = error(answer);
            assert_eq!((class_of(&error), spoils_connection(&error)), (class, spoils), "{answer}");
        }
    }

    #[test]
    fn what_is_no_answer_is_sent_again_over_another_connection() {
        for kind in [
            std::io::ErrorKind::BrokenPipe,
            std::io::ErrorKind::TimedOut,
            std::io::ErrorKind::HostUnreachable,
        ] {
            let error = RedisError::from(std::io::Error::from(kind));
            assert!(class_of(&error) == ErrorClass::Moved && spoils_connection(&error), "{kind}");
        }
        let mismatch = RedisError::from((ErrorKind::InvalidClientConfig, "the key is another certificate's"));
        assert_eq!(class_of(&of_connecting(mismatch)), ErrorClass::Moved);
        let refused = RedisError::from((ErrorKind::AuthenticationFailed, "Password authentication failed"));
        assert_eq!(class_of(&refused), ErrorClass::Misconfigured);
    }

    #[test]
    fn an_older_servers_script_errors_have_their_code() {
        let wrapped = error(
            "ERR Error running script (call to f_2fa): @user_script:1: @user_script: 1: -OOM command not allowed",
        );
        assert_eq!(code_of(&wrapped), Some("OOM"));
        assert_eq!(code_of(&error("ERR no such key")), Some("ERR"));
    }
}
