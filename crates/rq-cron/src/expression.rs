//! [`Expression`]: times of the calendar, in the words of RQ's users.

mod days;
mod error;
mod field;

use std::fmt;
use std::str::FromStr;

use croner::Cron as Pattern;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;

pub use error::ExpressionError;

use days::Days;
use field::{Field, FieldKind};

/// What stands for a whole expression, as croniter has them.
const ALIASES: [(&str, &str); 7] = [
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
/// A time before all those that an expression can name, its years being 1970 to 2099.
const BEFORE_ALL: DateTime = DateTime::constant(1969, 12, 31, 23, 59, 59, 0);

/// Times of the calendar, such as `0 3 * * *`: RQ's cron strings, read as croniter reads them.
///
/// Five fields, `minute hour day-of-month month weekday`; a sixth one is the second, a seventh the year. A day counts
/// when the day of the month *or* the weekday says so, if neither is `*`. docs/cron.md has the whole syntax, and the
/// few things that croniter takes and this refuses.
///
/// ```
/// use rq_cron::Expression;
/// let workdays: Expression = "30 6 * * mon-fri".parse()?;
/// assert_eq!(workdays.to_string(), "30 6 * * mon-fri");
/// let refused = "61 * * * *".parse::<Expression>().unwrap_err();
/// assert_eq!(refused.to_string(), "`61 * * * *` is no time: its minute has 61, which is not in 0-59");
/// # Ok::<(), rq_cron::ExpressionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    pattern: Box<Pattern>,
    is_fixed: bool,
}

impl Expression {
    /// Reads an expression, and refuses one that is never due.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let lower = text.to_lowercase();
        let fields = split(text, &lower)?;
        let read = |kind: FieldKind| match fields.get(kind.place()) {
            Some(field) => Field::parse(kind, field).map_err(|fault| fault.of(text, kind)),
            None => Ok(kind.when_left_out()),
        };
        let [minute, hour] = [read(FieldKind::Minute)?, read(FieldKind::Hour)?];
        let days = Days::parse(&fields).map_err(|(fault, kind)| fault.of(text, kind))?;
        let [month, second] = [read(FieldKind::Month)?, read(FieldKind::Second)?];
        let year = read(FieldKind::Year)?;
        if days.are_none_in(&month) {
            return Err(ExpressionError::NeverDue { expression: text.to_owned() });
        }
        let is_fixed = ![&minute, &hour, &second].iter().any(|field| field.has_star());
        let dialect = format!("{second} {minute} {hour} {} {month} {} {year}", days.of_month, days.of_week);
        let pattern = pattern(&dialect).map_err(|error| ExpressionError::Unread {
            expression: text.to_owned(),
            reason: error.to_string(),
        })?;
        let expression = Expression { text: text.to_owned(), pattern: Box::new(pattern), is_fixed };
        match expression.next_after(BEFORE_ALL) {
            Some(_) => Ok(expression),
            None => Err(ExpressionError::NeverDue { expression: text.to_owned() }),
        }
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `after` on a clock that is never put forward or back.
    pub(crate) fn next_after(&self, after: DateTime) -> Option<DateTime> {
        self.pattern.find_next_occurrence(&after, false).ok()
    }

    /// The first time at `from` or after it, on such a clock.
    pub(crate) fn next_from(&self, from: DateTime) -> Option<DateTime> {
        self.pattern.find_next_occurrence(&from, true).ok()
    }

