//! [`App`]: a program that is an `rq`.

use std::ffi::OsString;
use std::rc::Rc;
use std::sync::Arc;

use rq_core::{DeathPenalty, ExceptionHandler, Handlers, JobMiddleware, blocking};
use rq_cron::Cron;
use rq_worker::{Launch, Program, program_methods};

use crate::pieces::Pieces;
use crate::supervisor::Supervisor;

/// A program that is an `rq`: its jobs, what they need (docs/states.md), and what its command line can name.
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
///
/// What it registers under a name counts where an option names it, and `--help` lists it: `-w`, `--exception-handler`,
/// `--death-penalty`, `--job-class` and `--queue-class` (docs/cli.md §10.10). A name may be that of the Python class or function
/// which the piece stands for, so that command lines stay as they are. Of two of one name the later one counts.
#[must_use = "an app does nothing until it is run"]
#[derive(Debug)]
pub struct App {
    pub(crate) program: Program,
    pub(crate) pieces: Pieces,
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
            pieces: Pieces::built_in(),
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

    /// Adds an executor for `-w NAME`; one of the same name is replaced, and that may be one that is built in. Its
    /// [options](Launch::Options) are options of `rq worker` then.
    pub fn executor<L: Launch>(self, name: impl Into<String>) -> App {
        self.executor_with::<L>(name, L::Options::default())
    }

    /// [`executor`](App::executor) with options for what the command line leaves open. An executor may be there under
    /// several names, with other options each.
    pub fn executor_with<L: Launch>(mut self, name: impl Into<String>, options: L::Options) -> App {
        self.pieces.executors.add::<L>(name.into(), options);
        self
    }

    /// Adds an exception handler for `--exception-handler NAME`: called where that names it, behind those that the program
    /// [always has](App::exception_handler), in the order in which they are named.
    pub fn exception_handler_named(
        mut self,
        name: impl Into<String>,
        handler: impl ExceptionHandler + 'static,
    ) -> App {
        self.pieces.exception_handlers.add(name.into(), Arc::new(handler));
        self
    }

    /// Adds a death penalty for `--death-penalty NAME`: armed where that names it, behind those that the program
    /// [always has](App::death_penalty), in the order in which they are named.
    pub fn death_penalty_named(
        mut self,
        name: impl Into<String>,
        penalty: impl DeathPenalty + 'static,
    ) -> App {
        self.pieces.death_penalties.add(name.into(), Arc::new(penalty));
        self
    }

    /// Adds middleware for `--job-class NAME`, which is around each job where that names it, inside of what the program
    /// [always has](App::middleware): what a subclass of `rq.job.Job`, or a `perform_job` of one's own, is for in RQ.
    pub fn job_class(mut self, name: impl Into<String>, middleware: impl JobMiddleware + 'static) -> App {
        self.pieces.job_classes.add(name.into(), Arc::new(middleware));
        self
    }

    /// Adds a kind of queue for `rq enqueue --queue-class NAME`, made of the queue that is enqueued in: what a subclass of
    /// `rq.Queue` is for in RQ.
    ///
    /// ```no_run
    /// # use rq_cli::{App, Handlers};
    /// let app = App::new(Handlers::new())
    ///     .queue_class("urgent", |queue| queue.default_timeout(std::time::Duration::from_secs(10)));
    /// ```
    pub fn queue_class(
        mut self,
        name: impl Into<String>,
        class: impl Fn(blocking::Queue) -> blocking::Queue + 'static,
    ) -> App {
        self.pieces.queue_classes.add(name.into(), Rc::new(class));
        self
    }
}
