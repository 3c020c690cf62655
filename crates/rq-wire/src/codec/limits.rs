//! What every codec refuses to read or to write, so that one job cannot take a worker with it.
//!
//! A decoder counts while it reads. Before encoding, a value is checked once, here.

use crate::{
    error::CodecError,
    payload::Payload,
    value::{MAX_DEPTH, Value},
};
use num_bigint::BigInt;

/// The largest payload, inflated: 64 MiB.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// The largest payload in bincode: 16 MiB.
#[cfg(feature = "bincode")]
pub(super) const MAX_BINCODE_BYTES: usize = 16 << 20;

/// The most memory that the values of one payload take, each item, key and container counted: 128 MiB. What their text
/// and bytes hold comes on top, and is no more than a payload may have.
pub(super) const MAX_VALUES_BYTES: usize = 128 << 20;

/// How many values that are.
pub(super) const MAX_VALUES: usize = MAX_VALUES_BYTES / size_of::<Value>();

/// What a value with more than its share of memory is refused with.
pub(super) const TOO_MANY: CodecError = CodecError::TooMany { limit_bytes: MAX_VALUES_BYTES };

/// The largest integer. Python prints and parses at most 4300 digits, and all of this size have no more.
pub(super) const MAX_INT_BYTES: usize = 1785;

/// Python's limit on the digits of an integer in text.
pub(super) const MAX_INT_DIGITS: usize = 4300;

/// How many containers a call puts around each argument: itself, and the arguments.
const CALL_DEPTH: usize = 2;

/// The bytes, if they are not more than allowed.
pub(super) fn sized<B: AsRef<[u8]>>(bytes: B) -> Result<B, CodecError> {
    if bytes.as_ref().len() > MAX_PAYLOAD_BYTES {
        return Err(CodecError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES });
    }
    Ok(bytes)
}

pub(super) fn check_value(value: &Value) -> Result<(), CodecError> {
    Budget::new().check(value, 0)
}

pub(super) fn check_payload(payload: &Payload) -> Result<(), CodecError> {
    let mut budget = Budget::new();
    let named = payload.kwargs.iter().map(|(_, value)| value);
    payload.args.iter().chain(named).try_for_each(|value| budget.check(value, CALL_DEPTH))
}

/// An integer as a value, `Int` where it fits.
pub(super) fn integer(value: BigInt) -> Result<Value, CodecError> {
    // Two's complement needs one bit more than the magnitude.
    if value.bits() as usize >= MAX_INT_BYTES * 8 {
        return Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES });
    }
    Ok(value.into())
}

/// How many more values may come.
pub(super) struct Budget {
    values_left: usize,
}

impl Budget {
    pub(super) const fn new() -> Budget {
        Budget { values_left: MAX_VALUES }
    }

    /// Counts one value at this depth, that is inside so many containers.
    pub(super) fn spend(&mut self, depth: usize) -> Result<(), CodecError> {
        if depth > MAX_DEPTH {
            return Err(CodecError::TooDeep { limit: MAX_DEPTH });
        }
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return Err(TOO_MANY),
        }
        Ok(())
    }

    /// Whether so many values may still come, before room is made for them.
    pub(super) fn check_room(&self, values: usize) -> Result<(), CodecError> {
        if values > self.values_left { Err(TOO_MANY) } else { Ok(()) }
    }

    fn check(&mut self, value: &Value, depth: usize) -> Result<(), CodecError> {
        // The depth is checked on the way down, so this recursion has the same end as the encoders' behind it.
        self.spend(depth)?;
        match value {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                items.iter().try_for_each(|item| self.check(item, depth + 1))
            }
            Value::Dict(entries) => entries.iter().try_for_each(|(key, value)| {
                self.check(key, depth + 1)?;
                self.check(value, depth + 1)
            }),
            Value::BigInt(value) if value.bits() as usize >= MAX_INT_BYTES * 8 => {
                Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| Value::Tuple(vec![inner]))
    }

    #[test]
    fn limits_are_checked_before_encoding() {
        let check = |value: Value, result| assert_eq!(check_value(&value), result);
        check(nested(MAX_DEPTH), Ok(()));
        check(nested(MAX_DEPTH + 1), Err(CodecError::TooDeep { limit: MAX_DEPTH }));
        check(Value::List(vec![Value::Null; MAX_VALUES - 1]), Ok(()));
        check(Value::List(vec![Value::Null; MAX_VALUES]), Err(TOO_MANY));
        let power = |bytes: usize| Value::BigInt(BigInt::from(1) << (8 * bytes - 1));
        check(power(MAX_INT_BYTES), Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES }));
        let largest: BigInt = (BigInt::from(1) << (8 * MAX_INT_BYTES - 1)) - 1;
        assert!(largest.to_string().len() <= MAX_INT_DIGITS);
        check(Value::BigInt(largest), Ok(()));
        let args = vec![nested(MAX_DEPTH - 1)];
        let payload = Payload { func: "f".to_owned(), args, kwargs: Vec::new() };
        assert_eq!(check_payload(&payload), Err(CodecError::TooDeep { limit: MAX_DEPTH }));
    }
}
