//! [`Field`]: the values that one field of an expression names, by croniter's rules.

use std::fmt;

/// Which field of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    Weekday,
    Second,
    Year,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// What a weekday's field has for Sunday, beside 0.
const SUNDAY_TOO: u16 = 7;

impl FieldKind {
    /// Its place in an expression.
    pub(super) fn place(self) -> usize {
        self as usize
    }

    /// What errors call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            FieldKind::Minute => "minute",
            FieldKind::Hour => "hour",
            FieldKind::DayOfMonth => "day of month",
            FieldKind::Month => "month",
            FieldKind::Weekday => "weekday",
            FieldKind::Second => "second",
            FieldKind::Year => "year",
        }
    }

    /// Its least and its greatest value.
    pub(super) fn bounds(self) -> (u16, u16) {
        match self {
            FieldKind::Minute | FieldKind::Second => (0, 59),
            FieldKind::Hour => (0, 23),
            FieldKind::DayOfMonth => (1, 31),
            FieldKind::Month => (1, 12),
            FieldKind::Weekday => (0, 6),
            FieldKind::Year => (1970, 2099),
        }
    }

    /// What a field means that is not there: second 0 of any year.
    pub(super) fn when_left_out(self) -> Field {
        let values = if self == FieldKind::Second { Values::Some(vec![0]) } else { Values::All };
        Field { values, has_star: false }
    }

    /// The names of its values, from the least on.
    fn names(self) -> &'static [&'static str] {
        match self {
            FieldKind::Month => &MONTHS,
            FieldKind::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }
}

/// What is wrong with a part of a field.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) item: String,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn new(item: &str, reason: impl Into<String>) -> Fault {
        Fault { item: item.to_owned(), reason: reason.into() }
    }
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Those of a plain `*`.
    All,
    /// These, in order, each once.
    Some(Vec<u16>),
}

/// The values that one field names.
#[derive(Clone, Debug)]
pub(super) struct Field {
    values: Values,
    has_star: bool,
}

impl Field {
    pub(super) fn parse(kind: FieldKind, text: &str) -> Result<Field, Fault> {
        let mut named = Vec::new();
        let mut is_all = false;
        for item in text.split(',') {
            match item {
                "*" => is_all = true,
                item => named.extend(values(kind, item)?),
            }
        }
        named.sort_unstable();
        named.dedup();
        let values = if is_all { Values::All } else { Values::Some(named) };
        Ok(Field { values, has_star: text.contains('*') })
    }

    /// One that names no value.
    pub(super) fn none() -> Field {
        Field { values: Values::Some(Vec::new()), has_star: false }
    }

    /// Whether it is written with a star, alone or with a step.
    pub(super) fn has_star(&self) -> bool {
        self.has_star
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// Whether `value` is one of its values.
    pub(super) fn holds(&self, value: u16) -> bool {
        match &self.values {
            Values::All => true,
            Values::Some(values) => values.contains(&value),
        }
    }
}

impl fmt::Display for Field {
    /// `*`, or its values with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Values::All => f.write_str("*"),
            Values::Some(values) => {
                let values: Vec<String> = values.iter().map(u16::to_string).collect();
                f.write_str(&values.join(","))
            }
        }
    }
}

/// What one item names: `5`, `mon`, `1-5`, `*/5`, `10/5` (from 10 on), `1-30/5`.
pub(super) fn values(kind: FieldKind, item: &str) -> Result<Vec<u16>, Fault> {
    let fault = |reason: String| Fault::new(item, reason);
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(self::step(kind, step).map_err(fault)?)),
        None => (item, None),
    };
    let (least, most) = kind.bounds();
    if range == "*" {
        return Ok(stepped(least, most, step.unwrap_or(1)));
    }
    if let Some((low, high)) = range.split_once('-') {
        let low = value(kind, low).map_err(fault)? % wrap(kind);
        let high = last_value(kind, high).map_err(fault)?;
        return between(kind, low, high, step).map_err(fault);
    }
    let from = value(kind, range).map_err(fault)? % wrap(kind);
    match step {
        Some(step) => Ok(stepped(from, most, step)),
        None => Ok(vec![from]),
    }
}

/// The values from `low` to `high`, over the end of the field where `high` is the smaller one.
fn between(kind: FieldKind, low: u16, high: u16, step: Option<u16>) -> Result<Vec<u16>, String> {
    let (least, most) = kind.bounds();
    if low == high || low == high % wrap(kind) && high != SUNDAY_TOO {
        return Err(format!("which croniter takes for all values: write `{low}` for that alone, or `*`"));
    }
    if low <= high {
        return Ok(stepped(low, high, step.unwrap_or(1)).into_iter().map(|v| v % wrap(kind)).collect());
    }
    match step {
        None => Ok((low..=most).chain(least..=high).collect()),
        Some(_) => Err(format!(
            "a step over the end of the field: write it as two ranges, from {low} to {most} and from {least} to {high}"
        )),
    }
}

fn stepped(low: u16, high: u16, step: u16) -> Vec<u16> {
    (low..=high).step_by(usize::from(step)).collect()
}

/// What values are counted modulo: 7 and 0 are one weekday.
fn wrap(kind: FieldKind) -> u16 {
    if kind == FieldKind::Weekday { SUNDAY_TOO } else { u16::MAX }
}

/// The end of a range, which may be the last day of the month.
fn last_value(kind: FieldKind, text: &str) -> Result<u16, String> {
    match (kind, text) {
        (FieldKind::DayOfMonth, "l") => Ok(kind.bounds().1),
        _ => value(kind, text),
    }
}

/// A value by its number or its name; 7 is left as it is.
pub(super) fn value(kind: FieldKind, text: &str) -> Result<u16, String> {
    let (least, most) = kind.bounds();
    if let Some(place) = kind.names().iter().position(|name| *name == text) {
        return Ok(least + place as u16);
    }
    if matches!(text, "h" | "r") || text.starts_with("h(") || text.starts_with("r(") {
        return Err("a value that is drawn by lot: write the value".to_owned());
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("which is no value: write {}", expected(kind)));
    }
    let most = if kind == FieldKind::Weekday { SUNDAY_TOO } else { most };
    match text.parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("which is not in {least}-{most}")),
    }
}

/// What a field's values look like.
fn expected(kind: FieldKind) -> String {
    let (least, most) = kind.bounds();
    match kind.names() {
        [first, .., last] => format!("{least}-{most} or {first}-{last}"),
        _ => format!("{least}-{most}"),
    }
}

fn step(kind: FieldKind, text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.trim_start_matches('0') {
        "" => Err("a step of nothing: write 1 or more behind the `/`".to_owned()),
        // A step beyond the field's end names its first value alone.
        _ if is_number => Ok(text.parse().unwrap_or(u16::MAX)),
        _ => Err(format!(
            "whose step is no number: write one behind the `/`, such as `*/{}`",
            kind.bounds().0 + 2
        )),
    }
}
