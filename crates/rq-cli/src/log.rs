//! The worker's log, as users of RQ know it: `01:48:22 Worker w1: default: math.add(1, 2) (job-1)` (docs/cli.md §2).
//!
//! | file | holds |
//! |---|---|
//! | `log/format.rs` | `--log-format` and `--date-format` |
//! | `log/line.rs` | one event made into one line |
//! | `log/stream.rs` | where lines go, whether or not somebody reads them |

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

pub(crate) use self::format::{DATE_DEFAULT, Format, LINE_DEFAULT};
use self::line::Lines;
use self::stream::{Standard, Stream};
use crate::paint::Paint;

mod format;
mod line;
mod stream;

/// Writes the log from now on: levels below ERROR to standard output, ERROR to standard error.
///
/// A program that has installed a subscriber of its own keeps it.
pub(crate) fn install(level: Level, format: Format, paint: Paint) -> Log {
    let streams = Streams::of_this_process();
    let all = streams.all();
    let subscriber = tracing_subscriber::fmt()
        .event_format(Lines::new(format.clone(), paint))
        .with_writer(streams)
        .with_max_level(level);
    // It fails where the program has one.
    let streams = if subscriber.try_init().is_ok() { all } else { Vec::new() };
    Log { streams, format }
}

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    /// None where the program has a log of its own.
    streams: Vec<Arc<Stream>>,
    format: Format,
}

impl Log {
    /// Has threads write it from now on, so that no reader holds up who logs. This process must not fork any more.
    pub(crate) fn start_threads(self) -> Threads {
        for stream in &self.streams {
            stream.start_thread(Lines::new(self.format.clone(), Paint::Plain));
        }
        Threads(self.streams)
    }
}

/// The threads that write the log. Dropping it waits until all is written that somebody reads.
#[must_use = "what is logged just before the end would be lost"]
#[derive(Debug)]
pub(crate) struct Threads(Vec<Arc<Stream>>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.iter().for_each(|stream| stream.finish());
    }
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

/// Python's name of a level.
pub(crate) fn level_name(level: Level) -> &'static str {
    line::python_level(level).0
}

/// Where lines go. Each arrives whole.
struct Streams {
    out: Arc<Stream>,
    err: Arc<Stream>,
}

impl Streams {
    fn of_this_process() -> Streams {
        let out = Stream::new(Standard::Out);
        // Behind `2>&1`, say, and on terminals: then lines keep their order.
        let err = if is_same_file(io::stdout(), io::stderr()) {
            Arc::clone(&out)
        } else {
            Stream::new(Standard::Err)
        };
        Streams { out, err }
    }

    fn all(&self) -> Vec<Arc<Stream>> {
        let mut all = vec![Arc::clone(&self.out)];
        if !Arc::ptr_eq(&self.out, &self.err) {
            all.push(Arc::clone(&self.err));
        }
        all
    }
}

impl<'a> MakeWriter<'a> for Streams {
    type Writer = &'a Stream;

    fn make_writer(&'a self) -> &'a Stream {
        &self.out
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> &'a Stream {
        if *metadata.level() == Level::ERROR { &self.err } else { &self.out }
    }
}

/// Whether two descriptors lead to the same file, pipe or terminal, as far as the system tells.
fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |descriptor: &dyn AsFd| {
        let file = File::from(descriptor.as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(&one).is_some_and(|one| identity(&other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_known_by_both_of_its_descriptors() {
        let [(_, one), (_, other)] = [io::pipe().unwrap(), io::pipe().unwrap()];
        assert!(is_same_file(&one, one.try_clone().unwrap()));
        assert!(!is_same_file(&one, &other));
    }
}
