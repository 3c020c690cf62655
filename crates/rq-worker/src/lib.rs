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
mod signals;
mod worker;

pub use error::WorkerError;
pub use launch::{HELPER_VARIABLE, Launch};
pub use line::Line;
pub use options::{DequeueStrategy, LEASE_DEFAULT, LEASE_MIN, Options, QUEUE_DEFAULT};
pub use perform::Jobs;
pub use program::{Preload, Program};
pub use rq_core::{DeathPenalty, ExceptionHandler, Failure, Job};
pub use worker::{Worker, run};
