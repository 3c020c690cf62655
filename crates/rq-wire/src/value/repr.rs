//! A [`Value`] as Python's `repr()` prints it.
//!
//! Job descriptions hold such text (docs/wire.md §4.5), and a person may compare ours with Python's.

use std::fmt::{self, Write};

use jiff::{civil, tz::Offset};

use super::{MAX_DEPTH, MICROSECONDS_PER_SECOND, Value, wtf8};

const SECONDS_PER_DAY: i128 = 86_400;

impl Value {
    /// What Python's `repr()` prints for this value: `{'a': (1,), 'b': datetime.date(2024, 1, 2)}`.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        // A String takes whatever is written.
        let _ = write_value(&mut out, self, 0);
        out
    }

    /// The same, cut after `max_chars` characters and closed with `...` where it is longer.
    pub fn repr_cut(&self, max_chars: usize) -> String {
        let mut out = Cut { text: String::new(), left: max_chars };
        match write_value(&mut out, self, 0) {
            Ok(()) => out.text,
            // The one error that `Cut` has is that it is full.
            Err(fmt::Error) => out.text + "...",
        }
    }
}

/// Takes so many characters and then refuses, so that the repr of a large value is never built whole.
struct Cut {
    text: String,
    left: usize,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.char_indices().nth(self.left) {
            None => {
                self.left -= text.chars().count();
                self.text.push_str(text);
                Ok(())
            }
            Some((end, _)) => {
                self.left = 0;
                self.text.push_str(&text[..end]);
                Err(fmt::Error)
            }
        }
    }
}

fn write_value<W: Write>(out: &mut W, value: &Value, depth: usize) -> fmt::Result {
    // A value built by hand may be deeper than any codec allows; it is only printed here, so it is cut.
    if depth > MAX_DEPTH {
        return out.write_str("...");
    }
    match value {
        Value::Null => out.write_str("None"),
        Value::Bool(true) => out.write_str("True"),
        Value::Bool(false) => out.write_str("False"),
        Value::Int(int) => write!(out, "{int}"),
        Value::BigInt(int) => write!(out, "{int}"),
        Value::Float(float) => write_float(out, *float, ["nan", "inf", "-inf"]),
        Value::Str(text) => write_text(out, text.chars().map(u32::from)),
        Value::Surrogates(bytes) => write_text(out, wtf8::code_points(bytes)),
        Value::Bytes(bytes) => write_bytes(out, bytes),
        Value::List(items) => write_items(out, "[", items, "]", depth),
        Value::Tuple(items) if items.len() == 1 => write_items(out, "(", items, ",)", depth),
        Value::Tuple(items) => write_items(out, "(", items, ")", depth),
        // `{}` is an empty dict in Python.
        Value::Set(items) if items.is_empty() => out.write_str("set()"),
        Value::Set(items) => write_items(out, "{", items, "}", depth),
        Value::FrozenSet(items) if items.is_empty() => out.write_str("frozenset()"),
        Value::FrozenSet(items) => write_items(out, "frozenset({", items, "})", depth),
        Value::Dict(entries) => write_entries(out, entries, depth),
        Value::DateTime { civil, offset } => write_datetime(out, *civil, *offset),
        Value::Date(date) => write!(out, "datetime.date({}, {}, {})", date.year(), date.month(), date.day()),
        Value::Time(time) => {
            write!(out, "datetime.time({}, {}", time.hour(), time.minute())?;
            write_seconds(out, *time)?;
            out.write_char(')')
        }
        Value::TimeDelta(microseconds) => write_timedelta(out, *microseconds),
        Value::Decimal(text) => write!(out, "Decimal('{text}')"),
        Value::Uuid(uuid) => write!(out, "UUID('{uuid}')"),
    }
}

fn write_items<W: Write>(out: &mut W, open: &str, items: &[Value], close: &str, depth: usize) -> fmt::Result {
    out.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write_value(out, item, depth + 1)?;
    }
    out.write_str(close)
}

fn write_entries<W: Write>(out: &mut W, entries: &[(Value, Value)], depth: usize) -> fmt::Result {
    out.write_char('{')?;
    for (index, (key, value)) in entries.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write_value(out, key, depth + 1)?;
        out.write_str(": ")?;
        write_value(out, value, depth + 1)?;
    }
    out.write_char('}')
}

/// A float as Python prints it: with the fewest digits that read back as the same float, and an exponent for what
/// is below 1e-4 or at least 1e16.
pub(crate) fn write_float<W: Write>(
    out: &mut W,
    float: f64,
    [nan, inf, minus_inf]: [&str; 3],
) -> fmt::Result {
    if float.is_nan() {
        return out.write_str(nan);
    }
    if float.is_infinite() {
        return out.write_str(if float > 0.0 { inf } else { minus_inf });
    }
    let scientific = shortest(float);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..=15) => write_positional(out, digits, exponent),
        _ => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            write!(out, "{digits}e{sign}{exponent:0>2}")
        }
    }
}

