//! RQ's SENTINEL, a dictionary, as the URL that says the same.

use rq_core::{RedisUrl, Value};

use super::host::{self, Host};
use super::redis::percent_encoded;

/// What redis-py takes where nothing is said: RQ's instances and master.
const INSTANCES_DEFAULT: &str = "localhost:26379";
pub(super) const MASTER_DEFAULT: &str = "mymaster";
/// The keys of RQ's dictionary.
const KEYS: [&str; 9] = [
    "INSTANCES",
    "MASTER_NAME",
    "DB",
    "USERNAME",
    "PASSWORD",
    "SOCKET_TIMEOUT",
    "SSL",
    "CONNECTION_KWARGS",
    "SENTINEL_KWARGS",
];
/// What a URL says of a connection by the same words.
const PARAMETERS: [&str; 14] = [
    "db",
    "username",
    "password",
    "client_name",
    "socket_timeout",
    "socket_connect_timeout",
    "protocol",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_certfile",
    "ssl_keyfile",
];
/// What tunes redis-py alone: a URL may say it, and nothing comes of it.
const PASSED_OVER: [&str; 8] = [
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "max_connections",
    "retry_on_timeout",
    "socket_keepalive",
    "socket_read_size",
];
/// Who we are to sentinels.
const OF_SENTINELS: [(&str, &str); 2] =
    [("username", "sentinel_username"), ("password", "sentinel_password")];

/// The URL. The error is the end of a sentence.
pub(super) fn url(value: &Value) -> Result<String, String> {
    let own = entries(value, "it")?;
    if let Some((key, _)) = own.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(format!("it has {key}, which RQ does not know; known are {}", KEYS.join(", ")));
    }
    let find = |key: &str| own.iter().find(|(known, _)| known == key).map(|(_, value)| value);
    let mut connection = Vec::new();
    for (key, word) in [
        ("DB", "db"),
        ("USERNAME", "username"),
        ("PASSWORD", "password"),
        ("SOCKET_TIMEOUT", "socket_timeout"),
        ("SSL", "ssl"),
    ] {
        connection.extend(find(key).map(|value| (word.to_owned(), value.clone())));
    }
    if let Some(more) = find("CONNECTION_KWARGS") {
        for (word, value) in entries(more, "CONNECTION_KWARGS")? {
            // As Python's `update`: these have precedence.
            connection.retain(|(known, _)| *known != word);
            connection.push((word, value));
        }
    }
    let sentinels = match find("SENTINEL_KWARGS") {
        Some(kwargs) => entries(kwargs, "SENTINEL_KWARGS")?,
        None => Vec::new(),
    };
    let is_tls = is_tls(&connection, &sentinels)?;
    let mut query = parameters(&connection)?;
    query.extend(parameters_of_sentinels(&sentinels, &connection)?);
    let instances = find("INSTANCES").map_or_else(|| Ok(INSTANCES_DEFAULT.to_owned()), instances)?;
    let master = match find("MASTER_NAME") {
        Some(Value::Str(name)) => name.as_str(),
        Some(_) => return Err("its MASTER_NAME is no text".to_owned()),
        None => MASTER_DEFAULT,
    };
    host::check_master(master).map_err(|reason| format!("its MASTER_NAME {reason}"))?;
    let s = if is_tls { "s" } else { "" };
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("redis{s}+sentinel://{instances}/{}{mark}{}", percent_encoded(master), query.join("&"));
    // What is left to be wrong is in the values, which it does not show.
    RedisUrl::parse(&url)
        .map_err(|error| error.to_string().replacen("the Redis URL's parameter", "its", 1))?;
    Ok(url)
}

fn entries(value: &Value, name: &str) -> Result<Vec<(String, Value)>, String> {
    let Value::Dict(pairs) = value else { return Err(format!("{name} is no dictionary")) };
    let entry = |(key, value): &(Value, Value)| match key {
        // `None` is what holds where nothing is said, but for one.
        Value::Str(key) if *value == Value::Null && key != "ssl_cert_reqs" => None,
        Value::Str(key) => Some(Ok((key.clone(), value.clone()))),
        _ => Some(Err(format!("{name} has a key that is no text"))),
    };
    pairs.iter().filter_map(entry).collect()
}

fn instances(value: &Value) -> Result<String, String> {
    let wrong = || "its INSTANCES are no list of pairs: [('host', 26379)]".to_owned();
    let (Value::List(pairs) | Value::Tuple(pairs)) = value else { return Err(wrong()) };
    let hosts = pairs.iter().map(|pair| {
        let (Value::List(pair) | Value::Tuple(pair)) = pair else { return Err(wrong()) };
        let [Value::Str(host), port] = pair.as_slice() else { return Err(wrong()) };
        let port = match port {
            Value::Int(port) => host::port_of(&port.to_string()),
            Value::Str(port) => host::port_of(port),
            _ => None,
        };
        let port = port.ok_or_else(wrong)?;
        let host = Host::named(host).map_err(|_| wrong())?;
        Ok(format!("{}:{port}", host.into_text()))
    });
    let hosts: Vec<String> = hosts.collect::<Result<_, _>>()?;
    if hosts.is_empty() { Err(wrong()) } else { Ok(hosts.join(",")) }
}

