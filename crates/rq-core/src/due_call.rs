//! [`DueCall`]: one callback to be called, as it waits in Redis.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rq_wire::{Codec, CodecError, Value, ValueError};
use serde::{Deserialize, Serialize};

use crate::callback::{Callback, CallbackKind};
use crate::conclusion::{Conclusion, Settled};
use crate::end::{End, EndFailure, EndValue};
use crate::failure::{Failure, shortened};
use crate::job::Job;
use crate::steps::outbox::{OutBox, Post};

/// The longest that a callback may take which is called by a worker of its own accord.
pub const DUE_CALL_LIMIT_MAX: Duration = Duration::from_secs(3600);

/// The most bytes of a value, of a description, and of a name that wait with a call. One without its value would be none,
/// so that of a larger one nothing is called.
const VALUE_BYTES_MAX: usize = 1 << 20;
const DESCRIPTION_BYTES_MAX: usize = 8 << 10;
const NAME_BYTES_MAX: usize = 8 << 10;

/// One callback to be called, with all that is known of it should the job be gone by then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueCall {
    /// At which end.
    pub kind: CallbackKind,
    /// The callback's name.
    pub name: String,
    /// How long it may take; an hour at most.
    pub limit: Duration,
    /// The job that has ended.
    pub job_id: String,
    /// The queue that the job belongs to.
    pub origin: String,
    /// What people read of the job.
    pub description: Option<String>,
    /// How it ended.
    pub end: End,
}

/// What the end of an execution calls for, beside the callbacks that were called where the job ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallsFor<'a> {
    /// Nothing.
    Nothing,
    /// That a callback is called which the program has.
    Call(DueCall),
    /// A callback that the program does not have. A call is due where another Rust program may have it.
    Unknown(&'a Callback, Option<DueCall>),
}

impl DueCall {
    /// What is called for by the end of an execution of `job`, whose outcome is `failure` or a value, and which is concluded
    /// so. `has_called`: a failure callback has begun where the job ran. `is_known` says which callbacks the program has.
    pub fn of<'a>(
        job: &'a Job,
        failure: Option<&Failure>,
        has_called: bool,
        conclusion: &Conclusion,
        is_known: impl Fn(&str) -> bool,
    ) -> CallsFor<'a> {
        let Some(kind) = kind(failure, conclusion).filter(|_| !has_called) else { return CallsFor::Nothing };
        let known = job.callbacks(kind).find(|callback| is_known(&callback.name));
        match (known, job.callbacks(kind).next()) {
            // It was called where the job returned its value.
            (Some(_), _) if kind == CallbackKind::Success => CallsFor::Nothing,
            (Some(callback), _) => match due(job, kind, callback, failure, conclusion) {
                Some(call) => CallsFor::Call(call),
                None => CallsFor::Unknown(callback, None),
            },
            (None, None) => CallsFor::Nothing,
            // What is Python's no worker of ours will ever have.
            (None, Some(callback)) if callback.is_python() => CallsFor::Unknown(callback, None),
            (None, Some(callback)) => {
                CallsFor::Unknown(callback, due(job, kind, callback, failure, conclusion))
            }
        }
    }

    /// The entry of the outbox that has it called.
    pub fn post(&self) -> Post {
        Post { to: OutBox::Callbacks(self.name.clone()), body: self.to_json() }
    }

    /// What is known of the job, where its record is gone.
    pub fn job(&self) -> Job {
        let mut job = Job::new(&*self.job_id, &*self.origin, Vec::new());
        job.description.clone_from(&self.description);
        job
    }

    fn to_json(&self) -> String {
        let kept = Kept {
            kind: self.kind.as_str().to_owned(),
            name: self.name.clone(),
            limit_s: self.limit.as_secs(),
            job_id: self.job_id.clone(),
            origin: self.origin.clone(),
            description: self.description.clone(),
            end: KeptEnd::from(&self.end),
        };
        match Value::from_serialize(&kept).map(|value| Codec::Json.encode_value(&value)) {
            Ok(Ok(json)) => String::from_utf8_lossy(&json).into_owned(),
            other => unreachable!("texts and a number are always JSON: {other:?}"),
        }
    }

    /// Reads the body of such an entry, of this version or a later one.
    pub fn from_json(json: &str) -> Result<DueCall, DueCallError> {
        let kept: Kept = Codec::Json.decode_value(json.as_bytes())?.deserialize_into()?;
        Ok(DueCall {
            kind: CallbackKind::parse(&kept.kind).ok_or(DueCallError::Kind)?,
            name: kept.name,
            limit: Duration::from_secs(kept.limit_s),
            job_id: kept.job_id,
            origin: kept.origin,
            description: kept.description,
            end: kept.end.try_into()?,
        })
    }
}

