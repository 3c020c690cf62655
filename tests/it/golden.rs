//! Every key that Python RQ left in the fixtures: its name is one that [`Keys`] makes, and what it holds is read
//! and written back without loss.
//!
//! `golden/end_states.rs` goes the other way: our own steps leave what Python's left.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rq_core::keys::{check_job_id, check_queue_name, check_worker_name};
use rq_core::{
    CodecError, ExecutionId, ExecutionRecord, Fields, Job, JobResult, Keys, Timestamp, WorkerRecord, zlib,
};
use rq_tests::fixture::{self, Bytes, Value};

pub(crate) mod differences;
mod end_states;
pub(crate) mod facts;
mod program;
mod replays;
mod table;

/// One of the keys of docs/wire.md §2.
struct Shape {
    name: &'static str,
    /// Redis' name of the type.
    holds: &'static str,
    /// Makes the key of up to two names.
    key: fn(&Keys, &str, &str) -> String,
    /// What those names are.
    parts: &'static [Part],
    /// Reads the value and panics where something would be lost.
    check: fn(&Held<'_>),
}

/// What a variable part of a key names.
#[derive(Clone, Copy)]
enum Part {
    Queue,
    Job,
    Execution,
    Worker,
    /// A scheduler, a cron entry, a group, a rate limit.
    Other,
}

/// A key of a snapshot.
struct Held<'a> {
    keys: &'a Keys,
    /// The variable parts of the key.
    parts: Vec<&'a str>,
    value: &'a Value,
    /// Before this version registries of running jobs held job ids.
    is_before_2: bool,
}

const SHAPES: &[Shape] = {
    use Part::{Execution, Job, Other, Queue, Worker};
    &[
        shape("queues", "set", |k, _, _| k.queues(), &[], queue_keys),
        shape("queue", "list", |k, q, _| k.queue(q), &[Queue], ids),
        shape("intermediate", "list", |k, q, _| k.intermediate(q), &[Queue], ids),
        shape("first_seen", "string", |k, q, id| k.first_seen(q, id), &[Queue, Job], epoch),
        shape("job", "hash", |k, id, _| k.job(id), &[Job], job),
        shape("dependents", "set", |k, id, _| k.dependents(id), &[Job], ids),
        shape("dependencies", "set", |k, id, _| k.dependencies(id), &[Job], ids),
        shape("results", "stream", |k, id, _| k.results(id), &[Job], results),
        shape("wip", "zset", |k, q, _| k.wip(q), &[Queue], members_of_wip),
        shape("finished", "zset", |k, q, _| k.finished(q), &[Queue], ids),
        shape("failed", "zset", |k, q, _| k.failed(q), &[Queue], ids),
        shape("deferred", "zset", |k, q, _| k.deferred(q), &[Queue], ids),
        shape("ready", "zset", |k, q, _| k.ready(q), &[Queue], ids),
        shape("scheduled", "zset", |k, q, _| k.scheduled(q), &[Queue], ids),
        shape("canceled", "zset", |k, q, _| k.canceled(q), &[Queue], ids),
        shape("execution", "hash", |k, id, x| k.execution(id, x), &[Job, Execution], execution),
        shape("executions", "zset", |k, id, _| k.executions(id), &[Job], xs),
        shape("workers", "set", |k, _, _| k.workers(), &[], worker_keys),
        shape("queue_workers", "set", |k, q, _| k.queue_workers(q), &[Queue], worker_keys),
        shape("worker", "hash", |k, w, _| k.worker(w), &[Worker], worker),
        shape("worker_executions", "set", |k, w, _| k.worker_executions(w), &[Worker], composites),
        shape("suspended", "string", |k, _, _| k.suspended(), &[], one),
        shape("clean_registries", "string", |k, q, _| k.clean_registries(q), &[Queue], one),
        shape("clean_groups", "string", |k, _, _| k.clean_groups(), &[], one),
        shape("scheduler_lock", "string", |k, q, _| k.scheduler_lock(q), &[Queue], named_only),
        shape("scheduler", "hash", |k, name, _| k.scheduler(name), &[Other], named_only),
        shape("cron_schedulers", "zset", |k, _, _| k.cron_schedulers(), &[], named_only),
        shape("cron_scheduler", "hash", |k, name, _| k.cron_scheduler(name), &[Other], named_only),
        shape("cron_job", "zset", |k, name, _| k.cron_job(name), &[Other], ids),
        shape("cron_jobs", "zset", |k, _, _| k.cron_jobs(), &[], named_only),
        shape("group", "set", |k, name, _| k.group(name), &[Other], ids),
        shape("groups", "set", |k, _, _| k.groups(), &[], named_only),
        shape("rate_limits", "set", |k, _, _| k.rate_limits(), &[], named_only),
        shape("rate_limit", "hash", |k, name, _| k.rate_limit(name), &[Other], named_only),
        shape("rate_limit_allowed", "zset", |k, name, _| k.rate_limit_allowed(name), &[Other], ids),
        shape("rate_limit_waiting", "zset", |k, name, _| k.rate_limit_waiting(name), &[Other], ids),
    ]
};

