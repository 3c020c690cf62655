//! [`Cron`]: the entries of one program.

use std::collections::HashSet;
use std::time::Duration;

use rq_core::{Call, Shown};

use crate::entry::{CheckedEntry, Entry, EntryError};

/// The most entries of one program.
pub const ENTRIES_MAX: usize = 10_000;

/// The entries of one program.
///
/// ```
/// use rq_core::{Call, secs};
/// use rq_cron::{Cron, Entry};
/// let sync = Call::<()>::to("accounts.sync");
/// let report = |year: i32| Call::<()>::to("reports.yearly").arg(year);
/// let cron = Cron::new()
///     .every(secs(60), sync)
///     .at("0 3 * * *", report(2026))
///     .entry(Entry::at("0 3 * * *", report(2025)).named("last year").zone("Europe/Berlin"));
/// assert_eq!(cron.check()?.entries().len(), 3);
/// # Ok::<(), rq_cron::CronError>(())
/// ```
#[must_use = "a Cron does nothing until it is run"]
#[derive(Clone, Debug, Default)]
pub struct Cron {
    entries: Vec<Entry>,
}

impl Cron {
    /// None yet.
    pub fn new() -> Cron {
        Cron::default()
    }

    /// Adds [`Entry::every`].
    pub fn every<T>(self, interval: Duration, call: Call<T>) -> Cron {
        self.entry(Entry::every(interval, call))
    }

    /// Adds [`Entry::at`].
    pub fn at<T>(self, expression: impl Into<String>, call: Call<T>) -> Cron {
        self.entry(Entry::at(expression, call))
    }

    /// Adds an entry.
    pub fn entry(mut self, entry: Entry) -> Cron {
        self.entries.push(entry);
        self
    }

    /// Looks at all entries: whether each can be, and whether their names differ.
    pub fn check(&self) -> Result<CheckedCron, CronError> {
        if self.entries.len() > ENTRIES_MAX {
            return Err(CronError::TooMany { count: self.entries.len() });
        }
        let entries = self.entries.iter().map(Entry::check).collect::<Result<Vec<_>, _>>()?;
        let mut names = HashSet::new();
        match entries.iter().find(|entry| !names.insert(entry.name())) {
            Some(twice) => Err(CronError::SameName { name: twice.name().to_owned() }),
            None => Ok(CheckedCron { entries }),
        }
    }
}

impl FromIterator<Entry> for Cron {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Cron {
        Cron { entries: entries.into_iter().collect() }
    }
}

/// Entries that were looked at: each can be, and no two have one name. [`Cron::check`] makes it, and nothing else.
#[derive(Clone, Debug)]
pub struct CheckedCron {
    entries: Vec<CheckedEntry>,
}

impl CheckedCron {
    /// All of them, as they were added.
    pub fn entries(&self) -> &[CheckedEntry] {
        &self.entries
    }
}

/// Entries that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// One of them cannot.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Two have one name.
    #[error("two entries are called {:?}: give one of them another name, with .named(\"..\")", Shown::name(name).to_string())]
    SameName {
        /// The name.
        name: String,
    },
    /// More than there may be.
    #[error("there are {count} entries, and may be {ENTRIES_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use rq_core::{Codec, secs};

    fn call() -> Call<()> {
        Call::to("tasks.f")
    }

    fn refused(entry: Entry) -> String {
        Cron::new().entry(entry).check().unwrap_err().to_string()
    }

    #[test]
    fn an_entry_has_what_its_call_has() {
        let call = call().queue("low").at_front();
        let cron = Cron::new()
            .every(secs(5), call.clone())
            .entry(Entry::at("@daily", call).named("b").queue("high"));
        let checked = cron.check().unwrap();
        let [first, second] = checked.entries() else { panic!("two entries") };
        assert_eq!((first.name(), first.queue_name(), first.is_at_front()), ("tasks.f", "low", true));
        assert_eq!((second.name(), second.queue_name(), second.function()), ("b", "high", "tasks.f"));
        let [one, other] = [(); 2].map(|()| first.job(Codec::Json).unwrap());
        assert_ne!(one.id, other.id);
    }

    #[test]
    fn entries_that_cannot_be_are_refused_by_their_name() {
        let long = "n".repeat(201);
        for name in ["", " a", "a\n", "{a}", long.as_str()] {
            assert!(
                refused(Entry::every(secs(1), call()).named(name)).contains(".named(\"..\")"),
                "{name:?}"
            );
        }
        for (entry, says) in [
            (Entry::every(Duration::from_millis(999), call()), "a second at least"),
            (Entry::every(Duration::from_micros(1_500_001), call()), "whole milliseconds"),
            (Entry::every(secs(1), call()).zone("UTC"), "says nothing of an interval"),
            (Entry::at("0 3 * *", call()), "4 fields"),
            (Entry::at("@daily", call()).zone("Mars"), "no zone \"Mars\""),
            (Entry::at("@daily", call()).queue("a,b"), "comma"),
            (Entry::at("@daily", call().job_id("j")), ".job_id(..)"),
            (Entry::at("@daily", call().depends_on("j")), ".depends_on(..)"),
            (
                Entry::at("@daily", call().unique_by_args(secs(60))),
                "is not unique, and has no rate limit and no pace",
            ),
            (
                Entry::at("@daily", call().rate_limit("k", 1)),
                "is not unique, and has no rate limit and no pace",
            ),
            (
                Entry::at("@daily", call().pace("k", 1, secs(60))),
                "is not unique, and has no rate limit and no pace",
            ),
            (Entry::at("@daily", call().timeout(secs(0))), "at least a second"),
            (Entry::at("@daily", Call::<()>::to("no path")), "dotted path"),
        ] {
            let said = refused(entry);
            assert!(said.contains(says) && said.starts_with("the entry "), "{said}");
        }
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let twice = Cron::new().every(secs(1), call()).at("@daily", call());
        let said = twice.check().unwrap_err().to_string();
        assert_eq!(
            said,
            "two entries are called \"tasks.f\": give one of them another name, with .named(\"..\")"
        );
    }
}
