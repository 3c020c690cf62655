//! The short way: values made straight from a pickle of built-in types that shares nothing but text.
//!
//! Most pickles are so, ours among them. Whatever else one holds, breaks or exceeds, this gives up, and the machine
//! (`pickle/decode.rs`) reads it from its beginning, or says what is wrong: it alone decides what a pickle means.

use num_bigint::BigInt;

use super::opcode as op;
use crate::{
    codec::{
        dict::drop_repeated_keys,
        limits::{MAX_INT_BYTES, MAX_PAYLOAD_BYTES, MAX_VALUES, integer},
    },
    value::{MAX_DEPTH, Value},
};

/// Room for what a small call pushes.
const STACK_CAPACITY: usize = 16;

/// The value a pickle holds, if it is as simple as that.
pub(super) fn decode(input: &[u8]) -> Option<Value> {
    let mut builder = Builder {
        input,
        stack: Vec::with_capacity(STACK_CAPACITY),
        marks: Vec::new(),
        memo: Vec::new(),
        heights: Vec::new(),
        latest: None,
        values_left: MAX_VALUES,
        copied_bytes_left: MAX_PAYLOAD_BYTES,
        is_dict_filled_twice: false,
    };
    loop {
        match builder.byte()? {
            op::STOP => return builder.finish(),
            opcode => builder.step(opcode)?,
        }
    }
}

struct Builder<'a> {
    /// What is left of it.
    input: &'a [u8],
    stack: Vec<Value>,
    /// How long the stack was at each mark.
    marks: Vec<usize>,
    /// The texts that are memoised; anything else is `None`, and not to be had from there.
    memo: Vec<Option<&'a str>>,
    /// How many containers are nested in those on the stack that hold something, by their places.
    heights: Vec<(usize, usize)>,
    /// The text on top of the stack, if it was pushed last.
    latest: Option<&'a str>,
    values_left: usize,
    copied_bytes_left: usize,
    /// Then a key may be twice in it, in two batches.
    is_dict_filled_twice: bool,
}

impl<'a> Builder<'a> {
    fn finish(mut self) -> Option<Value> {
        let root = self.stack.pop().filter(|_| self.stack.is_empty() && self.marks.is_empty())?;
        Some(if self.is_dict_filled_twice { without_repeated_keys(root) } else { root })
    }

