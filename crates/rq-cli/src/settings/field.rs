//! [`Field`]: a setting, and its names in files and in the environment.

use self::Field::*;

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    RedisUrl,
    Sentinel,
    RedisHost,
    RedisPort,
    RedisDb,
    RedisPassword,
    RedisSsl,
    RedisSslCertReqs,
    RedisSslCaCerts,
    RedisSslCaData,
    RedisSslCertfile,
    RedisSslKeyfile,
    RedisSentinels,
    RedisSentinelMaster,
    RedisSentinelUsername,
    RedisSentinelPassword,
    Queues,
    Name,
    KeyPrefix,
    Serializer,
    Executor,
    SentryDsn,
    SentryCaCerts,
    SentryDebug,
    DictConfig,
}

/// What there is to know of a field.
struct Described {
    field: Field,
    /// What people call it, and what it is called in files if it is in any.
    name: &'static str,
    is_in_files: bool,
    /// Its variables, the first that is set counts.
    variables: &'static [&'static str],
    /// What holds where nobody says anything, if that is something.
    default: Option<&'static str>,
}

const fn in_both(
    field: Field,
    name: &'static str,
    variables: &'static [&'static str],
    default: Option<&'static str>,
) -> Described {
    Described { field, name, is_in_files: true, variables, default }
}

const fn in_environment(
    field: Field,
    name: &'static str,
    variables: &'static [&'static str],
    default: Option<&'static str>,
) -> Described {
    Described { field, name, is_in_files: false, variables, default }
}

/// All of them, in the order in which they are shown (docs/settings.md). RQ reads neither QUEUES nor NAME from the
/// environment.
const ALL: [Described; 25] = [
    in_both(RedisUrl, "REDIS_URL", &["RQ_REDIS_URL", "REDIS_URL"], None),
    in_both(Sentinel, "SENTINEL", &[], None),
    in_both(RedisHost, "REDIS_HOST", &["REDIS_HOST"], Some("localhost")),
    in_both(RedisPort, "REDIS_PORT", &["REDIS_PORT"], Some("6379")),
    in_both(RedisDb, "REDIS_DB", &["REDIS_DB"], Some("0")),
    in_both(RedisPassword, "REDIS_PASSWORD", &["REDIS_PASSWORD"], None),
    in_both(RedisSsl, "REDIS_SSL", &["REDIS_SSL"], Some("False")),
    in_both(RedisSslCertReqs, "REDIS_SSL_CERT_REQS", &["REDIS_SSL_CERT_REQS"], Some("required")),
    in_both(RedisSslCaCerts, "REDIS_SSL_CA_CERTS", &["REDIS_SSL_CA_CERTS"], None),
    in_both(RedisSslCaData, "REDIS_SSL_CA_DATA", &["REDIS_SSL_CA_DATA"], None),
    in_both(RedisSslCertfile, "REDIS_SSL_CERTFILE", &["REDIS_SSL_CERTFILE"], None),
    in_both(RedisSslKeyfile, "REDIS_SSL_KEYFILE", &["REDIS_SSL_KEYFILE"], None),
    in_environment(RedisSentinels, "REDIS_SENTINELS", &["REDIS_SENTINELS"], None),
    in_environment(
        RedisSentinelMaster,
        "REDIS_SENTINEL_MASTER",
        &["REDIS_SENTINEL_MASTER"],
        Some("mymaster"),
    ),
    in_environment(RedisSentinelUsername, "REDIS_SENTINEL_USERNAME", &["REDIS_SENTINEL_USERNAME"], None),
    in_environment(RedisSentinelPassword, "REDIS_SENTINEL_PASSWORD", &["REDIS_SENTINEL_PASSWORD"], None),
    in_both(Queues, "QUEUES", &[], Some(rq_worker::QUEUE_DEFAULT)),
    in_both(Name, "NAME", &[], None),
    in_both(KeyPrefix, "KEY_PREFIX", &["RQ_KEY_PREFIX"], Some("rq")),
    in_both(Serializer, "SERIALIZER", &["RQ_SERIALIZER"], Some("pickle")),
    in_both(Executor, "EXECUTOR", &["RQ_WORKER_CLASS"], None),
    in_both(SentryDsn, "SENTRY_DSN", &["RQ_SENTRY_DSN", "SENTRY_DSN"], None),
    in_both(SentryCaCerts, "SENTRY_CA_CERTS", &["RQ_SENTRY_CA_CERTS", "SENTRY_CA_CERTS"], None),
    in_both(SentryDebug, "SENTRY_DEBUG", &["RQ_SENTRY_DEBUG", "SENTRY_DEBUG"], None),
    in_both(DictConfig, "DICT_CONFIG", &[], None),
];
/// Other names of fields in files: what RQ calls an executor.
const ALIASES: [(&str, Field); 1] = [("WORKER_CLASS", Executor)];

impl Field {
    /// All of them, in the order in which they are shown.
    pub(crate) fn all() -> impl Iterator<Item = Field> {
        ALL.iter().map(|described| described.field)
    }

    /// Those that say which Redis.
    pub(crate) fn of_redis() -> impl Iterator<Item = Field> {
        Field::all().take_while(|field| *field != Queues)
    }

    /// Those of them that count only where no URL does.
    pub(super) fn is_of_place(self) -> bool {
        self != RedisUrl && Field::of_redis().any(|field| field == self)
    }

    /// What a name in a file stands for.
    pub(super) fn of_file(name: &str) -> Option<Field> {
        let described = ALL.iter().find(|described| described.is_in_files && described.name == name);
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, field)| *field);
        described.map(|described| described.field).or_else(alias)
    }

    /// All names that a file may have.
    pub(super) fn names_of_files() -> Vec<String> {
        let names = ALL.iter().filter(|described| described.is_in_files).map(|described| described.name);
        names.chain(ALIASES.map(|(alias, _)| alias)).map(str::to_owned).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        self.described().name
    }

    /// Its variables, the first that is set counts.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        self.described().variables
    }

    /// What holds where nobody says anything, if that is something.
    pub(crate) fn default_value(self) -> Option<&'static str> {
        self.described().default
    }

    fn described(self) -> &'static Described {
        &ALL[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_description() {
        for field in Field::all() {
            assert_eq!(field.described().field, field);
        }
        assert_eq!(Field::of_file("WORKER_CLASS"), Some(Executor));
        assert_eq!(Field::of_file("REDIS_SENTINELS"), None);
        assert_eq!(Field::of_redis().last(), Some(RedisSentinelPassword));
    }
}
