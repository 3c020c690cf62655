//! Lists inside of fields, in JSON: pauses and ids.

use rq_wire::{Codec, Value};

use crate::fields::{FieldError, Fields};

/// The most items one may have.
const LIST_ITEMS_MAX: usize = 1_000_000;

/// What `field` holds in JSON; absent or empty is `None`.
fn take_json(f: &mut Fields, field: &str) -> Result<Option<Value>, FieldError> {
    let Some(bytes) = f.take(field).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    // By the reader for payloads, which bounds depth and size: anybody may have written the field.
    match Codec::Json.decode_value(&bytes) {
        Ok(Value::List(list)) if list.len() > LIST_ITEMS_MAX => {
            Err(FieldError::new(field, format_args!("more than {LIST_ITEMS_MAX} items")))
        }
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(FieldError::new(field, error)),
    }
}

/// Pauses in seconds, a started one counted: RQ's `Retry` and `Repeat` take floats and write them.
///
/// A number alone is a list of it. RQ reads that and then trips over it.
pub(super) fn take_intervals(f: &mut Fields, field: &str) -> Result<Option<Vec<u64>>, FieldError> {
    let intervals: Option<Vec<u64>> = match take_json(f, field)? {
        None => return Ok(None),
        Some(Value::List(list)) => list.iter().map(started_seconds).collect(),
        Some(falsy) if !falsy.is_true() => return Ok(None),
        Some(number) => started_seconds(&number).map(|seconds| vec![seconds]),
    };
    intervals.map(Some).ok_or_else(|| FieldError::new(field, "is no array of seconds"))
}

/// What RQ waits for: nothing where Python takes the item for false, and where it is negative.
fn started_seconds(item: &Value) -> Option<u64> {
    match item {
        falsy if !falsy.is_true() => Some(0),
        Value::Bool(_) => Some(1),
        Value::Int(seconds) => Some(u64::try_from(*seconds).unwrap_or(0)),
        // Saturates at both ends: a pause that long has no end, and a negative one has none either.
        Value::Float(seconds) if seconds.is_finite() => Some(seconds.ceil() as u64),
        beyond @ Value::BigInt(_) => {
            beyond.clone().deserialize_into().ok().map(|seconds: f64| seconds as u64)
        }
        _ => None,
    }
}

pub(super) fn take_ids(f: &mut Fields, field: &str) -> Result<Option<Vec<String>>, FieldError> {
    let id = |item| match item {
        Value::Str(id) => Some(id),
        _ => None,
    };
    let ids: Option<Vec<String>> = match take_json(f, field)? {
        None => return Ok(None),
        Some(Value::List(list)) => list.into_iter().map(id).collect(),
        // Read, and none: RQ looks at `dependency_id` only where there is nothing here.
        Some(falsy) if !falsy.is_true() => Some(Vec::new()),
        Some(_) => None,
    };
    ids.map(Some).ok_or_else(|| FieldError::new(field, "is no array of job ids"))
}

pub(crate) fn json_numbers(numbers: &[u64]) -> String {
    let mut text = String::from("[");
    for (index, number) in numbers.iter().enumerate() {
        // Python's separator, as `json.dumps` writes it (docs/wire.md §4.4).
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(&number.to_string());
    }
    text.push(']');
    text
}

pub(super) fn json_strings(texts: &[String]) -> String {
    let list = Value::List(texts.iter().cloned().map(Value::Str).collect());
    match Codec::Json.encode_value(&list) {
        Ok(json) => String::from_utf8_lossy(&json).into_owned(),
        Err(error) => unreachable!("a list of strings is always JSON: {error}"),
    }
}
