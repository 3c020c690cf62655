//! [`Ttl`]: how long something is kept.

use std::time::Duration;

/// How long a result or a failure is kept, as the wire writes it: seconds, `0` for not at all, negative for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Until deleted by hand (`-1`).
    Forever,
    /// This many whole seconds; zero discards at once.
    Seconds(u64),
}

impl Ttl {
    /// RQ's default for results: 500 s (docs/wire.md §3.3).
    pub const RESULT_DEFAULT: Ttl = Ttl::Seconds(500);
    /// RQ's default for failures: one year.
    pub const FAILURE_DEFAULT: Ttl = Ttl::Seconds(31_536_000);

    /// The number in the job hash.
    pub fn to_wire(self) -> i64 {
        match self {
            Ttl::Forever => -1,
            Ttl::Seconds(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX),
        }
    }

    /// Reads the number in the job hash. All negative numbers keep for ever.
    pub fn from_wire(seconds: i64) -> Ttl {
        u64::try_from(seconds).map_or(Ttl::Forever, Ttl::Seconds)
    }
}

impl From<Duration> for Ttl {
    /// Whole seconds; a started second counts, so that a short duration does not become "not at all".
    fn from(duration: Duration) -> Ttl {
        Ttl::Seconds(whole_seconds(duration))
    }
}

/// `duration` in seconds, a started one counted.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_round_trips() {
        for ttl in [Ttl::Forever, Ttl::Seconds(0), Ttl::Seconds(500)] {
            assert_eq!(Ttl::from_wire(ttl.to_wire()), ttl);
        }
    }

    #[test]
    fn a_started_second_counts() {
        assert_eq!(Ttl::from(Duration::from_millis(1)), Ttl::Seconds(1));
        assert_eq!(Ttl::from(Duration::ZERO), Ttl::Seconds(0));
    }
}
