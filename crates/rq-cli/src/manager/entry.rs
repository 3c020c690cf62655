//! [`Entry`]: a `[[worker]]` of the Manager's file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use rq_config::{Fault, Given, Item, Table, plain, unknown};
use rq_core::{Keys, RedisUrl};
use rq_manager::{Command, Kind};
use rq_worker::number::SECONDS_MAX;

use super::backlog::Scale;
use super::options::{Arguments, WorkerOptions};
use super::program::{self, Program};
use crate::names;
use crate::other_program::located;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::settings::field::Field;
use crate::settings::handed::{self, Handed};
use crate::settings::origin::Origin;
use crate::settings::sources::CONFIG_VARIABLE;
use crate::settings::{Sentry, Settings};

/// The most workers of an entry: what a Manager has of a kind.
const COUNT_MAX: u64 = 10_000;
/// The longest name: it is part of those of its workers, which Redis keeps.
const NAME_BYTES_MAX: usize = 64;
/// The most jobs and megabytes that a file may say.
const NUMBER_MAX: u64 = i64::MAX as u64;
/// What a Manager gives its workers.
const OF_THE_MANAGER: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// The keys of an entry that are no options of `rq worker`, or more than that.
const KEYS: [&str; 14] = [
    "name",
    "url",
    "url_env",
    "key_prefix",
    "queues",
    "count",
    "max_jobs",
    "soft_memory_limit",
    "hard_memory_limit",
    "silence",
    "scale",
    "app",
    "env",
    "executor",
];

/// Where a variable of an entry is said.
const ORIGIN_OF_ENV: &Origin = &Origin::Variable("env");

/// Workers that are handled alike.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where the table begins.
    pub(super) line: usize,
    pub(crate) count: usize,
    pub(crate) scale: Option<Scale>,
    pub(crate) server: Server,
    /// As they are served: never none.
    pub(crate) queues: Vec<String>,
    max_jobs: Option<u64>,
    soft_memory_limit: Option<u64>,
    hard_memory_limit: Option<u64>,
    /// `None` where the file says nothing.
    silence: Option<Option<Duration>>,
    command: Command,
}

/// What entries are read with.
pub(super) struct Around<'a> {
    pub(super) options: &'a WorkerOptions<'a>,
    /// The program of workers that name none.
    pub(super) program: &'a Program,
    /// The Redis of workers that name none.
    pub(super) server: &'a dyn Fn() -> Result<Server, Refusal>,
    /// What holds where an entry says nothing.
    pub(super) settings: &'a Settings,
    /// What all of them are handed.
    pub(super) handed: &'a Handed,
    /// What the Manager's own arguments say of the log.
    pub(super) logging: &'a [OsString],
}

impl Entry {
    pub(super) fn read(mut table: Table, around: &Around<'_>) -> Result<Entry, Fault> {
        table.check_keys()?;
        let line = table.line;
        let name = match table.take("name") {
            Some(given) => name(&given)?,
            None => {
                return Err(Fault::new(line, "the entry has no `name`, by which it is restarted and scaled"));
            }
        };
        let server = server(&mut table, around)?;
        let queues = queues(&mut table, around.settings)?;
        let count = table.take("count").map(|given| given.number(0, COUNT_MAX)).transpose()?;
        let (scale, count) = scaled(&mut table, count, line)?;
        let mut number = |word: &str| table.take(word).map(|given| given.number(1, NUMBER_MAX)).transpose();
        let (max_jobs, soft) = (number("max_jobs")?, number("soft_memory_limit")?);
        let hard = table.take("hard_memory_limit");
        let hard_memory_limit = hard.as_ref().map(|given| given.number(1, NUMBER_MAX)).transpose()?;
        if let (Some(given), Some(soft), Some(hard)) = (&hard, soft, hard_memory_limit)
            && soft > hard
        {
            return Err(
                given.fault(format_args!("it is below the soft one, {soft}, which would never count"))
            );
        }
        let silence = table.take("silence").map(|given| given.limit(SECONDS_MAX)).transpose()?;
        let app = table.take("app").map(|given| given.text().map(PathBuf::from)).transpose()?;
        let program = app.as_ref().map(|app| Program::at(located(app)));
        let environment = environment(&mut table)?;
        let Arguments { known, foreign } = options(table, around, app.is_some())?;
        // Before those of the entry: the last one counts.
        let executor = around.settings.executor_argument();
        let together = around.options.check(
            &[around.logging, &known].concat(),
            app.is_some(),
            around.settings.executor(),
            sentry(&environment, around.settings),
        );
        let mut arguments = [around.logging, executor.as_slice(), &known].concat();
        together.map_err(|reason| Fault::new(line, format!("the entry cannot be used: {reason}")))?;
        arguments.extend(foreign);
        arguments.push("--".into());
        arguments.extend(queues.iter().map(OsString::from));
        let program = program.as_ref().unwrap_or(around.program);
        let mut command = program.worker(&server, &around.handed.beside(&environment), &arguments);
        command.environment.extend(environment);
        program::check(&command).map_err(|reason| Fault::new(line, reason))?;
        Ok(Entry {
            name,
            line,
            count,
            scale,
            server,
            queues,
            max_jobs,
            soft_memory_limit: soft,
            hard_memory_limit,
            silence,
            command,
        })
    }

