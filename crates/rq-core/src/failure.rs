//! [`Failure`]: how a job ends other than with a value.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::time::Duration;

use rq_wire::CodecError;

use crate::interrupt::Interrupted;
use crate::panics::Panic;
use crate::retry::Retry;

mod summary;

pub(crate) use summary::summary;
#[cfg(feature = "worker")]
pub use summary::without_argument;

/// Any error a job may return.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What jobs return. `?` converts every error; `Err(Retry::up_to(3).into())` asks for another run.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// How many causes of an error are written down.
const CAUSES_MAX: usize = 32;
/// What a line with a cause begins with.
const CAUSED_BY: &str = "caused by: ";
/// How long a stored text may be; the rest of a longer one is left out.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How a job ends other than with a value.
///
/// It is no [`std::error::Error`] itself, or `?` could not convert every error into it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The job returned an error.
    Error(BoxError),
    /// The job asked to be run again.
    Retry(Retry),
    /// The job panicked.
    Panic(Panic),
    /// The job used more stack than it has, where its executor outlives that.
    StackOverflow {
        /// The size of its stack, in kB.
        stack_kb: usize,
    },
    /// The job reached its time limit.
    Timeout {
        /// The limit it had.
        limit: Duration,
    },
    /// Somebody asked for the job to be stopped.
    Stopped,
    /// The process that ran the job was ended by a signal.
    Killed {
        /// The signal's number.
        signal: i32,
        /// What the process had used.
        usage: Usage,
    },
    /// The worker was shut down while it ran the job, and did not wait for the job to end.
    ShutDown,
    /// The process that ran the job was ended by a signal for want of memory.
    OutOfMemory {
        /// Where the job held more than it may. `None` where the system counted a kill for want of memory in the
        /// worker's control group.
        over: Option<OverMemory>,
        /// The signal's number.
        signal: i32,
        /// What the process had used.
        usage: Usage,
    },
    /// The worker that ran the job stopped heartbeating, and the job may have begun.
    Abandoned {
        /// The worker's name; empty if it is not known.
        worker: String,
    },
    /// No handler has the name that the job asks for.
    UnknownFunction {
        /// The name asked for.
        name: String,
        /// A handler's name that differs little from it.
        nearest: Option<String>,
    },
    /// The payload in the field `data` cannot be read.
    Payload(CodecError),
    /// A field of the job hash cannot be read, so that the job cannot run.
    Malformed {
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The arguments do not fit the handler.
    Arguments(ArgumentError),
    /// The process that ran the job ended with this code before it reported how the job ended.
    Exited {
        /// The code.
        code: i32,
    },
    /// The process that ran the job reported this failure, as text.
    Remote {
        /// Its [kind](Failure::kind).
        kind: String,
        /// Its [text](Failure::text).
        text: String,
    },
    /// What the executor runs jobs with has died, and the process that ran the job with it; in words.
    Lost(String),
    /// The executor could not run the job.
    Executor(String),
}

/// What a process has used (`wait4`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The most memory it had at once.
    pub peak_rss_bytes: u64,
    /// The processor time it took, its own and the system's for it.
    pub cpu: Duration,
}

/// How much memory a job held that held more than it may, with the processes that it had started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverMemory {
    /// How much it held.
    pub held_bytes: u64,
    /// How much it may hold, in MB.
    pub limit_mb: u64,
}

impl Usage {
    /// The usage of a process, as the system reports it at its end.
    pub const fn new(peak_rss_bytes: u64, cpu: Duration) -> Usage {
        Usage { peak_rss_bytes, cpu }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peak_mb, cpu_s) = (self.peak_rss_bytes >> 20, self.cpu.as_secs_f64());
        write!(f, "peak RSS {peak_mb} MB, CPU {cpu_s:.3} s")
    }
}

