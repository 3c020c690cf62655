//! [`Jobs`]: what runs jobs in the process where they run, whatever executor has made it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rq_core::{
    Context, DeathPenalty, Ended, ExecutionId, Failure, Handlers, Host, Interrupt, Job, Prepared, States,
    Want, panics,
};

use crate::allocator;
use crate::error::LaunchError;
use crate::program::{Preloads, Program};
use crate::side_runtime::SideRuntime;

/// Up to how many bytes a payload leaves little behind.
const SMALL_BYTES: usize = 256;

/// The value of a job in its codec, or why there is none.
type Outcome = Result<Option<Vec<u8>>, Failure>;

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

    /// Runs one job here and now, whatever it does, with the death penalties armed.
    ///
    /// An async handler is driven to its end by `drive`. One that does not end within a part of `return_grace` after
    /// its interruption is dropped: at the end of that grace the executor would give it up.
    ///
    /// # Errors
    /// If `drive` cannot be had what it needs: the job has not begun.
    pub fn run(
        &self,
        id: &ExecutionId,
        job: &Arc<Job>,
        interrupt: &Arc<Interrupt>,
        host: Arc<dyn Host>,
        return_grace: Duration,
        drive: impl FnOnce(BoxFuture<'_, Outcome>) -> Result<Outcome, Want>,
    ) -> Result<Ended, Want> {
        let began = Instant::now();
        let perform = || {
            let (job, states) = (Arc::clone(job), Arc::clone(&self.states));
            let context = Context::new(job, id.clone(), Arc::clone(interrupt), host, states);
            let prepared = match self.handlers.prepare(context.job()) {
                Ok(prepared) => prepared,
                Err(failure) => return Ok(Err(failure)),
            };
            let arm = |penalty: &Arc<dyn DeathPenalty>| penalty.arm(&context, interrupt.limit());
            // Disarmed with the end of this closure, and so as well when the job panics.
            let _armed: Vec<_> = self.death_penalties.iter().map(arm).collect();
            if prepared.is_async() {
                drive(until_interrupted(prepared, &context, interrupt, return_grace).boxed())
            } else {
                Ok(prepared.run(&context))
            }
        };
        let outcome = panics::catch(perform).unwrap_or_else(|panic| Ok(Err(Failure::Panic(panic))))?;
        // What its arguments were is free by now, in the heap of this thread.
        if job.data.len() > SMALL_BYTES {
            allocator::give_back_own();
        }
        Ok(Ended { outcome, ran: began.elapsed(), called_back: false })
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
) -> Outcome {
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
