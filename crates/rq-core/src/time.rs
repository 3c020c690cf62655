//! Points in time as RQ writes them (docs/wire.md §1.3), and the durations of the API.

use std::fmt;
use std::time::Duration;

pub use conversions::TimeSpan;

mod conversions;

/// `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// `n` days.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// A moment by the wall clock, to the microsecond: all that the wire can carry.
///
/// `Display` writes the form `T` of docs/wire.md §1.3, `2026-11-22T01:48:39.413834Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    epoch_us: i64,
}

/// Text that is no timestamp. Python refuses the same forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of the form 2026-11-22T01:48:39.413834Z")]
pub struct TimestampError(String);

impl Timestamp {
    /// This moment by this host's clock.
    pub fn now() -> Timestamp {
        Timestamp { epoch_us: jiff::Timestamp::now().as_microsecond() }
    }

    /// The moment `epoch_us` microseconds after 1970.
    ///
    /// Outside the years 1 to 9999 it is the nearest moment inside: Python reads no other.
    pub fn from_epoch_us(epoch_us: i64) -> Timestamp {
        const YEAR_1_US: i64 = -62_135_596_800_000_000;
        const YEAR_9999_END_US: i64 = 253_402_207_199_999_999;
        Timestamp { epoch_us: epoch_us.clamp(YEAR_1_US, YEAR_9999_END_US) }
    }

    /// The moment `epoch_s` seconds after 1970, as the `E` form counts.
    pub fn from_epoch_seconds(epoch_s: f64) -> Timestamp {
        // Rounded: a float is a little above or below its microsecond, and cutting off would lose one.
        Timestamp::from_epoch_us((epoch_s * 1e6).round() as i64)
    }

    /// Microseconds since 1970.
    pub fn epoch_us(self) -> i64 {
        self.epoch_us
    }

    /// Whole seconds since 1970, rounded down: the form `I` of docs/wire.md §1.3.
    pub fn epoch_secs(self) -> i64 {
        self.epoch_us.div_euclid(1_000_000)
    }

    /// Seconds since 1970 as Python prints them: the form `E` of docs/wire.md §1.3.
    pub fn epoch_text(self) -> String {
        // Shortest digits that read back the same, as Python's `repr`; `{:?}` keeps the `.0` of whole seconds, as
        // that does.
        format!("{:?}", self.epoch_us as f64 / 1e6)
    }

    /// `self - earlier`, or zero where that is negative.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.epoch_us - earlier.epoch_us).unwrap_or(0))
    }

    /// The moment `pause` after this one.
    pub fn after(self, pause: Duration) -> Timestamp {
        let pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_epoch_us(self.epoch_us().saturating_add(pause_us))
    }

    /// The moment `duration` before this one.
    pub fn before(self, duration: Duration) -> Timestamp {
        let us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_epoch_us(self.epoch_us.saturating_sub(us))
    }

    /// Reads the `T` form: 1 to 6 fractional digits or none, and a literal `Z`.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        Timestamp::parse_exactly(text).ok_or_else(|| TimestampError(text.chars().take(60).collect()))
    }

    fn parse_exactly(text: &str) -> Option<Timestamp> {
        let (clock, fraction) = match text.strip_suffix('Z')?.split_once('.') {
            Some((clock, fraction)) => (clock, fraction),
            None => (text.strip_suffix('Z')?, "0"),
        };
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let shape = |s: &[u8]| s.len() == 19 && s[4] == b'-' && s[7] == b'-' && s[10] == b'T';
        // The parser below reads more than Python, which ends on anything but this form; so nothing else is let
        // through.
        if !shape(clock.as_bytes()) || !(1..=6).contains(&fraction.len()) || !digits(fraction) {
            return None;
        }
        let datetime: jiff::civil::DateTime = clock.parse().ok()?;
        // Python's calendar begins with the year 1.
        if datetime.year() < 1 {
            return None;
        }
        let seconds = jiff::tz::Offset::UTC.to_timestamp(datetime).ok()?.as_second();
        let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
        Some(Timestamp { epoch_us: seconds * 1_000_000 + micros })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(timestamp) = jiff::Timestamp::from_microsecond(self.epoch_us) else {
            unreachable!("every constructor keeps to the years 1 to 9999");
        };
        let t = jiff::tz::Offset::UTC.to_datetime(timestamp);
        write!(
            f,
            // Always six digits of a second, as Python writes it (docs/wire.md §1.3).
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.subsec_nanosecond() / 1000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_t_form_round_trips() {
        for text in
            ["2026-11-22T01:48:39.413834Z", "0001-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z"]
        {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn fewer_fractional_digits_are_read() {
        let parse = |text| Timestamp::parse(text).unwrap().to_string();
        assert_eq!(parse("2026-11-22T01:48:39Z"), "2026-11-22T01:48:39.000000Z");
        assert_eq!(parse("2026-11-22T01:48:39.5Z"), "2026-11-22T01:48:39.500000Z");
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for text in [
            "",
            "garbage",
            "2026-11-22T01:48:39.413834",
            "2026-11-22T01:48:39.413834+00:00",
            "2026-11-22T01:48:39.413834123Z",
            "2026-11-22T01:48:39.Z",
            "2026-11-22 01:48:39Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T01:48:39.4१Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_e_form_is_pythons() {
        let t = Timestamp::parse("2026-11-22T01:48:39.676466Z").unwrap();
        assert_eq!(t.epoch_text(), "1795312119.676466");
        assert_eq!(t.epoch_secs(), 1_795_312_119);
        assert_eq!(Timestamp::from_epoch_seconds(1_795_312_119.676466), t);
        assert_eq!(Timestamp::from_epoch_us(2_000_000).epoch_text(), "2.0");
    }
}
