//! The options all commands share, and [`Server`]: the Redis they name.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rq_core::link::BlockingLink;
use rq_core::{Codec, Error, Keys, RedisError, RedisUrl, blocking};

use crate::classes::Classes;
use crate::output::note;
use crate::refusal::Refusal;
use crate::text::{Text, text};

/// Where Redis is by default.
const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: &str = "6379";
const DEFAULT_DB: &str = "0";
/// The settings of RQ for TLS, and the parameters of a URL that say the same.
const TLS_SETTINGS: [(&str, &str); 5] = [
    ("REDIS_SSL_CERT_REQS", "ssl_cert_reqs"),
    ("REDIS_SSL_CA_CERTS", "ssl_ca_certs"),
    ("REDIS_SSL_CA_DATA", "ssl_ca_data"),
    ("REDIS_SSL_CERTFILE", "ssl_certfile"),
    ("REDIS_SSL_KEYFILE", "ssl_keyfile"),
];
/// Who we are to sentinels, likewise.
const SENTINEL_SETTINGS: [(&str, &str); 2] =
    [("REDIS_SENTINEL_USERNAME", "sentinel_username"), ("REDIS_SENTINEL_PASSWORD", "sentinel_password")];
/// The name of the master where none is given, as in RQ's settings.
const DEFAULT_MASTER: &str = "mymaster";

/// Options that every command has (docs/cli.md §1.1).
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Shared {
    /// The Redis to use: redis://[user:password@]host[:port][/db], with TLS rediss://.., unix:///path?db=n or
    /// redis+sentinel://host,host/master[/db].
    ///
    /// Without it: REDIS_URL, else REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD, REDIS_SSL and REDIS_SSL_*,
    /// with REDIS_SENTINELS and REDIS_SENTINEL_MASTER in place of a host; else redis://localhost:6379/0.
    /// Others on this machine can read the arguments of programs: give passwords in the environment. All keys begin
    /// with `rq:`, or with what RQ_KEY_PREFIX says.
    #[arg(short, long, env = "RQ_REDIS_URL", hide_env_values = true)]
    url: Option<String>,
    /// How arguments and results are written: pickle, json or bincode [default: pickle].
    ///
    /// Without it: RQ_SERIALIZER. Only `enqueue` writes any; the other commands detect the codec of each job and ignore
    /// both. Also accepted are rq.serializers.JSONSerializer, PickleSerializer and DefaultSerializer (pickle). Python
    /// reads pickle, or json with `-S json`; bincode is for Rust alone.
    #[arg(short = 'S', long, value_parser = codec)]
    serializer: Option<Codec>,
    #[command(flatten)]
    python: Python,
    #[command(flatten)]
    classes: Classes,
}

/// RQ's options that name Python modules. They are parsed, so that an error says what this program cannot do.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "For Python's rq only")]
struct Python {
    /// A Python settings module. It is not read: refused, unless a URL is given beside it.
    #[arg(short, long, env = "RQ_CONFIG", hide_short_help = true)]
    config: Option<String>,
    /// Where Python finds modules. `cron` looks for its configuration there, too; otherwise ignored.
    #[arg(short = 'P', long, hide_short_help = true)]
    path: Vec<String>,
}

/// RQ's `-w` for commands that run no jobs: scripts give it there, too.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "For Python's rq only")]
pub(crate) struct RunsNoJobs {
    /// How `worker` runs jobs: ignored here.
    #[arg(short = 'w', long, hide_short_help = true)]
    worker_class: Option<String>,
}

impl Shared {
    /// The Redis that the arguments or the environment name.
    pub(crate) fn server(&self) -> Result<Server, Refusal> {
        // First: a settings module that is not read may name another Redis than the environment does.
        self.python.refuse_or_note(self.url.is_some())?;
        Server::named(self.url.as_deref())
    }

    /// The folders in which Python would look for modules.
    pub(crate) fn folders(&self) -> &[String] {
        &self.python.path
    }

    /// The options that name pieces of the program.
    pub(crate) fn classes(&self) -> &Classes {
        &self.classes
    }

    /// How payloads are to be written, if the arguments say so.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.serializer
    }
}

