//! Runs each job in a process of its own: `-w fork`.
//!
//! Three roles. The *fork server* is forked first of all, before any thread or runtime; it holds the handlers, stays
//! small, and forks whenever it is asked. The *worker* talks to Redis and decides. A *horse* runs one job and ends.
//!
//! # What it promises, and what not
//!
//! At its time limit a job is asked to end (`ctx.check()` fails, `ctx.sleep(..)` wakes). If it goes on, the fork server
//! sends its process group SIGTERM after a grace, and SIGKILL a second later. So end the programs that a job leaves behind,
//! however it ends. Whatever a job does, the worker lives: an abort, a stack overflow or a leak is the horse's own.
//! Destructors do not run after SIGKILL.
//!
//! # What jobs find in their process
//!
//! The variables `RQ_WORKER_ID` and, where a horse runs one job, `RQ_JOB_ID`; processes that a job starts inherit them.
//! `ps` shows the job in the place of the command line, so `std::env::args` is not what the program was called with.
//! A job runs on the second thread of its process; the first takes signals, which would break off what the job waits in.
//! A horse passes over SIGTERM until the worker means it, as one for a whole control group is not for jobs, and SIGINT. What
//! it starts finds the signals as the worker did (docs/operations.md). A horse ends without the program's exit handlers.

mod control;
mod descriptors;
mod ending;
mod frames;
mod horse;
mod horse_pool;
mod inbox;
mod launch;
mod memory;
mod options;
mod orphans;
mod rules;
mod server;
mod strays;
mod supervision;
mod teller;

use std::time::Duration;

use rq_core::Executor;
use rq_process::Inherited;
use rq_worker::{Jobs, Launch, LaunchError, Options, Program};

use horse_pool::HorsePool;
use launch::ServerConfig;
pub use options::ForkOptions;
pub use rules::CONCURRENCY_MAX;
use rules::Rules;

/// Five times as long as an async handler that was asked to end may take before it is dropped.
pub(crate) const RETURN_GRACE: Duration = Duration::from_millis(500);

/// How long what was sent SIGTERM has before SIGKILL.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(1);

/// A worker whose jobs run in processes.
pub type Worker = rq_worker::Worker<Fork>;

/// Starts the fork server.
#[derive(Debug)]
pub struct Fork;

impl Launch for Fork {
    const NAME: &'static str = "fork";

    type Options = ForkOptions;

    fn launch(
        program: Program,
        options: &Options,
        own: ForkOptions,
    ) -> Result<Box<dyn Executor>, LaunchError> {
        let (jobs, preloads) = Jobs::of(program)?;
        let rules = Rules::of(options, &own)?;
        let inherited = Inherited::of_this_process()?;
        let server = launch::fork_server(ServerConfig::new(jobs, preloads, options, rules, inherited))?;
        Ok(Box::new(HorsePool::new(
            rules,
            options.name.clone().unwrap_or_default(),
            options.helper_variables(),
            inherited,
            server,
        )))
    }
}
