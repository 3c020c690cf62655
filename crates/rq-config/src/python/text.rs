//! The texts of Python: quotes, prefixes, what stands behind a `\`, and values within them.

use super::token::{Placed, Token, Words};
use crate::Fault;

/// A part of a text with values in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// The words of a value.
    Value(Vec<Placed>),
}

/// A text while it is read.
struct Text {
    /// What ends it.
    quote: String,
    is_raw: bool,
    is_bytes: bool,
    has_values: bool,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Words<'_> {
    /// A text or bytes, of which only the prefix was read.
    pub(super) fn text(&mut self, prefix: &str) -> Result<(), Fault> {
        if prefix.contains('t') {
            return Err(self.fault("a text that is a template is not read: write out what it says"));
        }
        let quote = &self.rest()[..1];
        let triple = quote.repeat(3);
        let is_triple = self.rest().starts_with(&triple);
        let mut text = Text {
            quote: if is_triple { triple } else { quote.to_owned() },
            is_raw: prefix.contains('r'),
            is_bytes: prefix.contains('b'),
            has_values: prefix.contains('f'),
            bytes: Vec::new(),
            pieces: Vec::new(),
        };
        let first_line = self.line;
        self.at += text.quote.len();
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(Fault::new(first_line, "a text has no end"));
            };
            if self.rest().starts_with(&text.quote) {
                break;
            }
            match next {
                '\n' if !is_triple => return Err(self.fault("a text has no end in its line")),
                '\\' => self.escape(&mut text)?,
                '{' | '}' if text.has_values => self.brace(next, &mut text)?,
                next => {
                    self.line += usize::from(next == '\n');
                    self.at += next.len_utf8();
                    text.bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        self.at += text.quote.len();
        let token = self.whole(text)?;
        self.tokens.push(Placed { token, line: first_line });
        Ok(())
    }

    fn whole(&self, mut text: Text) -> Result<Token, Fault> {
        if text.is_bytes {
            return Ok(Token::Bytes(text.bytes));
        }
        let last = self.decoded(&mut text)?;
        if !text.has_values {
            return Ok(Token::Text(last));
        }
        text.pieces.push(Piece::Text(last));
        Ok(Token::Pattern(text.pieces))
    }

    /// What was read since the last value.
    fn decoded(&self, text: &mut Text) -> Result<String, Fault> {
        String::from_utf8(std::mem::take(&mut text.bytes)).map_err(|_| self.fault("a text is none"))
    }

    /// `{value}`; `{{` and `}}` are the brackets themselves.
    fn brace(&mut self, brace: char, text: &mut Text) -> Result<(), Fault> {
        let inner = &self.rest()[1..];
        if inner.starts_with(brace) {
            text.bytes.push(brace as u8);
            self.at += 2;
            return Ok(());
        }
        let fault = || {
            self.fault("a text with values in it is read where each is plain, such as `{HOST}`: write out what it says")
        };
        // A value with brackets, texts of the same quotes or a format in it is more than that.
        let end = inner.find(['}', '{', '\\', '\n', '!', ':']).filter(|_| brace == '{').ok_or_else(fault)?;
        let (value, behind) = inner.split_at(end);
        if !behind.starts_with('}') || value.contains(&text.quote) || value.trim().is_empty() {
            return Err(fault());
        }
        let words = Words::new(value.trim(), self.line, self.instead).all()?;
        let before = self.decoded(text)?;
        text.pieces.extend([Piece::Text(before), Piece::Value(words)]);
        self.at += 1 + end + 1;
        Ok(())
    }

    /// A `\` and what belongs to it.
    fn escape(&mut self, text: &mut Text) -> Result<(), Fault> {
        let Some(escaped) = self.rest()[1..].chars().next() else {
            return Err(self.fault("a text has no end"));
        };
        let is_bytes = text.is_bytes;
        let after = 1 + escaped.len_utf8();
        let plain = match escaped {
            // A value may stand behind one.
            '{' | '}' if text.has_values => {
                text.bytes.push(b'\\');
                self.at += 1;
                return Ok(());
            }
            _ if text.is_raw => None,
            '\n' => Some(""),
            'n' => Some("\n"),
            't' => Some("\t"),
            'r' => Some("\r"),
            'a' => Some("\x07"),
            'b' => Some("\x08"),
            'f' => Some("\x0c"),
            'v' => Some("\x0b"),
            '\\' => Some("\\"),
            '\'' => Some("'"),
            '"' => Some("\""),
            'x' => return self.code(2, 16, 2, text),
            'u' if !is_bytes => return self.code(2, 16, 4, text),
            'U' if !is_bytes => return self.code(2, 16, 8, text),
            'N' if !is_bytes => {
                return Err(self.fault("a character by its name is not read: write the character"));
            }
            '0'..='7' => {
                let digits = self.rest()[1..].chars().take(3).take_while(|c| matches!(c, '0'..='7')).count();
                return self.code(1, 8, digits, text);
            }
            _ => None,
        };
        match plain {
            Some(plain) => text.bytes.extend_from_slice(plain.as_bytes()),
            // As it is written, which Python keeps.
            None => text.bytes.extend_from_slice(&self.rest().as_bytes()[..after]),
        }
        self.line += usize::from(escaped == '\n');
        self.at += after;
        Ok(())
    }

    /// A character by its number: `digits` of them, behind `before` bytes.
    fn code(&mut self, before: usize, radix: u32, digits: usize, text: &mut Text) -> Result<(), Fault> {
        let written = self.rest().get(before..before + digits);
        let written = written.filter(|written| written.chars().all(|digit| digit.is_digit(radix)));
        let number = written.and_then(|written| u32::from_str_radix(written, radix).ok());
        match number.map(|number| (u8::try_from(number), char::from_u32(number))) {
            Some((Ok(byte), _)) if text.is_bytes => text.bytes.push(byte),
            Some((_, Some(char))) if !text.is_bytes => {
                text.bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes())
            }
            _ => return Err(self.fault("a `\\` of a text is followed by no character's number")),
        }
        self.at += before + digits;
        Ok(())
    }
}