    /// Whether it names times of the day, and not a rhythm: no `*` in its second, minute and hour.
    pub(crate) fn is_fixed(&self) -> bool {
        self.is_fixed
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Expression, ExpressionError> {
        Expression::parse(text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Two are the same that are written the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

/// The five to seven fields of an expression.
fn split<'a>(text: &str, lower: &'a str) -> Result<Vec<&'a str>, ExpressionError> {
    if lower.starts_with('@') {
        let meaning = ALIASES.iter().find(|(alias, _)| *alias == lower).map(|(_, meaning)| *meaning);
        let meaning = meaning.ok_or_else(|| ExpressionError::Alias { expression: text.to_owned() })?;
        return Ok(meaning.split(' ').collect());
    }
    let fields: Vec<&str> = lower.split_ascii_whitespace().collect();
    match fields.len() {
        5..=7 => Ok(fields),
        count => Err(ExpressionError::Fields { expression: text.to_owned(), count }),
    }
}

/// What finds the times: seconds first, and no names, ranges or steps, in which dialects differ.
fn pattern(dialect: &str) -> Result<Pattern, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Required).year(Year::Required).build().parse(dialect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(expression: &str, after: &str, count: usize) -> Vec<String> {
        let expression = Expression::parse(expression).unwrap();
        let mut at: DateTime = after.parse().unwrap();
        let mut step = || {
            at = expression.next_after(at)?;
            Some(at.to_string())
        };
        (0..count).map_while(|_| step()).collect()
    }

    fn first(expression: &str, after: &str) -> String {
        times(expression, after, 1).remove(0)
    }

    fn refused(expression: &str) -> String {
        Expression::parse(expression).expect_err(expression).to_string()
    }

    #[test]
    fn what_users_write_is_due_when_they_mean() {
        for (expression, due) in [
            ("* * * * *", "2026-11-28T15:01:00"),
            ("*/5 * * * *", "2026-11-28T15:05:00"),
            ("0 3 * * *", "2026-11-29T03:00:00"),
            ("30 6 * * mon-fri", "2026-11-30T06:30:00"),
            ("30 6 * * MON-FRI", "2026-11-30T06:30:00"),
            ("0 0 1 jan *", "2027-01-01T00:00:00"),
            ("0 0 l * *", "2026-11-30T00:00:00"),
            ("0 0 * * l5", "2027-01-29T00:00:00"),
            ("0 0 * * 2#2", "2026-12-08T00:00:00"),
            ("0 0 * * tue#2", "2026-12-08T00:00:00"),
            ("0 0 15w * *", "2026-12-15T00:00:00"),
            ("0 0 * * 7", "2026-11-29T00:00:00"),
            ("0 0 * * fri-mon", "2026-11-29T00:00:00"),
            ("0 22-2 * * *", "2026-11-28T22:00:00"),
            ("50/5 * * * *", "2026-11-28T15:50:00"),
            ("@hourly", "2026-11-28T16:00:00"),
            ("@Weekly", "2026-11-29T00:00:00"),
            ("* * * * * */15", "2026-11-28T15:00:15"),
            ("0 0 1 1 * 0 2030", "2030-01-01T00:00:00"),
            ("0 0 ? * 1", "2026-11-30T00:00:00"),
            ("30 2 29 2 *", "2028-02-29T02:30:00"),
        ] {
            let due_then = if expression == "0 0 * * l5" {
                first(expression, "2026-12-28T15:00:00")
            } else {
                first(expression, "2026-11-28T15:00:00")
            };
            assert_eq!(due_then, due, "{expression}");
        }
    }

    #[test]
    fn a_day_counts_when_either_field_says_so() {
        let days = times("0 0 13 * 5", "2026-11-01T00:00:00", 5);
        let expected = ["06", "13", "20", "27"].map(|day| format!("2026-11-{day}T00:00:00"));
        assert_eq!(days[..4], expected);
        // A step is no star: both count, as croniter has it and Vixie's cron has not.
        assert_eq!(first("0 0 */2 * 1", "2026-11-01T00:00:00"), "2026-11-02T00:00:00");
    }

    #[test]
    fn short_months_have_no_31st() {
        let days = times("0 0 31 * *", "2026-01-31T00:00:00", 3);
        assert_eq!(days, ["2026-03-31T00:00:00", "2026-05-31T00:00:00", "2026-07-31T00:00:00"]);
    }

    #[test]
    fn a_leap_day_is_found_beyond_a_year_that_has_none() {
        assert_eq!(first("0 0 29 2 *", "2096-03-01T00:00:00"), "2104-02-29T00:00:00");
    }

    #[test]
    fn what_is_never_due_is_refused() {
        for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 29 2 * 0 2025", "0 0 30-31 feb *"] {
            assert!(refused(expression).contains("never"), "{expression}");
        }
        Expression::parse("0 0 30 2 1").expect("Mondays in February are days");
        Expression::parse("0 0 * 2 mon#5").expect("some leap years have five Mondays in February");
    }

    #[test]
    fn refusals_name_the_field_and_the_way_on() {
        for (expression, says) in [
            ("* * * *", "4 fields"),
            ("", "0 fields"),
            ("@reboot", "@hourly"),
            ("* 24 * * *", "hour has 24"),
            ("* * 0 * *", "day of month has 0"),
            ("* * * 13 *", "month has 13"),
            ("* * * * 8", "weekday has 8"),
            ("* * * * * 60", "second has 60"),
            ("* * * * * 0 1969", "year has 1969"),
            ("*/0 * * * *", "minute has */0"),
            ("5-5 * * * *", "write `5` for that alone, or `*`"),
            ("50-10/7 * * * *", "write it as two ranges"),
            ("h * * * *", "minute has h"),
            ("r * * * *", "minute has r"),
            ("* * 30w * *", "day of month has 30w"),
            ("* * 1 * 1#2", "weekday has 1#2"),
            ("* * 1w * 1", "day of month has 1w"),
            ("* * 26-24,l * */2", "an entry of its own for `L`"),
            ("* * * dec-0 *", "month has dec-0"),
            ("* * * * 1#2,3", "weekday has 3"),
            ("* * * * mon#6", "weekday has mon#6"),
            ("* * * monday *", "month has monday"),
            ("1,,2 * * * *", "minute has an empty place"),
        ] {
            let said = refused(expression);
            assert!(said.contains(says), "{expression}: {said}");
        }
    }
}
