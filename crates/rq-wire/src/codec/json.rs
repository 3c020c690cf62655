//! Python's dialect of JSON.
//!
//! Not `serde_json`, which can neither read nor write what Python's `json` module does by default: `NaN` and
//! `Infinity`, integers of any size without turning them into floats, and `"\ud800"`, half of a surrogate pair.
//! Its text also differs: Python puts a space behind `,` and `:`, escapes all but ASCII, and prints floats otherwise.
//!
//! JSON has fewer types than [`Value`]. The others are written as
//!
//! | `Value` | JSON |
//! |---|---|
//! | `Tuple`, `Set`, `FrozenSet` | array |
//! | `Bytes` | text, base64 |
//! | `DateTime`, `Date`, `Time` | text, RFC 3339: `2024-01-02T03:04:05+00:00`; a naive one without offset |
//! | `TimeDelta` | number of seconds |
//! | `Decimal`, `Uuid` | text |
//! | `Dict` keys `Int`, `BigInt`, `Float`, `Bool`, `Null` | text, as `json.dumps` has it: `"1"`, `"true"`, `"null"` |
//! | other `Dict` keys than these and text | refused |
//!
//! and read back as what is in the right column. [`Value::deserialize_into`] turns text into bytes and times where
//! a handler asks for them.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use num_bigint::BigInt;

use super::{
    dict::drop_repeated_keys,
    limits::{Budget, MAX_INT_BYTES, MAX_INT_DIGITS, integer},
};
use crate::{
    error::CodecError,
    payload::Payload,
    value::{Value, seconds, write_float, wtf8},
};

const FLOAT_WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A value as `json.dumps` would write it. Its limits are checked before.
pub(super) fn encode(value: &Value) -> Result<Vec<u8>, CodecError> {
    let mut out = String::new();
    write_value(&mut out, value)?;
    Ok(out.into_bytes())
}

/// A call: `["tasks.add", null, [1, 2], {}]`.
pub(super) fn encode_payload(payload: &Payload) -> Result<Vec<u8>, CodecError> {
    let mut out = String::from("[");
    write_text(&mut out, &payload.func);
    out.push_str(", null, ");
    write_items(&mut out, &payload.args)?;
    out.push_str(", {");
    for (index, (name, value)) in payload.kwargs.iter().enumerate() {
        // Python's separators. Any JSON would do for its reader; so the same call has the same bytes from both.
        out.push_str(if index == 0 { "" } else { ", " });
        write_text(&mut out, name);
        out.push_str(": ");
        write_value(&mut out, value)?;
    }
    out.push_str("}]");
    Ok(out.into_bytes())
}

/// One value in UTF-8, with nothing but white space around it.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, CodecError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| CodecError::Json { offset: error.valid_up_to(), reason: "not UTF-8" })?;
    // UTF-8 is checked once for the whole. The reader then moves by ASCII and by whole runs alone, so that no slice
    // of it can panic.
    let mut reader = Reader { text, at: 0, budget: Budget::new() };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => reader.refuse("more than one value"),
    }
}

fn write_value(out: &mut String, value: &Value) -> Result<(), CodecError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(value) => write_display(out, value),
        Value::BigInt(value) => write_display(out, value),
        Value::Float(value) => write_number(out, *value),
        Value::Str(text) => write_text(out, text),
        Value::Surrogates(bytes) => write_surrogates(out, bytes),
        Value::Bytes(bytes) => {
            out.push('"');
            // Base64 needs no escaping: no character of it means anything in JSON.
            BASE64_STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            write_items(out, items)?;
        }
        Value::Dict(entries) => write_entries(out, entries)?,
        Value::TimeDelta(microseconds) => write_number(out, seconds(*microseconds)),
        Value::DateTime { .. } | Value::Date(_) | Value::Time(_) | Value::Decimal(_) | Value::Uuid(_) => {
            write_text(out, &value.text().unwrap_or_default());
        }
    }
    Ok(())
}

fn write_items(out: &mut String, items: &[Value]) -> Result<(), CodecError> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_value(out, item)?;
    }
    out.push(']');
    Ok(())
}

fn write_entries(out: &mut String, entries: &[(Value, Value)]) -> Result<(), CodecError> {
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_key(out, key)?;
        out.push_str(": ");
        write_value(out, value)?;
    }
    out.push('}');
    Ok(())
}

