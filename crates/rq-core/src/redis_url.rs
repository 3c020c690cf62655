//! [`RedisUrl`]: where Redis is and how to get in, as a URL says it.
//!
//! A URL means here what it means to Python's redis-py, which RQ's users have their URLs from. Its text is taken apart as
//! Python does (`redis_url/text.rs`), then its parameters are read (`redis_url/parameters.rs`). No error and no
//! [`Display`](fmt::Display) of a URL shows what may be a password.

mod parameters;
mod text;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::ProtocolVersion;

use parameters::Parameters;
use text::UrlText;

/// Where Redis listens if the URL does not say.
const HOST: &str = "localhost";
/// Where Redis listens if the URL does not say.
const PORT: u16 = 6379;
/// Where a sentinel listens if the URL does not say.
const SENTINEL_PORT: u16 = 26379;
/// The most hosts a URL may name.
const HOSTS_MAX: usize = 32;

/// Where Redis is and how to get in.
///
/// | form | |
/// |---|---|
/// | `redis://[[user]:password@][host][:port][,..][/db]` | TCP; `localhost`, 6379 and 0 where left out; of several hosts any that serves |
/// | `rediss://..` | the same with TLS, which needs the feature `tls` |
/// | `unix://[[user]:password@]/path[?db=n]` | a socket |
/// | `redis+sentinel://[[user]:password@]host[:port],..[/master[/db]]` | the master that these sentinels name, `mymaster` where left out; `rediss+sentinel` with TLS to all |
///
/// `valkey` may stand for `redis` in each of them. The parameters behind a `?` are redis-py's: `db`, `username`,
/// `password`, `client_name`, `socket_timeout` and `socket_connect_timeout` in seconds, `protocol` (2 or 3),
/// `ssl_cert_reqs` (`required` or `none`), `ssl_check_hostname`, `ssl_ca_certs`, `ssl_ca_path`, `ssl_ca_data`,
/// `ssl_certfile`, `ssl_keyfile`; and beside them `sentinel_username` and `sentinel_password`. Those that only tune Python's
/// client are passed over; for others there is a [warning](RedisUrl::warnings).
///
/// Its `Display` is a URL without secrets.
#[derive(Clone, PartialEq)]
pub struct RedisUrl {
    pub(crate) address: Address,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) login: Login,
    pub(crate) db: i64,
    pub(crate) protocol: ProtocolVersion,
    pub(crate) client_name: Option<String>,
    /// How long an answer may take; the caller's own limit if it is none.
    pub(crate) answer_limit: Option<Duration>,
    /// How long an attempt to connect may take.
    pub(crate) connect_limit: Option<Duration>,
    warnings: Vec<String>,
    /// Whether what was taken for a host, a path or a parameter may be part of a password.
    may_show_password: bool,
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// One, or several of which each may be the right one.
    Hosts(Vec<Host>),
    Socket(PathBuf),
    /// Ask these where the master of that name is.
    Sentinels {
        sentinels: Vec<Host>,
        master: String,
        login: Login,
    },
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// Who we say we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

/// How TLS is done. Files are read for each connection anew, so that a renewed certificate is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    /// Whether the server's certificate has to be good (`ssl_cert_reqs`).
    pub(crate) verifies: bool,
    /// Whether it has to be for the host that was asked for (`ssl_check_hostname`).
    pub(crate) checks_hostname: bool,
    /// PEM files of the authorities to trust, in place of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// A directory of such files.
    pub(crate) ca_directory: Option<PathBuf>,
    /// Such a file's text.
    pub(crate) ca_text: Option<String>,
    /// A PEM file with our own certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// A PEM file with its key; in the certificate's file where it is none.
    pub(crate) key: Option<PathBuf>,
}

