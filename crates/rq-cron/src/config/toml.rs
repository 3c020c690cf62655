//! The `[[cron]]` tables of `rq.toml`.

use rq_config::{Document, Fault, Item, Table, nearest};
use rq_core::Shown;

use super::draft::{Draft, Key, Words};

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

/// What to say of entries that are none.
const NO_TABLES: &str = "entries are written as tables of a list: [[cron]]";

pub(super) fn drafts(text: &str) -> Result<Vec<Draft>, Fault> {
    let mut document = Document::parse(text)?;
    let Some(given) = document.take(TABLE)? else {
        if let Some(table) = near(&document) {
            tracing::warn!("{table} is not read: did you mean [[{TABLE}]]?");
        }
        return Ok(Vec::new());
    };
    let Item::List(entries) = given.value else { return Err(Fault::new(given.line, NO_TABLES)) };
    let draft = |entry| match entry {
        Item::Table(table) => draft(table),
        _ => Err(Fault::new(given.line, NO_TABLES)),
    };
    entries.into_iter().map(draft).collect()
}

/// A table that is called nearly as ours, and its line.
fn near(document: &Document<'_>) -> Option<String> {
    let (word, line) = document.rest().find(|(word, _)| nearest(word, [TABLE]).is_some())?;
    Some(format!("`{}`, in line {line}", Shown::name(word)))
}

#[cfg(test)]
fn nearly_ours(text: &str) -> Option<String> {
    near(&Document::parse(text).ok()?)
}

fn draft(table: Table) -> Result<Draft, Fault> {
    let mut draft = Draft::new(table.line, WORDS);
    for given in table.rest() {
        draft.set(&given.word, given.line, given.value.into_value())?;
    }
    Ok(draft)
}

#[cfg(test)]
mod tests;
