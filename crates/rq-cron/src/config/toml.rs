//! The `[[cron]]` tables of `rq.toml`.

use std::borrow::Cow;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use ::toml::value::{Datetime, Offset as TomlOffset};
use jiff::civil;
use jiff::tz::Offset;
use rq_core::{Shown, Value};

use super::Fault;
use super::draft::{ALIKE, Draft, Key, Words};

const WORDS: Words = &[
    ("function", Key::Function),
    ("name", Key::Name),
    ("queue", Key::Queue),
    ("args", Key::Args),
    ("kwargs", Key::Kwargs),
    ("every", Key::Every),
    ("at", Key::At),
    ("zone", Key::Zone),
    ("overlap", Key::Overlap),
    ("catch_up", Key::CatchUp),
    ("timeout", Key::Timeout),
    ("result_ttl", Key::ResultTtl),
    ("ttl", Key::Ttl),
    ("failure_ttl", Key::FailureTtl),
    ("meta", Key::Meta),
    ("webhooks", Key::Webhooks),
    ("description", Key::Description),
];
/// The table of an entry.
const TABLE: &str = "cron";

type Place<'a, 'i> = &'a Spanned<DeValue<'i>>;

pub(super) fn drafts(text: &str) -> Result<Vec<Draft>, Fault> {
    let lines = Lines::new(text);
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Fault::new(lines.of(at), error.message().replace('\n', "; "))
    })?;
    let Some(tables) = document.get_ref().get(TABLE) else {
        if let Some(table) = near(&lines, document.get_ref()) {
            tracing::warn!("{table} is not read: did you mean [[{TABLE}]]?");
        }
        return Ok(Vec::new());
    };
    match tables.get_ref() {
        DeValue::Array(entries) => entries.iter().map(|entry| lines.draft(entry)).collect(),
        _ => Err(lines.fault(tables, "entries are written as tables of a list: [[cron]]")),
    }
}

/// A table that is called nearly as ours, and its line.
fn near(lines: &Lines, document: &DeTable<'_>) -> Option<String> {
    let is_near = |word: &str| strsim::jaro_winkler(word, TABLE) >= ALIKE;
    let (word, _) = in_order(document).into_iter().find(|(word, _)| is_near(word.get_ref()))?;
    Some(format!("`{}`, in line {}", Shown::name(word.get_ref()), lines.of(word.span().start)))
}

#[cfg(test)]
fn nearly_ours(text: &str) -> Option<String> {
    near(&Lines::new(text), DeTable::parse(text).ok()?.get_ref())
}

/// The lines of a text: where each ends.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a place.
    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }

    fn fault<T>(&self, place: &Spanned<T>, reason: impl Into<String>) -> Fault {
        Fault::new(self.of(place.span().start), reason)
    }

    fn draft(&self, entry: Place<'_, '_>) -> Result<Draft, Fault> {
        let DeValue::Table(table) = entry.get_ref() else {
            return Err(self.fault(entry, "entries are written as tables of a list: [[cron]]"));
        };
        let mut draft = Draft::new(self.of(entry.span().start), WORDS);
        for (word, value) in in_order(table) {
            draft.set(word.get_ref(), self.of(word.span().start), self.value(value)?)?;
        }
        Ok(draft)
    }

    fn value(&self, place: Place<'_, '_>) -> Result<Value, Fault> {
        Ok(match place.get_ref() {
            DeValue::String(text) => Value::Str(text.clone().into_owned()),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                Value::Int(number.map_err(|_| self.fault(place, "the number is too large"))?)
            }
            DeValue::Float(digits) => {
                let number = digits.as_str().parse();
                Value::Float(number.map_err(|_| self.fault(place, "the number cannot be read"))?)
            }
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(moment) => {
                self::moment(moment).ok_or_else(|| self.fault(place, "there is no such date or time"))?
            }
            DeValue::Array(values) => {
                Value::List(values.iter().map(|value| self.value(value)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => {
                let pair = |(word, value): (&Spanned<_>, _)| {
                    let word: &Cow<'_, str> = word.get_ref();
                    Ok((Value::Str(word.clone().into_owned()), self.value(value)?))
                };
                Value::Dict(in_order(table).into_iter().map(pair).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// The pairs of a table as they were written.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(word, _)| word.span().start);
    pairs
}

fn moment(written: &Datetime) -> Option<Value> {
    let small = |number: u8| i8::try_from(number).ok();
    let date = match written.date {
        Some(date) => Some(
            civil::Date::new(i16::try_from(date.year).ok()?, small(date.month)?, small(date.day)?).ok()?,
        ),
        None => None,
    };
    let time = match written.time {
        Some(time) => {
            let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
            let nanosecond = i32::try_from(nanosecond).ok()?;
            Some(civil::Time::new(small(time.hour)?, small(time.minute)?, small(second)?, nanosecond).ok()?)
        }
        None => None,
    };
    let offset = match written.offset {
        Some(TomlOffset::Z) => Some(Offset::UTC),
        Some(TomlOffset::Custom { minutes }) => Some(Offset::from_seconds(i32::from(minutes) * 60).ok()?),
        None => None,
    };
    match (date, time) {
        (Some(date), Some(time)) => Some(Value::DateTime { civil: date.to_datetime(time), offset }),
        (Some(date), None) => Some(Value::Date(date)),
        (None, time) => time.map(Value::Time),
    }
}

#[cfg(test)]
mod tests;