/// A URL that cannot be used. It names no part of the URL's text, which may be one of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with a scheme we know.
    #[error(
        "a Redis URL must specify one of the following schemes: redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://"
    )]
    Scheme,
    /// What follows the host's colon is no port.
    #[error(
        "the port of the Redis URL is not a number up to 65535; in a password, write %2F for /, %3F for ?, %23 for # and %40 for @"
    )]
    Port,
    /// The brackets of an IPv6 address do not match.
    #[error("the Redis URL has an IPv6 address whose brackets do not match")]
    Brackets,
    /// A parameter has a value that it cannot have.
    #[error("the Redis URL's parameter {parameter} must be {expected}")]
    Parameter {
        /// The parameter.
        parameter: &'static str,
        /// What it has to be instead.
        expected: &'static str,
    },
    /// A parameter that would make the connection safer, which we cannot heed.
    #[error(
        "the Redis URL's parameter {parameter} is not supported here, and not passed over, as it is for safety; leave it out"
    )]
    Unsupported {
        /// The parameter.
        parameter: &'static str,
    },
    /// A URL with `unix://` has no path.
    #[error("the Redis URL names no socket: write unix:///path/of/socket")]
    NoPath,
    /// A host between commas is left out, there are too many, or none where sentinels are needed.
    #[error("the Redis URL must name from one to {HOSTS_MAX} hosts, with commas between them")]
    Hosts,
    /// A URL with sentinels has an `@` behind their names, so that these may be part of a password.
    #[error(
        "the Redis URL has an @ behind its hosts; in a password, write %2F for /, %3F for ? and %23 for #"
    )]
    At,
    /// It asks for TLS, which this program was built without.
    #[error(
        "the Redis URL asks for TLS, and this program was built without it: build it with the feature `tls`"
    )]
    NoTls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Socket,
    Sentinels,
}

/// Each scheme, how it connects, and whether with TLS.
const SCHEMES: [(&str, Kind, bool); 12] = [
    ("redis", Kind::Tcp, false),
    ("rediss", Kind::Tcp, true),
    ("unix", Kind::Socket, false),
    ("redis+sentinel", Kind::Sentinels, false),
    ("rediss+sentinel", Kind::Sentinels, true),
    ("valkey", Kind::Tcp, false),
    ("valkeys", Kind::Tcp, true),
    ("valkey+sentinel", Kind::Sentinels, false),
    ("valkeys+sentinel", Kind::Sentinels, true),
    ("redis+unix", Kind::Socket, false),
    ("valkey+unix", Kind::Socket, false),
    ("redis+socket", Kind::Socket, false),
];

impl RedisUrl {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<RedisUrl, UrlError> {
        // As Python does: secrets that are read from files often end with one.
        let url = url.replace(['\n', '\r', '\t'], "");
        let text = UrlText::split(&url).ok_or(UrlError::Scheme)?;
        let scheme = SCHEMES.iter().find(|(name, ..)| *name == text.scheme).ok_or(UrlError::Scheme)?;
        let &(_, kind, is_tls) = scheme;
        let mut parameters = Parameters::read(text.query)?;
        let login = text.login().or(parameters.login());
        let (address, path_db) = match kind {
            Kind::Tcp => (Address::Hosts(hosts(&text, PORT)?), text.db()),
            Kind::Socket => (Address::Socket(text.socket().ok_or(UrlError::NoPath)?), None),
            Kind::Sentinels => sentinels(&text, &mut parameters)?,
        };
        let db = parameters.number("db")?.or(path_db).unwrap_or(0);
        let tls = if is_tls { Some(parameters.tls()?) } else { None };
        Ok(RedisUrl {
            address,
            tls,
            login,
            db,
            protocol: parameters.protocol()?,
            client_name: parameters.take("client_name").filter(|name| !name.is_empty()),
            answer_limit: parameters.seconds("socket_timeout")?,
            connect_limit: parameters.seconds("socket_connect_timeout")?,
            warnings: parameters.warnings(text.may_show_password),
            may_show_password: text.may_show_password,
        })
    }

    /// What in the URL has no effect, a sentence each: parameters that nobody knows, or that do not go with its scheme.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Refuses what this program was built without.
    pub(crate) fn check_features(&self) -> Result<(), UrlError> {
        if self.tls.is_some() && !cfg!(feature = "tls") { Err(UrlError::NoTls) } else { Ok(()) }
    }
}

