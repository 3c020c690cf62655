//! [`Jobs`]: what runs jobs in the process where they run, whatever executor has made it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rq_core::{
    CallbackKind, Context, DeathPenalty, Ended, ExecutionId, Failure, Handlers, Host, Interrupt, Job,
    JobMiddleware, JobOutcome, Next, Prepared, States, Task, Want, panics,
};

use crate::allocator;
use crate::error::LaunchError;
use crate::program::{Preloads, Program};
use crate::side_runtime::SideRuntime;
use crate::site::Site;

/// Up to how many bytes a payload leaves little behind.
const SMALL_BYTES: usize = 256;

/// What a program brings to the process that runs its jobs.
pub struct Jobs {
    handlers: Handlers,
    states: Arc<States>,
    death_penalties: Vec<Arc<dyn DeathPenalty>>,
    /// Whether those alone decide when the time of a callback is up; that of a job its worker leaves to them.
    replaces_limits: bool,
    middleware: Vec<Arc<dyn JobMiddleware>>,
    runtime: Arc<SideRuntime>,
}

impl Jobs {
    /// A program's jobs, and what must be done before the first of them runs.
    ///
    /// # Errors
    /// If the program has no handlers.
    pub fn of(program: Program) -> Result<(Jobs, Preloads), LaunchError> {
        if program.handlers.is_empty() {
            return Err(LaunchError::NoHandlers);
        }
        let replaces_limits = program.replaces_limits();
        let Program {
            handlers,
            mut states,
            preloads,
            death_penalties,
            middleware,
            exception_handlers: _,
            observers: _,
        } = program;
        let runtime = Arc::new(SideRuntime::default());
        let (drives, blocks) = (Arc::clone(&runtime), Arc::clone(&runtime));
        states.drive_with(Box::new(move |making| drives.wait_for(making)?));
        states.block_on_by(Box::new(move |future| blocks.block_on(future)));
        let states = Arc::new(states);
        let preloads = Preloads { functions: preloads, states: Arc::clone(&states) };
        Ok((Jobs { handlers, states, death_penalties, replaces_limits, middleware, runtime }, preloads))
    }

    /// What drives the I/O of async code beside the jobs, in this process.
    pub fn runtime(&self) -> &SideRuntime {
        &self.runtime
    }

    /// Runs one job here and now, whatever it does, and then those of its callbacks that the program has; or one callback
    /// alone. The death penalties are armed around each, and the middleware is around the job.
    ///
    /// # Errors
    /// If what it takes to run it is short: the job has not begun.
    pub fn run(
        &self,
        id: &ExecutionId,
        job: &Arc<Job>,
        task: &Task,
        host: Arc<dyn Host>,
        site: &impl Site,
    ) -> Result<Ended, Want> {
        let began = Instant::now();
        let (interrupt, states) = (Arc::clone(site.interrupt()), Arc::clone(&self.states));
        let context = Context::new(Arc::clone(job), id.clone(), interrupt, host, states);
        let outcome = match task {
            Task::Callback { name, end, limit, .. } => self
                .perform(&context, site, *limit, &[], || self.handlers.prepare_callback(name, end.clone())),
            _ => self.perform(&context, site, job.limit(), &self.middleware, || self.handlers.prepare(job)),
        }?;
        let mut ended = Ended { outcome, ran: began.elapsed(), called_back: false };
        // What its arguments were is free by now, in the heap of this thread.
        if job.data.len() > SMALL_BYTES {
            allocator::give_back_own();
        }
        if *task == Task::Job {
            self.call_back(&context, site, &mut ended);
        }
        Ok(ended)
    }

    /// Calls what is to be called where a job has run. A callback that fails is the job's failure, and so the failure
    /// callback is called after a success callback as well.
    fn call_back(&self, context: &Context, site: &impl Site, ended: &mut Ended) {
        for kind in CallbackKind::WHERE_IT_RAN {
            let Some(due) = self.handlers.due_callback(kind, context, &ended.outcome) else { continue };
            if !site.begin_callback(kind, due.limit.filter(|_| !self.replaces_limits)) {
                return;
            }
            ended.called_back |= kind == CallbackKind::Failure;
            // Short or not, the job itself has run, so that it cannot be given back any more.
            let outcome = self.perform(context, site, due.limit, &[], || Ok(due.prepared));
            if let Err(failure) = outcome.unwrap_or_else(|want| Err(Failure::Executor(want.to_string()))) {
                ended.outcome = Err(failure);
            }
        }
    }

    /// Runs what `prepare` yields, with the death penalties armed for `limit`, and within `middleware`.
    fn perform(
        &self,
        context: &Context,
        site: &impl Site,
        limit: Option<Duration>,
        middleware: &[Arc<dyn JobMiddleware>],
        prepare: impl FnOnce() -> Result<Prepared, Failure>,
    ) -> Result<JobOutcome, Want> {
        let perform = || {
            let prepared = match prepare() {
                Ok(prepared) => prepared,
                Err(failure) => return Ok(Err(failure)),
            };
            if prepared.is_async() {
                site.get_ready()?;
            }
            let arm = |penalty: &Arc<dyn DeathPenalty>| penalty.arm(context, limit);
            // Disarmed with the end of this closure, and so as well when the job panics.
            let _armed: Vec<_> = self.death_penalties.iter().map(arm).collect();
            let outcome = if middleware.is_empty() {
                run(prepared, context, site)
            } else {
                run_within(middleware, prepared, context, site)
            };
            // Destructors may do anything, and are the job's: within its limit, and before it is told how it has ended.
            outcome.map(|outcome| context.drop_extensions(outcome))
        };
        let outcome = panics::catch(perform).unwrap_or_else(|panic| Ok(Err(Failure::Panic(panic))));
        site.interrupt().disarm();
        outcome
    }
}

