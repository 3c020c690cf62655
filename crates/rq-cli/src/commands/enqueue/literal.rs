//! Python literals: what `ast.literal_eval` takes, read without Python.
//!
//! Numbers, text, bytes, tuples, lists, dicts, sets, `True`, `False` and `None`. Left out, since no payload carries
//! them or they need Python's tables: complex numbers, `...`, and `\N{name}` in text.
//!
//! | file | holds |
//! |---|---|
//! | `literal/number.rs` | numbers |
//! | `literal/text.rs` | text and bytes as they grow |
//! | `literal/identity.rs` | what Python finds equal, for the keys of dicts and the members of sets |

use std::collections::HashMap;

use num_bigint::BigInt;
use rq_core::Value;

use self::identity::identity;
use self::text::Text;

mod identity;
mod number;
mod text;

/// How many brackets may lie around a value, as in the payload codecs.
const DEPTH_MAX: usize = 128;

/// The value that `source` is; `None` where it is no literal. As in RQ, the reason is not reported.
pub(super) fn parse(source: &str) -> Option<Value> {
    // Python refuses source with such a byte as a whole.
    if source.contains('\0') {
        return None;
    }
    // Python sees every line ending as one character, within text too.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    // `literal_eval` strips these two at the front; other space there is an error of indentation.
    let mut reader = Reader { rest: source.trim_start_matches([' ', '\t']), open: 0 };
    reader.blank_lines();
    let value = reader.items_without_brackets()?;
    reader.blank_lines();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    /// How many brackets are open; within them a line may end anywhere.
    open: usize,
}

