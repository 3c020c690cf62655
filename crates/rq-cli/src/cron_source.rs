//! [`CronSource`]: where the entries of a cron come from.

use std::path::Path;

use rq_cron::Cron;

use crate::refusal::Refusal;

/// The file that is read where none is named.
pub(crate) const FILE_DEFAULT: &str = "rq.toml";

/// Where the entries of a cron come from.
#[derive(Debug)]
pub(crate) enum CronSource {
    /// The program itself: `App::cron`.
    Program(Cron),
    /// A file, or a Python module.
    Config(String),
}

impl CronSource {
    /// What is named, else what the program has, else the file of every day.
    pub(crate) fn choose(named: Option<&str>, program: Option<Cron>) -> Result<CronSource, Refusal> {
        match (named, program) {
            (Some(path), _) => Ok(CronSource::Config(path.to_owned())),
            (None, Some(cron)) => Ok(CronSource::Program(cron)),
            (None, None) if Path::new(FILE_DEFAULT).is_file() => {
                Ok(CronSource::Config(FILE_DEFAULT.to_owned()))
            }
            (None, None) => Err(Refusal::usage(
                "cron",
                format!("Missing argument 'CONFIG_PATH': there is no {FILE_DEFAULT} here, and this program has no cron."),
            )),
        }
    }

    /// Its name, for the scheduler's record: the path as it was given, empty for the program.
    pub(crate) fn name(&self) -> String {
        match self {
            CronSource::Program(_) => String::new(),
            CronSource::Config(path) => path.clone(),
        }
    }

    /// The entries.
    pub(crate) fn load(&self) -> Result<Cron, Refusal> {
        match self {
            CronSource::Program(cron) => Ok(cron.clone()),
            CronSource::Config(path) => Err(Refusal::Failed(format!("{path}: not read yet"))),
        }
    }
}
