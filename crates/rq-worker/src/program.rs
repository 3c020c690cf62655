//! [`Program`]: what a program brings to a worker.

use std::fmt;
use std::sync::Arc;

use rq_core::{DeathPenalty, ExceptionHandler, Handlers, States};

use crate::event::Observer;

/// Something to be done once, in the process that runs jobs, before the first.
pub type Preload = Box<dyn FnOnce() + Send>;

/// What a program brings to a worker: its jobs, and what they and their failures need.
///
/// `rq_cli::App` and [`Worker`](crate::Worker) have the same methods and hand over one of these.
#[derive(Default)]
#[non_exhaustive]
pub struct Program {
    /// The functions that can run.
    pub handlers: Handlers,
    /// What they share.
    pub states: States,
    /// Called once, in the process that runs jobs, before the first.
    pub preloads: Vec<Preload>,
    /// Called for each failure, in order.
    pub exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
    /// Armed for each job, in order.
    pub death_penalties: Vec<Arc<dyn DeathPenalty>>,
    /// Called for each event of the worker, in order.
    pub observers: Vec<Arc<dyn Observer>>,
}

impl Program {
    /// A program with these functions and nothing else.
    pub fn new(handlers: Handlers) -> Program {
        Program { handlers, ..Program::default() }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("handlers", &self.handlers)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

/// The methods by which a program says what it brings, the same on everything that holds a [`Program`].
#[macro_export]
macro_rules! program_methods {
    ($holder:ty, $program:ident) => {
        /// Adds a value that jobs share, such as a connection pool: `ctx.state::<T>()`. It is made when a job first
        /// asks for it, once in each process that runs jobs.
        pub fn state<T: Send + Sync + 'static>(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> $holder {
            self.$program.states.insert(make);
            self
        }

        /// Adds something to be done once, where jobs run, before the first one: loading a model, warming a cache.
        pub fn preload(mut self, load: impl FnOnce() + Send + 'static) -> $holder {
            self.$program.preloads.push(Box::new(load));
            self
        }

        /// Adds an exception handler behind those that are there.
        pub fn exception_handler(mut self, handler: impl $crate::ExceptionHandler + 'static) -> $holder {
            self.$program.exception_handlers.push(::std::sync::Arc::new(handler));
            self
        }

        /// Adds a function as exception handler; `Break` keeps later ones from being called.
        pub fn on_exception(
            self,
            handle: impl Fn(&$crate::Job, &$crate::Failure) -> ::std::ops::ControlFlow<()> + Send + Sync + 'static,
        ) -> $holder {
            self.exception_handler(handle)
        }

        /// Adds a function that is called for jobs whose process was killed, exited, ran out of memory, or died with the
        /// fork server: RQ's `work_horse_killed_handler`.
        pub fn on_horse_killed(
            self,
            handle: impl Fn(&$crate::Job, &$crate::Failure) + Send + Sync + 'static,
        ) -> $holder {
            self.on_exception(move |job, failure| {
                if failure.is_crash() {
                    handle(job, failure);
                }
                ::std::ops::ControlFlow::Continue(())
            })
        }

        /// Adds an observer of what the worker does, behind its log and those that are there.
        pub fn observer(mut self, observer: impl $crate::Observer + 'static) -> $holder {
            self.$program.observers.push(::std::sync::Arc::new(observer));
            self
        }

        /// Adds a death penalty behind those that are there.
        pub fn death_penalty(mut self, penalty: impl $crate::DeathPenalty + 'static) -> $holder {
            self.$program.death_penalties.push(::std::sync::Arc::new(penalty));
            self
        }
    };
}
