//! RQ's protocol, jobs and queues: all that a producer needs.
//!
//! A job is an ordinary function with its name on the wire written above it; a call of it goes to a [`Queue`], and a
//! worker, in Rust or Python, runs it.
//!
//! ```
//! use rq_core::{blocking::Queue, handlers, job, secs, Call, Retry};
//!
//! /// Adds two numbers.
//! #[job("math.add")]
//! pub fn add(x: i64, y: i64) -> anyhow::Result<i64> {
//!     Ok(x + y)
//! }
//!
//! # fn main() -> anyhow::Result<()> {
//! assert_eq!(add(2, 3)?, 5);                                     // still a function
//! let call = add::call(2, 3).timeout(secs(30)).retry(Retry::up_to(3));
//! assert_eq!(call.to_string(), "math.add(2, 3)");                // the same, for later
//! let by_name = Call::<f64>::to("reports.monthly").arg(2026).kwarg("currency", "EUR");
//! # let _ = by_name;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! * producers: [`Call`], [`Queue`], [`JobHandle`], [`blocking`], [`Retry`], [`Repeat`], [`Dependency`], [`OnCrash`],
//!   [`Ttl`], [`Callback`], [`Webhook`], [`Unique`], [`RateLimit`], [`EnqueueMiddleware`]
//! * job authors: [`job`], [`callback`](macro@callback) with [`End`], [`handlers!`], [`Handlers`], [`Context`], [`States`],
//!   [`Failure`], [`Extensions`]
//! * managing jobs: [`Cancel`], [`Registry`], [`Requeued`], [`Group`] with [`GroupStatus`]
//! * inspecting Redis: [`Job`], [`JobResult`], [`ExecutionRecord`], [`WorkerRecord`], [`Status`], [`Keys`]
//! * texts for people: [`Shown`], for what others have written
//! * payloads, from `rq-wire`: [`Codec`], [`Value`], [`Payload`]
//! * extenders: [`Executor`] with [`Host`] and [`Interrupt`], [`DeathPenalty`] with [`Ender`], [`ExceptionHandler`],
//!   [`JobMiddleware`] with [`Next`] and [`JobOutcome`]
//! * workers and tools of RQ, with the feature `worker`: `steps` and `link`, what is sent to Redis and how;
//!   `Conclusion`, what becomes of a job that ran; `Prepared`, a job about to run; `panics`, which catches the panics
//!   of jobs; `current`, where an executor keeps the context of the job that runs; `Letter`, a webhook to be sent;
//!   `DueCall`, a callback to be called
//!
//! # What people look for, and Python's names for it
//!
//! | Python RQ | here, with and without async |
//! |---|---|
//! | `Queue.all` | [`Queue::all`]; [`Queue::names`] for the names alone |
//! | `@job(queue, timeout=..)`, `.delay` | [`job`], [`Queue::delay`] |
//! | `get_current_job` | [`Context::current`] |
//! | `Queue.count`, `.job_ids`, `.get_jobs` | [`Queue::len`], [`Queue::job_ids`], [`Queue::jobs`] |
//! | `Queue.get_job_position` | [`Queue::position`] |
//! | `Queue.remove` | [`Queue::remove`] |
//! | `Queue.empty`, `.delete` | [`Queue::empty`], [`Queue::delete`] |
//! | `Queue.fetch_job`, `Job.fetch`, `Job.fetch_many` | [`Queue::fetch_job`], [`Queue::fetch_jobs`] |
//! | `enqueue(.., unique=True)`, `DuplicateJobError` | [`Call::unique`], [`Error::Duplicate`]; [`Queue::enqueue_unique`] |
//! | `RateLimit(key, concurrency)` | [`Call::rate_limit`]; [`Call::pace`] has no counterpart |
//! | `RateLimitRegistry`, `.all` | [`Queue::rate_limit`], [`Queue::rate_limits`] |
//! | `Job.exists` | [`JobHandle::exists`] |
//! | `Job.refresh` | [`JobHandle::refresh`] |
//! | `job.meta[..] = ..`, `Job.save_meta` | [`JobHandle::set_meta`] from outside, [`Context::set_meta`] in the job |
//! | `Job.cancel`, `.delete`, `.requeue` | [`JobHandle::cancel`], [`JobHandle::delete`], [`JobHandle::requeue`] |
//! | `Group.create`, `Group.fetch` | [`Queue::group`], [`Queue::new_group`]; [`Group::exists`] where `fetch` fails |
//! | `Group.all` | [`Queue::groups`], by their names |
//! | `Group.enqueue_many(queue, ..)` | [`Group::enqueue_many`] into the queue that the group was made by |
//! | `Group.get_jobs` | [`Group::jobs`], [`Group::job_ids`]; [`Group::status`] counts them |
//! | `Group.delete_job` | [`Group::remove`]; [`Group::delete`] and [`Group::on_complete`] have no counterpart |
//! | `Group.cleanup`, `Group.clean_registries` | nothing: workers do it |
//! | `send_stop_job_command` | [`JobHandle::stop`], of [`Queue::handle`] where only the id is known |
//! | `Worker.all`, `Worker.all(queue=..)` | [`Queue::all_workers`], [`Queue::workers`] |
//! | `Worker.count`, `Worker.count(queue=..)` | [`Queue::all_worker_count`], [`Queue::worker_count`] |
//! | `Worker.find_by_key` | [`Queue::worker`] |
//! | `Worker.get_current_job_id` | [`Queue::worker_executions`]: a worker may run several |
//! | `Worker.state`, `.last_heartbeat`, `.pid`, `.hostname`, `.queues`, `.successful_job_count` | the fields of [`WorkerRecord`] |
//! | `send_shutdown_command` | [`Queue::stop_worker`]; [`Queue::stop_worker_cold`] has no counterpart |
//! | `send_kill_horse_command` | [`Queue::kill_horses`] |
//! | `rq.cron.register` | `Cron::every`, `Cron::at` and `Entry` of the crate `rq-cron`, which `rq-cli` passes on |
//! | `CronScheduler.all` | `rq cron list`, and `--json` for programs; `CronScheduler` is in `rq-cron`, too |
//! | `suspend`, `resume`, `is_suspended` | [`Queue::suspend_all_workers`], [`Queue::resume_all_workers`], [`Queue::are_workers_suspended`] |
//!
//! # Features
//!
//! * `bincode`, on by default: the codec for queues that only Rust reads
//! * `chrono`, `jiff`, `time`: moments and lengths of time of these crates ([`Timestamp`], [`TimeSpan`])
//! * `worker`: the last line above. Its items follow the needs of RQ's own crates and change with them; a producer
//!   needs none, and builds without the scripts of workers
//!
//! This crate never forks, starts no runtime and no thread, and installs no log subscriber.

