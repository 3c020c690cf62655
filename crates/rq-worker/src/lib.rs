//! The dispatcher: claims, settles and heartbeats, whatever runs the jobs.
//!
//! An executor's crate implements [`Launch`] and exports `Worker` as an alias; `rq-cli` calls [`run`].
//!
//! This crate never runs a job and never decodes a payload. Exception handlers run on threads beside its loop.

mod bell;
mod commands;
mod dispatcher;
mod error;
mod launch;
mod line;
mod options;
mod perform;
mod program;
mod report;
mod side_runtime;
mod signals;
mod watch;
mod worker;

pub use error::WorkerError;
pub use launch::{HELPER_VARIABLE, Launch};
pub use line::Line;
pub use options::{
    DequeueStrategy, JOB_STACK_KB_DEFAULT, JOB_STACK_KB_MIN, LEASE_DEFAULT, LEASE_MIN, Options, QUEUE_DEFAULT,
};
pub use perform::Jobs;
pub use program::{Preload, Program};
pub use rq_core::{DeathPenalty, ExceptionHandler, Failure, Job};
pub use side_runtime::SideRuntime;
pub use watch::{RETURN_GRACE, Watch};
pub use worker::{Worker, run};