const fn shape(
    name: &'static str,
    holds: &'static str,
    key: fn(&Keys, &str, &str) -> String,
    parts: &'static [Part],
    check: fn(&Held<'_>),
) -> Shape {
    Shape { name, holds, key, parts, check }
}

/// What the callbacks of the scenarios write; no key of RQ's.
const CALLBACK_KEYS: &str = "cb:";

/// How many keys of each shape the fixtures hold; fewer were read if the test has lost its way. `ready` and
/// `clean_registries` are in no snapshot: Python takes both away within milliseconds.
const SEEN_AT_LEAST: &[(&str, usize)] = &[
    ("canceled", 7),
    ("clean_groups", 53),
    ("cron_job", 4),
    ("cron_jobs", 2),
    ("cron_scheduler", 2),
    ("cron_schedulers", 1),
    ("deferred", 14),
    ("dependencies", 31),
    ("dependents", 19),
    ("execution", 15),
    ("executions", 15),
    ("failed", 24),
    ("finished", 42),
    ("first_seen", 2),
    ("group", 2),
    ("groups", 2),
    ("intermediate", 3),
    ("job", 203),
    ("queue", 35),
    ("queue_workers", 22),
    ("queues", 99),
    ("rate_limit", 7),
    ("rate_limit_allowed", 3),
    ("rate_limit_waiting", 1),
    ("rate_limits", 7),
    ("results", 86),
    ("scheduled", 24),
    ("scheduler", 2),
    ("scheduler_lock", 6),
    ("suspended", 1),
    ("wip", 10),
    ("worker", 81),
    ("worker_executions", 8),
    ("workers", 18),
];

#[test]
fn every_key_is_one_of_ours_and_is_read_without_loss() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for version in fixture::VERSIONS {
        for scenario in fixture::scenarios(version) {
            let keys = Keys::new(scenario.key_prefix.as_deref().unwrap_or("rq")).unwrap();
            for snapshot in &scenario.snapshots {
                for (name, key) in &snapshot.keys {
                    let place = format!("{version}/{}.json, {}, {name}", scenario.name, snapshot.label);
                    *seen.entry(check_key(&keys, version, &place, name, &key.value)).or_default() += 1;
                }
            }
        }
    }
    for &(name, count) in SEEN_AT_LEAST {
        let seen = seen.get(name).copied().unwrap_or_default();
        assert!(seen >= count, "{seen} of {count} {name} keys");
    }
}

/// Finds the one shape that makes this key, checks the value, and names the shape.
fn check_key(keys: &Keys, version: &str, place: &str, name: &str, value: &Value) -> &'static str {
    if name.starts_with(CALLBACK_KEYS) {
        return CALLBACK_KEYS;
    }
    let matches: Vec<(&Shape, Vec<&str>)> =
        SHAPES.iter().filter_map(|shape| Some((shape, shape.parts_of(keys, name)?))).collect();
    let [(shape, parts)] = &matches[..] else {
        panic!(
            "{place}: {:?} make this key",
            matches.iter().map(|(shape, _)| shape.name).collect::<Vec<_>>()
        );
    };
    assert_eq!(type_name(value), shape.holds, "{place}");
    let held = Held { keys, parts: parts.clone(), value, is_before_2: version.starts_with("rq-1.") };
    // So that the place follows what was wrong there.
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (shape.check)(&held)));
    assert!(checked.is_ok(), "{place}: see above");
    shape.name
}

impl Shape {
    /// The variable parts of `name`, if it is a key of this shape whose parts are legal names.
    fn parts_of<'a>(&self, keys: &Keys, name: &'a str) -> Option<Vec<&'a str>> {
        const PLACEHOLDERS: [&str; 2] = ["\u{1}", "\u{2}"];
        let template = (self.key)(keys, PLACEHOLDERS[0], PLACEHOLDERS[1]);
        let mut literals = template.split(|c: char| PLACEHOLDERS.iter().any(|p| p.starts_with(c)));
        let mut rest = name.strip_prefix(literals.next()?)?;
        let mut parts = Vec::new();
        let literals: Vec<&str> = literals.collect();
        for (index, literal) in literals.iter().enumerate() {
            let is_last = index + 1 == literals.len();
            let (part, after) =
                if is_last { (rest.strip_suffix(literal)?, "") } else { rest.split_once(literal)? };
            parts.push(part);
            rest = after;
        }
        let [first, second] = [parts.first(), parts.get(1)].map(|part| part.copied().unwrap_or_default());
        let is_legal = parts.iter().zip(self.parts).all(|(name, part)| part.allows(name));
        (is_legal && (self.key)(keys, first, second) == name).then_some(parts)
    }
}

impl Part {
    fn allows(self, name: &str) -> bool {
        match self {
            Part::Queue => check_queue_name(name).is_ok(),
            Part::Job => check_job_id(name).is_ok(),
            Part::Execution => is_x(name),
            Part::Worker => check_worker_name(name).is_ok(),
            Part::Other => !name.is_empty() && !name.contains(':'),
        }
    }
}

