//! [`Zone`]: whose clocks an expression goes by, and what it does where they are put forward or back.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use rq_core::Timestamp;

use crate::expression::Expression;

/// How often clocks may be put forward or back until the next tick. No zone does it more than a few times a year.
const CHANGES_MAX: usize = 1_000;

/// Whose clocks an expression goes by.
///
/// A zone of the IANA database, by the system's copy where there is one, else by one that is built in; or this
/// machine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// A zone that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// No zone has this name.
    #[error("there is no zone {name:?}: write a name such as Europe/Berlin, UTC, or local")]
    Unknown {
        /// What was written.
        name: String,
    },
    /// The variable `TZ` says something that is no zone.
    #[error("the zone of this machine is not known: TZ is {tz:?}; write a name such as Europe/Berlin or UTC")]
    Local {
        /// What the variable says.
        tz: String,
    },
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Zone {
        Zone { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// This machine's zone: that of `TZ`, else of `/etc/localtime`, else UTC, as Python finds it.
    pub fn local() -> Result<Zone, ZoneError> {
        let rules = match (TimeZone::try_system(), std::env::var("TZ")) {
            (Ok(rules), _) => rules,
            (Err(_), Ok(tz)) if !tz.is_empty() => return Err(ZoneError::Local { tz }),
            (Err(_), _) => TimeZone::UTC,
        };
        Ok(Zone { name: "local".to_owned(), rules })
    }

    /// A zone by its name in the IANA database, such as `Europe/Berlin`; `UTC`; or `local`.
    pub fn named(name: &str) -> Result<Zone, ZoneError> {
        match name {
            "local" => Zone::local(),
            "UTC" => Ok(Zone::utc()),
            name => {
                let rules = TimeZone::get(name).map_err(|_| ZoneError::Unknown { name: name.to_owned() })?;
                Ok(Zone { name: name.to_owned(), rules })
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first tick of `expression` after `after`.
    pub(crate) fn next_after(&self, expression: &Expression, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.epoch_us()).ok()?;
        let mut stretch = Stretch::around(&self.rules, after);
        let mut found = expression.next_after(stretch.clock(after));
        if let Some(from) = stretch.when_made_up(expression, after) {
            found = expression.next_from(from);
        }
        for _ in 0..CHANGES_MAX {
            let tick = stretch.moment(found?)?;
            match stretch.following(&self.rules) {
                Some(next) if tick >= next.start => {
                    found = expression.next_from(next.first(expression));
                    stretch = next;
                }
                _ => return Some(Timestamp::from_epoch_us(tick.as_microsecond())),
            }
        }
        None
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The time between two changes of a zone's clocks.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: jiff::Timestamp,
    /// How far the clocks are from UTC, and how far they were before.
    offset: Offset,
    before: Offset,
}

impl Stretch {
    fn around(rules: &TimeZone, moment: jiff::Timestamp) -> Stretch {
        // A change at this very moment has happened.
        let next = moment.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(moment);
        let offset = rules.to_offset(moment);
        match rules.preceding(next).next() {
            Some(change) => Stretch {
                start: change.timestamp(),
                offset,
                before: offset_before(rules, change.timestamp()),
            },
            None => Stretch { start: jiff::Timestamp::MIN, offset, before: offset },
        }
    }

    fn following(&self, rules: &TimeZone) -> Option<Stretch> {
        let change = rules.following(self.start).next()?;
        Some(Stretch { start: change.timestamp(), offset: change.offset(), before: self.offset })
    }

    /// What the clocks show at a moment.
    fn clock(&self, moment: jiff::Timestamp) -> DateTime {
        self.offset.to_datetime(moment)
    }

    /// When the clocks show `time`; the start, where they were put forward over it.
    fn moment(&self, time: DateTime) -> Option<jiff::Timestamp> {
        Some(self.offset.to_timestamp(time).ok()?.max(self.start))
    }

    /// The first time that may be due: for a rhythm what the clocks show first; for a time of the day what they would
    /// have shown, so that none is left out that they were put forward over, and none comes again.
    fn first(&self, expression: &Expression) -> DateTime {
        let offset = if expression.is_fixed() { self.before } else { self.offset };
        offset.to_datetime(self.start)
    }

    /// What the clocks will show when they have made up for being put back, where that is still to come.
    fn when_made_up(&self, expression: &Expression, moment: jiff::Timestamp) -> Option<DateTime> {
        let first = (self.start > jiff::Timestamp::MIN).then(|| self.first(expression))?;
        (first > self.clock(moment)).then_some(first)
    }
}

fn offset_before(rules: &TimeZone, change: jiff::Timestamp) -> Offset {
    let before = change.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(change);
    rules.to_offset(before)
}

#[cfg(test)]
mod tests;
