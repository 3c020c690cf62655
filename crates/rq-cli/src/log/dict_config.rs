//! The plan that a `DICT_CONFIG` is: what Python's `logging.config.dictConfig` makes of it, as far as it is plain.
//!
//! Only what is in effect is looked at closely: the logger's own handlers and, while it propagates, those of its ancestors,
//! also where the logger itself is disabled. So a configuration that has more for other parts of a program is fine, but for
//! names that are nowhere.

mod handler;

use rq_core::{Shown, Value};
use tracing::Level;

use self::handler::Handlers;
use super::format::{DATE_DEFAULT, Format, LINE_DEFAULT};
use super::plan::{Plan, Sink, To, WARNING, number};

/// The way on.
const INSTEAD: &str =
    "write another, or leave DICT_CONFIG out and give --log-format, --date-format and --logging_level";
/// How many handlers may be in effect: each of them may have a file, and a thread.
const HANDLERS_MAX: usize = 32;
/// What a `DICT_CONFIG` may have.
const KEYS: [&str; 8] = [
    "version",
    "formatters",
    "filters",
    "handlers",
    "loggers",
    "root",
    "incremental",
    "disable_existing_loggers",
];
/// What loggers may have.
const LOGGER_KEYS: [&str; 4] = ["level", "handlers", "propagate", "filters"];
/// The logger that is above all of RQ's, and the names of the one above all.
const RQ: &str = "rq";
const ROOT: [&str; 2] = ["root", ""];
/// Python's levels.
const LEVELS: [(&str, i64); 8] = [
    ("NOTSET", 0),
    ("DEBUG", 10),
    ("INFO", 20),
    ("WARNING", WARNING),
    ("WARN", WARNING),
    ("ERROR", 40),
    ("CRITICAL", 50),
    ("FATAL", 50),
];
const NOTSET: i64 = 0;
const INFO: i64 = 20;

/// The loggers of RQ's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logger {
    /// Of `rq worker`.
    Worker,
    /// Of `rq worker-pool`.
    WorkerPool,
    /// Of `rq cron`.
    Cron,
}

impl Logger {
    const fn name(self) -> &'static str {
        match self {
            Logger::Worker => "rq.worker",
            Logger::WorkerPool => "rq.worker_pool",
            Logger::Cron => "rq.cron",
        }
    }

    /// What RQ has set before it reads a configuration.
    const fn level(self) -> i64 {
        match self {
            Logger::Worker => INFO,
            Logger::WorkerPool | Logger::Cron => NOTSET,
        }
    }
}

/// A logger as it is configured.
#[derive(Clone, Debug)]
struct Node {
    level: i64,
    handlers: Vec<String>,
    does_propagate: bool,
}

impl Node {
    fn new(level: i64) -> Node {
        Node { level, handlers: Vec::new(), does_propagate: true }
    }
}

impl Plan {
    /// The plan of the settings' `DICT_CONFIG` for a logger. `level` is what the arguments say, if they say anything; where
    /// no handler is in effect, RQ's own two are, which write in this `format`.
    ///
    /// What is wrong is a sentence, which names the key.
    pub(crate) fn from_dict_config(
        config: &Value,
        logger: Logger,
        level: Option<Level>,
        format: Format,
    ) -> Result<Plan, String> {
        let config = Config::new(config)?;
        config.check_names()?;
        let found = config.own(logger)?;
        let is_disabled = found.is_none();
        let mut own = found.unwrap_or_else(|| Node::new(logger.level()));
        let (rq, root) = (config.node(RQ, NOTSET)?.unwrap_or(Node::new(NOTSET)), config.root()?);
        let chain = [&own, &rq, &root];
        // RQ looks at all ancestors for a worker, and for a cron at those that it propagates to.
        let is_handled = match logger {
            Logger::Worker | Logger::WorkerPool => chain.iter().any(|node| !node.handlers.is_empty()),
            Logger::Cron => !handlers_of(chain).is_empty(),
        };
        let sinks = match is_handled {
            true => config.sinks(&handlers_of(chain))?,
            false => Sink::of_rq(format),
        };
        if is_disabled {
            // Python disables loggers that were there before and are not configured.
            return Ok(Plan { level: NOTSET, sinks: Vec::new() });
        }
        if let Some(level) = level.filter(|_| !is_handled || logger != Logger::Cron) {
            own.level = number(level);
        }
        let levels = [own.level, rq.level, root.level];
        let level = levels.into_iter().find(|level| *level != NOTSET).unwrap_or(NOTSET);
        Ok(Plan { level, sinks })
    }

