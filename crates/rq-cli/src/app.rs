//! [`App`]: a program that is an `rq`.

use std::ffi::OsString;

use rq_core::Handlers;
use rq_cron::Cron;
use rq_worker::{Launch, Program, program_methods};

use crate::executors::Executors;
use crate::supervisor::Supervisor;

/// A program that is an `rq`: its jobs, what they need (docs/states.md), and the executors it offers for `-w`.
///
/// ```no_run
/// # struct Pool;
/// # impl Pool { fn open() -> Pool { Pool } }
/// use rq_cli::{App, Handlers};
///
/// fn main() -> std::process::ExitCode {
///     App::new(Handlers::new()).state(Pool::open).run()
/// }
/// ```
#[must_use = "an app does nothing until it is run"]
#[derive(Debug)]
pub struct App {
    pub(crate) program: Program,
    pub(crate) executors: Executors,
    pub(crate) cron: Option<Cron>,
    /// The arguments that it was started with, its own name first.
    pub(crate) arguments: Vec<OsString>,
    /// Who supervises the worker that it is.
    pub(crate) supervisor: Supervisor,
}

impl App {
    /// A program with these jobs, and the executors that were built in.
    pub fn new(handlers: Handlers) -> App {
        App {
            program: Program::new(handlers),
            executors: Executors::built_in(),
            cron: None,
            arguments: Vec::new(),
            supervisor: Supervisor::default(),
        }
    }

    program_methods!(App, program);

    /// The entries that `rq cron` and `rq worker --with-cron` have where no file is named (docs/cron.md).
    pub fn cron(mut self, cron: Cron) -> App {
        self.cron = Some(cron);
        self
    }

    /// Adds an executor of the program's own, for `-w` by its name; one of the same name is replaced. Its
    /// [options](Launch::Options) are options of `rq worker` then.
    pub fn executor<L: Launch>(self) -> App {
        self.executor_with::<L>(L::Options::default())
    }

    /// [`executor`](App::executor) with options for what the command line leaves open; so for executors that are built
    /// in, too.
    pub fn executor_with<L: Launch>(mut self, options: L::Options) -> App {
        self.executors.add::<L>(options);
        self
    }
}
