//! [`Reader`]: who goes through the words of a file.

use std::collections::HashMap;

use rq_wire::Value;

use super::token::{Placed, Token};
use super::{Assigned, Dialect, Term};
use crate::{Fault, TEXT_BYTES_MAX, VALUES_MAX};

/// The signs that end a term, unless it has opened brackets of its own.
const ENDS: [&str; 11] = [",", ":", ")", "]", "}", "=", "+=", "-=", "*=", "/=", ":="];

/// Goes through the words of a file.
pub(super) struct Reader<'d> {
    pub(super) tokens: Vec<Placed>,
    pub(super) at: usize,
    pub(super) dialect: &'d mut dyn Dialect,
    /// How many values are within each other.
    pub(super) depth: usize,
    /// Whether Python would not get to what is read, as to `b` in `1 or b`: then only its form counts.
    pub(super) is_skipped: bool,
    names: HashMap<String, Named>,
    /// How often something was assigned.
    order: usize,
    /// How many values, and bytes of text, constants have been named for, and methods have made.
    values: usize,
    text_bytes: usize,
}

/// What a name stands for.
struct Named {
    term: Term,
    line: usize,
    order: usize,
}

impl<'d> Reader<'d> {
    pub(super) fn new(tokens: Vec<Placed>, dialect: &'d mut dyn Dialect) -> Reader<'d> {
        Reader {
            tokens,
            at: 0,
            dialect,
            depth: 0,
            is_skipped: false,
            names: HashMap::new(),
            order: 0,
            values: 0,
            text_bytes: 0,
        }
    }

    pub(super) fn read(mut self) -> Result<Vec<Assigned>, Fault> {
        while self.at + 1 < self.tokens.len() {
            self.statement()?;
        }
        let mut names: Vec<_> = self.names.into_iter().collect();
        names.sort_by_key(|(_, named)| named.order);
        let assigned = |(name, Named { term, line, .. })| Assigned { name, line, term };
        Ok(names.into_iter().map(assigned).collect())
    }

    pub(super) fn assign(&mut self, name: String, line: usize, term: Term) {
        self.order += 1;
        self.names.insert(name, Named { term, line, order: self.order });
    }

    /// What a name stands for, if it is known.
    pub(super) fn named(&mut self, name: &str, line: usize) -> Result<Option<Term>, Fault> {
        let Some(Named { term, .. }) = self.names.get(name) else { return Ok(None) };
        let (values, text_bytes) = match term {
            Term::Value(value) => size(value),
            Term::Path(path) | Term::Nothing(path) => (1, path.len()),
        };
        let term = term.clone();
        self.count(values, text_bytes, line, name)?;
        Ok(Some(term))
    }

    /// Counts what naming something has added, or what a method is about to make.
    pub(super) fn count(
        &mut self,
        values: usize,
        text_bytes: usize,
        line: usize,
        name: &str,
    ) -> Result<(), Fault> {
        self.values += values;
        self.text_bytes += text_bytes;
        if self.values <= VALUES_MAX && self.text_bytes <= TEXT_BYTES_MAX {
            return Ok(());
        }
        let instead = self.dialect.instead();
        Err(Fault::new(
            line,
            format!(
                "with `{name}`, the values come to more than {VALUES_MAX}, or {TEXT_BYTES_MAX} bytes of text: {instead}"
            ),
        ))
    }

    /// What was reckoned; where Python would not have got to it, it does not matter.
    pub(super) fn reckoned(&self, value: Result<Value, Fault>) -> Result<Value, Fault> {
        if self.is_skipped { Ok(Value::Null) } else { value }
    }

    /// Reads what Python gets to only where it is not skipped.
    pub(super) fn skipping(
        &mut self,
        is_skipped: bool,
        read: impl FnOnce(&mut Self) -> Result<Term, Fault>,
    ) -> Result<Term, Fault> {
        let was_skipped = self.is_skipped;
        self.is_skipped |= is_skipped;
        let term = read(self);
        self.is_skipped = was_skipped;
        term
    }

    /// The next word; the last one of all is an end, and stays.
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    /// Whether the word behind the next one is one of these signs.
    pub(super) fn is_before(&self, signs: &[&str]) -> bool {
        let next = self.tokens.get(self.at + 1).map(|placed| &placed.token);
        matches!(next, Some(Token::Sign(sign)) if signs.contains(sign))
    }

    /// Where the `if` of the term that begins here is, should it have one.
    pub(super) fn condition(&self) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, placed) in self.tokens.iter().enumerate().skip(self.at) {
            match &placed.token {
                Token::End => return None,
                Token::Sign("(" | "[" | "{") => depth += 1,
                Token::Sign(sign) if depth == 0 && ENDS.contains(sign) => return None,
                Token::Sign(")" | "]" | "}") => depth -= 1,
                Token::Name(word) if depth == 0 && word == "if" => return Some(at),
                Token::Name(word) if depth == 0 && (word == "else" || word == "for") => return None,
                _ => {}
            }
        }
        None
    }

    /// Whether the statement goes on with a `for`, which makes a comprehension of it.
    pub(super) fn is_comprehension(&self) -> bool {
        let rest = self.tokens[self.at..].iter().map(|placed| &placed.token);
        let mut rest = rest.take_while(|token| **token != Token::End);
        rest.any(|token| matches!(token, Token::Name(word) if word == "for"))
    }

    pub(super) fn line(&self) -> usize {
        self.tokens[self.at].line
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes a sign, if it is the next word.
    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Sign(next) if *next == sign);
        if is_next {
            self.take();
        }
        is_next
    }

    /// Takes a name that is a word of the language, if it is the next one.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Name(next) if next == word);
        if is_next {
            self.take();
        }
        is_next
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(self.unread(&format!("where `{sign}` is expected"))),
        }
    }

    pub(super) fn name(&mut self) -> Result<String, Fault> {
        let Token::Name(name) = self.peek() else { return Err(self.unread("where a name is expected")) };
        let name = name.clone();
        self.take();
        Ok(name)
    }

    /// What is wrong in the line of the next word.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.line(), reason)
    }

    /// The same, with the way on.
    pub(super) fn refused(&self, line: usize, what: &str) -> Fault {
        Fault::new(line, format!("{what}: {}", self.dialect.instead()))
    }

    /// That the next word cannot be read.
    pub(super) fn unread(&self, here: &str) -> Fault {
        let word = match self.peek() {
            Token::Name(name) => format!("`{name}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Text(_) | Token::Pattern(_) | Token::Bytes(_) => "a text".to_owned(),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
            Token::End => "the end of the line".to_owned(),
        };
        self.refused(self.line(), &format!("{word} is not read {here}"))
    }
}

/// How many values a value has, itself included, and how many bytes of text.
fn size(value: &Value) -> (usize, usize) {
    let sum = |(values, bytes): (usize, usize), more: &Value| {
        let (more_values, more_bytes) = size(more);
        (values + more_values, bytes + more_bytes)
    };
    match value {
        Value::Str(text) => (1, text.len()),
        Value::Bytes(bytes) => (1, bytes.len()),
        Value::List(values) | Value::Tuple(values) | Value::Set(values) => values.iter().fold((1, 0), sum),
        Value::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).fold((1, 0), sum),
        _ => (1, 0),
    }
}
