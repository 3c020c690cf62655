//! [`Lines`]: one event made into one line of a log file.

use std::fmt::{self, Write};
use std::io;

use jiff::{Timestamp, Zoned, fmt::strtime, tz::TimeZone};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::shown;

/// How much of a message is written.
const MESSAGE_CHARS_MAX: usize = 8192;

/// Makes lines of events.
pub(super) struct Lines {
    /// For `strftime`.
    date_format: String,
    zone: TimeZone,
}

impl Lines {
    pub(super) fn new(date_format: String) -> io::Result<Lines> {
        // Tried once here: an error in the format would otherwise come with every line.
        let probe = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        match strtime::format(&date_format, &probe) {
            Ok(_) => Ok(Lines { date_format, zone: TimeZone::system() }),
            Err(error) => {
                let reason = format!("'{date_format}' is no format of a time: {error}");
                Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
            }
        }
    }

    fn now(&self) -> Zoned {
        Timestamp::now().to_zoned(self.zone.clone())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = python_level(*event.metadata().level());
        let time = strtime::format(&self.date_format, &self.now()).map_err(|_| fmt::Error)?;
        let mut message = Message::default();
        event.record(&mut message);
        let message = shown::message(&(message.text + &message.fields), MESSAGE_CHARS_MAX);
        writeln!(out, "{level} {time} {} {message}", Place(event.metadata()))
    }
}

fn python_level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// Where an event comes from: `file.rs:12`.
struct Place<'a>(&'a Metadata<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.file(), self.0.line()) {
            (Some(path), Some(line)) => {
                let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
                write!(f, "{file}:{line}")
            }
            _ => f.write_str(self.0.target()),
        }
    }
}

/// An event's message, and the fields that stand behind it.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Strings take whatever is written; a value that cannot show itself is left out.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
