//! Rust → [`Value`]: `Value` as serde's data format, and `Value` as a type that other formats can write.

use serde::{
    Serialize,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{MAX_DEPTH, Value, ValueError, seconds, tag};

/// The most room reserved on the word of a type that announces its length.
const MAX_RESERVED_ITEMS: usize = 4096;

/// Builds one `Value`.
#[derive(Clone, Copy)]
pub(super) struct Serializer {
    /// How many more containers may lie around a value.
    depth_left: usize,
}

impl Serializer {
    pub(super) const fn new() -> Serializer {
        Serializer { depth_left: MAX_DEPTH }
    }

    fn inside(self) -> Result<Serializer, ValueError> {
        let depth_left = self.depth_left.checked_sub(1).ok_or(ValueError::TooDeep { limit: MAX_DEPTH })?;
        Ok(Serializer { depth_left })
    }

    fn items(self, len: Option<usize>, finish: fn(Vec<Value>) -> Value) -> Items {
        // The length is a hint that a `Serialize` of anyone's may get wrong; the vector grows beyond it.
        let items = Vec::with_capacity(len.unwrap_or(0).min(MAX_RESERVED_ITEMS));
        Items { items, outside: self, finish, variant: None }
    }

    fn entries(self, len: Option<usize>) -> Entries {
        let entries = Vec::with_capacity(len.unwrap_or(0).min(MAX_RESERVED_ITEMS));
        Entries { entries, key: Value::Null, outside: self, variant: None }
    }
}

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result<Value, ValueError> {
        Ok(Value::Int(value))
    }

    fn serialize_i128(self, value: i128) -> Result<Value, ValueError> {
        Ok(i64::try_from(value).map_or_else(|_| Value::BigInt(value.into()), Value::Int))
    }

    fn serialize_u8(self, value: u8) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<Value, ValueError> {
        Ok(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<Value, ValueError> {
        Ok(i64::try_from(value).map_or_else(|_| Value::BigInt(value.into()), Value::Int))
    }

    /// By way of its digits, so that 0.1 stays 0.1.
    fn serialize_f32(self, value: f32) -> Result<Value, ValueError> {
        Ok(Value::Float(value.to_string().parse().unwrap_or(value.into())))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, ValueError> {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Value, ValueError> {
        Ok(Value::Str(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, ValueError> {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, ValueError> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        let value = value.serialize(self)?;
        // Someone else's newtype is what it holds, as serde's formats have it.
        if !tag::is_tag(name) {
            return Ok(value);
        }
        tag::join(name, value).ok_or_else(|| ser::Error::custom("a value that its own kind cannot hold"))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(tagged(Some(variant), value.serialize(self.inside()?)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items, ValueError> {
        Ok(self.items(len, Value::List))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items, ValueError> {
        Ok(self.items(Some(len), Value::Tuple))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Items, ValueError> {
        Ok(self.items(Some(len), Value::Tuple))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items, ValueError> {
        Ok(Items { variant: Some(variant), ..self.inside()?.items(Some(len), Value::Tuple) })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries, ValueError> {
        Ok(self.entries(len))
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Entries, ValueError> {
        Ok(self.entries(Some(len)))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Entries, ValueError> {
        Ok(Entries { variant: Some(variant), ..self.inside()?.entries(Some(len)) })
    }
}

/// A sequence or tuple in the making.
pub(super) struct Items {
    items: Vec<Value>,
    outside: Serializer,
    finish: fn(Vec<Value>) -> Value,
    variant: Option<&'static str>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.items.push(item.serialize(self.outside.inside()?)?);
        Ok(())
    }

    fn finish(self) -> Result<Value, ValueError> {
        Ok(tagged(self.variant, (self.finish)(self.items)))
    }
}

/// A map or struct in the making.
pub(super) struct Entries {
    entries: Vec<(Value, Value)>,
    /// Waits for its value.
    key: Value,
    outside: Serializer,
    variant: Option<&'static str>,
}

impl Entries {
    fn push<T: Serialize + ?Sized>(&mut self, key: Value, value: &T) -> Result<(), ValueError> {
        self.entries.push((key, value.serialize(self.outside.inside()?)?));
        Ok(())
    }

    fn finish(self) -> Result<Value, ValueError> {
        Ok(tagged(self.variant, Value::Dict(self.entries)))
    }
}

/// `{"Name": content}` for the variant of an enum, else the content.
fn tagged(variant: Option<&'static str>, content: Value) -> Value {
    match variant {
        Some(name) => Value::Dict(vec![(name.into(), content)]),
        None => content,
    }
}

impl SerializeSeq for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeTuple for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeTupleVariant for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = key.serialize(self.outside.inside()?)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        // serde gives key and value by two calls, the key first.
        let key = std::mem::replace(&mut self.key, Value::Null);
        self.push(key, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeStruct for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.push(key.into(), value)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl SerializeStructVariant for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.push(key.into(), value)
    }

    fn end(self) -> Result<Value, ValueError> {
        self.finish()
    }
}

impl ser::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> ValueError {
        ValueError::Mismatch(message.to_string())
    }
}

/// In a format other than ours: times, decimals, UUIDs and integers beyond 128 bits as text, a `timedelta` in
/// seconds, tuples and sets as sequences, bytes and text with lone surrogates as bytes.
impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::BigInt(value) => serialize_big_int(value, serializer),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Str(text) => serializer.serialize_str(text),
            Value::Surrogates(bytes) => serializer.serialize_newtype_struct(tag::SURROGATES, &Bytes(bytes)),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::List(items) => items.serialize(serializer),
            Value::Tuple(items) => serializer.serialize_newtype_struct(tag::TUPLE, items),
            Value::Set(items) => serializer.serialize_newtype_struct(tag::SET, items),
            Value::FrozenSet(items) => serializer.serialize_newtype_struct(tag::FROZEN_SET, items),
            Value::Dict(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
            Value::DateTime { .. } => self.serialize_text(tag::DATE_TIME, serializer),
            Value::Date(_) => self.serialize_text(tag::DATE, serializer),
            Value::Time(_) => self.serialize_text(tag::TIME, serializer),
            Value::TimeDelta(us) => serializer.serialize_newtype_struct(tag::TIME_DELTA, &seconds(*us)),
            Value::Decimal(_) => self.serialize_text(tag::DECIMAL, serializer),
            Value::Uuid(_) => self.serialize_text(tag::UUID, serializer),
        }
    }
}

impl Value {
    fn serialize_text<S: ser::Serializer>(
        &self,
        tag: &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(tag, &self.text().unwrap_or_default())
    }
}

fn serialize_big_int<S: ser::Serializer>(
    value: &num_bigint::BigInt,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if let Ok(value) = u64::try_from(value) {
        serializer.serialize_u64(value)
    } else if let Ok(value) = i128::try_from(value) {
        serializer.serialize_i128(value)
    } else if let Ok(value) = u128::try_from(value) {
        serializer.serialize_u128(value)
    } else {
        serializer.serialize_newtype_struct(tag::BIG_INT, &value.to_string())
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[derive(Serialize)]
    struct Invoice {
        id: u32,
        note: Option<&'static str>,
    }

    #[derive(Serialize)]
    struct Cents(i64);

    #[derive(Serialize)]
    enum Shape {
        Empty,
        Circle(f64),
        Line(i8, i8),
        Square { side: u8 },
    }

    #[track_caller]
    fn check(value: impl Serialize, repr: &str) {
        assert_eq!(Value::from_serialize(&value).map(|value| value.repr()).as_deref(), Ok(repr));
    }

    #[test]
    fn rust_values() {
        check(true, "True");
        check(-3_i8, "-3");
        check(u64::MAX, "18446744073709551615");
        check(i128::MIN, "-170141183460469231731687303715884105728");
        check(5_u128, "5");
        check(0.1_f32, "0.1");
        check('x', "'x'");
        check("text", "'text'");
        check((), "None");
        check(None::<i32>, "None");
        check(Some(1), "1");
        check(vec![1, 2], "[1, 2]");
        check(HashSet::from([1]), "[1]");
        check((1, "a"), "(1, 'a')");
        check([1_u8; 2], "(1, 1)");
        check(Bytes(b"ab"), "b'ab'");
        check(BTreeMap::from([(1, 'a')]), "{1: 'a'}");
        check(Invoice { id: 1, note: None }, "{'id': 1, 'note': None}");
        check(Cents(5), "5");
        check(Shape::Empty, "'Empty'");
        check(Shape::Circle(1.0), "{'Circle': 1.0}");
        check(Shape::Line(1, 2), "{'Line': (1, 2)}");
        check(Shape::Square { side: 1 }, "{'Square': {'side': 1}}");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels| (0..levels).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        assert!(Value::from_serialize(&nested(MAX_DEPTH)).is_ok());
        let error = Value::from_serialize(&nested(MAX_DEPTH + 1));
        assert_eq!(error, Err(ValueError::TooDeep { limit: MAX_DEPTH }));
    }

    #[test]
    fn another_format_sees_plain_values() {
        let check = |value: Value, json: &str| {
            assert_eq!(serde_json::to_string(&value).expect("serde_json writes it"), json);
        };
        check(Value::Set(vec![Value::Int(1)]), "[1]");
        check(Value::TimeDelta(1_500_000), "1.5");
        check(Value::Date(jiff::civil::date(2024, 1, 2)), "\"2024-01-02\"");
        check(Value::BigInt(u64::MAX.into()), "18446744073709551615");
        check(Value::Dict(vec![("a".into(), Value::Null)]), "{\"a\":null}");
    }
}