/// The host that a node of a cluster names, `host:port`; one without a host means the one that was asked.
pub(crate) fn host_of_node(node: &str, asked: &Host) -> Option<Host> {
    let (name, port) = node.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let name = if ["", "?"].contains(&name) { &asked.name } else { name.trim_matches(['[', ']']) };
    Some(Host { name: name.to_owned(), port })
}

/// A host from `name`, `name:port` or `[address]:port`; each part may be left out.
fn host(hostinfo: &str, default_port: u16) -> Result<Host, UrlError> {
    let (name, port) = text::host_and_port(hostinfo)?;
    let name = if name.is_empty() { HOST.to_owned() } else { name };
    Ok(Host { name, port: port.unwrap_or(default_port) })
}

/// The hosts that are named, with commas between them.
fn hosts(text: &UrlText<'_>, default_port: u16) -> Result<Vec<Host>, UrlError> {
    let names: Vec<&str> = text.hostinfo().split(',').collect();
    if names.len() > HOSTS_MAX || (names.len() > 1 && names.iter().any(|name| name.is_empty())) {
        return Err(UrlError::Hosts);
    }
    names.into_iter().map(|name| host(name, default_port)).collect()
}

fn sentinels(text: &UrlText<'_>, parameters: &mut Parameters) -> Result<(Address, Option<i64>), UrlError> {
    // An error would name the sentinel that does not answer.
    if text.may_show_password {
        return Err(UrlError::At);
    }
    if text.hostinfo().is_empty() {
        return Err(UrlError::Hosts);
    }
    let sentinels = hosts(text, SENTINEL_PORT)?;
    let (master, db) = text.master();
    let login = Login {
        username: parameters.take("sentinel_username"),
        password: parameters.take("sentinel_password"),
    };
    Ok((Address::Sentinels { sentinels, master, login }, db))
}

impl Login {
    /// This, with what it lacks taken from `other`.
    fn or(self, other: Login) -> Login {
        Login { username: self.username.or(other.username), password: self.password.or(other.password) }
    }
}