/// Arguments that do not fit a handler's parameters. The wordings are Python's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// A parameter without default was not given.
    #[error("{function}() missing argument '{name}'")]
    Missing {
        /// The handler.
        function: &'static str,
        /// The parameter.
        name: &'static str,
    },
    /// A keyword that names no parameter.
    #[error("{function}() got an unexpected keyword argument '{name}'")]
    Unexpected {
        /// The handler.
        function: &'static str,
        /// The keyword.
        name: String,
    },
    /// A parameter given by position and by keyword.
    #[error("{function}() got multiple values for argument '{name}'")]
    Twice {
        /// The handler.
        function: &'static str,
        /// The parameter.
        name: String,
    },
    /// More positional arguments than parameters.
    #[error("{function}() takes {takes} positional arguments but {given} were given")]
    TooMany {
        /// The handler.
        function: &'static str,
        /// How many it takes.
        takes: usize,
        /// How many came.
        given: usize,
    },
    /// An argument of another type.
    #[error("{function}() argument '{name}': {reason}")]
    Type {
        /// The handler.
        function: &'static str,
        /// The parameter.
        name: &'static str,
        /// What was expected and what came.
        reason: String,
    },
}

impl<E: Into<BoxError>> From<E> for Failure {
    /// An [`Interrupted`] that a job passes on keeps its meaning.
    fn from(error: E) -> Failure {
        // Its type alone tells an interruption that is passed on; one that `anyhow` has wrapped is known by
        // `Interrupt::told` (`handlers.rs`).
        let error = error.into();
        match error.downcast_ref::<Interrupted>() {
            Some(&interrupted) => Failure::interrupted(interrupted),
            None => Failure::Error(error),
        }
    }
}

impl From<Retry> for Failure {
    fn from(retry: Retry) -> Failure {
        Failure::Retry(retry)
    }
}

impl Failure {
    /// The failure of a job that was interrupted.
    pub fn interrupted(interrupted: Interrupted) -> Failure {
        match interrupted {
            Interrupted::JobTimeout { limit } => Failure::Timeout { limit },
            Interrupted::JobStopped => Failure::Stopped,
        }
    }

    /// Whether the job's process died under it, by its own doing or another's: what becomes of the job then is
    /// [`OnCrash`](crate::OnCrash)'s to say.
    pub fn is_crash(&self) -> bool {
        use Failure::{Exited, Killed, Lost, OutOfMemory};
        matches!(self, Killed { .. } | OutOfMemory { .. } | Exited { .. } | Lost(_))
    }

    /// A short name of the kind, in RQ's words where it has one.
    pub fn kind(&self) -> &str {
        match self {
            Failure::Error(_) => "Error",
            Failure::Retry(_) => "Retry",
            Failure::Panic(_) => "Panic",
            Failure::StackOverflow { .. } => "StackOverflow",
            Failure::Timeout { .. } => "JobTimeoutException",
            Failure::Stopped => "Stopped",
            Failure::ShutDown => "ShutDown",
            Failure::Killed { .. } => "Killed",
            Failure::OutOfMemory { .. } => "OutOfMemory",
            Failure::Exited { .. } => "Exited",
            Failure::Remote { kind, .. } => kind,
            Failure::Abandoned { .. } => "AbandonedJobError",
            Failure::UnknownFunction { .. } => "UnknownFunction",
            Failure::Payload(_) => "DeserializationError",
            Failure::Malformed { .. } => "Malformed",
            Failure::Arguments(_) => "TypeError",
            Failure::Lost(_) | Failure::Executor(_) => "ExecutorError",
        }
    }

