//! [`Value`] → Rust: `Value` as serde's data format, and `Value` as a type that other formats can fill.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use num_bigint::BigInt;
use serde::{
    Deserializer,
    de::{
        self, Deserialize, DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
        Unexpected, VariantAccess, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{MICROSECONDS_PER_SECOND, Value, ValueError, iso_duration, seconds, tag};

macro_rules! integers {
    ($($method:ident $wanted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self {
                // All other kinds say themselves what they are, and serde checks the range.
                Value::BigInt(value) => visit_big_int(value, $wanted, visitor),
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident $wanted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self {
                // By way of the digits, for the nearest float.
                Value::BigInt(value) => match value.to_string().parse::<f64>() {
                    Ok(float) if float.is_finite() => visitor.visit_f64(float),
                    _ => Err(ValueError::Integer { value, wanted: $wanted }),
                },
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self {
                Value::TimeDelta(microseconds) => match iso_duration(microseconds) {
                    Some(text) => visitor.visit_string(text),
                    None => Err(mismatch(&Value::TimeDelta(microseconds), &visitor)),
                },
                // A visitor for text takes bytes that happen to be UTF-8.
                Value::Bytes(bytes) => Err(Error::invalid_type(Unexpected::Bytes(&bytes), &visitor)),
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! bytes {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self {
                Value::Str(text) => match BASE64_STANDARD.decode(&text) {
                    Ok(bytes) => visitor.visit_byte_buf(bytes),
                    Err(_) => Err(Error::invalid_value(Unexpected::Str(&text), &"bytes in base64")),
                },
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::BigInt(value) => visit_big_int(value, "any integer type", visitor),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Str(text) => visitor.visit_string(text),
            Value::Surrogates(_) => Err(ValueError::Surrogates),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                visit_items(items, visitor)
            }
            Value::Dict(entries) => visit_entries(entries, visitor),
            Value::TimeDelta(microseconds) => visitor.visit_f64(seconds(microseconds)),
            other => visitor.visit_string(other.text().unwrap_or_default()),
        }
    }

    integers! {
        deserialize_i8 "i8" deserialize_i16 "i16" deserialize_i32 "i32" deserialize_i64 "i64"
        deserialize_i128 "i128"
        deserialize_u8 "u8" deserialize_u16 "u16" deserialize_u32 "u32" deserialize_u64 "u64"
        deserialize_u128 "u128"
    }
    floats! { deserialize_f32 "f32" deserialize_f64 "f64" }
    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }
    bytes! { deserialize_bytes deserialize_byte_buf }
    forward_to_deserialize_any! { bool unit map }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name != tag::VALUE {
            return visitor.visit_newtype_struct(self);
        }
        // Our own `Value` asks, so nothing is lost: a kind that serde has no word for is handed over by name.
        match tag::split(self) {
            Ok((tag, plain)) => visitor.visit_enum(Variant { name: tag.into(), content: Some(plain) }),
            Err(plain) => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            // Python's bytes for a `Vec<u8>`, which asks serde for a sequence of numbers.
            Value::Bytes(bytes) => {
                let mut items = SeqDeserializer::new(bytes.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self {
            // `std::time::Duration` is a struct of two numbers to serde.
            Value::TimeDelta(microseconds) if name == "Duration" => match std_duration(microseconds) {
                Some(entries) => visit_entries(entries, visitor),
                None => Err(mismatch(&Value::TimeDelta(microseconds), &visitor)),
            },
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self {
            name @ Value::Str(_) => visitor.visit_enum(Variant { name, content: None }),
            Value::Dict(mut entries) if entries.len() == 1 => match entries.pop() {
                Some((name, content)) => visitor.visit_enum(Variant { name, content: Some(content) }),
                None => unreachable!("a dict of one entry has one"),
            },
            other => {
                Err(mismatch(&other, &"a variant's name, or a dict of one entry with its name and content"))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }
}

impl IntoDeserializer<'_, ValueError> for Value {
    type Deserializer = Value;

    fn into_deserializer(self) -> Value {
        self
    }
}

impl de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> ValueError {
        ValueError::Mismatch(shortened(&message.to_string(), MESSAGE_CHARS_MAX))
    }

    fn invalid_type(unexpected: Unexpected<'_>, wanted: &dyn de::Expected) -> ValueError {
        let message = format!("invalid type: {}, expected {wanted}", Shown(unexpected));
        ValueError::Mismatch(message)
    }

    fn invalid_value(unexpected: Unexpected<'_>, wanted: &dyn de::Expected) -> ValueError {
        let message = format!("invalid value: {}, expected {wanted}", Shown(unexpected));
        ValueError::Mismatch(message)
    }
}

/// How much is shown of a value of the wrong kind: enough to know it again, for it may be long, or a secret.
const VALUE_CHARS_MAX: usize = 8;

/// How long the message of a type's own reader may be, which may quote what it was given.
const MESSAGE_CHARS_MAX: usize = 200;

/// A value of the wrong kind in serde's words.
struct Shown<'a>(Unexpected<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Str(text) => Unexpected::Str(&shortened(text, VALUE_CHARS_MAX)).fmt(f),
            other => other.fmt(f),
        }
    }
}

pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// For the kinds that serde's own sentences have no word for.
fn mismatch(value: &Value, wanted: &dyn de::Expected) -> ValueError {
    Error::invalid_type(Unexpected::Other(value.type_name()), wanted)
}

fn visit_big_int<'de, V: Visitor<'de>>(
    value: BigInt,
    wanted: &'static str,
    visitor: V,
) -> Result<V::Value, ValueError> {
    let is_wide = wanted.ends_with("128");
    if let (Ok(value), false) = (u64::try_from(&value), is_wide) {
        visitor.visit_u64(value)
    } else if let (Ok(value), true) = (i128::try_from(&value), wanted != "u128") {
        visitor.visit_i128(value)
    } else if let Ok(value) = u128::try_from(&value) {
        visitor.visit_u128(value)
    } else {
        Err(ValueError::Integer { value, wanted })
    }
}

fn visit_items<'de, V: Visitor<'de>>(items: Vec<Value>, visitor: V) -> Result<V::Value, ValueError> {
    let mut items = SeqDeserializer::new(items.into_iter());
    let value = visitor.visit_seq(&mut items)?;
    // What the visitor has left over is an error: a tuple of two does not take a list of three in silence.
    items.end()?;
    Ok(value)
}

fn visit_entries<'de, V: Visitor<'de>>(
    entries: Vec<(Value, Value)>,
    visitor: V,
) -> Result<V::Value, ValueError> {
    let mut entries = MapDeserializer::new(entries.into_iter().map(|(key, value)| (Key(key), value)));
    let value = visitor.visit_map(&mut entries)?;
    entries.end()?;
    Ok(value)
}

/// The two fields of a `std::time::Duration`, which is never negative.
fn std_duration(microseconds: i128) -> Option<Vec<(Value, Value)>> {
    // Rounded down, so that the fraction is never negative; below zero there is no such duration.
    let seconds = i64::try_from(microseconds.div_euclid(MICROSECONDS_PER_SECOND)).ok()?;
    let nanoseconds = microseconds.rem_euclid(MICROSECONDS_PER_SECOND) as i64 * 1000;
    (seconds >= 0).then(|| vec![("secs".into(), seconds.into()), ("nanos".into(), nanoseconds.into())])
}

/// The key of a dict. JSON's keys are always text, so text serves where a number or a truth value is asked for.
struct Key(Value);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match &self.0 {
                // Only if it parses. Else the key is tried as the text it is, whose error names it.
                Value::Str(text) => match text.parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => self.0.$method(visitor),
                },
                _ => self.0.$method(visitor),
            }
        }
    )*};
}