    /// What a Manager makes of it, with so many workers.
    pub(crate) fn kind(&self, count: usize) -> Kind {
        let kind = Kind::command(&self.name, self.command.clone())
            .count(count)
            .max_requests(self.max_jobs)
            .soft_memory_limit(self.soft_memory_limit)
            .hard_memory_limit(self.hard_memory_limit);
        match self.silence {
            Some(silence) => kind.silence(silence),
            None => kind,
        }
    }

    #[cfg(test)]
    pub(super) fn command(&self) -> &Command {
        &self.command
    }
}

fn name(given: &Given) -> Result<String, Fault> {
    let name = given.text()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_plain) {
        true => Ok(name.to_owned()),
        false => Err(given.fault(format_args!(
            "a name is 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`, none of them accented"
        ))),
    }
}

/// The Redis of an entry. What is said of it never shows a password.
fn server(table: &mut Table, around: &Around<'_>) -> Result<Server, Fault> {
    let (url, variable, prefix) = (table.take("url"), table.take("url_env"), table.take("key_prefix"));
    let keys = match &prefix {
        Some(given) => Some(Keys::new(given.text()?).map_err(|error| given.fault(error))?),
        None => None,
    };
    let (given, url) = match (url, variable) {
        (Some(url), None) => {
            let text = url.text()?.to_owned();
            (url, text)
        }
        (None, Some(variable)) => {
            let name = variable.text()?;
            let url = std::env::var(name).ok().filter(|url| !url.is_empty());
            let url = url.ok_or_else(|| variable.fault(format_args!("there is no variable {name}")))?;
            (variable, url)
        }
        (Some(_), Some(variable)) => {
            return Err(variable.fault("the entry has `url` as well: leave one of them out"));
        }
        (None, None) => {
            let line = table.line;
            let server = (around.server)().map_err(|refusal| {
                Fault::new(
                    line,
                    format!(
                        "the entry has no `url`, and there is none for it: {}",
                        refusal.reason().unwrap_or_default().to_owned()
                    ),
                )
            })?;
            return Ok(Server { keys: keys.unwrap_or(server.keys), ..server });
        }
    };
    RedisUrl::parse(&url).map_err(|error| given.fault(error))?;
    let refused = |refusal: Refusal| given.fault(refusal.reason().unwrap_or_default());
    let keys = keys.map_or_else(|| around.settings.keys().map_err(refused), Ok)?;
    Server::at(&url, keys).map_err(|refusal| given.fault(refusal.reason().unwrap_or_default().to_owned()))
}

fn queues(table: &mut Table, settings: &Settings) -> Result<Vec<String>, Fault> {
    let Some(given) = table.take("queues") else {
        let default = || vec![rq_worker::QUEUE_DEFAULT.to_owned()];
        return Ok(settings.queues().map_or_else(default, <[String]>::to_vec));
    };
    let queues = given.texts()?;
    if queues.is_empty() {
        return Err(given.fault("there is none in it"));
    }
    queues.iter().map(|queue| names::queue(queue).map_err(|reason| given.fault(reason))).collect()
}

