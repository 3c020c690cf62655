//! [`Document`]: a file in TOML, each value with its line.

use std::time::Duration;

use jiff::civil;
use jiff::tz::Offset;
use rq_wire::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset as TomlOffset};

use crate::words::plain;
use crate::{DEPTH_MAX, FILE_BYTES_MAX, Fault};

/// A file, of which only what is taken is looked at: the rest may be another program's.
#[derive(Debug)]
pub struct Document<'a> {
    lines: Lines,
    /// What has not been taken, in its order: words, their lines, what is said of them.
    rest: Vec<(String, usize, Spanned<DeValue<'a>>)>,
}

/// A table, its keys in their order. Those of two words may be written with `-` or `_`.
#[derive(Debug, Default, PartialEq)]
pub struct Table {
    /// Where it begins.
    pub line: usize,
    given: Vec<Given>,
}

/// What is said of a key.
#[derive(Debug, PartialEq)]
pub struct Given {
    /// The key as it was written.
    pub word: String,
    /// Where the key is.
    pub line: usize,
    /// What is said of it.
    pub value: Item,
}

/// A value as it was written.
#[derive(Debug, PartialEq)]
pub enum Item {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`.
    Truth(bool),
    /// A date, a time, or both.
    Moment(Value),
    /// A list, or tables of one name.
    List(Vec<Item>),
    /// A table.
    Table(Table),
}

impl<'a> Document<'a> {
    /// Reads what has the form of TOML.
    pub fn parse(text: &'a str) -> Result<Document<'a>, Fault> {
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(Fault::new(1, format!("the file has more than {FILE_BYTES_MAX} bytes")));
        }
        let lines = Lines::new(text);
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Fault::new(lines.of(at), error.message().replace('\n', "; "))
        })?;
        let mut pairs: Vec<_> = table.into_inner().into_iter().collect();
        pairs.sort_by_key(|(word, _)| word.span().start);
        let rest = pairs.into_iter().map(|(word, value)| {
            let line = lines.of(word.span().start);
            (word.into_inner().into_owned(), line, value)
        });
        Ok(Document { rest: rest.collect(), lines })
    }

    /// Takes what is said of a key out, if anything is.
    pub fn take(&mut self, word: &str) -> Result<Option<Given>, Fault> {
        let Some(at) = self.rest.iter().position(|(given, ..)| plain(given) == word) else { return Ok(None) };
        let (word, line, value) = self.rest.remove(at);
        Ok(Some(Given { word, line, value: self.lines.item(&value, 0)? }))
    }

    /// The keys that have not been taken, and their lines.
    pub fn rest(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rest.iter().map(|(word, line, _)| (word.as_str(), *line))
    }
}

/// The lines of a text: where each ends.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a place.
    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }

    fn table(&self, line: usize, table: &DeTable<'_>, depth: usize) -> Result<Table, Fault> {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(word, _)| word.span().start);
        let given = pairs.into_iter().map(|(word, value)| {
            let (line, word) = (self.of(word.span().start), word.get_ref().clone().into_owned());
            Ok(Given { word, line, value: self.item(value, depth)? })
        });
        Ok(Table { line, given: given.collect::<Result<_, Fault>>()? })
    }

    fn item(&self, place: &Spanned<DeValue<'_>>, depth: usize) -> Result<Item, Fault> {
        let line = self.of(place.span().start);
        if depth > DEPTH_MAX {
            return Err(Fault::new(line, format!("more than {DEPTH_MAX} values are within each other")));
        }
        Ok(match place.get_ref() {
            DeValue::String(text) => Item::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                Item::Integer(number.map_err(|_| Fault::new(line, "the number is too large"))?)
            }
            DeValue::Float(digits) => {
                let number = digits.as_str().parse();
                Item::Float(number.map_err(|_| Fault::new(line, "the number cannot be read"))?)
            }
            DeValue::Boolean(truth) => Item::Truth(*truth),
            DeValue::Datetime(written) => {
                let moment = moment(written);
                Item::Moment(moment.ok_or_else(|| Fault::new(line, "there is no such date or time"))?)
            }
            DeValue::Array(values) => {
                let items = values.iter().map(|value| self.item(value, depth + 1));
                Item::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Item::Table(self.table(line, table, depth + 1)?),
        })
    }
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

impl Table {
    /// Takes what is said of a key out, if anything is.
    pub fn take(&mut self, word: &str) -> Option<Given> {
        let at = self.given.iter().position(|given| plain(&given.word) == word)?;
        Some(self.given.remove(at))
    }

    /// What has not been taken.
    pub fn rest(self) -> Vec<Given> {
        self.given
    }

    /// That no key is there in both ways of writing it.
    pub fn check_keys(&self) -> Result<(), Fault> {
        let mut known = std::collections::HashSet::new();
        match self.given.iter().find(|given| !known.insert(plain(&given.word))) {
            Some(given) => Err(given.twice()),
            None => Ok(()),
        }
    }
}

impl Item {
    /// What it is to a job or a setting.
    pub fn into_value(self) -> Value {
        match self {
            Item::Text(text) => Value::Str(text),
            Item::Integer(number) => Value::Int(number),
            Item::Float(number) => Value::Float(number),
            Item::Truth(truth) => Value::Bool(truth),
            Item::Moment(moment) => moment,
            Item::List(items) => Value::List(items.into_iter().map(Item::into_value).collect()),
            Item::Table(table) => {
                let pair = |given: Given| (Value::Str(given.word), given.value.into_value());
                Value::Dict(table.given.into_iter().map(pair).collect())
            }
        }
    }
}

impl Given {
    /// What is wrong with it.
    pub fn fault(&self, reason: impl std::fmt::Display) -> Fault {
        Fault::new(self.line, format!("`{}` cannot be used: {reason}", self.word))
    }

    pub(crate) fn twice(&self) -> Fault {
        Fault::new(self.line, format!("`{}` is given twice", self.word))
    }

    /// It as a text.
    pub fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Item::Text(text) => Ok(text),
            _ => Err(self.fault("it is no text")),
        }
    }

    /// It as a list of texts.
    pub fn texts(&self) -> Result<Vec<String>, Fault> {
        let Item::List(values) = &self.value else { return Err(self.fault("it is no list of texts")) };
        let texts = values.iter().map(|value| match value {
            Item::Text(text) => Ok(text.clone()),
            _ => Err(self.fault("it is no list of texts")),
        });
        texts.collect()
    }

    /// A whole number, `min` at least and `max` at most.
    pub fn number(&self, min: u64, max: u64) -> Result<u64, Fault> {
        let number = match &self.value {
            Item::Integer(number) => u64::try_from(*number).ok(),
            _ => return Err(self.fault("it is no whole number")),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.fault(format_args!("it must be {min} to {max}"))),
        }
    }

    /// Seconds, a fraction of one at least and `max_s` at most.
    pub fn seconds(&self, max_s: i64) -> Result<Duration, Fault> {
        let seconds = match &self.value {
            Item::Integer(number) => *number as f64,
            Item::Float(number) => *number,
            _ => return Err(self.fault("it is no number of seconds")),
        };
        match seconds > 0.0 && seconds <= max_s as f64 {
            true => Ok(Duration::from_secs_f64(seconds)),
            false => Err(self.fault(format_args!("it must be more than 0, and at most {max_s}"))),
        }
    }

    /// [`seconds`](Given::seconds), or -1 for no limit.
    pub fn limit(&self, max_s: i64) -> Result<Option<Duration>, Fault> {
        if self.value == Item::Integer(-1) { Ok(None) } else { self.seconds(max_s).map(Some) }
    }

    /// It as a table.
    pub fn table(self) -> Result<Table, Fault> {
        match self.value {
            Item::Table(table) => Ok(table),
            _ => Err(self.fault("it is no table")),
        }
    }
}

#[cfg(test)]
mod tests;
