//! [`Value`]: an argument or a result on its way between languages.
//!
//! | file | holds |
//! |---|---|
//! | `value/ser.rs` | Rust → `Value` through serde |
//! | `value/de.rs` | `Value` → Rust through serde |
//! | `value/tag.rs` | how the kinds that serde has no word for pass through serde whole |
//! | `value/canonical.rs` | bytes by which two values are compared |
//! | `value/repr.rs` | what Python's `repr()` prints |
//! | `value/wtf8.rs` | text with lone surrogates |

use std::fmt;

use jiff::{SignedDuration, civil, tz::Offset};
use num_bigint::BigInt;
use serde::{Serialize, de::DeserializeOwned};

pub(crate) mod canonical;
mod de;
mod repr;
mod ser;
mod tag;
pub(crate) mod wtf8;

pub(crate) use repr::write_float;

/// What all payload codecs can carry: JSON's values, and the plain Python values that pickle knows beside them.
///
/// A handler rarely sees one. It names the types it wants and serde converts; a `Value` parameter gets the
/// value as it came. Likewise a `Value` that is itself given as an argument travels as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer that needs more than 64 bits with sign.
    BigInt(BigInt),
    /// A double.
    Float(f64),
    /// Text.
    Str(String),
    /// A Python string with lone surrogates, which no Rust string can hold: UTF-8, in which each surrogate takes
    /// three bytes as if it were a character (Python's `surrogatepass`).
    Surrogates(Vec<u8>),
    /// Bytes. Python's `bytearray` arrives as this too.
    Bytes(Vec<u8>),
    /// A Python list, a JSON array.
    List(Vec<Value>),
    /// A Python tuple. JSON writes it as an array.
    Tuple(Vec<Value>),
    /// A Python set, in the order it was written.
    Set(Vec<Value>),
    /// A Python frozenset, in the order it was written.
    FrozenSet(Vec<Value>),
    /// A Python dict, a JSON object, in the order it was written.
    Dict(Vec<(Value, Value)>),
    /// `datetime.datetime`. Naive where it has no offset. The name of a zone and Python's `fold` are not kept.
    DateTime {
        /// The clock reading.
        civil: civil::DateTime,
        /// How far the clock is ahead of UTC.
        offset: Option<Offset>,
    },
    /// `datetime.date`.
    Date(civil::Date),
    /// `datetime.time` without a zone.
    Time(civil::Time),
    /// `datetime.timedelta`, in microseconds. Python's range, 999,999,999 days, needs more than 64 bits.
    TimeDelta(i128),
    /// `decimal.Decimal`, as Python prints it.
    Decimal(String),
    /// `uuid.UUID`.
    Uuid(uuid::Uuid),
}

/// Why a Rust value and a [`Value`] do not convert into each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The shapes differ, in serde's words: `invalid type: string "a", expected i64`.
    #[error("{0}")]
    Mismatch(String),
    /// The integer is outside the range of the type asked for.
    #[error("the integer {} does not fit {wanted}", de::shortened(&value.to_string(), SHOWN_DIGITS_MAX))]
    Integer {
        /// The integer.
        value: BigInt,
        /// The type asked for.
        wanted: &'static str,
    },
    /// Text was asked for, and this one is no Unicode.
    #[error("the text holds lone surrogates, which no Rust string can: take it as a `Value`")]
    Surrogates,
    /// More than [`Value::MAX_DEPTH`] containers around a value.
    #[error("nested deeper than {limit} levels: store it elsewhere and pass its id")]
    TooDeep {
        /// [`Value::MAX_DEPTH`].
        limit: usize,
    },
}

impl Value {
    /// How many containers may lie around a value, in every codec and in [`Value::from_serialize`].
    ///
    /// It keeps recursion over a value, its destructor included, far from the end of the stack.
    pub const MAX_DEPTH: usize = MAX_DEPTH;

