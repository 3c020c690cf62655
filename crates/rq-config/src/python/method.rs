//! [`Method`]: what a text can do, such as `'a,b'.split(',')`, as Python has it. What a text holds is never told.
//!
//! Capitals are those of this program's version of Unicode, which may know letters that an older Python does not.

use std::collections::HashSet;

use rq_wire::Value;

use super::reader::Reader;
use super::token::Token;
use super::{Argument, Term};
use crate::Fault;

/// What is known of texts, with what it is given.
const NAMES: [&str; 10] =
    ["split", "strip", "lstrip", "rstrip", "lower", "upper", "replace", "startswith", "endswith", "join"];

/// A method of a text, and what it is given.
enum Method {
    /// At each of these texts, or else at white space.
    Split(Option<String>),
    /// Of these characters, or else of white space, at the start, at the end.
    Strip(Option<HashSet<char>>, bool, bool),
    Lower,
    Upper,
    Replace(String, String),
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    Join(Vec<String>),
}

impl Reader<'_> {
    /// What methods that are called on a term give, one after the other.
    pub(super) fn called_on(&mut self, term: Term, mut line: usize) -> Result<Term, Fault> {
        let mut term = term;
        while matches!(self.peek(), Token::Sign("." | "[" | "(")) {
            let value = self.as_value(term, line)?;
            line = self.line();
            let name = self.method()?;
            let arguments = self.arguments()?;
            term = Term::Value(if self.is_skipped {
                Value::Null
            } else {
                self.made(value, &name, arguments, line)?
            });
        }
        Ok(term)
    }

    /// The name of a method, up to its bracket.
    fn method(&mut self) -> Result<String, Fault> {
        let line = self.line();
        let what = match self.take() {
            Token::Sign(".") => {
                let name = self.name()?;
                if NAMES.contains(&name.as_str()) && self.takes("(") {
                    return Ok(name);
                }
                format!("`.{name}`, a method of a value, is not read")
            }
            Token::Sign("[") => "`[..]`, a part of a value, is not read".to_owned(),
            _ => "a value cannot be called".to_owned(),
        };
        Err(self.refused(line, &what))
    }

    fn made(
        &mut self,
        value: Value,
        name: &str,
        arguments: Vec<Argument>,
        line: usize,
    ) -> Result<Value, Fault> {
        let instead = self.dialect.instead();
        let mut given = Vec::new();
        for argument in arguments {
            if argument.name.is_ok() {
                return Err(
                    self.refused(argument.line, &format!("what `.{name}` is given has no names here"))
                );
            }
            given.push(argument.value(instead)?);
        }
        let text = match value {
            Value::Str(text) => text,
            Value::Null => {
                let what = "a method of texts, and there is None, as of a variable that is not set";
                return Err(self.refused(line, &format!("`.{name}` is {what}")));
            }
            other => {
                let what = format!("`.{name}` is read of texts, and not of a {}", other.type_name());
                return Err(self.refused(line, &what));
            }
        };
        let method = Method::new(name, given).map_err(|reason| self.refused(line, &reason))?;
        let (values, text_bytes) = method.size(&text);
        self.count(values, text_bytes, line, &format!(".{name}"))?;
        Ok(method.of(&text))
    }
}

impl Method {
    fn new(name: &str, given: Vec<Value>) -> Result<Method, String> {
        let takes = |what: &str| Err(format!("`.{name}` is read with {what}"));
        let mut given = given.into_iter();
        let method = match (name, given.next(), given.next(), given.next()) {
            ("split", None | Some(Value::Null), None, _) => Method::Split(None),
            ("split", Some(Value::Str(separator)), None, _) if !separator.is_empty() => {
                Method::Split(Some(separator))
            }
            ("split", ..) => return takes("nothing, or with one text that is not empty"),
            ("strip" | "lstrip" | "rstrip", None | Some(Value::Null), None, _) => {
                Method::Strip(None, name != "rstrip", name != "lstrip")
            }
            ("strip" | "lstrip" | "rstrip", Some(Value::Str(chars)), None, _) => {
                Method::Strip(Some(chars.chars().collect()), name != "rstrip", name != "lstrip")
            }
            ("strip" | "lstrip" | "rstrip", ..) => return takes("nothing, or with one text"),
            ("lower", None, ..) => Method::Lower,
            ("upper", None, ..) => Method::Upper,
            ("lower" | "upper", ..) => return takes("nothing"),
            ("replace", Some(Value::Str(old)), Some(Value::Str(new)), None) => Method::Replace(old, new),
            ("replace", ..) => return takes("two texts"),
            ("startswith" | "endswith", Some(value), None, _) => {
                let Some(parts) = one_or_more(value) else { return takes("a text, or a tuple of texts") };
                if name == "startswith" { Method::StartsWith(parts) } else { Method::EndsWith(parts) }
            }
            ("startswith" | "endswith", ..) => return takes("a text, or a tuple of texts"),
            (_, Some(Value::List(values) | Value::Tuple(values)), None, _) => match texts(values) {
                Some(texts) => Method::Join(texts),
                None => return takes("a list of texts alone"),
            },
            _ => return takes("a list of texts"),
        };
        Ok(method)
    }

    /// How many values what it gives has, itself included, and how many bytes of text.
    fn size(&self, text: &str) -> (usize, usize) {
        match self {
            Method::Split(None) => (1 + words(text).count(), text.len()),
            Method::Split(Some(separator)) => (2 + text.matches(separator.as_str()).count(), text.len()),
            Method::Strip(..) | Method::Lower => (1, text.len()),
            Method::Upper => (1, text.chars().flat_map(char::to_uppercase).map(char::len_utf8).sum()),
            Method::Replace(old, new) => {
                let count = text.matches(old.as_str()).count();
                (1, (text.len() - count * old.len()).saturating_add(count.saturating_mul(new.len())))
            }
            Method::StartsWith(_) | Method::EndsWith(_) => (1, 0),
            Method::Join(texts) => {
                let between = text.len().saturating_mul(texts.len().saturating_sub(1));
                (1, texts.iter().map(String::len).sum::<usize>().saturating_add(between))
            }
        }
    }

    fn of(&self, text: &str) -> Value {
        match self {
            Method::Split(None) => Value::List(words(text).map(Value::from).collect()),
            Method::Split(Some(separator)) => {
                Value::List(text.split(separator.as_str()).map(Value::from).collect())
            }
            Method::Strip(chars, at_start, at_end) => {
                let goes = |c: char| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(&c));
                let text = if *at_start { text.trim_start_matches(goes) } else { text };
                Value::from(if *at_end { text.trim_end_matches(goes) } else { text })
            }
            Method::Lower => Value::Str(text.to_lowercase()),
            Method::Upper => Value::Str(text.to_uppercase()),
            Method::Replace(old, new) => Value::Str(text.replace(old, new)),
            Method::StartsWith(parts) => Value::Bool(parts.iter().any(|part| text.starts_with(part))),
            Method::EndsWith(parts) => Value::Bool(parts.iter().any(|part| text.ends_with(part))),
            Method::Join(texts) => Value::Str(texts.join(text)),
        }
    }
}

/// White space, of which Python has four characters more than Unicode.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

fn one_or_more(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Str(text) => Some(vec![text]),
        Value::Tuple(values) => texts(values),
        _ => None,
    }
}

fn texts(values: Vec<Value>) -> Option<Vec<String>> {
    let text = |value| match value {
        Value::Str(text) => Some(text),
        _ => None,
    };
    values.into_iter().map(text).collect()
}
