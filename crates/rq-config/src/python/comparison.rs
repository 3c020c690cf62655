//! [`Comparison`]: `==`, `!=`, `in` and `not in`, as Python has them. What a value holds is never told.

use rq_wire::Value;

use super::key::{Keys, are_one};

#[derive(Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    In,
    NotIn,
}

impl Comparison {
    pub(super) fn holds(self, left: &Value, right: &Value) -> Result<bool, String> {
        match self {
            Comparison::Equal => is_equal(left, right),
            Comparison::Unequal => is_equal(left, right).map(|is_equal| !is_equal),
            Comparison::In => is_in(left, right),
            Comparison::NotIn => is_in(left, right).map(|is_in| !is_in),
        }
    }
}

fn is_equal(left: &Value, right: &Value) -> Result<bool, String> {
    let is_nan = |value: &Value| matches!(value, Value::Float(number) if number.is_nan());
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => Ok(left == right),
        (Value::Bytes(left), Value::Bytes(right)) => Ok(left == right),
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            are_equal(left, right)
        }
        (Value::Set(left), Value::Set(right)) => is_same_set(left, right),
        (Value::Dict(left), Value::Dict(right)) => is_same_dict(left, right),
        // In a list, Python finds one equal that is the very same, which is not known here.
        (left, right) if is_nan(left) && is_nan(right) => Err("`nan` is compared with itself".to_owned()),
        (left, right) if is_nan(left) || is_nan(right) => Ok(false),
        (left, right) if is_scalar(left) && is_scalar(right) => are_one(left, right),
        _ => Ok(false),
    }
}

/// Whether a value may be equal to one of another type: to Python `1`, `1.0` and `True` are.
fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_))
}

fn are_equal(left: &[Value], right: &[Value]) -> Result<bool, String> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right) {
        if !is_equal(left, right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_same_set(left: &[Value], right: &[Value]) -> Result<bool, String> {
    let keys = Keys::of(right)?;
    for value in left {
        if keys.find(value)?.is_none() {
            return Ok(false);
        }
    }
    Ok(left.len() == right.len())
}

fn is_same_dict(left: &[(Value, Value)], right: &[(Value, Value)]) -> Result<bool, String> {
    if left.len() != right.len() {
        return Ok(false);
    }
    let keys = Keys::of(right.iter().map(|(key, _)| key))?;
    for (key, value) in left {
        match keys.find(key)? {
            Some(place) if is_equal(value, &right[place].1)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn is_in(value: &Value, container: &Value) -> Result<bool, String> {
    match (container, value) {
        (Value::Str(text), Value::Str(part)) => Ok(text.contains(part.as_str())),
        (Value::Str(_), value) => Err(format!("`in` looks for a {} in a text", value.type_name())),
        (Value::List(values) | Value::Tuple(values), value) => {
            for each in values {
                if is_equal(each, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Set(values), value) => Ok(Keys::of(values)?.find(value)?.is_some()),
        (Value::Dict(pairs), value) => Ok(Keys::of(pairs.iter().map(|(key, _)| key))?.find(value)?.is_some()),
        (container, _) => Err(format!("`in` is not read of a {}", container.type_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_they_are() {
        let most = 9_223_372_036_854_775_807_i64;
        for (left, right, expected) in [
            (Value::Int(1), Value::Bool(true), true),
            (Value::Float(-0.0), Value::Bool(false), true),
            (Value::Int(9_007_199_254_740_993), Value::Float(9_007_199_254_740_992.0), false),
            (Value::Int(most), Value::Float(most as f64), false),
            (Value::Int(i64::MIN), Value::Float(i64::MIN as f64), true),
            (Value::Float(0.5), Value::Float(0.5), true),
            (Value::Float(f64::NAN), Value::Int(0), false),
            (Value::Float(f64::INFINITY), Value::Float(f64::INFINITY), true),
        ] {
            assert_eq!(is_equal(&left, &right), Ok(expected), "{left:?}, {right:?}");
            assert_eq!(is_equal(&right, &left), Ok(expected), "{right:?}, {left:?}");
        }
        assert!(is_equal(&Value::Float(f64::NAN), &Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn no_value_is_told() {
        let secret = Value::Str("secret".to_owned());
        let faults = [is_in(&Value::Int(5), &secret), is_in(&secret, &Value::Int(5))];
        assert!(faults.into_iter().all(|fault| !fault.unwrap_err().contains("secret")));
    }
}