    /// Turns what serde can describe into a `Value`.
    ///
    /// | Rust | `Value` |
    /// |---|---|
    /// | `bool`, `f32`, `f64`, `char`, `&str`, `String` | `Bool`, `Float`, `Str` |
    /// | integers | `Int`, beyond `i64` `BigInt` |
    /// | `None`, `()`, unit structs | `Null` |
    /// | `Vec`, slices, sets | `List` |
    /// | tuples, arrays, tuple structs | `Tuple` |
    /// | maps | `Dict` |
    /// | structs | `Dict` with `Str` keys |
    /// | serde's bytes | `Bytes` |
    /// | enums | externally tagged: `"Name"`, or `{"Name": content}` |
    /// | a `Value` | itself |
    ///
    /// # Errors
    /// [`ValueError::TooDeep`], or [`ValueError::Mismatch`] with what the type's own `Serialize` objected to.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
        value.serialize(ser::Serializer::new())
    }

    /// Turns this into the type asked for.
    ///
    /// | `Value` | is accepted where a type asks for |
    /// |---|---|
    /// | `Int`, `BigInt` | any integer it fits; a float |
    /// | `Float` | a float, never an integer |
    /// | `Str` | text; bytes (serde's, such as `serde_bytes`), as base64; the name of a unit variant |
    /// | `Bytes` | serde's bytes; a sequence of `u8` such as `Vec<u8>` |
    /// | `List`, `Tuple`, `Set`, `FrozenSet` | sequences, tuples, structs by position |
    /// | `Dict` | maps, also with integers as keys (JSON's text keys are parsed); structs; one entry: an enum |
    /// | `DateTime`, `Date`, `Time` | text: RFC 3339 with `+00:00` for UTC, and without an offset if naive |
    /// | `TimeDelta` | a float, in seconds; text, as an ISO 8601 duration; [`std::time::Duration`] |
    /// | `Decimal`, `Uuid` | text |
    /// | anything | `Value` |
    ///
    /// # Errors
    /// Any [`ValueError`] but `TooDeep`.
    pub fn deserialize_into<T: DeserializeOwned>(self) -> Result<T, ValueError> {
        T::deserialize(self)
    }

    /// What Python calls the type: `int`, `NoneType`, `datetime.datetime`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) | Value::Surrogates(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Dict(_) => "dict",
            Value::DateTime { .. } => "datetime.datetime",
            Value::Date(_) => "datetime.date",
            Value::Time(_) => "datetime.time",
            Value::TimeDelta(_) => "datetime.timedelta",
            Value::Decimal(_) => "decimal.Decimal",
            Value::Uuid(_) => "uuid.UUID",
        }
    }

    /// Whether Python takes it for true: all but nothing, zero and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::BigInt(_) | Value::DateTime { .. } | Value::Date(_) | Value::Time(_) | Value::Uuid(_) => {
                true
            }
            Value::Float(value) => *value != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Surrogates(bytes) | Value::Bytes(bytes) => !bytes.is_empty(),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                !items.is_empty()
            }
            Value::Dict(entries) => !entries.is_empty(),
            Value::TimeDelta(microseconds) => *microseconds != 0,
            // All forms but numbers of zeros alone: an infinity and a NaN have no digits before their exponent.
            Value::Decimal(text) => {
                let number = text.split(['E', 'e']).next().unwrap_or_default();
                number.contains(|digit: char| digit.is_ascii_alphanumeric() && digit != '0')
            }
        }
    }

    /// The text that stands for a value JSON and serde have no word for: a time, a decimal or a UUID.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Value::DateTime { civil, offset: None } => Some(civil.to_string()),
            // `+00:00` rather than `Z`, as `isoformat` has it; Python 3.10 and older do not read a `Z`.
            Value::DateTime { civil, offset: Some(offset) } => {
                Some(format!("{civil}{}", Rfc3339Offset(*offset)))
            }
            Value::Date(date) => Some(date.to_string()),
            Value::Time(time) => Some(time.to_string()),
            Value::Decimal(text) => Some(text.clone()),
            Value::Uuid(uuid) => Some(uuid.to_string()),
            _ => None,
        }
    }
}

/// `+05:30`; with seconds, as Python's `isoformat` has it, where there are any.
struct Rfc3339Offset(Offset);

impl fmt::Display for Rfc3339Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.seconds();
        let sign = if total < 0 { '-' } else { '+' };
        let (hours, minutes, seconds) = (total.abs() / 3600, total.abs() / 60 % 60, total.abs() % 60);
        write!(f, "{sign}{hours:02}:{minutes:02}")?;
        if seconds > 0 { write!(f, ":{seconds:02}") } else { Ok(()) }
    }
}

