//! [`Content`]: what is said of a field, checked, and shown without secrets.

use rq_core::{Codec, Keys, RedisUrl, Value};

use super::field::Field;
use super::sentinel;
use crate::names;

/// What stands in the place of a secret.
const SECRET: &str = "***";
/// What RQ takes for yes and for no, in any case.
const YES: [&str; 4] = ["y", "yes", "t", "true"];
const NO: [&str; 5] = ["n", "no", "f", "false", ""];

/// What is said of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// As the environment has it: numbers in digits, truths as `True` and `False`, a SENTINEL as a URL.
    Text(String),
    /// QUEUES.
    Texts(Vec<String>),
    /// DICT_CONFIG.
    Tree(Value),
    /// What cannot be used, which matters where it counts: the words, and the end of a sentence.
    Wrong { words: String, reason: String },
}

impl Content {
    /// What a file says of `field`; `None` where that is as good as nothing. The error is the end of a sentence.
    pub(super) fn checked(field: Field, value: &Value) -> Result<Option<Content>, String> {
        let text = match (field, value) {
            // To redis-py, `None` is no check at all.
            (Field::RedisSslCertReqs, Value::Null) => "none".to_owned(),
            (_, Value::Null) => return Ok(None),
            (Field::Sentinel, value) => sentinel::url(value)?,
            (Field::Queues, value) => return queues(value).map(|queues| Some(Content::Texts(queues))),
            (Field::DictConfig, Value::Dict(pairs)) if pairs.is_empty() => return Ok(None),
            (Field::DictConfig, Value::Dict(_)) => return Ok(Some(Content::Tree(value.clone()))),
            (Field::DictConfig, _) => return Err("it is no dictionary".to_owned()),
            (Field::RedisSsl | Field::SentryDebug, value) => truth_of(value)?,
            (Field::RedisPort, value) => number(value, 1, u16::MAX.into())?,
            (Field::RedisDb, Value::Str(text)) if text.is_empty() => return Ok(None),
            (Field::RedisDb, value) => number(value, 0, i64::MAX)?,
            // Redis compares the digits.
            (Field::RedisPassword, Value::Int(number)) => number.to_string(),
            (field, Value::Str(text)) => match text.is_empty() && may_be_empty(field) {
                true => return Ok(None),
                false => checked_text(field, text)?,
            },
            _ => return Err("it is no text".to_owned()),
        };
        Ok(Some(Content::Text(text)))
    }

    /// [`checked`](Content::checked), but that what cannot be used and may not count is kept: a piece beside a URL is not
    /// looked at in RQ.
    pub(super) fn kept(field: Field, value: &Value) -> Result<Option<Content>, String> {
        Content::checked(field, value).or_else(|reason| match field.is_of_place() {
            true => {
                let words = if let Value::Str(text) = value { text.clone() } else { value.repr() };
                Ok(Some(Content::Wrong { words, reason }))
            }
            false => Err(reason),
        })
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Content::Text(text) => Some(text),
            Content::Texts(_) | Content::Tree(_) | Content::Wrong { .. } => None,
        }
    }

    /// It without secrets.
    pub(crate) fn shown(&self, field: Field) -> String {
        let text = match self {
            Content::Text(text) => text,
            Content::Texts(texts) => return texts.join(", "),
            Content::Tree(_) => return "a dictionary".to_owned(),
            Content::Wrong { words, .. } => words,
        };
        match field {
            Field::RedisUrl | Field::Sentinel => {
                RedisUrl::parse(text).map_or_else(|_| SECRET.to_owned(), |url| url.to_string())
            }
            Field::RedisPassword | Field::RedisSentinelPassword | Field::RedisSslCaData => SECRET.to_owned(),
            Field::SentryDsn => without_key(text),
            // Each of these is a word, a number or a path, and somebody may have put a secret there.
            _ if text.contains("PRIVATE KEY") || text.contains('\n') => SECRET.to_owned(),
            _ if field.is_of_place() && text.contains('@') && field != Field::RedisSentinelUsername => {
                SECRET.to_owned()
            }
            _ => text.clone(),
        }
    }
}

