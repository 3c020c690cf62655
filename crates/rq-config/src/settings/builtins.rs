//! `int`, `float`, `str` and `bool` of a plain value, as Python has them. What a value holds is never told: it may be a
//! password of the environment.

use rq_wire::Value;

use crate::python::{is_space, plain_text};

/// What is called by a name that nothing has been assigned to.
pub(super) const NAMES: [&str; 4] = ["int", "float", "str", "bool"];

pub(super) fn called(name: &str, value: &Value) -> Result<Value, String> {
    match name {
        "int" => int(value),
        "float" => float(value),
        "bool" => Ok(Value::Bool(value.is_true())),
        _ => plain_text(value)
            .map(Value::Str)
            .ok_or_else(|| format!("`str` of a {} is not read", value.type_name())),
    }
}

fn int(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Bool(truth) => Ok(Value::Int(i64::from(*truth))),
        Value::Float(number) => {
            // Cut off, as Python does. Both ends are exact: -2^63, and 2^63, which is one too many.
            let is_within = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(number);
            if is_within {
                Ok(Value::Int(*number as i64))
            } else {
                Err("`int` gives no number of 64 bits here".to_owned())
            }
        }
        Value::Str(text) => {
            let number = digits(text).and_then(|digits| digits.parse().ok()).map(Value::Int);
            number.ok_or_else(|| "`int` is given a text that is no whole number of 64 bits".to_owned())
        }
        value => Err(format!("`int` is given a {}, of which there is none", value.type_name())),
    }
}

fn float(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(number) => Ok(Value::Float(*number as f64)),
        Value::Bool(truth) => Ok(Value::Float(f64::from(u8::from(*truth)))),
        Value::Float(number) => Ok(Value::Float(*number)),
        Value::Str(text) => {
            let number = digits(text).and_then(|digits| digits.parse().ok()).map(Value::Float);
            number.ok_or_else(|| "`float` is given a text that is no number".to_owned())
        }
        value => Err(format!("`float` is given a {}, of which there is none", value.type_name())),
    }
}

/// A number without what Python allows around and within its digits: white space, and `_` between two of them.
fn digits(text: &str) -> Option<String> {
    let text = text.trim_matches(is_space);
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_between = |(at, _)| is_digit(usize::checked_sub(at, 1)) && is_digit(Some(at + 1));
    text.match_indices('_').all(is_between).then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pythons() {
        for (name, text, expected) in [
            ("int", "5", Some("5")),
            ("int", " +1_000\n", Some("1000")),
            ("int", "-0012", Some("-12")),
            ("int", "", None),
            ("int", "1.5", None),
            ("int", "0x1f", None),
            ("int", "1__0", None),
            ("int", "_1", None),
            ("int", "--1", None),
            ("int", "9223372036854775808", None),
            ("float", " 1_0.5e3 ", Some("10500.0")),
            ("float", "-inf", Some("-inf")),
            ("float", "x", None),
            ("bool", "0", Some("True")),
            ("bool", "", Some("False")),
            ("str", "a", Some("'a'")),
        ] {
            let given = called(name, &Value::Str(text.to_owned()));
            assert_eq!(given.ok().map(|value| value.repr()).as_deref(), expected, "{name}({text:?})");
        }
        for (name, value, expected) in [
            ("int", Value::Float(-1.9), Some("-1")),
            ("int", Value::Float(1e300), None),
            ("int", Value::Float(f64::NAN), None),
            ("int", Value::Bool(true), Some("1")),
            ("int", Value::Null, None),
            ("str", Value::Float(1.0), Some("'1.0'")),
            ("str", Value::Null, Some("'None'")),
            ("str", Value::List(vec![]), None),
            ("bool", Value::List(vec![]), Some("False")),
        ] {
            let given = called(name, &value);
            assert_eq!(given.ok().map(|value| value.repr()).as_deref(), expected, "{name}({value:?})");
        }
    }

    #[test]
    fn no_value_is_told() {
        let secret = Value::Str("secret".to_owned());
        assert!(["int", "float"].iter().all(|name| !called(name, &secret).unwrap_err().contains("secret")));
    }
}