/// Which callback an end calls for.
fn kind(failure: Option<&Failure>, conclusion: &Conclusion) -> Option<CallbackKind> {
    match (failure, &conclusion.settled) {
        (None, _) => Some(CallbackKind::Success),
        // Neither a value nor a failure, in RQ too.
        (Some(Failure::Retry(_)), _) => None,
        (Some(_), Settled::Stopped(_)) => Some(CallbackKind::Stopped),
        // It was cut off, and is given back because it bears that: no attempt of the job has failed.
        (Some(_), Settled::Again(_)) if conclusion.is_given_back() => None,
        (Some(_), _) => Some(CallbackKind::Failure),
    }
}

/// The call, unless it is too large to wait in Redis.
fn due(
    job: &Job,
    kind: CallbackKind,
    callback: &Callback,
    failure: Option<&Failure>,
    conclusion: &Conclusion,
) -> Option<DueCall> {
    let end = match (failure, &conclusion.settled) {
        (None, Settled::Finished(value)) => {
            // By its own bytes: to read the job's codec off its payload would inflate that.
            let codec = value.as_deref().map(Codec::detect_value).unwrap_or_default();
            End::Finished(EndValue::new(codec, value.clone()))
        }
        // As it is stored: a job that has killed too many processes is called poisoned there.
        (Some(failure), Settled::Failed(text) | Settled::Again(Some(text))) => {
            End::Failed(EndFailure::new(failure.kind(), text.as_str()))
        }
        (Some(failure), _) if kind == CallbackKind::Failure => End::Failed(failure.into()),
        _ => End::Stopped,
    };
    let value_bytes = match &end {
        End::Finished(value) => value.bytes().map_or(0, <[u8]>::len),
        _ => 0,
    };
    let names = [&callback.name, &job.id, &job.origin];
    if value_bytes > VALUE_BYTES_MAX || names.into_iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return None;
    }
    Some(DueCall {
        kind,
        name: callback.name.clone(),
        limit: callback.limit().map_or(DUE_CALL_LIMIT_MAX, |limit| limit.min(DUE_CALL_LIMIT_MAX)),
        job_id: job.id.clone(),
        origin: job.origin.clone(),
        description: job.description.clone().map(|text| shortened(text, DESCRIPTION_BYTES_MAX)),
        end,
    })
}

