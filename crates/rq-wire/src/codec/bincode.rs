//! Our own format in bincode 2, Rust to Rust.
//!
//! Four bytes of our own come first, the last one a version. Then, in bincode's standard configuration, a byte for
//! the kind of each [`Value`] and its content. The code is written out rather than derived to count depth and
//! values while decoding, and to check a length against the bytes that are there before room is made for it.

use ::bincode::{
    config,
    de::{Decode, Decoder, read::Reader},
    decode_from_slice_with_context,
    enc::{Encode, Encoder, write::Writer},
    encode_into_std_write,
    error::{DecodeError, EncodeError},
};
use jiff::{civil, tz::Offset};
use num_bigint::BigInt;
use uuid::Uuid;

use super::{
    limits::{Budget, MAX_BINCODE_BYTES, MAX_INT_BYTES, integer},
    mark,
};
use crate::{
    error::CodecError,
    payload::Payload,
    value::{Value, wtf8},
};

/// Most of what is reserved on the word of a length, in values.
const MAX_RESERVED_VALUES: usize = 64;

const CONFIG: config::Configuration<config::LittleEndian, config::Varint, config::Limit<MAX_BINCODE_BYTES>> =
    config::standard().with_limit::<MAX_BINCODE_BYTES>();

/// The kinds of values, by the byte in front of them.
mod kind {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const BIG_INT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const STR: u8 = 6;
    pub(super) const SURROGATES: u8 = 7;
    pub(super) const BYTES: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const TUPLE: u8 = 10;
    pub(super) const SET: u8 = 11;
    pub(super) const FROZEN_SET: u8 = 12;
    pub(super) const DICT: u8 = 13;
    pub(super) const NAIVE_DATE_TIME: u8 = 14;
    pub(super) const DATE_TIME: u8 = 15;
    pub(super) const DATE: u8 = 16;
    pub(super) const TIME: u8 = 17;
    pub(super) const TIME_DELTA: u8 = 18;
    pub(super) const DECIMAL: u8 = 19;
    pub(super) const UUID: u8 = 20;
}

pub(super) fn encode(value: &Value) -> Result<Vec<u8>, CodecError> {
    write(Outgoing(value))
}

pub(super) fn encode_payload(payload: &Payload) -> Result<Vec<u8>, CodecError> {
    write(Outgoing(payload))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Value, CodecError> {
    read(bytes)
}

pub(super) fn decode_payload(bytes: &[u8]) -> Result<Payload, CodecError> {
    read(bytes)
}

/// What we write. The wrapper keeps bincode's traits out of our public types.
struct Outgoing<'a, T>(&'a T);

/// What we read.
struct Incoming<T>(T);

/// What a decoder carries with it.
struct State {
    budget: Budget,
    depth: usize,
    /// Why a limit stopped it; bincode's own error has no room for ours.
    refusal: Option<CodecError>,
}

fn write<T>(value: Outgoing<'_, T>) -> Result<Vec<u8>, CodecError>
where
    for<'a> Outgoing<'a, T>: Encode,
{
    let mut bytes = mark::BINCODE.to_vec();
    match encode_into_std_write(value, &mut bytes, CONFIG) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(CodecError::Bincode { reason: error.to_string().into() }),
    }
}

fn read<T>(bytes: &[u8]) -> Result<T, CodecError>
where
    Incoming<T>: for<'s> Decode<&'s mut State>,
{
    let Some((mark, content)) = bytes.split_first_chunk::<4>() else {
        return Err(CodecError::Truncated);
    };
    // Two refusals: of what is not ours at all, and of what is ours, from another release.
    if !mark::is_bincode(bytes) {
        return Err(CodecError::Bincode { reason: "our mark is not in front".into() });
    }
    if *mark != mark::BINCODE {
        let reason =
            format!("version {} is not {}: run the same version on both sides", mark[3], mark::BINCODE[3]);
        return Err(CodecError::Bincode { reason: reason.into() });
    }
    let mut state = State { budget: Budget::new(), depth: 0, refusal: None };
    match decode_from_slice_with_context(content, CONFIG, &mut state) {
        Ok((Incoming(value), read)) if read == content.len() => Ok(value),
        Ok(_) => Err(CodecError::Bincode { reason: "bytes behind the end".into() }),
        // Ours first: bincode's error says only that something was refused.
        Err(error) => Err(state.refusal.unwrap_or_else(|| refusal(&error))),
    }
}