/// Runs a handler, within middleware.
fn run_within(
    middleware: &[Arc<dyn JobMiddleware>],
    prepared: Prepared,
    context: &Context,
    site: &impl Site,
) -> Result<JobOutcome, Want> {
    let (function, mut unbegun) = (prepared.name(), None);
    let outcome = Next::new(function, context, middleware, || match run(prepared, context, site) {
        Ok(outcome) => site.cut_short().map_or(outcome, Err),
        // Middleware sees a failure, and whatever it makes of that, the job is given back.
        Err(want) => Err(Failure::Executor(unbegun.insert(want).to_string())),
    })
    .run();
    unbegun.map_or(Ok(outcome), Err)
}

/// Runs a handler.
fn run(prepared: Prepared, context: &Context, site: &impl Site) -> Result<JobOutcome, Want> {
    if prepared.is_async() {
        let ended = until_interrupted(prepared, context, site.interrupt(), site.return_grace());
        site.drive(ended.boxed())
    } else {
        Ok(prepared.run(context))
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

/// Runs an async handler, which is dropped if it does not end soon after its interruption.
async fn until_interrupted(
    prepared: Prepared,
    context: &Context,
    interrupt: &Interrupt,
    return_grace: Duration,
) -> JobOutcome {
    /// For as long as it takes: the limit, or a stop, ends it.
    const FOREVER: Duration = Duration::MAX;
    /// Which part of the grace it has.
    const PART: u32 = 5;
    let ignored = async {
        loop {
            // Even the longest sleep ends some time: `Interrupt` takes a year for ever.
            if let Err(interrupted) = interrupt.sleep_async(FOREVER).await {
                tokio::time::sleep(return_grace / PART).await;
                return interrupted;
            }
        }
    };
    tokio::select! {
        // A job that ends as it is interrupted has ended: its outcome counts.
        biased;
        outcome = prepared.run_async(context) => outcome,
        interrupted = ignored => Err(Failure::interrupted(interrupted)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use rq_core::{BoxError, handlers, job, zlib};

    use super::*;

    #[job("tests.add")]
    fn add(x: i64, y: i64) -> rq_core::Result<i64> {
        Ok(x + y)
    }

    #[job("tests.add_async")]
    async fn add_async(x: i64, y: i64) -> rq_core::Result<i64> {
        Ok(x + y)
    }

    struct Nowhere;

    impl Host for Nowhere {
        fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    /// A site that has what async handlers need, or is short of it: at first, or later.
    #[derive(Clone, Copy)]
    enum Place {
        Rich,
        ShortAtFirst,
        ShortLater,
    }

    struct Here {
        place: Place,
        interrupt: Arc<Interrupt>,
    }

    impl Site for Here {
        fn interrupt(&self) -> &Arc<Interrupt> {
            &self.interrupt
        }

        fn begin_callback(&self, _: CallbackKind, _: Option<Duration>) -> bool {
            true
        }

        fn get_ready(&self) -> Result<(), Want> {
            if matches!(self.place, Place::ShortAtFirst) { Err(Want::new("no thread")) } else { Ok(()) }
        }

        fn drive(&self, handler: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want> {
            match self.place {
                Place::ShortLater => Err(Want::new("no thread")),
                _ => Ok(tokio::runtime::Runtime::new().unwrap().block_on(handler)),
            }
        }
    }

    /// How a call of `function` ends in `place`, and how often the middleware was called, which mends every failure.
    fn ran(function: &str, place: Place) -> (Result<JobOutcome, Want>, usize) {
        let calls = Arc::new(AtomicUsize::new(0));
        let mut program = Program::new(handlers![add, add_async]);
        let counted = Arc::clone(&calls);
        program.middleware.push(Arc::new(move |ctx: &Context, next: Next<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            next.run().or_else(|_| Ok(ctx.encode("mended")?))
        }));
        let (jobs, _) = Jobs::of(program).unwrap();
        let payload = format!(r#"["{function}", null, [2, 3], {{}}]"#);
        let job = Arc::new(Job::new("j", "q", zlib::deflate(payload.as_bytes())));
        let site = Here { place, interrupt: Arc::new(Interrupt::new(None)) };
        let ended = jobs.run(&ExecutionId::new("j"), &job, &Task::Job, Arc::new(Nowhere), &site);
        (ended.map(|ended| ended.outcome), calls.load(Ordering::Relaxed))
    }

    #[test]
    fn middleware_is_around_sync_and_async_handlers() {
        for function in ["tests.add", "tests.add_async"] {
            let (outcome, calls) = ran(function, Place::Rich);
            assert_eq!((outcome.unwrap().unwrap().as_deref(), calls), (Some(&b"5"[..]), 1), "{function}");
        }
        let (outcome, calls) = ran("tests.unknown", Place::Rich);
        assert!(matches!(outcome, Ok(Err(Failure::UnknownFunction { .. }))) && calls == 0);
    }

    #[test]
    fn a_job_that_does_not_begin_is_given_back_whatever_middleware_makes_of_it() {
        for (place, called) in [(Place::ShortAtFirst, 0), (Place::ShortLater, 1)] {
            let (outcome, calls) = ran("tests.add_async", place);
            assert_eq!((outcome.unwrap_err(), calls), (Want::new("no thread"), called));
        }
    }
}
