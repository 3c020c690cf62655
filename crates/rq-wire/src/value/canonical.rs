//! A [`Value`] as bytes that are the same for the same content, however it was written.
//!
//! They are compared and hashed, never read again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::Offset;

use super::{MAX_DEPTH, Value};

impl Value {
    /// Bytes that two values share exactly if a job makes no difference between them, whatever codec carries them.
    ///
    /// | alike | apart |
    /// |---|---|
    /// | lists and tuples; sets and frozensets | a list and a set |
    /// | dicts in any order, the last of two equal keys; sets in any order | |
    /// | `Int` and `BigInt` of one number | an integer, a float and a bool: `1`, `1.0`, `True` |
    /// | `0.0` and `-0.0`; all NaN | |
    /// | | decimals, dates and times that Python prints in different ways |
    ///
    /// Where Python calls two values equal that a function can tell apart, such as `1` and `1.0`, they are apart here:
    /// a job too many does less harm than one that is missing.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, self, 0);
        out
    }
}

/// A kind, then the content: of a known length, or behind its length, so that no value's bytes begin another's.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    // A value built by hand may be deeper than any codec allows, and then is never sent.
    if depth > MAX_DEPTH {
        return out.push(b'!');
    }
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(value) => out.extend([b'b', u8::from(*value)]),
        Value::Int(number) => write_bytes(out, b'i', number.to_string().as_bytes()),
        Value::BigInt(number) => write_bytes(out, b'i', number.to_string().as_bytes()),
        Value::Float(number) => {
            out.push(b'f');
            out.extend(canonical_float(*number).to_be_bytes());
        }
        Value::Str(text) => write_bytes(out, b's', text.as_bytes()),
        Value::Surrogates(text) => write_bytes(out, b's', text),
        Value::Bytes(bytes) => write_bytes(out, b'y', bytes),
        Value::List(items) | Value::Tuple(items) => write_items(out, items, depth),
        Value::Set(items) | Value::FrozenSet(items) => {
            let items: BTreeSet<Vec<u8>> = items.iter().map(|item| canonical(item, depth + 1)).collect();
            write_length(out, b'e', items.len());
            items.iter().for_each(|item| out.extend(item));
        }
        Value::Dict(entries) => {
            write_entries(out, entries.iter().map(|(key, value)| (canonical(key, depth + 1), value)), depth);
        }
        Value::DateTime { civil, offset } => {
            write_bytes(out, b't', civil.to_string().as_bytes());
            match offset.map(Offset::seconds) {
                None => out.push(b'n'),
                Some(seconds) => write_bytes(out, b'o', seconds.to_string().as_bytes()),
            }
        }
        Value::Date(date) => write_bytes(out, b'd', date.to_string().as_bytes()),
        Value::Time(time) => write_bytes(out, b'c', time.to_string().as_bytes()),
        Value::TimeDelta(microseconds) => write_bytes(out, b'p', microseconds.to_string().as_bytes()),
        Value::Decimal(text) => write_bytes(out, b'm', text.as_bytes()),
        Value::Uuid(uuid) => {
            out.push(b'u');
            out.extend(uuid.as_bytes());
        }
    }
}

/// A sequence.
pub(crate) fn write_items(out: &mut Vec<u8>, items: &[Value], depth: usize) {
    write_length(out, b'l', items.len());
    items.iter().for_each(|item| write_value(out, item, depth + 1));
}

/// A mapping of keys that are canonical already.
pub(crate) fn write_entries<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (Vec<u8>, &'a Value)>,
    depth: usize,
) {
    // The last of two equal keys counts, as where a codec's reader makes a dict.
    let entries: BTreeMap<Vec<u8>, &Value> = entries.collect();
    write_length(out, b'k', entries.len());
    for (key, value) in entries {
        out.extend(key);
        write_value(out, value, depth + 1);
    }
}

/// Text.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_bytes(out, b's', text.as_bytes());
}

fn canonical(value: &Value, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(&mut out, value, depth);
    out
}

fn canonical_float(number: f64) -> u64 {
    if number.is_nan() {
        return f64::NAN.to_bits();
    }
    // What compares equal to 0 is 0.
    if number == 0.0 { 0 } else { number.to_bits() }
}

fn write_bytes(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    write_length(out, kind, bytes.len());
    out.extend(bytes);
}

fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend((length as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        value.canonical_bytes()
    }

    fn text(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    #[test]
    fn what_a_job_cannot_tell_apart_is_alike() {
        let items = || vec![Value::Int(1), text("a")];
        let back = || vec![text("a"), Value::Int(1)];
        let entry = |key: &str, number: i64| (text(key), Value::Int(number));
        for (one, other) in [
            (Value::List(items()), Value::Tuple(items())),
            (Value::Set(items()), Value::FrozenSet(back())),
            (Value::Set(vec![Value::Null]), Value::Set(vec![Value::Null, Value::Null])),
            (
                Value::Dict(vec![entry("a", 1), entry("b", 2)]),
                Value::Dict(vec![entry("b", 2), entry("a", 1)]),
            ),
            (Value::Dict(vec![entry("a", 1), entry("a", 2)]), Value::Dict(vec![entry("a", 2)])),
            (Value::Int(7), Value::BigInt(BigInt::from(7))),
            (Value::Float(0.0), Value::Float(-0.0)),
            (Value::Float(f64::NAN), Value::Float(-f64::NAN)),
            (text("a"), Value::Surrogates(b"a".to_vec())),
        ] {
            assert_eq!(bytes(&one), bytes(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_a_job_can_tell_apart_is_apart() {
        let list = |items: &[i64]| Value::List(items.iter().copied().map(Value::Int).collect());
        let time: jiff::civil::DateTime = "2026-11-28T10:00:00".parse().unwrap();
        let values = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(0),
            Value::Int(1),
            Value::Int(11),
            Value::Float(1.0),
            text(""),
            text("1"),
            text("None"),
            Value::Bytes(b"1".to_vec()),
            Value::Decimal("1".to_owned()),
            Value::Decimal("1.0".to_owned()),
            Value::TimeDelta(1),
            Value::DateTime { civil: time, offset: None },
            Value::DateTime { civil: time, offset: Some(Offset::UTC) },
            Value::Date(time.date()),
            Value::Time(time.time()),
            Value::Uuid(uuid::Uuid::nil()),
            list(&[]),
            list(&[1]),
            list(&[1, 1]),
            Value::List(vec![list(&[1]), list(&[])]),
            Value::List(vec![list(&[]), list(&[1])]),
            Value::Set(vec![]),
            Value::Set(vec![Value::Int(1)]),
            Value::Dict(vec![]),
            Value::Dict(vec![(Value::Int(1), Value::Int(1))]),
            Value::Dict(vec![(Value::Int(1), Value::Float(1.0))]),
        ];
        let different: BTreeSet<Vec<u8>> = values.iter().map(bytes).collect();
        assert_eq!(different.len(), values.len());
    }

    #[test]
    fn a_value_that_no_codec_takes_ends_somewhere() {
        let mut deep = Value::Null;
        for _ in 0..MAX_DEPTH + 100 {
            deep = Value::List(vec![deep]);
        }
        assert!(bytes(&deep).ends_with(b"!"));
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-3_i64..3).prop_map(Value::Int),
            prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(1.0), Just(-1.5)].prop_map(Value::Float),
            "[ab]{0,2}".prop_map(Value::Str),
            "[ab]{0,2}".prop_map(|text| Value::Bytes(text.into_bytes())),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 4, |inner| {
            let many = || prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                many().prop_map(Value::List),
                many().prop_map(Value::Tuple),
                many().prop_map(Value::Set),
                prop::collection::vec((leaf(), inner.clone()), 0..4).prop_map(Value::Dict),
            ]
        })
    }

    /// The same content, written in another way: all that has no order backwards, tuples for lists, other numbers of the
    /// same value.
    fn rewritten(value: &Value) -> Value {
        let all = |items: &[Value]| items.iter().map(rewritten).collect::<Vec<_>>();
        match value {
            Value::Int(number) => Value::BigInt(BigInt::from(*number)),
            Value::Float(number) if *number == 0.0 => Value::Float(-number),
            Value::Float(number) if number.is_nan() => Value::Float(-number),
            Value::List(items) => Value::Tuple(all(items)),
            Value::Tuple(items) => Value::List(all(items)),
            Value::Set(items) => Value::FrozenSet(all(items).into_iter().rev().collect()),
            Value::Dict(entries) => {
                let mut kept: Vec<(Value, Value)> = Vec::new();
                for (key, value) in entries {
                    kept.retain(|(known, _)| bytes(known) != bytes(key));
                    kept.push((rewritten(key), rewritten(value)));
                }
                Value::Dict(kept.into_iter().rev().collect())
            }
            other => other.clone(),
        }
    }

    /// Whether a job cannot tell them apart, said in another way: by comparing, without bytes or an order.
    fn alike(one: &Value, other: &Value) -> bool {
        let covers = |these: &[Value], those: &[Value]| {
            these.iter().all(|item| those.iter().any(|found| alike(item, found)))
        };
        let last_of = |entries: &[(Value, Value)], key: &Value| {
            entries.iter().rev().find(|(known, _)| alike(known, key)).map(|(_, value)| value.clone())
        };
        match (one, other) {
            (Value::List(one) | Value::Tuple(one), Value::List(other) | Value::Tuple(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
            }
            (Value::Set(one), Value::Set(other)) => covers(one, other) && covers(other, one),
            (Value::Dict(one), Value::Dict(other)) => {
                let agree = |these: &[(Value, Value)], those: &[(Value, Value)]| {
                    these.iter().all(|(key, _)| match (last_of(these, key), last_of(those, key)) {
                        (Some(here), Some(there)) => alike(&here, &there),
                        _ => false,
                    })
                };
                agree(one, other) && agree(other, one)
            }
            (Value::Float(one), Value::Float(other)) => one == other || one.is_nan() && other.is_nan(),
            (one, other) => one == other,
        }
    }

    proptest! {
        #[test]
        fn the_way_it_is_written_makes_no_difference(value in any_value()) {
            prop_assert_eq!(bytes(&value), bytes(&rewritten(&value)));
        }

        #[test]
        fn bytes_are_the_same_exactly_for_what_is_alike(one in any_value(), other in any_value()) {
            prop_assert_eq!(bytes(&one) == bytes(&other), alike(&one, &other));
        }
    }
}
