//! [`CronSource`]: where the entries of a cron come from.

use std::path::{Path, PathBuf};

use rq_core::Shown;
use rq_cron::{Cron, Schedule};
use tracing::info;

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
                format!(
                    "Missing argument 'CONFIG_PATH': there is no {FILE_DEFAULT} here, and this program has no cron."
                ),
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

    /// The entries, each told in the log in RQ's words.
    pub(crate) fn load(&self) -> Result<Cron, Refusal> {
        let cron = match self {
            CronSource::Program(cron) => cron.clone(),
            CronSource::Config(path) => {
                info!("Loading cron configuration from {}", Shown::name(path));
                Cron::read(file_of(path)).map_err(|error| Refusal::Failed(error.to_string()))?
            }
        };
        let checked = cron.check().map_err(|error| Refusal::Failed(error.to_string()))?;
        for entry in checked.entries() {
            let (function, queue) = (Shown::name(entry.function()), Shown::name(entry.queue_name()));
            match entry.schedule() {
                Schedule::Every(interval) => {
                    info!("Registered '{function}' to run on {queue} every {interval}");
                }
                Schedule::At { expression, .. } => {
                    let expression = Shown::name(expression);
                    info!("Registered '{function}' to run on {queue} with cron schedule '{expression}'");
                }
            }
        }
        if let CronSource::Config(path) = self {
            let count = checked.entries().len();
            info!("Successfully registered {count} cron jobs from '{}'", Shown::name(path));
        }
        Ok(cron)
    }
}

/// The file of what was named: itself, or that of a Python module by its dotted name, as RQ takes it (docs/cli.md §7).
fn file_of(named: &str) -> PathBuf {
    let path = PathBuf::from(named);
    if path.is_file() || path.extension().is_some_and(|extension| extension == "toml" || extension == "py") {
        return path;
    }
    // `app/cron_config` is a module to RQ, too.
    let module = if named.contains('/') { path } else { named.split('.').collect() };
    let package = module.join("__init__.py");
    if package.is_file() { package } else { module.with_extension("py") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_files() {
        for (named, file) in [
            ("rq.toml", "rq.toml"),
            ("app/cron_config.py", "app/cron_config.py"),
            ("/srv/app/cron_config", "/srv/app/cron_config.py"),
            ("app.cron_config", "app/cron_config.py"),
            ("cron_config", "cron_config.py"),
        ] {
            assert_eq!(file_of(named), PathBuf::from(file), "{named}");
        }
    }
}
