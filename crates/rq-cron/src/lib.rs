//! Jobs at fixed times: what they are, when they are due, and who enqueues them, once.
//!
//! A [`Cron`] holds [`Entry`]s; each is a call, a queue and a [`Schedule`]. [`Cron::check`] looks at them, and
//! [`plan`](plan()) says what to do about one now. Nothing here but the zone of this machine depends on where it runs.

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
