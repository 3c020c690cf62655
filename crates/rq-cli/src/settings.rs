//! [`Settings`]: what holds, and where it comes from: an option, else a variable, else a file, else nobody
//! (docs/settings.md).
//!
//! | file | holds |
//! |---|---|
//! | `settings/sources.rs` | the one place that reads the environment and files |
//! | `settings/field.rs`, `content.rs`, `origin.rs` | a setting's names, what is said of it, by whom |
//! | `settings/file.rs`, `sentinel.rs` | a file's settings, checked; its SENTINEL |
//! | `settings/table.rs` | all that is said, what has precedence first |
//! | `settings/redis.rs`, `host.rs` | which Redis that comes to; where it is |
//! | `settings/handed.rs`, `received.rs` | what those who start workers hand on to them; what a worker has found |
//! | `settings/row.rs` | a line of `rq config show` |

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rq_core::{Codec, Keys, Value};
use tracing::Level;

use self::field::Field;
use self::origin::Origin;
use self::received::Received;
use self::redis::Redis;
use self::table::{Said, Table};
use crate::log::{DATE_DEFAULT, Format, LINE_DEFAULT, Logger, Plan};
use crate::output::note;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::supervisor::Supervisor;
use crate::text::Text;

pub(crate) mod content;
pub(crate) mod field;
mod file;
pub(crate) mod handed;
mod host;
pub(crate) mod origin;
pub(crate) mod received;
mod redis;
pub(crate) mod row;
mod sentinel;
pub(crate) mod sources;
mod table;

/// What holds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    table: Table,
    /// The file that was read.
    file: Option<PathBuf>,
}

/// What the settings say of Sentry, each with its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sentry<'a> {
    pub(crate) dsn: Option<(&'a str, &'a Origin)>,
    pub(crate) ca_certs: Option<(&'a str, &'a Origin)>,
    pub(crate) debug: Option<(&'a str, &'a Origin)>,
}

impl Settings {
    /// These with what a worker was handed, which comes before the environment.
    pub(crate) fn with(mut self, received: &Received) -> Result<Settings, Refusal> {
        for (field, variable, value) in received.fields()? {
            self.table.hand(field, variable, value);
        }
        Ok(self)
    }

    /// The file that was read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The Redis to work with. Remarks on what else names one.
    pub(crate) fn server(&self) -> Result<Server, Refusal> {
        let redis = self.redis()?;
        let keys = self.keys()?;
        self.remarks(&redis).iter().map(Text::line).for_each(note);
        Server::at(&redis.url, keys)
    }

    /// Which Redis that is, and whose words made it.
    pub(crate) fn redis(&self) -> Result<Redis, Refusal> {
        Redis::decide(&self.table).map_err(Refusal::Failed)
    }

    /// The names of the keys.
    pub(crate) fn keys(&self) -> Result<Keys, Refusal> {
        let Some(said) = self.table.first(Field::KeyPrefix) else { return Ok(Keys::default()) };
        Keys::new(said.text()).map_err(|error| Refusal::Failed(format!("{}: {error}", said.origin)))
    }

    /// The queues of workers that are told none.
    pub(crate) fn queues(&self) -> Option<&[String]> {
        match self.table.first(Field::Queues).map(|said| &said.content) {
            Some(content::Content::Texts(queues)) => Some(queues),
            _ => None,
        }
    }

    /// The name of a worker that is told none.
    pub(crate) fn name(&self) -> Option<&str> {
        self.text(Field::Name)
    }

    /// How payloads are written; `None` where RQ_SERIALIZER, which each queue reads, or nobody says it.
    pub(crate) fn codec(&self) -> Option<Codec> {
        let said = self.table.first(Field::Serializer).filter(|said| !said.origin.is_variable())?;
        content::codec(said.text()).ok()
    }

    /// The file's word for `-w`, where no variable says another.
    pub(crate) fn executor(&self) -> Option<(&str, &Origin)> {
        self.executor_word().filter(|(_, origin)| origin.is_file())
    }

