//! Writes plain data as pickle of protocol 4, which every CPython that has ever run RQ on Python 3.4 or later reads: it
//! lacks nothing that plain data needs.
//!
//! Without a memo and without frames: both are optional, and shared references are gone by the time a value is ours.

use num_bigint::BigInt;

use super::{opcode as op, stdlib};
use crate::{error::CodecError, payload::Payload, value::Value};

/// The protocol in the header.
const PROTOCOL: u8 = 4;

/// The value and STOP. Its limits are checked before.
pub(in crate::codec) fn encode(value: &Value) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::new();
    writer.value(value)?;
    Ok(writer.finish())
}

/// The tuple `(func, None, args, kwargs)`, with a tuple as args.
pub(in crate::codec) fn encode_payload(payload: &Payload) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer::new();
    writer.out.push(op::MARK);
    writer.text(payload.func.as_bytes());
    // The instance of a bound method, of which we never have one.
    writer.out.push(op::NONE);
    writer.tuple(&payload.args)?;
    writer.out.push(op::EMPTY_DICT);
    // Names are text, so these keys need no check that they can be keys.
    if !payload.kwargs.is_empty() {
        writer.out.push(op::MARK);
        for (name, value) in &payload.kwargs {
            writer.text(name.as_bytes());
            writer.value(value)?;
        }
        writer.out.push(op::SETITEMS);
    }
    writer.out.push(op::TUPLE);
    Ok(writer.finish())
}

pub(super) struct Writer {
    pub(super) out: Vec<u8>,
}

impl Writer {
    fn new() -> Writer {
        Writer { out: vec![op::PROTO, PROTOCOL] }
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.push(op::STOP);
        self.out
    }

    pub(super) fn value(&mut self, value: &Value) -> Result<(), CodecError> {
        match value {
            Value::Null => self.out.push(op::NONE),
            Value::Bool(true) => self.out.push(op::NEWTRUE),
            Value::Bool(false) => self.out.push(op::NEWFALSE),
            Value::Int(value) => self.int(*value),
            Value::BigInt(value) => self.long(&value.to_signed_bytes_le()),
            Value::Float(value) => {
                self.out.push(op::BINFLOAT);
                self.out.extend(value.to_be_bytes());
            }
            Value::Str(text) => self.text(text.as_bytes()),
            Value::Surrogates(bytes) => self.text(bytes),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(items) => {
                self.out.push(op::EMPTY_LIST);
                self.add(items, op::APPENDS)?;
            }
            Value::Tuple(items) => self.tuple(items)?,
            Value::Set(items) => {
                self.out.push(op::EMPTY_SET);
                if !items.is_empty() {
                    self.out.push(op::MARK);
                    items.iter().try_for_each(|item| self.key(item))?;
                    self.out.push(op::ADDITEMS);
                }
            }
            Value::FrozenSet(items) => {
                self.out.push(op::MARK);
                items.iter().try_for_each(|item| self.key(item))?;
                // FROZENSET makes it of all above the mark at once; there is no opcode that adds to one.
                self.out.push(op::FROZENSET);
            }
            Value::Dict(entries) => self.dict(entries)?,
            Value::DateTime { .. }
            | Value::Date(_)
            | Value::Time(_)
            | Value::TimeDelta(_)
            | Value::Decimal(_)
            | Value::Uuid(_) => stdlib::write(self, value)?,
        }
        Ok(())
    }

    pub(super) fn int(&mut self, value: i64) {
        // The shortest that fits, as Python writes it; BININT alone has a sign.
        if let Ok(value) = u8::try_from(value) {
            self.out.extend([op::BININT1, value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(op::BININT2);
            self.out.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(op::BININT);
            self.out.extend(value.to_le_bytes());
        } else {
            self.long(&BigInt::from(value).to_signed_bytes_le());
        }
    }

    /// Two's complement, the lowest byte first.
    pub(super) fn long(&mut self, bytes: &[u8]) {
        self.counted([Some(op::LONG1), Some(op::LONG4), None], bytes);
    }

    pub(super) fn text(&mut self, bytes: &[u8]) {
        self.counted([Some(op::SHORT_BINUNICODE), Some(op::BINUNICODE), Some(op::BINUNICODE8)], bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.counted([Some(op::SHORT_BINBYTES), Some(op::BINBYTES), Some(op::BINBYTES8)], bytes);
    }

    /// The opcode for a count of one, four or eight bytes, the count, and the bytes.
    fn counted(&mut self, opcodes: [Option<u8>; 3], bytes: &[u8]) {
        let [short, medium, long] = opcodes;
        if let (Some(opcode), Ok(len)) = (short, u8::try_from(bytes.len())) {
            self.out.extend([opcode, len]);
        } else if let (Some(opcode), Ok(len)) = (medium, i32::try_from(bytes.len())) {
            // LONG4's count has a sign in Python, so all stay below 2^31 here; text and bytes have eight bytes then.
            self.out.push(opcode);
            self.out.extend(len.to_le_bytes());
        } else if let Some(opcode) = long {
            self.out.push(opcode);
            self.out.extend((bytes.len() as u64).to_le_bytes());
        } else {
            unreachable!("limits are checked before: an integer has far less than 2^31 bytes");
        }
        self.out.extend_from_slice(bytes);
    }

    fn tuple(&mut self, items: &[Value]) -> Result<(), CodecError> {
        self.tuple_of(items, Writer::value)
    }

    fn tuple_of(
        &mut self,
        items: &[Value],
        write: fn(&mut Writer, &Value) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let opcode = match items.len() {
            0 => op::EMPTY_TUPLE,
            1 => op::TUPLE1,
            2 => op::TUPLE2,
            3 => op::TUPLE3,
            _ => op::TUPLE,
        };
        if opcode == op::TUPLE {
            self.out.push(op::MARK);
        }
        items.iter().try_for_each(|item| write(self, item))?;
        self.out.push(opcode);
        Ok(())
    }

    /// Adds all items at once to the container on the stack.
    fn add(&mut self, items: &[Value], opcode: u8) -> Result<(), CodecError> {
        if items.is_empty() {
            return Ok(());
        }
        self.out.push(op::MARK);
        items.iter().try_for_each(|item| self.value(item))?;
        self.out.push(opcode);
        Ok(())
    }

    fn dict(&mut self, entries: &[(Value, Value)]) -> Result<(), CodecError> {
        self.out.push(op::EMPTY_DICT);
        if entries.is_empty() {
            return Ok(());
        }
        self.out.push(op::MARK);
        for (key, value) in entries {
            self.key(key)?;
            self.value(value)?;
        }
        // In one batch. Python writes one for each 1000 entries, and reads them of any size.
        self.out.push(op::SETITEMS);
        Ok(())
    }

    /// A dict's key or a set's member. Python loads none that can change, so a list is written as a tuple there, and a set
    /// as a frozenset: reading asks for neither in particular.
    fn key(&mut self, key: &Value) -> Result<(), CodecError> {
        match key {
            Value::List(items) | Value::Tuple(items) => self.tuple_of(items, Writer::key),
            Value::Set(items) | Value::FrozenSet(items) => {
                self.out.push(op::MARK);
                items.iter().try_for_each(|item| self.key(item))?;
                self.out.push(op::FROZENSET);
                Ok(())
            }
            // Refused here: a worker in Python would fail when it loads the payload, far from who gave the value.
            Value::Dict(_) => Err(CodecError::Key { class: key.type_name() }),
            _ => self.value(key),
        }
    }
}