    /// What is stored with the job and shown by dashboards: the kind, what went wrong, and one cause a line.
    pub fn text(&self) -> String {
        // It was put together, and cut, in the process that ran the job, and begins with its kind already.
        if let Failure::Remote { text, .. } = self {
            return text.clone();
        }
        let mut text = format!("{}: ", self.kind());
        match self {
            Failure::Error(error) => write_chain(&mut text, error.as_ref()),
            Failure::Retry(retry) => {
                push(&mut text, format_args!("the job asked to be run again, up to {} times", retry.max()))
            }
            Failure::Panic(panic) => push(&mut text, format_args!("{panic}")),
            Failure::StackOverflow { stack_kb } => push(
                &mut text,
                format_args!("the job has overflowed its stack of {stack_kb} kB; --job-stack gives it more"),
            ),
            Failure::Timeout { limit } => {
                push(
                    &mut text,
                    format_args!("Task exceeded maximum timeout value ({} seconds)", limit.as_secs_f64()),
                );
            }
            Failure::Stopped => text.push_str("Job stopped by user"),
            Failure::Killed { signal, usage } => {
                let name = signal_name(*signal);
                push(
                    &mut text,
                    format_args!("the process running the job was ended by signal {signal}{name}\n{usage}"),
                );
            }
            Failure::ShutDown => text.push_str("the worker was shut down while the job ran"),
            Failure::OutOfMemory { over: None, signal, usage } => push(
                &mut text,
                format_args!(
                    "the process running the job was ended by signal {signal} when the memory of the worker's control group \
                     was used up\n{usage}"
                ),
            ),
            Failure::OutOfMemory { over: Some(OverMemory { held_bytes, limit_mb }), signal, usage } => push(
                &mut text,
                format_args!(
                    "the job and the processes it started held {} MB of memory and may hold {limit_mb} MB: they were \
                     ended by signal {signal}\n{usage}",
                    held_bytes >> 20
                ),
            ),
            Failure::Exited { code } => push(
                &mut text,
                format_args!("the process running the job exited with code {code} before the job had ended"),
            ),
            Failure::Remote { .. } => {}
            Failure::Abandoned { worker } if worker.is_empty() => {
                text.push_str("the worker stopped heartbeating while it had the job")
            }
            Failure::Abandoned { worker } => {
                push(&mut text, format_args!("the worker {worker} stopped heartbeating while it ran the job"))
            }
            Failure::UnknownFunction { name, nearest } => {
                push(&mut text, format_args!("no handler named `{name}` in this worker"));
                if let Some(nearest) = nearest {
                    push(&mut text, format_args!("; did you mean `{nearest}`?"));
                }
                text.push_str(
                    "\nAdd it to `handlers![..]`, or send the job to a queue whose workers have it.",
                );
            }
            Failure::Payload(error) => {
                text.push_str("field `data`: ");
                write_chain(&mut text, error);
            }
            Failure::Malformed { field, reason } => {
                push(&mut text, format_args!("field `{field}`: {reason}"))
            }
            Failure::Arguments(error) => push(&mut text, format_args!("{error}")),
            Failure::Lost(reason) | Failure::Executor(reason) => text.push_str(reason),
        }
        shortened(text, TEXT_BYTES_MAX)
    }
}

/// The names of signals that end jobs, and what those may mean. The numbers are those of Linux on all but a few
/// processors.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT): it aborted, perhaps for a stack that overflowed or memory that ran out",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL): by a person, or by the system because memory was short",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// The beginning of a text that has more than so many bytes.
pub(crate) fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let whole_bytes = text.len();
        // Between characters: a `String` cut inside of one panics.
        text.truncate(text.floor_char_boundary(bytes_max));
        push(&mut text, format_args!("… (of {whole_bytes} bytes)"));
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

fn write_chain(text: &mut String, error: &dyn StdError) {
    push(text, format_args!("{error}"));
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { return };
        push(text, format_args!("\n{CAUSED_BY}{error}"));
        cause = error.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(error: impl Into<Failure>) -> Failure {
        error.into()
    }

    #[test]
    fn question_mark_takes_any_error() {
        assert_eq!(fails("plain").text(), "Error: plain");
        assert_eq!(fails(String::from("owned")).text(), "Error: owned");
        let chain = anyhow::anyhow!("root").context("middle").context("top");
        assert_eq!(fails(chain).text(), "Error: top\ncaused by: middle\ncaused by: root");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let text = fails("é".repeat(TEXT_BYTES_MAX)).text();
        assert!(text.len() < TEXT_BYTES_MAX + 100 && text.ends_with(" bytes)"), "{} bytes", text.len());
    }

    #[test]
    fn a_retry_stays_a_retry() {
        assert!(matches!(fails(Retry::up_to(2)), Failure::Retry(retry) if retry.max() == 2));
    }

    #[test]
    fn a_passed_on_time_limit_stays_one() {
        let limit = Duration::from_secs(3);
        assert!(
            matches!(fails(Interrupted::JobTimeout { limit }), Failure::Timeout { limit: l } if l == limit)
        );
        assert!(matches!(fails(Interrupted::JobStopped), Failure::Stopped));
        assert_eq!(
            fails(Interrupted::JobTimeout { limit }).text(),
            "JobTimeoutException: Task exceeded maximum timeout value (3 seconds)"
        );
    }

    #[test]
    fn an_unknown_function_names_the_way_on() {
        let failure = Failure::UnknownFunction { name: "math.ad".into(), nearest: Some("math.add".into()) };
        let text = failure.text();
        assert!(
            text.contains("`math.ad`") && text.contains("`math.add`") && text.contains("handlers![..]"),
            "{text}"
        );
    }
}
