//! Which settings hold, as a table: options, the environment, a file, without any of them.

use std::path::PathBuf;

use rq_core::Value;

use super::*;
use crate::settings::content::Content;
use crate::settings::file::SettingsFile;
use crate::settings::row::Row;

/// A file that sets each of these in a line of its own.
fn file(name: &str, settings: &[(Field, Value)]) -> SettingsFile {
    let path = PathBuf::from(name);
    let said = settings.iter().enumerate().filter_map(|(at, (field, value))| {
        let content = Content::kept(*field, value).unwrap()?;
        Some((*field, Said { content, origin: Origin::File { path: path.clone(), line: at + 1 } }))
    });
    SettingsFile { said: said.collect(), path: path.clone(), has_settings: true }
}

fn settings(url: Option<&str>, environment: &[(&str, &str)], of_file: &[(Field, Value)]) -> Settings {
    let options: Vec<_> = url.map(|url| (Field::RedisUrl, "--url", url)).into_iter().collect();
    let find = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let table = Table::new(&options, &find, Some(&file("settings.py", of_file)));
    Settings { table, file: None }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

#[track_caller]
fn check(url: Option<&str>, environment: &[(&str, &str)], of_file: &[(Field, Value)], expected: &str) {
    let settings = settings(url, environment, of_file);
    let redis = settings.redis().unwrap();
    assert_eq!(redis.url, expected, "{url:?} {environment:?} {of_file:?}");
}

#[test]
fn without_a_file_the_first_that_names_a_redis_counts() {
    let check = |url, environment: &[(&str, &str)], expected| check(url, environment, &[], expected);
    check(None, &[], "redis://localhost:6379/0");
    check(Some(""), &[("REDIS_URL", "redis://b/2")], "redis://b/2");
    check(Some("redis://a/1"), &[("REDIS_URL", "redis://b/2")], "redis://a/1");
    check(None, &[("RQ_REDIS_URL", "redis://a/1"), ("REDIS_URL", "redis://b/2")], "redis://a/1");
    check(None, &[("RQ_REDIS_URL", ""), ("REDIS_URL", "redis://b/2")], "redis://b/2");
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
}

#[test]
fn a_url_counts_before_sentinels_and_these_before_pieces_whoever_says_them() {
    let url = (Field::RedisUrl, text("redis://file/1"));
    let host = (Field::RedisHost, text("file-host"));
    let sentinel = (Field::Sentinel, Value::Dict(Vec::new()));
    let all = [url.clone(), host.clone(), sentinel.clone()];
    check(None, &[], &all, "redis://file/1");
    check(Some("redis://a"), &[], &all, "redis://a");
    check(None, &[("RQ_REDIS_URL", "redis://b")], &all, "redis://b");
    check(None, &[("REDIS_URL", "redis://b")], &all, "redis://b");
    check(None, &[("REDIS_HOST", "c")], &all, "redis://file/1");
    check(None, &[("REDIS_SENTINELS", "c")], &all, "redis://file/1");
    check(None, &[("REDIS_DB", "3"), ("REDIS_PASSWORD", "p")], &all, "redis://file/1");
    let without = [sentinel, host.clone()];
    check(None, &[], &without, "redis+sentinel://localhost:26379/mymaster");
    check(None, &[("REDIS_HOST", "c")], &without, "redis+sentinel://localhost:26379/mymaster");
    check(None, &[("REDIS_SENTINELS", "c")], &without, "redis+sentinel://c/mymaster/0");
    check(None, &[("REDIS_HOST", "c")], &without[1..], "redis://c:6379/0");
    check(None, &[], &[(Field::RedisUrl, Value::Null), host], "redis://file-host:6379/0");
}

#[test]
fn pieces_of_several_go_together() {
    let of_file = [
        (Field::RedisHost, text("h")),
        (Field::RedisPort, Value::Int(7)),
        (Field::RedisDb, text("2")),
        (Field::RedisSsl, Value::Bool(true)),
        (Field::RedisSslCertReqs, Value::Null),
    ];
    check(None, &[("REDIS_PASSWORD", "p")], &of_file, "rediss://:p@h:7/2?ssl_cert_reqs=none");
    check(None, &[("REDIS_HOST", "e"), ("REDIS_SSL", "no")], &of_file, "redis://e:7/2");
    check(None, &[("REDIS_PORT", "8")], &of_file[..1], "redis://h:8/0");
}

#[test]
fn what_kubernetes_injects_is_no_port() {
    let injected = [("REDIS_PORT", "tcp://10.0.0.1:6379")];
    check(None, &injected, &[(Field::RedisUrl, text("redis://file/1"))], "redis://file/1");
    check(Some("redis://a"), &injected, &[], "redis://a");
    for of_file in [&[][..], &[(Field::RedisHost, text("h"))]] {
        let Err(Refusal::Failed(told)) = settings(None, &injected, of_file).redis() else {
            panic!("it is taken for a port")
        };
        assert!(
            told.starts_with("REDIS_PORT is tcp://10.0.0.1:6379, which is no port: Kubernetes"),
            "{told}"
        );
    }
    // So it is where the file has asked for it.
    let asked = (Field::RedisPort, text("tcp://10.0.0.1:6379"));
    let url = (Field::RedisUrl, text("redis://file/1"));
    check(None, &[], &[url.clone(), asked.clone()], "redis://file/1");
    check(None, &[("REDIS_PORT", "7")], std::slice::from_ref(&asked), "redis://localhost:7/0");
    let of_file = |field, value| settings(None, &[], &[(field, value)]).redis().unwrap_err();
    let Refusal::Failed(told) = of_file(asked.0, asked.1) else { panic!("it is another refusal") };
    let expected =
        "settings.py, line 1: REDIS_PORT is tcp://10.0.0.1:6379, which is no port: Kubernetes gives pods";
    assert!(told.starts_with(expected), "{told}");
    // Other pieces, too, are looked at where they count.
    let wrong = (Field::RedisDb, text("x"));
    check(None, &[], &[url.clone(), wrong.clone()], "redis://file/1");
    check(None, &[], &[url, (Field::Sentinel, text("x"))], "redis://file/1");
    let Refusal::Failed(told) = of_file(wrong.0, wrong.1) else { panic!("it is another refusal") };
    assert!(
        told.starts_with("settings.py, line 1: REDIS_DB cannot be used: it must be a whole number"),
        "{told}"
    );
    let refused = |environment: &[(&str, &str)]| settings(None, environment, &[]).redis().unwrap_err();
    let port = Refusal::Failed("REDIS_PORT is x, and must be a number from 1 to 65535.".to_owned());
    assert_eq!(refused(&[("REDIS_PORT", "x")]), port);
    for (variable, value, expected) in [
        ("REDIS_PORT", "0", "REDIS_PORT is 0, and must be a number from 1 to 65535."),
        ("REDIS_DB", "\"2\"", "REDIS_DB is \"2\", and must be a whole number from 0 on."),
        ("REDIS_DB", "abc", "REDIS_DB is abc, and must be a whole number from 0 on."),
        ("REDIS_DB", "2.0", "REDIS_DB is 2.0, and must be a whole number from 0 on."),
        ("REDIS_DB", "-1", "REDIS_DB is -1, and must be a whole number from 0 on."),
        ("REDIS_DB", "2/3", "REDIS_DB is 2/3, and must be a whole number from 0 on."),
        ("REDIS_HOST", "h:7000", "REDIS_HOST holds a port: REDIS_PORT says it."),
        ("REDIS_SENTINELS", "a/1", "REDIS_SENTINELS is neither a host name nor an IP address: `/` is in it."),
    ] {
        assert_eq!(refused(&[(variable, value)]), Refusal::Failed(expected.to_owned()));
        check(Some("redis://a"), &[(variable, value)], &[], "redis://a");
    }
    let told = of_file(Field::RedisHost, text("h:7000"));
    let expected = "settings.py, line 1: REDIS_HOST holds a port: REDIS_PORT says it.";
    assert_eq!(told, Refusal::Failed(expected.to_owned()));
    let ssl = Refusal::Failed("REDIS_SSL is a boolean and must be \"True\" or \"False\".".to_owned());
    assert_eq!(refused(&[("REDIS_SSL", "1")]), ssl);
}

#[test]
fn who_comes_from_python_is_told_of_another_redis() {
    let told = |url, environment: &[(&str, &str)], of_file: &[(Field, Value)]| {
        let settings = settings(url, environment, of_file);
        settings.remarks(&settings.redis().unwrap())
    };
    let url = [(Field::RedisUrl, text("redis://:secret@file/1"))];
    let remark = "REDIS_URL of the environment names the Redis, redis://env:6379/0; settings.py, line 1 names another \
                  one, redis://:***@file:6379/1, which Python's rq would use";
    assert_eq!(told(None, &[("REDIS_URL", "redis://env")], &url), [remark]);
    let host = [(Field::RedisPort, Value::Int(6379)), (Field::RedisHost, text("file"))];
    let remark = "REDIS_HOST of the environment names the Redis, redis://env:6379/0; settings.py, line 2 names another \
                  one, redis://file:6379/0, which Python's rq would use";
    assert_eq!(told(None, &[("REDIS_HOST", "env")], &host), [remark]);
    let remark = "RQ_REDIS_URL of the environment names the Redis, redis://env:6379/0; settings.py, line 1 names another \
                  one, redis://:***@file:6379/1";
    assert_eq!(told(None, &[("RQ_REDIS_URL", "redis://env")], &url), [remark]);
    // A file's URL is used whole.
    let remark = "REDIS_URL of settings.py, line 1 names the Redis, redis://:***@file:6379/1; REDIS_HOST of the \
                  environment, env, does not count beside it: RQ_REDIS_URL and REDIS_URL would";
    assert_eq!(told(None, &[("REDIS_HOST", "env"), ("REDIS_PORT", "tcp://h:1")], &url), [remark]);
    assert!(told(None, &[("REDIS_HOST", "File"), ("REDIS_PORT", "7"), ("REDIS_DB", "3")], &url).is_empty());
    assert!(told(None, &[("REDIS_PORT", "7"), ("REDIS_PASSWORD", "p")], &url).is_empty());
    assert_eq!(told(None, &[("REDIS_SENTINELS", "file:1, b")], &url).len(), 1);
    let sentinels = [(Field::RedisUrl, text("redis+sentinel://b:2,a:1/m/0"))];
    assert!(told(None, &[("REDIS_SENTINELS", "a, b")], &sentinels).is_empty());
    let own = [(Field::Sentinel, Value::Dict(Vec::new()))];
    assert_eq!(told(None, &[("REDIS_HOST", "env")], &own).len(), 1);
    assert!(told(None, &[("REDIS_HOST", "localhost")], &own).is_empty());
    // The same place, an option, a file that names none.
    assert!(told(None, &[("REDIS_URL", "redis://:p@file:6379/1")], &url).is_empty());
    assert!(told(Some("redis://a"), &[("REDIS_URL", "redis://env")], &url).is_empty());
    assert!(told(None, &[("REDIS_PASSWORD", "p")], &host).is_empty());
    assert!(told(None, &[("REDIS_URL", "redis://env")], &[(Field::Name, text("w"))]).is_empty());
    let prefix = [(Field::KeyPrefix, text("app"))];
    assert_eq!(told(None, &[], &prefix).len(), 1);
    assert!(told(None, &[("RQ_KEY_PREFIX", "other")], &prefix).is_empty());
}

#[test]
fn the_other_fields_are_taken_one_by_one() {
    let of_file = [
        (Field::Queues, Value::List(vec![text("high"), text("low")])),
        (Field::Name, text("w")),
        (Field::KeyPrefix, text("app")),
        (Field::Serializer, text("json")),
        (Field::Executor, text("thread")),
        (Field::SentryDsn, text("https://k@h/1")),
        (Field::SentryDebug, Value::Bool(true)),
        (Field::DictConfig, Value::Dict(vec![(text("version"), Value::Int(1))])),
    ];
    let all = settings(Some("redis://a"), &[], &of_file);
    assert_eq!(all.queues(), Some(&["high".to_owned(), "low".to_owned()][..]));
    assert_eq!(
        (all.name(), all.keys().unwrap().prefix(), all.codec()),
        (Some("w"), "app", Some(Codec::Json))
    );
    assert_eq!(all.executor_argument(), Some("--executor=thread".into()));
    let sentry = all.sentry();
    assert_eq!((sentry.dsn.unwrap().0, sentry.debug.unwrap().0), ("https://k@h/1", "True"));
    let (_, origin) = all.dict_config(&Supervisor::default()).unwrap().unwrap();
    assert_eq!(origin.to_string(), "settings.py, line 8");
    let environment = [
        ("QUEUES", "no"),
        ("NAME", "no"),
        ("RQ_KEY_PREFIX", "env"),
        ("RQ_SERIALIZER", "pickle"),
        ("RQ_WORKER_CLASS", "green"),
        ("SENTRY_DSN", "https://e@h/2"),
        ("RQ_SENTRY_DEBUG", "n"),
    ];
    let all = settings(None, &environment, &of_file);
    assert_eq!((all.name(), all.keys().unwrap().prefix()), (Some("w"), "env"));
    // Each queue, and clap, read these themselves.
    assert_eq!((all.codec(), all.executor_argument()), (None, None));
    let sentry = all.sentry();
    assert_eq!((sentry.dsn.unwrap().0, sentry.debug.unwrap().0), ("https://e@h/2", "n"));
    assert_eq!(sentry.dsn.unwrap().1, &Origin::Variable("SENTRY_DSN"));
    assert_eq!(settings(None, &environment, &[]).queues(), None);
}

#[test]
fn rows_show_who_says_what() {
    let of_file = [(Field::RedisUrl, text("redis://:secret@file")), (Field::RedisPort, Value::Int(1))];
    let settings = settings(None, &[("REDIS_URL", "redis://env")], &of_file);
    let rows = Row::all(&settings, &settings.redis().unwrap());
    let row = |field: Field| rows.iter().find(|row| row.field == field).unwrap();
    let at = |line| Origin::File { path: "settings.py".into(), line };
    let url = Row {
        field: Field::RedisUrl,
        value: Some("redis://env:6379/0".to_owned()),
        origin: Some(Origin::Variable("REDIS_URL")),
        overridden: vec![(at(1), "redis://:***@file:6379/0".to_owned())],
    };
    assert_eq!(*row(Field::RedisUrl), url);
    let port =
        Row { field: Field::RedisPort, value: None, origin: None, overridden: vec![(at(2), "1".to_owned())] };
    assert_eq!(*row(Field::RedisPort), port);
    let queues = row(Field::Queues);
    assert_eq!((queues.value.as_deref(), &queues.origin), (Some("default"), &Some(Origin::Default)));
    assert_eq!(rows.len(), 25);
}

#[test]
fn workers_are_handed_what_their_environment_lacks() {
    let of_file = [
        (Field::SentryDsn, text("https://k@h/1")),
        (Field::DictConfig, Value::Dict(vec![(text("version"), Value::Int(1))])),
        (Field::Name, text("w")),
    ];
    let handed = handed::Handed::new(&settings(None, &[], &of_file)).unwrap();
    let names: Vec<_> = handed.variables().iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names, ["RQ_MANAGED_CONFIG", handed::DSN_VARIABLE, handed::LOG_VARIABLE]);
    let json = handed.variables()[2].1.to_str().unwrap();
    assert_eq!(handed::dict_config(json), Ok(Value::Dict(vec![(text("version"), Value::Int(1))])));
    let known = settings(None, &[("RQ_SENTRY_DSN", "https://e@h/2")], &of_file[..1]);
    assert_eq!(handed::Handed::new(&known), Ok(handed::Handed::default()));
    let large = Value::Dict(vec![(text("version"), text(&"x".repeat(200_000)))]);
    assert!(handed::Handed::new(&settings(None, &[], &[(Field::DictConfig, large)])).is_err());
}
