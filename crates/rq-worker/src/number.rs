//! Numbers as people write them in options, and what is wrong with others, in RQ's words (docs/cli.md §1).

use std::time::Duration;

/// The longest time an option takes: ten years.
pub const SECONDS_MAX: i64 = 315_360_000;

/// A number of seconds, or less than none for "for ever" where the option knows that.
pub fn seconds_or_negative(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(number) if number <= SECONDS_MAX => Ok(number),
        Ok(_) => Err(format!("it must be at most {SECONDS_MAX}")),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

/// A number of seconds, one at least.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match seconds_or_negative(text)? {
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
        assert_eq!(seconds_or_negative("-1"), Ok(-1));
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
