//! [`Schedule`]: when an entry is due.

use std::fmt;
use std::time::Duration;

use rq_core::Timestamp;

use crate::expression::Expression;
use crate::zone::Zone;

/// The shortest interval.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The longest interval: a hundred years.
pub const INTERVAL_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// When an entry is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At once when it is first seen, and then this long after the tick before.
    Every(Interval),
    /// At the times of an expression, such as `0 3 * * *`, on the clocks of a zone.
    At {
        /// The times.
        expression: Expression,
        /// Whose clocks.
        zone: Zone,
    },
}

impl Schedule {
    /// The first tick after `after`, which for an interval is the tick before; `None` where there is none any more.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Schedule::Every(interval) => Some(after.after(interval.duration())).filter(|next| *next > after),
            Schedule::At { expression, zone } => zone.next_after(expression, after),
        }
    }
}

impl fmt::Display for Schedule {
    /// `every 300 seconds`, or `at 0 3 * * * (Europe/Berlin)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Every(interval) => write!(f, "every {interval}"),
            Schedule::At { expression, zone } => write!(f, "at {expression} ({zone})"),
        }
    }
}

/// The time between two ticks: a second at least, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    ms: u64,
}

/// An interval that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval of {} is refused: it must be a second at least, a hundred years at most, and whole milliseconds", Seconds(.0))]
pub struct IntervalError(Duration);

impl Interval {
    /// Checks an interval.
    pub fn new(duration: Duration) -> Result<Interval, IntervalError> {
        let is_whole = duration.subsec_nanos().is_multiple_of(1_000_000);
        if !is_whole || !(INTERVAL_MIN..=INTERVAL_MAX).contains(&duration) {
            return Err(IntervalError(duration));
        }
        Ok(Interval { ms: duration.as_millis() as u64 })
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.ms)
    }

    /// In milliseconds.
    pub fn ms(self) -> u64 {
        self.ms
    }
}

impl fmt::Display for Interval {
    /// `1 second`, `2.5 seconds`: RQ's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Seconds(&self.duration()).fmt(f)
    }
}

struct Seconds<'a>(&'a Duration);

impl fmt::Display for Seconds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if *self.0 == INTERVAL_MIN { "second" } else { "seconds" };
        write!(f, "{} {unit}", self.0.as_secs_f64())
    }
}
