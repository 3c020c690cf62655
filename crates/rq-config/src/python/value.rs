//! The values that are read: those that are written out, constants, and what known calls give.

use rq_wire::Value;

use super::key::Keys;
use super::reader::Reader;
use super::text::Piece;
use super::token::{Placed, Token};
use super::{Argument, Call, Term};
use crate::{DEPTH_MAX, Fault};

impl Reader<'_> {
    /// A value, or several with commas between, which are a tuple.
    pub(super) fn listed_term(&mut self) -> Result<Term, Fault> {
        let line = self.line();
        let first = self.term()?;
        if *self.peek() != Token::Sign(",") {
            return Ok(first);
        }
        let mut values = vec![self.as_value(first, line)?];
        while self.takes(",") && *self.peek() != Token::End {
            values.push(self.value()?);
        }
        Ok(Term::Value(Value::Tuple(values)))
    }

    /// A term that is a value.
    pub(super) fn value(&mut self) -> Result<Value, Fault> {
        let line = self.line();
        let term = self.term()?;
        self.as_value(term, line)
    }

    pub(super) fn as_value(&self, term: Term, line: usize) -> Result<Value, Fault> {
        term.value(line, self.dialect.instead())
    }

    /// One level further within values.
    pub(super) fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(self.fault(format!("more than {DEPTH_MAX} values are within each other"))),
            false => Ok(()),
        }
    }

    pub(super) fn single(&mut self) -> Result<Term, Fault> {
        let line = self.line();
        let term = match self.peek().clone() {
            Token::Int(number) => self.literal(Value::Int(number)),
            Token::Float(number) => self.literal(Value::Float(number)),
            Token::Text(_) | Token::Pattern(_) => Term::Value(Value::Str(self.text()?)),
            Token::Bytes(_) => Term::Value(Value::Bytes(self.bytes())),
            Token::Name(_) => self.named_term(line)?,
            Token::Sign("(") => Term::Value(self.tuple()?),
            Token::Sign("[") => {
                self.take();
                Term::Value(Value::List(self.values("]")?.0))
            }
            Token::Sign("{") => Term::Value(self.dict_or_set()?),
            _ => return Err(self.unread("where a value is expected")),
        };
        self.called_on(term, line)
    }

    fn literal(&mut self, value: Value) -> Term {
        self.take();
        Term::Value(value)
    }

    /// Texts one behind the other are one.
    fn text(&mut self) -> Result<String, Fault> {
        let mut whole = String::new();
        loop {
            match self.peek() {
                Token::Text(text) => whole.push_str(text),
                Token::Pattern(_) if !self.dialect.is_wide() => {
                    return Err(self.fault("a text with values in it is not read: write out what it says"));
                }
                Token::Pattern(pieces) => {
                    for piece in pieces.clone() {
                        match piece {
                            Piece::Text(text) => whole.push_str(&text),
                            Piece::Value(tokens) => whole.push_str(&self.shown(tokens)?),
                        }
                    }
                }
                _ => return Ok(whole),
            }
            self.take();
        }
    }

    /// What a value within a text shows.
    fn shown(&mut self, tokens: Vec<Placed>) -> Result<String, Fault> {
        self.deeper()?;
        let outside = (std::mem::replace(&mut self.tokens, tokens), std::mem::take(&mut self.at));
        let line = self.line();
        let value = self.value()?;
        if *self.peek() != Token::End {
            return Err(self.unread("within a text"));
        }
        (self.tokens, self.at) = outside;
        self.depth -= 1;
        match plain_text(&value) {
            Some(text) => Ok(text),
            None => Err(self.refused(line, "only texts, numbers, truths and None are shown within a text")),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Token::Bytes(bytes) = self.peek() {
            whole.extend_from_slice(bytes);
            self.take();
        }
        whole
    }

    /// `(1 + 2)` is its value, and `(1,)` a tuple.
    fn tuple(&mut self) -> Result<Value, Fault> {
        self.take();
        let (mut values, has_comma) = self.values(")")?;
        match values.pop() {
            Some(only) if values.is_empty() && !has_comma => Ok(only),
            last => {
                values.extend(last);
                Ok(Value::Tuple(values))
            }
        }
    }

    /// Values up to a bracket, and whether there was a comma.
    fn values(&mut self, end: &str) -> Result<(Vec<Value>, bool), Fault> {
        let (mut values, mut has_comma) = (Vec::new(), false);
        while !self.takes(end) {
            values.push(self.value()?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
            has_comma = true;
        }
        Ok((values, has_comma))
    }

    fn dict_or_set(&mut self) -> Result<Value, Fault> {
        self.take();
        let mut keys = Keys::default();
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        while !self.takes("}") {
            let line = self.line();
            let key = self.value()?;
            if pairs.is_empty() && *self.peek() != Token::Sign(":") && self.dialect.is_wide() {
                return self.set(key, line);
            }
            self.expect(":")?;
            let value = self.value()?;
            // The last one of a key counts, at the place of the first.
            match keys.place(&key).map_err(|reason| Fault::new(line, reason))? {
                Some(place) => pairs[place].1 = value,
                None => pairs.push((key, value)),
            }
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Value::Dict(pairs))
    }

    /// A set, of which the first value has been read.
    fn set(&mut self, first: Value, line: usize) -> Result<Value, Fault> {
        let mut rest = Vec::new();
        if self.takes(",") {
            while !self.takes("}") {
                let line = self.line();
                rest.push((self.value()?, line));
                if !self.takes(",") {
                    self.expect("}")?;
                    break;
                }
            }
        } else {
            self.expect("}")?;
        }
        let (mut keys, mut values) = (Keys::default(), Vec::new());
        for (value, line) in std::iter::once((first, line)).chain(rest) {
            if keys.place(&value).map_err(|reason| Fault::new(line, reason))?.is_none() {
                values.push(value);
            }
        }
        Ok(Value::Set(values))
    }

    /// A constant, what was imported, or a call.
    fn named_term(&mut self, line: usize) -> Result<Term, Fault> {
        let name = self.name()?;
        let mut path = match name.as_str() {
            "None" => return Ok(Term::Value(Value::Null)),
            "True" => return Ok(Term::Value(Value::Bool(true))),
            "False" => return Ok(Term::Value(Value::Bool(false))),
            _ => match self.named(&name, line)? {
                Some(Term::Path(path)) => path,
                Some(term) => return Ok(term),
                None if *self.peek() == Token::Sign("(") && self.dialect.knows(&name) => name,
                None => return Err(self.unknown(&name, line)),
            },
        };
        while self.takes(".") {
            path.push('.');
            path.push_str(&self.name()?);
        }
        if let Some(value) = self.dialect.constant(&path) {
            return Ok(Term::Value(value));
        }
        if self.takes("[") {
            return self.item(&path, line);
        }
        if !self.takes("(") {
            return Ok(Term::Path(path));
        }
        if !self.dialect.knows(&path) {
            let instead = self.dialect.instead_of_call(&path);
            return Err(Fault::new(line, format!("`{path}` cannot be called: {instead}")));
        }
        self.call(path, line)
    }

    fn unknown(&self, name: &str, line: usize) -> Fault {
        let why = if self.is_comprehension() { ", and a comprehension is not read" } else { "" };
        self.refused(line, &format!("`{name}` is not known here{why}"))
    }

    /// `path[key]`, behind the bracket.
    fn item(&mut self, path: &str, line: usize) -> Result<Term, Fault> {
        let refused = self.refused(line, &format!("`{path}[..]` is not read"));
        // Only to the paths that something is known of may a key say anything.
        let Ok(key) = self.value() else { return Err(refused) };
        if self.is_skipped {
            self.expect("]")?;
            return Ok(Term::Value(Value::Null));
        }
        let Some(value) = self.dialect.item(path, &key, line) else { return Err(refused) };
        self.expect("]")?;
        self.counted(value?, path, line)
    }

    /// A call of `path`, behind its bracket.
    fn call(&mut self, path: String, line: usize) -> Result<Term, Fault> {
        let arguments = self.arguments()?;
        if self.is_skipped {
            return Ok(Term::Value(Value::Null));
        }
        let given = self.dialect.call(Call { path: path.clone(), line, arguments })?;
        match given {
            Some(value) => self.counted(value, &path, line),
            None => Ok(Term::Nothing(path)),
        }
    }

    /// A value from outside of the file.
    fn counted(&mut self, value: Value, path: &str, line: usize) -> Result<Term, Fault> {
        if let Value::Str(text) = &value {
            self.count(1, text.len(), line, path)?;
        }
        Ok(Term::Value(value))
    }

    /// The arguments of a call, behind its bracket.
    pub(super) fn arguments(&mut self) -> Result<Vec<Argument>, Fault> {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut has_names = false;
        while !self.takes(")") {
            let line = self.line();
            let name = match matches!(self.peek(), Token::Name(_)) && self.is_before(&["="]) {
                true => {
                    let name = self.name()?;
                    self.expect("=")?;
                    has_names = true;
                    Ok(name)
                }
                false if has_names => return Err(self.unread("behind an argument with a name")),
                false => Err(arguments.len()),
            };
            arguments.push(Argument { name, term: self.term()?, line });
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(arguments)
    }
}

/// What `str()` gives of a value without others in it.
pub(crate) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Bytes(_) => {
            Some(value.repr())
        }
        _ => None,
    }
}