pub(crate) const MAX_DEPTH: usize = 128;

/// How many digits are shown of an integer that does not fit: those of the largest of 128 bits.
const SHOWN_DIGITS_MAX: usize = 40;

const MICROSECONDS_PER_SECOND: i128 = 1_000_000;

/// A `timedelta` as the number JSON and serde see. Exact up to 2^53 microseconds, which is 285 years.
pub(crate) fn seconds(microseconds: i128) -> f64 {
    microseconds as f64 / MICROSECONDS_PER_SECOND as f64
}

/// A `timedelta` as an ISO 8601 duration, `PT26H3.5S`.
fn iso_duration(microseconds: i128) -> Option<String> {
    let nanoseconds = microseconds.checked_mul(1000)?;
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, (nanoseconds % 1_000_000_000) as i32).to_string())
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        i64::try_from(value).map_or_else(|_| Value::BigInt(value.into()), Value::Int)
    }
}

/// `Int` where it fits.
impl From<BigInt> for Value {
    fn from(value: BigInt) -> Value {
        i64::try_from(&value).map_or_else(|_| Value::BigInt(value), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Str(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Str(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::List(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_takes_for_false() {
        let decimal = |text: &str| Value::Decimal(text.to_owned());
        for falsy in [
            Value::Null,
            false.into(),
            0.into(),
            (-0.0).into(),
            "".into(),
            Value::Bytes(vec![]),
            vec![].into(),
            Value::Tuple(vec![]),
            Value::Set(vec![]),
            Value::Dict(vec![]),
            Value::TimeDelta(0),
            decimal("0"),
            decimal("-0.00E+5"),
        ] {
            assert!(!falsy.is_true(), "{falsy:?}");
        }
        for truthy in [
            true.into(),
            (-1).into(),
            f64::NAN.into(),
            "0".into(),
            vec![Value::Null].into(),
            Value::TimeDelta(-1),
            decimal("0.01"),
            decimal("NaN"),
            decimal("-Infinity"),
            Value::Time(civil::time(0, 0, 0, 0)),
        ] {
            assert!(truthy.is_true(), "{truthy:?}");
        }
    }

    #[test]
    fn text_forms() {
        let check = |value: Value, text: &str| assert_eq!(value.text().as_deref(), Some(text));
        let civil = civil::date(2024, 1, 2).at(3, 4, 5, 678_901_000);
        check(Value::DateTime { civil, offset: None }, "2024-01-02T03:04:05.678901");
        check(Value::DateTime { civil, offset: Some(Offset::UTC) }, "2024-01-02T03:04:05.678901+00:00");
        for (seconds, text) in [(19_800, "+05:30"), (-1_800, "-00:30"), (3_661, "+01:01:01")] {
            let offset = Offset::from_seconds(seconds).expect("a legal offset");
            check(
                Value::DateTime { civil, offset: Some(offset) },
                &format!("2024-01-02T03:04:05.678901{text}"),
            );
        }
        check(Value::Date(civil.date()), "2024-01-02");
        check(Value::Time(civil::time(3, 4, 0, 0)), "03:04:00");
        check(Value::Decimal("1.10".to_owned()), "1.10");
        check(Value::Uuid(uuid::Uuid::from_u128(1)), "00000000-0000-0000-0000-000000000001");
    }

    #[test]
    fn durations() {
        let check = |microseconds, text: &str| assert_eq!(iso_duration(microseconds).as_deref(), Some(text));
        check(93_603_500_000, "PT26H3.5S");
        check(-1, "-PT0.000001S");
        check(999_999_999 * 86_400 * MICROSECONDS_PER_SECOND, "PT23999999976H");
        assert_eq!(iso_duration(i128::MAX), None);
    }

    #[test]
    fn an_integer_that_fits_is_int() {
        assert_eq!(Value::from(BigInt::from(i64::MAX)), Value::Int(i64::MAX));
        assert_eq!(Value::from(u64::MAX), Value::BigInt(u64::MAX.into()));
    }
}
