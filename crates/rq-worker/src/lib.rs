//! The dispatcher: claims, settles and heartbeats, whatever runs the jobs.
//!
//! An executor's crate implements [`Launch`] and exports `Worker` as an alias; `rq-cli` calls [`prepare`]. What a worker is
//! asked comes from outside, as a stream of [`Request`]s, and what it does is reported to [`Observer`]s, of which its
//! [`Log`] is the first; so a program can run workers inside of its own runtime ([`Worker::run_until`]).
//!
//! This crate never runs a job and never decodes a payload. Exception handlers run on threads beside its loop.

mod allocator;
mod commands;
mod dispatcher;
mod environment;
mod error;
mod event;
mod last_words;
mod launch;
mod lazy_connection;
mod log;
mod notices;
mod notifier;
pub mod number;
mod options;
mod perform;
mod program;
mod request;
mod side_runtime;
mod signal_threads;
mod signals;
mod site;
mod want;
mod watch;
mod webhooks;
mod worker;

pub use dispatcher::INFLATED_BYTES_MAX;
pub use environment::forget_variables;
pub use error::{LaunchError, WorkerError};
pub use event::{DrainCause, Observer, ReapedFate, WorkerEvent};
pub use last_words::last_words;
pub use launch::{ExecutorOption, ExecutorOptions, HELPER_VARIABLE, Launch};
pub use lazy_connection::LazyConnection;
pub use log::Log;
pub use notices::Notices;
pub use options::{DequeueStrategy, LEASE_DEFAULT, LEASE_MIN, Options, QUEUE_DEFAULT, Scheduling};
pub use perform::Jobs;
pub use program::{Preload, Preloads, Program};
pub use request::Request;
pub use rq_core::{BoxError, DeathPenalty, ExceptionHandler, Failure, Job, JobMiddleware};
pub use side_runtime::{Drive, IsPolled, SideRuntime, in_runtime};
pub use signal_threads::start_signal_threads;
pub use signals::signals;
pub use site::Site;
pub use want::want;
pub use watch::{RETURN_GRACE, Watch};
pub use webhooks::{
    SendError, Sender, WEBHOOK_ATTEMPTS_MAX, WebhookAllow, WebhookAllowError, WebhookOptions, WebhookSecret,
};
pub use worker::{PreparedWorker, Worker, prepare};
