//! Times of the clock on the wall, for `--schedule-at`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rq_core::Timestamp;

/// RQ's one form.
const FORM: &str = "%Y-%m-%dT%H:%M:%S";

/// `2021-05-27T21:45:00` on this machine. As in Python, the first of two such moments counts where clocks are put back,
/// and the clock goes on where one is left out.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    moment(text, TimeZone::system())
        .ok_or_else(|| format!("'{text}' is no local time of the form 2021-05-27T21:45:00"))
}

fn moment(text: &str, zone: TimeZone) -> Option<Timestamp> {
    // jiff's `to_zoned` does as Python here, where clocks are put forward or back.
    let zoned = DateTime::strptime(FORM, text).ok()?.to_zoned(zone).ok()?;
    Some(Timestamp::from_epoch_us(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local() {
        let zone = || TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (text, utc) in [
            ("2021-05-27T21:45:00", "2021-05-27T19:45:00Z"),
            ("2021-01-27T21:45:00", "2021-01-27T20:45:00Z"),
            ("2021-1-7T1:2:3", "2021-01-07T00:02:03Z"),
            // put back, and left out
            ("2021-10-31T02:30:00", "2021-10-31T00:30:00Z"),
            ("2021-03-28T02:30:00", "2021-03-28T01:30:00Z"),
        ] {
            assert_eq!(moment(text, zone()), Some(Timestamp::parse(utc).unwrap()), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "2021-05-27", "2021-05-27 21:45:00", "2021-05-27T21:45:00Z", "2021-13-01T00:00:00", "soon"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("soon"), Err("'soon' is no local time of the form 2021-05-27T21:45:00".to_owned()));
    }
}
