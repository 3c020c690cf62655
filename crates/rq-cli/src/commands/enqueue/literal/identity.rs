//! What Python finds equal.

use num_bigint::BigInt;
use rq_core::Value;

/// Text that is equal for what Python finds equal, as `1`, `1.0` and `True`; `None` for what cannot be a key.
pub(super) fn identity(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "none".to_owned(),
        Value::Bool(truth) => format!("number {}", i64::from(*truth)),
        Value::Int(int) => format!("number {int}"),
        Value::BigInt(int) => format!("number {int}"),
        Value::Float(float) => match whole(*float) {
            Some(int) => format!("number {int}"),
            None => format!("number {float:?}"),
        },
        // With its length, so that text within a tuple cannot be taken for the tuple's own commas.
        Value::Str(text) => format!("text {}:{text}", text.len()),
        Value::Surrogates(bytes) => format!("surrogates {bytes:?}"),
        Value::Bytes(bytes) => format!("bytes {bytes:?}"),
        Value::Tuple(items) => {
            let items: Option<Vec<String>> = items.iter().map(identity).collect();
            format!("({})", items?.join(", "))
        }
        _ => return None,
    })
}

/// The integer that a float without a fraction is.
fn whole(float: f64) -> Option<BigInt> {
    const MANTISSA_BITS: u32 = 52;
    const EXPONENT_BIAS: i64 = 1023;
    if !float.is_finite() || float.fract() != 0.0 {
        return None;
    }
    // So far every integer is exact in a float; beyond, the bits say which one it is.
    if let Some(small) = (float.abs() < 1e15).then_some(float as i64) {
        return Some(small.into());
    }
    let bits = float.to_bits();
    let exponent = (bits >> MANTISSA_BITS & 0x7ff) as i64 - EXPONENT_BIAS - i64::from(MANTISSA_BITS);
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | 1 << MANTISSA_BITS;
    let magnitude = match u64::try_from(exponent) {
        Ok(left) => BigInt::from(mantissa) << left,
        Err(_) => BigInt::from(mantissa >> exponent.unsigned_abs()),
    };
    Some(if float < 0.0 { -magnitude } else { magnitude })
}
