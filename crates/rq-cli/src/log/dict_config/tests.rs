use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rq_core::Codec;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::log::format::{DATE_DEFAULT, LINE_DEFAULT};
use crate::log::level;
use crate::log::sinks::Sinks;
use crate::paint::Paint;

/// What Python writes, by where: the table of the integration test that asks Python.
const CASES: &str = include_str!("../../../../../tests/fixtures/settings/dict_configs.json");

#[derive(serde::Deserialize)]
struct Case {
    about: String,
    level: Option<String>,
    config: serde_json::Value,
    written: BTreeMap<String, String>,
}

fn plan(config: &str, logger: Logger, level: Option<Level>) -> Result<Plan, String> {
    let config = Codec::Json.decode_value(config.as_bytes()).unwrap();
    Plan::from_dict_config(&config, logger, level, Format::new(LINE_DEFAULT, DATE_DEFAULT).unwrap())
}

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("rq-cli-log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The plan with all its places in here: a test has no standard output of its own.
    fn within(&self, mut plan: Plan) -> Plan {
        for sink in &mut plan.sinks {
            let file =
                |name: &str| To::File { path: self.0.join(name), is_emptied: false, is_watched: false };
            sink.to = match &sink.to {
                To::Out => file("out"),
                To::Err => file("err"),
                To::File { path, is_emptied, is_watched } => {
                    To::File { path: self.0.join(path), is_emptied: *is_emptied, is_watched: *is_watched }
                }
            };
        }
        plan
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn log_with(plan: &Plan, log: impl FnOnce()) {
    let sinks = Sinks::open(plan, Paint::Plain).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(plan.filter()).with(sinks), log);
}

#[test]
fn lines_are_pythons() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    for (number, case) in cases.iter().enumerate() {
        let folder = Folder::new(&number.to_string());
        for name in ["out", "err"] {
            fs::write(folder.0.join(name), "").unwrap();
        }
        fs::write(folder.0.join("old.log"), "before\n").unwrap();
        let level = case.level.as_deref().map(|name| level(name).unwrap());
        let plan = plan(&case.config.to_string(), Logger::Worker, level)
            .unwrap_or_else(|reason| panic!("{}: {reason}", case.about));
        log_with(&folder.within(plan), || {
            tracing::debug!(target: "rq_worker::log", "a line at debug");
            tracing::info!(target: "rq_worker::log", "a line at info");
            tracing::warn!(target: "rq_worker::log", "a line at warning");
            tracing::error!(target: "rq_worker::log", "a line at error");
        });
        let written: BTreeMap<String, String> = fs::read_dir(&folder.0)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, text.replace(|c: char| c.is_ascii_digit(), "0"))
            })
            .collect();
        assert_eq!(written, case.written, "{}", case.about);
    }
}

#[test]
fn without_one_the_log_is_rqs() {
    let format = Format::new(LINE_DEFAULT, DATE_DEFAULT).unwrap();
    let without = r#"{"version": 1, "disable_existing_loggers": false}"#;
    assert_eq!(plan(without, Logger::Worker, None), Ok(Plan::default_of(Level::INFO, format.clone())));
    let debug = plan(without, Logger::Worker, Some(Level::DEBUG));
    assert_eq!(debug, Ok(Plan::default_of(Level::DEBUG, format)));
}

#[test]
fn other_commands_have_loggers_of_their_own() {
    let config = r#"{"version": 1, "handlers": {"h": {"class": "logging.StreamHandler"}},
                     "loggers": {"rq.cron": {"handlers": ["h"]}, "rq.worker_pool": {"level": "ERROR"}}}"#;
    // A cron that has a handler is left at its level.
    let cron = plan(config, Logger::Cron, Some(Level::DEBUG)).unwrap();
    assert_eq!((cron.level, cron.sinks.len()), (WARNING, 1));
    let pool = plan(config, Logger::WorkerPool, Some(Level::DEBUG)).unwrap();
    assert_eq!((pool.level, pool.sinks.len()), (10, 2));
    assert_eq!(plan(config, Logger::Worker, Some(Level::DEBUG)).unwrap().sinks, []);
}