impl<'a> Reader<'a> {
    /// One value, or a tuple that is written without its parentheses.
    fn items_without_brackets(&mut self) -> Option<Value> {
        let first = self.value()?;
        if !self.takes(",") {
            return Some(first);
        }
        let mut items = vec![first];
        // A comma at the end makes a tuple of one, as in `1,`.
        while !matches!(self.peek(), None | Some('\n' | '#')) {
            items.push(self.value()?);
            if !self.takes(",") {
                break;
            }
        }
        Some(Value::Tuple(items))
    }

    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            '(' => self.bracketed(Reader::parenthesised),
            '[' => self.bracketed(|reader| reader.items("]").map(Value::List)),
            '{' => self.bracketed(Reader::braced),
            '-' | '+' => self.signed(),
            '0'..='9' | '.' => self.number(),
            _ if self.text_prefix().is_some() => self.texts(),
            _ => self.word(),
        }
    }

    /// Reads on behind a bracket that opens, with the depth counted.
    fn bracketed(&mut self, read: impl FnOnce(&mut Self) -> Option<Value>) -> Option<Value> {
        if self.open == DEPTH_MAX {
            return None;
        }
        self.open += 1;
        // All brackets are one byte.
        self.rest = &self.rest[1..];
        let value = read(self);
        self.open -= 1;
        value
    }

    /// `()`, `(1)`, which is `1`, `(1,)` or `(1, 2)`.
    fn parenthesised(&mut self) -> Option<Value> {
        if self.takes(")") {
            return Some(Value::Tuple(Vec::new()));
        }
        let first = self.value()?;
        if self.takes(")") {
            return Some(first);
        }
        self.items_after(first, ")").map(Value::Tuple)
    }

    /// Items up to `close`.
    fn items(&mut self, close: &str) -> Option<Vec<Value>> {
        if self.takes(close) {
            return Some(Vec::new());
        }
        let first = self.value()?;
        self.items_after(first, close)
    }

    fn items_after(&mut self, first: Value, close: &str) -> Option<Vec<Value>> {
        let mut items = vec![first];
        while !self.takes(close) {
            if !self.takes(",") {
                return None;
            }
            if self.takes(close) {
                break;
            }
            items.push(self.value()?);
        }
        Some(items)
    }

    /// A dict or a set.
    fn braced(&mut self) -> Option<Value> {
        if self.takes("}") {
            return Some(Value::Dict(Vec::new()));
        }
        let first = self.value()?;
        if self.takes(":") { self.dict(first) } else { self.items_after(first, "}").and_then(set) }
    }

    /// The last value of a key counts, at the place of its first.
    fn dict(&mut self, mut key: Value) -> Option<Value> {
        let (mut entries, mut places): (Vec<(Value, Value)>, _) = (Vec::new(), HashMap::new());
        loop {
            let value = self.value()?;
            // By what Python finds equal: `{1: 'a', True: 'b'}` has one entry there.
            let place = *places.entry(identity(&key)?).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
            if !self.takes(",") {
                return self.takes("}").then_some(Value::Dict(entries));
            }
            if self.takes("}") {
                return Some(Value::Dict(entries));
            }
            key = self.value()?;
            if !self.takes(":") {
                return None;
            }
        }
    }

    /// A sign takes one number, which may be in parentheses.
    fn signed(&mut self) -> Option<Value> {
        let negative = self.takes("-");
        if !negative && !self.takes("+") {
            return None;
        }
        match (self.number_in_parentheses()?, negative) {
            (value, false) => Some(value),
            // By way of a large integer: the negative of the smallest `i64` is none.
            (Value::Int(int), true) => Some(Value::from(-BigInt::from(int))),
            (Value::BigInt(int), true) => Some(Value::from(-int)),
            (Value::Float(float), true) => Some(Value::Float(-float)),
            _ => None,
        }
    }

    fn number_in_parentheses(&mut self) -> Option<Value> {
        match self.peek()? {
            '(' => self.bracketed(|reader| {
                let value = reader.number_in_parentheses()?;
                reader.takes(")").then_some(value)
            }),
            '0'..='9' | '.' => self.number(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        // Behind an exponent's `e` a sign belongs to the number.
        let mut previous = ' ';
        // In `0xe+1` the `e` is a digit, and the sign is not the number's.
        let is_hex = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        let end = self.rest.find(|c: char| {
            let belongs = match c {
                '+' | '-' => matches!(previous, 'e' | 'E') && !is_hex,
                '.' => true,
                _ => is_word(c),
            };
            previous = c;
            !belongs
        });
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        number::parse(number)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            // The one call that is a literal: there is no other way to write an empty set.
            "set" if self.peek() == Some('(') => {
                self.bracketed(|reader| reader.takes(")").then_some(Value::Set(Vec::new())))
            }
            _ => None,
        }
    }

    /// Texts side by side are one.
    fn texts(&mut self) -> Option<Value> {
        let mut whole: Option<Text> = None;
        loop {
            // At the top a line end would end the text; `peek` stops there.
            self.peek();
            let Some(prefix) = self.text_prefix() else { break };
            let text = self.text(prefix)?;
            whole = Some(match whole {
                None => text,
                Some(before) => before.joined_with(text)?,
            });
        }
        whole.map(Text::into_value)
    }

    /// What stands before a quote, if that is what comes next.
    fn text_prefix(&self) -> Option<Prefix> {
        const CHARS_MAX: usize = 2;
        let mut start = self.rest.char_indices().take(CHARS_MAX + 1);
        let (quote, _) = start.find(|(_, c)| matches!(c, '\'' | '"'))?;
        let (is_bytes, is_raw) = match self.rest[..quote].to_ascii_lowercase().as_str() {
            "" | "u" => (false, false),
            "r" => (false, true),
            "b" => (true, false),
            "br" | "rb" => (true, true),
            _ => return None,
        };
        Some(Prefix { chars: quote, is_bytes, is_raw })
    }

    fn text(&mut self, prefix: Prefix) -> Option<Text> {
        let quoted = &self.rest[prefix.chars..];
        let quote = &quoted[..1];
        let triple = quote.repeat(3);
        let close = if quoted.starts_with(&triple) { triple.as_str() } else { quote };
        let mut text = Text::new(prefix.is_bytes);
        self.rest = &quoted[close.len()..];
        loop {
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some(text);
            }
            match self.next_char()? {
                // Both stay, and yet the backslash keeps a quote behind it from ending the text.
                '\\' if prefix.is_raw => {
                    text.push('\\')?;
                    text.push(self.next_char()?)?;
                }
                '\\' => self.escape(&mut text)?,
                // Only text in triple quotes goes over a line end.
                '\n' if close.len() == 1 => return None,
                c => text.push(c)?,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, text: &mut Text) -> Option<()> {
        let escaped = self.next_char()?;
        match escaped {
            '\n' => Some(()),
            '\\' | '\'' | '"' => text.push(escaped),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\x0b'),
            '0'..='7' => {
                let more = self.rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                let digits = format!("{escaped}{}", self.take_chars(more)?);
                text.push_code(u32::from_str_radix(&digits, 8).ok()?)
            }
            'x' => text.push_code(self.hex(2)?),
            'u' if !text.is_bytes => text.push_code(self.hex(4)?),
            'U' if !text.is_bytes => text.push_code(self.hex(8)?),
            // It would need Python's table of the names of characters.
            'N' if !text.is_bytes => None,
            // Python warns of an unknown escape and keeps it as it is.
            other => {
                text.push('\\')?;
                text.push(other)
            }
        }
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let digits = self.take_chars(digits)?;
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if all_hex { u32::from_str_radix(digits, 16).ok() } else { None }
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\x0c']);
            // Python refuses a backslash at the end of the text.
            if let Some(rest) = self.rest.strip_prefix("\\\n").filter(|rest| !rest.is_empty()) {
                self.rest = rest;
            } else if self.open > 0 && self.rest.starts_with(['\n', '#']) {
                self.line_end();
            } else {
                return self.rest.chars().next();
            }
        }
    }

    /// Skips lines that hold nothing, or nothing but a comment.
    fn blank_lines(&mut self) {
        while matches!(self.peek(), Some('\n' | '#')) {
            self.line_end();
        }
    }

    /// Skips what is left of this line.
    fn line_end(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }

    /// Skips spaces and `mark`, if that comes next.
    fn takes(&mut self, mark: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn take_chars(&mut self, count: usize) -> Option<&'a str> {
        // Fewer bytes than asked for, or half a character: neither is a digit.
        let taken = self.rest.get(..count)?;
        self.rest = &self.rest[count..];
        Some(taken)
    }
}

