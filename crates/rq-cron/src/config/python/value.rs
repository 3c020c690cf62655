//! The values that are read: those that are written out, constants, and whole numbers that are reckoned with.

use rq_core::Value;

use super::{
    Fault, INSTEAD, Meaning, REGISTER, Reader, Token, WEBHOOK, WEBHOOK_PARAMETERS, WEBHOOK_POSITIONS,
};

/// How many values may be within each other.
const DEPTH_MAX: usize = 64;
/// How many values a file may have, those counted each time that a constant of them is named.
const VALUES_MAX: usize = 100_000;
/// How many bytes of text they may have, counted the same.
const TEXT_MAX_BYTES: usize = 10_000_000;

/// What stands where a value does.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Value(Value),
    /// What was imported.
    Path(String),
    /// What a call of `register` gives.
    Registered,
}

impl Term {
    /// It as a value.
    pub(super) fn value(self, line: usize) -> Result<Value, Fault> {
        match self {
            Term::Value(value) => Ok(value),
            Term::Path(path) => {
                Err(Fault::new(line, format!("`{path}` is no value that is written out: {INSTEAD}")))
            }
            Term::Registered => Err(Fault::new(line, format!("a call of `register` is no value: {INSTEAD}"))),
        }
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
        Value::List(values) | Value::Tuple(values) => values.iter().fold((1, 0), sum),
        Value::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).fold((1, 0), sum),
        _ => (1, 0),
    }
}

/// An argument of a call: its name, or its place.
pub(super) struct Argument {
    pub(super) name: Result<String, usize>,
    pub(super) term: Term,
    pub(super) line: usize,
}

