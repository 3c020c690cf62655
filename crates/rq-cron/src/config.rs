//! Entries from a file: `rq.toml`, or RQ's own configuration in Python.

mod draft;
mod python;
mod seconds;
mod toml;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rq_config::{Fault, FileError, read_file};
use rq_core::Shown;

use crate::cron::Cron;
use crate::entry::Entry;
use draft::Draft;

pub use rq_config::FILE_BYTES_MAX;

/// A file whose entries cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has more than [`FILE_BYTES_MAX`].
    #[error("{} has more than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Its name ends neither in `.toml` nor in `.py`.
    #[error("{} is no configuration: its name must end in .toml, or in .py for RQ's own", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Something in it cannot be.
    #[error("{}line {line}: {reason}", path.as_ref().map(|path| format!("{}, ", path.display())).unwrap_or_default())]
    Line {
        /// The file, where it was read from one.
        path: Option<PathBuf>,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there, and what to write instead.
        reason: String,
    },
}

impl Cron {
    /// The entries of a file: of `rq.toml`, or of RQ's own configuration, which is read and never executed.
    pub fn read(path: impl AsRef<Path>) -> Result<Cron, ConfigError> {
        let path = path.as_ref();
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Cron::from_toml,
            Some("py") => Cron::from_python,
            _ => return Err(ConfigError::Kind { path: path.to_owned() }),
        };
        let text = read_file(path).map_err(|error| {
            let path = path.to_owned();
            match error {
                FileError::TooLarge => ConfigError::TooLarge { path },
                FileError::Unread(source) => ConfigError::Read { path, source },
                other => {
                    ConfigError::Read { path, source: io::Error::new(io::ErrorKind::InvalidData, other) }
                }
            }
        })?;
        parse(&text).map_err(|error| error.in_file(path))
    }

    /// The `[[cron]]` tables of a text in TOML. Its other tables are left alone.
    ///
    /// ```
    /// let cron = rq_cron::Cron::from_toml(r#"
    ///     [[cron]]
    ///     function = "reports.daily"
    ///     args = [2026]
    ///     at = "0 3 * * *"
    ///     zone = "Europe/Berlin"
    ///     queue = "low"
    ///     timeout = "10m"
    /// "#)?;
    /// assert_eq!(cron.check().unwrap().entries()[0].schedule().to_string(), "at 0 3 * * * (Europe/Berlin)");
    /// # Ok::<(), rq_cron::ConfigError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Cron, ConfigError> {
        entries(toml::drafts(text), "name = \"..\"")
    }

    /// The entries that a text in Python registers with RQ, where it is plain: imports, constants, and calls of
    /// `register`. Nothing is executed; what is not plain is refused.
    ///
    /// ```
    /// let cron = rq_cron::Cron::from_python("
    /// from rq import cron
    /// from tasks import greet
    ///
    /// cron.register(greet, 'default', args=('bob',), interval=5 * 60)
    /// ")?;
    /// assert_eq!(cron.check().unwrap().entries()[0].function(), "tasks.greet");
    /// # Ok::<(), rq_cron::ConfigError>(())
    /// ```
    pub fn from_python(text: &str) -> Result<Cron, ConfigError> {
        entries(python::drafts(text), "name='..'")
    }
}

/// The entries of these drafts; `named` is how a file of this kind gives one a name.
fn entries(drafts: Result<Vec<Draft>, Fault>, named: &str) -> Result<Cron, ConfigError> {
    let entries = drafts.and_then(|drafts| {
        let mut lines = HashMap::new();
        drafts
            .iter()
            .map(|draft| draft.entry().and_then(|entry| only(entry, draft, &mut lines, named)))
            .collect()
    });
    entries.map_err(|Fault { line, reason }| ConfigError::Line { path: None, line, reason })
}

/// An entry, unless one above it has its name.
fn only(
    entry: Entry,
    draft: &Draft,
    lines: &mut HashMap<String, usize>,
    named: &str,
) -> Result<Entry, Fault> {
    let line = draft.line();
    match lines.insert(entry.name().to_owned(), line) {
        Some(first) => Err(Fault::new(
            line,
            format!(
                "two entries are called {:?}, this one and that of line {first}: give one of them another name, with `{named}`",
                Shown::name(entry.name()).to_string()
            ),
        )),
        None => Ok(entry),
    }
}

impl ConfigError {
    fn in_file(mut self, file: &Path) -> ConfigError {
        if let ConfigError::Line { path, .. } = &mut self {
            *path = Some(file.to_owned());
        }
        self
    }
}
