//! [`Wait`]: a wait for a job's end.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::error_class::ErrorClass;
use crate::link::Backoff;
use crate::result::{JobResult, ResultKind};
use crate::status::Status;
use crate::steps::job::Latest;
use rq_wire::Codec;
use rq_wire::Value;

/// The longest one blocking read waits for a result, after which the job itself is looked at again: a job may end
/// without leaving an entry.
pub(super) const READ_LONGEST: Duration = Duration::from_secs(1);

/// How long an answer may take where the wait is over but for it.
const ANSWER_LIMIT_MIN: Duration = Duration::from_millis(500);
/// How long an answer may take where the wait is long.
const ANSWER_LIMIT_MAX: Duration = Duration::from_secs(5);
/// The pauses while Redis is away or refuses to answer.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// A wait for a job's end, apart from the connection it happens on.
pub(super) struct Wait<'a> {
    id: &'a str,
    began: Instant,
    longest: Duration,
    /// The newest entry seen: what is waited for comes after it.
    pub(super) after: String,
    /// Where the job was last.
    status: Option<Status>,
    pauses: Backoff,
}

/// What to do after looking at a job.
pub(super) enum Look {
    /// It has ended, like this.
    Ended(JobResult),
    /// It has not; block this long for the next entry.
    Pause(Duration),
}

impl<'a> Wait<'a> {
    pub(super) fn new(id: &'a str, longest: Duration) -> Wait<'a> {
        Wait { id, began: Instant::now(), longest, after: "0-0".to_owned(), status: None, pauses: PAUSES }
    }

    /// How long the next look may wait for its answer.
    pub(super) fn look_limit(&self) -> Duration {
        self.left().clamp(ANSWER_LIMIT_MIN, ANSWER_LIMIT_MAX)
    }

    /// How long a read that blocks for `pause` may take.
    pub(super) fn read_limit(&self, pause: Duration) -> Duration {
        pause + ANSWER_LIMIT_MIN
    }

    /// Bears an error that may pass before the time is up: how long to pause.
    pub(super) fn bear(&mut self, error: Error) -> Result<Duration, Error> {
        if error.class() == ErrorClass::Fault {
            return Err(error);
        }
        match self.left() {
            Duration::ZERO => Err(self.not_ended()),
            left => Ok(self.pauses.pause().min(left)),
        }
    }

    fn left(&self) -> Duration {
        self.longest.saturating_sub(self.began.elapsed())
    }

    fn not_ended(&self) -> Error {
        Error::NotEnded { job_id: self.id.to_owned(), waited: self.longest, status: self.status }
    }

    /// Decides what the job's state means for the wait.
    pub(super) fn look(&mut self, latest: Latest) -> Result<Look, Error> {
        let Latest { status, result } = latest;
        self.status = status;
        self.pauses.reset();
        let job_id = || self.id.to_owned();
        match (status, result) {
            // While a job is not in an end state, its newest entry is of an earlier run.
            (Some(status), Some((entry, _))) if !status.is_terminal() => self.after = entry,
            // Before entries are looked at: a job that had ended keeps its result when it is canceled.
            (Some(Status::Canceled), _) => {
                return Err(Error::JobFailed {
                    job_id: job_id(),
                    status: Status::Canceled,
                    text: String::new(),
                });
            }
            (_, Some((_, result))) if result.kind == ResultKind::Successful => {
                return Ok(Look::Ended(result));
            }
            (status, Some((_, result))) => {
                // The hash may be gone before the stream; what the entry says still counts.
                let status = status.unwrap_or(Status::Failed);
                return Err(Error::JobFailed {
                    job_id: job_id(),
                    status,
                    text: result.failure_text.unwrap_or_default(),
                });
            }
            (Some(status), None) if status.is_terminal() => {
                return Err(Error::ResultGone { job_id: job_id() });
            }
            (None, None) => return Err(Error::NoSuchJob { job_id: job_id() }),
            (Some(_), None) => {}
        }
        let left = self.left();
        // `BLOCK 0` would be for ever.
        if left < Duration::from_millis(1) {
            return Err(self.not_ended());
        }
        Ok(Look::Pause(left.min(READ_LONGEST)))
    }
}

/// The value of a successful run.
pub(super) fn value_of<T: DeserializeOwned>(result: JobResult) -> Result<T, Error> {
    let value = match result.return_value {
        Some(bytes) => Codec::detect_value(&bytes).decode_value(&bytes)?,
        None => Value::Null,
    };
    Ok(value.deserialize_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: ResultKind) -> Option<(String, JobResult)> {
        Some(("5-0".to_owned(), JobResult::new(kind)))
    }

    #[test]
    fn a_wait_ends_as_the_job_did() {
        use ResultKind::{Failed, Successful};
        let look = |status, result| Wait::new("j", Duration::from_secs(9)).look(Latest { status, result });
        assert!(matches!(look(Some(Status::Finished), entry(Successful)), Ok(Look::Ended(_))));
        assert!(matches!(look(Some(Status::Failed), entry(Failed)), Err(Error::JobFailed { .. })));
        assert!(matches!(look(Some(Status::Canceled), None), Err(Error::JobFailed { .. })));
        assert!(matches!(look(Some(Status::Finished), None), Err(Error::ResultGone { .. })));
        assert!(matches!(look(None, None), Err(Error::NoSuchJob { .. })));
        assert!(matches!(look(Some(Status::Queued), None), Ok(Look::Pause(pause)) if pause <= READ_LONGEST));
    }

    #[test]
    fn an_earlier_runs_entry_does_not_end_the_wait_for_the_next() {
        let mut wait = Wait::new("j", Duration::from_secs(9));
        let latest = Latest { status: Some(Status::Queued), result: entry(ResultKind::Successful) };
        assert!(matches!(wait.look(latest), Ok(Look::Pause(_))));
        assert_eq!(wait.after, "5-0");
    }

    #[test]
    fn an_outage_is_borne_until_the_time_is_up() {
        let broken =
            || Error::from(redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        let mut wait = Wait::new("j", Duration::from_secs(9));
        assert!(wait.bear(broken()).is_ok_and(|pause| !pause.is_zero()));
        assert!(matches!(
            wait.bear(Error::NoSuchJob { job_id: "j".to_owned() }),
            Err(Error::NoSuchJob { .. })
        ));
        let mut wait = Wait::new("j", Duration::ZERO);
        assert!(matches!(wait.bear(broken()), Err(Error::NotEnded { status: None, .. })));
    }

    #[test]
    fn a_wait_is_bounded() {
        let mut wait = Wait::new("j", Duration::ZERO);
        let latest = Latest { status: Some(Status::Started), result: None };
        assert!(matches!(wait.look(latest), Err(Error::NotEnded { status: Some(Status::Started), .. })));
    }
}
