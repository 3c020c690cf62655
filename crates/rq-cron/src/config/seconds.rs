//! Times in a file: a number of seconds, or digits with a unit, as RQ has them for timeouts.

use std::time::Duration;

use rq_core::Value;

/// The longest time, 3,170 years: Redis counts an expiry in milliseconds of 64 bits.
const SECONDS_MAX: i64 = 100_000_000_000;

/// Whole seconds: `300`, `"300"`, `"5m"`, `-1`.
pub(super) fn whole(value: &Value) -> Result<i64, String> {
    let seconds = match value {
        Value::Int(seconds) => Some(*seconds),
        Value::Str(text) => text.parse().ok().or_else(|| with_unit(text)),
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds <= SECONDS_MAX => Ok(seconds),
        Some(_) => Err(format!("it is more than {SECONDS_MAX} seconds")),
        None => {
            Err("it is no time: write seconds, or digits with a unit of d, h, m or s, such as \"5m\""
                .to_owned())
        }
    }
}

/// Seconds and parts of them: `300`, `1.5`, `"5m"`.
pub(super) fn exact(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Float(seconds) => {
            Duration::try_from_secs_f64(*seconds).map_err(|_| "it is no length of time".to_owned())
        }
        value => u64::try_from(whole(value)?)
            .map(Duration::from_secs)
            .map_err(|_| "it is less than nothing".to_owned()),
    }
}

fn with_unit(text: &str) -> Option<i64> {
    let (end, unit) = text.char_indices().next_back()?;
    let unit_s = match unit.to_ascii_lowercase() {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    text[..end].parse::<i64>().ok()?.checked_mul(unit_s)
}
