//! [`Redis`]: which Redis the settings come to (docs/settings.md).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rq_core::{RedisUrl, Shown};

use super::content::truth;
use super::field::Field;
use super::host::{self, Host};
use super::origin::Origin;
use super::sentinel::MASTER_DEFAULT;
use super::table::{Said, Table};

/// The settings of RQ for TLS, and the parameters of a URL that say the same.
const TLS_SETTINGS: [(Field, &str); 5] = [
    (Field::RedisSslCertReqs, "ssl_cert_reqs"),
    (Field::RedisSslCaCerts, "ssl_ca_certs"),
    (Field::RedisSslCaData, "ssl_ca_data"),
    (Field::RedisSslCertfile, "ssl_certfile"),
    (Field::RedisSslKeyfile, "ssl_keyfile"),
];
/// Who we are to sentinels, likewise.
const SENTINEL_SETTINGS: [(Field, &str); 2] = [
    (Field::RedisSentinelUsername, "sentinel_username"),
    (Field::RedisSentinelPassword, "sentinel_password"),
];

/// Which Redis it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Redis {
    pub(crate) url: String,
    /// Whose first words made it.
    pub(crate) fields: Vec<Field>,
}

impl Redis {
    /// The one that all that is said comes to: of each field what has precedence, then as RQ does a URL, else sentinels, else
    /// pieces. The error is a sentence.
    pub(super) fn decide(table: &Table) -> Result<Redis, String> {
        if let Some(url) = table.first(Field::RedisUrl) {
            return Redis::whole(Field::RedisUrl, url);
        }
        match (table.first(Field::RedisSentinels), table.first(Field::Sentinel)) {
            // The environment's, which comes before a file's.
            (Some(_), _) | (None, None) => Redis::of_parts(table),
            (None, Some(sentinel)) => Redis::whole(Field::Sentinel, sentinel),
        }
    }

    fn whole(field: Field, said: &Said) -> Result<Redis, String> {
        said.check(field)?;
        Ok(Redis { url: said.text().to_owned(), fields: vec![field] })
    }

    fn of_parts(table: &Table) -> Result<Redis, String> {
        let mut parts = Parts { table, fields: Vec::new() };
        let s = if parts.truth(Field::RedisSsl)? { "s" } else { "" };
        let login =
            parts.given(Field::RedisPassword)?.map(|password| format!(":{}@", percent_encoded(password)));
        let login = login.unwrap_or_default();
        let db = parts.db()?;
        let mut query = if s.is_empty() { Vec::new() } else { parts.parameters(&TLS_SETTINGS)? };
        let place = match parts.checked(Field::RedisSentinels, Host::listed)? {
            Some(sentinels) => {
                query.extend(parts.parameters(&SENTINEL_SETTINGS)?);
                let name = |name: &str| host::check_master(name).map(|()| name.to_owned());
                let master = parts.checked(Field::RedisSentinelMaster, name)?;
                let master = percent_encoded(master.as_deref().unwrap_or(MASTER_DEFAULT));
                format!("redis{s}+sentinel://{login}{sentinels}/{master}/{db}")
            }
            None => {
                let host = parts.checked(Field::RedisHost, |text| Host::alone(text).map(Host::into_text))?;
                let host = host.as_deref().unwrap_or("localhost");
                format!("redis{s}://{login}{host}:{}/{db}", parts.port()?)
            }
        };
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(Redis { url: format!("{place}{mark}{}", query.join("&")), fields: parts.fields })
    }

    /// Whether another one is in the same place: who logs in does not count.
    pub(super) fn is_where(&self, other: &Redis) -> bool {
        match (place(&self.url), place(&other.url)) {
            (Some(one), Some(another)) => one == another,
            _ => self.url == other.url,
        }
    }
}

/// A Redis as it is said piece by piece.
struct Parts<'a> {
    table: &'a Table,
    /// The pieces that were asked for.
    fields: Vec<Field>,
}

