//! [`Handlers`]: the handlers of a configuration, and how they write.

use rq_core::Value;

use super::Dict;
use crate::log::format::Format;
use crate::log::plan::{Sink, To};

/// Those that write to a stream; RQ's has had two places.
const STREAM: [&str; 3] =
    ["logging.StreamHandler", "rq.logutils.ColorizingStreamHandler", "rq.utils.ColorizingStreamHandler"];
/// Those that write to a file, and the one that follows it when it is moved.
const FILE: [&str; 2] = ["logging.FileHandler", WATCHED];
const WATCHED: &str = "logging.handlers.WatchedFileHandler";
/// The one that writes nowhere.
const NULL: &str = "logging.NullHandler";
/// What all of them may have, and what only some may.
const KEYS: [&str; 4] = ["class", "level", "formatter", "filters"];
const STREAM_KEYS: [&str; 1] = ["stream"];
const FILE_KEYS: [&str; 4] = ["filename", "mode", "encoding", "delay"];
/// What a formatter may have.
const FORMATTER_KEYS: [&str; 5] = ["format", "datefmt", "style", "validate", "class"];

/// Handlers and formatters.
pub(super) struct Handlers<'a> {
    pub(super) handlers: Option<Dict<'a>>,
    pub(super) formatters: Option<Dict<'a>>,
}

impl Handlers<'_> {
    /// What a handler is here; `None` where it writes nowhere.
    pub(super) fn sink(&self, name: &str) -> Result<Option<Sink>, String> {
        let handler = self.named(name)?;
        if handler.get("()").is_some() {
            return Err(handler.refused("()", "factories are not called"));
        }
        handler.check_filters()?;
        let Some(class) = handler.text("class")? else {
            return Err(handler.refused("class", "it is not given"));
        };
        let to = match class {
            class if STREAM.contains(&class) => {
                handler.check_keys(&[&KEYS[..], &STREAM_KEYS].concat())?;
                stream(&handler)?
            }
            class if FILE.contains(&class) => {
                handler.check_keys(&[&KEYS[..], &FILE_KEYS].concat())?;
                file(&handler, class == WATCHED)?
            }
            NULL => {
                handler.check_keys(&KEYS)?;
                return Ok(None);
            }
            _ => {
                let classes = [&STREAM[..2], &FILE, &[NULL]].concat().join(", ");
                return Err(handler.refused("class", &format!("only these are known: {classes}")));
            }
        };
        let from = handler.level("level")?.unwrap_or_default();
        Ok(Some(Sink { from, ..Sink::all(to, self.format(&handler)?) }))
    }

    /// The handler of this name.
    pub(super) fn named(&self, name: &str) -> Result<Dict<'_>, String> {
        let handler = self.handlers.as_ref().map(|handlers| handlers.dict(name)).transpose()?.flatten();
        handler.ok_or_else(|| {
            let name = rq_core::Shown::name(name);
            format!("DICT_CONFIG names a handler `{name}`, which its `handlers` have not: write it there")
        })
    }

    /// That all handlers which are tables name formatters that are there.
    pub(super) fn check_formatters(&self) -> Result<(), String> {
        let Some(handlers) = &self.handlers else { return Ok(()) };
        for name in handlers.keys() {
            let Ok(Some(handler)) = handlers.dict(name) else { continue };
            let Some(Value::Str(formatter)) = handler.get("formatter") else { continue };
            if !formatter.is_empty() && !formatter.starts_with("cfg://") {
                self.formatter(&handler, formatter)?;
            }
        }
        Ok(())
    }

    fn formatter(&self, handler: &Dict<'_>, name: &str) -> Result<Dict<'_>, String> {
        let formatter =
            self.formatters.as_ref().map(|formatters| formatters.dict(name)).transpose()?.flatten();
        formatter.ok_or_else(|| handler.refused("formatter", "there is none of this name in `formatters`"))
    }

    fn format(&self, handler: &Dict<'_>) -> Result<Format, String> {
        let Some(name) = handler.text("formatter")?.filter(|name| !name.is_empty()) else {
            return Format::of_python(None, None);
        };
        let formatter = self.formatter(handler, name)?;
        if formatter.get("()").is_some() {
            return Err(formatter.refused("()", "factories are not called"));
        }
        formatter.check_keys(&FORMATTER_KEYS)?;
        if formatter.text("style")?.is_some_and(|style| style != "%") {
            return Err(formatter.refused("style", "only `%` is read"));
        }
        if formatter.text("class")?.is_some_and(|class| class != "logging.Formatter") {
            return Err(formatter.refused("class", "only logging.Formatter is known"));
        }
        // Python takes an empty one for none.
        let given = |key| formatter.text(key).map(|text| text.filter(|text| !text.is_empty()));
        let (line, date) = (given("format")?, given("datefmt")?);
        // With a time that is well, what is wrong is the line.
        Format::of_python(line, None).map_err(|reason| formatter.refused("format", &reason))?;
        Format::of_python(line, date).map_err(|reason| formatter.refused("datefmt", &reason))
    }
}

fn stream(handler: &Dict<'_>) -> Result<To, String> {
    match handler.text("stream")? {
        Some("ext://sys.stdout") => Ok(To::Out),
        Some("ext://sys.stderr") | None => Ok(To::Err),
        Some(_) => Err(handler.refused("stream", "it is neither ext://sys.stdout nor ext://sys.stderr")),
    }
}

fn file(handler: &Dict<'_>, is_watched: bool) -> Result<To, String> {
    let Some(path) = handler.text("filename")? else {
        return Err(handler.refused("filename", "it is not given"));
    };
    let is_emptied = match handler.text("mode")? {
        None | Some("a") => false,
        Some("w") => true,
        Some(_) => return Err(handler.refused("mode", "it is neither `a` nor `w`")),
    };
    match handler.text("encoding")?.map(|encoding| encoding.to_ascii_lowercase().replace('_', "-")) {
        None => {}
        Some(encoding) if encoding == "utf-8" || encoding == "utf8" => {}
        Some(_) => return Err(handler.refused("encoding", "only UTF-8 is written")),
    }
    if !matches!(handler.get("delay"), None | Some(Value::Bool(_) | Value::Int(_))) {
        return Err(handler.refused("delay", "it is true or false"));
    }
    Ok(To::File { path: path.into(), is_emptied, is_watched })
}