impl Python {
    fn refuse_or_note(&self, url_is_given: bool) -> Result<(), Refusal> {
        if let Some(config) = self.config.as_ref().filter(|config| !config.is_empty()) {
            if !url_is_given {
                return Err(Refusal::Unable(format!(
                    "the settings module {config} is Python, which is not run here. Name the Redis with --url, \
                     RQ_REDIS_URL or REDIS_URL, and leave out --config and RQ_CONFIG."
                )));
            }
            note(text!("the settings module {config} is not read; the URL given is used"));
        }
        // `.` is Python's default, which scripts may name; it is not worth a remark.
        if self.path.iter().any(|path| path != ".") {
            note(text!("--path is ignored: no Python is imported here"));
        }
        Ok(())
    }
}

/// The Redis that a command works with, and the names of the keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// The URL without secrets.
    pub(crate) shown: String,
    pub(crate) keys: Keys,
}

impl Server {
    /// The one that was given, or else that the environment names.
    pub(crate) fn named(given: Option<&str>) -> Result<Server, Refusal> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = url(given, environment)?;
        let keys = Keys::from_env().map_err(|error| Refusal::Failed(format!("RQ_KEY_PREFIX: {error}")))?;
        Server::at(&url, keys)
    }

    /// The one at `url`; what in that has no effect is remarked on.
    pub(crate) fn at(url: &str, keys: Keys) -> Result<Server, Refusal> {
        let read = RedisUrl::parse(url).map_err(|error| Refusal::Failed(format!("{error}.")))?;
        read.warnings().iter().map(Text::line).for_each(note);
        Ok(Server { url: url.to_owned(), shown: read.to_string(), keys })
    }

    /// Connects.
    pub(crate) fn link(&self) -> Result<BlockingLink, Refusal> {
        let link = BlockingLink::open(&self.url).map_err(|error| self.refusal(&error))?;
        link.follow_cluster(&self.keys);
        Ok(link)
    }

    /// Connects, for one queue.
    pub(crate) fn queue(&self, name: &str) -> Result<blocking::Queue, Refusal> {
        let queue = blocking::Queue::connect(&self.url, name).map_err(|error| self.refusal(&error))?;
        Ok(queue.keys(self.keys.clone()))
    }

    /// The message for an error, with the server named where that may be the cause.
    pub(crate) fn refusal(&self, error: &Error) -> Refusal {
        Refusal::Failed(match error {
            Error::Redis(cause) if error.is_redis_unavailable() => format!(
                "Redis at {} cannot be reached: {cause}. {} Another one is named with --url or RQ_REDIS_URL.",
                self.shown,
                self.question(cause)
            ),
            Error::Redis(cause) => format!("Redis at {}: {cause}", self.shown),
            other => other.to_string(),
        })
    }

    /// What is to be asked first where there is no connection.
    fn question(&self, cause: &RedisError) -> &'static str {
        let is_plain = self.shown.starts_with("redis:") || self.shown.starts_with("redis+");
        match self.shown.starts_with("rediss") {
            true if !cause.is_connection_refused() => {
                "Does it speak TLS there, with what the URL says of certificates?"
            }
            false if is_plain && !cause.is_connection_refused() => {
                "Is it running there, and without TLS? With it, the URL begins with rediss."
            }
            _ => "Is it running there?",
        }
    }
}

/// Which Redis to use (docs/cli.md §1.2); settings files are not read.
fn url(given: Option<&str>, environment: impl Fn(&str) -> Option<String>) -> Result<String, Refusal> {
    // `--url ''` is no URL: the environment counts then.
    match given.filter(|url| !url.is_empty()).map(str::to_owned).or_else(|| environment("REDIS_URL")) {
        Some(url) => Ok(url),
        None => url_of_parts(environment),
    }
}