/// How the number of workers follows the backlog, and how many there are at first.
fn scaled(table: &mut Table, count: Option<u64>, line: usize) -> Result<(Option<Scale>, usize), Fault> {
    let as_count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let Some(given) = table.take("scale") else { return Ok((None, as_count(count.unwrap_or(1)))) };
    let of_scale = given.line;
    let mut table = given.table()?;
    table.check_keys()?;
    let mut number = |word: &str, min| table.take(word).map(|given| given.number(min, COUNT_MAX)).transpose();
    let (min, max) = (number("min", 0)?.unwrap_or(1), number("max", 1)?);
    let max = max.ok_or_else(|| Fault::new(of_scale, "`scale` has no `max`, the most workers"))?;
    let length = table.take("length").map(|given| given.number(1, NUMBER_MAX)).transpose()?;
    let age = table.take("age").map(|given| given.seconds(SECONDS_MAX)).transpose()?;
    if let Some(given) = table.rest().first() {
        let known = ["min", "max", "length", "age"].map(str::to_owned);
        return Err(unknown(&given.word, given.line, &known));
    }
    if min > max {
        return Err(Fault::new(of_scale, format!("`scale` has a `min` of {min} above its `max` of {max}")));
    }
    if length.is_none() && age.is_none() {
        let reason = "`scale` says not when there are to be more: give it `length`, waiting jobs for each worker, or \
                      `age`, seconds that the oldest may wait";
        return Err(Fault::new(of_scale, reason));
    }
    let count = count.unwrap_or(min);
    if !(min..=max).contains(&count) {
        return Err(Fault::new(line, format!("`count` is {count}, and `scale` goes from {min} to {max}")));
    }
    let scale = Scale { min: as_count(min), max: as_count(max), length, age };
    Ok((Some(scale), as_count(count)))
}

fn environment(table: &mut Table) -> Result<Vec<(OsString, OsString)>, Fault> {
    let Some(given) = table.take("env") else { return Ok(Vec::new()) };
    given.table()?.rest().into_iter().map(variable).collect()
}

/// A variable. What it holds is never shown.
fn variable(given: Given) -> Result<(OsString, OsString), Fault> {
    let name = given.word.as_str();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(given.fault("it is no name of a variable"));
    }
    match name {
        "RQ_REDIS_URL" => return Err(given.fault("write `url` or `url_env` in the entry")),
        "RQ_KEY_PREFIX" => return Err(given.fault("write `key_prefix` in the entry")),
        CONFIG_VARIABLE => return Err(given.fault("write a table [settings] in this file")),
        name if OF_THE_MANAGER.contains(&name) || name.starts_with(handed::MARK) => {
            return Err(given.fault("the Manager gives it to each worker itself"));
        }
        _ => {}
    }
    let value = match &given.value {
        Item::Text(text) if !text.contains('\0') => text.clone(),
        Item::Integer(number) => number.to_string(),
        _ => return Err(given.fault("a variable is a text, or a whole number")),
    };
    Ok((name.into(), value.into()))
}

/// What such an entry's workers hear of Sentry, beside their arguments.
fn sentry<'a>(environment: &'a [(OsString, OsString)], settings: &'a Settings) -> Sentry<'a> {
    let own = |field: Field| {
        let said = |name: &'static str| environment.iter().find(|(known, _)| known == name);
        field.variables().iter().find_map(|name| Some((said(name)?.1.to_str()?, ORIGIN_OF_ENV)))
    };
    let said = settings.sentry();
    Sentry {
        dsn: own(Field::SentryDsn).or(said.dsn),
        ca_certs: own(Field::SentryCaCerts).or(said.ca_certs),
        debug: own(Field::SentryDebug).or(said.debug),
    }
}

fn options(table: Table, around: &Around<'_>, is_foreign: bool) -> Result<Arguments, Fault> {
    let mut known: Vec<String> = KEYS.map(str::to_owned).to_vec();
    known.extend(around.options.names().filter(|name| !KEYS.contains(&name.as_str())));
    debug_assert!(known.iter().all(|word| *word == plain(word)));
    around.options.arguments(table.rest(), &known, is_foreign)
}
