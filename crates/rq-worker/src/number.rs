//! Numbers as people write them in options, and what is wrong with others, in RQ's words (docs/cli.md §1).

use std::time::Duration;

/// The longest time an option takes: ten years.
pub const SECONDS_MAX: i64 = 315_360_000;

/// For how many seconds something is kept, or -1 for ever.
pub fn ttl(text: &str) -> Result<i64, String> {
    match whole_seconds(text)? {
        ..-1 => Err("it must be 0 or more, or -1 for ever".to_owned()),
        seconds => Ok(seconds),
    }
}

fn whole_seconds(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(number) if number <= SECONDS_MAX => Ok(number),
        Ok(_) => Err(format!("it must be at most {SECONDS_MAX}")),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

/// A number of seconds, one at least.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match whole_seconds(text)? {
        ..1 => Err("it must be at least 1".to_owned()),
        seconds => Ok(Duration::from_secs(seconds.unsigned_abs())),
    }
}

/// A count, one at least.
pub fn count(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(..1) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number.unsigned_abs()),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

/// A [`count`] of things that are in memory. More than fit are as many as fit.
pub fn count_in_memory(text: &str) -> Result<usize, String> {
    Ok(usize::try_from(count(text)?).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((ttl("-1"), ttl("0")), (Ok(-1), Ok(0)));
        assert!(ttl("-2").is_err() && ttl("315360001").is_err());
        assert_eq!(seconds("1"), Ok(Duration::from_secs(1)));
        assert_eq!(count("9223372036854775807"), Ok(i64::MAX.unsigned_abs()));
        for refused in [count("-1"), count("0"), count("1.5"), count("x")] {
            assert!(refused.is_err());
        }
        for refused in [seconds("0"), seconds("315360001"), seconds("x")] {
            assert!(refused.is_err());
        }
    }
}
