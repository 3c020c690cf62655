//! Jobs at fixed times: what they are, when they are due, and who enqueues them, once.
//!
//! A [`Cron`] holds [`Entry`]s; each is a call, a queue and a [`Schedule`]. It is made in code, or read from `rq.toml` or RQ's
//! own configuration ([`Cron::read`]), and [`Cron::check`] looks at it. docs/cron.md says what entries are and do.
//!
//! ```
//! use rq_core::{Call, secs};
//! use rq_cron::{Cron, Entry};
//! let report = Call::<()>::to("reports.daily");
//! let cron = Cron::new()
//!     .every(secs(60), Call::<()>::to("accounts.sync"))
//!     .entry(Entry::at("0 3 * * *", report).named("nightly report").zone("Europe/Berlin"));
//! cron.check()?;
//! # Ok::<(), rq_cron::CronError>(())
//! ```
//!
//! # How to run it
//!
//! | where | how |
//! |---|---|
//! | beside the jobs of a worker | `Worker::cron(cron)`, or `worker --with-cron` on the command line |
//! | as a program of its own | `rq_cli::App::cron(cron)`, then `my-jobs cron`; `rq cron rq.toml` where the entries are in a file |
//! | within another program | [`CronScheduler::connect`] |
//!
//! Any number of these may have the same entries: each tick is fired once.
//!
//! # What it is made of
//!
//! [`plan`](plan()) says what to do about an entry now, and knows neither Redis nor the clock; so do expressions and zones.
//! [`CronScheduler`] does it: what is decided about each entry is in Redis alone.

mod catch_up;
mod clock;
mod config;
mod cron;
mod entry;
mod event;
mod expression;
mod log;
mod overlap;
mod plan;
mod record;
mod schedule;
mod scheduler;
mod tracked;
mod zone;

pub use catch_up::CatchUp;
pub use clock::{Clock, RedisClock};
pub use config::{ConfigError, FILE_BYTES_MAX};
pub use cron::{CheckedCron, Cron, CronError, ENTRIES_MAX};
pub use entry::{CheckedEntry, Entry, EntryError, Reason};
pub use event::{CronEvent, CronObserver};
pub use expression::{Expression, ExpressionError};
pub use log::CronLog;
pub use overlap::Overlap;
pub use plan::{Decided, Dropped, GRACE, Plan, TICKS_MAX, Why, plan};
pub use schedule::{INTERVAL_MAX, INTERVAL_MIN, Interval, IntervalError, Schedule};
pub use scheduler::{CronScheduler, HEARTBEAT};
pub use zone::{Zone, ZoneError};
