//! Arbitrary values and calls, for the property tests of all codecs.

use jiff::{civil, tz::Offset};
use num_bigint::BigInt;
use proptest::{collection::vec, prelude::*};

use crate::{payload::Payload, value::Value};

/// What JSON has types for, and so returns unchanged.
pub(super) fn json_values() -> BoxedStrategy<Value> {
    nested(json_leaves(), |inner| {
        let keyed = (text(), inner.clone());
        prop_oneof![vec(inner, 0..5).prop_map(Value::List), vec(keyed, 0..5).prop_map(dict_of_distinct_keys)]
            .boxed()
    })
}

/// Everything that Python can hold.
pub(super) fn values() -> BoxedStrategy<Value> {
    nested(leaves(), |inner| {
        let keyed = (hashable(), inner.clone());
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec(inner, 0..5).prop_map(Value::Tuple),
            vec(hashable(), 0..5).prop_map(|items| Value::Set(distinct(items))),
            vec(hashable(), 0..5).prop_map(|items| Value::FrozenSet(distinct(items))),
            vec(keyed, 0..5).prop_map(dict_of_distinct_keys),
        ]
        .boxed()
    })
}

pub(super) fn payloads() -> impl Strategy<Value = Payload> {
    let kwargs = proptest::collection::btree_map("[a-z_]{1,8}", values(), 0..4);
    ("[a-z.]{0,20}", vec(values(), 0..4), kwargs).prop_map(|(func, args, kwargs)| Payload {
        func,
        args,
        kwargs: kwargs.into_iter().collect(),
    })
}

fn nested(
    leaf: BoxedStrategy<Value>,
    container: impl Fn(BoxedStrategy<Value>) -> BoxedStrategy<Value> + 'static,
) -> BoxedStrategy<Value> {
    leaf.prop_recursive(4, 32, 5, move |inner| container(inner.boxed())).boxed()
}

fn json_leaves() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        int(),
        any::<f64>().prop_map(Value::Float),
        (-50_i32..50).prop_map(|exponent| Value::Float(10_f64.powi(exponent))),
        text(),
        surrogates(),
    ]
    .boxed()
}

fn leaves() -> BoxedStrategy<Value> {
    prop_oneof![json_leaves(), vec(any::<u8>(), 0..300).prop_map(Value::Bytes), times(), identifiers()]
        .boxed()
}

/// Equal ones have the same type, as `1` and `1.0` are one key to Python.
fn hashable() -> BoxedStrategy<Value> {
    let scalar = prop_oneof![Just(Value::Null), int(), text(), times(), identifiers()];
    prop_oneof![scalar.clone(), vec(scalar, 0..3).prop_map(Value::Tuple)].boxed()
}

fn int() -> BoxedStrategy<Value> {
    let big = vec(any::<u8>(), 0..40).prop_map(|bytes| BigInt::from_signed_bytes_le(&bytes).into());
    prop_oneof![any::<i8>().prop_map(i64::from).prop_map(Value::Int), any::<i64>().prop_map(Value::Int), big]
        .boxed()
}

fn text() -> BoxedStrategy<Value> {
    prop_oneof!["[ -~]{0,12}", "[a-z]{250,260}", any::<String>()].prop_map(Value::Str).boxed()
}

/// A high surrogate is never followed by a low one, which JSON would join.
fn surrogates() -> BoxedStrategy<Value> {
    ("[a-z\u{e9}\u{1f600}]{0,3}", 0xa0_u8..0xc0, 0x80_u8..0xc0)
        .prop_map(|(text, second, third)| {
            let mut bytes = text.into_bytes();
            bytes.extend([0xed, second, third, b'.']);
            Value::Surrogates(bytes)
        })
        .boxed()
}

fn times() -> BoxedStrategy<Value> {
    let date =
        (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| civil::date(year, month, day));
    let time = (0_i8..24, 0_i8..60, 0_i8..60, prop_oneof![Just(0), 0_i32..1_000_000])
        .prop_map(|(hour, minute, second, us)| civil::time(hour, minute, second, us * 1000));
    let offset =
        prop_oneof![Just(0), (-1439_i32..=1439).prop_map(|minutes| minutes * 60), -86_399_i32..=86_399]
            .prop_map(|seconds| Offset::from_seconds(seconds).expect("less than a day"));
    const MOST_MICROSECONDS: i128 = 999_999_999 * 86_400_000_000;
    prop_oneof![
        (date.clone(), time.clone(), proptest::option::of(offset))
            .prop_map(|(date, time, offset)| Value::DateTime { civil: date.to_datetime(time), offset }),
        date.prop_map(Value::Date),
        time.prop_map(Value::Time),
        (-1_000_000_000_i128..1_000_000_000).prop_map(Value::TimeDelta),
        (-MOST_MICROSECONDS..=MOST_MICROSECONDS).prop_map(Value::TimeDelta),
    ]
    .boxed()
}

fn identifiers() -> BoxedStrategy<Value> {
    let decimal = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?|-?[1-9]\\.[0-9]{1,5}E[+-][1-9][0-9]|NaN|-?Infinity";
    prop_oneof![
        decimal.prop_map(Value::Decimal),
        any::<u128>().prop_map(|number| Value::Uuid(uuid::Uuid::from_u128(number))),
    ]
    .boxed()
}

fn distinct(items: Vec<Value>) -> Vec<Value> {
    items.into_iter().fold(Vec::new(), |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

fn dict_of_distinct_keys(entries: Vec<(Value, Value)>) -> Value {
    let mut seen = Vec::new();
    let is_new = |(key, _): &(Value, Value)| {
        let is_new = !seen.contains(key);
        seen.push(key.clone());
        is_new
    };
    Value::Dict(entries.into_iter().filter(is_new).collect())
}