/// From so many digits on, two numbers with the fewest digits can be equally near to a float.
const MANY_DIGITS: usize = 16;

/// The fewest digits, as `-1.25e-7`. Of two that are equally near, Rust takes the upper one and Python the even one,
/// which is also what Rust rounds to when the number of digits is given.
fn shortest(float: f64) -> String {
    let shortest = format!("{float:e}");
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    if digits < MANY_DIGITS {
        return shortest;
    }
    let even = format!("{float:.*e}", digits - 1);
    if even.parse() == Ok(float) { even } else { shortest }
}

/// `-1.25` and an exponent, without the exponent.
fn write_positional<W: Write>(out: &mut W, digits: &str, exponent: i32) -> fmt::Result {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let digits = digits.replace('.', "");
    match usize::try_from(exponent) {
        Err(_) => write!(out, "{sign}0.{:0>1$}{digits}", "", exponent.unsigned_abs() as usize - 1),
        Ok(exponent) if digits.len() <= exponent + 1 => write!(out, "{sign}{digits:0<0$}.0", exponent + 1),
        Ok(exponent) => write!(out, "{sign}{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
    }
}

fn write_text<W: Write>(out: &mut W, code_points: impl Iterator<Item = u32> + Clone) -> fmt::Result {
    let has = |quote: char| code_points.clone().any(|code_point| code_point == u32::from(quote));
    // As Python chooses it: double quotes only where they spare an escape.
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for code_point in code_points {
        match char::from_u32(code_point) {
            Some('\n') => out.write_str("\\n")?,
            Some('\r') => out.write_str("\\r")?,
            Some('\t') => out.write_str("\\t")?,
            Some(character) if character == quote || character == '\\' => write!(out, "\\{character}")?,
            Some(character) if is_printable(character) => out.write_char(character)?,
            _ if code_point <= 0xff => write!(out, "\\x{code_point:02x}")?,
            _ if code_point <= 0xffff => write!(out, "\\u{code_point:04x}")?,
            _ => write!(out, "\\U{code_point:08x}")?,
        }
    }
    out.write_char(quote)
}

/// Whether Python prints the character as it is.
///
/// The standard library keeps the same table for its own escapes (all characters but those of the categories C and
/// Z, plus the space), yet offers it only through them; the letter in front keeps combining marks from being
/// escaped for another reason.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    // One for the letter, four for the longest character.
    let mut buffer = [b'a'; 5];
    let len = character.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..=len]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(character)
}