    /// What is worth a remark where this is the plan of a `DICT_CONFIG`: that nothing is logged, or what of the arguments
    /// has no effect. It goes on behind who has said the configuration.
    pub(crate) fn remark(
        &self,
        config: &Value,
        logger: Logger,
        level: Option<Level>,
        format: &Format,
    ) -> Result<Option<String>, String> {
        let config = Config::new(config)?;
        let loggers = if logger == Logger::WorkerPool { vec![logger, Logger::Worker] } else { vec![logger] };
        for logger in loggers {
            if config.own(logger)?.is_none() {
                return Ok(Some(format!(
                    "leaves the logger {} disabled, as in Python, and nothing of it is logged: write \
                     'disable_existing_loggers': False in it, or configure {} or rq",
                    logger.name(),
                    logger.name()
                )));
            }
        }
        let has_own_handlers = self.sinks.iter().all(|sink| sink.format != *format);
        let is_default = Format::new(LINE_DEFAULT, DATE_DEFAULT)? == *format;
        Ok(match (has_own_handlers, logger) {
            (true, _) if !is_default => {
                Some("says how lines look: --log-format and --date-format have no effect".to_owned())
            }
            (true, Logger::Cron) if level.is_some() => {
                Some("says what is logged: --logging-level has no effect".to_owned())
            }
            _ => None,
        })
    }
}

/// The handlers that a logger's events get to: its own, and while it propagates those of its ancestors.
fn handlers_of(chain: [&Node; 3]) -> Vec<&String> {
    let mut handlers = Vec::new();
    for node in chain {
        handlers.extend(&node.handlers);
        if !node.does_propagate {
            break;
        }
    }
    handlers
}

/// A configuration.
struct Config<'a> {
    loggers: Option<Dict<'a>>,
    root: Option<Dict<'a>>,
    handlers: Handlers<'a>,
    disables_others: bool,
}

impl<'a> Config<'a> {
    fn new(value: &'a Value) -> Result<Config<'a>, String> {
        let config = Dict::new("DICT_CONFIG", value)?;
        config.check_keys(&KEYS)?;
        match config.get("version") {
            Some(Value::Int(1)) => {}
            Some(_) => return Err("`version` of DICT_CONFIG must be 1".to_owned()),
            None => return Err("DICT_CONFIG has no `version`, which must be 1".to_owned()),
        }
        if config.get("incremental").is_some_and(Value::is_true) {
            return Err(format!("`incremental` of DICT_CONFIG is not read: {INSTEAD}"));
        }
        Ok(Config {
            loggers: config.dict("loggers")?,
            root: config.dict("root")?,
            handlers: Handlers { handlers: config.dict("handlers")?, formatters: config.dict("formatters")? },
            disables_others: config.raw("disable_existing_loggers").is_none_or(Value::is_true),
        })
    }

    /// The logger itself, unless it is disabled.
    fn own(&self, logger: Logger) -> Result<Option<Node>, String> {
        match self.node(logger.name(), logger.level())? {
            Some(node) => Ok(Some(node)),
            // The children of what is configured are reset.
            None if self.is_named(RQ) => Ok(Some(Node::new(NOTSET))),
            None if self.disables_others => Ok(None),
            None => Ok(Some(Node::new(logger.level()))),
        }
    }

    /// That handlers and formatters which are named are there, whoever names them: Python refuses the rest likewise.
    fn check_names(&self) -> Result<(), String> {
        self.handlers.check_formatters()?;
        let named = self.loggers.iter().flat_map(|loggers| loggers.pairs.iter().map(|(_, logger)| logger));
        let tables = named.filter_map(|logger| Dict::new("", logger).ok());
        for logger in tables.chain(self.root.iter().map(|root| Dict { called: String::new(), ..*root })) {
            let Some(Value::List(names) | Value::Tuple(names)) = logger.get("handlers") else { continue };
            for name in names {
                if let Value::Str(name) = name {
                    self.handlers.named(name)?;
                }
            }
        }
        Ok(())
    }

    fn is_named(&self, name: &str) -> bool {
        self.loggers.as_ref().is_some_and(|loggers| loggers.get(name).is_some())
    }

    /// A logger that is configured, at a level where it has no other.
    fn node(&self, name: &str, level: i64) -> Result<Option<Node>, String> {
        let mut node = Node::new(level);
        let Some(logger) = self.loggers.as_ref().map(|loggers| loggers.dict(name)).transpose()?.flatten()
        else {
            return Ok(None);
        };
        logger.change(&mut node)?;
        Ok(Some(node))
    }

    /// The logger above all, which may be among the others as well.
    fn root(&self) -> Result<Node, String> {
        let mut node = Node::new(WARNING);
        if let Some(loggers) = &self.loggers {
            for name in loggers.keys().filter(|name| ROOT.contains(name)) {
                if let Some(root) = loggers.dict(name)? {
                    root.change(&mut node)?;
                }
            }
        }
        if let Some(root) = self.root.as_ref().filter(|root| !root.pairs.is_empty()) {
            root.change(&mut node)?;
        }
        Ok(node)
    }

    fn sinks(&self, handlers: &[&String]) -> Result<Vec<Sink>, String> {
        if handlers.is_empty() {
            // Python's last resort.
            let format = Format::of_python(None, None)?;
            return Ok(vec![Sink { from: WARNING, ..Sink::all(To::Err, format) }]);
        }
        if handlers.len() > HANDLERS_MAX {
            return Err(format!(
                "DICT_CONFIG has more than {HANDLERS_MAX} handlers for one logger: {INSTEAD}"
            ));
        }
        let mut sinks = Vec::new();
        for name in handlers {
            sinks.extend(self.handlers.sink(name)?);
        }
        Ok(sinks)
    }
}

/// A table of a configuration, by what it is called.
struct Dict<'a> {
    called: String,
    pairs: &'a [(Value, Value)],
}

