//! The `rq` command line, as a library and as a binary.
//!
//! [`main`] makes a program with jobs an `rq` that can run them:
//!
//! ```no_run
//! use rq_cli::{handlers, job};
//!
//! #[job("math.add")]
//! fn add(x: i64, y: i64) -> rq_cli::Result<i64> {
//!     Ok(x + y)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rq_cli::main(handlers![add])
//! }
//! ```
//!
//! `my-jobs worker high default` then runs them, and `rq worker --app ./my-jobs high default` does the same. [`App`]
//! has methods for what else a program brings to its jobs.
//!
//! # Layout
//!
//! * [`App`], and `pieces`, `executors`: what a program brings; `run`, `called`: how it is run
//! * `command_line`, `two_words`, `usage`: arguments to a command, or to RQ's words for what is wrong with them; `examples`: those in help
//! * `classes`, `chosen`, `rqs_worker`: the options that name pieces of a program, what they choose, and RQ's own names
//! * `commands`: one file a command, each with its `Args` and its `run`
//! * `other_program`: the program that `--app` names, in this one's place
//! * `manager`: what `rq manager` and `rq worker-pool` have around `rq-manager`
//! * `names`: names as arguments; `module_file`: the file that a Python module is
//! * `sentry`: the options by which failures reach Sentry; `told`: what a worker's log says of its program at the start
//! * `server`: the options all commands share, and the Redis they come to
//! * `settings`: what holds, by options, the environment and a file, and where it comes from
//! * `supervisor`: what systemd, or a manager, has told a worker, and is told by it
//! * `text`, the one door to people; `log`, `logging`, `output`, `paint`, `progress`, `refusal`: what they read
//!
//! What the commands do in Redis is in `rq-core` and `rq-worker`. Arguments are read before there is any runtime or
//! thread, since an executor may have to fork first.

use std::process::ExitCode;

mod app;
mod called;
mod chosen;
mod classes;
mod command_line;
mod commands;
mod cron_source;
mod examples;
mod executors;
mod log;
mod logging;
mod manager;
mod module_file;
mod names;
mod other_program;
mod output;
mod paint;
mod pieces;
mod progress;
mod refusal;
mod rqs_worker;
mod run;
mod sentry;
mod server;
mod settings;
mod supervisor;
mod text;
mod told;
mod two_words;
mod usage;

pub use app::App;
/// What jobs and `main` are written with; all else of a producer's is in `rq-core`.
pub use rq_core::{
    ArgumentError, BlockOnError, BoxError, Call, Callback, Codec, Context, DeathPenalty, End, EndFailure,
    EndValue, Ender, ExceptionHandler, Extensions, Failure, Guard, Handlers, Job, JobMiddleware, JobOutcome,
    Next, Payload, Repeat, Result, Retry, StateError, States, Value, handlers,
};
/// What an executor of the program's own is made of, for [`App::executor`].
pub use rq_core::{CallbackKind, Ended, Execution, ExecutionId, Executor, Host, Interrupt, Stop, Task, Want};
/// What a cron is made of, for [`App::cron`].
pub use rq_cron::{CatchUp, Cron, Entry, Overlap};
pub use rq_macros::{callback_by_rq_cli as callback, job_by_rq_cli as job};
/// What an executor's launch gets, and the observers of a worker.
pub use rq_worker::{
    ExecutorOption, ExecutorOptions, Jobs, Launch, LaunchError, Observer, Options, Preload, Preloads,
    Program, Site, WorkerEvent,
};

/// What the code that [`job`] and [`callback`](macro@callback) write names.
#[doc(hidden)]
pub mod __private {
    pub use rq_core;
}

/// The README's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The code of the chapter on middleware, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/middleware.md")]
struct Middleware;

/// Runs the command that this program's arguments name, with these jobs: short for `App::new(handlers).run()`.
///
/// Call it first in `main`, before the program starts a thread or a runtime.
pub fn main(handlers: Handlers) -> ExitCode {
    App::new(handlers).run()
}