fn write_bytes<W: Write>(out: &mut W, bytes: &[u8]) -> fmt::Result {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    write!(out, "b{quote}")?;
    for &byte in bytes {
        match byte {
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            _ if char::from(byte) == quote || byte == b'\\' => write!(out, "\\{}", char::from(byte))?,
            b' '..=b'~' => out.write_char(byte.into())?,
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    out.write_char(quote)
}

fn write_datetime<W: Write>(out: &mut W, civil: civil::DateTime, offset: Option<Offset>) -> fmt::Result {
    let (year, month, day) = (civil.year(), civil.month(), civil.day());
    write!(out, "datetime.datetime({year}, {month}, {day}, {}, {}", civil.hour(), civil.minute())?;
    write_seconds(out, civil.time())?;
    match offset.map(Offset::seconds) {
        None => {}
        // Python has a name for UTC alone; other offsets show how they were made.
        Some(0) => out.write_str(", tzinfo=datetime.timezone.utc")?,
        Some(seconds) => {
            out.write_str(", tzinfo=datetime.timezone(")?;
            write_timedelta(out, i128::from(seconds) * MICROSECONDS_PER_SECOND)?;
            out.write_char(')')?;
        }
    }
    out.write_char(')')
}

/// Seconds and microseconds, as far as they are not zero.
fn write_seconds<W: Write>(out: &mut W, time: civil::Time) -> fmt::Result {
    let microseconds = time.subsec_nanosecond() / 1000;
    if time.second() != 0 || microseconds != 0 {
        write!(out, ", {}", time.second())?;
    }
    if microseconds != 0 { write!(out, ", {microseconds}") } else { Ok(()) }
}

/// Python keeps days of either sign, and seconds and microseconds that are never negative.
fn write_timedelta<W: Write>(out: &mut W, microseconds: i128) -> fmt::Result {
    let seconds = microseconds.div_euclid(MICROSECONDS_PER_SECOND);
    let parts = [
        ("days", seconds.div_euclid(SECONDS_PER_DAY)),
        ("seconds", seconds.rem_euclid(SECONDS_PER_DAY)),
        ("microseconds", microseconds.rem_euclid(MICROSECONDS_PER_SECOND)),
    ];
    out.write_str("datetime.timedelta(")?;
    let mut separator = "";
    for (name, part) in parts.into_iter().filter(|(_, part)| *part != 0) {
        write!(out, "{separator}{name}={part}")?;
        separator = ", ";
    }
    out.write_str(if separator.is_empty() { "0)" } else { ")" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: impl Into<Value>, repr: &str) {
        assert_eq!(value.into().repr(), repr);
    }

    #[test]
    fn floats() {
        for (float, repr) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            // Halfway between two numbers of 17 digits.
            (-473_475_764_232_133.0 / 16.0, "-29592235264508.312"),
            (0.000_123_456_789_012_345_67, "0.00012345678901234567"),
            (0.123_456_789_012_345_66, "0.12345678901234566"),
            (123_456.0, "123456.0"),
            (1_234_567_890_123_456.0, "1234567890123456.0"),
            (123_456_789_012_345.67, "123456789012345.67"),
            (1e16, "1e+16"),
            (1.25e100, "1.25e+100"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            check(float, repr);
        }
    }

    #[test]
    fn text_and_bytes() {
        check("it's", r#""it's""#);
        check(r#"it's "it""#, r#"'it\'s "it"'"#);
        check("a\n\r\t\0\x7f\\", r"'a\n\r\t\x00\x7f\\'");
        check("h\u{e9}llo \u{2603} \u{1f600} e\u{301}", "'h\u{e9}llo \u{2603} \u{1f600} e\u{301}'");
        check("\u{a0}\u{ad}\u{200b}\u{2028}\u{e000}\u{e0001}", r"'\xa0\xad\u200b\u2028\ue000\U000e0001'");
        check(Value::Surrogates(b"a\xed\xb2\x80".to_vec()), r"'a\udc80'");
        check(Value::Bytes(b"\x00'\xff\\\n".to_vec()), r#"b"\x00'\xff\\\n""#);
    }

    #[test]
    fn containers() {
        let ints = |n| (1..=n).map(Value::Int).collect::<Vec<_>>();
        check(Value::List(ints(2)), "[1, 2]");
        check(Value::Tuple(ints(0)), "()");
        check(Value::Tuple(ints(1)), "(1,)");
        check(Value::Tuple(ints(2)), "(1, 2)");
        check(Value::Set(ints(0)), "set()");
        check(Value::Set(ints(2)), "{1, 2}");
        check(Value::FrozenSet(ints(0)), "frozenset()");
        check(Value::FrozenSet(ints(1)), "frozenset({1})");
        check(Value::Dict(vec![("a".into(), Value::Null), (1.into(), true.into())]), "{'a': None, 1: True}");
    }

    #[test]
    fn times() {
        let at = |second, nanosecond| civil::date(2024, 1, 2).at(3, 4, second, nanosecond);
        let naive = |second, nanosecond| Value::DateTime { civil: at(second, nanosecond), offset: None };
        check(naive(0, 0), "datetime.datetime(2024, 1, 2, 3, 4)");
        check(naive(5, 0), "datetime.datetime(2024, 1, 2, 3, 4, 5)");
        check(naive(0, 1000), "datetime.datetime(2024, 1, 2, 3, 4, 0, 1)");
        let aware = |seconds| {
            let offset = Offset::from_seconds(seconds).expect("a legal offset");
            Value::DateTime { civil: at(0, 0), offset: Some(offset) }
        };
        check(aware(0), "datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)");
        let west = "datetime.timezone(datetime.timedelta(days=-1, seconds=68400))";
        check(aware(-5 * 3600), &format!("datetime.datetime(2024, 1, 2, 3, 4, tzinfo={west})"));
        check(Value::Date(at(0, 0).date()), "datetime.date(2024, 1, 2)");
        check(Value::Time(at(0, 6000).time()), "datetime.time(3, 4, 0, 6)");
        check(Value::TimeDelta(0), "datetime.timedelta(0)");
        check(Value::TimeDelta(-1), "datetime.timedelta(days=-1, seconds=86399, microseconds=999999)");
    }

    #[test]
    fn a_cut_repr_counts_characters() {
        let value = Value::from("\u{2603}".repeat(100));
        assert_eq!(value.repr_cut(4), "'\u{2603}\u{2603}\u{2603}...");
        assert_eq!(Value::from("ab").repr_cut(4), "'ab'");
        assert_eq!(Value::from("ab").repr_cut(3), "'ab...");
    }

    #[test]
    fn a_value_nested_without_end_is_cut() {
        let nested = (0..MAX_DEPTH + 10).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        assert!(nested.repr().contains("[...]"));
    }
}
