//! The worker's log, as users of RQ know it: `01:48:22 Worker w1: default: math.add(1, 2) (job-1)` (docs/cli.md §2).
//!
//! | file | holds |
//! |---|---|
//! | `log/format.rs` | `--log-format` and `--date-format` |
//! | `log/line.rs` | one event made into one line |

use std::io::{self, Stderr, Stdout, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

pub(crate) use self::format::{DATE_DEFAULT, Format, LINE_DEFAULT};
use self::line::Lines;
use crate::paint::Paint;

mod format;
mod line;

/// Writes the log from now on: levels below ERROR to standard output, ERROR to standard error.
///
/// A program that has installed a subscriber of its own keeps it.
pub(crate) fn install(level: Level, format: Format, paint: Paint) {
    let subscriber = tracing_subscriber::fmt()
        .event_format(Lines::new(format, paint))
        .with_writer(Streams)
        .with_max_level(level);
    // It fails where the program has one.
    let _ = subscriber.try_init();
}

/// A level by Python's name, in any case.
pub(crate) fn level(name: &str) -> Result<Level, String> {
    match name.to_ascii_uppercase().as_str() {
        "DEBUG" => Ok(Level::DEBUG),
        "INFO" => Ok(Level::INFO),
        "WARNING" | "WARN" => Ok(Level::WARN),
        "ERROR" | "CRITICAL" | "FATAL" => Ok(Level::ERROR),
        _ => Err(format!("'{name}' is none of DEBUG, INFO, WARNING, ERROR and CRITICAL")),
    }
}

struct Streams;

/// Each line arrives whole and leaves in one write, as both streams pass on what ends with a line end.
enum Stream {
    Out(Stdout),
    Err(Stderr),
}

impl<'a> MakeWriter<'a> for Streams {
    type Writer = Stream;

    fn make_writer(&'a self) -> Stream {
        Stream::Out(io::stdout())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Stream {
        if *metadata.level() == Level::ERROR { Stream::Err(io::stderr()) } else { self.make_writer() }
    }
}

impl Write for Stream {
    /// Never fails: where standard output is closed, as behind `| head`, the line is dropped, and the worker goes on.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Stream::Out(stdout) => stdout.write(bytes),
            Stream::Err(stderr) => stderr.write(bytes),
        };
        match written {
            // `write_all` tries again then, and loses nothing.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Ok(count @ 1..) => Ok(count),
            Ok(0) | Err(_) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
