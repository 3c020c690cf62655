//! A file in TOML: each value with its line, and what is wrong in a line.

use strsim::jaro_winkler;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How alike an unknown key and one we know must be for the one to be meant.
const ALIKE: f64 = 0.8;

/// What is wrong in a line.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

impl Fault {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Fault {
        Fault { line, reason: reason.into() }
    }
}

/// A value as it was written.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Truth(bool),
    List(Vec<Value>),
    Table(Table),
}

/// What is said of a key.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    /// As it was written.
    pub(super) word: String,
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A table, its keys in their order. Those of two words may be written with `-` or `_`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) line: usize,
    given: Vec<Given>,
}

/// A key as it is looked for: with `_`.
pub(super) fn plain(word: &str) -> String {
    word.replace('-', "_")
}

/// The table that a whole file is.
pub(super) fn read(text: &str) -> Result<Table, Fault> {
    let lines = Lines::new(text);
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Fault::new(lines.of(at), error.message().replace('\n', "; "))
    })?;
    lines.table(1, document.get_ref())
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

    fn table(&self, line: usize, table: &DeTable<'_>) -> Result<Table, Fault> {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(word, _)| word.span().start);
        let given = pairs.into_iter().map(|(word, value)| {
            let (line, word) = (self.of(word.span().start), word.get_ref().clone().into_owned());
            Ok(Given { word, line, value: self.value(value)? })
        });
        Ok(Table { line, given: given.collect::<Result<_, Fault>>()? })
    }

    fn value(&self, place: &Spanned<DeValue<'_>>) -> Result<Value, Fault> {
        let line = self.of(place.span().start);
        Ok(match place.get_ref() {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                Value::Integer(number.map_err(|_| Fault::new(line, "the number is too large"))?)
            }
            DeValue::Float(digits) => {
                let number = digits.as_str().parse();
                Value::Float(number.map_err(|_| Fault::new(line, "the number cannot be read"))?)
            }
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Datetime(_) => return Err(Fault::new(line, "a date has no meaning here")),
            DeValue::Array(values) => {
                Value::List(values.iter().map(|value| self.value(value)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::Table(self.table(line, table)?),
        })
    }
}

impl Table {
    /// Takes what is said of a key out, if anything is.
    pub(super) fn take(&mut self, word: &str) -> Option<Given> {
        let at = self.given.iter().position(|given| plain(&given.word) == word)?;
        Some(self.given.remove(at))
    }

    /// What has not been taken.
    pub(super) fn rest(self) -> Vec<Given> {
        self.given
    }

    /// That no key is there in both ways of writing it.
    pub(super) fn check_keys(&self) -> Result<(), Fault> {
        for (at, given) in self.given.iter().enumerate() {
            if self.given[..at].iter().any(|other| plain(&other.word) == plain(&given.word)) {
                return Err(Fault::new(given.line, format!("`{}` is given twice", given.word)));
            }
        }
        Ok(())
    }
}

impl Given {
    /// What is wrong with it.
    pub(super) fn fault(&self, reason: impl std::fmt::Display) -> Fault {
        Fault::new(self.line, format!("`{}` cannot be used: {reason}", self.word))
    }

    pub(super) fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.fault("it is no text")),
        }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, Fault> {
        let Value::List(values) = &self.value else { return Err(self.fault("it is no list of texts")) };
        let texts = values.iter().map(|value| match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.fault("it is no list of texts")),
        });
        texts.collect()
    }

    /// A whole number, `min` at least and `max` at most.
    pub(super) fn number(&self, min: u64, max: u64) -> Result<u64, Fault> {
        let number = match &self.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => return Err(self.fault("it is no whole number")),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.fault(format_args!("it must be {min} to {max}"))),
        }
    }

    /// Seconds, a fraction of one at least.
    pub(super) fn seconds(&self) -> Result<std::time::Duration, Fault> {
        let seconds = match &self.value {
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return Err(self.fault("it is no number of seconds")),
        };
        let max_s = rq_worker::number::SECONDS_MAX;
        match seconds > 0.0 && seconds <= max_s as f64 {
            true => Ok(std::time::Duration::from_secs_f64(seconds)),
            false => Err(self.fault(format_args!("it must be more than 0, and at most {max_s}"))),
        }
    }

    /// [`seconds`](Given::seconds), or -1 for no limit.
    pub(super) fn limit(&self) -> Result<Option<std::time::Duration>, Fault> {
        if self.value == Value::Integer(-1) { Ok(None) } else { self.seconds().map(Some) }
    }

    pub(super) fn table(self) -> Result<Table, Fault> {
        match self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.fault("it is no table")),
        }
    }
}

/// What to say of a key that is none of the `known` ones.
pub(super) fn unknown(given: &Given, known: &[String]) -> Fault {
    let word = &given.word;
    let reason = match nearest(word, known) {
        Some(nearest) => format!("there is no `{word}`; did you mean `{nearest}`?"),
        None => format!("there is no `{word}`; known are {}", listed(known)),
    };
    Fault::new(given.line, reason)
}

/// The known one that somebody who wrote `word` has meant, if any.
pub(crate) fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a String> {
    let likeness = |known: &String| jaro_winkler(&plain(word), known);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|nearest| likeness(nearest) >= ALIKE)
}

fn listed(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines() {
        let mut table = read("# first\na = 1\n\nb-c = [\"x\",\n \"y\"]\n[d]\ne = 0.5\n").unwrap();
        assert_eq!(table.take("a").unwrap().line, 2);
        let list = table.take("b_c").unwrap();
        assert_eq!((list.line, list.texts().unwrap()), (4, vec!["x".to_owned(), "y".to_owned()]));
        let mut inner = table.take("d").unwrap().table().unwrap();
        let seconds = inner.take("e").unwrap();
        assert_eq!((seconds.line, seconds.seconds().unwrap().as_millis()), (7, 500));
        assert_eq!(read("a = 1\na = 2\n").unwrap_err().line, 2);
        assert_eq!(read("a = 2026-01-01\n").unwrap_err().reason, "a date has no meaning here");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_key() {
        let fault = |text: &str, read_it: fn(&Given) -> Option<Fault>| {
            let fault = read_it(&read(text).unwrap().take("a").unwrap()).unwrap();
            fault.reason
        };
        assert_eq!(fault("a = 1", |given| given.text().err()), "`a` cannot be used: it is no text");
        assert_eq!(fault("a = 0", |given| given.number(1, 9).err()), "`a` cannot be used: it must be 1 to 9");
        assert!(fault("a = nan", |given| given.seconds().err()).contains("more than 0"));
        let known = ["count".to_owned(), "queues".to_owned()];
        let given = |word: &str| Given { word: word.to_owned(), line: 3, value: Value::Truth(true) };
        assert_eq!(unknown(&given("queue"), &known).reason, "there is no `queue`; did you mean `queues`?");
        assert_eq!(unknown(&given("x"), &known).reason, "there is no `x`; known are `count`, `queues`");
        let twice = read("a_b = 1\na-b = 2").unwrap().check_keys().unwrap_err();
        assert_eq!(twice, Fault::new(2, "`a-b` is given twice"));
    }
}
