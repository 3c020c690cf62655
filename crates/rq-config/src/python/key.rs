//! [`Keys`]: the keys of a dict, or the values of a set.

use std::collections::HashMap;

use rq_wire::Value;

/// Keys, and their places.
#[derive(Default)]
pub(super) struct Keys(HashMap<Key, usize>);

/// A value as a key. To Python `1`, `1.0` and `True` are one.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Null,
    Whole(i64),
    /// The bits of a number that is not whole.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Key>),
}

impl Keys {
    /// The place of this key, if it is known; else it is the next one.
    pub(super) fn place(&mut self, value: &Value) -> Result<Option<usize>, String> {
        let (key, next) = (Key::of(value)?, self.0.len());
        let place = *self.0.entry(key).or_insert(next);
        Ok(Some(place).filter(|place| *place != next))
    }
}

impl Key {
    fn of(value: &Value) -> Result<Key, String> {
        Ok(match value {
            Value::Null => Key::Null,
            Value::Bool(truth) => Key::Whole(i64::from(*truth)),
            Value::Int(number) => Key::Whole(*number),
            Value::Float(number) => {
                let whole = *number as i64;
                // The cast stops at the ends of its range, where a float is not exact.
                let is_whole = whole as f64 == *number && whole != i64::MAX;
                if is_whole { Key::Whole(whole) } else { Key::Float(number.to_bits()) }
            }
            Value::Str(text) => Key::Text(text.clone()),
            Value::Bytes(bytes) => Key::Bytes(bytes.clone()),
            Value::Tuple(values) => Key::Tuple(values.iter().map(Key::of).collect::<Result<_, _>>()?),
            other => return Err(format!("a {} can be no key of a dict, nor be in a set", other.type_name())),
        })
    }
}