fn url_of_parts(environment: impl Fn(&str) -> Option<String>) -> Result<String, Refusal> {
    let part = |name, default: &str| environment(name).unwrap_or_else(|| default.to_owned());
    let s = match part("REDIS_SSL", "").to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" => "s",
        "n" | "no" | "f" | "false" | "" => "",
        _ => {
            return Err(Refusal::Failed(
                "REDIS_SSL is a boolean and must be \"True\" or \"False\".".to_owned(),
            ));
        }
    };
    let login = environment("REDIS_PASSWORD").map(|password| format!(":{}@", percent_encoded(&password)));
    let login = login.unwrap_or_default();
    let db = part("REDIS_DB", DEFAULT_DB);
    let parameters = |settings: &[(&str, &str)]| {
        let given = settings.iter().filter_map(|(name, parameter)| {
            environment(name).map(|value| format!("{parameter}={}", percent_encoded(&value)))
        });
        given.collect::<Vec<_>>()
    };
    let mut query = if s.is_empty() { Vec::new() } else { parameters(&TLS_SETTINGS) };
    let place = match environment("REDIS_SENTINELS") {
        Some(sentinels) => {
            query.extend(parameters(&SENTINEL_SETTINGS));
            let master = percent_encoded(&part("REDIS_SENTINEL_MASTER", DEFAULT_MASTER));
            let sentinels: String = sentinels.split_whitespace().collect();
            format!("redis{s}+sentinel://{login}{sentinels}/{master}/{db}")
        }
        None => {
            let host = part("REDIS_HOST", DEFAULT_HOST);
            // An IPv6 address has colons of its own, so a URL has it in brackets.
            let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
            format!("redis{s}://{login}{host}:{}/{db}", part("REDIS_PORT", DEFAULT_PORT))
        }
    };
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("{place}{mark}{}", query.join("&")))
}

/// As a URL has it: it may hold what means something there, such as `@` or `/`.
fn percent_encoded(text: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}

/// What `-S` names.
fn codec(name: &str) -> Result<Codec, String> {
    name.parse().map_err(|_| format!("'{name}' is none of json, pickle and bincode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_from(given: Option<&str>, environment: &[(&str, &str)]) -> Result<String, Refusal> {
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name);
        url(given, |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_first_that_names_a_redis_counts() {
        let check = |given, environment, expected: &str| {
            assert_eq!(url_from(given, environment), Ok(expected.to_owned()), "{given:?} {environment:?}");
        };
        check(None, &[], "redis://localhost:6379/0");
        check(Some(""), &[("REDIS_URL", "redis://b/2")], "redis://b/2");
        check(Some("redis://a/1"), &[("REDIS_URL", "redis://b/2")], "redis://a/1");
        check(None, &[("REDIS_URL", "redis://b/2"), ("REDIS_HOST", "c")], "redis://b/2");
        check(None, &[("REDIS_HOST", "c"), ("REDIS_PORT", "1"), ("REDIS_DB", "3")], "redis://c:1/3");
        check(None, &[("REDIS_PASSWORD", "p@ss/é")], "redis://:p%40ss%2F%C3%A9@localhost:6379/0");
        check(None, &[("REDIS_HOST", "::1"), ("REDIS_SSL", "True")], "rediss://[::1]:6379/0");
        check(None, &[("REDIS_SSL", "no"), ("REDIS_SSL_CA_CERTS", "/ca")], "redis://localhost:6379/0");
        check(
            None,
            &[("REDIS_SSL", "yes"), ("REDIS_SSL_CA_CERTS", "/a b"), ("REDIS_SSL_CERT_REQS", "none")],
            "rediss://localhost:6379/0?ssl_cert_reqs=none&ssl_ca_certs=%2Fa%20b",
        );
        check(
            None,
            &[
                ("REDIS_SENTINELS", "a:1, b"),
                ("REDIS_SENTINEL_MASTER", "m"),
                ("REDIS_PASSWORD", "p"),
                ("REDIS_SENTINEL_PASSWORD", "s"),
                ("REDIS_HOST", "c"),
            ],
            "redis+sentinel://:p@a:1,b/m/0?sentinel_password=s",
        );
        assert!(matches!(url_from(None, &[("REDIS_SSL", "1")]), Err(Refusal::Failed(_))));
    }

    #[test]
    fn serializers_by_rqs_names() {
        for (name, expected) in [
            ("json", Ok(Codec::Json)),
            ("pickle", Ok(Codec::Pickle)),
            ("bincode", Ok(Codec::Bincode)),
            ("rq.serializers.JSONSerializer", Ok(Codec::Json)),
            ("rq.serializers.DefaultSerializer", Ok(Codec::Pickle)),
            ("my.Own", Err("'my.Own' is none of json, pickle and bincode".to_owned())),
        ] {
            assert_eq!(codec(name), expected);
        }
    }

    #[test]
    fn a_settings_module_is_not_ignored_in_silence() {
        let python = Python { config: Some("settings".to_owned()), ..Python::default() };
        assert!(matches!(python.refuse_or_note(false), Err(Refusal::Unable(_))));
        assert_eq!(python.refuse_or_note(true), Ok(()));
    }
}
