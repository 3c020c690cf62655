//! The types of Python's standard library that we rebuild and write ourselves (docs/wire.md §4.3).
//!
//! `datetime`, `decimal` and `uuid` in the shapes that every CPython 3 pickles them in, and what protocols 0 to 2
//! need for sets and bytes.

use jiff::{civil, tz::Offset};
use num_bigint::BigInt;
use uuid::Uuid;

use super::{
    decode::{Item, Machine, Made, Node},
    encode::Writer,
    opcode as op,
    zones::Zone,
};
use crate::{error::CodecError, value::Value};

const MICROSECONDS_PER_SECOND: i128 = 1_000_000;
const SECONDS_PER_DAY: i128 = 86_400;
const MICROSECONDS_PER_DAY: i128 = SECONDS_PER_DAY * MICROSECONDS_PER_SECOND;

/// Python's limit on `timedelta`, in days.
const MAX_DAYS: i128 = 999_999_999;

/// More digits than anyone's decimal has.
const MAX_DECIMAL_CHARS: usize = 4300;

/// The state of a UUID has up to two entries.
const MAX_UUID_STATE: usize = 4;

/// A class or function that a pickle may mention and we stand in for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    DateTime,
    Date,
    Time,
    TimeDelta,
    TimeZone,
    Decimal,
    Uuid,
    Set,
    FrozenSet,
    Bytes,
    ByteArray,
    List,
    Tuple,
    Dict,
    Bool,
    Int,
    Float,
    Str,
    Object,
    /// `_codecs.encode`: bytes before protocol 3.
    Encode,
    /// `copyreg._reconstructor`: objects before protocol 2.
    Reconstructor,
    /// `getattr`: methods, of instances and of classes.
    GetAttr,
    // What makes zones (`zones.rs`).
    ZoneInfo,
    ZoneInfoUnpickle,
    PytzUtc,
    PytzFixedOffset,
    PytzZone,
    DateutilUtc,
    DateutilOffset,
    DateutilFile,
    DateutilUnpickle,
}

const GLOBALS: [(&str, &str, Global); 31] = [
    ("datetime", "datetime", Global::DateTime),
    ("datetime", "date", Global::Date),
    ("datetime", "time", Global::Time),
    ("datetime", "timedelta", Global::TimeDelta),
    ("datetime", "timezone", Global::TimeZone),
    ("decimal", "Decimal", Global::Decimal),
    ("uuid", "UUID", Global::Uuid),
    ("builtins", "set", Global::Set),
    ("builtins", "frozenset", Global::FrozenSet),
    ("builtins", "bytes", Global::Bytes),
    ("builtins", "bytearray", Global::ByteArray),
    ("builtins", "list", Global::List),
    ("builtins", "tuple", Global::Tuple),
    ("builtins", "dict", Global::Dict),
    ("builtins", "bool", Global::Bool),
    ("builtins", "int", Global::Int),
    ("builtins", "float", Global::Float),
    ("builtins", "str", Global::Str),
    ("builtins", "object", Global::Object),
    ("_codecs", "encode", Global::Encode),
    ("copyreg", "_reconstructor", Global::Reconstructor),
    ("builtins", "getattr", Global::GetAttr),
    ("zoneinfo", "ZoneInfo", Global::ZoneInfo),
    ("zoneinfo", "ZoneInfo._unpickle", Global::ZoneInfoUnpickle),
    ("pytz", "_UTC", Global::PytzUtc),
    ("pytz", "FixedOffset", Global::PytzFixedOffset),
    ("pytz", "_p", Global::PytzZone),
    ("dateutil.tz.tz", "tzutc", Global::DateutilUtc),
    ("dateutil.tz.tz", "tzoffset", Global::DateutilOffset),
    ("dateutil.tz.tz", "tzfile", Global::DateutilFile),
    ("dateutil.tz._tzfile", "_unpickle", Global::DateutilUnpickle),
];

impl Global {
    /// Protocols 0 to 2 use the names of Python 2.
    pub(super) fn named(module: &str, name: &str) -> Option<Global> {
        let module = match module {
            "__builtin__" => "builtins",
            "copy_reg" => "copyreg",
            other => other,
        };
        let found =
            GLOBALS.iter().find(|(its_module, its_name, _)| (*its_module, *its_name) == (module, name));
        found.map(|&(_, _, global)| global)
    }

