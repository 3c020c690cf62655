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

/// The settings that count (docs/settings.md). What another module gives one of these cannot be left out in silence.
const KNOWN: [&str; 22] = [
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_PASSWORD",
    "REDIS_SSL",
    "REDIS_SSL_CA_CERTS",
    "REDIS_SSL_CERT_REQS",
    "REDIS_SSL_CA_DATA",
    "REDIS_SSL_KEYFILE",
    "REDIS_SSL_CERTFILE",
    "SENTINEL",
    "QUEUES",
    "NAME",
    "DICT_CONFIG",
    "SENTRY_DSN",
    "SENTRY_CA_CERTS",
    "SENTRY_DEBUG",
    "KEY_PREFIX",
    "SERIALIZER",
    "EXECUTOR",
    "WORKER_CLASS",
];
