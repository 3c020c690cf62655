//! [`Days`]: the two fields that name days, which count together.

use super::field::{Fault, Field, FieldKind, Values, value, values};

/// The most days of each month.
const MONTH_DAYS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Whose nearest working day croniter and croner find alike: in every month, or the last one of it.
const NEAREST: std::ops::RangeInclusive<u16> = 1..=28;
const LAST_DAY: u16 = 31;

/// The two fields that name days, for the pattern that finds them.
#[derive(Clone, Debug)]
pub(super) struct Days {
    /// The days of the month.
    pub(super) of_month: String,
    /// The weekdays.
    pub(super) of_week: String,
    /// The days of the month where nothing else names days.
    alone: Option<Vec<u16>>,
}

impl Days {
    pub(super) fn parse(fields: &[&str]) -> Result<Days, (Fault, FieldKind)> {
        let [of_month, of_week] =
            [FieldKind::DayOfMonth, FieldKind::Weekday].map(|kind| fields[kind.place()]);
        let month = OfMonth::parse(of_month).map_err(|fault| (fault, FieldKind::DayOfMonth))?;
        let week = OfWeek::parse(of_week).map_err(|fault| (fault, FieldKind::Weekday))?;
        if let (OfWeek::Counted(_), false) = (&week, month.is_all()) {
            return Err((
                Fault::new(of_week, "which croniter finds with no day of the month: write `*` for that"),
                FieldKind::Weekday,
            ));
        }
        if let (OfMonth::Nearest(_), false) = (&month, week.is_all()) {
            return Err((
                Fault::new(of_month, "which croniter finds with no weekday: write `*` for that"),
                FieldKind::DayOfMonth,
            ));
        }
        if month.is_full_by_mistake() && of_week.contains('*') {
            let reason = "which croniter takes for every day: write an entry of its own for `L`";
            return Err((Fault::new(of_month, reason), FieldKind::DayOfMonth));
        }
        // All the days that there are, beside a field with a star: croniter asks the other field alone.
        let month_text = if month.is_full() && of_week.contains('*') { "*".to_owned() } else { month.text() };
        let week_text = if week.is_full() && of_month.contains('*') { "*".to_owned() } else { week.text() };
        let alone = match (&month, week_text.as_str()) {
            (OfMonth::Days { days, has_last: false }, "*") if month_text != "*" => match days.values() {
                Values::Some(days) => Some(days.clone()),
                Values::All => None,
            },
            _ => None,
        };
        Ok(Days { of_month: month_text, of_week: week_text, alone })
    }

    /// Whether no month of `months` has such a day.
    pub(super) fn are_none_in(&self, months: &Field) -> bool {
        let Some(days) = &self.alone else { return false };
        let longest =
            (1..=12).zip(MONTH_DAYS).filter(|(month, _)| months.holds(*month)).map(|(_, days)| days).max();
        days.iter().all(|day| longest.is_none_or(|longest| *day > longest))
    }
}

/// The days of the month.
enum OfMonth {
    /// These days, and the last one if that is named.
    Days { days: Field, has_last: bool },
    /// The working day nearest to a day, in the pattern's words.
    Nearest(String),
}

impl OfMonth {
    fn parse(text: &str) -> Result<OfMonth, Fault> {
        if let Some(day) = nearest(text) {
            return OfMonth::nearest_to(text, day);
        }
        if let Some(item) = text.split(',').find(|item| nearest(item).is_some()) {
            return Err(Fault::new(
                item,
                "which must be alone in its field: write an entry of its own for it",
            ));
        }
        let text = if text == "?" { "*" } else { text };
        let (last, others): (Vec<&str>, Vec<&str>) = text.split(',').partition(|item| *item == "l");
        let has_last = !last.is_empty();
        let days = match others.is_empty() {
            true => Field::none(),
            false => Field::parse(FieldKind::DayOfMonth, &others.join(","))?,
        };
        Ok(OfMonth::Days { days, has_last })
    }