macro_rules! plain_keys {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.0.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = ValueError;

    parsed_keys! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }
    plain_keys! {
        deserialize_any deserialize_char deserialize_str deserialize_string deserialize_identifier
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map
        deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            // As a key still, so that text is parsed for an `Option<i64>` as well.
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match name {
            tag::VALUE => self.0.deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_enum(name, variants, visitor)
    }
}

impl IntoDeserializer<'_, ValueError> for Key {
    type Deserializer = Key;

    fn into_deserializer(self) -> Key {
        self
    }
}

/// The variant of an enum and, unless it is a unit variant by its name alone, its content.
struct Variant {
    name: Value,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = ValueError;
    type Variant = Content;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content), ValueError> {
        Ok((seed.deserialize(self.name)?, Content(self.content)))
    }
}

/// What a variant holds.
struct Content(Option<Value>);

impl Content {
    fn take(self, wanted: &'static str) -> Result<Value, ValueError> {
        self.0.ok_or_else(|| Error::invalid_type(Unexpected::UnitVariant, &wanted))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(mismatch(&other, &"a variant without content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ValueError> {
        seed.deserialize(self.take("a variant with content")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.take("a tuple variant")?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.take("a struct variant")?.deserialize_any(visitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(tag::VALUE, ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    /// Where other formats arrive when `Value` asks under its name.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(BigInt::from(value).into())
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(BigInt::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Dict(entries))
    }

    /// Our own deserializer's answer for the kinds that need their name.
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, content) = access.variant::<String>()?;
        tag::join(&tag, content.newtype_variant()?)
            .ok_or_else(|| Error::custom("a variant that is no kind of value"))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, HashMap},
        time::Duration,
    };

    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Invoice {
        id: u32,
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Shape {
        Empty,
        Circle(f64),
        Line(i8, i8),
        Square { side: u8 },
    }

    #[derive(Debug, PartialEq)]
    struct Blob(Vec<u8>);

    impl<'de> Deserialize<'de> for Blob {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
            struct BlobVisitor;
            impl Visitor<'_> for BlobVisitor {
                type Value = Blob;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                    Ok(Blob(bytes))
                }
            }
            deserializer.deserialize_byte_buf(BlobVisitor)
        }
    }

