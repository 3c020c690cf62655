//! How the kinds of [`Value`] that serde has no word for pass through serde whole.
//!
//! `Value` writes such a kind as a newtype struct with one of the names below around a plain value. Our own
//! serializer knows the names and restores the kind; any other sees the plain value (a set is a sequence to
//! `serde_json`, a date is text). In the other direction `Value` asks for a newtype struct named [`VALUE`], and our
//! own deserializer answers with an enum whose variants carry these names.

use jiff::{civil, fmt::temporal::Pieces};
use num_bigint::BigInt;

use super::{MICROSECONDS_PER_SECOND, Value};

/// What `Value` calls itself when it asks a deserializer for anything.
pub(super) const VALUE: &str = "$rq_wire::Value";

pub(super) const BIG_INT: &str = "$rq_wire::BigInt";
pub(super) const SURROGATES: &str = "$rq_wire::Surrogates";
pub(super) const TUPLE: &str = "$rq_wire::Tuple";
pub(super) const SET: &str = "$rq_wire::Set";
pub(super) const FROZEN_SET: &str = "$rq_wire::FrozenSet";
pub(super) const DATE_TIME: &str = "$rq_wire::DateTime";
pub(super) const DATE: &str = "$rq_wire::Date";
pub(super) const TIME: &str = "$rq_wire::Time";
pub(super) const TIME_DELTA: &str = "$rq_wire::TimeDelta";
pub(super) const DECIMAL: &str = "$rq_wire::Decimal";
pub(super) const UUID: &str = "$rq_wire::Uuid";

/// All names begin so. A type of someone else's that does is not expected.
const PREFIX: &str = "$rq_wire::";

/// Whether a newtype struct of this name is one of ours.
pub(super) fn is_tag(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The name and the plain value of a kind serde has no word for; the value itself if it needs no name.
pub(super) fn split(value: Value) -> Result<(&'static str, Value), Value> {
    let tag = match &value {
        Value::BigInt(_) => BIG_INT,
        Value::Surrogates(_) => SURROGATES,
        Value::Tuple(_) => TUPLE,
        Value::Set(_) => SET,
        Value::FrozenSet(_) => FROZEN_SET,
        Value::DateTime { .. } => DATE_TIME,
        Value::Date(_) => DATE,
        Value::Time(_) => TIME,
        Value::TimeDelta(_) => TIME_DELTA,
        Value::Decimal(_) => DECIMAL,
        Value::Uuid(_) => UUID,
        _ => return Err(value),
    };
    let plain = match value {
        // As digits: no integer of serde's is wide enough for all of them.
        Value::BigInt(int) => Value::Str(int.to_string()),
        Value::Surrogates(bytes) => Value::Bytes(bytes),
        Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => Value::List(items),
        // 128 bits as text: many formats have no integer as wide.
        Value::TimeDelta(microseconds) => Value::Str(microseconds.to_string()),
        other => Value::Str(other.text().unwrap_or_default()),
    };
    Ok((tag, plain))
}

/// The kind a name and a plain value stand for.
pub(super) fn join(tag: &str, plain: Value) -> Option<Value> {
    Some(match (tag, plain) {
        (BIG_INT, Value::Str(digits)) => Value::BigInt(digits.parse::<BigInt>().ok()?),
        (SURROGATES, Value::Bytes(bytes)) => Value::Surrogates(bytes),
        (TUPLE, Value::List(items)) => Value::Tuple(items),
        (SET, Value::List(items)) => Value::Set(items),
        (FROZEN_SET, Value::List(items)) => Value::FrozenSet(items),
        (DATE_TIME, Value::Str(text)) => date_time(&text)?,
        (DATE, Value::Str(text)) => Value::Date(text.parse().ok()?),
        (TIME, Value::Str(text)) => Value::Time(text.parse().ok()?),
        (TIME_DELTA, Value::Str(digits)) => Value::TimeDelta(digits.parse().ok()?),
        // What a serializer can be given without a second form for everyone else.
        (TIME_DELTA, Value::Float(seconds)) => Value::TimeDelta(microseconds(seconds)),
        (DECIMAL, Value::Str(text)) => Value::Decimal(text),
        (UUID, Value::Str(text)) => Value::Uuid(text.parse().ok()?),
        _ => return None,
    })
}

fn date_time(text: &str) -> Option<Value> {
    let pieces = Pieces::parse(text).ok()?;
    let civil = civil::DateTime::from_parts(pieces.date(), pieces.time()?);
    Some(Value::DateTime { civil, offset: pieces.to_numeric_offset() })
}

fn microseconds(seconds: f64) -> i128 {
    (seconds * MICROSECONDS_PER_SECOND as f64).round() as i128
}
