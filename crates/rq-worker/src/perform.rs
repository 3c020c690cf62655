//! [`Jobs`]: what runs jobs in the process where they run, whatever executor has made it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rq_core::{
    CallbackKind, Context, DeathPenalty, Ended, ExecutionId, Failure, Handlers, Host, Interrupt, Job,
    JobOutcome, Prepared, States, Task, Want, panics,
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
        let Program { handlers, mut states, preloads, death_penalties, exception_handlers: _, observers: _ } =
            program;
        let runtime = Arc::new(SideRuntime::default());
        let drives = Arc::clone(&runtime);
        states.drive_with(Box::new(move |making| drives.wait_for(making)?));
        let states = Arc::new(states);
        let preloads = Preloads { functions: preloads, states: Arc::clone(&states) };
        Ok((Jobs { handlers, states, death_penalties, runtime }, preloads))
    }

    /// What drives the I/O of async code beside the jobs, in this process.
    pub fn runtime(&self) -> &SideRuntime {
        &self.runtime
    }

    /// Runs one job here and now, whatever it does, and then those of its callbacks that the program has; or one callback
    /// alone. The death penalties are armed around each.
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
        let outcome = self.perform(&context, site, || match task {
            Task::Callback { name, end, .. } => self.handlers.prepare_callback(name, end.clone()),
            _ => self.handlers.prepare(job),
        })?;
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
            if !site.begin_callback(kind, due.limit) {
                return;
            }
            ended.called_back |= kind == CallbackKind::Failure;
            // Short or not, the job itself has run, so that it cannot be given back any more.
            let outcome = self.perform(context, site, || Ok(due.prepared));
            if let Err(failure) = outcome.unwrap_or_else(|want| Err(Failure::Executor(want.to_string()))) {
                ended.outcome = Err(failure);
            }
        }
    }

    /// Runs what `prepare` yields, with the death penalties armed.
    fn perform(
        &self,
        context: &Context,
        site: &impl Site,
        prepare: impl FnOnce() -> Result<Prepared, Failure>,
    ) -> Result<JobOutcome, Want> {
        let perform = || {
            let prepared = match prepare() {
                Ok(prepared) => prepared,
                Err(failure) => return Ok(Err(failure)),
            };
            let limit = site.interrupt().limit();
            let arm = |penalty: &Arc<dyn DeathPenalty>| penalty.arm(context, limit);
            // Disarmed with the end of this closure, and so as well when the job panics.
            let _armed: Vec<_> = self.death_penalties.iter().map(arm).collect();
            if prepared.is_async() {
                let ended = until_interrupted(prepared, context, site.interrupt(), site.return_grace());
                site.drive(ended.boxed())
            } else {
                Ok(prepared.run(context))
            }
        };
        panics::catch(perform).unwrap_or_else(|panic| Ok(Err(Failure::Panic(panic))))
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
