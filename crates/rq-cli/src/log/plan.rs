//! [`Plan`]: which lines go where, and how they look.

use std::path::{Path, PathBuf};

use rq_core::Shown;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::format::Format;
use super::line::python_level;
use super::target::LogFile;

/// What a log does with each event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Events below it go nowhere: a level by Python's number.
    pub(super) level: i64,
    /// Where the others go: to each of these that takes their level.
    pub(super) sinks: Vec<Sink>,
}

/// What Python calls a handler.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sink {
    pub(super) to: To,
    /// The levels that it takes, by Python's numbers: from the first on, and below the second.
    pub(super) from: i64,
    pub(super) below: Option<i64>,
    pub(super) format: Format,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Out,
    Err,
    File {
        path: PathBuf,
        /// Whether it begins empty.
        is_emptied: bool,
        /// Whether it is opened anew when it has been moved away.
        is_watched: bool,
    },
}

/// Python's numbers of levels that are named here.
pub(super) const WARNING: i64 = 30;
pub(super) const ERROR: i64 = 40;

impl Plan {
    /// RQ's own: levels below ERROR to standard output, ERROR to standard error.
    pub(crate) fn default_of(level: Level, format: Format) -> Plan {
        Plan { level: number(level), sinks: Sink::of_rq(format) }
    }

    /// The same where files begin with what is there: others write to them, too.
    pub(crate) fn appending(mut self) -> Plan {
        for sink in &mut self.sinks {
            if let To::File { is_emptied, .. } = &mut sink.to {
                *is_emptied = false;
            }
        }
        self
    }

    /// That each of its files can be opened. It makes those that are not there, and takes nothing away.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        for (path, _) in self.files() {
            LogFile::open(path, false, false).map_err(|error| {
                let path = Shown::name(path.display());
                format!("the log file {path} cannot be opened: {error}")
            })?;
        }
        Ok(())
    }

    /// Empties the files that are to begin empty.
    pub(crate) fn empty_files(&self) {
        for (path, _) in self.files().filter(|(_, is_emptied)| *is_emptied) {
            // It was opened before; who writes to it says what is wrong now.
            drop(LogFile::open(path, true, false));
        }
    }

    fn files(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.sinks.iter().filter_map(|sink| match &sink.to {
            To::File { path, is_emptied, .. } => Some((path.as_path(), *is_emptied)),
            To::Out | To::Err => None,
        })
    }

    /// As the levels of tracing, of which there are fewer.
    pub(super) fn filter(&self) -> LevelFilter {
        let lowest = self.sinks.iter().map(|sink| sink.from).min();
        match lowest.map(|lowest| lowest.max(self.level)) {
            Some(..=10) => LevelFilter::DEBUG,
            Some(11..=20) => LevelFilter::INFO,
            Some(21..=30) => LevelFilter::WARN,
            Some(31..=40) => LevelFilter::ERROR,
            Some(41..) | None => LevelFilter::OFF,
        }
    }
}

impl Sink {
    /// One that takes all levels.
    pub(super) fn all(to: To, format: Format) -> Sink {
        Sink { to, from: 0, below: None, format }
    }

    /// RQ's own two.
    pub(super) fn of_rq(format: Format) -> Vec<Sink> {
        let out = Sink { below: Some(ERROR), ..Sink::all(To::Out, format.clone()) };
        vec![out, Sink { from: ERROR, ..Sink::all(To::Err, format) }]
    }

    pub(super) fn takes(&self, level: i64) -> bool {
        level >= self.from && self.below.is_none_or(|below| level < below)
    }
}

/// Python's number of a level.
pub(super) fn number(level: Level) -> i64 {
    python_level(level).1.into()
}