fn refusal(error: &DecodeError) -> CodecError {
    match error {
        DecodeError::UnexpectedEnd { .. } => CodecError::Truncated,
        DecodeError::LimitExceeded => CodecError::TooLarge { limit_bytes: MAX_BINCODE_BYTES },
        DecodeError::Other(reason) => CodecError::Bincode { reason: (*reason).into() },
        other => CodecError::Bincode { reason: other.to_string().into() },
    }
}

impl Encode for Outgoing<'_, Payload> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Payload { func, args, kwargs } = self.0;
        func.encode(encoder)?;
        encode_items(args, encoder)?;
        (kwargs.len() as u64).encode(encoder)?;
        // Without kinds: names are always text.
        kwargs.iter().try_for_each(|(name, value)| {
            name.encode(encoder)?;
            Outgoing(value).encode(encoder)
        })
    }
}

impl Encode for Outgoing<'_, Value> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self.0 {
            Value::Null => kind::NULL.encode(encoder),
            Value::Bool(false) => kind::FALSE.encode(encoder),
            Value::Bool(true) => kind::TRUE.encode(encoder),
            Value::Int(value) => (kind::INT, *value).encode(encoder),
            Value::BigInt(value) => (kind::BIG_INT, value.to_signed_bytes_le()).encode(encoder),
            Value::Float(value) => (kind::FLOAT, *value).encode(encoder),
            Value::Str(text) => encode_bytes(kind::STR, text.as_bytes(), encoder),
            Value::Surrogates(bytes) => encode_bytes(kind::SURROGATES, bytes, encoder),
            Value::Bytes(bytes) => encode_bytes(kind::BYTES, bytes, encoder),
            Value::List(items) => encode_kind_and_items(kind::LIST, items, encoder),
            Value::Tuple(items) => encode_kind_and_items(kind::TUPLE, items, encoder),
            Value::Set(items) => encode_kind_and_items(kind::SET, items, encoder),
            Value::FrozenSet(items) => encode_kind_and_items(kind::FROZEN_SET, items, encoder),
            Value::Dict(entries) => encode_entries(entries, encoder),
            Value::DateTime { civil, offset: None } => {
                (kind::NAIVE_DATE_TIME, date_parts(civil.date()), time_parts(civil.time())).encode(encoder)
            }
            Value::DateTime { civil, offset: Some(offset) } => {
                (kind::DATE_TIME, date_parts(civil.date()), time_parts(civil.time()), offset.seconds())
                    .encode(encoder)
            }
            Value::Date(date) => (kind::DATE, date_parts(*date)).encode(encoder),
            Value::Time(time) => (kind::TIME, time_parts(*time)).encode(encoder),
            Value::TimeDelta(microseconds) => (kind::TIME_DELTA, *microseconds).encode(encoder),
            Value::Decimal(text) => encode_bytes(kind::DECIMAL, text.as_bytes(), encoder),
            Value::Uuid(uuid) => (kind::UUID, uuid.into_bytes()).encode(encoder),
        }
    }
}

fn encode_bytes<E: Encoder>(kind: u8, bytes: &[u8], encoder: &mut E) -> Result<(), EncodeError> {
    (kind, bytes.len() as u64).encode(encoder)?;
    encoder.writer().write(bytes)
}

fn encode_kind_and_items<E: Encoder>(kind: u8, items: &[Value], encoder: &mut E) -> Result<(), EncodeError> {
    kind.encode(encoder)?;
    encode_items(items, encoder)
}