    pub(super) fn names(self) -> (&'static str, &'static str) {
        match GLOBALS.iter().find(|(_, _, global)| *global == self) {
            Some(&(module, name, _)) => (module, name),
            None => unreachable!("the table has every global"),
        }
    }
}

impl<'a> Machine<'a> {
    /// What Python would get from calling it.
    pub(super) fn call(&self, global: Global, args: &[Item<'a>]) -> Result<Made<'a>, CodecError> {
        let made = match (global, args) {
            (Global::DateTime, &[state]) => self.date_time(state, |_, _| None),
            (Global::DateTime, &[state, zone]) => return self.zoned(state, zone),
            (Global::Date, &[state]) => self.state(state).and_then(date).map(Value::Date).map(leaf),
            (Global::Time, &[state]) => self.state(state).and_then(time).map(Value::Time).map(leaf),
            // Our `Time` has no zone, so such a one stays a name: refused with it, if the payload holds it.
            (Global::Time, &[_, _]) => opaque("datetime", "time with a time zone"),
            (Global::TimeDelta, &[days, seconds, microseconds]) => {
                return self.time_delta([days, seconds, microseconds]);
            }
            (Global::TimeZone, &[delta] | &[delta, _]) => self.time_zone(delta),
            (Global::Decimal, &[digits]) => self.decimal(digits),
            (Global::Set, args) => self.elements(args)?.map(Node::Set).map(Made::Node),
            (Global::FrozenSet, args) => self.elements(args)?.map(Node::FrozenSet).map(Made::Node),
            (Global::List, args) => self.elements(args)?.map(Node::List).map(Made::Node),
            (Global::Tuple, args) => self.elements(args)?.map(Node::Tuple).map(Made::Node),
            (Global::Dict, &[]) => Some(Made::Node(Node::Dict(Vec::new()))),
            (Global::Bytes | Global::ByteArray, &[]) => Some(Made::Item(Item::Bytes(b""))),
            (Global::Bytes | Global::ByteArray, &[bytes]) => self.as_bytes(bytes).map(|_| Made::Item(bytes)),
            (Global::Bytes | Global::ByteArray | Global::Encode, &[text, encoding]) => {
                self.latin1(text, encoding)
            }
            (Global::Bool | Global::Int | Global::Float | Global::Str, &[item]) => self.same(global, item),
            (Global::Reconstructor, &[class, _, _]) => self.reconstruct(class),
            (Global::GetAttr, &[object, name]) => Some(self.attribute(object, name)),
            (zone, args) => self.zone(zone, args),
        };
        made.map_or_else(|| self.cannot(global), Ok)
    }

    fn cannot<T>(&self, global: Global) -> Result<T, CodecError> {
        let (module, name) = global.names();
        self.refuse(format!("`{module}.{name}` with arguments it does not take"))
    }

    fn as_bytes(&self, item: Item<'a>) -> Option<&[u8]> {
        match (item, self.node(item)) {
            (Item::Bytes(bytes), _) => Some(bytes),
            (_, Some(Node::Leaf(value))) => match &**value {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn as_text(&self, item: Item<'a>) -> Option<&str> {
        match (item, self.node(item)) {
            (Item::Str(text), _) => Some(text),
            (_, Some(Node::Leaf(value))) => match &**value {
                Value::Str(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn as_int(&self, item: Item<'a>) -> Option<BigInt> {
        match (item, self.node(item)) {
            (Item::Int(value), _) => Some(value.into()),
            (_, Some(Node::Leaf(value))) => match &**value {
                Value::BigInt(value) => Some(value.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The packed bytes of a date or time; text of Python 2 stands for them in Latin-1.
    fn state<const N: usize>(&self, item: Item<'a>) -> Option<[u8; N]> {
        if let Some(bytes) = self.as_bytes(item) {
            return bytes.try_into().ok();
        }
        // No more than two bytes of UTF-8 a character.
        // The bound comes before the copy: the text may be as long as the payload.
        let text = self.as_text(item).filter(|text| text.len() <= 2 * N)?;
        let bytes: Vec<u8> = text.chars().map_while(|character| u8::try_from(character).ok()).collect();
        (bytes.len() == text.chars().count()).then_some(bytes)?.try_into().ok()
    }

    /// A clock reading, and its offset by that and its fold: whether it is the second of two like it.
    fn date_time(
        &self,
        state: Item<'a>,
        offset: impl FnOnce(civil::DateTime, bool) -> Option<Offset>,
    ) -> Option<Made<'a>> {
        let [y1, y2, month, day, time_of_day @ ..] = self.state::<10>(state)?;
        // The month carries the fold.
        let civil = civil::DateTime::from_parts(date([y1, y2, month & 0x7f, day])?, time(time_of_day)?);
        Some(leaf(Value::DateTime { civil, offset: offset(civil, month & 0x80 != 0) }))
    }

    /// With a zone unknown to us it is as opaque as that.
    fn zoned(&self, state: Item<'a>, zone: Item<'a>) -> Result<Made<'a>, CodecError> {
        let made = match (zone, self.node(zone)) {
            (Item::None, _) => self.date_time(state, |_, _| None),
            (_, Some(Node::Zone(zone))) => {
                self.date_time(state, |civil, is_second| Some(zone.offset(civil, is_second)))
            }
            (_, Some(Node::Opaque { .. })) => Some(Made::Item(zone)),
            _ => None,
        };
        made.map_or_else(|| self.cannot(Global::DateTime), Ok)
    }

    /// `getattr(object, name)`: code, and known by the class that it belongs to.
    fn attribute(&self, object: Item<'a>, name: Item<'a>) -> Made<'a> {
        match (object, self.node(object)) {
            (Item::Global(Global::ZoneInfo), _) if self.as_text(name) == Some("_unpickle") => {
                Made::Item(Item::Global(Global::ZoneInfoUnpickle))
            }
            (Item::Global(_), _) | (_, Some(Node::Opaque { .. })) => Made::Item(object),
            _ => Made::Item(Item::Global(Global::GetAttr)),
        }
    }

    fn time_delta(&self, parts: [Item<'a>; 3]) -> Result<Made<'a>, CodecError> {
        let [Item::Int(days), Item::Int(seconds), Item::Int(microseconds)] = parts else {
            return self.cannot(Global::TimeDelta);
        };
        // In 128 bits no sum of three 64-bit numbers overflows; the limit is Python's, and looked at behind it.
        let seconds = i128::from(days) * SECONDS_PER_DAY + i128::from(seconds);
        let microseconds = seconds * MICROSECONDS_PER_SECOND + i128::from(microseconds);
        check_delta(microseconds)?;
        Ok(leaf(Value::TimeDelta(microseconds)))
    }

    /// The name of a zone is dropped.
    pub(super) fn time_zone(&self, delta: Item<'a>) -> Option<Made<'a>> {
        let Some(Node::Leaf(value)) = self.node(delta) else {
            return None;
        };
        let Value::TimeDelta(microseconds) = **value else {
            return None;
        };
        // Python allows such offsets since 3.7. Ours count whole seconds, and rounding would shift the time.
        if microseconds % MICROSECONDS_PER_SECOND != 0 {
            return opaque("datetime", "timezone with a fraction of a second");
        }
        let seconds = microseconds / MICROSECONDS_PER_SECOND;
        let is_less_than_a_day = seconds.abs() < SECONDS_PER_DAY;
        let offset = is_less_than_a_day.then(|| Offset::from_seconds(seconds as i32).ok());
        Some(Made::Node(Node::Zone(Zone::Fixed(offset??))))
    }

    fn decimal(&self, digits: Item<'a>) -> Option<Made<'a>> {
        let digits = self.as_text(digits).filter(|digits| is_decimal(digits))?;
        Some(leaf(Value::Decimal(digits.to_owned())))
    }

    /// What `list(..)` and its like take: nothing, or one list or tuple, which is copied.
    fn elements(&self, args: &[Item<'a>]) -> Result<Option<Vec<Item<'a>>>, CodecError> {
        let items = match *args {
            [] => return Ok(Some(Vec::new())),
            [items] => self.node(items),
            _ => None,
        };
        let (Some(Node::List(items)) | Some(Node::Tuple(items))) = items else {
            return Ok(None);
        };
        // Before the copy is made: `list(x)` is a few bytes of pickle, however long x is.
        self.check_room(items.len())?;
        Ok(Some(items.clone()))
    }

    fn latin1(&self, text: Item<'a>, encoding: Item<'a>) -> Option<Made<'a>> {
        // The one encoding in which Python's protocols 0 to 2 write bytes (docs/wire.md §4.3).
        if !matches!(self.as_text(encoding)?, "latin1" | "latin-1") {
            return None;
        }
        let text = self.as_text(text)?;
        let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(character).ok()).collect();
        Some(leaf(Value::Bytes(bytes?)))
    }

    /// `int(5)` and its like.
    fn same(&self, global: Global, item: Item<'a>) -> Option<Made<'a>> {
        let is_same = match global {
            Global::Bool => matches!(item, Item::Bool(_)),
            Global::Int => matches!(item, Item::Int(_)),
            Global::Float => matches!(item, Item::Float(_)),
            Global::Str => matches!(item, Item::Str(_)),
            _ => false,
        };
        is_same.then_some(Made::Item(item))
    }

    /// Any class but UUID is as good as unknown here: the types above are never pickled so.
    fn reconstruct(&self, class: Item<'a>) -> Option<Made<'a>> {
        match (class, self.node(class)) {
            (Item::Global(Global::Uuid), _) => Some(Made::Node(Node::Uuid(None))),
            (_, Some(Node::Opaque { .. })) => Some(Made::Item(class)),
            _ => None,
        }
    }

    /// The number in a UUID's state `{'int': n}`. Whether it was made safely, the other entry, is not kept.
    pub(super) fn uuid(&self, state: &[[Item<'a>; 2]]) -> Result<Uuid, CodecError> {
        let is_int = |[key, _]: &&[Item<'a>; 2]| self.as_text(*key) == Some("int");
        // A dict of a million entries is no UUID's, and not searched.
        let entry = state.iter().take(MAX_UUID_STATE).find(is_int);
        let number = entry.and_then(|[_, number]| u128::try_from(self.as_int(*number)?).ok());
        number.map_or_else(|| self.cannot(Global::Uuid), |number| Ok(Uuid::from_u128(number)))
    }
}

fn leaf<'a>(value: Value) -> Made<'a> {
    Made::Node(Node::Leaf(Box::new(value)))
}

pub(super) fn opaque<'a>(module: &'static str, name: &'static str) -> Option<Made<'a>> {
    Some(Made::Node(Node::Opaque { module, name }))
}

fn date([y1, y2, month, day]: [u8; 4]) -> Option<civil::Date> {
    // Python's years begin with 1; our calendar has a year 0.
    let year = i16::try_from(u16::from_be_bytes([y1, y2])).ok().filter(|year| *year > 0)?;
    civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The hour carries the fold.
fn time([hour, minute, second, us1, us2, us3]: [u8; 6]) -> Option<civil::Time> {
    let microsecond = u32::from_be_bytes([0, us1, us2, us3]) as i32;
    let nanosecond = microsecond.checked_mul(1000)?;
    civil::Time::new((hour & 0x7f) as i8, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, nanosecond)
        .ok()
}

fn check_delta(microseconds: i128) -> Result<(), CodecError> {
    let days = microseconds.div_euclid(MICROSECONDS_PER_DAY);
    if days.abs() > MAX_DAYS {
        let reason = "at most 999,999,999 days";
        return Err(CodecError::Range { class: "datetime.timedelta", reason });
    }
    Ok(())
}

/// What Python's `str(Decimal)` can be: digits with one point and an exponent, an infinity, or one kind of NaN.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // First of all, as every test below walks through the text.
    if text.len() > MAX_DECIMAL_CHARS {
        return false;
    }
    if let Some(payload) = unsigned.strip_prefix("NaN").or_else(|| unsigned.strip_prefix("sNaN")) {
        return is_digits(payload);
    }
    let (number, exponent) = unsigned.split_once(['E', 'e']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let lacks_digits = exponent.is_empty() || (whole.is_empty() && fraction.is_empty());
    unsigned == "Infinity" || (!lacks_digits && [whole, fraction, exponent].into_iter().all(is_digits))
}

/// Writes a date, a time, a decimal or a UUID.
pub(super) fn write(writer: &mut Writer, value: &Value) -> Result<(), CodecError> {
    match value {
        Value::DateTime { civil, offset } => write_date_time(writer, *civil, *offset),
        Value::Date(date) => {
            writer.global(Global::Date);
            writer.bytes(&pack_date(*date)?);
            writer.reduce(op::TUPLE1);
            Ok(())
        }
        Value::Time(time) => {
            writer.global(Global::Time);
            writer.bytes(&pack_time(*time));
            writer.reduce(op::TUPLE1);
            Ok(())
        }
        Value::TimeDelta(microseconds) => write_time_delta(writer, *microseconds),
        Value::Decimal(digits) => write_decimal(writer, digits),
        Value::Uuid(uuid) => {
            write_uuid(writer, *uuid);
            Ok(())
        }
        other => unreachable!("a {} is none of the standard library's", other.type_name()),
    }
}

impl Writer {
    fn global(&mut self, global: Global) {
        let (module, name) = global.names();
        self.text(module.as_bytes());
        self.text(name.as_bytes());
        self.out.push(op::STACK_GLOBAL);
    }

    /// Calls what was named before, with a tuple of what was written since.
    fn reduce(&mut self, tuple: u8) {
        self.out.extend([tuple, op::REDUCE]);
    }
}

fn write_date_time(
    writer: &mut Writer,
    civil: civil::DateTime,
    offset: Option<Offset>,
) -> Result<(), CodecError> {
    writer.global(Global::DateTime);
    writer.bytes(&[&pack_date(civil.date())?[..], &pack_time(civil.time())].concat());
    let Some(offset) = offset else {
        writer.reduce(op::TUPLE1);
        return Ok(());
    };
    let seconds = i128::from(offset.seconds());
    // `timezone` raises at a day or more, so such a payload could not be read by any Python.
    if seconds.abs() >= SECONDS_PER_DAY {
        return Err(CodecError::Range { class: "datetime.timezone", reason: "less than a day from UTC" });
    }
    writer.global(Global::TimeZone);
    write_time_delta(writer, seconds * MICROSECONDS_PER_SECOND)?;
    writer.reduce(op::TUPLE1);
    writer.reduce(op::TUPLE2);
    Ok(())
}

fn pack_date(date: civil::Date) -> Result<[u8; 4], CodecError> {
    match u16::try_from(date.year()) {
        Ok(year @ 1..) => {
            let [y1, y2] = year.to_be_bytes();
            Ok([y1, y2, date.month() as u8, date.day() as u8])
        }
        _ => Err(CodecError::Range { class: "datetime.date", reason: "the years 1 to 9999" }),
    }
}

/// Python keeps microseconds; what is finer is cut.
fn pack_time(time: civil::Time) -> [u8; 6] {
    let [_, us1, us2, us3] = (time.subsec_nanosecond() / 1000).to_be_bytes();
    [time.hour() as u8, time.minute() as u8, time.second() as u8, us1, us2, us3]
}

fn write_time_delta(writer: &mut Writer, microseconds: i128) -> Result<(), CodecError> {
    check_delta(microseconds)?;
    let seconds = microseconds.div_euclid(MICROSECONDS_PER_SECOND);
    // As Python normalises it: days of either sign, seconds and microseconds that are never negative.
    writer.global(Global::TimeDelta);
    writer.int(seconds.div_euclid(SECONDS_PER_DAY) as i64);
    writer.int(seconds.rem_euclid(SECONDS_PER_DAY) as i64);
    writer.int(microseconds.rem_euclid(MICROSECONDS_PER_SECOND) as i64);
    writer.reduce(op::TUPLE3);
    Ok(())
}

fn write_decimal(writer: &mut Writer, digits: &str) -> Result<(), CodecError> {
    if !is_decimal(digits) {
        return Err(CodecError::Range {
            class: "decimal.Decimal",
            reason: "digits, a point and an exponent",
        });
    }
    writer.global(Global::Decimal);
    writer.text(digits.as_bytes());
    writer.reduce(op::TUPLE1);
    Ok(())
}

fn write_uuid(writer: &mut Writer, uuid: Uuid) {
    writer.global(Global::Uuid);
    // Python's `UUID.__init__` is not called: pickle makes it empty and sets its state (docs/wire.md §4.3).
    writer.out.extend([op::EMPTY_TUPLE, op::NEWOBJ, op::EMPTY_DICT]);
    writer.text(b"int");
    writer.long(&BigInt::from(uuid.as_u128()).to_signed_bytes_le());
    writer.out.extend([op::SETITEM, op::BUILD]);
}
