//! Moments and lengths of time from the types that people have: the standard library's, and with the features `chrono`,
//! `jiff` and `time` those of these crates.

use std::time::{Duration, SystemTime};

use super::Timestamp;
use crate::ttl::Ttl;

/// A length of time, of whatever type: [`Duration`], and with the features of those names `chrono::TimeDelta`,
/// `jiff::SignedDuration` and `time::Duration`, of which a negative one is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for TimeSpan {
    fn from(duration: Duration) -> TimeSpan {
        TimeSpan(duration)
    }
}

impl From<TimeSpan> for Ttl {
    /// Whole seconds; a started second counts.
    fn from(span: TimeSpan) -> Ttl {
        Ttl::from(span.0)
    }
}

/// Of a moment before the year 1 or behind 9999 the nearest one inside.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Timestamp {
        let since = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_epoch_us(match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => since(after),
            Err(before) => -since(before.duration()),
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> SystemTime {
        let distance = Duration::from_micros(at.epoch_us().unsigned_abs());
        match at.epoch_us() >= 0 {
            true => SystemTime::UNIX_EPOCH + distance,
            false => SystemTime::UNIX_EPOCH - distance,
        }
    }
}

/// What a type of another crate is, both ways. Every `Timestamp` lies in the years 1 to 9999, which all of them have.
#[cfg(any(feature = "chrono", feature = "jiff", feature = "time"))]
macro_rules! spans {
    ($($type:ty => $convert:expr;)+) => { $(
        impl From<$type> for TimeSpan {
            fn from(span: $type) -> TimeSpan {
                let convert: fn($type) -> Option<Duration> = $convert;
                TimeSpan(convert(span).unwrap_or_default())
            }
        }

        impl From<$type> for Ttl {
            fn from(span: $type) -> Ttl {
                TimeSpan::from(span).into()
            }
        }
    )+ };
}

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{DateTime, TimeDelta, TimeZone, Utc};

    use super::*;

    impl<Tz: TimeZone> From<DateTime<Tz>> for Timestamp {
        fn from(at: DateTime<Tz>) -> Timestamp {
            Timestamp::from_epoch_us(at.timestamp_micros())
        }
    }

    impl From<Timestamp> for DateTime<Utc> {
        fn from(at: Timestamp) -> DateTime<Utc> {
            DateTime::from_timestamp_micros(at.epoch_us()).unwrap_or_default()
        }
    }

    spans! { TimeDelta => |span| span.to_std().ok(); }
}

#[cfg(feature = "jiff")]
mod of_jiff {
    use jiff::{SignedDuration, Zoned};

    use super::*;

    impl From<jiff::Timestamp> for Timestamp {
        fn from(at: jiff::Timestamp) -> Timestamp {
            Timestamp::from_epoch_us(at.as_microsecond())
        }
    }

    impl From<Zoned> for Timestamp {
        fn from(at: Zoned) -> Timestamp {
            at.timestamp().into()
        }
    }

    impl From<Timestamp> for jiff::Timestamp {
        fn from(at: Timestamp) -> jiff::Timestamp {
            jiff::Timestamp::from_microsecond(at.epoch_us()).unwrap_or_default()
        }
    }

    spans! { SignedDuration => |span| span.try_into().ok(); }
}

#[cfg(feature = "time")]
mod of_time {
    use time::OffsetDateTime;

    use super::*;

    impl From<OffsetDateTime> for Timestamp {
        fn from(at: OffsetDateTime) -> Timestamp {
            // No moment that the type has lies outside of 64 bits of microseconds.
            Timestamp::from_epoch_us((at.unix_timestamp_nanos().div_euclid(1000)) as i64)
        }
    }

    impl From<Timestamp> for OffsetDateTime {
        fn from(at: Timestamp) -> OffsetDateTime {
            let nanos = i128::from(at.epoch_us()) * 1000;
            OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        }
    }

    spans! { time::Duration => |span| span.try_into().ok(); }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "1969-12-31T23:59:58.500000Z";
    const AFTER: &str = "2026-11-22T01:48:39.413834Z";

    fn there_and_back<T: From<Timestamp> + Into<Timestamp>>() {
        for text in ["0001-01-01T00:00:00.000000Z", BEFORE, AFTER, "9999-12-30T21:59:59.999999Z"] {
            let at = Timestamp::parse(text).unwrap();
            assert_eq!(T::from(at).into(), at, "{text}");
        }
    }

    #[test]
    fn moments_of_all_types_are_read_and_given() {
        there_and_back::<SystemTime>();
        #[cfg(feature = "chrono")]
        there_and_back::<chrono::DateTime<chrono::Utc>>();
        #[cfg(feature = "jiff")]
        there_and_back::<jiff::Timestamp>();
        #[cfg(feature = "time")]
        there_and_back::<time::OffsetDateTime>();
    }

    #[test]
    fn lengths_of_time_are_read_and_negative_ones_are_none() {
        let second = Duration::from_millis(1500);
        assert_eq!(TimeSpan::from(second).duration(), second);
        #[cfg(feature = "chrono")]
        for (ms, expected) in [(1500, second), (-5, Duration::ZERO)] {
            assert_eq!(TimeSpan::from(chrono::TimeDelta::milliseconds(ms)).duration(), expected);
            assert_eq!(Ttl::from(chrono::TimeDelta::milliseconds(ms)), Ttl::from(expected));
        }
        #[cfg(feature = "jiff")]
        for (ms, expected) in [(1500, second), (-5, Duration::ZERO)] {
            assert_eq!(TimeSpan::from(jiff::SignedDuration::from_millis(ms)).duration(), expected);
        }
        #[cfg(feature = "time")]
        for (ms, expected) in [(1500, second), (-5, Duration::ZERO)] {
            assert_eq!(TimeSpan::from(time::Duration::milliseconds(ms)).duration(), expected);
        }
    }
}
