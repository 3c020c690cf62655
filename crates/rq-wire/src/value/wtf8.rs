//! Text that may hold lone surrogates: UTF-8 in which U+D800 to U+DFFF take three bytes as well.
//!
//! Python writes it with the error handler `surrogatepass`. A high surrogate and a low one in a row stay two
//! characters, as they do in Python.

use super::Value;

/// Appends one code point, surrogates included. False if it is beyond U+10FFFF.
pub(crate) fn push(bytes: &mut Vec<u8>, code_point: u32) -> bool {
    if let Some(character) = char::from_u32(code_point) {
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return true;
    }
    let is_surrogate = is_surrogate(code_point);
    if is_surrogate {
        // The three bytes that UTF-8 would have for it, if surrogates were characters; all begin with `ed`.
        bytes.extend([0xed, 0x80 | (code_point >> 6 & 0x3f) as u8, 0x80 | (code_point & 0x3f) as u8]);
    }
    is_surrogate
}

pub(crate) const fn is_surrogate(code_point: u32) -> bool {
    matches!(code_point, 0xd800..=0xdfff)
}

/// Text as a value: `Str` where it can be. `None` if the bytes are no such text.
pub(crate) fn into_value(bytes: Vec<u8>) -> Option<Value> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(Value::Str(text)),
        Err(error) if is_valid(error.as_bytes()) => Some(Value::Surrogates(error.into_bytes())),
        Err(_) => None,
    }
}

/// Whether the bytes are UTF-8 but for surrogates.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    parts(bytes).all(|part| !matches!(part, Part::Garbage))
}

/// The code points of text that [`is_valid`]; U+FFFD for each byte that belongs to none.
pub(crate) fn code_points(bytes: &[u8]) -> impl Iterator<Item = u32> + Clone {
    parts(bytes).flat_map(|part| {
        let (text, single) = match part {
            Part::Text(text) => (text, None),
            Part::Surrogate(code_point) => ("", Some(code_point)),
            Part::Garbage => ("", Some(u32::from(char::REPLACEMENT_CHARACTER))),
        };
        text.chars().map(u32::from).chain(single)
    })
}

#[derive(Clone)]
enum Part<'a> {
    Text(&'a str),
    Surrogate(u32),
    Garbage,
}

fn parts(mut rest: &[u8]) -> impl Iterator<Item = Part<'_>> + Clone {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // In runs, so that text with few surrogates is checked by the fast path of the standard library.
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => {
                rest = &[];
                return Some(Part::Text(text));
            }
            Err(error) => error.valid_up_to(),
        };
        if valid > 0 {
            let (text, after) = rest.split_at(valid);
            rest = after;
            return std::str::from_utf8(text).ok().map(Part::Text);
        }
        let (part, len) = match *rest {
            // From `ed a0` on these three bytes are U+D800 to U+DFFF; below they are characters, and valid UTF-8.
            [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
                (Part::Surrogate(0xd000 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f)), 3)
            }
            _ => (Part::Garbage, 1),
        };
        rest = &rest[len..];
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_point_returns() {
        for code_point in
            [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0x10ffff]
        {
            let mut bytes = vec![b'a'];
            assert!(push(&mut bytes, code_point));
            assert!(is_valid(&bytes), "{code_point:x}");
            assert_eq!(code_points(&bytes).collect::<Vec<_>>(), [0x61, code_point]);
            assert_eq!(matches!(into_value(bytes), Some(Value::Surrogates(_))), is_surrogate(code_point));
        }
        assert!(!push(&mut Vec::new(), 0x110000));
    }

    #[test]
    fn other_bytes_are_no_text() {
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xed\xa0", b"\xed\xa0A", b"\xf4\x90\x80\x80", b"\xc0\x80"] {
            assert!(!is_valid(bytes), "{bytes:?}");
            assert_eq!(into_value(bytes.to_vec()), None);
        }
    }
}