fn encode_items<E: Encoder>(items: &[Value], encoder: &mut E) -> Result<(), EncodeError> {
    (items.len() as u64).encode(encoder)?;
    items.iter().try_for_each(|item| Outgoing(item).encode(encoder))
}

fn encode_entries<E: Encoder>(entries: &[(Value, Value)], encoder: &mut E) -> Result<(), EncodeError> {
    (kind::DICT, entries.len() as u64).encode(encoder)?;
    entries.iter().try_for_each(|(key, value)| {
        Outgoing(key).encode(encoder)?;
        Outgoing(value).encode(encoder)
    })
}

type DateParts = (i16, i8, i8);
type TimeParts = (i8, i8, i8, i32);

fn date_parts(date: civil::Date) -> DateParts {
    (date.year(), date.month(), date.day())
}

fn time_parts(time: civil::Time) -> TimeParts {
    (time.hour(), time.minute(), time.second(), time.subsec_nanosecond())
}

impl<'s> Decode<&'s mut State> for Incoming<Payload> {
    fn decode<D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let func = decode_text(decoder)?;
        // The call and its arguments are containers too.
        decoder.context().depth = 2;
        let args = decode_items(decoder)?;
        let len = decode_len(decoder)?;
        let mut kwargs = Vec::with_capacity(len.min(MAX_RESERVED_VALUES));
        for _ in 0..len {
            kwargs.push((decode_text(decoder)?, decode_value(decoder)?));
        }
        Ok(Incoming(Payload { func, args, kwargs }))
    }
}

impl<'s> Decode<&'s mut State> for Incoming<Value> {
    fn decode<D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_value(decoder).map(Incoming)
    }
}

fn decode_value<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Value, DecodeError> {
    let state = decoder.context();
    // Before the kind is read, so that depth and number are bounded for whatever comes.
    let spent = state.budget.spend(state.depth);
    check(spent, decoder)?;
    Ok(match u8::decode(decoder)? {
        kind::NULL => Value::Null,
        kind::FALSE => Value::Bool(false),
        kind::TRUE => Value::Bool(true),
        kind::INT => Value::Int(i64::decode(decoder)?),
        kind::BIG_INT => decode_big_int(decoder)?,
        kind::FLOAT => Value::Float(f64::decode(decoder)?),
        kind::STR => Value::Str(decode_text(decoder)?),
        // What is valid UTF-8 after all becomes `Str` here: two forms of one text would be unequal.
        kind::SURROGATES => match wtf8::into_value(decode_bytes(decoder)?) {
            Some(value) => value,
            None => return Err(DecodeError::Other("text that is none")),
        },
        kind::BYTES => Value::Bytes(decode_bytes(decoder)?),
        kind::LIST => Value::List(deeper(decoder, decode_items)?),
        kind::TUPLE => Value::Tuple(deeper(decoder, decode_items)?),
        kind::SET => Value::Set(deeper(decoder, decode_items)?),
        kind::FROZEN_SET => Value::FrozenSet(deeper(decoder, decode_items)?),
        kind::DICT => Value::Dict(deeper(decoder, decode_entries)?),
        kind::NAIVE_DATE_TIME => Value::DateTime { civil: decode_civil(decoder)?, offset: None },
        kind::DATE_TIME => {
            Value::DateTime { civil: decode_civil(decoder)?, offset: Some(decode_offset(decoder)?) }
        }
        kind::DATE => Value::Date(decode_date(decoder)?),
        kind::TIME => Value::Time(decode_time(decoder)?),
        kind::TIME_DELTA => Value::TimeDelta(i128::decode(decoder)?),
        kind::DECIMAL => Value::Decimal(decode_text(decoder)?),
        kind::UUID => Value::Uuid(Uuid::from_bytes(<[u8; 16]>::decode(decoder)?)),
        _ => return Err(DecodeError::Other("a kind of value that there is not")),
    })
}

/// Keeps our own error where bincode's would lose it.
fn check<'s, T, D>(result: Result<T, CodecError>, decoder: &mut D) -> Result<T, DecodeError>
where
    D: Decoder<Context = &'s mut State>,
{
    result.map_err(|error| {
        decoder.context().refusal = Some(error);
        DecodeError::Other("refused")
    })
}

