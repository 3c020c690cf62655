//! The entries of a scheduler as its record has them: RQ's JSON, byte for byte (docs/wire.md §17).

use std::collections::BTreeSet;

use rq_core::{Codec, Job, Timestamp, Ttl, Value};

use crate::schedule::Schedule;
use crate::tracked::Tracked;

/// What RQ writes in the place of arguments that JSON has no words for.
const NOT_JSON: &str = "<not JSON serializable>";

/// `cron_jobs` of a record.
pub(crate) fn described(entries: &[Tracked], now: Timestamp) -> String {
    let described = entries.iter().map(|tracked| describe(tracked, now)).collect();
    json(&Value::List(described)).unwrap_or_else(|| "[]".to_owned())
}

/// The names of the entries of such a record.
pub(crate) fn names_in(cron_jobs: &str) -> BTreeSet<String> {
    let Ok(Value::List(entries)) = Codec::Json.decode_value(cron_jobs.as_bytes()) else {
        return BTreeSet::new();
    };
    let name = |entry: &Value| {
        let Value::Dict(fields) = entry else { return None };
        // Older ones have no names, but those of their functions.
        ["name", "func_name"].iter().find_map(|wanted| {
            fields.iter().find_map(|(field, value)| match (field, value) {
                (Value::Str(field), Value::Str(name)) if field == wanted && !name.is_empty() => {
                    Some(name.clone())
                }
                _ => None,
            })
        })
    };
    entries.iter().filter_map(name).collect()
}

fn describe(tracked: &Tracked, now: Timestamp) -> Value {
    let (definition, job) = (&tracked.definition, &tracked.definition.job);
    let (args, kwargs) = arguments(job);
    let (interval, cron) = match tracked.entry.schedule() {
        // Python has whole seconds, and takes 0 for none.
        Schedule::Every(interval) => (number(interval.duration().as_secs().max(1)), Value::Null),
        Schedule::At { expression, .. } => (Value::Null, text(expression.as_str())),
    };
    let time = |at: Option<Timestamp>| at.map_or(Value::Null, |at| text(&at.to_string()));
    let mut fields = vec![
        ("func_name", text(&definition.function)),
        ("name", text(&definition.name)),
        ("queue_name", text(&definition.queue)),
        ("args", args),
        ("kwargs", kwargs),
        ("interval", interval),
        ("cron", cron),
        ("latest_enqueue_time", time(tracked.decided())),
        ("next_enqueue_time", time(tracked.next(now))),
    ];
    fields.extend(options(job));
    Value::Dict(fields.into_iter().map(|(name, value)| (text(name), value)).collect())
}

/// The options that RQ lists, in its order; those that are as by default are left out, except for `result_ttl`.
fn options(job: &Job) -> Vec<(&'static str, Value)> {
    let mut options = Vec::new();
    if let Some(timeout) = job.timeout.filter(|timeout| *timeout != rq_core::TIMEOUT_DEFAULT) {
        options.push(("job_timeout", Value::Int(timeout.to_wire())));
    }
    options.push(("result_ttl", Value::Int(job.result_ttl.unwrap_or(Ttl::RESULT_DEFAULT).to_wire())));
    options.extend(job.ttl_s.map(|ttl_s| ("ttl", Value::Int(ttl_s))));
    options.extend(job.failure_ttl.map(|ttl| ("failure_ttl", Value::Int(ttl.to_wire()))));
    if job.meta.is_some() {
        let meta = job.meta().ok().and_then(|meta| json(&meta));
        options.push(("meta", text(meta.as_deref().unwrap_or(NOT_JSON))));
    }
    let webhooks = job.webhooks.as_ref().map(|webhooks| String::from_utf8_lossy(webhooks));
    options.extend(webhooks.map(|webhooks| ("webhooks", text(&webhooks))));
    options
}

/// The arguments, each kind as JSON in a string, or null where there are none.
fn arguments(job: &Job) -> (Value, Value) {
    let Ok((_, payload)) = job.payload() else { return (text(NOT_JSON), text(NOT_JSON)) };
    let shown = |is_empty: bool, value: Value| match is_empty {
        true => Value::Null,
        false => text(json(&value).as_deref().unwrap_or(NOT_JSON)),
    };
    let kwargs =
        payload.kwargs.into_iter().map(|(name, value)| (Value::Str(name), value)).collect::<Vec<_>>();
    (shown(payload.args.is_empty(), Value::List(payload.args)), shown(kwargs.is_empty(), Value::Dict(kwargs)))
}

fn json(value: &Value) -> Option<String> {
    String::from_utf8(Codec::Json.encode_value(value).ok()?).ok()
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
