//! [`Token`]: the words of Python.

use super::text::Piece;
use crate::{FILE_BYTES_MAX, Fault};

/// A word of Python.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    /// A text with values in it.
    Pattern(Vec<Piece>),
    Bytes(Vec<u8>),
    Int(i64),
    Float(f64),
    /// An operator, a bracket, a comma.
    Sign(&'static str),
    /// The end of a statement.
    End,
}

/// A word, and its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) line: usize,
}

/// Signs, those first that others are the beginning of.
const SIGNS: [&str; 34] = [
    "**", "//", "==", "!=", "<=", ">=", "->", ":=", "+=", "-=", "*=", "/=", "<<", ">>", "(", ")", "[", "]",
    "{", "}", ",", ":", ".", "=", "+", "-", "*", "/", "%", "@", "<", ">", "|", "&",
];

/// The words of a text, with an [`Token::End`] behind each statement.
pub(super) fn tokens(text: &str, instead: &str) -> Result<Vec<Placed>, Fault> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault::new(1, format!("the file has more than {FILE_BYTES_MAX} bytes")));
    }
    Words::new(text, 1, instead).all()
}

/// Takes a text apart.
pub(super) struct Words<'a> {
    text: &'a str,
    pub(super) at: usize,
    pub(super) line: usize,
    /// The way on, as of [`Dialect::instead`](super::Dialect::instead).
    pub(super) instead: &'a str,
    /// The lines of the brackets that are open.
    open: Vec<usize>,
    pub(super) tokens: Vec<Placed>,
}

impl<'a> Words<'a> {
    /// A text that begins in `line`.
    pub(super) fn new(text: &'a str, line: usize, instead: &'a str) -> Words<'a> {
        Words { text, at: 0, line, instead, open: Vec::new(), tokens: Vec::new() }
    }

    pub(super) fn all(mut self) -> Result<Vec<Placed>, Fault> {
        while self.step()? {}
        if let Some(line) = self.open.last() {
            return Err(Fault::new(*line, "a bracket is not closed"));
        }
        self.push(Token::End);
        Ok(self.tokens)
    }

    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token) {
        self.tokens.push(Placed { token, line: self.line });
    }

    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.line, reason)
    }

    /// Reads one word, or what is between two; `false` at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        let Some(first) = self.rest().chars().next() else { return Ok(false) };
        match first {
            '\n' => self.end_line()?,
            '\r' | ' ' | '\t' | '\x0c' | '\u{feff}' => self.at += first.len_utf8(),
            '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
            ';' => {
                self.push(Token::End);
                self.at += 1;
            }
            '\\' => self.join_lines()?,
            '0'..='9' => self.number()?,
            '.' if self.rest()[1..].starts_with(|next: char| next.is_ascii_digit()) => self.number()?,
            '"' | '\'' => self.text("")?,
            first if first.is_alphabetic() || first == '_' => self.name()?,
            _ => self.sign()?,
        }
        Ok(true)
    }

    fn end_line(&mut self) -> Result<(), Fault> {
        if self.open.is_empty() {
            self.push(Token::End);
        }
        self.at += 1;
        self.line += 1;
        let margin = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        let is_blank = matches!(self.rest()[margin..].chars().next(), None | Some('\n' | '\r' | '#'));
        if self.open.is_empty() && margin > 0 && !is_blank {
            return Err(self.fault(format!("{} is not read here: {}", self.block(), self.instead)));
        }
        Ok(())
    }

    /// What begins the block that this line is in.
    fn block(&self) -> String {
        let is_end = |placed: &&Placed| placed.token == Token::End;
        let mut words =
            self.tokens.iter().rev().skip_while(is_end).take_while(|placed| !is_end(placed)).peekable();
        let is_begun = words.peek().is_some_and(|placed| placed.token == Token::Sign(":"));
        match words.last().map(|placed| &placed.token) {
            Some(Token::Name(word)) if is_begun => format!("a block of `{word}`"),
            _ => "a line that is set in".to_owned(),
        }
    }

    fn join_lines(&mut self) -> Result<(), Fault> {
        let after = self.rest()[1..].trim_start_matches('\r');
        if !after.starts_with('\n') {
            return Err(self.fault("a `\\` joins lines only at the end of one"));
        }
        self.at = self.text.len() - after.len() + 1;
        self.line += 1;
        Ok(())
    }

    fn name(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        let is_prefix = length <= 2 && name.chars().all(|c| "rRbBuUfFtT".contains(c));
        self.at += length;
        if is_prefix && self.rest().starts_with(['"', '\'']) {
            return self.text(&name.to_ascii_lowercase());
        }
        self.push(Token::Name(name));
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Fault> {
        let sign = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign));
        let sign = sign.ok_or_else(|| {
            self.fault(format!("{:?} is not read here", self.rest().chars().next().unwrap_or_default()))
        })?;
        match sign {
            "(" | "[" | "{" => self.open.push(self.line),
            ")" | "]" | "}" => {
                self.open.pop();
            }
            _ => {}
        }
        self.push(Token::Sign(sign));
        self.at += sign.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let is_hex = rest.len() > 1 && matches!(rest.as_bytes()[1], b'x' | b'X');
        let mut length = 0;
        for (at, c) in rest.char_indices() {
            let is_exponents = !is_hex && matches!(c, '+' | '-') && rest[..at].ends_with(['e', 'E']);
            if !c.is_ascii_alphanumeric() && c != '_' && c != '.' && !is_exponents {
                break;
            }
            length = at + c.len_utf8();
        }
        let written = &rest[..length];
        let token =
            number(written).ok_or_else(|| self.fault(format!("{written} is no number that is read here")))?;
        self.push(token);
        self.at += length;
        Ok(())
    }
}

/// `1_000`, `0x1f`, `0o17`, `0b1`, `1.5`, `1e3`; no more than 64 bits.
fn number(written: &str) -> Option<Token> {
    let is_apart = !written.contains("__") && !written.ends_with('_');
    let digits = written.replace('_', "").to_ascii_lowercase();
    let whole = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Token::Int);
    let token = match digits.get(..2) {
        Some("0x") => whole(&digits[2..], 16),
        Some("0o") => whole(&digits[2..], 8),
        Some("0b") => whole(&digits[2..], 2),
        // Python has no decimals that begin with 0, except zero.
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let is_plain = !digits.starts_with('0') || digits.bytes().all(|byte| byte == b'0');
            whole(&digits, 10).filter(|_| is_plain)
        }
        _ => digits
            .parse()
            .ok()
            .map(Token::Float)
            .filter(|_| digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')),
    };
    token.filter(|_| is_apart)
}
