//! What can be compared of a snapshot: its facts, the volatile ones reduced to their kind.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rq_core::{Codec, CodecError, Job, Timestamp, zlib};
use rq_tests::fixture::{self, Value};

use super::{core_fields, is_x, type_name};

/// How far a TTL, or a score that counts from something, may be off, in seconds.
const SLACK_S: i64 = 5;
/// Requeued jobs have an empty `exc_info`.
const EXC_INFO_BYTES_MAX: usize = 1000;
/// What stands for an execution's or a scheduler's id.
const SOME_X: &str = "<x>";

/// A key, and what of it: `type`, `ttl`, `text`, `.field`, `[index]`, `{member}`, `#entry.field`.
pub(crate) type At = (String, String);

/// One thing that a snapshot says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    Text(String),
    Seconds(i64),
    /// A score: the second it names, and how long that is after the job was created, or after the execution's last
    /// heartbeat.
    Due {
        at_s: i64,
        after_s: i64,
    },
}

impl Fact {
    pub(crate) fn agrees_with(&self, other: &Fact) -> bool {
        let is_near = |one: i64, other: i64| (one - other).abs() <= SLACK_S && (one < 0) == (other < 0);
        match (self, other) {
            (Fact::Seconds(one), Fact::Seconds(other)) => is_near(*one, *other),
            (
                Fact::Due { at_s: one, after_s: one_after },
                Fact::Due { at_s: other, after_s: other_after },
            ) => one == other || is_near(*one_after, *other_after),
            (one, other) => one == other,
        }
    }
}

/// All facts of a snapshot whose keys begin with `rq:`.
pub(crate) fn facts(keys: &fixture::Keys) -> BTreeMap<At, Fact> {
    let keys = &with_plain_ids(keys);
    let mut facts = BTreeMap::new();
    for (name, key) in keys {
        let mut add = |what: String, fact: Fact| facts.insert((masked(name), what), fact);
        add("type".to_owned(), Fact::Text(type_name(&key.value).to_owned()));
        add("ttl".to_owned(), Fact::Seconds(key.ttl_s));
        match &key.value {
            Value::String(text) => drop(add("text".to_owned(), string(name, text.as_str()))),
            Value::List(ids) => ids.iter().enumerate().for_each(|(index, id)| {
                add(format!("[{index}]"), Fact::Text(id.as_str().to_owned()));
            }),
            Value::Set(members) => members.iter().for_each(|member| {
                add(format!("{{{}}}", masked(member.as_str())), Fact::Text(String::new()));
            }),
            Value::SortedSet(members) => members.iter().for_each(|(member, score)| {
                let member = member.as_str();
                add(format!("{{{}}}", masked(member)), due(keys, name, member, score.0));
            }),
            Value::Hash(fields) => fields.iter().for_each(|(field, value)| {
                add(format!(".{field}"), Fact::Text(steady(field, fields, value.as_bytes())));
            }),
            Value::Stream(entries) => entries.iter().enumerate().for_each(|(index, (_, entry))| {
                for (field, value) in entry {
                    add(format!("#{index}.{field}"), Fact::Text(steady(field, entry, value.as_bytes())));
                }
            }),
        }
    }
    facts
}

/// Jobs that a cron scheduler has enqueued have fresh ids: by their places in their queues they are the same.
fn with_plain_ids(keys: &fixture::Keys) -> fixture::Keys {
    let mut json = serde_json::to_string(keys).expect("a snapshot is plain data");
    for (name, key) in keys {
        let Value::List(ids) = &key.value else { continue };
        for (index, id) in ids.iter().map(|id| id.as_str()).enumerate() {
            if uuid::Uuid::try_parse(id).is_ok() {
                json = json.replace(id, &format!("{}-{index}", name.replace(':', "-")));
            }
        }
    }
    serde_json::from_str(&json).expect("it still is one")
}

/// Ids that differ from run to run are between colons, or alone.
fn masked(text: &str) -> String {
    let parts: Vec<&str> = text.split(':').map(|part| if is_x(part) { SOME_X } else { part }).collect();
    parts.join(":")
}