/// Which is no error in RQ, and means that there is none.
fn may_be_empty(field: Field) -> bool {
    matches!(
        field,
        Field::RedisPassword | Field::Name | Field::SentryDsn | Field::SentryCaCerts | Field::Executor
    )
}

fn checked_text(field: Field, text: &str) -> Result<String, String> {
    match field {
        Field::RedisUrl => drop(RedisUrl::parse(text).map_err(|error| error.to_string())?),
        Field::RedisSslCertReqs if !["none", "optional", "required"].contains(&text) => {
            return Err("it must be none, optional or required".to_owned());
        }
        Field::Name => drop(names::worker(text)?),
        Field::KeyPrefix => drop(Keys::new(text).map_err(|error| error.to_string())?),
        Field::Serializer => drop(codec(text)?),
        _ if text.is_empty() => return Err("it is empty".to_owned()),
        _ => {}
    }
    Ok(text.to_owned())
}

fn queues(value: &Value) -> Result<Vec<String>, String> {
    let names = match value {
        Value::List(names) | Value::Tuple(names) => names,
        Value::Str(_) => return Err("it is a text, and has to be a list: ['high', 'low']".to_owned()),
        _ => return Err("it is no list of names".to_owned()),
    };
    if names.is_empty() {
        return Err("there is none in it".to_owned());
    }
    let checked = names.iter().map(|name| match name {
        Value::Str(name) => names::queue(name),
        _ => Err("it is no list of names".to_owned()),
    });
    checked.collect()
}

fn truth_of(value: &Value) -> Result<String, String> {
    let is_true = match value {
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Str(text) => truth(text).ok_or("it is a boolean and must be \"True\" or \"False\"")?,
        _ => return Err("it is a boolean and must be \"True\" or \"False\"".to_owned()),
    };
    Ok(if is_true { "True" } else { "False" }.to_owned())
}