#[derive(Clone, Copy)]
struct Prefix {
    chars: usize,
    is_bytes: bool,
    is_raw: bool,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A set of what may be in one, each once.
fn set(items: Vec<Value>) -> Option<Value> {
    let mut known = HashMap::new();
    let mut kept = Vec::new();
    for item in items {
        if known.insert(identity(&item)?, ()).is_none() {
            kept.push(item);
        }
    }
    Some(Value::Set(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each left side was given to Python's `ast.literal_eval`; the right side is the `repr` of what came back.
    const LITERALS: &[(&str, &str)] = &[
        ("1", "1"),
        ("-1", "-1"),
        ("+1", "1"),
        ("- 1", "-1"),
        ("-(1)", "-1"),
        ("+((2))", "2"),
        ("0", "0"),
        ("00", "0"),
        ("0_0", "0"),
        ("1_000", "1000"),
        ("0xFf", "255"),
        ("0x_f", "15"),
        ("0o17", "15"),
        ("0b101", "5"),
        ("-0b1", "-1"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("1.5", "1.5"),
        ("1e5", "100000.0"),
        ("1E-3", "0.001"),
        ("1_0.0_1e1_0", "100100000000.0"),
        ("09.5", "9.5"),
        ("00.5", "0.5"),
        ("09e1", "90.0"),
        ("1.e2", "100.0"),
        ("1e400", "inf"),
        ("-1e400", "-inf"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("'a'", "'a'"),
        ("\"a\"", "'a'"),
        ("'''a'''", "'a'"),
        ("\"\"\"a\nb\"\"\"", "'a\\nb'"),
        ("''", "''"),
        ("'a' 'b'", "'ab'"),
        ("'a'\"b\"", "'ab'"),
        ("'a' \\\n'b'", "'ab'"),
        ("r'\\n\\''", "\"\\\\n\\\\'\""),
        ("R'\\d'", "'\\\\d'"),
        ("u'x'", "'x'"),
        ("b'x'", "b'x'"),
        ("B'\\xff\\0'", "b'\\xff\\x00'"),
        ("br'\\x'", "b'\\\\x'"),
        ("Rb'\\''", "b\"\\\\'\""),
        ("b'a' b'b'", "b'ab'"),
        ("b'\\u1234'", "b'\\\\u1234'"),
        ("b'\\N'", "b'\\\\N'"),
        ("'\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"'", "'\\x07\\x08\\x0c\\n\\r\\t\\x0b\\\\\\'\"'"),
        ("'\\0'", "'\\x00'"),
        ("'\\18'", "'\\x018'"),
        ("'\\1234'", "'S4'"),
        ("'\\777'", "'ǿ'"),
        ("b'\\400'", "b'\\x00'"),
        ("'\\x41'", "'A'"),
        ("'\\u00e9'", "'é'"),
        ("'\\U0001F600'", "'😀'"),
        ("'\\ud800'", "'\\ud800'"),
        ("'\\ud83d\\ude00'", "'\\ud83d\\ude00'"),
        ("'\\q\\8'", "'\\\\q\\\\8'"),
        ("'a\\\nb'", "'ab'"),
        ("r'a\\\nb'", "'a\\\\\\nb'"),
        ("'é😀'", "'é😀'"),
        ("'\\xe9'", "'é'"),
        ("'''a\r\nb\rc'''", "'a\\nb\\nc'"),
        ("'it''s'", "'its'"),
        ("'''it's'''", "\"it's\""),
        ("'''a\\''''", "\"a'\""),
        ("()", "()"),
        ("(1)", "1"),
        ("(1,)", "(1,)"),
        ("(1, 2)", "(1, 2)"),
        ("(1, 2,)", "(1, 2)"),
        ("1,", "(1,)"),
        ("1, 2", "(1, 2)"),
        ("1, 2,", "(1, 2)"),
        ("[]", "[]"),
        ("[1]", "[1]"),
        ("[1,]", "[1]"),
        ("[[], [1, (2,)]]", "[[], [1, (2,)]]"),
        ("[1,\n 2, # c\n 3]", "[1, 2, 3]"),
        ("(\n1\n)", "1"),
        ("{}", "{}"),
        ("{1: 2}", "{1: 2}"),
        ("{'a': [1], 'b': {'c': None},}", "{'a': [1], 'b': {'c': None}}"),
        ("{1: 'a', 1.0: 'b', True: 'c'}", "{1: 'c'}"),
        ("{(1, 'a'): 1}", "{(1, 'a'): 1}"),
        ("{1}", "{1}"),
        ("{'a',}", "{'a'}"),
        ("{1, 1.0, True}", "{1}"),
        ("set()", "set()"),
        ("set( )", "set()"),
        ("True", "True"),
        ("False", "False"),
        ("None", "None"),
        ("[True, None]", "[True, None]"),
        ("  1", "1"),
        ("\t1", "1"),
        ("\n1", "1"),
        ("1\n", "1"),
        ("1 # c", "1"),
        ("1\n# c\n\n", "1"),
        ("# c\n1", "1"),
        ("('a'\n'b')", "'ab'"),
        ("{1: 2, # c\n 3: 4}", "{1: 2, 3: 4}"),
        ("1\x0c", "1"),
        (
            "{-1: 0, 1e300: 1, 1000000000000000052504760255204420248704468581108159154915854115511802457988908195786371375080447864043704443832883878176942523235360430575644792184786706982848387200926575803737830233794788090059368953234970799945081119038967640880074652742780142494579258788820056842838115669472196386865459400540160: 2}",
            "{-1: 0, 1e+300: 2}",
        ),
        ("{0.0: 1, -0.0: 2, 0: 3}", "{0.0: 3}"),
        ("{b'a': 1, 'a': 2}", "{b'a': 1, 'a': 2}"),
        ("'\x7f'", "'\\x7f'"),
    ];

    /// `ast.literal_eval` refuses these.
    const REFUSED: &[&str] = &[
        "",
        " ",
        "2+0",
        "1-2",
        "a",
        "Truex",
        "None.x",
        "'a",
        "'a\nb'",
        "'''a",
        "(1",
        "[1",
        "{1",
        "{1:",
        "{1:2,3}",
        "{1,2:3}",
        "[1 2]",
        "1 2",
        "01",
        "0_7",
        "1__0",
        "1_",
        "_1",
        "0x",
        "0xg",
        "0b2",
        "0o8",
        "0x1.5",
        "1e",
        "1e+",
        "1.5.6",
        ".",
        "1_.5",
        "1._5",
        "--1",
        "-+1",
        "-True",
        "-'a'",
        "-[1]",
        "-(-1)",
        "+None",
        "ur'a'",
        "f'a'",
        "bb'a'",
        "'a' b'b'",
        "b'é'",
        "'\\x4'",
        "'\\xg0'",
        "'\\u123'",
        "'\\U00110000'",
        "b'\\x4'",
        "{[1]: 2}",
        "{[1]}",
        "{{}}",
        "{(1, [2])}",
        "set([1])",
        "set(())",
        "set",
        "set(1)",
        "list()",
        "[*a]",
        "{**a}",
        "[x for x in y]",
        "lambda: 1",
        "(1,,2)",
        "[,]",
        "(,)",
        ",",
        "{,}",
        "{:}",
        "1;",
        "1\n2",
        "[1]]",
        "'a'+'b'",
        "'a' % 1",
        "1if",
        "1 if True else 2",
        "not True",
        "__import__('os')",
        "a.b",
        "[1][0]",
        "'a\\",
        "1,\n2",
        "'\\N{nosuch}'",
        "x'1'",
        "'a''b",
        "{1:2 3:4}",
        "0xe-5",
        "$",
    ];

    #[test]
    fn literals_are_read_as_python_does() {
        for (source, repr) in LITERALS {
            assert_eq!(parse(source).map(|value| value.repr()).as_deref(), Some(*repr), "{source:?}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for source in REFUSED {
            assert_eq!(parse(source), None, "{source:?}");
        }
    }

    #[test]
    fn what_no_payload_carries_is_refused() {
        for source in ["1j", "1+2j", "-1-2j", "...", r"'\N{BULLET}'"] {
            assert_eq!(parse(source), None, "{source:?}");
        }
    }

    #[test]
    fn kinds_that_look_alike() {
        assert_eq!(parse("{1, 1.0, True, 2}"), Some(Value::Set(vec![Value::Int(1), Value::Int(2)])));
        assert_eq!(parse("set ( )"), Some(Value::Set(vec![])));
        assert_eq!(parse(r"'\ud83d\ude00'"), Some(Value::Surrogates(b"\xed\xa0\xbd\xed\xb8\x80".to_vec())));
        assert_eq!(parse("18446744073709551616"), Some(Value::BigInt(BigInt::from(1_u128 << 64))));
        assert_eq!(parse("-9223372036854775808"), Some(Value::Int(i64::MIN)));
    }

    #[test]
    fn hostile_literals_end_soon() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_some());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)), None);
        assert_eq!(parse(&"(".repeat(1_000_000)), None);
        assert_eq!(parse(&"-".repeat(1_000_000)), None);
        assert_eq!(parse(&"9".repeat(number::DIGITS_MAX + 1)), None);
        // Each of these would take minutes if a value cost more the more there is behind it.
        for item in ["'x', ", "None, ", "1, ", "'x' "] {
            assert!(parse(&format!("[{}]", item.repeat(100_000))).is_some(), "{item}");
        }
    }
}
