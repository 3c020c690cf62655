//! [`ExpressionError`]: why a text is no [`Expression`](super::Expression).

use super::field::{Fault, FieldKind};

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// It has too few fields, or too many.
    #[error(
        "`{expression}` is no time: it has {count} fields; write five, `minute hour day-of-month month weekday`, and \
         the second behind them if you need one"
    )]
    Fields {
        /// What was written.
        expression: String,
        /// How many fields that has.
        count: usize,
    },
    /// A word that stands for no time.
    #[error(
        "`{expression}` is no time: the words are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
    )]
    Alias {
        /// What was written.
        expression: String,
    },
    /// One of its fields cannot be.
    #[error("`{expression}` is no time: its {field} has {item}, {reason}")]
    Field {
        /// What was written.
        expression: String,
        /// Which field: `minute`, `hour`, `day of month`, `month`, `weekday`, `second` or `year`.
        field: &'static str,
        /// The part of the field.
        item: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// No day is such a day: the 30th of February.
    #[error("`{expression}` is never due: no month and no year has such a day")]
    NeverDue {
        /// What was written.
        expression: String,
    },
    /// What finds the times does not take it.
    #[error("`{expression}` is no time: {reason}")]
    Unread {
        /// What was written.
        expression: String,
        /// What was said of it.
        reason: String,
    },
}

impl Fault {
    /// The error of the whole expression.
    pub(super) fn of(self, expression: &str, kind: FieldKind) -> ExpressionError {
        ExpressionError::Field {
            expression: expression.to_owned(),
            field: kind.name(),
            item: if self.item.is_empty() { "an empty place".to_owned() } else { self.item },
            reason: self.reason,
        }
    }
}