/// Why the body of an entry is no call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DueCallError {
    /// It is no JSON.
    #[error("a call of a callback cannot be read: {0}")]
    Json(#[from] CodecError),
    /// It is something else in JSON.
    #[error("a call of a callback cannot be read: {0}")]
    Shape(#[from] ValueError),
    /// It names a kind of end that this version does not know.
    #[error("a call of a callback is of an unknown kind")]
    Kind,
    /// The value is not in base64, or in a codec that this version does not know.
    #[error("the value for a callback cannot be read")]
    Value,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: String,
    name: String,
    limit_s: u64,
    job_id: String,
    origin: String,
    description: Option<String>,
    end: KeptEnd,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptEnd {
    /// The codec, and the value in it, in base64.
    Finished(String, Option<String>),
    /// Kind and text.
    Failed(String, String),
    Stopped,
}

impl From<&End> for KeptEnd {
    fn from(end: &End) -> KeptEnd {
        match end {
            End::Finished(value) => KeptEnd::Finished(
                value.codec().name().to_owned(),
                value.bytes().map(|bytes| BASE64.encode(bytes)),
            ),
            End::Failed(failure) => KeptEnd::Failed(failure.kind().to_owned(), failure.text().to_owned()),
            End::Stopped => KeptEnd::Stopped,
        }
    }
}

impl TryFrom<KeptEnd> for End {
    type Error = DueCallError;

    fn try_from(kept: KeptEnd) -> Result<End, DueCallError> {
        Ok(match kept {
            KeptEnd::Finished(codec, value) => {
                let codec = codec.parse().map_err(|_| DueCallError::Value)?;
                let value = value.map(|text| BASE64.decode(text)).transpose();
                End::Finished(EndValue::new(codec, value.map_err(|_| DueCallError::Value)?))
            }
            KeptEnd::Failed(kind, text) => End::Failed(EndFailure::new(kind, text)),
            KeptEnd::Stopped => End::Stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on_crash::OnCrash;
    use crate::time::Timestamp;
    use crate::ttl::Ttl;

    fn job() -> Job {
        let mut job = Job::new("j", "q", Vec::new());
        job.description = Some("f()".to_owned());
        job.on_success = Some(Callback::to("done"));
        job.on_failure = Some(Callback::to("page"));
        job.failure_callback = Some(Callback::python("ops.page"));
        job.stopped_callback = Some(Callback::python("ops.stopped"));
        job
    }

    fn concluded(job: &Job, outcome: Result<Option<Vec<u8>>, &Failure>) -> Conclusion {
        Conclusion::of(job, outcome, Timestamp::now(), Ttl::RESULT_DEFAULT)
    }

    fn called<'a>(job: &'a Job, failure: &Failure, has_called: bool, known: &[&str]) -> CallsFor<'a> {
        let conclusion = concluded(job, Err(failure));
        DueCall::of(job, Some(failure), has_called, &conclusion, |name| known.contains(&name))
    }

    fn name(calls: &CallsFor<'_>) -> Option<String> {
        match calls {
            CallsFor::Call(call) => Some(call.name.clone()),
            _ => None,
        }
    }

    #[test]
    fn a_failure_that_was_not_told_where_the_job_ran_calls_the_first_callback_that_is_known() {
        let (job, failure) = (job(), Failure::Lost("x".to_owned()));
        assert_eq!(name(&called(&job, &failure, false, &["page", "ops.page"])).as_deref(), Some("page"));
        assert_eq!(name(&called(&job, &failure, false, &["ops.page"])).as_deref(), Some("ops.page"));
        assert_eq!(called(&job, &failure, true, &["page"]), CallsFor::Nothing);
        let CallsFor::Unknown(callback, Some(call)) = called(&job, &failure, false, &[]) else { panic!() };
        assert_eq!((callback.name.as_str(), call.name.as_str()), ("page", "page"));
    }

    #[test]
    fn a_stop_calls_its_own_callback_and_pythons_waits_for_nobody() {
        let job = job();
        let stopped = called(&job, &Failure::Stopped, false, &["ops.stopped"]);
        assert!(matches!(&stopped, CallsFor::Call(call) if call.end == End::Stopped), "{stopped:?}");
        assert!(matches!(called(&job, &Failure::Stopped, false, &[]), CallsFor::Unknown(_, None)));
    }

    #[test]
    fn a_value_calls_only_for_what_the_program_lacks() {
        let job = job();
        let conclusion = concluded(&job, Ok(None));
        assert_eq!(DueCall::of(&job, None, false, &conclusion, |_| true), CallsFor::Nothing);
        let CallsFor::Unknown(_, Some(call)) = DueCall::of(&job, None, false, &conclusion, |_| false) else {
            panic!()
        };
        assert!(matches!(call.end, End::Finished(_)));
    }

    #[test]
    fn what_is_given_back_has_not_failed() {
        let mut job = job();
        job.on_crash = Some(OnCrash::Requeue);
        let failure = Failure::ShutDown;
        let conclusion = Conclusion::of_shut_down(&job, failure.text(), Timestamp::now(), OnCrash::Fail);
        assert_eq!(DueCall::of(&job, Some(&failure), false, &conclusion, |_| true), CallsFor::Nothing);
        job.retries_left = Some(1);
        let conclusion = Conclusion::of_shut_down(&job, failure.text(), Timestamp::now(), OnCrash::Fail);
        assert!(matches!(DueCall::of(&job, Some(&failure), false, &conclusion, |_| true), CallsFor::Call(_)));
    }

    #[test]
    fn what_is_too_large_to_wait_is_not_called() {
        let check = |change: fn(&mut Job), value: Option<Vec<u8>>, waits| {
            let mut job = job();
            change(&mut job);
            let conclusion = concluded(&job, Ok(value));
            let calls = DueCall::of(&job, None, false, &conclusion, |_| false);
            assert!(matches!(&calls, CallsFor::Unknown(_, call) if call.is_some() == waits));
            if let CallsFor::Unknown(_, Some(call)) = calls {
                assert!(call.post().body.len() <= crate::steps::outbox::POST_BYTES_MAX);
            }
        };
        check(|_| {}, Some(vec![b'"'; VALUE_BYTES_MAX]), true);
        check(|_| {}, Some(vec![b'"'; VALUE_BYTES_MAX + 1]), false);
        check(|job| job.description = Some("\u{1}".repeat(70 << 20)), None, true);
        check(|job| job.on_success = Some(Callback::to("x".repeat(NAME_BYTES_MAX + 1))), None, false);
        check(|job| job.id = "x".repeat(NAME_BYTES_MAX + 1), None, false);
    }

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let ends = [
            End::Finished(EndValue::new(Codec::Pickle, Some(vec![0x80, 0xff]))),
            End::Finished(EndValue::new(Codec::Json, None)),
            End::Failed(EndFailure::new("Error", "Error: boom \u{1f4a5}")),
            End::Stopped,
        ];
        for end in ends {
            let job = job();
            let failure = Failure::Stopped;
            let CallsFor::Call(mut call) = called(&job, &failure, false, &["ops.stopped"]) else { panic!() };
            call.end = end;
            assert_eq!(DueCall::from_json(&call.to_json()).unwrap(), call);
        }
        assert!(DueCall::from_json("{}").is_err());
    }
}