// What workers are made of is private to a producer, and `pub` where it is compiled for both.
#![cfg_attr(not(feature = "worker"), allow(unreachable_pub))]

// `#[job]` writes `::rq_core::..`; this lets our own tests use it.
extern crate self as rq_core;

mod block_on;
pub mod blocking;
mod call;
mod callback;
mod cancel;
mod conclusion;
mod context;
mod counted;
#[cfg(feature = "worker")]
pub mod current;
#[cfg(not(feature = "worker"))]
mod current;
mod death_penalty;
mod dependency;
#[cfg(feature = "worker")]
mod due_call;
mod end;
mod ender;
mod enqueue_middleware;
mod entry;
mod error;
mod error_class;
mod exception_handler;
mod execution;
mod executor;
mod extensions;
mod failure;
mod family;
mod fields;
mod front;
mod group;
mod handle;
mod handlers;
mod inline;
mod interrupt;
mod job;
pub mod keys;
#[cfg(feature = "worker")]
pub mod link;
#[cfg(not(feature = "worker"))]
mod link;
mod middleware;
mod on_crash;
#[cfg(feature = "worker")]
pub mod panics;
#[cfg(not(feature = "worker"))]
mod panics;
mod queue;
mod rate_limit;
mod redis_error;
mod redis_url;
mod registry;
mod registry_kind;
mod repeat;
mod result;
mod retry;
mod scripts;
mod shown;
mod states;
mod status;
#[cfg(feature = "worker")]
pub mod steps;
#[cfg(not(feature = "worker"))]
mod steps;
mod time;
mod ttl;
mod unique;
mod webhook;
mod worker_record;

