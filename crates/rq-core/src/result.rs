//! [`JobResult`]: one entry of a job's results stream (docs/wire.md §7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rq_wire::zlib;

use crate::fields::{FieldError, Fields};
use crate::time::Timestamp;

/// The most bytes a stored failure text may inflate to: 16 MiB.
pub(crate) const FAILURE_TEXT_BYTES_MAX: usize = 16 << 20;

/// How a run ended, as the stream numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResultKind {
    /// `1`: with a value.
    Successful,
    /// `2`: failed, or stopped.
    Failed,
    /// `3`: stopped; Python defines it and never writes it.
    Stopped,
    /// `4`: the job asked to be run again.
    Retried,
    /// `5`: the job asked to be run again more often than it may.
    MaxRetriesExceeded,
}

impl ResultKind {
    /// The number in the stream.
    pub const fn to_wire(self) -> &'static str {
        match self {
            ResultKind::Successful => "1",
            ResultKind::Failed => "2",
            ResultKind::Stopped => "3",
            ResultKind::Retried => "4",
            ResultKind::MaxRetriesExceeded => "5",
        }
    }

    fn from_wire(text: &str) -> Option<ResultKind> {
        use ResultKind::{Failed, MaxRetriesExceeded, Retried, Stopped, Successful};
        [Successful, Failed, Stopped, Retried, MaxRetriesExceeded]
            .into_iter()
            .find(|kind| kind.to_wire() == text)
    }

    /// Whether the job will not run again by itself after this.
    pub const fn is_final(self) -> bool {
        !matches!(self, ResultKind::Retried)
    }
}

/// One entry of a job's results stream: how one run ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobResult {
    /// How it ended.
    pub kind: ResultKind,
    /// Who ran it; empty for maintenance and inline runs, `None` before RQ 2.5.
    pub worker_name: Option<String>,
    /// The value in the job's codec; `None` is Python's `None`.
    pub return_value: Option<Vec<u8>>,
    /// What went wrong.
    pub failure_text: Option<String>,
    /// Which run it was.
    pub execution_id: Option<String>,
    /// When the run was claimed.
    pub execution_started_at: Option<Timestamp>,
    /// When it ended.
    pub execution_ended_at: Option<Timestamp>,
    /// Whatever else the entry holds.
    pub other: Fields,
}

impl JobResult {
    /// A run that ended with `kind` and nothing else known.
    pub fn new(kind: ResultKind) -> JobResult {
        JobResult {
            kind,
            worker_name: None,
            return_value: None,
            failure_text: None,
            execution_id: None,
            execution_started_at: None,
            execution_ended_at: None,
            other: Fields::default(),
        }
    }

    /// Reads the fields of a stream entry.
    pub fn from_fields(mut fields: Fields) -> Result<JobResult, FieldError> {
        let f = &mut fields;
        Ok(JobResult {
            kind: take_kind(f)?,
            // Empty is an inline run or maintenance, missing a release before 2.5; `take_text` would make them one.
            worker_name: match f.get("worker_name") {
                Some(_) => Some(f.take_text("worker_name")?.unwrap_or_default()),
                None => None,
            },
            return_value: take_base64(f, "return_value")?,
            failure_text: take_failure_text(f)?,
            execution_id: f.take_text("execution_id")?,
            execution_started_at: f.take_float("execution_started_at")?.map(Timestamp::from_epoch_seconds),
            execution_ended_at: f.take_float("execution_ended_at")?.map(Timestamp::from_epoch_seconds),
            other: fields,
        })
    }

    /// The fields of the stream entry.
    pub fn to_fields(&self) -> Fields {
        let mut f = self.other.clone();
        f.set("type", self.kind.to_wire());
        f.set_some("worker_name", self.worker_name.as_deref());
        f.set_some("return_value", self.return_value.as_deref().map(encode_value));
        f.set_some("exc_string", self.failure_text.as_deref().map(encode_failure_text));
        f.set_some("execution_id", self.execution_id.as_deref());
        f.set_some("execution_started_at", self.execution_started_at.map(Timestamp::epoch_text));
        f.set_some("execution_ended_at", self.execution_ended_at.map(Timestamp::epoch_text));
        f
    }
}

/// The stream's form of a value in the job's codec: base64.
pub(crate) fn encode_value(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The stream's form of a failure text: base64 of the deflated text.
pub(crate) fn encode_failure_text(text: &str) -> String {
    BASE64.encode(zlib::deflate(text.as_bytes()))
}

fn take_kind(f: &mut Fields) -> Result<ResultKind, FieldError> {
    let number = f.take_int("type")?.ok_or_else(|| FieldError::new("type", "is missing"))?;
    ResultKind::from_wire(&number.to_string())
        .ok_or_else(|| FieldError::new("type", format_args!("{number} is no kind of result")))
}

fn take_base64(f: &mut Fields, field: &str) -> Result<Option<Vec<u8>>, FieldError> {
    let Some(mut text) = f.take_text(field)? else { return Ok(None) };
    // Python passes over what is no letter of base64: the line ends of whoever wrote it in lines.
    text.retain(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '='));
    BASE64.decode(text).map(Some).map_err(|error| FieldError::new(field, error))
}

fn take_failure_text(f: &mut Fields) -> Result<Option<String>, FieldError> {
    let Some(deflated) = take_base64(f, "exc_string")? else { return Ok(None) };
    let text = zlib::inflate(&deflated, FAILURE_TEXT_BYTES_MAX)
        .map_err(|error| FieldError::new("exc_string", error))?;
    // It is for people to read: a bad byte must not hide the rest of a traceback.
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_round_trips() {
        let mut result = JobResult::new(ResultKind::Failed);
        result.worker_name = Some(String::new());
        result.failure_text = Some("Error: boom\ncaused by: é".to_owned());
        result.execution_started_at = Some(Timestamp::from_epoch_us(1_795_312_119_676_466));
        assert_eq!(JobResult::from_fields(result.to_fields()), Ok(result));
    }

    #[test]
    fn bad_entries_name_the_field() {
        for (field, value) in [("type", "9"), ("return_value", "abc"), ("execution_ended_at", "soon")] {
            let mut fields = JobResult::new(ResultKind::Successful).to_fields();
            fields.set(field, value);
            assert_eq!(JobResult::from_fields(fields).unwrap_err().field, field);
        }
    }
}
