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
    pub(super) fn of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Result<Keys, String> {
        let mut keys = Keys::default();
        for value in values {
            keys.place(value)?;
        }
        Ok(keys)
    }

    /// Where this key is.
    pub(super) fn find(&self, value: &Value) -> Result<Option<usize>, String> {
        Ok(self.0.get(&Key::of(value)?).copied())
    }

    /// The place of this key, if it is known; else it is the next one.
    pub(super) fn place(&mut self, value: &Value) -> Result<Option<usize>, String> {
        let (key, next) = (Key::of(value)?, self.0.len());
        let place = *self.0.entry(key).or_insert(next);
        Ok(Some(place).filter(|place| *place != next))
    }
}

/// Whether two values that can be keys are one.
pub(super) fn are_one(left: &Value, right: &Value) -> Result<bool, String> {
    Ok(Key::of(left)? == Key::of(right)?)
}

impl Key {
    fn of(value: &Value) -> Result<Key, String> {
        Ok(match value {
            Value::Null => Key::Null,
            Value::Bool(truth) => Key::Whole(i64::from(*truth)),
            Value::Int(number) => Key::Whole(*number),
            Value::Float(number) if number.is_nan() => {
                return Err("`nan` is not even itself, and no key of a dict, nor in a set here".to_owned());
            }
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