impl<'a> Dict<'a> {
    fn new(called: impl Into<String>, value: &'a Value) -> Result<Dict<'a>, String> {
        let called = called.into();
        match value {
            Value::Dict(pairs) => Ok(Dict { called, pairs }),
            _ => Err(format!("{called} cannot be used: it is no dict")),
        }
    }

    fn raw(&self, key: &str) -> Option<&'a Value> {
        let is_key = |known: &Value| matches!(known, Value::Str(known) if known == key);
        self.pairs.iter().find(|(known, _)| is_key(known)).map(|(_, value)| value)
    }

    /// What is said of a key; `None` of Python's is nothing.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.raw(key).filter(|value| **value != Value::Null)
    }

    fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter_map(|(key, _)| match key {
            Value::Str(key) => Some(key.as_str()),
            _ => None,
        })
    }

    /// What is below a key, in the name of what it is of.
    fn called(&self, key: &str) -> String {
        format!("`{}` of {}", Shown::name(key), self.called)
    }

    fn dict(&self, key: &str) -> Result<Option<Dict<'a>>, String> {
        self.get(key).map(|value| Dict::new(self.called(key), value)).transpose()
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(text)) if !text.starts_with("cfg://") => Ok(Some(text)),
            Some(Value::Str(_)) => Err(self.refused(key, "`cfg://` is not read")),
            Some(_) => Err(self.refused(key, "it is no text")),
        }
    }

    fn level(&self, key: &str) -> Result<Option<i64>, String> {
        if let Some(Value::Int(number)) = self.get(key) {
            return Ok(Some(*number));
        }
        let Some(name) = self.text(key)? else { return Ok(None) };
        let known = LEVELS.iter().find(|(level, _)| *level == name);
        let number = known.map(|(_, number)| *number);
        number.map(Some).ok_or_else(|| {
            self.refused(
                key,
                "it is none of DEBUG, INFO, WARNING, ERROR and CRITICAL, in capitals as Python has them",
            )
        })
    }

    fn refused(&self, key: &str, reason: &str) -> String {
        format!("{} cannot be used: {reason}; {INSTEAD}", self.called(key))
    }

    fn check_keys(&self, known: &[&str]) -> Result<(), String> {
        match self.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(self.refused(key, "it is not read")),
            None => Ok(()),
        }
    }

    /// That there are no filters.
    fn check_filters(&self) -> Result<(), String> {
        match self.get("filters").is_some_and(Value::is_true) {
            true => Err(self.refused("filters", "filters are not read")),
            false => Ok(()),
        }
    }

    /// What this says of a logger.
    fn change(&self, node: &mut Node) -> Result<(), String> {
        self.check_keys(&LOGGER_KEYS)?;
        self.check_filters()?;
        node.level = self.level("level")?.unwrap_or(node.level);
        node.does_propagate = self.get("propagate").map_or(node.does_propagate, Value::is_true);
        node.handlers = match self.get("handlers") {
            None => Vec::new(),
            Some(Value::List(names) | Value::Tuple(names)) => {
                let name = |name: &Value| match name {
                    Value::Str(name) => Ok(name.clone()),
                    _ => Err(self.refused("handlers", "it is no list of texts")),
                };
                names.iter().map(name).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(self.refused("handlers", "it is no list of texts")),
        };
        // A logger has each of its handlers once.
        let mut known = std::collections::HashSet::new();
        node.handlers.retain(|name| known.insert(name.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