fn string(name: &str, text: &str) -> Fact {
    let is_time = name.contains(":first_seen:") && text.parse::<f64>().is_ok();
    Fact::Text(if is_time { "a time".to_owned() } else { masked(text) })
}

/// The score of `member` in the sorted set `name`.
fn due(keys: &fixture::Keys, name: &str, member: &str, score: f64) -> Fact {
    match began_s(keys, name, member) {
        Some(began_s) if score.is_finite() && score > 0.0 => {
            Fact::Due { at_s: score as i64, after_s: score as i64 - began_s }
        }
        Some(_) => Fact::Text(score.to_string()),
        None => Fact::Text("a time".to_owned()),
    }
}

/// What the score of a job, or of an execution, is counted from.
fn began_s(keys: &fixture::Keys, name: &str, member: &str) -> Option<i64> {
    if let Some(job) = keys.get(&format!("rq:job:{member}")) {
        return Some(Timestamp::parse(job.hash()["created_at"].as_str()).expect("a time").epoch_secs());
    }
    let execution = match name.strip_prefix("rq:executions:") {
        Some(id) => format!("rq:execution:{id}:{member}"),
        None => format!("rq:execution:{member}"),
    };
    let heartbeat_s: f64 = keys.get(&execution)?.hash()["last_heartbeat"].as_str().parse().expect("a number");
    Some(heartbeat_s as i64)
}

/// A field of a hash or a stream entry, without what differs from run to run.
fn steady(field: &str, all: &fixture::Fields, value: &[u8]) -> String {
    let text = || String::from_utf8(value.to_vec()).expect("it is text");
    let decoded = |bytes: &[u8]| {
        let codec = Codec::detect_value(bytes);
        // An object of one of Python's classes is no plain data.
        let value = codec.decode_value(bytes).map_or_else(|_| "an object".to_owned(), |value| value.repr());
        format!("{codec}: {value}")
    };
    match field {
        _ if value.is_empty() => String::new(),
        // What a cron entry enqueues, in a key of ours.
        _ if field.starts_with("job:") => "of a job".to_owned(),
        "created_at"
        | "enqueued_at"
        | "started_at"
        | "ended_at"
        | "last_heartbeat"
        | "birth"
        | "death"
        | "shutdown_requested_date" => {
            // Executions have the E form, all others the T form.
            let is_time = Timestamp::parse(&text()).is_ok() || text().parse::<f64>().is_ok();
            assert!(is_time, "{field}: {}", text());
            "a time".to_owned()
        }
        "execution_started_at" | "execution_ended_at" | "total_working_time" => {
            text().parse::<f64>().map(|_| "a number").expect("of seconds").to_owned()
        }
        "exc_string" | "pid" | "hostname" | "ip_address" | "version" | "python_version" => {
            "a text".to_owned()
        }
        "meta" | "result" => decoded(value),
        "cron_jobs" => {
            let or_time = |part| if Timestamp::parse(part).is_ok() { "a time" } else { part };
            text().split('"').map(or_time).collect::<Vec<_>>().join("\"")
        }
        "canceled" | "requeued" => "a call".to_owned(),
        "answer0" | "answer1" => "to a claim".to_owned(),
        "exc_info" => {
            let text = zlib::inflate(value, EXC_INFO_BYTES_MAX).expect("it is deflated").into_owned();
            String::from_utf8(text).expect("it is text")
        }
        "return_value" => decoded(&BASE64.decode(value).expect("base64")),
        "data" => {
            let job = Job::from_fields("job", core_fields(all)).expect("a job");
            match job.payload() {
                Ok((codec, payload)) => format!("{codec}: {}", payload.full_description()),
                Err(CodecError::Instance { .. }) => "a method of an object".to_owned(),
                Err(error) => panic!("no call: {error}"),
            }
        }
        // `settled`, `execution_id` and others name an execution.
        _ => masked(&text()),
    }
}
