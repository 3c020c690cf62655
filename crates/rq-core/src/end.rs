//! [`End`]: how a job ended, as its callback sees it.

use std::fmt;

use rq_wire::{Codec, Value};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::failure::Failure;
use crate::handlers::convert;

/// How a job ended: what a callback is called with.
///
/// ```
/// use rq_core::{callback, End};
///
/// /// Tells whoever is on duty.
/// #[callback("alerts.page")]
/// fn page(end: End) -> rq_core::Result<()> {
///     match end {
///         End::Failed(failure) => eprintln!("{}", failure.text()),
///         End::Finished(value) => eprintln!("{} at last", value.read::<i64>()?),
///         _ => {}
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The job returned this value. A callback for success sees it.
    Finished(EndValue),
    /// The job, or this attempt of it, failed so. A callback for failure sees it.
    Failed(EndFailure),
    /// Somebody stopped the job. A callback for that sees it.
    Stopped,
}

impl End {
    /// The end of a job in `codec` with this outcome.
    pub fn of(outcome: &Result<Option<Vec<u8>>, Failure>, codec: Codec) -> End {
        match outcome {
            Ok(bytes) => End::Finished(EndValue::new(codec, bytes.clone())),
            Err(Failure::Stopped) => End::Stopped,
            Err(failure) => End::Failed(failure.into()),
        }
    }
}

/// The value a job returned, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndValue {
    codec: Codec,
    bytes: Option<Vec<u8>>,
}

impl EndValue {
    /// A value in `codec`; no bytes are Python's `None`.
    pub fn new(codec: Codec, bytes: Option<Vec<u8>>) -> EndValue {
        EndValue { codec, bytes }
    }

    /// The value as a `T`. A `T` that is a [`Value`] gets it as it is, dates and sets included.
    ///
    /// # Errors
    /// If the bytes cannot be read, or the value is no `T`. Of a value that could not be written in the job's codec there is
    /// the text that RQ stores for it, `Unserializable return value` (docs/wire.md §7).
    pub fn read<T: DeserializeOwned + 'static>(&self) -> Result<T, Error> {
        let value = match &self.bytes {
            Some(bytes) => self.codec.decode_value(bytes)?,
            None => Value::Null,
        };
        Ok(convert(value)?)
    }

    /// The codec, that of the job.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The encoded value; `None` for Python's `None`.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }
}

/// How a job failed, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndFailure {
    kind: String,
    text: String,
}

impl EndFailure {
    /// The failure of this [kind](Failure::kind) with this [text](Failure::text).
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> EndFailure {
        EndFailure { kind: kind.into(), text: text.into() }
    }

    /// What kind of failure it is, in a word: `Error`, `Panic`, `JobTimeoutException`, as in [`Failure::kind`].
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What is stored with the job: the kind, what went wrong, and one cause a line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for EndFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&Failure> for EndFailure {
    fn from(failure: &Failure) -> EndFailure {
        EndFailure::new(failure.kind(), failure.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Retry;

    #[test]
    fn the_value_comes_as_the_type_that_is_asked_for() {
        let value = EndValue::new(Codec::Json, Some(b"[1, 2]".to_vec()));
        assert_eq!(value.read::<Vec<i64>>().unwrap(), [1, 2]);
        assert!(value.read::<String>().is_err());
        let none = EndValue::new(Codec::Pickle, None);
        assert_eq!(none.read::<Option<i64>>().unwrap(), None);
        // serde has no sets: it would make a list of this one.
        let set = Value::Set(vec![Value::Int(1)]);
        let bytes = Codec::Pickle.encode_value(&set).unwrap();
        assert_eq!(EndValue::new(Codec::Pickle, Some(bytes)).read::<Value>().unwrap(), set);
    }

    #[test]
    fn an_outcome_is_an_end() {
        let end = |outcome| End::of(&outcome, Codec::Json);
        assert_eq!(end(Ok(None)), End::Finished(EndValue::new(Codec::Json, None)));
        assert_eq!(end(Err(Failure::Stopped)), End::Stopped);
        let End::Failed(failure) = end(Err("boom".into())) else { panic!() };
        assert_eq!((failure.kind(), failure.text()), ("Error", "Error: boom"));
        assert!(matches!(end(Err(Retry::up_to(1).into())), End::Failed(_)));
    }
}
