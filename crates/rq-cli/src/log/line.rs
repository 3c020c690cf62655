//! [`Lines`]: one event made into one line, thousands of times a second.

use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use jiff::{Timestamp, tz::TimeZone};
use rq_core::Shown;
use tracing::field::Visit;
use tracing::{Event, Level};

use super::format::{Field, Format, Piece};
use crate::paint::{Colour, Paint};
use crate::text::Text;

/// RQ's logger, which operators know.
const RQ_LOGGER: &str = "rq.worker";

/// Makes lines of events.
pub(super) struct Lines {
    format: Format,
    paint: Paint,
    zone: TimeZone,
    /// The last second that was written, and how: most lines share it with the one before.
    second: Mutex<(i64, String)>,
}

impl Lines {
    pub(super) fn new(format: Format, paint: Paint) -> Lines {
        Lines { format, paint, zone: TimeZone::system(), second: Mutex::new((i64::MIN, String::new())) }
    }

    fn write_time(&self, out: &mut dyn Write) -> fmt::Result {
        let now = Timestamp::now();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0 != now.as_second() {
            let local = now.to_zoned(self.zone.clone());
            let text = jiff::fmt::strtime::format(&self.format.date, &local).map_err(|_| fmt::Error)?;
            *second = (now.as_second(), text);
        }
        out.write_str(&second.1)?;
        match self.format.has_milliseconds {
            true => write!(out, ",{:03}", now.subsec_millisecond()),
            false => Ok(()),
        }
    }

    /// Writes a line whose message `message` writes.
    pub(super) fn write_line(
        &self,
        level: Level,
        target: &str,
        message: &mut dyn FnMut(&mut dyn Write) -> fmt::Result,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let mut write_field = |field: Field, out: &mut dyn Write| {
            let (level_name, level_number) = python_level(level);
            match field {
                Field::Asctime => self.write_time(out),
                Field::Message => message(out),
                Field::Levelname => out.write_str(level_name),
                Field::Levelno => write!(out, "{level_number}"),
                Field::Name if is_ours(target) => out.write_str(RQ_LOGGER),
                Field::Name => out.write_str(target),
                Field::Process => write!(out, "{}", std::process::id()),
            }
        };
        for piece in &self.format.pieces {
            match piece {
                Piece::Literal(text) => out.write_str(text)?,
                Piece::Field { field, width: 0, .. } => write_field(*field, out)?,
                Piece::Field { field, width, left } => {
                    // A width counts characters, so the text has to be there before it is padded.
                    let mut text = String::new();
                    write_field(*field, &mut text)?;
                    if *left { write!(out, "{text:<width$}")? } else { write!(out, "{text:>width$}")? }
                }
            }
        }
        out.write_char('\n')
    }

    /// Writes the line of an event.
    pub(super) fn write_event(&self, event: &Event<'_>, out: &mut dyn Write) -> fmt::Result {
        let metadata = event.metadata();
        let message = &mut |out: &mut dyn Write| self.write_message(event, out);
        self.write_line(*metadata.level(), metadata.target(), message, out)
    }

    fn write_message(&self, event: &Event<'_>, out: &mut dyn Write) -> fmt::Result {
        let ours = is_ours(event.metadata().target());
        if ours && self.paint == Paint::Coloured {
            // Its parts are found in the whole message; a plain one goes straight to the line.
            let mut painted = PaintedMessage::default();
            event.record(&mut painted);
            return out.write_str(painted.into_text(self.paint).as_str());
        }
        write!(out, "{}", Shown::message(Message { event, with_fields: !ours }))
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("rq_")
}

pub(super) fn python_level(level: Level) -> (&'static str, u8) {
    match level {
        Level::ERROR => ("ERROR", 40),
        Level::WARN => ("WARNING", 30),
        Level::INFO => ("INFO", 20),
        Level::DEBUG | Level::TRACE => ("DEBUG", 10),
    }
}

/// An event's message, and the fields behind it that events of the jobs' own code have; events of RQ have all in the
/// message.
struct Message<'a> {
    event: &'a Event<'a>,
    with_fields: bool,
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut visitor = MessageVisitor { out: f, with_fields: self.with_fields, result: Ok(()) };
        self.event.record(&mut visitor);
        visitor.result
    }
}

struct MessageVisitor<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    with_fields: bool,
    result: fmt::Result,
}

impl Visit for MessageVisitor<'_, '_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if self.result.is_err() {
            return;
        }
        self.result = match field.name() {
            "message" => write!(self.out, "{value:?}"),
            name if self.with_fields => write!(self.out, " {name}={value:?}"),
            _ => Ok(()),
        };
    }
}

/// Collects what a terminal sees in colours: the message, and the fields that name parts of it.
#[derive(Default)]
struct PaintedMessage {
    message: String,
    queue: String,
    call: String,
}