    #[track_caller]
    fn check<T: DeserializeOwned + PartialEq + fmt::Debug>(value: impl Into<Value>, expected: T) {
        assert_eq!(value.into().deserialize_into::<T>(), Ok(expected));
    }

    #[track_caller]
    fn refused<T: DeserializeOwned + fmt::Debug>(value: impl Into<Value>, message: &str) {
        let error = value.into().deserialize_into::<T>().expect_err("must be refused");
        assert_eq!(error.to_string(), message);
    }

    fn dict(entries: &[(&str, i64)]) -> Value {
        Value::Dict(entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    fn list(items: &[i64]) -> Value {
        Value::List(items.iter().copied().map(Value::Int).collect())
    }

    #[test]
    fn numbers() {
        check(5, 5_u8);
        check(5, 5_i128);
        check(5, 5_u128);
        check(5, 5.0);
        check(u64::MAX, u64::MAX);
        check(u64::MAX, u128::from(u64::MAX));
        check(BigInt::from(i128::MIN), i128::MIN);
        check(BigInt::from(u128::MAX), u128::MAX);
        check(u64::MAX, u64::MAX as f64);
        check(2.5, 2.5_f32);
        refused::<u8>(300, "invalid value: integer `300`, expected u8");
        refused::<i64>(1.0, "invalid type: floating point `1.0`, expected i64");
        refused::<i64>(u64::MAX, "invalid value: integer `18446744073709551615`, expected i64");
        refused::<i64>("hunter2secret", "invalid type: string \"hunter2s…\", expected i64");
        refused::<char>("ab", "invalid value: string \"ab\", expected a character");
        refused::<i64>(true, "invalid type: boolean `true`, expected i64");
        let beyond: BigInt = BigInt::from(u128::MAX) + 1;
        refused::<i128>(
            beyond.clone(),
            "the integer 340282366920938463463374607431768211456 does not fit i128",
        );
        let googol = BigInt::from(10).pow(400);
        assert!(matches!(Value::from(googol).deserialize_into::<f64>(), Err(ValueError::Integer { .. })));
    }

    #[test]
    fn text_and_bytes() {
        check("a", 'a');
        check("YWI=", Blob(b"ab".to_vec()));
        check(Value::Bytes(b"ab".to_vec()), Blob(b"ab".to_vec()));
        check(Value::Bytes(b"ab".to_vec()), b"ab".to_vec());
        check(list(&[97, 98]), b"ab".to_vec());
        refused::<String>(Value::Bytes(b"ab".to_vec()), "invalid type: byte array, expected a string");
        refused::<Blob>("a b", "invalid value: string \"a b\", expected bytes in base64");
        refused::<String>(
            Value::Surrogates(b"\xed\xb2\x80".to_vec()),
            "the text holds lone surrogates, which no Rust string can: take it as a `Value`",
        );
    }

    #[test]
    fn times_are_text() {
        let civil = jiff::civil::date(2024, 1, 2).at(3, 4, 5, 0);
        let aware = Value::DateTime { civil, offset: Some(jiff::tz::Offset::UTC) };
        check(aware, "2024-01-02T03:04:05+00:00".to_owned());
        check(Value::DateTime { civil, offset: None }, "2024-01-02T03:04:05".to_owned());
        check(Value::TimeDelta(1_500_000), 1.5);
        check(Value::TimeDelta(1_500_000), "PT1.5S".to_owned());
        check(Value::TimeDelta(1_500_000), Duration::from_millis(1500));
        refused::<Duration>(
            Value::TimeDelta(-1),
            "invalid type: datetime.timedelta, expected struct Duration",
        );
    }

    #[test]
    fn containers() {
        check(list(&[1, 2]), (1, 2));
        check(Value::Set(vec![Value::Int(1)]), vec![1]);
        refused::<(i64, i64)>(list(&[1, 2, 3]), "invalid length 3, expected 2 elements in sequence");
        check(Value::Dict(vec![(1.into(), "a".into())]), BTreeMap::from([(1_u8, "a".to_owned())]));
        check(dict(&[("1", 2)]), BTreeMap::from([(1_u8, 2)]));
        check(dict(&[("true", 2)]), BTreeMap::from([(true, 2)]));
        refused::<BTreeMap<u8, u8>>(dict(&[("x", 2)]), "invalid type: string \"x\", expected u8");
        refused::<HashMap<String, u8>>(
            Value::Dict(vec![(1.into(), 2.into())]),
            "invalid type: integer `1`, expected a string",
        );
        check(dict(&[("id", 1)]), Invoice { id: 1, note: None });
        check(Value::List(vec![1.into(), Value::Null]), Invoice { id: 1, note: None });
        refused::<Invoice>(dict(&[]), "missing field `id`");
        check(Value::Null, None::<i64>);
        check(Value::Null, ());
    }

    #[test]
    fn enums() {
        check("Empty", Shape::Empty);
        check(Value::Dict(vec![("Circle".into(), 1.into())]), Shape::Circle(1.0));
        check(Value::Dict(vec![("Line".into(), list(&[1, 2]))]), Shape::Line(1, 2));
        check(Value::Dict(vec![("Square".into(), dict(&[("side", 1)]))]), Shape::Square { side: 1 });
        refused::<Shape>("Circle", "invalid type: unit variant, expected a variant with content");
        refused::<Shape>(
            5,
            "invalid type: int, expected a variant's name, or a dict of one entry with its name and content",
        );
    }

    #[test]
    fn a_value_passes_whole() {
        let civil = jiff::civil::date(2024, 1, 2).at(3, 4, 5, 678_901_000);
        let offset = Some(jiff::tz::Offset::from_seconds(-1830).expect("a legal offset"));
        let all = Value::List(vec![
            Value::Null,
            true.into(),
            1.into(),
            BigInt::from(10).pow(60).into(),
            u64::MAX.into(),
            1.5.into(),
            "text".into(),
            Value::Surrogates(b"\xed\xb2\x80".to_vec()),
            Value::Bytes(vec![0, 255]),
            Value::Tuple(Vec::new()),
            Value::Set(vec![Value::Tuple(vec![1.into()])]),
            Value::FrozenSet(vec![1.into()]),
            Value::Dict(vec![(Value::Tuple(vec![1.into()]), Value::DateTime { civil, offset })]),
            Value::DateTime { civil, offset: None },
            Value::Date(civil.date()),
            Value::Time(civil.time()),
            Value::TimeDelta(-86_400_000_001),
            Value::Decimal("1.10".to_owned()),
            Value::Uuid(uuid::Uuid::from_u128(5)),
        ]);
        assert_eq!(Value::from_serialize(&all).as_ref(), Ok(&all));
        assert_eq!(all.clone().deserialize_into::<Value>().as_ref(), Ok(&all));
        check(
            all.clone(),
            match all {
                Value::List(items) => items,
                _ => unreachable!("it was a list above"),
            },
        );
    }

    #[test]
    fn another_format_fills_a_value() {
        let value: Value =
            serde_json::from_str(r#"{"a": [1, 18446744073709551615, 1.5, null]}"#).expect("valid JSON");
        assert_eq!(value.repr(), "{'a': [1, 18446744073709551615, 1.5, None]}");
    }
}