fn deeper<'s, T, D>(decoder: &mut D, decode: fn(&mut D) -> Result<T, DecodeError>) -> Result<T, DecodeError>
where
    D: Decoder<Context = &'s mut State>,
{
    decoder.context().depth += 1;
    // An error leaves the depth too high, which nobody reads any more: it ends the whole decoding.
    let value = decode(decoder)?;
    decoder.context().depth -= 1;
    Ok(value)
}

/// A length in items, of which each takes at least a byte.
fn decode_len<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<usize, DecodeError> {
    let len = u64::decode(decoder)?;
    let len = usize::try_from(len).map_err(|_| DecodeError::LimitExceeded)?;
    // So a length that lies is refused before a loop or an allocation trusts it.
    match decoder.reader().peek_read(len) {
        Some(_) => Ok(len),
        None => Err(DecodeError::UnexpectedEnd { additional: len }),
    }
}

fn decode_items<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Vec<Value>, DecodeError> {
    let len = decode_len(decoder)?;
    // An item takes 32 bytes in memory, and perhaps one in the payload: a length is not trusted in full.
    let mut items = Vec::with_capacity(len.min(MAX_RESERVED_VALUES));
    for _ in 0..len {
        items.push(decode_value(decoder)?);
    }
    Ok(items)
}

fn decode_entries<'s, D: Decoder<Context = &'s mut State>>(
    decoder: &mut D,
) -> Result<Vec<(Value, Value)>, DecodeError> {
    let len = decode_len(decoder)?;
    let mut entries = Vec::with_capacity(len.min(MAX_RESERVED_VALUES));
    for _ in 0..len {
        entries.push((decode_value(decoder)?, decode_value(decoder)?));
    }
    Ok(entries)
}

fn decode_bytes<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Vec<u8>, DecodeError> {
    let len = decode_len(decoder)?;
    // Read behind bincode's back, so its limit on bytes is told of them.
    decoder.claim_bytes_read(len)?;
    let mut bytes = vec![0; len];
    decoder.reader().read(&mut bytes)?;
    Ok(bytes)
}

fn decode_text<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<String, DecodeError> {
    String::from_utf8(decode_bytes(decoder)?).map_err(|_| DecodeError::Other("text that is not UTF-8"))
}

fn decode_big_int<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Value, DecodeError> {
    let bytes = decode_bytes(decoder)?;
    // Before a number is made of them.
    if bytes.len() > MAX_INT_BYTES {
        return check(Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES }), decoder);
    }
    check(integer(BigInt::from_signed_bytes_le(&bytes)), decoder)
}

const NO_SUCH_TIME: DecodeError = DecodeError::Other("a date or time that there is not");

fn decode_date<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<civil::Date, DecodeError> {
    let (year, month, day) = (i16::decode(decoder)?, i8::decode(decoder)?, i8::decode(decoder)?);
    civil::Date::new(year, month, day).map_err(|_| NO_SUCH_TIME)
}

fn decode_time<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<civil::Time, DecodeError> {
    let (hour, minute, second) = (i8::decode(decoder)?, i8::decode(decoder)?, i8::decode(decoder)?);
    civil::Time::new(hour, minute, second, i32::decode(decoder)?).map_err(|_| NO_SUCH_TIME)
}

fn decode_civil<'s, D: Decoder<Context = &'s mut State>>(
    decoder: &mut D,
) -> Result<civil::DateTime, DecodeError> {
    Ok(civil::DateTime::from_parts(decode_date(decoder)?, decode_time(decoder)?))
}

