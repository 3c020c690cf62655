//! [`Fields`]: a Redis hash on its way into or out of a typed record.

use std::collections::BTreeMap;

use crate::time::Timestamp;

/// A field that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {reason}")]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FieldError {
    /// `field` cannot be read for `reason`.
    pub fn new(field: &str, reason: impl ToString) -> FieldError {
        FieldError { field: field.to_owned(), reason: reason.to_string() }
    }
}

/// The fields of a hash. Readers take what they know; what is left is carried along unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Fields {
    /// Whether there is nothing left, or nothing there.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value of `field` as it is.
    pub fn get(&self, field: &str) -> Option<&[u8]> {
        self.map.get(field.as_bytes()).map(Vec::as_slice)
    }

    /// Sets `field`, whatever it was.
    pub fn set(&mut self, field: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.map.insert(field.into(), value.into());
    }

    /// Sets `field` if there is a value for it.
    pub fn set_some(&mut self, field: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(field, value.to_string());
        }
    }

    /// Sets `field` to the value, or to the empty string where there is none: RQ's "always" fields.
    pub fn set_or_empty(&mut self, field: &str, value: Option<impl ToString>) {
        self.set(field, value.map(|value| value.to_string()).unwrap_or_default());
    }

    /// Sets `field` to `1` or `0`.
    pub fn set_flag(&mut self, field: &str, value: Option<bool>) {
        self.set_some(field, value.map(u8::from));
    }

    /// Removes `field` and gives its bytes.
    pub fn take(&mut self, field: &str) -> Option<Vec<u8>> {
        self.map.remove(field.as_bytes())
    }

    /// Takes text; empty is `None`, as RQ's readers have it.
    pub fn take_text(&mut self, field: &str) -> Result<Option<String>, FieldError> {
        match self.take(field) {
            Some(bytes) if !bytes.is_empty() => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(FieldError::new(field, "is not UTF-8")),
            },
            _ => Ok(None),
        }
    }

    /// Takes a time of the `T` form; empty is `None`.
    pub fn take_time(&mut self, field: &str) -> Result<Option<Timestamp>, FieldError> {
        let text = self.take_text(field)?;
        text.map(|text| Timestamp::parse(&text).map_err(|error| FieldError::new(field, error))).transpose()
    }

    /// Takes a whole number as Python's `int()` reads it; absent or empty is `None`, as RQ's readers have it.
    pub fn take_int(&mut self, field: &str) -> Result<Option<i64>, FieldError> {
        match self.take(field) {
            Some(bytes) if !bytes.is_empty() => whole_number(field, &bytes).map(Some),
            _ => Ok(None),
        }
    }

    /// The same for the fields that RQ's readers take for numbers whenever they are there: empty is an error.
    pub fn take_present_int(&mut self, field: &str) -> Result<Option<i64>, FieldError> {
        self.take(field).map(|bytes| whole_number(field, &bytes)).transpose()
    }

    /// Takes a flag: any number but `0` is true; absent or empty is `None`.
    pub fn take_flag(&mut self, field: &str) -> Result<Option<bool>, FieldError> {
        Ok(self.take_int(field)?.map(|number| number != 0))
    }

    /// Takes a float; absent or empty is `None`.
    pub fn take_float(&mut self, field: &str) -> Result<Option<f64>, FieldError> {
        let Some(text) = self.take_text(field)? else { return Ok(None) };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(FieldError::new(field, format_args!("{} is no finite number", quoted(text.as_bytes())))),
        }
    }

    /// Whether both have fields of the same names.
    pub(crate) fn has_fields_of(&self, other: &Fields) -> bool {
        self.map.keys().eq(other.map.keys())
    }

    /// What a Redis command takes as `field value field value …`.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.map.iter().map(|(field, value)| (field.as_slice(), value.as_slice()))
    }
}

impl<F: Into<Vec<u8>>, V: Into<Vec<u8>>> FromIterator<(F, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (F, V)>>(pairs: I) -> Fields {
        Fields { map: pairs.into_iter().map(|(field, value)| (field.into(), value.into())).collect() }
    }
}

impl Extend<(Vec<u8>, Vec<u8>)> for Fields {
    fn extend<I: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(&mut self, pairs: I) {
        self.map.extend(pairs);
    }
}

impl IntoIterator for Fields {
    type Item = (Vec<u8>, Vec<u8>);
    type IntoIter = std::collections::btree_map::IntoIter<Vec<u8>, Vec<u8>>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.into_iter()
    }
}

/// What is no number ends Python's workers, so none of ours must take it for one (docs/wire.md §21-1).
fn whole_number(field: &str, bytes: &[u8]) -> Result<i64, FieldError> {
    python_int(bytes)
        .ok_or_else(|| FieldError::new(field, format_args!("{} is no whole number", quoted(bytes))))
}

/// Python's `int()` of bytes: white space around it, a sign, and single underscores between digits are passed over. A
/// number beyond 64 bits, which Python has, is the nearest of them: no span of time is as long.
fn python_int(bytes: &[u8]) -> Option<i64> {
    /// Python's own limit.
    const DIGITS_MAX: usize = 4300;
    // Bytes alone: Python strips the vertical tab as well, and no white space beyond ASCII.
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = bytes.iter().position(|byte| !is_space(byte))?;
    let end = bytes.iter().rposition(|byte| !is_space(byte))?;
    let (sign, digits) = match &bytes[start..=end] {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let mut number = 0_i64;
    let mut count = 0;
    for group in digits.split(|byte| *byte == b'_') {
        if group.is_empty() || !group.iter().all(u8::is_ascii_digit) {
            return None;
        }
        count += group.len();
        for digit in group {
            number = number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'));
        }
    }
    (count <= DIGITS_MAX).then_some(number)
}

/// The beginning of a value for an error message, printable whatever it holds.
fn quoted(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    let shown = bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii();
    format!("\"{shown}\"{}", if bytes.len() > SHOWN_BYTES { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: &str) -> Fields {
        Fields::from_iter([("f", value)])
    }

    #[test]
    fn whole_numbers_are_read_as_python_reads_them() {
        for (text, number) in [
            ("-1", -1),
            (" 7 ", 7),
            ("\x0b+3\n", 3),
            ("007", 7),
            ("1_000", 1000),
            ("-0", 0),
            ("9223372036854775808", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(fields(text).take_int("f"), Ok(Some(number)), "{text:?}");
        }
        let too_many = "1".repeat(4301);
        for text in
            ["abc", "1e309", "nan", "1.0", "1__0", "_1", "1_", "-", "- 1", "0x1", "\u{a0}1", &too_many]
        {
            let error = fields(text).take_int("f").unwrap_err();
            assert_eq!(error.field, "f");
        }
        assert_eq!(fields("").take_int("f"), Ok(None));
        assert!(fields("").take_present_int("f").is_err());
        assert_eq!(Fields::default().take_present_int("f"), Ok(None));
    }

    #[test]
    fn empty_text_is_absent_and_bad_text_names_its_field() {
        assert_eq!(fields("").take_text("f"), Ok(None));
        let mut fields = Fields::from_iter([("f", vec![0xff, 0xfe])]);
        assert_eq!(fields.take_text("f").unwrap_err().to_string(), "field `f`: is not UTF-8");
    }

    #[test]
    fn what_is_not_taken_stays() {
        let mut fields = Fields::from_iter([("a", "1"), ("b", "2")]);
        fields.take("a");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"b"[..], &b"2"[..])]);
    }
}