/// With `handler` as the worker's.
fn refused(handler: &str, formatter: &str) -> String {
    let config = format!(
        r#"{{"version": 1, "handlers": {{"h": {handler}}}, "formatters": {{"f": {formatter}}},
             "loggers": {{"rq.worker": {{"handlers": ["h"]}}}}}}"#
    );
    match plan(&config, Logger::Worker, None) {
        Err(reason) => reason,
        Ok(plan) => panic!("{handler}, {formatter}: {plan:?}"),
    }
}

#[test]
fn what_is_not_carried_out_is_told_with_its_key() {
    for (handler, says) in [
        (
            r#"{"class": "logging.handlers.RotatingFileHandler", "filename": "x"}"#,
            "`class` of `h` of `handlers`",
        ),
        (r#"{"class": "logging.handlers.SysLogHandler"}"#, "only these are known: logging.StreamHandler"),
        (r#"{"()": "app.handler"}"#, "`()` of `h` of `handlers` of DICT_CONFIG cannot be used: factories"),
        (r#"{"stream": "ext://sys.stdout"}"#, "`class` of `h`"),
        (r#"{"class": "logging.StreamHandler", "stream": "cfg://x"}"#, "`stream` of `h`"),
        (r#"{"class": "logging.StreamHandler", "stream": "ext://app.stream"}"#, "neither ext://sys.stdout"),
        (r#"{"class": "logging.StreamHandler", "filters": ["f"]}"#, "filters are not read"),
        (r#"{"class": "logging.StreamHandler", "level": "info"}"#, "in capitals"),
        (r#"{"class": "logging.StreamHandler", "level": 1.5}"#, "it is no text"),
        (r#"{"class": "logging.StreamHandler", "terminator": ""}"#, "`terminator` of `h`"),
        (r#"{"class": "logging.FileHandler"}"#, "`filename` of `h`"),
        (r#"{"class": "logging.FileHandler", "filename": "x", "mode": "x"}"#, "neither `a` nor `w`"),
        (r#"{"class": "logging.FileHandler", "filename": "x", "encoding": "latin-1"}"#, "only UTF-8"),
        (r#"{"class": "logging.FileHandler", "filename": "x", "maxBytes": 5}"#, "`maxBytes` of `h`"),
        (r#"{"class": "logging.StreamHandler", "formatter": "nosuch"}"#, "`formatter` of `h`"),
        ("5", "`h` of `handlers` of DICT_CONFIG cannot be used: it is no dict"),
    ] {
        let reason = refused(handler, "{}");
        assert!(reason.contains(says), "{handler}: {reason}");
    }
    for (formatter, says) in [
        (r#"{"format": "{message}", "style": "{"}"#, "`style` of `f` of `formatters`"),
        (r#"{"()": "app.Formatter"}"#, "factories are not called"),
        (r#"{"class": "pythonjsonlogger.jsonlogger.JsonFormatter"}"#, "only logging.Formatter"),
        (r#"{"format": "%(funcName)s"}"#, "`format` of `f`"),
        (r#"{"datefmt": "%!"}"#, "`datefmt` of `f`"),
        (r#"{"fmt": "%(message)s"}"#, "`fmt` of `f`"),
    ] {
        let reason = refused(r#"{"class": "logging.StreamHandler", "formatter": "f"}"#, formatter);
        assert!(reason.contains(says), "{formatter}: {reason}");
    }
    for (config, says) in [
        ("5", "DICT_CONFIG cannot be used: it is no dict"),
        ("{}", "DICT_CONFIG has no `version`"),
        (r#"{"version": 2}"#, "`version` of DICT_CONFIG must be 1"),
        (r#"{"version": 1, "incremental": true}"#, "`incremental`"),
        (r#"{"version": 1, "logger": {}}"#, "`logger` of DICT_CONFIG"),
        (
            r#"{"version": 1, "root": {"handlers": ["x"]}, "disable_existing_loggers": false}"#,
            "a handler `x`",
        ),
        (
            r#"{"version": 1, "root": {"handlers": "x"}, "disable_existing_loggers": false}"#,
            "no list of texts",
        ),
        (r#"{"version": 1, "loggers": {"rq.worker": {"filters": ["x"]}}}"#, "filters are not read"),
        (r#"{"version": 1, "loggers": {"rq.worker": {"lever": 5}}}"#, "`lever` of `rq.worker` of `loggers`"),
    ] {
        let reason = plan(config, Logger::Worker, None).unwrap_err();
        assert!(reason.contains(says), "{config}: {reason}");
    }
}

#[test]
fn what_is_silent_is_looked_at_and_told() {
    let silent = |more: &str| format!(r#"{{"version": 1, "root": {{"handlers": ["h"]}}, {more}}}"#);
    for (more, says) in [
        (r#""handlers": {"h": {"()": "app.H"}}"#, "factories are not called"),
        (r#""handlers": {"h": {"class": "app.H"}}"#, "`class` of `h`"),
        (r#""handlers": {"h": {"class": "logging.NullHandler", "formatter": "no"}}"#, "`formatter` of `h`"),
        (r#""handlers": {}"#, "a handler `h`"),
        (
            r#""handlers": {"h": {"class": "logging.NullHandler"}, "x": {"()": "app.X", "formatter": "no"}}"#,
            "`formatter` of `x` of `handlers` of DICT_CONFIG cannot be used",
        ),
        (
            r#""handlers": {"h": {"class": "logging.NullHandler"}}, "loggers": {"app": {"handlers": ["x"]}}"#,
            "a handler `x`",
        ),
    ] {
        let reason = plan(&silent(more), Logger::Worker, None).unwrap_err();
        assert!(reason.contains(says) && reason.matches("cannot be used").count() < 2, "{more}: {reason}");
    }
    let own = Format::new("%(message)s", DATE_DEFAULT).unwrap();
    let rqs = Format::new(LINE_DEFAULT, DATE_DEFAULT).unwrap();
    let handlers = r#""handlers": {"h": {"class": "logging.StreamHandler"}}"#;
    for (config, logger, format, level, says) in [
        (silent(handlers), Logger::Worker, &rqs, None, Some("'disable_existing_loggers': False")),
        (silent(&format!(r#"{handlers}, "loggers": {{"rq": {{}}}}"#)), Logger::Worker, &rqs, None, None),
        (
            silent(&format!(r#"{handlers}, "loggers": {{"rq.worker_pool": {{}}}}"#)),
            Logger::WorkerPool,
            &rqs,
            None,
            Some("leaves the logger rq.worker disabled"),
        ),
        (
            silent(&format!(r#"{handlers}, "disable_existing_loggers": false"#)),
            Logger::Worker,
            &own,
            Some(Level::DEBUG),
            Some("--log-format and --date-format have no effect"),
        ),
        (
            silent(&format!(r#"{handlers}, "disable_existing_loggers": false"#)),
            Logger::Cron,
            &rqs,
            Some(Level::DEBUG),
            Some("--logging-level has no effect"),
        ),
        (r#"{"version": 1, "disable_existing_loggers": false}"#.to_owned(), Logger::Worker, &own, None, None),
    ] {
        let value = Codec::Json.decode_value(config.as_bytes()).unwrap();
        let plan = Plan::from_dict_config(&value, logger, level, format.clone()).unwrap();
        let remark = plan.remark(&value, logger, level, format).unwrap();
        assert_eq!(remark.is_some(), says.is_some(), "{config}: {remark:?}");
        assert!(remark.is_none_or(|remark| remark.contains(says.unwrap())), "{config}");
    }
}

#[test]
fn a_watched_file_is_followed() {
    let folder = Folder::new("watched");
    let (path, moved) = (folder.0.join("w.log"), folder.0.join("w.log.1"));
    let to = |is_watched| To::File { path: path.clone(), is_emptied: false, is_watched };
    for (is_watched, expected) in [(true, "after\n"), (false, "")] {
        let format = Format::of_python(None, None).unwrap();
        let plan = Plan { level: NOTSET, sinks: vec![Sink::all(to(is_watched), format)] };
        log_with(&plan, || {
            tracing::info!(target: "rq_worker::log", "before");
            fs::rename(&path, &moved).unwrap();
            tracing::info!(target: "rq_worker::log", "after");
        });
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), expected);
        assert!(fs::read_to_string(&moved).unwrap().starts_with("before\n"));
        let _ = fs::remove_file(&path);
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_told() {
    let to = To::File { path: "/nonexistent/x.log".into(), is_emptied: false, is_watched: false };
    let plan = Plan { level: NOTSET, sinks: vec![Sink::all(to, Format::of_python(None, None).unwrap())] };
    let Err(refusal) = Sinks::open(&plan, Paint::Plain) else { panic!("it is opened") };
    assert!(refusal.reason().unwrap().contains("/nonexistent/x.log of DICT_CONFIG cannot be opened"));
}
