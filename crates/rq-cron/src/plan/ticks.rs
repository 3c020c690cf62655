//! [`Ticks`]: those that are due and not decided.

use std::time::Duration;

use rq_core::Timestamp;

use super::{Decided, Dropped, Why};
use crate::schedule::Schedule;

/// How many dropped ticks of an expression are counted.
const COUNT_MAX: usize = 1_000;
/// The least time between two ticks of an expression.
const BETWEEN_US: i64 = 1_000_000;

/// The ticks of a schedule that are due and not decided.
pub(super) struct Ticks<'a> {
    schedule: &'a Schedule,
    /// The first that is not decided, due or not.
    first: Option<Timestamp>,
    now: Timestamp,
}

impl<'a> Ticks<'a> {
    pub(super) fn new(schedule: &'a Schedule, decided: Decided, now: Timestamp) -> Ticks<'a> {
        let first = match (schedule, decided) {
            (Schedule::Every(_), Decided::Nothing { first_seen }) => Some(first_seen),
            (_, Decided::Nothing { first_seen: since } | Decided::Until(since)) => schedule.next_after(since),
        };
        Ticks { schedule, first, now }
    }

    /// The first that is due.
    fn first_due(&self) -> Option<Timestamp> {
        self.first.filter(|first| *first <= self.now)
    }

    /// The first that is not due yet.
    pub(super) fn next(&self) -> Option<Timestamp> {
        match self.newest() {
            Some(newest) => self.schedule.next_after(newest),
            None => self.first,
        }
    }

    /// The last that is due.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        let first = self.first_due()?;
        match self.schedule {
            Schedule::Every(interval) => {
                let interval_us = i64::try_from(interval.duration().as_micros()).unwrap_or(i64::MAX);
                let since_us = self.now.epoch_us() - first.epoch_us();
                Some(Timestamp::from_epoch_us(self.now.epoch_us() - since_us % interval_us))
            }
            Schedule::At { .. } => Some(self.newest_after(first)),
        }
    }

    /// The last that is due of those of an expression, of which `first` is one: by halving the time in which it lies.
    fn newest_after(&self, first: Timestamp) -> Timestamp {
        let mut newest = first;
        // None is due after `end`; `newest` is one.
        let mut end_us = self.now.epoch_us();
        while end_us - newest.epoch_us() >= BETWEEN_US {
            let middle_us = newest.epoch_us() + (end_us - newest.epoch_us()) / 2;
            match self.schedule.next_after(Timestamp::from_epoch_us(middle_us)) {
                Some(tick) if tick <= self.now => newest = tick,
                _ => end_us = middle_us,
            }
        }
        newest
    }

    /// So many that are due, the oldest first.
    pub(super) fn oldest(&self, count: usize) -> Vec<Timestamp> {
        let following = |tick: &Timestamp| self.schedule.next_after(*tick).filter(|next| *next <= self.now);
        std::iter::successors(self.first_due(), following).take(count).collect()
    }

    /// Those that are due, `newest` being the last of them.
    pub(super) fn until(&self, newest: Timestamp, why: Why) -> Option<Dropped> {
        let first = self.first_due()?;
        Some(Dropped { first, last: newest, count: self.count(first, newest), why })
    }

    /// Those that are due, without `newest`, the last of them.
    pub(super) fn before(&self, newest: Timestamp, why: Why) -> Option<Dropped> {
        let first = self.first_due().filter(|first| *first < newest)?;
        let last = match self.schedule {
            Schedule::Every(interval) => newest.before(interval.duration()),
            Schedule::At { .. } => {
                let just_before = newest.before(Duration::from_micros(1));
                Ticks { now: just_before, ..*self }.newest_after(first)
            }
        };
        Some(Dropped { first, last, count: self.count(first, last), why })
    }

    fn count(&self, first: Timestamp, last: Timestamp) -> u64 {
        match self.schedule {
            Schedule::Every(interval) => {
                let between = last.since(first).as_micros() / interval.duration().as_micros();
                u64::try_from(between).map_or(u64::MAX, |between| between + 1)
            }
            Schedule::At { .. } => {
                let following =
                    |tick: &Timestamp| self.schedule.next_after(*tick).filter(|next| *next <= last);
                std::iter::successors(Some(first), following).take(COUNT_MAX).count() as u64
            }
        }
    }
}