fn joined(hosts: &[Host]) -> String {
    hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address has colons of its own.
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls.is_some() { "s" } else { "" };
        let login = &self.login;
        match &self.address {
            _ if self.may_show_password => write!(f, "redis{s}://***"),
            Address::Hosts(hosts) => write!(f, "redis{s}://{login}{}/{}", joined(hosts), self.db),
            Address::Socket(path) => {
                write!(f, "unix://{login}{}", path.display())?;
                if self.db == 0 { Ok(()) } else { write!(f, "?db={}", self.db) }
            }
            Address::Sentinels { sentinels, master, .. } => {
                write!(f, "redis{s}+sentinel://{login}{}/{master}/{}", joined(sentinels), self.db)
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands before the host in a URL, without the password.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.username, &self.password) {
            (None, None) => Ok(()),
            (username, Some(_)) => write!(f, "{}:***@", username.as_deref().unwrap_or_default()),
            // It may be a password without its colon.
            (Some(_), None) => f.write_str("***@"),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URL a line, what redis-py makes of it, and what we do where that is something else.
    const TABLE: &str = include_str!("redis_url/urls.tsv");
    const THE_SAME: &str = "the same";

    /// What we make of a URL, in the words of `redis_url/as_python_says.py`.
    fn said(url: &str) -> String {
        let Ok(url) = RedisUrl::parse(url) else { return "refused".to_owned() };
        let mut words = vec![format!("db={}", url.db)];
        let mut say = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("{name}={value}")));
        };
        let seconds = |limit: Option<Duration>| limit.map(|limit| format!("{:?}", limit.as_secs_f64()));
        match &url.address {
            Address::Hosts(hosts) => match hosts.as_slice() {
                [Host { name, port }] => {
                    say("host", Some(name.clone()));
                    say("port", Some(port.to_string()));
                }
                hosts => say("hosts", Some(joined(hosts))),
            },
            Address::Socket(path) => say("path", Some(path.display().to_string())),
            Address::Sentinels { sentinels, master, .. } => {
                say("sentinels", Some(joined(sentinels)));
                say("master", Some(master.clone()));
            }
        }
        let over = match (&url.address, &url.tls) {
            (Address::Socket(_), _) => "socket",
            (_, Some(_)) => "tls",
            (_, None) => "tcp",
        };
        say("over", Some(over.to_owned()));
        say("username", url.login.username.clone());
        say("password", url.login.password.clone());
        say("client_name", url.client_name.clone());
        say("socket_timeout", seconds(url.answer_limit));
        say("socket_connect_timeout", seconds(url.connect_limit));
        say("protocol", (url.protocol == ProtocolVersion::RESP3).then(|| "3".to_owned()));
        if let Some(tls) = &url.tls {
            let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
            say("ssl_cert_reqs", (!tls.verifies).then(|| "none".to_owned()));
            say("ssl_check_hostname", (!tls.checks_hostname).then(|| "False".to_owned()));
            say("ssl_ca_certs", path(&tls.ca_file));
            say("ssl_ca_path", path(&tls.ca_directory));
            say("ssl_ca_data", tls.ca_text.clone());
            say("ssl_certfile", path(&tls.certificate));
            say("ssl_keyfile", path(&tls.key));
        }
        words.sort();
        words.extend((!url.warnings().is_empty()).then(|| "warned".to_owned()));
        words.join(" ")
    }

    #[test]
    fn every_url_means_what_it_means_to_redis_py() {
        for row in TABLE.lines().skip(1) {
            let [url, theirs, ours] = row.split('\t').collect::<Vec<_>>().try_into().expect(row);
            let expected = if ours == THE_SAME { theirs } else { ours };
            assert_eq!(said(url), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "redis://:secret@h",
            "redis://secret@h",
            "redis://u:se@secret@h",
            "redis://:se?secret@h",
            "redis://:12?secret=1@h",
            "redis://:12?a=secret@h",
            "redis://:12#secret@h",
            "redis://:12/secret@h",
            "redis://:12@secret/x@h",
            "redis://h?password=secret",
            "redis://h?password=a&password=secret",
            "redis://h/secret",
            "unix://:secret@/s",
            "unix:///s?password=secret",
            "unix://:a/secret@/s",
            "redis+sentinel://:secret@h/m",
            "redis+sentinel://:1/secret@h/m",
            "redis+sentinel://h/m?sentinel_password=secret",
            "rediss://h?ssl_password=secret",
            "rediss://h?ssl_ca_data=secret",
            "redis://h?password=a&secret=x",
            "redis://h?db=secret",
            "redis://h:secret",
            "redis://[secret",
            "secret",
            "u:secret@h",
        ] {
            let shown = match RedisUrl::parse(url) {
                Ok(url) => format!("{url} {url:?} {:?} {:?}", url.login, url.warnings()),
                Err(error) => format!("{error} {error:?}"),
            };
            // A path or a host that was asked for is shown, unless it may be part of a password.
            assert!(!shown.contains("secret") || url == "redis://h/secret", "{url}: {shown}");
        }
    }

    #[test]
    fn what_is_shown_is_a_url() {
        for (url, expected) in [
            ("redis://", "redis://localhost:6379/0"),
            ("valkeys://u:p@H/2?client_name=x", "rediss://u:***@h:6379/2"),
            ("redis://:p@a:1,b/3", "redis://:***@a:1,b:6379/3"),
            ("redis://h/1\n", "redis://h:6379/1"),
            ("redis://u@[::1]:7", "redis://***@[::1]:7/0"),
            ("unix://:p@/tmp/s?db=2", "unix://:***@/tmp/s?db=2"),
            ("rediss+sentinel://:p@a,b:7/m/2", "rediss+sentinel://:***@a:26379,b:7/m/2"),
        ] {
            assert_eq!(RedisUrl::parse(url).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn sentinels_are_named_and_not_too_many() {
        for names in ["", "a,,b", &vec!["a"; HOSTS_MAX + 1].join(",")] {
            let url = format!("redis+sentinel://{names}/m");
            assert_eq!(RedisUrl::parse(&url), Err(UrlError::Hosts), "{names:?}");
        }
    }
}