/// One URL has TLS to all of them, or to none.
fn is_tls(connection: &[(String, Value)], sentinels: &[(String, Value)]) -> Result<bool, String> {
    let asked = |kwargs: &[(String, Value)]| match kwargs.iter().find(|(word, _)| word == "ssl") {
        Some((_, Value::Bool(truth))) => Ok(*truth),
        Some(_) => Err("its ssl is neither True nor False".to_owned()),
        None => Ok(false),
    };
    match (asked(connection)?, asked(sentinels)?) {
        (one, other) if one == other => Ok(one),
        _ => Err("its SSL and the 'ssl' of its SENTINEL_KWARGS differ: TLS goes to Redis and to the sentinels here, or \
                  to none of them"
            .to_owned()),
    }
}

fn parameters(connection: &[(String, Value)]) -> Result<Vec<String>, String> {
    let mut query = Vec::new();
    for (word, value) in connection {
        if word == "ssl" || PASSED_OVER.contains(&word.as_str()) {
            continue;
        }
        if !PARAMETERS.contains(&word.as_str()) {
            return Err(format!(
                "its CONNECTION_KWARGS have {word}, which cannot be said here: leave it out"
            ));
        }
        query.push(parameter(word, word, value)?);
    }
    Ok(query)
}

fn parameters_of_sentinels(
    sentinels: &[(String, Value)],
    connection: &[(String, Value)],
) -> Result<Vec<String>, String> {
    let mut query = Vec::new();
    for (word, value) in sentinels {
        if let Some((_, name)) = OF_SENTINELS.iter().find(|(known, _)| known == word) {
            query.push(parameter(word, name, value)?);
            continue;
        }
        let is_same = connection.iter().any(|(known, other)| known == word && other == value);
        if word != "ssl" && !is_same && !PASSED_OVER.contains(&word.as_str()) {
            return Err(format!(
                "its SENTINEL_KWARGS have {word}, which is the same for Redis and its sentinels here: leave it out, or \
                 give CONNECTION_KWARGS the same"
            ));
        }
    }
    Ok(query)
}

fn parameter(word: &str, name: &str, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
        Value::Null => "none".to_owned(),
        _ => return Err(format!("its {word} is neither a text nor a number")),
    };
    Ok(format!("{name}={}", percent_encoded(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    fn dict(pairs: &[(&str, Value)]) -> Value {
        Value::Dict(pairs.iter().map(|(key, value)| (text(key), value.clone())).collect())
    }

    fn instances(pairs: &[(&str, i64)]) -> Value {
        Value::List(
            pairs.iter().map(|(host, port)| Value::Tuple(vec![text(host), Value::Int(*port)])).collect(),
        )
    }

    #[test]
    fn what_a_url_can_say_is_said() {
        let of = |pairs: &[(&str, Value)]| url(&dict(pairs)).unwrap();
        assert_eq!(of(&[]), "redis+sentinel://localhost:26379/mymaster");
        let all = of(&[
            ("INSTANCES", instances(&[("a", 1), ("::1", 2)])),
            ("MASTER_NAME", text("m 1")),
            ("DB", Value::Int(2)),
            ("USERNAME", Value::Null),
            ("PASSWORD", text("p@&")),
            ("SOCKET_TIMEOUT", Value::Float(0.5)),
            ("CONNECTION_KWARGS", dict(&[("health_check_interval", Value::Int(30)), ("db", Value::Int(3))])),
            ("SENTINEL_KWARGS", dict(&[("password", text("s")), ("socket_timeout", Value::Float(0.5))])),
        ]);
        let expected =
            "redis+sentinel://a:1,[::1]:2/m%201?password=p%40%26&socket_timeout=0.5&db=3&sentinel_password=s";
        assert_eq!(all, expected);
        let tls = [("SSL", Value::Bool(true)), ("SENTINEL_KWARGS", dict(&[("ssl", Value::Bool(true))]))];
        assert_eq!(of(&tls), "rediss+sentinel://localhost:26379/mymaster");
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        let check = |pairs: &[(&str, Value)], expected: &str| {
            let told = url(&dict(pairs)).unwrap_err();
            assert!(told.contains(expected), "{told}");
        };
        check(
            &[("MASTER", text("m"))],
            "it has MASTER, which RQ does not know; known are INSTANCES, MASTER_NAME",
        );
        check(&[("INSTANCES", text("a:1"))], "its INSTANCES are no list of pairs: [('host', 26379)]");
        check(&[("INSTANCES", instances(&[("a@b", 1)]))], "its INSTANCES are no list");
        check(&[("INSTANCES", instances(&[("a", 65536)]))], "its INSTANCES are no list");
        check(&[("INSTANCES", instances(&[("a", 0)]))], "its INSTANCES are no list");
        check(&[("MASTER_NAME", text("m/1"))], "its MASTER_NAME is no name of a master: `/` is in it");
        check(&[("SSL", Value::Bool(true))], "its SSL and the 'ssl' of its SENTINEL_KWARGS differ");
        check(&[("DB", text("x"))], "its db must be a whole number");
        check(&[("PASSWORD", Value::List(Vec::new()))], "its password is neither a text nor a number");
        check(
            &[("CONNECTION_KWARGS", dict(&[("retry", text("x"))]))],
            "its CONNECTION_KWARGS have retry, which cannot be said here",
        );
        check(
            &[("SENTINEL_KWARGS", dict(&[("socket_timeout", Value::Float(0.1))]))],
            "its SENTINEL_KWARGS have socket_timeout",
        );
        assert_eq!(url(&text("x")), Err("it is no dictionary".to_owned()));
    }
}