    /// The same as an argument of a worker, which has the variables itself.
    pub(crate) fn executor_argument(&self) -> Option<OsString> {
        self.executor().map(|(word, _)| format!("--executor={word}").into())
    }

    /// RQ's configuration of the log: that of whoever started this worker, else the file's.
    fn dict_config(&self, supervisor: &Supervisor) -> Result<Option<(Value, Origin)>, Refusal> {
        match supervisor.dict_config()? {
            Some(handed) => Ok(Some((handed, Origin::Variable(handed::LOG_VARIABLE)))),
            None => Ok(self.dict_config_of_file().map(|(value, origin)| (value.clone(), origin.clone()))),
        }
    }

    /// Where the lines of a log go, in this `format` unless a DICT_CONFIG has others; `level` is what the arguments say.
    pub(crate) fn log_plan(
        &self,
        supervisor: &Supervisor,
        logger: Logger,
        level: Option<Level>,
        format: Format,
    ) -> Result<Plan, Refusal> {
        let Some((config, origin)) = self.dict_config(supervisor)? else {
            return Ok(Plan::default_of(level.unwrap_or(Level::INFO), format));
        };
        let refuse = |reason| Refusal::Failed(format!("{origin}: {reason}"));
        let plan = Plan::from_dict_config(&config, logger, level, format.clone()).map_err(refuse)?;
        if origin.is_variable() {
            // Whoever has started this worker has said what there is to say, and emptied the files.
            return Ok(plan.appending());
        }
        let remark = plan.remark(&config, logger, level, &format).map_err(refuse)?;
        let remark = remark.map(|remark| format!("DICT_CONFIG of {origin} {remark}"));
        remark.iter().map(Text::line).for_each(note);
        Ok(plan)
    }

    /// How a worker logs by a file's DICT_CONFIG, if there is one.
    pub(crate) fn log_plan_of_file(&self) -> Result<Option<Plan>, Refusal> {
        let Some((config, origin)) = self.dict_config_of_file() else { return Ok(None) };
        let refuse = |reason| Refusal::Failed(format!("{origin}: {reason}"));
        let format = Format::new(LINE_DEFAULT, DATE_DEFAULT).map_err(refuse)?;
        Plan::from_dict_config(config, Logger::Worker, None, format).map(Some).map_err(refuse)
    }

    /// What whoever comes first says of the executor.
    pub(crate) fn executor_word(&self) -> Option<(&str, &Origin)> {
        self.table.first(Field::Executor).map(|said| (said.text(), &said.origin))
    }

    pub(crate) fn dict_config_of_file(&self) -> Option<(&Value, &Origin)> {
        match self.table.first(Field::DictConfig) {
            Some(Said { content: content::Content::Tree(value), origin }) => Some((value, origin)),
            _ => None,
        }
    }

    /// What is said of Sentry.
    pub(crate) fn sentry(&self) -> Sentry<'_> {
        let said = |field| self.table.first(field).map(|said| (said.text(), &said.origin));
        Sentry {
            dsn: said(Field::SentryDsn),
            ca_certs: said(Field::SentryCaCerts),
            debug: said(Field::SentryDebug),
        }
    }

    fn text(&self, field: Field) -> Option<&str> {
        self.table.first(field).map(Said::text)
    }

    /// What Python's `rq` would do otherwise with the same file.
    fn remarks(&self, redis: &Redis) -> Vec<String> {
        let mut remarks = Vec::new();
        remarks.extend(redis::remark(&self.table, redis));
        if let Some(said) = self.table.first(Field::KeyPrefix).filter(|said| said.origin.is_python()) {
            remarks.push(format!(
                "KEY_PREFIX of {} counts here, and Python's rq reads RQ_KEY_PREFIX alone",
                said.origin
            ));
        }
        remarks
    }
}

#[cfg(test)]
mod tests;
