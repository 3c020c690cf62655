//! The statements that are read: imports, constants, and calls of `register`.

use rq_core::Value;

use super::value::Term;
use super::{Draft, Fault, INSTEAD, Meaning, PARAMETERS, Reader, Token};

/// The words that statements begin with, and lines of blocks.
const STATEMENTS: [&str; 24] = [
    "if", "elif", "else", "for", "while", "def", "class", "with", "try", "except", "finally", "async",
    "await", "match", "return", "raise", "del", "global", "nonlocal", "assert", "lambda", "yield", "print",
    "exec",
];

/// The parameters without a default.
const NEEDED: [&str; 2] = ["func", "queue_name"];

impl Reader {
    pub(super) fn statement(&mut self) -> Result<(), Fault> {
        if *self.peek() == Token::End || self.takes_word("pass") {
            return self.end();
        }
        if self.takes_word("import") {
            return self.import();
        }
        if self.takes_word("from") {
            return self.import_from();
        }
        match self.peek() {
            Token::Name(word) if STATEMENTS.contains(&word.as_str()) => Err(self.unread("here")),
            Token::Sign("@") => Err(self.unread("here")),
            Token::Name(_) if self.is_assignment() => self.assignment(),
            // What a module says of itself.
            Token::Text(_) => {
                self.take();
                self.end()
            }
            _ => self.call(),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Token::End => {
                self.take();
                Ok(())
            }
            _ => Err(self.unread("behind a whole statement")),
        }
    }

    /// `import a.b, c as d`.
    fn import(&mut self) -> Result<(), Fault> {
        loop {
            let path = self.path()?;
            let top = path.split('.').next().unwrap_or(&path).to_owned();
            let (name, means) = match self.takes_word("as") {
                true => (self.name()?, path),
                false => (top.clone(), top),
            };
            self.names.insert(name, Meaning::Path(means));
            if !self.takes(",") {
                return self.end();
            }
        }
    }

    /// `from a.b import c, d as e`.
    fn import_from(&mut self) -> Result<(), Fault> {
        if matches!(self.peek(), Token::Sign(".")) {
            return Err(self.fault(
                "a relative import does not say which module it means: write the whole path, such as `from app.tasks import ..`",
            ));
        }
        let module = self.path()?;
        if !self.takes_word("import") {
            return Err(self.unread("where `import` is expected"));
        }
        if matches!(self.peek(), Token::Sign("*")) {
            return Err(self.fault("an import of everything does not say what: write the names"));
        }
        let is_bracketed = self.takes("(");
        loop {
            let imported = self.name()?;
            let name = if self.takes_word("as") { self.name()? } else { imported.clone() };
            self.names.insert(name, Meaning::Path(format!("{module}.{imported}")));
            let goes_on = self.takes(",");
            if is_bracketed && self.takes(")") || !goes_on && !is_bracketed {
                return self.end();
            }
            if !goes_on {
                return Err(self.unread("where `)` is expected"));
            }
        }
    }

    /// A dotted path.
    fn path(&mut self) -> Result<String, Fault> {
        let mut path = self.name()?;
        while self.takes(".") {
            path = format!("{path}.{}", self.name()?);
        }
        Ok(path)
    }

    pub(super) fn name(&mut self) -> Result<String, Fault> {
        match self.peek() {
            Token::Name(_) => match self.take() {
                Token::Name(name) => Ok(name),
                _ => Err(self.unread("where a name is expected")),
            },
            _ => Err(self.unread("where a name is expected")),
        }
    }

    /// Whether a name is followed by `=`, or by `:` and its type.
    fn is_assignment(&self) -> bool {
        matches!(self.tokens.get(self.at + 1), Some(next) if matches!(next.token, Token::Sign("=" | ":")))
    }

    /// `name = ..`, `name: type = ..`.
    fn assignment(&mut self) -> Result<(), Fault> {
        let name = self.name()?;
        if self.takes(":") {
            while !matches!(self.peek(), Token::Sign("=") | Token::End) {
                self.take();
            }
        }
        self.expect("=")?;
        match self.term()? {
            Term::Value(value) => {
                self.names.insert(name, Meaning::Value(value));
            }
            Term::Path(path) => {
                self.names.insert(name, Meaning::Path(path));
            }
            // What `register` returns is of no use here.
            Term::Registered => {
                self.names.remove(&name);
            }
        }
        self.end()
    }

    /// A statement that is a value: a call of `register`.
    fn call(&mut self) -> Result<(), Fault> {
        let line = self.line();
        match self.term()? {
            Term::Registered => self.end(),
            _ => Err(Fault::new(line, format!("only calls of `register` are read here: {INSTEAD}"))),
        }
    }

    /// The arguments of a call of `register`, behind its bracket.
    pub(super) fn register(&mut self, line: usize) -> Result<Term, Fault> {
        let mut draft = Draft::new(line, PARAMETERS);
        let mut parameters = Vec::new();
        for argument in self.arguments()? {
            let parameter = match argument.name {
                Ok(name) => name,
                Err(place) => match PARAMETERS.get(place) {
                    Some((name, _)) => (*name).to_owned(),
                    None => return Err(Fault::new(argument.line, "`register` has 13 parameters")),
                },
            };
            let value = match argument.term {
                Term::Path(path) if parameter == "func" => Value::Str(path),
                term => term.value(argument.line)?,
            };
            if !means_nothing(&parameter, &value) {
                draft.set(&parameter, argument.line, value)?;
            }
            parameters.push(parameter);
        }
        if let Some(missing) =
            NEEDED.into_iter().find(|needed| !parameters.iter().any(|given| given == needed))
        {
            return Err(Fault::new(line, format!("`register` needs a `{missing}`")));
        }
        self.drafts.push(draft);
        Ok(Term::Registered)
    }
}

/// Whether RQ takes `value` as if it were not given.
fn means_nothing(parameter: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Int(0) => parameter == "interval",
        Value::Str(text) => text.is_empty() && matches!(parameter, "cron" | "name"),
        _ => false,
    }
}