    fn step(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            op::MEMOIZE => return self.memoize(self.memo.len()),
            op::BINPUT => return self.byte().and_then(|index| self.memoize(index.into())),
            op::LONG_BINPUT => {
                return self.array().and_then(|index| self.memoize(u32::from_le_bytes(index) as usize));
            }
            op::SHORT_BINUNICODE => return self.byte().and_then(|len| self.text(len.into())),
            op::BINUNICODE => return self.array().and_then(|len| self.text(u32::from_le_bytes(len).into())),
            op::BINUNICODE8 => return self.array().and_then(|len| self.text(u64::from_le_bytes(len))),
            op::BINGET => return self.byte().and_then(|index| self.get(index.into())),
            op::LONG_BINGET => {
                return self.array().and_then(|index| self.get(u32::from_le_bytes(index) as usize));
            }
            _ => self.latest = None,
        }
        match opcode {
            op::PROTO => self.byte().filter(|protocol| *protocol <= op::NEWEST_PROTOCOL).map(drop),
            op::FRAME => {
                self.array().map(u64::from_le_bytes).filter(|len| *len <= self.input.len() as u64).map(drop)
            }

            op::NONE => self.push(Value::Null),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT1 => self.byte().and_then(|int| self.push(Value::Int(int.into()))),
            op::BININT2 => self.array().and_then(|int| self.push(Value::Int(u16::from_le_bytes(int).into()))),
            op::BININT => self.array().and_then(|int| self.push(Value::Int(i32::from_le_bytes(int).into()))),
            op::LONG1 => self.byte().and_then(|len| self.long(len.into())),
            op::BINFLOAT => self.array().and_then(|float| self.push(Value::Float(f64::from_be_bytes(float)))),
            op::SHORT_BINBYTES => self.byte().and_then(|len| self.bytes(len.into())),
            op::BINBYTES => self.array().and_then(|len| self.bytes(u32::from_le_bytes(len).into())),
            op::BINBYTES8 => self.array().and_then(|len| self.bytes(u64::from_le_bytes(len))),

            op::EMPTY_LIST => self.push(Value::List(Vec::new())),
            op::EMPTY_TUPLE => self.push(Value::Tuple(Vec::new())),
            op::EMPTY_SET => self.push(Value::Set(Vec::new())),
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::TUPLE1 => self.last(1).and_then(|start| self.collect(start, Value::Tuple)),
            op::TUPLE2 => self.last(2).and_then(|start| self.collect(start, Value::Tuple)),
            op::TUPLE3 => self.last(3).and_then(|start| self.collect(start, Value::Tuple)),
            op::TUPLE => self.marks.pop().and_then(|start| self.collect(start, Value::Tuple)),
            op::FROZENSET => self.marks.pop().and_then(|start| self.collect(start, Value::FrozenSet)),
            op::APPEND => self.last(1).and_then(|start| self.append(start)),
            op::APPENDS | op::ADDITEMS => self.marks.pop().and_then(|start| self.append(start)),
            op::SETITEM => self.last(2).and_then(|start| self.set(start)),
            op::SETITEMS => self.marks.pop().and_then(|start| self.set(start)),
            op::MARK => self.mark(),
            _ => None,
        }
    }

    // Reading.

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.input.split_first()?;
        self.input = rest;
        Some(byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&array, rest) = self.input.split_first_chunk()?;
        self.input = rest;
        Some(array)
    }

    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.input.split_at_checked(usize::try_from(len).ok()?)?;
        self.input = rest;
        Some(bytes)
    }

    // Values.

    fn push(&mut self, value: Value) -> Option<()> {
        self.values_left = self.values_left.checked_sub(1)?;
        self.stack.push(value);
        Some(())
    }

    /// Takes room as values do.
    fn mark(&mut self) -> Option<()> {
        self.values_left = self.values_left.checked_sub(1)?;
        self.marks.push(self.stack.len());
        Some(())
    }

    fn text(&mut self, len: u64) -> Option<()> {
        let text = std::str::from_utf8(self.take(len)?).ok()?;
        self.latest = Some(text);
        self.push(Value::Str(text.to_owned()))
    }

    fn bytes(&mut self, len: u64) -> Option<()> {
        let bytes = self.take(len)?.to_vec();
        self.push(Value::Bytes(bytes))
    }

    fn long(&mut self, len: u64) -> Option<()> {
        let bytes = self.take(len).filter(|bytes| bytes.len() <= MAX_INT_BYTES)?;
        self.push(integer(BigInt::from_signed_bytes_le(bytes)).ok()?)
    }

    // The memo.

    /// Writers number their memo without gaps, and put nothing there twice.
    fn memoize(&mut self, index: usize) -> Option<()> {
        let pushes = MAX_VALUES - self.values_left;
        if index != self.memo.len() || index > pushes || self.stack.len() <= self.floor() {
            return None;
        }
        self.memo.push(self.latest);
        Some(())
    }

    /// Text alone: a container that is in two places may yet change in both.
    fn get(&mut self, index: usize) -> Option<()> {
        let text = (*self.memo.get(index)?)?;
        self.copied_bytes_left = self.copied_bytes_left.checked_sub(text.len())?;
        self.latest = Some(text);
        self.push(Value::Str(text.to_owned()))
    }

    // Containers.

    /// What lies below the last mark is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Where the last so many values begin.
    fn last(&self, count: usize) -> Option<usize> {
        self.stack.len().checked_sub(count).filter(|start| *start >= self.floor())
    }

    /// Makes one container of the values from there on.
    fn collect(&mut self, start: usize, container: fn(Vec<Value>) -> Value) -> Option<()> {
        let height = self.height_above(start)?;
        let items: Vec<Value> = self.stack.drain(start..).collect();
        if !items.is_empty() {
            self.heights.push((start, height));
        }
        self.push(container(items))
    }

    /// Moves the values from there on into the list or set below them.
    fn append(&mut self, start: usize) -> Option<()> {
        let mut container = self.container_below(start)?;
        let (Value::List(items) | Value::Set(items)) = &mut container else { return None };
        make_room(items, self.stack.len() - start);
        items.extend(self.stack.drain(start..));
        self.stack[start - 1] = container;
        Some(())
    }

    /// Moves the keys and values from there on into the dict below them.
    fn set(&mut self, start: usize) -> Option<()> {
        let count = self.stack.len() - start;
        let mut container = self.container_below(start)?;
        let Value::Dict(entries) = &mut container else { return None };
        let is_first = entries.is_empty();
        make_room(entries, count.is_multiple_of(2).then_some(count / 2)?);
        let mut items = self.stack.drain(start..);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        drop(items);
        match is_first {
            true => drop_repeated_keys(entries),
            // At the end, once: there may be many batches.
            false => self.is_dict_filled_twice = true,
        }
        self.stack[start - 1] = container;
        Some(())
    }

    /// Takes the container below this place of the stack, which is given what lies above.
    fn container_below(&mut self, start: usize) -> Option<Value> {
        let place = start.checked_sub(1).filter(|place| *place >= self.floor())?;
        let has_items = start < self.stack.len();
        let height = self.height_above(start)?;
        match self.heights.last_mut() {
            Some((known, before)) if *known == place => *before = height.max(*before),
            _ if has_items => self.heights.push((place, height)),
            _ => {}
        }
        Some(std::mem::replace(&mut self.stack[place], Value::Null))
    }

    /// How many containers are nested in one that holds what lies from there on.
    fn height_above(&mut self, start: usize) -> Option<usize> {
        let mut highest = 0;
        while let Some((_, height)) = self.heights.pop_if(|(place, _)| *place >= start) {
            highest = highest.max(height);
        }
        Some(highest + 1).filter(|height| *height <= MAX_DEPTH)
    }
}

/// Most containers are filled at once, and need no room for more.
fn make_room<T>(items: &mut Vec<T>, more: usize) {
    if items.is_empty() {
        items.reserve_exact(more);
    }
}

fn without_repeated_keys(value: Value) -> Value {
    let all = |items: Vec<Value>| items.into_iter().map(without_repeated_keys).collect();
    match value {
        Value::List(items) => Value::List(all(items)),
        Value::Tuple(items) => Value::Tuple(all(items)),
        Value::Set(items) => Value::Set(all(items)),
        Value::FrozenSet(items) => Value::FrozenSet(all(items)),
        Value::Dict(entries) => {
            let both = |(key, value)| (without_repeated_keys(key), without_repeated_keys(value));
            let mut entries: Vec<(Value, Value)> = entries.into_iter().map(both).collect();
            drop_repeated_keys(&mut entries);
            Value::Dict(entries)
        }
        plain => plain,
    }
}