pub use block_on::BlockOnError;
#[cfg(feature = "worker")]
pub use block_on::{BlockOn, Blocked};
pub use call::Call;
pub use callback::{CALLBACK_TIMEOUT_DEFAULT, Callback, CallbackKind};
pub use cancel::Cancel;
#[cfg(feature = "worker")]
pub use conclusion::{Conclusion, NextPlace, Settled};
pub use context::{Context, Host, PROGRESS_KEY, PROGRESS_NOTE_KEY};
#[cfg(feature = "worker")]
pub use counted::Counted;
pub use death_penalty::{DeathPenalty, Guard};
pub use dependency::Dependency;
#[cfg(feature = "worker")]
pub use due_call::{CallsFor, DUE_CALL_LIMIT_MAX, DueCall, DueCallError};
pub use end::{End, EndFailure, EndValue};
pub use ender::Ender;
pub use enqueue_middleware::{EnqueueMiddleware, EnqueueOutcome};
pub use entry::Entry;
pub use error::Error;
pub use error_class::ErrorClass;
pub use exception_handler::ExceptionHandler;
pub use execution::{ExecutionId, ExecutionRecord};
pub use executor::{Ended, Execution, Executor, Stop, Task, Want};
pub use extensions::Extensions;
#[cfg(feature = "worker")]
pub use failure::without_argument;
pub use failure::{ArgumentError, BoxError, Failure, OverMemory, Result, Usage};
pub use fields::{FieldError, Fields};
pub use group::GroupStatus;
pub use group::asynchronous::Group;
pub use handle::asynchronous::JobHandle;
#[cfg(feature = "worker")]
pub use handlers::{DueCallback, Prepared};
pub use handlers::{Handlers, JobOutcome, Perform};
pub use interrupt::{Interrupt, Interrupted};
pub use job::{Job, TIMEOUT_DEFAULT, Timeout};
pub use keys::Keys;
pub use link::BlockingLink;
pub use middleware::{JobMiddleware, Next};
pub use on_crash::{CRASHES_MAX, OnCrash};
pub use panics::Panic;
pub use queue::asynchronous::Queue;
pub use rate_limit::asynchronous::RateLimit;
pub use redis_error::RedisError;
pub use redis_url::{RedisUrl, UrlError};
pub use registry::asynchronous::Registry;
pub use registry_kind::RegistryKind;
pub use repeat::Repeat;
pub use result::{JobResult, ResultKind};
pub use retry::Retry;
pub use rq_macros::{callback, job};
pub use rq_wire::{Codec, CodecError, Payload, Value, ValueError, zlib};
pub use shown::Shown;
#[cfg(feature = "worker")]
pub use shown::is_harmful;
#[cfg(feature = "worker")]
pub use states::{DriveMaking, Made, Making};
pub use states::{StateError, States};
pub use status::Status;
pub use steps::management::Requeued;
pub use time::{TimeSpan, Timestamp, TimestampError, days, hours, minutes, secs};
pub use ttl::Ttl;
pub use unique::{MadeOrFound, Unique};
#[cfg(feature = "worker")]
pub use webhook::{Composed, EXC_INFO_BYTES_MAX, Letter, LetterError, Unsendable, compose, told_by};
pub use webhook::{
    WEBHOOK_HEADERS_BYTES_MAX, WEBHOOK_TIMEOUT_S_MAX, WEBHOOK_URL_BYTES_MAX, WEBHOOKS_MAX, Webhook,
    WebhooksError,
};
pub use worker_record::WorkerRecord;

/// What the code that `#[job]` and `#[callback]` write names. Other code must not: it changes with the macro.
#[doc(hidden)]
pub mod __private {
    pub use crate::handlers::{
        Arguments, Handler, Outcome, Returned, Returns, Run, Running, called_back, same_params,
    };
    pub use crate::queue::Delays;
}
