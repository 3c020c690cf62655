//! The worker's log, as users of RQ know it: `01:48:22 Worker w1: default: math.add(1, 2) (job-1)` (docs/cli.md §2).
//!
//! | file | holds |
//! |---|---|
//! | `log/plan.rs` | which lines go where |
//! | `log/dict_config.rs` | the plan that a `DICT_CONFIG` is |
//! | `log/format.rs` | `--log-format` and `--date-format` |
//! | `log/line.rs` | one event made into one line |
//! | `log/sinks.rs` | a plan that is carried out |
//! | `log/stream.rs`, `target.rs` | where lines go, whether or not somebody reads them |

use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use self::dict_config::Logger;
pub(crate) use self::format::{DATE_DEFAULT, Format, LINE_DEFAULT};
use self::line::Lines;
pub(crate) use self::plan::Plan;
use self::sinks::Sinks;
use self::stream::Stream;
use crate::paint::Paint;
use crate::refusal::Refusal;

mod dict_config;
mod format;
mod line;
mod plan;
mod sinks;
mod stream;
mod target;

/// Writes the log from now on, as it is planned. It fails where a file of the plan cannot be opened.
///
/// A program that has installed a subscriber of its own keeps it.
pub(crate) fn install(plan: &Plan, paint: Paint) -> Result<Log, Refusal> {
    let sinks = Sinks::open(plan, paint)?;
    let streams = sinks.streams();
    let subscriber = tracing_subscriber::registry().with(plan.filter()).with(sinks);
    // It fails where the program has one.
    let streams = if subscriber.try_init().is_ok() { streams } else { Vec::new() };
    Ok(Log { streams })
}

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    /// None where the program has a log of its own; each with the format of its lines.
    streams: Vec<(Arc<Stream>, Format)>,
}

impl Log {
    /// Has threads write it from now on, so that no reader holds up who logs. This process must not fork any more.
    pub(crate) fn start_threads(self) -> Threads {
        let started = self.streams.into_iter().map(|(stream, format)| {
            stream.start_thread(Lines::new(format, Paint::Plain));
            stream
        });
        Threads(started.collect())
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
