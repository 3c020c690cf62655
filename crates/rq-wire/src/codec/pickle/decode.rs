//! [`Machine`]: the stack machine that a pickle is a program for.
//!
//! It runs opcode by opcode without recursion. Small immutable values are [`Item`]s on its stack; all else is a
//! [`Node`] in an arena, which items refer to, so that a list filled after it was memoised is filled everywhere.
//! Every opcode costs time and memory in proportion to the bytes it takes from the pickle, and what it copies
//! besides is counted.

use std::borrow::Cow;

use jiff::tz::Offset;
use num_bigint::BigInt;
use uuid::Uuid;

use super::{opcode as op, stdlib::Global, text, zones::Zone};
use crate::{
    codec::limits::{MAX_INT_BYTES, MAX_PAYLOAD_BYTES, MAX_VALUES_BYTES, TOO_MANY, integer},
    error::CodecError,
    value::{Value, wtf8},
};

/// The most memory that the machine takes for what it pushes and makes. Somewhat more than for the values of a payload:
/// an object takes several.
const MAX_BYTES: usize = MAX_VALUES_BYTES / 4 * 5;

/// What lies on the stack, in a container or in the memo.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    /// A type or function we stand in for.
    Global(Global),
    /// An index into the arena.
    Node(u32),
}

/// What may be shared and changed, and what is too large for an item.
#[derive(Debug)]
pub(super) enum Node<'a> {
    List(Vec<Item<'a>>),
    Tuple(Vec<Item<'a>>),
    Set(Vec<Item<'a>>),
    FrozenSet(Vec<Item<'a>>),
    Dict(Vec<[Item<'a>; 2]>),
    /// A value without parts.
    Leaf(Box<Value>),
    /// `datetime.timezone`, or another zone that we know.
    Zone(Zone),
    /// `uuid.UUID`, empty until BUILD.
    Uuid(Option<Uuid>),
    /// A class or function unknown to us, or anything made with it.
    Opaque {
        module: &'a str,
        name: &'a str,
    },
}

pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    /// Where the opcode that is being run begins.
    opcode_at: usize,
    stack: Vec<Item<'a>>,
    /// How long the stack was at each mark.
    marks: Vec<usize>,
    memo: Vec<Option<Item<'a>>>,
    pub(super) nodes: Vec<Node<'a>>,
    /// Values pushed, and marks set.
    pushes: usize,
    bytes_left: usize,
    copied_bytes: usize,
}

impl<'a> Machine<'a> {
    /// Runs a pickle up to STOP, and yields what lies on top of the stack then.
    pub(super) fn run(input: &'a [u8]) -> Result<(Machine<'a>, Item<'a>), CodecError> {
        let mut machine = Machine {
            input,
            at: 0,
            opcode_at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            nodes: Vec::new(),
            pushes: 0,
            bytes_left: MAX_BYTES,
            copied_bytes: 0,
        };
        loop {
            machine.opcode_at = machine.at;
            match machine.byte()? {
                op::STOP => break,
                opcode => machine.step(opcode)?,
            }
        }
        // Python ignores what follows STOP, and what else lies on the stack.
        let root = machine.pop()?;
        // What follows needs room too.
        (machine.stack, machine.memo) = (Vec::new(), Vec::new());
        Ok((machine, root))
    }

    /// One line an opcode.
    fn step(&mut self, opcode: u8) -> Result<(), CodecError> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.frame(),

            op::NONE => self.push(Item::None),
            op::NEWTRUE => self.push(Item::Bool(true)),
            op::NEWFALSE => self.push(Item::Bool(false)),
            op::BININT1 => self.int(u8::from_le_bytes),
            op::BININT2 => self.int(u16::from_le_bytes),
            op::BININT => self.int(i32::from_le_bytes),
            op::BINFLOAT => self.array().and_then(|bytes| self.push(Item::Float(f64::from_be_bytes(bytes)))),
            op::LONG1 => self.short_bytes().and_then(|bytes| self.long(bytes)),
            op::LONG4 => self.medium_bytes().and_then(|bytes| self.long(bytes)),
            op::INT => self.line().and_then(|line| self.int_line(line)),
            op::LONG => self.line().and_then(|line| self.long_line(line)),
            op::FLOAT => self.line().and_then(|line| self.float_line(line)),

            op::SHORT_BINUNICODE => self.short_bytes().and_then(|bytes| self.text(bytes)),
            op::BINUNICODE => self.medium_bytes().and_then(|bytes| self.text(bytes)),
            op::BINUNICODE8 => self.long_bytes().and_then(|bytes| self.text(bytes)),
            op::UNICODE => self.line().and_then(|line| self.unicode_line(line)),
            op::SHORT_BINBYTES => self.short_bytes().and_then(|bytes| self.push(Item::Bytes(bytes))),
            op::BINBYTES => self.medium_bytes().and_then(|bytes| self.push(Item::Bytes(bytes))),
            op::BINBYTES8 => self.long_bytes().and_then(|bytes| self.push(Item::Bytes(bytes))),
            op::BYTEARRAY8 => self.long_bytes().and_then(|bytes| self.push(Item::Bytes(bytes))),
            op::SHORT_BINSTRING => self.short_bytes().and_then(|bytes| self.python2_text(bytes)),
            op::BINSTRING => self.medium_bytes().and_then(|bytes| self.python2_text(bytes)),
            op::STRING => self.line().and_then(|line| self.string_line(line)),

            op::EMPTY_LIST => self.push_node(Node::List(Vec::new())),
            op::EMPTY_TUPLE => self.push_node(Node::Tuple(Vec::new())),
            op::EMPTY_SET => self.push_node(Node::Set(Vec::new())),
            op::EMPTY_DICT => self.push_node(Node::Dict(Vec::new())),
            op::LIST => self.pop_to_mark().and_then(|items| self.push_node(Node::List(items))),
            op::TUPLE => self.pop_to_mark().and_then(|items| self.push_node(Node::Tuple(items))),
            op::FROZENSET => self.pop_to_mark().and_then(|items| self.push_node(Node::FrozenSet(items))),
            op::DICT => self.pop_to_mark().and_then(|items| self.dict(&items)),
            op::TUPLE1 => self.pop_many(1).and_then(|items| self.push_node(Node::Tuple(items))),
            op::TUPLE2 => self.pop_many(2).and_then(|items| self.push_node(Node::Tuple(items))),
            op::TUPLE3 => self.pop_many(3).and_then(|items| self.push_node(Node::Tuple(items))),
            op::APPEND => self.above(1).and_then(|start| self.append(start)),
            op::APPENDS => self.above_mark().and_then(|start| self.append(start)),
            op::ADDITEMS => self.above_mark().and_then(|start| self.append(start)),
            op::SETITEM => self.above(2).and_then(|start| self.set(start)),
            op::SETITEMS => self.above_mark().and_then(|start| self.set(start)),

            op::MARK => self.mark(),
            op::POP => self.drop_top(),
            op::POP_MARK => self.pop_to_mark().map(drop),
            op::DUP => self.top().and_then(|item| self.push(item)),
            op::GET => self.line().and_then(|line| self.get_line(line)),
            op::BINGET => self.byte().and_then(|index| self.get(index.into())),
            op::LONG_BINGET => self.u32().and_then(|index| self.get(index)),
            op::PUT => self.line().and_then(|line| self.put_line(line)),
            op::BINPUT => self.byte().and_then(|index| self.put(index.into())),
            op::LONG_BINPUT => self.u32().and_then(|index| self.put(index)),
            // Python numbers by how many places are taken; writers that leave no gaps are numbered the same way here.
            op::MEMOIZE => self.put(self.memo.len() as u32),

            op::GLOBAL => self.global_lines().and_then(|(module, name)| self.push_global(module, name)),
            op::STACK_GLOBAL => self.stack_global(),
            op::REDUCE => self.reduce(),
            op::NEWOBJ => self.new_object(1),
            op::NEWOBJ_EX => self.new_object(2),
            op::INST => self.inst(),
            op::OBJ => self.obj(),
            op::BUILD => self.build(),

            // Each of these three asks for what only the reading program has: its `persistent_load`, its registry
            // of codes, its list of buffers.
            op::PERSID | op::BINPERSID => self.refuse("persistent ids mean something to Python only"),
            op::EXT1 | op::EXT2 | op::EXT4 => self.refuse("extension codes mean something to Python only"),
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                self.refuse("out-of-band buffers are not in the payload")
            }
            _ => self.refuse(format!("there is no opcode {opcode:#04x}")),
        }
    }

    // Reading.

    pub(super) fn refuse<T>(&self, reason: impl Into<Cow<'static, str>>) -> Result<T, CodecError> {
        Err(CodecError::Pickle { offset: self.opcode_at, reason: reason.into() })
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, _) = self.input[self.at..].split_first_chunk().ok_or(CodecError::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], CodecError> {
        let rest = &self.input[self.at..];
        let len = usize::try_from(len).map_err(|_| CodecError::Truncated)?;
        // The length is the sender's word: it is held against what is there before any room is made for it.
        let bytes = rest.get(..len).ok_or(CodecError::Truncated)?;
        self.at += len;
        Ok(bytes)
    }

    fn short_bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.byte()?;
        self.take(len.into())
    }

    fn medium_bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.u32()?;
        self.take(len.into())
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.u64()?;
        self.take(len)
    }

    /// Up to the end of the line, without it.
    fn line(&mut self) -> Result<&'a [u8], CodecError> {
        let rest = &self.input[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or(CodecError::Truncated)?;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    fn protocol(&mut self) -> Result<(), CodecError> {
        match self.byte()? {
            ..=op::NEWEST_PROTOCOL => Ok(()),
            newer => self.refuse(format!("protocol {newer} is newer than {}", op::NEWEST_PROTOCOL)),
        }
    }

    /// Frames only help programs that read from a stream. The one check is Python's.
    fn frame(&mut self) -> Result<(), CodecError> {
        let len = self.u64()?;
        // Compared as u64: a length that does not fit `usize` is too long as well.
        let left = (self.input.len() - self.at) as u64;
        if len > left { Err(CodecError::Truncated) } else { Ok(()) }
    }

    // The stack.

    fn count(&mut self, pushes: usize) -> Result<(), CodecError> {
        self.check_room(pushes)?;
        self.pushes += pushes;
        self.bytes_left -= pushes * size_of::<Item<'a>>();
        Ok(())
    }

    /// Whether so many more items may be pushed or copied.
    pub(super) fn check_room(&self, pushes: usize) -> Result<(), CodecError> {
        if pushes > self.bytes_left / size_of::<Item<'a>>() { Err(TOO_MANY) } else { Ok(()) }
    }

    /// Counts bytes made from others that may be made from again and again.
    fn count_copied(&mut self, bytes: usize) -> Result<(), CodecError> {
        // A few bytes of pickle can call for the same large copy many times; what is borrowed costs nothing and is not
        // counted.
        self.copied_bytes += bytes;
        if self.copied_bytes > MAX_PAYLOAD_BYTES {
            return Err(CodecError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES });
        }
        Ok(())
    }

    fn push(&mut self, item: Item<'a>) -> Result<(), CodecError> {
        self.count(1)?;
        self.stack.push(item);
        Ok(())
    }

    fn push_node(&mut self, node: Node<'a>) -> Result<(), CodecError> {
        if let Node::Leaf(value) = &node {
            self.count_copied(weight(value))?;
        }
        self.bytes_left = self.bytes_left.checked_sub(size_of::<Node<'a>>()).ok_or(TOO_MANY)?;
        // It fits: far fewer than 2^32 have room.
        let item = Item::Node(self.nodes.len() as u32);
        self.nodes.push(node);
        self.push(item)
    }

    /// A value by the lightest means.
    fn push_value(&mut self, value: Value) -> Result<(), CodecError> {
        match value {
            Value::Int(value) => self.push(Item::Int(value)),
            other => self.push_node(Node::Leaf(Box::new(other))),
        }
    }

    /// What lies below the last mark is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Item<'a>, CodecError> {
        match self.stack.last() {
            Some(&item) if self.stack.len() > self.floor() => Ok(item),
            _ => self.refuse("nothing on the stack"),
        }
    }

    fn pop(&mut self) -> Result<Item<'a>, CodecError> {
        let item = self.top()?;
        self.stack.pop();
        Ok(item)
    }

    /// Where the last so many items begin.
    fn above(&self, len: usize) -> Result<usize, CodecError> {
        match self.stack.len().checked_sub(len) {
            Some(start) if start >= self.floor() => Ok(start),
            _ => self.refuse("too little on the stack"),
        }
    }

    /// Where the items above the last mark begin. Takes the mark.
    fn above_mark(&mut self) -> Result<usize, CodecError> {
        self.marks.pop().map_or_else(|| self.refuse("no mark on the stack"), Ok)
    }

    /// The last so many items, in the order they were pushed.
    fn pop_many(&mut self, len: usize) -> Result<Vec<Item<'a>>, CodecError> {
        let start = self.above(len)?;
        Ok(self.stack.split_off(start))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Item<'a>>, CodecError> {
        let start = self.above_mark()?;
        Ok(self.stack.split_off(start))
    }

    fn mark(&mut self) -> Result<(), CodecError> {
        self.count(1)?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// POP takes a mark if that lies on top.
    fn drop_top(&mut self) -> Result<(), CodecError> {
        // Python keeps its marks apart from the stack, as we do, so POP has to look which of the two is on top.
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    // Values.

    fn int<const N: usize, I: Into<i64>>(&mut self, from: fn([u8; N]) -> I) -> Result<(), CodecError> {
        let bytes = self.array()?;
        self.push(Item::Int(from(bytes).into()))
    }

    fn long(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        // Before the number is made: what is refused shall not cost the time and room of making it.
        if bytes.len() > MAX_INT_BYTES {
            return Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES });
        }
        self.push_value(integer(BigInt::from_signed_bytes_le(bytes))?)
    }

    /// Before protocol 2, truth values were integers of two digits.
    fn int_line(&mut self, line: &[u8]) -> Result<(), CodecError> {
        match line {
            b"00" => self.push(Item::Bool(false)),
            b"01" => self.push(Item::Bool(true)),
            _ => self.long_line(line),
        }
    }

    fn long_line(&mut self, line: &[u8]) -> Result<(), CodecError> {
        match text::int(line) {
            Some(value) => self.push_value(value?),
            None => self.refuse("no integer"),
        }
    }

    fn float_line(&mut self, line: &[u8]) -> Result<(), CodecError> {
        match text::float(line) {
            Some(value) => self.push(Item::Float(value)),
            None => self.refuse("no float"),
        }
    }

    fn text(&mut self, bytes: &'a [u8]) -> Result<(), CodecError> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.push(Item::Str(text));
        }
        // Python writes lone surrogates with `surrogatepass`, which is not UTF-8 (docs/wire.md §4.3).
        match wtf8::into_value(bytes.to_vec()) {
            Some(value) => self.push_value(value),
            None => self.refuse("text that is not UTF-8"),
        }
    }

    fn unicode_line(&mut self, line: &'a [u8]) -> Result<(), CodecError> {
        // Borrowed from the pickle. An escape needs a copy, and so does Latin-1, which is not UTF-8 beyond ASCII.
        if line.is_ascii() && !line.contains(&b'\\') {
            return self.text(line);
        }
        match text::unicode(line) {
            Some(value) => self.push_value(value),
            None => self.refuse("an escape that is none"),
        }
    }

    fn string_line(&mut self, line: &'a [u8]) -> Result<(), CodecError> {
        match text::string(line) {
            Some(Cow::Borrowed(bytes)) => self.python2_text(bytes),
            Some(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
                Ok(text) if text.is_ascii() => self.push_value(Value::Str(text)),
                Ok(text) => self.push_value(Value::Bytes(text.into_bytes())),
                Err(error) => self.push_value(Value::Bytes(error.into_bytes())),
            },
            None => self.refuse("no quoted string"),
        }
    }

    /// Python 2 had one type for text and bytes.
    fn python2_text(&mut self, bytes: &'a [u8]) -> Result<(), CodecError> {
        if bytes.is_ascii() { self.text(bytes) } else { self.push(Item::Bytes(bytes)) }
    }

    // Containers.

    fn dict(&mut self, items: &[Item<'a>]) -> Result<(), CodecError> {
        match items.as_chunks() {
            (pairs, []) => self.push_node(Node::Dict(pairs.to_vec())),
            _ => self.refuse("a key without a value"),
        }
    }

    /// Moves the items from there on into the list or set below them.
    fn append(&mut self, start: usize) -> Result<(), CodecError> {
        let index = self.container(start)?;
        let items = &self.stack[start..];
        match &mut self.nodes[index] {
            Node::List(container) | Node::Set(container) => extend(container, items),
            // What an unknown object holds is dropped: all that matters of it is its class, for the refusal.
            Node::Opaque { .. } => {}
            _ => return self.refuse("nothing that could be appended to"),
        }
        self.stack.truncate(start);
        Ok(())
    }

    /// Moves the keys and values from there on into the dict below them.
    fn set(&mut self, start: usize) -> Result<(), CodecError> {
        let index = self.container(start)?;
        match (&mut self.nodes[index], self.stack[start..].as_chunks()) {
            // A key may come twice here. The last one wins when the dict is resolved, as in Python.
            (Node::Dict(dict), (pairs, [])) => extend(dict, pairs),
            (Node::Opaque { .. }, _) => {}
            (Node::Dict(_), _) => return self.refuse("a key without a value"),
            _ => return self.refuse("no dict"),
        }
        self.stack.truncate(start);
        Ok(())
    }

    /// What lies below this place of the stack, in the arena.
    fn container(&self, start: usize) -> Result<usize, CodecError> {
        // Not below the mark: Python's unpickler does not let an opcode reach there either.
        match self.stack[self.floor()..start].last() {
            Some(&Item::Node(index)) => Ok(index as usize),
            _ => self.refuse("nothing that could hold something"),
        }
    }

    // The memo.

    fn put_line(&mut self, line: &[u8]) -> Result<(), CodecError> {
        match index(line) {
            Some(index) => self.put(index),
            None => self.refuse("no index"),
        }
    }

    /// Writers number their memo without gaps, from 0 or 1, and put nothing there that they did not push.
    fn put(&mut self, index: u32) -> Result<(), CodecError> {
        let item = self.top()?;
        let index = index as usize;
        // PUT names its place freely: without this, one line of digits would have the memo grow to 2^32 places.
        if index > self.pushes {
            return self.refuse("an index far beyond the memo");
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(item);
        Ok(())
    }

    fn get_line(&mut self, line: &[u8]) -> Result<(), CodecError> {
        match index(line) {
            Some(index) => self.get(index),
            None => self.refuse("no index"),
        }
    }

    fn get(&mut self, index: u32) -> Result<(), CodecError> {
        match self.memo.get(index as usize) {
            Some(&Some(item)) => self.push(item),
            _ => self.refuse("nothing at this place of the memo"),
        }
    }

    // Objects.

    fn global_lines(&mut self) -> Result<(&'a str, &'a str), CodecError> {
        let (module, name) = (self.line()?, self.line()?);
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => Ok((module, name)),
            _ => self.refuse("a name that is not UTF-8"),
        }
    }

    fn stack_global(&mut self) -> Result<(), CodecError> {
        // The module was pushed first, so it lies below the name.
        let (name, module) = (self.pop()?, self.pop()?);
        match (module, name) {
            (Item::Str(module), Item::Str(name)) => self.push_global(module, name),
            _ => self.refuse("a name that is no text"),
        }
    }

    fn push_global(&mut self, module: &'a str, name: &'a str) -> Result<(), CodecError> {
        match (module, name, Global::named(module, name)) {
            (_, _, Some(global)) => self.push(Item::Global(global)),
            ("datetime", "timezone.utc" | "UTC", None) => {
                self.push_node(Node::Zone(Zone::Fixed(Offset::UTC)))
            }
            _ => self.push_node(Node::Opaque { module, name }),
        }
    }

    fn reduce(&mut self) -> Result<(), CodecError> {
        let (args, callable) = (self.pop()?, self.pop()?);
        // Nothing unknown is called. What it would make stays its name, and is refused only if the payload holds it.
        if let Some(Node::Opaque { .. }) = self.node(callable) {
            return self.push(callable);
        }
        match (callable, self.node(args)) {
            (Item::Global(global), Some(Node::Tuple(args))) => {
                let made = self.call(global, args)?;
                self.push_made(made)
            }
            _ => self.refuse("no function with a tuple of arguments"),
        }
    }

    /// The class, and above it so many items of arguments.
    fn new_object(&mut self, args: usize) -> Result<(), CodecError> {
        // Of the types we know, UUID alone is made so, and without arguments: its number comes with BUILD.
        self.pop_many(args)?;
        let class = self.pop()?;
        match (class, self.node(class)) {
            (_, Some(Node::Opaque { .. })) => self.push(class),
            (Item::Global(Global::Uuid), _) => self.push_node(Node::Uuid(None)),
            // Not how any of the others is made.
            (Item::Global(_), _) => self.push(class),
            _ => self.refuse("no class"),
        }
    }

    fn inst(&mut self) -> Result<(), CodecError> {
        let (module, name) = self.global_lines()?;
        let args = self.pop_to_mark()?;
        self.push_global(module, name)?;
        let class = self.pop()?;
        self.instantiate(class, &args)
    }

    fn obj(&mut self) -> Result<(), CodecError> {
        let items = self.pop_to_mark()?;
        let Some((&class, args)) = items.split_first() else {
            return self.refuse("no class");
        };
        self.instantiate(class, args)
    }

    fn instantiate(&mut self, class: Item<'a>, args: &[Item<'a>]) -> Result<(), CodecError> {
        match (class, self.node(class)) {
            (Item::Global(global), _) => {
                let made = self.call(global, args)?;
                self.push_made(made)
            }
            (_, Some(Node::Opaque { .. })) => self.push(class),
            _ => self.refuse("no class"),
        }
    }

    fn push_made(&mut self, made: Made<'a>) -> Result<(), CodecError> {
        let node = match made {
            Made::Item(item) => return self.push(item),
            Made::Node(node) => node,
        };
        if let Node::List(items) | Node::Tuple(items) | Node::Set(items) | Node::FrozenSet(items) = &node {
            // `list(x)` copies all of x for a few bytes of pickle; so what it copies counts as if it had been pushed.
            self.count(items.len())?;
        }
        self.push_node(node)
    }

    fn build(&mut self) -> Result<(), CodecError> {
        // The object stays on the stack: BUILD changes it in its place.
        let (state, object) = (self.pop()?, self.top()?);
        match (self.node(object), self.node(state)) {
            // `dateutil` gives its zones' rules besides their names.
            (Some(Node::Opaque { .. } | Node::Zone(_)), _) => Ok(()),
            (Some(Node::Uuid(_)), Some(Node::Dict(state))) => {
                let uuid = Node::Uuid(Some(self.uuid(state)?));
                // In the arena, so that whoever has the UUID from the memo sees its number, too.
                let index = self.container(self.stack.len())?;
                self.nodes[index] = uuid;
                Ok(())
            }
            // An empty state changes nothing, so it needs no type that could take one.
            (Some(_), Some(Node::Dict(state))) if state.is_empty() => Ok(()),
            (Some(_), None) if matches!(state, Item::None) => Ok(()),
            _ => self.refuse("nothing that has a state"),
        }
    }

    pub(super) fn node(&self, item: Item<'a>) -> Option<&Node<'a>> {
        match item {
            Item::Node(index) => Some(&self.nodes[index as usize]),
            _ => None,
        }
    }
}

/// What a call yields: something that is there, or something new.
pub(super) enum Made<'a> {
    Item(Item<'a>),
    Node(Node<'a>),
}

/// Most containers are filled at once or with one item, and need no room for more.
fn extend<T: Copy>(container: &mut Vec<T>, items: &[T]) {
    if container.is_empty() {
        container.reserve_exact(items.len());
    }
    container.extend_from_slice(items);
}

/// How many bytes a value without parts holds outside of itself.
pub(super) fn weight(leaf: &Value) -> usize {
    match leaf {
        Value::Str(text) | Value::Decimal(text) => text.len(),
        Value::Surrogates(bytes) | Value::Bytes(bytes) => bytes.len(),
        Value::BigInt(value) => value.bits() as usize / 8,
        _ => 0,
    }
}

fn index(line: &[u8]) -> Option<u32> {
    std::str::from_utf8(line).ok()?.parse().ok()
}