impl PaintedMessage {
    /// RQ's colours: queues green, calls and `Job OK` blue. A part that the message does not hold where RQ's lines have
    /// it stays plain.
    fn into_text(self, paint: Paint) -> Text {
        // Each with what comes before it in the line, from its beginning to its end.
        let mut text = Text::default();
        let mut rest = self.message.as_str();
        for (part, colour, before, after) in [
            (&self.queue, Colour::Green, " on ", "..."),
            (&self.queue, Colour::Green, ": ", ": "),
            (&self.call, Colour::Blue, ": ", " ("),
        ] {
            // An event without such a field has an empty part, which would be found between any two marks.
            let found = rest.find(&format!("{before}{part}{after}")).filter(|_| !part.is_empty());
            let Some(at) = found else { continue };
            let (plain, part_and_rest) = rest.split_at(at + before.len());
            let (part, behind) = part_and_rest.split_at(part.len());
            text = text + Text::message(plain) + paint.paint_in_line(colour, Text::message(part));
            rest = behind;
        }
        text + Text::message(rest)
    }
}

impl Visit for PaintedMessage {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        // By way of its display: a string's debug text has quotes around it.
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "queue" => &mut self.queue,
            "call" => &mut self.call,
            _ => return,
        };
        // Strings take whatever is written.
        let _ = write!(text, "{}", Shown::message(format_args!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::super::format::{DATE_DEFAULT, LINE_DEFAULT};
    use super::*;

    /// Keeps lines.
    struct Kept {
        lines: Lines,
        text: Arc<Mutex<String>>,
    }

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.lines.write_event(event, &mut *self.text.lock().unwrap()).unwrap();
        }
    }

    fn logged(format: &str, paint: Paint, log: impl FnOnce()) -> String {
        let text = Arc::new(Mutex::new(String::new()));
        let lines = Lines::new(Format::new(format, DATE_DEFAULT).unwrap(), paint);
        let kept = Kept { lines, text: Arc::clone(&text) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept), log);
        text.lock().unwrap().clone()
    }

    const MESSAGE: &str = "%(message)s";

    #[test]
    fn a_line_is_a_time_and_a_message() {
        let line =
            logged(LINE_DEFAULT, Paint::Plain, || tracing::info!(queue = "q", "*** Listening on q..."));
        let (time, message) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "01:48:22".len());
        assert!(time.split(':').all(|part| part.parse::<u8>().is_ok()), "{time}");
        assert_eq!(message, "*** Listening on q...\n");
    }

    #[test]
    fn fields_of_a_format() {
        let line = logged("%(levelname)-8s|%(levelno)4d|%(name)s", Paint::Plain, || tracing::warn!("x"));
        assert_eq!(line, "WARNING |  30|rq.worker\n");
    }

    #[test]
    fn an_event_of_a_job_shows_its_fields() {
        let line = logged(
            MESSAGE,
            Paint::Coloured,
            || tracing::info!(target: "my_jobs", rows = 3, queue = "q", "loaded"),
        );
        assert_eq!(line, "loaded rows=3 queue=\"q\"\n");
    }

    #[test]
    fn nobody_can_forge_a_line() {
        for paint in [Paint::Plain, Paint::Coloured] {
            let line =
                logged(MESSAGE, paint, || tracing::info!("a\n\tb\r\x1b[31m\u{9b}\u{2028}é\n01:02 forged\n"));
            assert_eq!(line, "a\n    \\tb\\r\\x1b[31m\\x9b\\u2028é\n    01:02 forged\n");
        }
    }

    #[test]
    fn long_messages_are_cut() {
        let line = logged(MESSAGE, Paint::Plain, || tracing::info!("{}", "é".repeat(8192)));
        assert_eq!(line, "é".repeat(8192) + "\n");
        let long = "é\t".repeat(8192);
        let line = logged(MESSAGE, Paint::Plain, || tracing::info!("{long} and {long}"));
        assert_eq!(line.chars().count(), 8192 + "… (49157 bytes)\n".chars().count());
    }

    #[test]
    fn a_terminal_gets_rqs_colours() {
        let check = |log: fn(), expected: &str| {
            let expected = expected.replace('<', "\x1b[32m").replace('>', "\x1b[39;49;00m");
            assert_eq!(logged(MESSAGE, Paint::Coloured, log), expected.replace('{', "\x1b[34m") + "\n");
        };
        check(
            || tracing::info!(queue = "q", call = %"f('a')", "Worker w: q: f('a') (j)"),
            "Worker w: <q>: {f('a')> (j)",
        );
        check(
            || tracing::info!(queue = "q", call = "Job OK", "Worker w: q: Job OK (j)"),
            "Worker w: <q>: {Job OK> (j)",
        );
        check(|| tracing::info!(queue = "o, n", "*** Listening on o, n..."), "*** Listening on <o, n>...");
        check(|| tracing::info!(queue = "q", "Worker w: done, quitting"), "Worker w: done, quitting");
    }
}