impl<'a> Parts<'a> {
    fn said(&mut self, field: Field) -> Result<Option<&'a Said>, String> {
        self.fields.push(field);
        let said = self.table.first(field);
        said.map_or(Ok(()), |said| said.check(field))?;
        Ok(said)
    }

    fn given(&mut self, field: Field) -> Result<Option<&'a str>, String> {
        Ok(self.said(field)?.map(Said::text))
    }

    fn text(&mut self, field: Field, default: &'static str) -> Result<&'a str, String> {
        Ok(self.given(field)?.unwrap_or(default))
    }

    fn truth(&mut self, field: Field) -> Result<bool, String> {
        let text = self.text(field, "")?;
        // RQ's sentence.
        truth(text).ok_or_else(|| format!("{} is a boolean and must be \"True\" or \"False\".", field.name()))
    }

    fn port(&mut self) -> Result<u16, String> {
        let Some(said) = self.said(Field::RedisPort)? else { return Ok(6379) };
        let text = said.text();
        host::port_of(text).ok_or_else(|| match is_of_kubernetes(text) {
            true => of_kubernetes(&said.origin.to_string(), text),
            false => {
                let shown = said.content.shown(Field::RedisPort);
                format!("{} is {}, and must be a number from 1 to 65535.", said.origin, Shown::name(shown))
            }
        })
    }

    fn db(&mut self) -> Result<i64, String> {
        let Some(said) = self.said(Field::RedisDb)? else { return Ok(0) };
        said.text().trim().parse().ok().filter(|db| *db >= 0).ok_or_else(|| {
            let shown = said.content.shown(Field::RedisDb);
            format!("{} is {}, and must be a whole number from 0 on.", said.origin, Shown::name(shown))
        })
    }

    /// What is said of a field, as a URL has it.
    fn checked(
        &mut self,
        field: Field,
        check: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Option<String>, String> {
        let Some(said) = self.said(field)? else { return Ok(None) };
        let refuse = |reason| match said.origin.is_file() {
            true => format!("{}: {} {reason}.", said.origin, field.name()),
            false => format!("{} {reason}.", said.origin),
        };
        check(said.text()).map(Some).map_err(refuse)
    }

    fn parameters(&mut self, settings: &[(Field, &str)]) -> Result<Vec<String>, String> {
        let mut parameters = Vec::new();
        for (field, parameter) in settings {
            let given = self.given(*field)?;
            parameters.extend(given.map(|value| format!("{parameter}={}", percent_encoded(value))));
        }
        Ok(parameters)
    }
}

/// Whether this stands in REDIS_PORT because a service is called `redis`.
pub(super) fn is_of_kubernetes(port: &str) -> bool {
    port.starts_with("tcp://")
}

/// What is said of such a port, where it counts.
pub(super) fn of_kubernetes(called: &str, port: &str) -> String {
    format!(
        "{called} is {}, which is no port: Kubernetes gives pods such a variable where a service is called redis. Set \
         RQ_REDIS_URL or REDIS_PORT for this container, or enableServiceLinks: false for its pod.",
        Shown::name(port)
    )
}

/// As a URL has it: it may hold what means something there, such as `@` or `/`.
pub(super) fn percent_encoded(text: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Where a URL leads, without who logs in; `None` where that is not sure.
fn place(url: &str) -> Option<String> {
    let shown = RedisUrl::parse(url).ok()?.to_string();
    let (scheme, rest) = shown.split_once("://")?;
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    (place != "***").then(|| format!("{scheme}://{place}"))
}

/// The hosts of a URL, without ports.
fn hosts(url: &str) -> Option<Vec<String>> {
    let place = place(url)?;
    let (_, place) = place.split_once("://")?;
    let hosts = place.split('/').next()?.split(',');
    let name = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name.to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    };
    let mut hosts: Vec<String> = hosts.map(name).collect();
    hosts.sort();
    Some(hosts)
}

/// A URL without secrets.
fn shown(url: &str) -> String {
    RedisUrl::parse(url).map_or_else(|_| "***".to_owned(), |url| url.to_string())
}

/// What is said where the environment and a file name two places.
pub(super) fn remark(table: &Table, redis: &Redis) -> Option<String> {
    overridden_file(table, redis).or_else(|| unused_environment(table, redis))
}

/// Where the file's word is whole, and the environment has but pieces: another host among these is a surprise.
fn unused_environment(table: &Table, redis: &Redis) -> Option<String> {
    let [field] = redis.fields.as_slice() else { return None };
    let counts = table.first(*field).filter(|said| said.origin.is_file())?;
    let of_environment = |field: Field| {
        let said = table.first(field).filter(|said| said.origin.is_variable());
        said.map(|said| (field, said))
    };
    let (unused_field, unused) =
        [Field::RedisSentinels, Field::RedisHost].into_iter().find_map(of_environment)?;
    let (origin, place) = (&unused.origin, unused.text());
    let theirs: String = place.split_whitespace().collect();
    let url = match unused.origin == Origin::Variable(Field::RedisSentinels.name()) {
        true => format!("redis+sentinel://{theirs}/{MASTER_DEFAULT}"),
        false if theirs.contains(':') && !theirs.starts_with('[') => format!("redis://[{theirs}]"),
        false => format!("redis://{theirs}"),
    };
    match (hosts(&redis.url), hosts(&url)) {
        (Some(ours), Some(theirs)) if ours == theirs => None,
        _ => Some(format!(
            "{} of {} names the Redis, {}; {origin} of the environment, {}, does not count beside it: RQ_REDIS_URL and \
             REDIS_URL would",
            field.name(),
            counts.origin,
            shown(&redis.url),
            Shown::name(unused.content.shown(unused_field))
        )),
    }
}

/// Where the environment overrides a Redis that a file names: RQ would use that one.
fn overridden_file(table: &Table, redis: &Redis) -> Option<String> {
    let origins: Vec<&Origin> =
        redis.fields.iter().filter_map(|field| Some(&table.first(*field)?.origin)).collect();
    let variables: Vec<String> =
        origins.iter().filter(|origin| origin.is_variable()).map(ToString::to_string).collect();
    let of_file = table.of_file();
    let line = Field::of_redis().find_map(|field| of_file.first(field)).map(|said| &said.origin)?;
    let other = Redis::decide(&of_file).ok()?;
    // An option is there to override.
    if variables.is_empty() || other.is_where(redis) {
        return None;
    }
    // That one comes first in Python, too.
    let is_pythons = line.is_python() && !variables.iter().any(|name| name == "RQ_REDIS_URL");
    let python = if is_pythons { ", which Python's rq would use" } else { "" };
    Some(format!(
        "{} of the environment names the Redis, {}; {line} names another one, {}{python}",
        variables.join(", "),
        shown(&redis.url),
        shown(&other.url)
    ))
}