impl Reader {
    /// A value: sums of products.
    pub(super) fn term(&mut self) -> Result<Term, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(format!("more than {DEPTH_MAX} values are within each other")));
        }
        let mut sum = self.product()?;
        while let Token::Sign(sign @ ("+" | "-")) = *self.peek() {
            sum = self.reckoned(sum, sign, Reader::product)?;
        }
        self.depth -= 1;
        Ok(sum)
    }

    fn product(&mut self) -> Result<Term, Fault> {
        let mut product = self.signed()?;
        while let Token::Sign(sign @ ("*" | "//" | "%")) = *self.peek() {
            product = self.reckoned(product, sign, Reader::signed)?;
        }
        Ok(product)
    }

    /// Takes the sign and the number behind it.
    fn reckoned(
        &mut self,
        left: Term,
        sign: &str,
        next: impl Fn(&mut Reader) -> Result<Term, Fault>,
    ) -> Result<Term, Fault> {
        let line = self.line();
        self.take();
        let right = next(self)?;
        let (Term::Value(Value::Int(left)), Term::Value(Value::Int(right))) = (left, right) else {
            return Err(Fault::new(
                line,
                format!("`{sign}` is read between whole numbers alone: write out what it gives"),
            ));
        };
        let number = match sign {
            "+" => left.checked_add(right),
            "-" => left.checked_sub(right),
            "*" => left.checked_mul(right),
            // Python rounds down, and its remainder has the sign of the divisor.
            "//" => left.checked_div(right).map(|quotient| quotient - i64::from(is_cut(left, right))),
            _ => left.checked_rem(right).map(|rest| if is_cut(left, right) { rest + right } else { rest }),
        };
        match number {
            Some(number) => Ok(Term::Value(Value::Int(number))),
            None => Err(Fault::new(line, format!("`{sign}` gives no number of 64 bits here"))),
        }
    }

    fn signed(&mut self) -> Result<Term, Fault> {
        let line = self.line();
        let is_negative = self.takes("-");
        if !is_negative && !self.takes("+") {
            return self.single();
        }
        match self.single()? {
            Term::Value(Value::Int(number)) if is_negative => match number.checked_neg() {
                Some(number) => Ok(Term::Value(Value::Int(number))),
                None => Err(Fault::new(line, "`-` gives no number of 64 bits here")),
            },
            Term::Value(Value::Float(number)) if is_negative => Ok(Term::Value(Value::Float(-number))),
            Term::Value(number @ (Value::Int(_) | Value::Float(_))) => Ok(Term::Value(number)),
            _ => Err(Fault::new(line, "a sign is read before a number alone")),
        }
    }

    fn single(&mut self) -> Result<Term, Fault> {
        let line = self.line();
        let value = match self.peek().clone() {
            Token::Int(number) => Value::Int(number),
            Token::Float(number) => Value::Float(number),
            Token::Text(_) => return self.text(),
            Token::Bytes(_) => return self.bytes(),
            Token::Name(_) => return self.named(line),
            Token::Sign("(") => return self.tuple(),
            Token::Sign("[") => {
                self.take();
                return Ok(Term::Value(Value::List(self.values("]")?.0)));
            }
            Token::Sign("{") => return self.dict(),
            _ => return Err(self.unread("where a value is expected")),
        };
        self.take();
        Ok(Term::Value(value))
    }

    /// Texts one behind the other are one.
    fn text(&mut self) -> Result<Term, Fault> {
        let mut whole = String::new();
        while let Token::Text(text) = self.peek() {
            whole.push_str(text);
            self.take();
        }
        Ok(Term::Value(Value::Str(whole)))
    }

    fn bytes(&mut self) -> Result<Term, Fault> {
        let mut whole = Vec::new();
        while let Token::Bytes(bytes) = self.peek() {
            whole.extend_from_slice(bytes);
            self.take();
        }
        Ok(Term::Value(Value::Bytes(whole)))
    }

    /// `(1 + 2)` is its value, and `(1,)` a tuple.
    fn tuple(&mut self) -> Result<Term, Fault> {
        self.take();
        let (mut values, has_comma) = self.values(")")?;
        match values.pop() {
            Some(only) if values.is_empty() && !has_comma => Ok(Term::Value(only)),
            last => {
                values.extend(last);
                Ok(Term::Value(Value::Tuple(values)))
            }
        }
    }

    /// Values up to a bracket, and whether there was a comma.
    fn values(&mut self, end: &str) -> Result<(Vec<Value>, bool), Fault> {
        let (mut values, mut has_comma) = (Vec::new(), false);
        while !self.takes(end) {
            let line = self.line();
            values.push(self.term()?.value(line)?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
            has_comma = true;
        }
        Ok((values, has_comma))
    }

    fn dict(&mut self) -> Result<Term, Fault> {
        self.take();
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        while !self.takes("}") {
            let line = self.line();
            let key = self.term()?.value(line)?;
            self.expect(":")?;
            let line = self.line();
            let value = self.term()?.value(line)?;
            // The last one of a key counts, at the place of the first.
            match pairs.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => pairs.push((key, value)),
            }
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Term::Value(Value::Dict(pairs)))
    }

    /// A constant, what was imported, or a call.
    fn named(&mut self, line: usize) -> Result<Term, Fault> {
        let name = self.name()?;
        let meaning = match (name.as_str(), self.names.get(&name)) {
            ("None", _) => Meaning::Value(Value::Null),
            ("True", _) => Meaning::Value(Value::Bool(true)),
            ("False", _) => Meaning::Value(Value::Bool(false)),
            (_, Some(meaning)) => {
                let (values, text_bytes) = match meaning {
                    Meaning::Value(value) => size(value),
                    Meaning::Path(_) => (1, 0),
                };
                self.values += values;
                self.text_bytes += text_bytes;
                if self.values > VALUES_MAX || self.text_bytes > TEXT_MAX_BYTES {
                    return Err(Fault::new(
                        line,
                        format!(
                            "with `{name}`, constants are named for more than {VALUES_MAX} values, or {TEXT_MAX_BYTES} bytes: {INSTEAD}"
                        ),
                    ));
                }
                meaning.clone()
            }
            (name, None) => return Err(Fault::new(line, format!("`{name}` is not known here: {INSTEAD}"))),
        };
        let mut path = match meaning {
            Meaning::Value(value) => return Ok(Term::Value(value)),
            Meaning::Path(path) => path,
        };
        while self.takes(".") {
            path = format!("{path}.{}", self.name()?);
        }
        if matches!(self.peek(), Token::Sign("[")) {
            return Err(Fault::new(line, format!("`{path}[..]` is not read: {INSTEAD}")));
        }
        if !self.takes("(") {
            return Ok(Term::Path(path));
        }
        match path.as_str() {
            REGISTER => self.register(line),
            path if WEBHOOK.contains(&path) => self.webhook(),
            path => Err(Fault::new(line, format!("`{path}` cannot be called: {INSTEAD}"))),
        }
    }

    /// The arguments of a call, behind its bracket.
    pub(super) fn arguments(&mut self) -> Result<Vec<Argument>, Fault> {
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.takes(")") {
            let line = self.line();
            let is_named =
                matches!(self.tokens.get(self.at + 1), Some(next) if next.token == Token::Sign("="));
            let name = match is_named {
                true => {
                    let name = self.name()?;
                    self.expect("=")?;
                    Ok(name)
                }
                false if arguments.iter().any(|argument| argument.name.is_ok()) => {
                    return Err(self.unread("behind an argument with a name"));
                }
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

    /// A webhook, as a table in our words.
    fn webhook(&mut self) -> Result<Term, Fault> {
        let mut pairs = Vec::new();
        for argument in self.arguments()? {
            let known = match &argument.name {
                Ok(name) => WEBHOOK_PARAMETERS.iter().find(|(known, _)| known == name),
                Err(place) => WEBHOOK_PARAMETERS[..WEBHOOK_POSITIONS].get(*place),
            };
            let (_, word) = known.ok_or_else(|| {
                Fault::new(
                    argument.line,
                    "a webhook has `url` and `job_status`, and by name `method`, `headers` and `timeout`",
                )
            })?;
            pairs.push((Value::Str((*word).to_owned()), argument.term.value(argument.line)?));
        }
        Ok(Term::Value(Value::Dict(pairs)))
    }
}

/// Whether a division that cuts off is one more than one that rounds down.
fn is_cut(left: i64, right: i64) -> bool {
    left % right != 0 && (left < 0) != (right < 0)
}
