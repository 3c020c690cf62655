//! The statements that are read: imports, assignments, and calls.

use rq_wire::Value;

use super::Term;
use super::reader::Reader;
use super::token::Token;
use crate::Fault;

/// The words that statements begin with, and lines of blocks. Those that may be names as well, such as `match`, are not
/// among them.
pub(super) const STATEMENTS: [&str; 21] = [
    "if", "elif", "else", "for", "while", "def", "class", "with", "try", "except", "finally", "async",
    "await", "return", "raise", "del", "global", "nonlocal", "assert", "lambda", "yield",
];
/// Assignments that change what was there.
const AUGMENTED: [&str; 4] = ["+=", "-=", "*=", "/="];

impl Reader<'_> {
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
            Token::Name(_) if self.is_before(&["=", ":"]) => self.assignment(),
            Token::Name(_) if self.is_before(&[","]) => Err(self.refused(
                self.line(),
                "several names at once are not assigned to here; write a line for each",
            )),
            _ => self.expression(),
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
            let line = self.line();
            let path = self.path()?;
            let top = path.split('.').next().unwrap_or(&path).to_owned();
            let (name, means) = match self.takes_word("as") {
                true => (self.name()?, path),
                false => (top.clone(), top),
            };
            self.assign(name, line, Term::Path(means));
            if !self.takes(",") {
                return self.end();
            }
        }
    }

    /// `from a.b import c, d as e`.
    fn import_from(&mut self) -> Result<(), Fault> {
        if matches!(self.peek(), Token::Sign(".")) {
            if let Some(instead) = self.dialect.instead_of_import() {
                return Err(self.fault(format!("a relative import is not read: {instead}")));
            }
            return Err(self.fault(
                "a relative import does not say which module it means: write the whole path, such as `from app.tasks import ..`",
            ));
        }
        let module = self.path()?;
        if !self.takes_word("import") {
            return Err(self.unread("where `import` is expected"));
        }
        if matches!(self.peek(), Token::Sign("*")) {
            if let Some(instead) = self.dialect.instead_of_import() {
                return Err(self.fault(format!("an import of everything is not read: {instead}")));
            }
            return Err(self.refused(
                self.line(),
                "an import of everything does not say what, and no other module is read: write the names",
            ));
        }
        let is_bracketed = self.takes("(");
        loop {
            let line = self.line();
            let imported = self.name()?;
            let path = format!("{module}.{imported}");
            self.count(1, path.len(), line, &imported)?;
            let name = if self.takes_word("as") { self.name()? } else { imported };
            self.assign(name, line, Term::Path(path));
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
            path.push('.');
            path.push_str(&self.name()?);
        }
        Ok(path)
    }

    /// `name = ..`, `name: type = ..`, `name: type`, `name = other = ..`.
    fn assignment(&mut self) -> Result<(), Fault> {
        let line = self.line();
        let name = self.name()?;
        let mut others = Vec::new();
        if self.takes(":") {
            self.skip_type();
            if *self.peek() == Token::End {
                return self.end();
            }
        }
        self.expect("=")?;
        while matches!(self.peek(), Token::Name(_)) && self.is_before(&["="]) {
            let line = self.line();
            others.push((self.name()?, line));
            self.expect("=")?;
        }
        let term = self.listed_term()?;
        self.assign(name.clone(), line, term);
        for (other, line) in others {
            if let Some(term) = self.named(&name, line)? {
                self.assign(other, line, term);
            }
        }
        self.end()
    }

    /// Goes past the type of a name.
    fn skip_type(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Token::End => return,
                Token::Sign("=") if depth == 0 => return,
                Token::Sign("(" | "[" | "{") => depth += 1,
                Token::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.take();
        }
    }

    /// A statement that is a value: a call, or a text.
    fn expression(&mut self) -> Result<(), Fault> {
        let line = self.line();
        let term = self.term()?;
        match (term, self.peek()) {
            (_, Token::Sign("=")) => Err(self.refused(
                line,
                "only names are assigned to here, and what is within something else is left as it is",
            )),
            (_, Token::Sign(sign)) if AUGMENTED.contains(sign) => {
                Err(self.refused(line, &format!("`{sign}` is not read here; write the whole value")))
            }
            (Term::Nothing(_), _) => self.end(),
            // What a module says of itself.
            (Term::Value(Value::Str(_)), Token::End) => self.end(),
            _ => Err(self.refused(line, &format!("only {} are read here", self.dialect.statements()))),
        }
    }
}
