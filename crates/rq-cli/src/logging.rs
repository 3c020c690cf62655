//! [`Logging`]: the options about the log, of commands that run jobs or start who does.

use std::ffi::OsString;

use tracing::Level;

use crate::log::{self, Format};
use crate::refusal::Refusal;

/// Where they stand in help, with the level, which commands name each in their own way.
pub(crate) const HEADING: &str = "Logging";

/// What is logged, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct Logging {
    /// Log more: level DEBUG.
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Log less: level WARNING.
    #[arg(short, long)]
    quiet: bool,
    /// What a line holds, in Python's format.
    #[arg(long, value_name = "FORMAT", default_value = log::LINE_DEFAULT)]
    log_format: String,
    /// How times look, in the format of strftime; local time.
    #[arg(long, value_name = "FORMAT", default_value = log::DATE_DEFAULT)]
    date_format: String,
}

impl Logging {
    /// How lines look; what is wrong with that is an error of `command`.
    pub(crate) fn format(&self, command: &str) -> Result<Format, Refusal> {
        let made = |date, option| {
            Format::new(&self.log_format, date)
                .map_err(|reason| Refusal::usage(command, format!("Invalid value for '{option}': {reason}.")))
        };
        // With a date that is well, what is wrong is the line.
        made(log::DATE_DEFAULT, "--log-format")?;
        made(&self.date_format, "--date-format")
    }

    /// What is logged, where the option of the level says `named`; `None` where nobody says it.
    pub(crate) fn level(&self, named: Option<Level>) -> Option<Level> {
        match (self.verbose, self.quiet) {
            (true, _) => Some(Level::DEBUG),
            (false, true) => Some(Level::WARN),
            (false, false) => named,
        }
    }

    /// The arguments by which an `rq worker` logs in the same way.
    pub(crate) fn of_worker(&self, named: Option<Level>) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: &str, default: &str| {
            if value != default {
                arguments.push(format!("--{option}={value}").into());
            }
        };
        add("logging_level", self.level(named).map_or("", log::level_name), "");
        add("log-format", &self.log_format, log::LINE_DEFAULT);
        add("date-format", &self.date_format, log::DATE_DEFAULT);
        arguments
    }
}
