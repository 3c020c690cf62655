//! All keys that are no books: which can be read, and which must be gone once nothing runs.

use rq_core::{Job, JobResult, WorkerRecord};

use super::book::Book;
use crate::fixture::{self, Key, Value};

/// What a job always has; our reader fills gaps as Python's does.
const JOB_FIELDS: [&str; 4] = ["data", "status", "created_at", "origin"];
/// Keys with a TTL that keep others from doing something.
const LOCKS: [&str; 3] = ["rq:clean_registries:", "rq:clean_groups", "rq:scheduler-lock:"];

/// What is to be done outside of Redis, boxes and entries (docs/design/outbox.md).
pub(super) const OUTBOX: &str = "rq:outbox:";

/// Whether every program can read a key. Where it cannot, why.
pub(super) fn check(name: &str, key: &Key) -> Result<(), String> {
    if let Some(book) = Book::of(name) {
        return if book.is_kept_in(&key.value) { Ok(()) } else { Err("is of the wrong type".to_string()) };
    }
    let record = name.strip_prefix("rq:").and_then(|name| name.split_once(':'));
    match (record, &key.value) {
        (Some(("job", id)), Value::Hash(hash)) => check_job(id, hash),
        (Some(("worker", name)), Value::Hash(hash)) => check_worker(name, hash),
        (Some(("outbox", name)), value) => check_outbox(name, value),
        (Some(("results", _)), Value::Stream(stream)) => {
            stream.iter().try_for_each(|(_, entry)| readable(JobResult::from_fields(fields(entry))).map(drop))
        }
        _ => Ok(()),
    }
}

/// Whether a key says that something runs, or is to be done. Redis deletes collections that are empty.
pub(super) fn is_of_something_running(name: &str, key: &Key) -> bool {
    let of_a_job = name.starts_with("rq:execution:") || name.starts_with("rq:executions:");
    let of_a_worker = name.starts_with("rq:worker:") && name.ends_with(":executions");
    let slots = name.starts_with("rq:rl:") && name.ends_with(":allowed");
    // Others pass by themselves.
    let lock_for_ever = key.ttl_s < 0 && LOCKS.iter().any(|lock| name.starts_with(lock));
    let outbox = name.starts_with(OUTBOX);
    let end_of_a_group = name.starts_with("rq:group_");
    of_a_job || of_a_worker || slots || lock_for_ever || outbox || end_of_a_group || name == "rq:leases"
}

/// The job whose end the ids in a key wait for, where it is a key of that kind.
pub(super) fn parent_waited_for(name: &str) -> Option<&str> {
    name.strip_prefix("rq:job:")?.strip_suffix(":dependents")
}

/// For our readers.
pub(super) fn fields(hash: &fixture::Fields) -> rq_core::Fields {
    hash.iter().map(|(field, value)| (field.clone(), value.as_bytes().to_vec())).collect()
}

/// For a message.
pub(super) fn content(key: &Key) -> String {
    serde_json::to_string(&key.value).expect("a dump is plain data")
}

fn check_job(id: &str, hash: &fixture::Fields) -> Result<(), String> {
    for field in JOB_FIELDS {
        if hash.get(field).is_none_or(|value| value.as_bytes().is_empty()) {
            return Err(format!("has no {field}"));
        }
    }
    readable(Job::from_fields(id, fields(hash))).map(drop)
}

/// A box of the outbox, or an entry.
fn check_outbox(name: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Hash(entry) if name.starts_with("entry:") => {
            entry.contains_key("body").then_some(()).ok_or_else(|| "has no body".to_string())
        }
        Value::SortedSet(_) if !name.starts_with("entry:") => Ok(()),
        _ => Err("is of the wrong type".to_string()),
    }
}

/// A record without birth is what a stray write made of one that had expired.
fn check_worker(name: &str, hash: &fixture::Fields) -> Result<(), String> {
    let record = readable(WorkerRecord::from_fields(name, fields(hash)))?;
    record.birth.map(drop).ok_or_else(|| "has no birth".to_string())
}

fn readable<T, E: std::fmt::Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| format!("cannot be read: {error}"))
}
