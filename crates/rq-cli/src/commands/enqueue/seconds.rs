//! Times in options, as RQ's `parse_timeout` reads them: seconds, or a number with a unit.

/// The longest time, 3,170 years: Redis counts an expiry in milliseconds of 64 bits.
const SECONDS_MAX: i64 = 100_000_000_000;

/// `90`, `-1`, `5m`, `2H`, in seconds.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let refusal = || {
        format!(
            "'{text}' is no time: it must be an integer, for seconds, or digits with a unit of d, h, m or s, such as 1h \
             or 23m"
        )
    };
    // A whole number first, since its last digit is no unit. By characters, as the last one may have several bytes.
    let seconds = match (text.parse::<i64>(), text.char_indices().next_back()) {
        (Ok(seconds), _) => Some(seconds),
        (Err(_), Some((end, unit))) => number_with_unit(&text[..end], unit),
        (Err(_), None) => None,
    };
    let seconds = seconds.ok_or_else(refusal)?;
    if seconds > SECONDS_MAX {
        Err(format!("'{text}' is more than {SECONDS_MAX} seconds"))
    } else {
        Ok(seconds)
    }
}

/// [`parse`] for a time limit, which cannot be zero.
pub(super) fn parse_timeout(text: &str) -> Result<i64, String> {
    match parse(text)? {
        0 => Err("0 timeout is not allowed. Use -1 for infinite timeout".to_owned()),
        seconds if seconds < -1 => Err("it must be greater than 0, or -1 for no limit".to_owned()),
        seconds => Ok(seconds),
    }
}

/// [`parse`] for how long something is kept.
pub(super) fn parse_ttl(text: &str) -> Result<i64, String> {
    match parse(text)? {
        ..-1 => Err("it must be 0 or more, or -1 for ever".to_owned()),
        seconds => Ok(seconds),
    }
}

/// [`parse`] for a time from now on.
pub(super) fn parse_delay(text: &str) -> Result<u64, String> {
    u64::try_from(parse(text)?)
        .map_err(|_| "that is in the past; without the option the job is enqueued now".to_owned())
}

/// [`parse`] for a time that has to be one.
pub(super) fn parse_positive(text: &str) -> Result<i64, String> {
    match parse(text)? {
        ..=0 => Err("it must be greater than 0".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Seconds between retries: RQ takes no units here.
pub(super) fn parse_pause(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(..0) => Err("negative numbers are not allowed".to_owned()),
        Ok(seconds) if seconds <= SECONDS_MAX => Ok(seconds.unsigned_abs()),
        Ok(_) => Err(format!("'{text}' is more than {SECONDS_MAX} seconds")),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

fn number_with_unit(digits: &str, unit: char) -> Option<i64> {
    let unit_s = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_rq_reads_them() {
        for (text, seconds) in [
            ("90", 90),
            ("-1", -1),
            ("0", 0),
            ("30s", 30),
            ("5m", 300),
            ("2H", 7200),
            ("1d", 86_400),
            ("+5", 5),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "m", "x", "1.5h", "5 minutes", "1w", "1é", "99999999999999999999", "9223372036854775807d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            parse("1000000000000"),
            Err("'1000000000000' is more than 100000000000 seconds".to_owned())
        );
    }

    #[test]
    fn what_rq_refuses_is_refused() {
        assert_eq!(
            parse_timeout("0"),
            Err("0 timeout is not allowed. Use -1 for infinite timeout".to_owned())
        );
        assert_eq!(parse_timeout("-1"), Ok(-1));
        assert_eq!((parse_ttl("-1"), parse_ttl("0")), (Ok(-1), Ok(0)));
        assert_eq!((parse_delay("0"), parse_delay("1m")), (Ok(0), Ok(60)));
        assert!(parse_timeout("-2").is_err() && parse_ttl("-5m").is_err() && parse_delay("-5").is_err());
        assert!(parse_positive("0").is_err() && parse_positive("-1").is_err());
        assert_eq!(parse_positive("1m"), Ok(60));
        assert!(parse_pause("-1").is_err() && parse_pause("1m").is_err());
        assert_eq!(parse_pause("0"), Ok(0));
    }
}
