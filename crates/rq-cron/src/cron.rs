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
    #[error("two entries are called {:?}: give one of them another name, with .named(\"..\") or `name = \"..\"`", Shown::name(name).to_string())]
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
