//! [`CronSource`]: where the entries of a cron come from.

use std::path::Path;

use rq_core::Shown;
use rq_cron::{CheckedEntry, Cron, Schedule};
use tracing::{info, warn};

use crate::module_file::located;
use crate::refusal::Refusal;

/// The file that is read where none is named, and the program has no cron.
pub(crate) const FILE_DEFAULT: &str = "rq.toml";
/// The zone that needs no mention: RQ's.
const ZONE_DEFAULT: &str = "local";

/// Where the entries of a cron come from.
#[derive(Debug)]
pub(crate) enum CronSource {
    /// The program itself: `App::cron`.
    Program(Cron),
    /// A file, or a Python module, as it was named; and the folders in which it is looked for as well.
    Config(String, Vec<String>),
}

impl CronSource {
    /// What is named, else what the program has, else the file of every day; `None` where there is nothing of these.
    pub(crate) fn choose(
        named: Option<&str>,
        program: Option<Cron>,
        folders: &[String],
    ) -> Option<CronSource> {
        match (named, program) {
            (Some(path), _) => Some(CronSource::Config(path.to_owned(), folders.to_vec())),
            (None, Some(cron)) => Some(CronSource::Program(cron)),
            (None, None) => has_default().then(|| CronSource::Config(FILE_DEFAULT.to_owned(), Vec::new())),
        }
    }

    /// Its name, for the scheduler's record: the path as it was given, empty for the program.
    pub(crate) fn name(&self) -> String {
        match self {
            CronSource::Program(_) => String::new(),
            CronSource::Config(path, _) => path.clone(),
        }
    }

    /// The entries, each told in the log in RQ's words.
    pub(crate) fn load(&self) -> Result<Cron, Refusal> {
        let failed = |error: String| Refusal::Failed(error);
        let cron = match self {
            CronSource::Program(cron) => {
                info!("Loading the cron entries of this program");
                if has_default() {
                    info!(
                        "{FILE_DEFAULT} is not read, as this program has entries of its own: name it to use it"
                    );
                }
                cron.clone()
            }
            CronSource::Config(path, folders) => {
                info!("Loading cron configuration from {}", Shown::name(path));
                Cron::read(located(path, folders)?).map_err(|error| failed(error.to_string()))?
            }
        };
        let checked = cron.check().map_err(|error| failed(error.to_string()))?;
        for entry in checked.entries() {
            info!("{}", registered(entry));
        }
        let count = checked.entries().len();
        match self {
            CronSource::Program(_) => info!("Successfully registered {count} cron jobs of this program"),
            CronSource::Config(path, _) => {
                info!("Successfully registered {count} cron jobs from '{}'", Shown::name(path));
            }
        }
        if count == 0 {
            warn!("There are no cron entries: nothing will be enqueued");
        }
        Ok(cron)
    }
}

fn has_default() -> bool {
    Path::new(FILE_DEFAULT).is_file()
}

/// RQ's line; what it has no words for stands in brackets behind it.
fn registered(entry: &CheckedEntry) -> String {
    let (function, queue) = (Shown::name(entry.function()), Shown::name(entry.queue_name()));
    let mut beside = Vec::new();
    if entry.name() != entry.function() {
        beside.push(format!("entry {}", Shown::name(entry.name())));
    }
    let line = match entry.schedule() {
        Schedule::Every(interval) => format!("Registered '{function}' to run on {queue} every {interval}"),
        Schedule::At { expression, zone } => {
            if zone.name() != ZONE_DEFAULT {
                beside.push(format!("zone {}", Shown::name(zone.name())));
            }
            let expression = Shown::name(expression);
            format!("Registered '{function}' to run on {queue} with cron schedule '{expression}'")
        }
    };
    if beside.is_empty() { line } else { format!("{line} ({})", beside.join(", ")) }
}

#[cfg(test)]
mod tests {
    use rq_core::{Call, secs};
    use rq_cron::Entry;

    use super::*;

    #[test]
    fn rqs_line_stays_where_it_says_all() {
        let call = || Call::<()>::to("nc.greet");
        let line = |entry: Entry| registered(&Cron::new().entry(entry).check().unwrap().entries()[0]);
        let interval = "Registered 'nc.greet' to run on default every 3 seconds";
        assert_eq!(line(Entry::every(secs(3), call())), interval);
        assert_eq!(
            line(Entry::every(secs(3), call()).named("greeter")),
            format!("{interval} (entry greeter)")
        );
        let at = "Registered 'nc.greet' to run on default with cron schedule '0 3 * * *'";
        assert_eq!(line(Entry::at("0 3 * * *", call())), at);
        let both = Entry::at("0 3 * * *", call()).named("greeter").zone("UTC");
        assert_eq!(line(both), format!("{at} (entry greeter, zone UTC)"));
    }

    #[test]
    fn what_is_named_comes_first_and_then_the_program() {
        let program = || Some(Cron::new());
        let chosen = |named, program| CronSource::choose(named, program, &[]).map(|source| source.name());
        assert_eq!(chosen(Some("a.toml"), program()).as_deref(), Some("a.toml"));
        assert_eq!(chosen(None, program()).as_deref(), Some(""));
    }
}