/// What RQ takes a text for.
pub(crate) fn truth(text: &str) -> Option<bool> {
    let text = text.to_lowercase();
    match (YES.contains(&text.as_str()), NO.contains(&text.as_str())) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// A whole number in digits, from `min` to `max`. Texts of digits are no error in redis-py.
fn number(value: &Value, min: i64, max: i64) -> Result<String, String> {
    let number = match value {
        Value::Int(number) => Some(*number),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(number.to_string()),
        _ => Err(format!("it must be a whole number from {min} to {max}")),
    }
}

/// What `-S` and SERIALIZER name.
pub(crate) fn codec(name: &str) -> Result<Codec, String> {
    name.parse().map_err(|_| format!("'{name}' is none of json, pickle and bincode"))
}

/// The DSN of Sentry, whose key is what stands before the host.
fn without_key(dsn: &str) -> String {
    match (dsn.split_once("://"), dsn.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{SECRET}@{place}"),
        _ => SECRET.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    #[track_caller]
    fn taken(field: Field, value: Value, expected: Option<&str>) {
        let expected = expected.map(|expected| Content::Text(expected.to_owned()));
        assert_eq!(Content::checked(field, &value), Ok(expected), "{field:?} {value:?}");
    }

    #[track_caller]
    fn refused(field: Field, value: Value, expected: &str) {
        assert_eq!(Content::checked(field, &value), Err(expected.to_owned()), "{field:?} {value:?}");
    }

    #[test]
    fn what_redis_py_takes_is_taken() {
        taken(Field::RedisUrl, text("redis://h/1"), Some("redis://h/1"));
        taken(Field::RedisUrl, Value::Null, None);
        taken(Field::RedisHost, text("h"), Some("h"));
        taken(Field::RedisPort, Value::Int(6380), Some("6380"));
        taken(Field::RedisPort, text(" 6380 "), Some("6380"));
        taken(Field::RedisDb, text("2"), Some("2"));
        taken(Field::RedisDb, text(""), None);
        taken(Field::RedisPassword, Value::Int(123), Some("123"));
        taken(Field::RedisPassword, text(""), None);
        taken(Field::RedisSsl, Value::Bool(true), Some("True"));
        taken(Field::RedisSsl, Value::Int(0), Some("False"));
        taken(Field::RedisSsl, text("Yes"), Some("True"));
        taken(Field::RedisSsl, text(""), Some("False"));
        taken(Field::RedisSslCertReqs, Value::Null, Some("none"));
        taken(Field::RedisSslCaCerts, Value::Null, None);
        taken(Field::Name, text("w.1"), Some("w.1"));
        let queues = vec![text("high"), text("low")];
        let expected = Content::Texts(vec!["high".to_owned(), "low".to_owned()]);
        assert_eq!(
            Content::checked(Field::Queues, &Value::Tuple(queues.clone())),
            Ok(Some(expected.clone()))
        );
        assert_eq!(Content::checked(Field::Queues, &Value::List(queues)), Ok(Some(expected)));
        assert_eq!(Content::checked(Field::DictConfig, &Value::Dict(Vec::new())), Ok(None));
    }

    #[test]
    fn what_it_does_not_take_is_refused() {
        let scheme = "a Redis URL must specify one of the following schemes: redis://, rediss://, unix://, \
                      redis+sentinel://, rediss+sentinel://";
        refused(Field::RedisUrl, text(""), scheme);
        refused(Field::RedisUrl, Value::Int(1), "it is no text");
        refused(Field::RedisHost, text(""), "it is empty");
        refused(Field::RedisPort, text("x"), "it must be a whole number from 1 to 65535");
        refused(Field::RedisPort, Value::Int(65536), "it must be a whole number from 1 to 65535");
        refused(Field::RedisPort, Value::Int(0), "it must be a whole number from 1 to 65535");
        refused(Field::RedisPort, Value::Bool(true), "it must be a whole number from 1 to 65535");
        refused(Field::RedisDb, Value::Int(-1), &format!("it must be a whole number from 0 to {}", i64::MAX));
        refused(Field::RedisSsl, text("1"), "it is a boolean and must be \"True\" or \"False\"");
        refused(Field::RedisSslCertReqs, text("maybe"), "it must be none, optional or required");
        refused(Field::Queues, text("high,low"), "it is a text, and has to be a list: ['high', 'low']");
        refused(Field::Queues, Value::List(Vec::new()), "there is none in it");
        refused(Field::Queues, Value::List(vec![Value::Int(1)]), "it is no list of names");
        refused(Field::Serializer, text("yaml"), "'yaml' is none of json, pickle and bincode");
        refused(Field::DictConfig, text("x"), "it is no dictionary");
        assert!(Content::checked(Field::KeyPrefix, &text("a b")).is_err());
        assert!(Content::checked(Field::Queues, &Value::List(vec![text("a,b")])).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        for (field, content, expected) in [
            (Field::RedisUrl, "redis://:secret@h", "redis://:***@h:6379/0"),
            (Field::RedisUrl, "u:secret@h", "***"),
            (Field::Sentinel, "redis+sentinel://:secret@h/m", "redis+sentinel://:***@h:26379/m/0"),
            (Field::RedisPassword, "secret", "***"),
            (Field::RedisSentinelPassword, "secret", "***"),
            (Field::RedisSslCaData, "secret", "***"),
            (Field::SentryDsn, "https://secret@o1.ingest.sentry.io/2", "https://***@o1.ingest.sentry.io/2"),
            (Field::SentryDsn, "https://a:secret@h@b/2", "https://***@b/2"),
            (Field::SentryDsn, "secret", "***"),
            (Field::RedisHost, "h", "h"),
            (Field::RedisHost, "u:secret@h", "***"),
            (Field::RedisSentinels, "a,u:secret@b", "***"),
            (Field::RedisSslKeyfile, "/etc/key.pem", "/etc/key.pem"),
            (Field::RedisSslKeyfile, "-----BEGIN PRIVATE KEY-----secret", "***"),
            (Field::RedisSslKeyfile, "a\nsecret", "***"),
        ] {
            assert_eq!(Content::Text(content.to_owned()).shown(field), expected);
        }
        let tree = Value::Dict(vec![(text("password"), text("secret"))]);
        assert_eq!(Content::Tree(tree).shown(Field::DictConfig), "a dictionary");
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
}