    fn nearest_to(text: &str, day: &str) -> Result<OfMonth, Fault> {
        match value(FieldKind::DayOfMonth, day).map_err(|reason| Fault::new(text, reason))? {
            day if NEAREST.contains(&day) => Ok(OfMonth::Nearest(format!("{day}W"))),
            LAST_DAY => Ok(OfMonth::Nearest("LW".to_owned())),
            _ => Err(Fault::new(
                text,
                "which is not in every month: write `28w`, or `31w` for the last working day",
            )),
        }
    }

    fn is_all(&self) -> bool {
        matches!(self, OfMonth::Days { days, .. } if *days.values() == Values::All)
    }

    fn is_full(&self) -> bool {
        matches!(self, OfMonth::Days { days, has_last: false } if is_full(days, 31))
    }

    /// Whether the last day and thirty others are named: croniter counts 31.
    fn is_full_by_mistake(&self) -> bool {
        matches!(self, OfMonth::Days { days, has_last: true } if is_full(days, 30))
    }

    fn text(&self) -> String {
        match self {
            OfMonth::Nearest(text) => text.clone(),
            OfMonth::Days { days, .. } if *days.values() == Values::All => "*".to_owned(),
            OfMonth::Days { days, has_last: false } => days.to_string(),
            OfMonth::Days { days, has_last: true } => format!("{days},L").trim_start_matches(',').to_owned(),
        }
    }
}

/// `15` of `15w` or `w15`.
fn nearest(item: &str) -> Option<&str> {
    let day = item.strip_suffix('w').or_else(|| item.strip_prefix('w'))?;
    (!day.is_empty() && day.bytes().all(|byte| byte.is_ascii_digit())).then_some(day)
}

/// The weekdays.
enum OfWeek {
    /// These.
    Weekdays(Field),
    /// Weekdays by their number in the month, in the pattern's words: the second Tuesday, the last Friday.
    Counted(String),
}

impl OfWeek {
    fn parse(text: &str) -> Result<OfWeek, Fault> {
        let text = if text == "?" { "*" } else { text };
        let items: Vec<&str> = text.split(',').collect();
        if !items.iter().any(|item| is_counted(item)) {
            return Ok(OfWeek::Weekdays(Field::parse(FieldKind::Weekday, text)?));
        }
        let mut counted = Vec::new();
        for item in items {
            if !is_counted(item) {
                return Err(Fault::new(
                    item,
                    "beside a weekday with a number: write an entry of its own for it",
                ));
            }
            counted.extend(in_month(item)?);
        }
        Ok(OfWeek::Counted(counted.join(",")))
    }

    fn is_all(&self) -> bool {
        matches!(self, OfWeek::Weekdays(days) if *days.values() == Values::All)
    }

    fn is_full(&self) -> bool {
        matches!(self, OfWeek::Weekdays(days) if is_full(days, 7))
    }

    fn text(&self) -> String {
        match self {
            OfWeek::Weekdays(days) => days.to_string(),
            OfWeek::Counted(text) => text.clone(),
        }
    }
}

fn is_full(field: &Field, count: usize) -> bool {
    matches!(field.values(), Values::Some(values) if values.len() == count)
}

/// Whether it is `2#1`, or `l5`.
fn is_counted(item: &str) -> bool {
    item.contains('#')
        || item.strip_prefix('l').is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()))
}

/// `tue#2` is `2#2`, and `l5` is `5L`.
fn in_month(item: &str) -> Result<Vec<String>, Fault> {
    let fault = |fault: Fault| Fault::new(item, fault.reason);
    let Some((days, number)) = item.split_once('#') else {
        let days = values(FieldKind::Weekday, &item[1..]).map_err(fault)?;
        return Ok(days.iter().map(|day| format!("{day}L")).collect());
    };
    if !matches!(number, "1" | "2" | "3" | "4" | "5") {
        return Err(Fault::new(item, "whose number is not in 1-5"));
    }
    let days = values(FieldKind::Weekday, days).map_err(fault)?;
    Ok(days.iter().map(|day| format!("{day}#{number}")).collect())
}
