//! [`Setting`]: an assignment of a settings file.
//!
//! | file | holds |
//! |---|---|
//! | `settings/toml.rs` | the table `[settings]` of `rq.toml` |
//! | `settings/python.rs` | a module of settings, as Python's `rq -c` takes it |
//! | `settings/builtins.rs` | `int`, `str`, `bool` and `float`, as Python has them |

mod builtins;
mod python;
mod toml;

use rq_wire::Value;

pub use self::python::settings_of_python;
pub use self::toml::settings_of_toml;

/// An assignment of a settings file, or a key of the table `[settings]` of `rq.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name, in capitals: `REDIS_URL`.
    pub name: String,
    /// Where it is.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// The settings that count (docs/settings.md), and a variable that says the same. What another module gives one of these
/// cannot be left out in silence.
const KNOWN: [(&str, Option<&str>); 22] = [
    ("REDIS_URL", Some("REDIS_URL")),
    ("REDIS_HOST", Some("REDIS_HOST")),
    ("REDIS_PORT", Some("REDIS_PORT")),
    ("REDIS_DB", Some("REDIS_DB")),
    ("REDIS_PASSWORD", Some("REDIS_PASSWORD")),
    ("REDIS_SSL", Some("REDIS_SSL")),
    ("REDIS_SSL_CA_CERTS", Some("REDIS_SSL_CA_CERTS")),
    ("REDIS_SSL_CERT_REQS", Some("REDIS_SSL_CERT_REQS")),
    ("REDIS_SSL_CA_DATA", Some("REDIS_SSL_CA_DATA")),
    ("REDIS_SSL_KEYFILE", Some("REDIS_SSL_KEYFILE")),
    ("REDIS_SSL_CERTFILE", Some("REDIS_SSL_CERTFILE")),
    ("SENTINEL", None),
    ("QUEUES", None),
    ("NAME", None),
    ("DICT_CONFIG", None),
    ("SENTRY_DSN", Some("RQ_SENTRY_DSN")),
    ("SENTRY_CA_CERTS", Some("RQ_SENTRY_CA_CERTS")),
    ("SENTRY_DEBUG", Some("RQ_SENTRY_DEBUG")),
    ("KEY_PREFIX", Some("RQ_KEY_PREFIX")),
    ("SERIALIZER", Some("RQ_SERIALIZER")),
    ("EXECUTOR", Some("RQ_WORKER_CLASS")),
    ("WORKER_CLASS", Some("RQ_WORKER_CLASS")),
];
