//! [`Config`]: what the file of `rq manager` says, and [`Source`], which reads it.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rq_config::{Document, FILE_BYTES_MAX, Fault, FileError, Item, Table, nearest, read_file, unknown};
use rq_core::Shown;
use rq_worker::number::SECONDS_MAX;

use super::entry::{Around, Entry};
use super::options::WorkerOptions;
use super::program::Program;
use crate::commands::worker;
use crate::pieces::Pieces;
use crate::refusal::Refusal;
use crate::sentry::SentryArgs;
use crate::server::Server;
use crate::settings::Settings;
use crate::settings::field::Field;
use crate::settings::handed::Handed;
use crate::settings::sources;

/// The file that is read where none is named.
pub(crate) const FILE_DEFAULT: &str = "rq.toml";
/// The tables that are ours; the others are left alone.
const MANAGER: &str = "manager";
const WORKER: &str = "worker";
const OTHERS: [&str; 2] = ["cron", "settings"];
/// The keys of `[manager]`.
const KEYS: [&str; 4] = ["title", "check_point", "wait_time", "socket"];

/// What a file says.
#[derive(Clone, Default)]
pub(crate) struct Config {
    pub(crate) manager: Own,
    pub(crate) entries: Vec<Entry>,
    /// What all workers are handed.
    pub(crate) handed: Handed,
}

/// What it says of the Manager itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Own {
    pub(crate) title: Option<String>,
    pub(crate) check_point: Option<Duration>,
    /// `Some(None)`: as long as workers take.
    pub(crate) wait_time: Option<Option<Duration>>,
    pub(crate) socket: Option<PathBuf>,
}

/// A file, and what it is read with, as often as need be.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) program: Program,
    pub(crate) pieces: Pieces,
    /// Whether it has jobs that it can run.
    pub(crate) has_handlers: bool,
    /// The URL that the Manager's own arguments name.
    pub(crate) url: Option<String>,
    /// What these say of the log.
    pub(crate) logging: Vec<OsString>,
}

impl Source {
    /// What the file says now.
    pub(crate) fn read(&self) -> Result<Config, Refusal> {
        let text = text_of(&self.path)?;
        let settings = self.settings(&text)?;
        let handed = Handed::new(&settings)?;
        // All workers would refuse it.
        if cfg!(feature = "sentry") {
            SentryArgs::default().resolve(worker::NAME, settings.sentry())?;
        }
        self.parse(&text, &settings, &handed).map_err(|fault| in_file(&self.path, &fault))
    }

    /// What holds where entries say nothing.
    fn settings(&self, text: &str) -> Result<Settings, Refusal> {
        let url = self.url.as_deref().map(|url| (Field::RedisUrl, "--url", url));
        sources::of_text(url.as_slice(), &self.path, text)
    }

    fn parse(&self, text: &str, settings: &Settings, handed: &Handed) -> Result<Config, Fault> {
        let mut document = Document::parse(text)?;
        let manager = own(&mut document)?;
        let tables = match document.take(WORKER)? {
            Some(given) => match given.value {
                Item::List(entries) => entries,
                _ => {
                    return Err(Fault::new(
                        given.line,
                        "workers are written as tables of a list: [[worker]]",
                    ));
                }
            },
            None => Vec::new(),
        };
        check_tables(&document)?;
        let entries = self.entries(tables, settings, handed)?;
        match entries.is_empty() {
            true => Err(Fault::new(1, "there is no [[worker]] in it, so there is nothing to start")),
            false => Ok(Config { manager, entries, handed: handed.clone() }),
        }
    }

    fn entries(&self, tables: Vec<Item>, settings: &Settings, handed: &Handed) -> Result<Vec<Entry>, Fault> {
        let options = WorkerOptions::new(&self.pieces, self.has_handlers);
        // Only where it is needed: what the environment says may be of no use.
        let server = OnceCell::new();
        let named = || match server.get() {
            Some(server) => Ok(Server::clone(server)),
            None => settings.server().inspect(|named| drop(server.set(named.clone()))),
        };
        let around = Around {
            options: &options,
            program: &self.program,
            server: &named,
            settings,
            handed,
            logging: &self.logging,
        };
        let mut entries: Vec<Entry> = Vec::new();
        for table in tables {
            let Item::Table(table) = table else {
                return Err(Fault::new(1, "workers are written as tables of a list: [[worker]]"));
            };
            let entry = Entry::read(table, &around)?;
            if let Some(first) = entries.iter().find(|other| other.name == entry.name) {
                let reason = format!(
                    "two entries are called `{}`, this one and that of line {}: give one of them another `name`",
                    entry.name, first.line
                );
                return Err(Fault::new(entry.line, reason));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// What a file says of the Manager alone: for those who look for its socket, whatever is wrong with its workers.
pub(crate) fn read_own(path: &Path) -> Result<Own, Refusal> {
    let text = text_of(path)?;
    Document::parse(&text).and_then(|mut document| own(&mut document)).map_err(|fault| in_file(path, &fault))
}

fn text_of(path: &Path) -> Result<String, Refusal> {
    read_file(path).map_err(|error| {
        let shown = Shown::name(path.display());
        Refusal::Failed(match error {
            FileError::TooLarge => format!("{shown} has more than {FILE_BYTES_MAX} bytes"),
            error => format!("{shown} cannot be read: {error}"),
        })
    })
}

fn in_file(path: &Path, Fault { line, reason }: &Fault) -> Refusal {
    Refusal::Failed(format!("{}, line {line}: {reason}", Shown::name(path.display())))
}

fn own(document: &mut Document<'_>) -> Result<Own, Fault> {
    let Some(given) = document.take(MANAGER)? else { return Ok(Own::default()) };
    let mut table = given.table()?;
    table.check_keys()?;
    let text =
        |table: &mut Table, word| table.take(word).map(|given| given.text().map(str::to_owned)).transpose();
    let own = Own {
        title: text(&mut table, "title")?,
        check_point: table.take("check_point").map(|given| given.seconds(SECONDS_MAX)).transpose()?,
        wait_time: table.take("wait_time").map(|given| given.limit(SECONDS_MAX)).transpose()?,
        socket: text(&mut table, "socket")?.map(PathBuf::from),
    };
    match table.rest().first() {
        Some(given) => Err(unknown(&given.word, given.line, &KEYS.map(str::to_owned))),
        None => Ok(own),
    }
}

/// That no table is called nearly as ours.
fn check_tables(document: &Document<'_>) -> Result<(), Fault> {
    let ours = [MANAGER, WORKER].map(str::to_owned);
    for (word, line) in document.rest().filter(|(word, _)| !OTHERS.contains(word)) {
        if nearest(word, &ours).is_some() {
            return Err(unknown(word, line, &ours));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