fn decode_offset<'s, D: Decoder<Context = &'s mut State>>(decoder: &mut D) -> Result<Offset, DecodeError> {
    Offset::from_seconds(i32::decode(decoder)?).map_err(|_| NO_SUCH_TIME)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{
        limits::{MAX_VALUES, TOO_MANY},
        samples,
    };
    use crate::value::MAX_DEPTH;

    /// The format is fixed: a change of these bytes needs a new version.
    #[test]
    fn golden_bytes() {
        let payload = Payload {
            func: "tasks.add".to_owned(),
            args: vec![1.into(), Value::List(vec!["x".into(), Value::Null])],
            kwargs: vec![("k".to_owned(), Value::Bool(true))],
        };
        let bytes = b"\xb1rq\x01\x09tasks.add\x02\x03\x02\x09\x02\x06\x01x\0\x01\x01k\x02";
        assert_eq!(encode_payload(&payload).as_deref(), Ok(&bytes[..]));
        assert_eq!(decode_payload(bytes), Ok(payload));
    }

    fn marked(content: &[u8]) -> Vec<u8> {
        [&mark::BINCODE[..], content].concat()
    }

    #[track_caller]
    fn refused(bytes: &[u8], error: CodecError) {
        assert_eq!(decode(bytes), Err(error));
    }

    fn unreadable(bytes: &[u8], reason: &'static str) {
        refused(bytes, CodecError::Bincode { reason: reason.into() });
    }

    #[test]
    fn hostile_bytes() {
        unreadable(b"\x80\x05N.", "our mark is not in front");
        unreadable(b"\xb1rq\x02\0", "version 2 is not 1: run the same version on both sides");
        unreadable(&marked(&[kind::NULL, 0]), "bytes behind the end");
        unreadable(&marked(&[99]), "a kind of value that there is not");
        unreadable(&marked(&[kind::STR, 1, 0xff]), "text that is not UTF-8");
        unreadable(&marked(&[kind::SURROGATES, 1, 0xff]), "text that is none");
        unreadable(&marked(&[kind::DATE, 0, 99, 0]), "a date or time that there is not");
        for kind in [kind::STR, kind::BYTES, kind::BIG_INT, kind::LIST, kind::DICT] {
            // The marker 253 announces eight bytes.
            let hostile = [&[kind, 253][..], &[0xff; 8]].concat();
            refused(&marked(&hostile), CodecError::Truncated);
            refused(&marked(&[kind, 200]), CodecError::Truncated);
        }
    }

    #[test]
    fn limits_hold() {
        let nested = |levels: usize| marked(&[[kind::LIST, 1].repeat(levels), vec![kind::NULL]].concat());
        assert!(decode(&nested(MAX_DEPTH)).is_ok());
        refused(&nested(MAX_DEPTH + 1), CodecError::TooDeep { limit: MAX_DEPTH });
        refused(&nested(1 << 20), CodecError::TooDeep { limit: MAX_DEPTH });
        let len = u32::try_from(MAX_VALUES).expect("a small constant").to_le_bytes();
        let many = [&[kind::LIST, 252][..], &len, &vec![kind::NULL; MAX_VALUES]].concat();
        refused(&marked(&many), TOO_MANY);
        let int = [&[kind::BIG_INT, 251][..], &2000_u16.to_le_bytes(), &[1; 2000]].concat();
        refused(&marked(&int), CodecError::Integer { limit_bytes: MAX_INT_BYTES });
    }

    proptest! {
        #[test]
        fn values_return(value in samples::values()) {
            let bytes = encode(&value).expect("encodable");
            prop_assert_eq!(decode(&bytes).expect("decodable").repr(), value.repr());
            for len in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..len]), Err(CodecError::Truncated));
            }
        }

        #[test]
        fn calls_return(payload in samples::payloads()) {
            let back = decode_payload(&encode_payload(&payload).expect("encodable")).expect("decodable");
            prop_assert_eq!(back.into_value().repr(), payload.into_value().repr());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&marked(&bytes));
            let _ = decode_payload(&marked(&bytes));
        }

        #[test]
        fn damaged_bytes_are_read_or_refused(value in samples::values(), at in any::<usize>(), byte in any::<u8>()) {
            let mut bytes = encode(&value).expect("encodable");
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode(&bytes);
        }
    }
}
