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

    /// Takes a whole number as Python's `int()` reads it; absent is `None`, empty is an error.
    pub fn take_int(&mut self, field: &str) -> Result<Option<i64>, FieldError> {
        let Some(bytes) = self.take(field) else { return Ok(None) };
        // As `int()` does, white space around it is passed over. What is no number ends Python's workers, so none of
        // ours must take it for one (docs/wire.md §21-1).
        let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        match number {
            Some(number) => Ok(Some(number)),
            None => {
                Err(FieldError::new(field, format_args!("{} is no whole number of 64 bits", quoted(&bytes))))
            }
        }
    }

    /// Takes a flag: any number but `0` is true.
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
        for (text, number) in [("-1", Some(-1)), (" 7 ", Some(7)), ("+3", Some(3))] {
            assert_eq!(fields(text).take_int("f"), Ok(number));
        }
        for text in ["", "abc", "1e309", "nan", "9223372036854775808", "1.0"] {
            let error = fields(text).take_int("f").unwrap_err();
            assert_eq!(error.field, "f");
        }
        assert_eq!(Fields::default().take_int("f"), Ok(None));
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
