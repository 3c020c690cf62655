//! What is reckoned with values: whole numbers, and texts and lists that are joined.

use rq_wire::Value;

use super::Term;
use super::reader::Reader;
use super::token::Token;
use crate::Fault;

impl Reader<'_> {
    /// A sum of products.
    pub(super) fn sum(&mut self) -> Result<Term, Fault> {
        let mut sum = self.product()?;
        while let Token::Sign(sign @ ("+" | "-")) = *self.peek() {
            sum = self.operated(sum, sign, Reader::product)?;
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Term, Fault> {
        let mut product = self.signed()?;
        while let Token::Sign(sign @ ("*" | "//" | "%")) = *self.peek() {
            product = self.operated(product, sign, Reader::signed)?;
        }
        Ok(product)
    }

    /// Takes the sign and what is behind it.
    fn operated(
        &mut self,
        left: Term,
        sign: &str,
        next: impl Fn(&mut Self) -> Result<Term, Fault>,
    ) -> Result<Term, Fault> {
        let line = self.line();
        self.take();
        match (left, next(self)?) {
            (Term::Value(left), Term::Value(right)) => {
                let value = self.reckoned(operated(left, sign, right, line))?;
                Ok(Term::Value(value))
            }
            _ => Err(Fault::new(line, only_numbers(sign))),
        }
    }

    fn signed(&mut self) -> Result<Term, Fault> {
        let line = self.line();
        let is_negative = self.takes("-");
        if !is_negative && !self.takes("+") {
            return self.single();
        }
        match self.single()? {
            Term::Value(value) => Ok(Term::Value(self.reckoned(with_sign(is_negative, value, line))?)),
            _ => Err(Fault::new(line, NO_NUMBER)),
        }
    }
}

const NO_NUMBER: &str = "a sign is read before a number alone";

fn only_numbers(sign: &str) -> String {
    format!("`{sign}` is read between whole numbers alone: write out what it gives")
}

fn with_sign(is_negative: bool, value: Value, line: usize) -> Result<Value, Fault> {
    match value {
        Value::Int(number) if is_negative => match number.checked_neg() {
            Some(number) => Ok(Value::Int(number)),
            None => Err(Fault::new(line, "`-` gives no number of 64 bits here")),
        },
        Value::Float(number) if is_negative => Ok(Value::Float(-number)),
        Value::Int(_) | Value::Float(_) => Ok(value),
        _ => Err(Fault::new(line, NO_NUMBER)),
    }
}

fn operated(left: Value, sign: &str, right: Value, line: usize) -> Result<Value, Fault> {
    let (left, right) = match (left, right) {
        (Value::Int(left), Value::Int(right)) => (left, right),
        (Value::Str(left), Value::Str(right)) if sign == "+" => return Ok(Value::Str(left + &right)),
        (Value::List(mut left), Value::List(right)) if sign == "+" => {
            left.extend(right);
            return Ok(Value::List(left));
        }
        (Value::Str(_), _) | (_, Value::Str(_)) if sign == "+" => {
            return Err(Fault::new(line, "`+` joins two texts, and not a text and something else"));
        }
        _ => return Err(Fault::new(line, only_numbers(sign))),
    };
    let number = match sign {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        // Python rounds down, and its remainder has the sign of the divisor.
        "//" => left.checked_div(right).map(|quotient| quotient - i64::from(is_cut(left, right))),
        _ => left.checked_rem(right).map(|rest| if is_cut(left, right) { rest + right } else { rest }),
    };
    let number = number.map(Value::Int);
    number.ok_or_else(|| Fault::new(line, format!("`{sign}` gives no number of 64 bits here")))
}

/// Whether a division that cuts off is one more than one that rounds down.
fn is_cut(left: i64, right: i64) -> bool {
    left % right != 0 && (left < 0) != (right < 0)
}
