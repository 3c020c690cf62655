//! Protocol 0's text and numbers, each on a line of its own.

use std::borrow::Cow;

use num_bigint::BigInt;

use crate::{
    codec::limits::{MAX_INT_BYTES, MAX_INT_DIGITS, integer},
    error::CodecError,
    value::{Value, wtf8},
};

/// `INT` and `LONG`: decimal digits with a sign, and for `LONG` an `L` behind them.
pub(super) fn int(line: &[u8]) -> Option<Result<Value, CodecError>> {
    let text = std::str::from_utf8(line).ok()?;
    // Python 2's `repr` of a long ends so, and protocol 0 still writes it.
    let text = text.strip_suffix('L').unwrap_or(text);
    // One more for the sign. Before parsing, which takes time with the square of the digits.
    if text.len() > MAX_INT_DIGITS + 1 {
        return Some(Err(CodecError::Integer { limit_bytes: MAX_INT_BYTES }));
    }
    Some(integer(text.parse::<BigInt>().ok()?))
}

/// `FLOAT`: what `repr` prints for it.
pub(super) fn float(line: &[u8]) -> Option<f64> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// `UNICODE`: Python's codec `raw-unicode-escape`, Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn unicode(line: &[u8]) -> Option<Value> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let (code_point, after) = match (byte, after) {
            (b'\\', [b'u', after @ ..]) => hex(after, 4)?,
            (b'\\', [b'U', after @ ..]) => hex(after, 8)?,
            // A backslash takes the next byte with it, so that two of them escape nothing.
            (b'\\', [next, after @ ..]) => {
                text.push(b'\\');
                (u32::from(*next), after)
            }
            _ => (u32::from(byte), after),
        };
        // Surrogates are taken: Python writes lone ones as `\uXXXX` here, and a pair of them stays two.
        if !wtf8::push(&mut text, code_point) {
            return None;
        }
        rest = after;
    }
    wtf8::into_value(text)
}

/// `STRING`: a literal of Python 2 in quotes, with its escapes.
pub(super) fn string(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (first, last) = (*line.first()?, *line.last()?);
    // A single quote alone is its own first and last byte.
    if line.len() < 2 || first != last || !matches!(first, b'\'' | b'"') {
        return None;
    }
    let quoted = &line[1..line.len() - 1];
    if quoted.contains(&b'\\') { unescape(quoted).map(Cow::Owned) } else { Some(Cow::Borrowed(quoted)) }
}

fn unescape(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escaped, after) = rest.split_first()?;
        // At most three octal digits, as in Python; counted from the escaped byte on.
        let digits = rest.iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
        rest = after;
        match escaped {
            b'\\' | b'\'' | b'"' => bytes.push(escaped),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b't' => bytes.push(b'\t'),
            b'n' => bytes.push(b'\n'),
            b'v' => bytes.push(0xb),
            b'f' => bytes.push(0xc),
            b'r' => bytes.push(b'\r'),
            b'x' => {
                let (byte, after) = hex(rest, 2)?;
                bytes.push(byte as u8);
                rest = after;
            }
            b'0'..=b'7' => {
                let first = u32::from(escaped - b'0');
                let octal = rest[..digits - 1]
                    .iter()
                    .fold(first, |octal, digit| octal << 3 | u32::from(digit - b'0'));
                // Python 2 drops what is above 255, as in `\777`.
                bytes.push(octal as u8);
                rest = &rest[digits - 1..];
            }
            // Python keeps the backslash of an escape that it does not know.
            _ => bytes.extend([b'\\', escaped]),
        }
    }
    Some(bytes)
}

/// So many hexadecimal digits, and what follows them.
fn hex(bytes: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(digits)?;
    let number =
        digits.iter().try_fold(0, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |line: &str, repr: &str| {
            let value = int(line.as_bytes()).expect("a number").expect("small");
            assert_eq!(value.repr(), repr);
        };
        check("5", "5");
        check("-5L", "-5");
        check("9223372036854775808L", "9223372036854775808");
        assert_eq!(int(b"x"), None);
        assert_eq!(int(b""), None);
        assert!(matches!(int(&[b'9'; 5000]), Some(Err(CodecError::Integer { .. }))));
        assert_eq!(float(b"-1.5e-07"), Some(-1.5e-7));
        assert_eq!(float(b"inf"), Some(f64::INFINITY));
        assert_eq!(float(b""), None);
    }

    #[test]
    fn unicode_lines() {
        let check = |line: &[u8], repr: &str| assert_eq!(unicode(line).expect("text").repr(), repr);
        check(b"", "''");
        check(b"h\xe9 \\u2603\\U0001f600 \\u000a", "'h\u{e9} \u{2603}\u{1f600} \\n'");
        check(b"\\ud83d\\ude00", r"'\ud83d\ude00'");
        check(b"\\\\u2603 \\x \\", r"'\\\\u2603 \\x \\'");
        for line in [&b"\\u12"[..], b"\\u12g4", b"\\U00110000", b"\\u\xc3\xa9\xc3\xa9"] {
            assert_eq!(unicode(line), None);
        }
    }

    #[test]
    fn string_lines() {
        let check = |line: &[u8], bytes: Option<&[u8]>| assert_eq!(string(line).as_deref(), bytes);
        check(b"'it\"s'", Some(b"it\"s"));
        check(b"\"it's\"", Some(b"it's"));
        check(b"''", Some(b""));
        check(
            br"'\a\b\t\n\v\f\r\\\'\x00\xff\0\18\777\q'",
            Some(b"\x07\x08\t\n\x0b\x0c\r\\'\0\xff\0\x018\xff\\q"),
        );
        for line in [&b""[..], b"'", b"a", b"'a", b"'a\"", b"'\\'", b"'\\x1'"] {
            check(line, None);
        }
    }
}