fn write_key(out: &mut String, key: &Value) -> Result<(), CodecError> {
    match key {
        Value::Str(_) | Value::Surrogates(_) => write_value(out, key),
        // `json.dumps` makes text of these keys, too, and refuses all others.
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            out.push('"');
            write_value(out, key)?;
            out.push('"');
            Ok(())
        }
        other => Err(CodecError::Key { class: other.type_name() }),
    }
}

fn write_display(out: &mut String, value: impl std::fmt::Display) {
    // A String takes whatever is written.
    let _ = write!(out, "{value}");
}

fn write_number(out: &mut String, value: f64) {
    let _ = write_float(out, value, FLOAT_WORDS);
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // In runs: most text has nothing to escape and is copied at once.
    while let Some(plain) = rest.find(|character| !is_plain(character)) {
        out.push_str(&rest[..plain]);
        let escaped = rest[plain..].chars().next().unwrap_or_default();
        write_escape(out, escaped.into());
        rest = &rest[plain + escaped.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

fn write_surrogates(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for code_point in wtf8::code_points(bytes) {
        match char::from_u32(code_point) {
            Some(character) if is_plain(character) => out.push(character),
            _ => write_escape(out, code_point),
        }
    }
    out.push('"');
}

/// What `json.dumps` does not escape.
const fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') && character != '"' && character != '\\'
}

fn write_escape(out: &mut String, code_point: u32) {
    let short = match char::from_u32(code_point) {
        Some('"') => "\\\"",
        Some('\\') => "\\\\",
        Some('\n') => "\\n",
        Some('\r') => "\\r",
        Some('\t') => "\\t",
        Some('\u{8}') => "\\b",
        Some('\u{c}') => "\\f",
        Some(character) => {
            // Beyond U+FFFF Python writes the two halves of a pair, each as an escape.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write_display(out, format_args!("\\u{unit:04x}"));
            }
            return;
        }
        None => return write_display(out, format_args!("\\u{code_point:04x}")),
    };
    out.push_str(short);
}

/// Reads from the text, at a place that is always between two characters.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, CodecError> {
        // Before anything is read: this bounds the recursion, and with it the stack.
        self.budget.spend(depth)?;
        let Some(byte) = self.peek() else {
            return Err(CodecError::Truncated);
        };
        match byte {
            b'"' => self.string(),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'N' => self.word("NaN", Value::Float(f64::NAN)),
            b'I' => self.word("Infinity", Value::Float(f64::INFINITY)),
            _ => self.refuse("a value was expected"),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, CodecError> {
        self.at += 1;
        if self.take_if(b']') {
            return Ok(Value::List(Vec::new()));
        }
        // A payload can consist of lists of one item, for which Vec would take room for four.
        let mut items = Vec::with_capacity(1);
        loop {
            items.push(self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break self.at += 1,
                Some(_) => return self.refuse("`,` or `]` was expected"),
                None => return Err(CodecError::Truncated),
            }
        }
        Ok(Value::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value, CodecError> {
        self.at += 1;
        if self.take_if(b'}') {
            return Ok(Value::Dict(Vec::new()));
        }
        // One, as above: a payload can consist of dicts of one entry.
        let mut entries = Vec::with_capacity(1);
        loop {
            let key = self.key(depth + 1)?;
            entries.push((key, self.value(depth + 1)?));
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break self.at += 1,
                Some(_) => return self.refuse("`,` or `}` was expected"),
                None => return Err(CodecError::Truncated),
            }
        }
        drop_repeated_keys(&mut entries);
        Ok(Value::Dict(entries))
    }

    /// A key and its colon.
    fn key(&mut self, depth: usize) -> Result<Value, CodecError> {
        self.budget.spend(depth)?;
        let key = match self.peek() {
            Some(b'"') => self.string()?,
            Some(_) => return self.refuse("a key in double quotes was expected"),
            None => return Err(CodecError::Truncated),
        };
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return self.refuse("`:` was expected"),
            None => return Err(CodecError::Truncated),
        }
        Ok(key)
    }

    fn string(&mut self) -> Result<Value, CodecError> {
        self.at += 1;
        // Most text has no escape, and is taken from the input in one copy.
        let plain = self.plain_run();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Value::Str(plain.to_owned()));
        }
        let mut text = plain.as_bytes().to_vec();
        loop {
            match self.byte() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => self.escape(&mut text)?,
                Some(_) => return self.refuse("a control character in text must be escaped"),
                None => return Err(CodecError::Truncated),
            }
            text.extend_from_slice(self.plain_run().as_bytes());
        }
        wtf8::into_value(text).map_or_else(|| self.refuse("not Unicode"), Ok)
    }

    /// The characters up to the next one that means something.
    fn plain_run(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
        let len = rest.bytes().position(|byte| is_special(&byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), CodecError> {
        let Some(&escaped) = self.text.as_bytes().get(self.at + 1) else {
            return Err(CodecError::Truncated);
        };
        let byte = match escaped {
            b'"' | b'\\' | b'/' => escaped,
            b'b' => 8,
            b'f' => 0xc,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(text),
            _ => return self.refuse("no such escape"),
        };
        self.at += 2;
        text.push(byte);
        Ok(())
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode_escape(&mut self, text: &mut Vec<u8>) -> Result<(), CodecError> {
        let first = self.hex_escape()?;
        let mut code_point = u32::from(first);
        // Python's decoder joins a pair of escapes, and lets a half stand alone.
        if matches!(first, 0xd800..=0xdbff) && self.text[self.at..].starts_with("\\u") {
            let place = self.at;
            let second = self.hex_escape()?;
            match char::decode_utf16([first, second]).next() {
                Some(Ok(character)) => code_point = character.into(),
                // A half without its other half, which is read again on its own.
                _ => self.at = place,
            }
        }
        // Cannot fail: neither one escape nor a pair names anything beyond U+10FFFF.
        wtf8::push(text, code_point);
        Ok(())
    }

    fn hex_escape(&mut self) -> Result<u16, CodecError> {
        let digits = self.text.as_bytes().get(self.at + 2..).unwrap_or_default();
        let digits = &digits[..digits.len().min(4)];
        let unit = digits
            .iter()
            .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16));
        match unit {
            None => self.refuse("four hexadecimal digits were expected"),
            Some(_) if digits.len() < 4 => Err(CodecError::Truncated),
            Some(unit) => {
                self.at += 6;
                Ok(unit)
            }
        }
    }

    fn number(&mut self) -> Result<Value, CodecError> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'I') {
            return self.word("Infinity", Value::Float(f64::NEG_INFINITY));
        }
        let digits = self.whole_digits()?;
        // `|`, not `||`: both have to be read.
        let is_float = self.fraction()? | self.exponent()?;
        let text = &self.text[start..self.at];
        // Python reads an integer as such however long it is: a float in its place would lose digits.
        match text.parse::<i64>() {
            Ok(value) if !is_float => Ok(Value::Int(value)),
            _ if !is_float && digits > MAX_INT_DIGITS => {
                Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES })
            }
            _ if !is_float => text.parse::<BigInt>().map_or_else(|_| self.refuse("no integer"), integer),
            _ => text.parse().map_or_else(|_| self.refuse("no number"), |value| Ok(Value::Float(value))),
        }
    }

    /// How many digits stand before the point. The first of several is no zero.
    fn whole_digits(&mut self) -> Result<usize, CodecError> {
        if self.byte() == Some(b'0') {
            self.at += 1;
            return match self.byte() {
                Some(b'0'..=b'9') => self.refuse("a number that begins with zero"),
                _ => Ok(1),
            };
        }
        self.digits()
    }

    fn fraction(&mut self) -> Result<bool, CodecError> {
        let is_there = self.byte() == Some(b'.');
        if is_there {
            self.at += 1;
            self.digits()?;
        }
        Ok(is_there)
    }

    fn exponent(&mut self) -> Result<bool, CodecError> {
        let is_there = matches!(self.byte(), Some(b'e' | b'E'));
        if is_there {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(is_there)
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<usize, CodecError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        match self.byte() {
            _ if self.at > start => Ok(self.at - start),
            Some(_) => self.refuse("a digit was expected"),
            None => Err(CodecError::Truncated),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, CodecError> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        // Cut off in the middle, as far as can be seen: another error than a word that is none.
        if word.starts_with(rest) { Err(CodecError::Truncated) } else { self.refuse("a value was expected") }
    }

    fn take_if(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T, CodecError> {
        Err(CodecError::Json { offset: self.at, reason })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{
            limits::{MAX_VALUES, TOO_MANY},
            samples,
        },
        value::MAX_DEPTH,
    };

    fn text(value: &Value) -> String {
        String::from_utf8(encode(value).expect("encodable")).expect("ASCII")
    }

    /// What is written reads back as the same, and is the same again when written again.
    #[track_caller]
    fn check(value: impl Into<Value>, json: &str) {
        let value = value.into();
        assert_eq!(text(&value), json);
        let back = decode(json.as_bytes()).expect("decodable");
        assert_eq!((back.repr(), text(&back)), (value.repr(), json.to_owned()));
    }

    #[track_caller]
    fn check_read(json: &str, value: impl Into<Value>) {
        assert_eq!(decode(json.as_bytes()), Ok(value.into()));
    }

    #[track_caller]
    fn refused(json: &[u8], offset: usize, reason: &'static str) {
        assert_eq!(decode(json), Err(CodecError::Json { offset, reason }));
    }

    #[test]
    fn scalars() {
        check(Value::Null, "null");
        check(true, "true");
        check(i64::MIN, "-9223372036854775808");
        check(BigInt::from(10).pow(40), "10000000000000000000000000000000000000000");
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(1e16, "1e+16");
        check(5e-324, "5e-324");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "Infinity");
        check(f64::NEG_INFINITY, "-Infinity");
        check("a\"\\/\u{8}\u{c}\n\r\t\0\u{7f}", r#""a\"\\/\b\f\n\r\t\u0000\u007f""#);
        check("h\u{e9}llo \u{2603} \u{1f600}", r#""h\u00e9llo \u2603 \ud83d\ude00""#);
        check(Value::Surrogates(b"a\"\xed\xb2\x80".to_vec()), r#""a\"\udc80""#);
    }

    #[test]
    fn containers() {
        check(Value::List(vec![]), "[]");
        check(Value::List(vec![1.into(), "a".into()]), "[1, \"a\"]");
        check(Value::Dict(vec![]), "{}");
        check(
            Value::Dict(vec![("a".into(), 1.into()), ("b".into(), Value::Null)]),
            "{\"a\": 1, \"b\": null}",
        );
        let payload = Payload {
            func: "tasks.greet".to_owned(),
            args: vec!["bob".into()],
            kwargs: vec![("x".to_owned(), 1.into()), ("y".to_owned(), 2.into())],
        };
        let json = r#"["tasks.greet", null, ["bob"], {"x": 1, "y": 2}]"#;
        assert_eq!(encode_payload(&payload).as_deref(), Ok(json.as_bytes()));
        assert_eq!(decode(json.as_bytes()).and_then(Payload::from_value), Ok(payload));
    }

    #[test]
    fn what_json_has_no_type_for() {
        let check = |value: Value, json: &str| assert_eq!(text(&value), json);
        let civil = jiff::civil::date(2024, 1, 2).at(3, 4, 5, 0);
        check(Value::Bytes(vec![0, 255]), "\"AP8=\"");
        check(Value::DateTime { civil, offset: None }, "\"2024-01-02T03:04:05\"");
        check(Value::TimeDelta(-1_500_000), "-1.5");
        check(Value::Decimal("1.10".to_owned()), "\"1.10\"");
        for items in [Value::Tuple, Value::Set, Value::FrozenSet] {
            check(items(vec![1.into()]), "[1]");
        }
        let keys =
            [Value::Null, true.into(), 1.into(), 1.5.into(), f64::NAN.into(), BigInt::from(u64::MAX).into()];
        let dict = Value::Dict(keys.into_iter().map(|key| (key, Value::Null)).collect());
        let json = r#"{"null": null, "true": null, "1": null, "1.5": null, "NaN": null, "18446744073709551615": null}"#;
        check(dict, json);
        let dict = Value::Dict(vec![(Value::Tuple(vec![]), Value::Null)]);
        assert_eq!(encode(&dict), Err(CodecError::Key { class: "tuple" }));
    }

    #[test]
    fn reads_what_others_write() {
        check_read(" [ 1 ,2\r\n,\t3 ] ", Value::List(vec![1.into(), 2.into(), 3.into()]));
        check_read("\"h\u{e9} \\/ \\u00E9\"", "h\u{e9} / \u{e9}");
        check_read("\"\\ud800\\ud83d\\ude00\"", Value::Surrogates(b"\xed\xa0\x80\xf0\x9f\x98\x80".to_vec()));
        check_read("\"\\ud800x\"", Value::Surrogates(b"\xed\xa0\x80x".to_vec()));
        check_read("-0", 0);
        check_read("1E5", 1e5);
        check_read("1e400", f64::INFINITY);
        check_read("0.5e-1", 0.05);
        check_read(
            "{\"a\": 1, \"b\": 2, \"a\": 3}",
            Value::Dict(vec![("a".into(), 3.into()), ("b".into(), 2.into())]),
        );
    }

    #[test]
    fn refuses_what_is_no_json() {
        refused(b"\xff", 0, "not UTF-8");
        refused(b"1 2", 2, "more than one value");
        refused(b"[1,]", 3, "a value was expected");
        refused(b"[1 2]", 3, "`,` or `]` was expected");
        refused(b"{1: 2}", 1, "a key in double quotes was expected");
        refused(b"{\"a\" 2}", 5, "`:` was expected");
        refused(b"{\"a\": 2 3}", 8, "`,` or `}` was expected");
        refused(b"{\"a\": 2,}", 8, "a key in double quotes was expected");
        refused(b"'a'", 0, "a value was expected");
        refused(b"nope", 0, "a value was expected");
        refused(b"+1", 0, "a value was expected");
        refused(b"01", 1, "a number that begins with zero");
        refused(b"1.x", 2, "a digit was expected");
        refused(b"-x", 1, "a digit was expected");
        refused(b"\"a\nb\"", 2, "a control character in text must be escaped");
        refused(b"\"\\x\"", 1, "no such escape");
        refused(b"\"\\u12g4\"", 1, "four hexadecimal digits were expected");
        refused("\"\\u\u{e9}\u{e9}\"".as_bytes(), 1, "four hexadecimal digits were expected");
        refused("\u{feff}1".as_bytes(), 0, "a value was expected");
    }

    #[test]
    fn limits_hold() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(decode(nested(MAX_DEPTH + 1).as_bytes()).is_ok());
        let too_deep = Err(CodecError::TooDeep { limit: MAX_DEPTH });
        assert_eq!(decode(nested(MAX_DEPTH + 2).as_bytes()), too_deep);
        assert_eq!(decode("[".repeat(1 << 20).as_bytes()), too_deep);
        assert_eq!(decode("{\"\":".repeat(1 << 20).as_bytes()), too_deep);
        let too_many = format!("[{}]", vec!["0"; MAX_VALUES].join(","));
        assert_eq!(decode(too_many.as_bytes()), Err(TOO_MANY));
        assert!(decode("9".repeat(4000).as_bytes()).is_ok());
        assert_eq!(
            decode("9".repeat(1 << 20).as_bytes()),
            Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES })
        );
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let json = br#"["a\u00e9\ud83d\ude00\n", {"k": [1.5e-3, -Infinity, null, true]}, NaN, "x"]"#;
        for len in 0..json.len() {
            assert_eq!(decode(&json[..len]), Err(CodecError::Truncated), "{len}");
        }
    }

    proptest! {
        #[test]
        fn json_values_return(value in samples::json_values()) {
            let back = decode(&encode(&value).expect("encodable")).expect("decodable");
            prop_assert_eq!(back.repr(), value.repr());
        }

        #[test]
        fn what_is_read_is_written_and_read_the_same(value in samples::values()) {
            if let Ok(json) = encode(&value) {
                let again = encode(&decode(&json).expect("decodable")).expect("encodable");
                prop_assert_eq!(again, json);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn any_json_like_text_is_read_or_refused(text in "[\\[\\]{}:,\"\\\\ud8c0-9eE.+ \\-nulltrefaNI]{0,40}") {
            let _ = decode(text.as_bytes());
        }

        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}:,\"\\\\u0-9. \\-a]{0,12}") {
            // Which is a float to them, and an integer to Python.
            prop_assume!(!text.contains("-0"));
            if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&text) {
                let ours = decode(text.as_bytes()).expect("serde_json reads it");
                prop_assert_eq!(serde_json::to_value(&ours).expect("plain data"), theirs);
            }
        }
    }
}