fn is_x(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::List(_) => "list",
        Value::Set(_) => "set",
        Value::Hash(_) => "hash",
        Value::SortedSet(_) => "zset",
        Value::Stream(_) => "stream",
    }
}

impl Held<'_> {
    /// The items of a list, a set or a sorted set.
    fn members(&self) -> Vec<&str> {
        match self.value {
            Value::List(items) => items.iter().map(Bytes::as_str).collect(),
            Value::Set(items) => items.iter().map(Bytes::as_str).collect(),
            Value::SortedSet(items) => items.iter().map(|(item, _)| item.as_str()).collect(),
            other => panic!("{} has no members", type_name(other)),
        }
    }

    fn hash(&self) -> Fields {
        match self.value {
            Value::Hash(fields) => core_fields(fields),
            other => panic!("{} has no fields", type_name(other)),
        }
    }

    fn text(&self) -> &str {
        match self.value {
            Value::String(text) => text.as_str(),
            other => panic!("{} is no text", type_name(other)),
        }
    }
}

fn core_fields(fields: &fixture::Fields) -> Fields {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn job(held: &Held<'_>) {
    let fields = held.hash();
    let job = Job::from_fields(held.parts[0], fields.clone()).expect("it is read");
    assert!(job.other.is_empty(), "fields that docs/wire.md does not know: {:?}", job.other);
    assert_eq!(job.to_fields(), fields);
    match job.payload() {
        Ok((_, payload)) => assert!(!payload.func.is_empty()),
        Err(error) => assert!(matches!(error, CodecError::Instance { .. }), "{error}"),
    }
    job.meta().expect("plain data");
}

fn execution(held: &Held<'_>) {
    let fields = held.hash();
    let record = ExecutionRecord::from_fields(fields.clone()).expect("it is read");
    assert_eq!(record.x, held.parts[1]);
    assert!(record.job_id.as_deref().is_none_or(|id| id == held.parts[0]));
    assert!(record.other.is_empty(), "{:?}", record.other);
    assert_eq!(record.to_fields(), fields);
}

/// Until 2.12 a worker said what it runs.
fn worker(held: &Held<'_>) {
    const UNTIL_2: [&str; 2] = ["current_job", "current_job_working_time"];
    let fields = held.hash();
    let mut record = WorkerRecord::from_fields(held.parts[0], fields.clone()).expect("it is read");
    assert_eq!(record.to_fields(), fields);
    for field in UNTIL_2 {
        record.other.take(field);
    }
    assert!(record.other.is_empty(), "{:?}", record.other);
}

fn results(held: &Held<'_>) {
    let Value::Stream(entries) = held.value else { unreachable!("the type was checked") };
    assert!(!entries.is_empty());
    for (_, entry) in entries {
        let fields = core_fields(entry);
        let result = JobResult::from_fields(fields.clone()).expect("it is read");
        assert!(result.other.is_empty(), "{:?}", result.other);
        assert_eq!(inflated(result.to_fields()), inflated(fields));
    }
}

/// An entry whose failure text is plain: no two zlib libraries deflate to the same bytes.
fn inflated(mut entry: Fields) -> Fields {
    const LIMIT_BYTES: usize = 1 << 20;
    if let Some(text) = entry.take("exc_string") {
        let deflated = BASE64.decode(text).expect("base64");
        entry.set("exc_string", zlib::inflate(&deflated, LIMIT_BYTES).expect("small").into_owned());
    }
    entry
}

fn ids(held: &Held<'_>) {
    held.members().into_iter().for_each(|id| check_job_id(id).expect("an id"));
}

fn xs(held: &Held<'_>) {
    held.members().into_iter().for_each(|x| assert!(is_x(x), "{x}"));
}

fn members_of_wip(held: &Held<'_>) {
    if held.is_before_2 { ids(held) } else { composites(held) }
}

fn composites(held: &Held<'_>) {
    for member in held.members() {
        let id = ExecutionId::parse(member).expect("one colon");
        assert!(check_job_id(id.job_id()).is_ok() && is_x(id.x()), "{member}");
        assert_eq!(id.to_string(), member);
    }
}

fn queue_keys(held: &Held<'_>) {
    held.members().into_iter().for_each(|member| assert!(is_key(held.keys, "queue", member), "{member}"));
}

fn worker_keys(held: &Held<'_>) {
    held.members().into_iter().for_each(|member| assert!(is_key(held.keys, "worker", member), "{member}"));
}

fn is_key(keys: &Keys, name: &str, key: &str) -> bool {
    SHAPES.iter().any(|shape| shape.name == name && shape.parts_of(keys, key).is_some())
}

fn epoch(held: &Held<'_>) {
    let seconds: f64 = held.text().parse().expect("a number");
    assert_eq!(Timestamp::from_epoch_seconds(seconds).epoch_text(), held.text());
}

fn one(held: &Held<'_>) {
    assert_eq!(held.text(), "1");
}

/// Records that are read and written where their features are.
fn named_only(_: &Held<'_>) {}
