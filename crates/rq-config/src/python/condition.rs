//! What is decided between values: `A if B else C`, `or`, `and`, `not`, and comparisons.

use rq_wire::Value;

use super::Term;
use super::comparison::Comparison;
use super::reader::Reader;
use super::token::Token;
use crate::Fault;

impl Reader<'_> {
    /// A value, or one of two by a condition.
    pub(super) fn term(&mut self) -> Result<Term, Fault> {
        self.deeper()?;
        let term = match self.condition() {
            Some(at) => self.conditional(at)?,
            None => self.alternatives()?,
        };
        self.depth -= 1;
        Ok(term)
    }

    /// `A if B else C`, whose `if` is at `condition`. Python begins with `B`, and gets to one of the others alone.
    fn conditional(&mut self, condition: usize) -> Result<Term, Fault> {
        let first = std::mem::replace(&mut self.at, condition + 1);
        let line = self.line();
        let decides = self.alternatives()?;
        let is_first = self.as_value(decides, line)?.is_true();
        let behind = std::mem::replace(&mut self.at, first);
        let one = self.skipping(!is_first, Reader::alternatives)?;
        if self.at != condition {
            return Err(self.unread("before `if`"));
        }
        self.at = behind;
        if !self.takes_word("else") {
            return Err(self.unread("where `else` is expected"));
        }
        let other = self.skipping(is_first, Reader::term)?;
        Ok(if is_first { one } else { other })
    }

    fn alternatives(&mut self) -> Result<Term, Fault> {
        self.joined("or", true, |reader| reader.joined("and", false, Reader::negation))
    }

    /// Values between `word`: the first that is true, or that is not, as `decides` says; else the last one.
    fn joined(
        &mut self,
        word: &str,
        decides: bool,
        next: impl Fn(&mut Self) -> Result<Term, Fault>,
    ) -> Result<Term, Fault> {
        let line = self.line();
        let mut term = next(self)?;
        while self.takes_word(word) {
            let left = self.as_value(term, line)?;
            let is_decided = left.is_true() == decides;
            let line = self.line();
            let right = self.skipping(is_decided, &next)?;
            let right = self.as_value(right, line)?;
            term = Term::Value(if is_decided { left } else { right });
        }
        Ok(term)
    }

    fn negation(&mut self) -> Result<Term, Fault> {
        let mut nots = 0_usize;
        while self.takes_word("not") {
            nots += 1;
        }
        let line = self.line();
        let term = self.compared()?;
        if nots == 0 {
            return Ok(term);
        }
        let is_true = self.as_value(term, line)?.is_true();
        Ok(Term::Value(Value::Bool(is_true == nots.is_multiple_of(2))))
    }

    /// A sum, or whether comparisons hold: `a == b in c` is `a == b and b in c`.
    fn compared(&mut self) -> Result<Term, Fault> {
        let mut line = self.line();
        let mut left = self.sum()?;
        let mut holds = None;
        while let Some(comparison) = self.comparison() {
            let value = self.as_value(left, line)?;
            line = self.line();
            let is_decided = holds == Some(false);
            left = self.skipping(is_decided, Reader::sum)?;
            let right = self.as_value(left.clone(), line)?;
            if !is_decided && !self.is_skipped {
                let reason = |reason: String| self.refused(line, &reason);
                holds = Some(comparison.holds(&value, &right).map_err(reason)?);
            } else {
                holds = Some(false);
            }
        }
        Ok(holds.map_or(left, |holds| Term::Value(Value::Bool(holds))))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let next = self.tokens.get(self.at + 1).map(|placed| &placed.token);
        let comparison = match self.peek() {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::Unequal,
            Token::Name(word) if word == "in" => Comparison::In,
            Token::Name(word) if word == "not" && matches!(next, Some(Token::Name(next)) if next == "in") => {
                self.take();
                Comparison::NotIn
            }
            _ => return None,
        };
        self.take();
        Some(comparison)
    }
}
