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

/// Where the wire's clocks begin.
const EPOCH: jiff::civil::DateTime = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

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
        const YEAR_9999_END_US: i64 = 253_402_300_799_999_999;
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

    /// As Python's `isoformat` has it: `2026-11-22T01:48:39.413834+00:00`, without a fraction where that is zero.
    pub fn iso_text(self) -> String {
        let text = self.to_string();
        let text = text.trim_end_matches('Z');
        format!("{}+00:00", text.strip_suffix(".000000").unwrap_or(text))
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

    /// Reads the `T` form as Python's `strptime` does: 1 to 6 fractional digits or none, and a literal `Z`. Month, day,
    /// hour, minute and second may lack their zero, and letters be small.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        let parsed = parse_exactly(text.as_bytes());
        parsed.ok_or_else(|| TimestampError(text.chars().take(60).collect()))
    }
}

/// Python ends on anything but this form, so nothing else is let through.
fn parse_exactly(text: &[u8]) -> Option<Timestamp> {
    let rest = &mut &text[..];
    let year = i16::try_from(digits(rest, 4, 4)?).ok()?;
    let part = |before: u8, rest: &mut &[u8]| {
        letter(rest, before)?;
        i8::try_from(digits(rest, 1, 2)?).ok()
    };
    let month = part(b'-', rest)?;
    letter(rest, b'-')?;
    // The one part that Python lets begin with a space.
    let is_padded = rest.len() > 1 && rest[0] == b' ';
    *rest = &rest[usize::from(is_padded)..];
    let day = i8::try_from(digits(rest, 1, if is_padded { 1 } else { 2 })?).ok()?;
    let (hour, minute, second) = (part(b'T', rest)?, part(b':', rest)?, part(b':', rest)?);
    let micros = if rest.first() == Some(&b'.') { fraction(rest)? } else { 0 };
    letter(rest, b'Z')?;
    // Python's calendar begins with the year 1.
    if !rest.is_empty() || year < 1 {
        return None;
    }
    let clock = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    // As clock readings: jiff's timestamps end a day before the year 9999 does.
    let seconds = clock.duration_since(EPOCH).as_secs();
    Some(Timestamp { epoch_us: seconds * 1_000_000 + micros })
}

/// Takes a letter, small or not, or a sign.
fn letter(rest: &mut &[u8], wanted: u8) -> Option<()> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    first.eq_ignore_ascii_case(&wanted).then_some(())
}

/// Takes so many digits, as many as there are.
fn digits(rest: &mut &[u8], least: usize, most: usize) -> Option<u32> {
    let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(count);
    *rest = after;
    (count >= least).then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// Takes a point and up to six digits, and gives microseconds.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    letter(rest, b'.')?;
    let before = rest.len();
    let number = digits(rest, 1, 6)?;
    let missing = 6 - (before - rest.len()) as u32;
    Some(i64::from(number) * 10_i64.pow(missing))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(t) = EPOCH.checked_add(jiff::SignedDuration::from_micros(self.epoch_us)) else {
            unreachable!("every constructor keeps to the years 1 to 9999");
        };
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
        for text in [
            "2026-11-22T01:48:39.413834Z",
            "0001-01-01T00:00:00.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
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
    fn what_strptime_reads_is_read() {
        let parse = |text| Timestamp::parse(text).unwrap().to_string();
        for text in ["2026-1-2T3:4:5.006Z", "2026-01- 2t03:04:05.006000z", "2026-1-02T03:4:05.00600z"] {
            assert_eq!(parse(text), "2026-01-02T03:04:05.006000Z");
        }
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
            "2026-01-01T00:00:60Z",
            "2026-01-  1T00:00:00Z",
            "2026-01-01T 0:00:00Z",
            "2026-001-01T00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00.Z",
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
