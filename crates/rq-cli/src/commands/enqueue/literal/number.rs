//! Python's numbers.

use num_bigint::BigInt;
use rq_core::Value;

/// Python's own limit on the digits of a decimal integer.
pub(super) const DIGITS_MAX: usize = 4300;
/// Python has no limit on the digits behind a prefix; payloads have one, which no base needs more digits for.
const PREFIXED_DIGITS_MAX: usize = 4 * DIGITS_MAX;

/// The number that `text` is: `1_000`, `0xff`, `.5e-3`.
pub(super) fn parse(text: &str) -> Option<Value> {
    match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => radix(&text[2..], 16),
        Some("0o") => radix(&text[2..], 8),
        Some("0b") => radix(&text[2..], 2),
        _ if text.contains(['.', 'e', 'E']) => float(text),
        _ => decimal(text),
    }
}

/// Digits without the single underscores that may stand between them.
fn digits(text: &str, radix: u32) -> Option<String> {
    // Python allows one underscore between digits: two, or one at an end, would leave an empty group.
    let all_groups =
        text.split('_').all(|group| !group.is_empty() && group.chars().all(|c| c.is_digit(radix)));
    all_groups.then(|| text.replace('_', ""))
}

/// Digits behind a prefix; there an underscore may come first.
fn radix(text: &str, radix: u32) -> Option<Value> {
    let digits = digits(text.strip_prefix('_').unwrap_or(text), radix)?;
    if digits.len() > PREFIXED_DIGITS_MAX {
        return None;
    }
    BigInt::parse_bytes(digits.as_bytes(), radix).map(Value::from)
}

/// Leading zeros are for zero alone.
fn decimal(text: &str) -> Option<Value> {
    let digits = digits(text, 10)?;
    let is_padded = digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0');
    if is_padded || digits.len() > DIGITS_MAX {
        return None;
    }
    BigInt::parse_bytes(digits.as_bytes(), 10).map(Value::from)
}

fn float(text: &str) -> Option<Value> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Either may be missing, as in `1.` and `.5`, which Rust's parser reads as well.
    for part in [whole, fraction] {
        if !part.is_empty() {
            digits(part, 10)?;
        }
    }
    if let Some(exponent) = exponent {
        digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent), 10)?;
    }
    text.replace('_', "").parse().ok().map(Value::Float)
}
