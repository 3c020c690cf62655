//! [`Value`]: an argument or a result on its way between languages.

use jiff::civil;
use num_bigint::BigInt;

/// What all payload codecs can carry: JSON's values, and the plain Python values that pickle knows beside them.
///
/// A handler rarely sees one. It names the types it wants and serde converts; a `Value` parameter gets the
/// value as it came.
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
    /// A Python string with lone surrogates, which no Rust string can hold, in WTF-8.
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
    /// `datetime.datetime`. Naive where it has no offset.
    DateTime {
        /// The clock reading.
        civil: civil::DateTime,
        /// How far the clock is ahead of UTC.
        offset: Option<jiff::tz::Offset>,
    },
    /// `datetime.date`.
    Date(civil::Date),
    /// `datetime.time` without a zone.
    Time(civil::Time),
    /// `datetime.timedelta`, in microseconds.
    TimeDelta(i128),
    /// `decimal.Decimal`, as Python prints it.
    Decimal(String),
    /// `uuid.UUID`.
    Uuid(uuid::Uuid),
}
