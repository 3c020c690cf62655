//! [`Program`]: what a program brings to a worker.

use std::fmt;
use std::sync::Arc;

use rq_core::panics::{self, Panic};
use rq_core::{DeathPenalty, ExceptionHandler, Handlers, JobMiddleware, States};

use crate::error::LaunchError;
use crate::event::Observer;

/// Something to be done once, in the process that runs jobs, before the first.
pub type Preload = Box<dyn FnOnce() + Send>;

/// What is to be done before the first job, in the process that runs jobs.
pub struct Preloads {
    pub(crate) functions: Vec<Preload>,
    pub(crate) states: Arc<States>,
}

impl Preloads {
    /// Does it, the functions first.
    ///
    /// # Errors
    /// If a state cannot be made, or something panics.
    pub fn run(self) -> Result<(), LaunchError> {
        let Preloads { functions, states } = self;
        let load = || {
            functions.into_iter().for_each(|load| load());
            states.preload()
        };
        match panics::catch(load) {
            Ok(loaded) => Ok(loaded?),
            Err(Panic { message, location, .. }) => {
                let place = location.map(|location| format!(" at {location}")).unwrap_or_default();
                Err(LaunchError::Refused(format!("a preload panicked{place}: {message}")))
            }
        }
    }
}

impl fmt::Debug for Preloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preloads").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

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
    /// Called around each job, the first one outermost.
    pub middleware: Vec<Arc<dyn JobMiddleware>>,
    /// Called for each event of the worker, in order.
    pub observers: Vec<Arc<dyn Observer>>,
}

impl Program {
    /// A program with these functions and nothing else.
    pub fn new(handlers: Handlers) -> Program {
        Program { handlers, ..Program::default() }
    }

    /// Whether a death penalty [replaces the limits](DeathPenalty::replaces_limit) of jobs and callbacks.
    pub fn replaces_limits(&self) -> bool {
        self.death_penalties.iter().any(|penalty| penalty.replaces_limit())
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
        /// Adds a value that jobs share, such as a client: `ctx.state::<T>()`. It is made when a job first asks for it, once
        /// in each process that runs jobs.
        ///
        /// Under `-w fork` that is once for *each job*, as each has a process of its own, or once for `--horse-jobs` of
        /// them: right for connections, which do not survive a fork. What is the same for all jobs, and takes long to make,
        /// is a [`preloaded_state`](Self::preloaded_state).
        pub fn state<T: Send + Sync + 'static>(mut self, make: impl Fn() -> T + Send + Sync + 'static) -> $holder {
            self.$program.states.insert(make);
            self
        }

        /// [`state`](Self::state), made by what may fail. The job that asks fails with that cause, or gets it by
        /// `ctx.try_state::<T>()?`; the next one has it made again.
        pub fn try_state<T, E>(
            mut self,
            make: impl Fn() -> ::std::result::Result<T, E> + Send + Sync + 'static,
        ) -> $holder
        where
            T: Send + Sync + 'static,
            E: Into<$crate::BoxError>,
        {
            self.$program.states.insert_fallible(make);
            self
        }

        /// [`try_state`](Self::try_state), made by async code: `.async_state(|| Pool::connect(URL))`. It runs on a runtime of
        /// the process's own, which goes on between jobs, for handlers of either kind. The job waits.
        pub fn async_state<T, E, F>(mut self, make: impl Fn() -> F + Send + Sync + 'static) -> $holder
        where
            T: Send + Sync + 'static,
            E: Into<$crate::BoxError>,
            F: ::std::future::Future<Output = ::std::result::Result<T, E>> + Send + 'static,
        {
            self.$program.states.insert_async(make);
            self
        }

        /// Adds a value that jobs share and that is made once, before the first of them: a model, a table. Where it cannot
        /// be made, the worker does not start, and exits with 1.
        ///
        /// Under `-w fork` it is made in the fork server, and jobs share its memory until they write to it. So it must hold
        /// no connection, which all of them would use at once, and must leave no thread behind.
        pub fn preloaded_state<T, E>(
            mut self,
            make: impl Fn() -> ::std::result::Result<T, E> + Send + Sync + 'static,
        ) -> $holder
        where
            T: Send + Sync + 'static,
            E: Into<$crate::BoxError>,
        {
            self.$program.states.insert_preloaded(make);
            self
        }

        /// Adds something to be done once, where jobs run, before the first one: warming a cache, reading settings. What
        /// jobs are to have of it is a [`preloaded_state`](Self::preloaded_state).
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

        /// Adds middleware around jobs, inside of that which is there (docs/middleware.md).
        pub fn middleware(mut self, middleware: impl $crate::JobMiddleware + 'static) -> $holder {
            self.$program.middleware.push(::std::sync::Arc::new(middleware));
            self
        }

        /// Adds a death penalty behind those that are there.
        pub fn death_penalty(mut self, penalty: impl $crate::DeathPenalty + 'static) -> $holder {
            self.$program.death_penalties.push(::std::sync::Arc::new(penalty));
            self
        }
    };
}
