//! Failures of jobs, at [Sentry](https://sentry.io).
//!
//! [`SentryHandler`] is an exception handler: each job that has failed for good is an event there, with the job, its
//! queue and the worker. docs/sentry.md says what an event has, and what it has not.
//!
//! ```no_run
//! # use rq_core::ExceptionHandler;
//! # fn add(_: impl ExceptionHandler) {}
//! use rq_sentry::{SentryHandler, SentryOptions};
//!
//! # fn main() -> Result<(), rq_sentry::SentryError> {
//! let handler = SentryHandler::new("https://key@sentry.example.org/1", SentryOptions::default())?;
//! // App::new(handlers![..]).exception_handler(handler), or the same of a Worker.
//! # add(handler);
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! * `handler`: which failures are reported, and when
//! * `options`: what is said of it
//! * `event`: what is reported of a failure; `account` and `trace` are parts of it
//! * `outlet`: Sentry's client, over the HTTP and TLS of webhooks; `watched` tells the log how it goes

mod account;
mod event;
mod handler;
mod options;
mod outlet;
mod trace;
mod watched;

pub use handler::SentryHandler;
pub use options::{SentryError, SentryOptions};
