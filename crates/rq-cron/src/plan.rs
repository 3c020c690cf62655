//! [`Plan`]: what to do about an entry now.

mod ticks;

use std::time::Duration;

use rq_core::Timestamp;

use crate::catch_up::CatchUp;
use crate::schedule::Schedule;
use ticks::Ticks;

/// The most ticks of an entry that one look fires.
pub const TICKS_MAX: usize = 100;
/// How late a tick may be that was not missed: whoever fires ticks may be held up for a moment.
pub const GRACE: Duration = Duration::from_secs(60);

/// What was decided about an entry before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing yet.
    Nothing {
        /// When it was first seen. An interval is due then for the first time, an expression at its first time after.
        first_seen: Timestamp,
    },
    /// All its ticks until this one.
    Until(Timestamp),
}

/// What to do about an entry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The ticks whose jobs are to be enqueued now, oldest first; [`TICKS_MAX`] at most.
    pub fire: Vec<Timestamp>,
    /// The ticks that are dropped.
    pub dropped: Option<Dropped>,
    /// The newest tick that this decides, to be kept as [`Decided::Until`]; `None` where it decides none.
    pub decided: Option<Timestamp>,
    /// Whether more ticks are to be fired than one look may: look again at once.
    pub has_more: bool,
    /// The first tick that is not due yet; `None` where there is none any more.
    pub next: Option<Timestamp>,
}

/// Ticks that are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The oldest of them.
    pub first: Timestamp,
    /// The newest.
    pub last: Timestamp,
    /// How many there are; those of an expression are not counted beyond 1,000.
    pub count: u64,
    /// Why.
    pub why: Why,
}

/// Why ticks are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody was there, and missed ticks are not made up for.
    Missed,
    /// Nobody was there, and a newer one is fired in their place.
    Superseded,
}

/// What to do about an entry at `now`.
///
/// Those of its ticks are looked at that are due and not decided, however many they are: neither time nor memory
/// grows with how long nobody was there.
///
/// * [`CatchUp::All`] fires all of them, oldest first, [`TICKS_MAX`] a look.
/// * [`CatchUp::Latest`] fires the newest.
/// * [`CatchUp::None`] fires the newest if it is less than [`GRACE`] late, for then it was not missed.
///
/// The others are dropped. Where the clock was put back behind what is decided there is nothing to do until it is there
/// again.
pub fn plan(schedule: &Schedule, catch_up: CatchUp, decided: Decided, now: Timestamp) -> Plan {
    let ticks = Ticks::new(schedule, decided, now);
    let next = ticks.next();
    let Some(newest) = ticks.newest() else {
        return Plan { fire: Vec::new(), dropped: None, decided: None, has_more: false, next };
    };
    let is_late = now.since(newest) >= GRACE;
    match catch_up {
        CatchUp::All => {
            let fire = ticks.oldest(TICKS_MAX);
            let decided = fire.last().copied();
            Plan { has_more: decided < Some(newest), fire, dropped: None, decided, next }
        }
        CatchUp::None if is_late => {
            let dropped = ticks.until(newest, Why::Missed);
            Plan { fire: Vec::new(), dropped, decided: Some(newest), has_more: false, next }
        }
        CatchUp::None | CatchUp::Latest => {
            let why = if catch_up == CatchUp::None { Why::Missed } else { Why::Superseded };
            let dropped = ticks.before(newest, why);
            Plan { fire: vec![newest], dropped, decided: Some(newest), has_more: false, next }
        }
    }
}

#[cfg(test)]
mod tests;
