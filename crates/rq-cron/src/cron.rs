//! [`Cron`]: the entries of one program.

use std::time::Duration;

use rq_core::Call;

use crate::entry::Entry;

/// The entries of one program.
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

    /// All of them, as they were added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
