//! [`Job`]: the record of a job in Redis (docs/wire.md §3).

use std::borrow::Cow;
use std::time::Duration;

use rq_wire::{Codec, CodecError, Payload, Value, zlib};

use crate::callback::{self, Callback, CallbackKind};
use crate::fields::{FieldError, Fields};
use crate::on_crash::OnCrash;
use crate::status::Status;
use crate::time::Timestamp;
use crate::ttl::Ttl;

mod lists;

pub(crate) use lists::json_numbers;
use lists::{json_strings, take_ids, take_intervals};

/// RQ's default time limit (docs/wire.md §3.3).
pub const TIMEOUT_DEFAULT: Timeout = Timeout::Seconds(180);

/// How long a job may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// As long as it likes (`-1`).
    Infinite,
    /// This many seconds.
    Seconds(u64),
}

impl Timeout {
    /// The number in the job hash.
    pub fn to_wire(self) -> i64 {
        match self {
            Timeout::Infinite => -1,
            Timeout::Seconds(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX),
        }
    }

    /// Reads the number in the job hash: negative is infinite, `0` is the default (docs/wire.md §21-9).
    pub fn from_wire(seconds: i64) -> Timeout {
        match u64::try_from(seconds) {
            Ok(0) => TIMEOUT_DEFAULT,
            Ok(seconds) => Timeout::Seconds(seconds),
            Err(_) => Timeout::Infinite,
        }
    }

    /// The limit, or `None` where there is none.
    pub fn limit(self) -> Option<Duration> {
        match self {
            Timeout::Infinite => None,
            Timeout::Seconds(seconds) => Some(Duration::from_secs(seconds)),
        }
    }
}

/// The record of a job in Redis, untyped: for code that inspects or runs jobs.
///
/// All fields of docs/wire.md §3 by their names there. Fields we do not know are kept in `other`, so that reading and
/// writing loses nothing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are those of docs/wire.md §3, named as there")]
pub struct Job {
    pub id: String,
    /// The deflated call, see [`Job::payload`].
    pub data: Vec<u8>,
    pub status: Status,
    pub created_at: Timestamp,
    /// The queue it belongs to.
    pub origin: String,
    pub description: Option<String>,
    pub timeout: Option<Timeout>,
    pub enqueued_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub last_heartbeat: Option<Timestamp>,
    pub worker_name: Option<String>,
    /// What Python can import, and `failure_callback` and `stopped_callback` as well. See [`Job::callbacks`].
    pub success_callback: Option<Callback>,
    pub failure_callback: Option<Callback>,
    pub stopped_callback: Option<Callback>,
    /// `None` where the field is missing, as before RQ 2.0; empty where the job is in no group.
    pub group_id: Option<String>,
    pub result_ttl: Option<Ttl>,
    pub failure_ttl: Option<Ttl>,
    /// Seconds the job may wait in a queue.
    pub ttl_s: Option<i64>,
    pub retries_left: Option<i64>,
    /// Seconds before each retry.
    pub retry_intervals_s: Option<Vec<u64>>,
    pub enqueue_at_front_on_retry: Option<bool>,
    pub number_of_retries: Option<i64>,
    pub repeats_left: Option<i64>,
    /// Seconds before each repetition.
    pub repeat_intervals_s: Option<Vec<u64>>,
    pub dependency_ids: Option<Vec<String>>,
    /// RQ's legacy mirror of the first dependency.
    pub dependency_id: Option<String>,
    pub allow_dependency_failures: Option<bool>,
    pub enqueue_at_front: Option<bool>,
    /// Serialized, see [`Job::meta`].
    pub meta: Option<Vec<u8>>,
    /// JSON as it is; malformed JSON is RQ's to warn about, not a reason to lose the job.
    pub webhooks: Option<Vec<u8>>,
    pub rate_limit_key: Option<String>,
    pub rate_limit_concurrency: Option<i64>,
    /// Legacy, never authoritative: see the results stream.
    pub result: Option<Vec<u8>>,
    /// Legacy, deflated text: see the results stream.
    pub exc_info: Option<Vec<u8>>,
    /// A field of this project: what becomes of the job when its worker, or process, dies.
    pub on_crash: Option<OnCrash>,
    /// A field of this project: how often what ran the job has died.
    pub crashes: Option<i64>,
    /// A field of this project: the group for whose end the job waits, or has waited.
    pub after_group: Option<String>,
    /// A field of this project, and `on_failure` and `on_stopped` as well: the callback that a Rust program has.
    pub on_success: Option<Callback>,
    pub on_failure: Option<Callback>,
    pub on_stopped: Option<Callback>,
    /// Whatever else the hash holds.
    pub other: Fields,
}

impl Job {
    /// A job that was never saved.
    pub fn new(id: impl Into<String>, origin: impl Into<String>, data: Vec<u8>) -> Job {
        Job {
            id: id.into(),
            data,
            status: Status::Created,
            created_at: Timestamp::now(),
            origin: origin.into(),
            description: None,
            timeout: None,
            enqueued_at: None,
            started_at: None,
            ended_at: None,
            last_heartbeat: None,
            worker_name: None,
            success_callback: None,
            failure_callback: None,
            stopped_callback: None,
            group_id: Some(String::new()),
            result_ttl: None,
            failure_ttl: None,
            ttl_s: None,
            retries_left: None,
            retry_intervals_s: None,
            enqueue_at_front_on_retry: None,
            number_of_retries: None,
            repeats_left: None,
            repeat_intervals_s: None,
            dependency_ids: None,
            dependency_id: None,
            allow_dependency_failures: None,
            enqueue_at_front: None,
            meta: None,
            webhooks: None,
            rate_limit_key: None,
            rate_limit_concurrency: None,
            result: None,
            exc_info: None,
            on_crash: None,
            crashes: None,
            after_group: None,
            on_success: None,
            on_failure: None,
            on_stopped: None,
            other: Fields::default(),
        }
    }

    /// Reads a job hash. The error names the first field that cannot be read.
    ///
    /// A missing or empty status is `created`, a missing `created_at` is now, as in RQ.
    pub fn from_fields(id: impl Into<String>, mut fields: Fields) -> Result<Job, FieldError> {
        let f = &mut fields;
        // A hash without `data` is no job but what a write to a deleted one has left (docs/wire.md §21-2).
        let data = f.take("data").ok_or_else(|| FieldError::new("data", "is missing"))?;
        Ok(Job {
            id: id.into(),
            data,
            status: take_status(f)?,
            created_at: f.take_time("created_at")?.unwrap_or_else(Timestamp::now),
            origin: f.take_text("origin")?.unwrap_or_default(),
            description: f.take_text("description")?,
            timeout: f.take_int("timeout")?.map(Timeout::from_wire),
            enqueued_at: f.take_time("enqueued_at")?,
            started_at: f.take_time("started_at")?,
            ended_at: f.take_time("ended_at")?,
            last_heartbeat: f.take_time("last_heartbeat")?,
            worker_name: f.take_text("worker_name")?,
            success_callback: callback::take_python(f, CallbackKind::Success)?,
            failure_callback: callback::take_python(f, CallbackKind::Failure)?,
            stopped_callback: callback::take_python(f, CallbackKind::Stopped)?,
            // `take_text` takes empty for missing, and the hash would not come back as it was.
            group_id: match f.get("group_id") {
                Some(_) => Some(f.take_text("group_id")?.unwrap_or_default()),
                None => None,
            },
            result_ttl: f.take_int("result_ttl")?.map(Ttl::from_wire),
            failure_ttl: f.take_int("failure_ttl")?.map(Ttl::from_wire),
            ttl_s: f.take_int("ttl")?,
            retries_left: f.take_int("retries_left")?,
            retry_intervals_s: take_intervals(f, "retry_intervals")?,
            enqueue_at_front_on_retry: f.take_flag("enqueue_at_front_on_retry")?,
            number_of_retries: f.take_int("number_of_retries")?,
            repeats_left: f.take_int("repeats_left")?,
            repeat_intervals_s: take_intervals(f, "repeat_intervals")?,
            dependency_ids: take_ids(f, "dependency_ids")?,
            dependency_id: f.take_text("dependency_id")?,
            allow_dependency_failures: f.take_flag("allow_dependency_failures")?,
            // One of the few that RQ does not take for absent where they are empty (docs/wire.md §3).
            enqueue_at_front: f.take_present_int("enqueue_at_front")?.map(|number| number != 0),
            meta: f.take("meta"),
            webhooks: f.take("webhooks"),
            rate_limit_key: f.take_text("rate_limit_key")?,
            rate_limit_concurrency: f.take_int("rate_limit_concurrency")?,
            result: f.take("result"),
            exc_info: f.take("exc_info"),
            on_crash: f.take_text("on_crash")?.as_deref().and_then(OnCrash::parse),
            crashes: f.take_int("crashes")?,
            after_group: f.take_text("after_group")?,
            on_success: callback::take_own(f, CallbackKind::Success),
            on_failure: callback::take_own(f, CallbackKind::Failure),
            on_stopped: callback::take_own(f, CallbackKind::Stopped),
            other: fields,
        })
    }

    /// The whole hash. Read back, it is this job again.
    pub fn to_fields(&self) -> Fields {
        let mut f = self.fields_beside_data();
        f.set("data", self.data.as_slice());
        f
    }

    /// The hash without `data`, which may be large and is then passed on by reference.
    pub fn fields_beside_data(&self) -> Fields {
        let mut f = self.other.clone();
        f.set("status", self.status.as_str());
        f.set("created_at", self.created_at.to_string());
        f.set("origin", self.origin.as_str());
        f.set_some("description", self.description.as_deref());
        f.set_some("timeout", self.timeout.map(Timeout::to_wire));
        f.set_some("enqueued_at", self.enqueued_at);
        // Fields that RQ always writes, empty where unset (docs/wire.md §3).
        f.set_or_empty("started_at", self.started_at);
        f.set_or_empty("ended_at", self.ended_at);
        f.set_or_empty("last_heartbeat", self.last_heartbeat);
        f.set_or_empty("worker_name", self.worker_name.as_deref());
        callback::set_python(&mut f, CallbackKind::Success, self.success_callback.as_ref());
        callback::set_python(&mut f, CallbackKind::Failure, self.failure_callback.as_ref());
        callback::set_python(&mut f, CallbackKind::Stopped, self.stopped_callback.as_ref());
        f.set_some("group_id", self.group_id.as_deref());
        f.set_some("result_ttl", self.result_ttl.map(Ttl::to_wire));
        f.set_some("failure_ttl", self.failure_ttl.map(Ttl::to_wire));
        f.set_some("ttl", self.ttl_s);
        f.set_some("retries_left", self.retries_left);
        f.set_some("retry_intervals", self.retry_intervals_s.as_deref().map(json_numbers));
        f.set_flag("enqueue_at_front_on_retry", self.enqueue_at_front_on_retry);
        f.set_some("number_of_retries", self.number_of_retries);
        f.set_some("repeats_left", self.repeats_left);
        f.set_some("repeat_intervals", self.repeat_intervals_s.as_deref().map(json_numbers));
        f.set_some("dependency_ids", self.dependency_ids.as_deref().map(json_strings));
        f.set_some("dependency_id", self.dependency_id.as_deref());
        f.set_flag("allow_dependency_failures", self.allow_dependency_failures);
        f.set_flag("enqueue_at_front", self.enqueue_at_front);
        set_bytes(&mut f, "meta", self.meta.as_deref());
        set_bytes(&mut f, "webhooks", self.webhooks.as_deref());
        f.set_some("rate_limit_key", self.rate_limit_key.as_deref());
        f.set_some("rate_limit_concurrency", self.rate_limit_concurrency);
        set_bytes(&mut f, "result", self.result.as_deref());
        set_bytes(&mut f, "exc_info", self.exc_info.as_deref());
        f.set_some("on_crash", self.on_crash.map(OnCrash::as_str));
        f.set_some("crashes", self.crashes);
        f.set_some("after_group", self.after_group.as_deref());
        callback::set_own(&mut f, CallbackKind::Success, self.on_success.as_ref());
        callback::set_own(&mut f, CallbackKind::Failure, self.on_failure.as_ref());
        callback::set_own(&mut f, CallbackKind::Stopped, self.on_stopped.as_ref());
        f
    }

    /// How long the job may run; RQ's 180 s where the hash does not say.
    pub fn limit(&self) -> Option<Duration> {
        self.timeout.unwrap_or(TIMEOUT_DEFAULT).limit()
    }

    /// The rate limit it is under: its key, and how many such jobs may be queued or run at once.
    ///
    /// None where either is missing or nothing, as in RQ.
    pub fn rate_limit(&self) -> Option<(&str, i64)> {
        let slots = self.rate_limit_concurrency.filter(|slots| *slots != 0)?;
        Some((self.rate_limit_key.as_deref().filter(|key| !key.is_empty())?, slots))
    }

    /// The group it is in. None where the field is missing or empty.
    pub fn group(&self) -> Option<&str> {
        self.group_id.as_deref().filter(|name| !name.is_empty())
    }

    /// The serialized call, inflated to at most [`Codec::MAX_PAYLOAD_BYTES`].
    pub fn inflated(&self) -> Result<Cow<'_, [u8]>, CodecError> {
        zlib::inflate(&self.data, Codec::MAX_PAYLOAD_BYTES)
    }

    /// What to run, and the codec that says so. Results and meta must be written in the same one.
    pub fn payload(&self) -> Result<(Codec, Payload), CodecError> {
        let inflated = self.inflated()?;
        // Nothing on the wire names the codec; the first bytes of the call tell (docs/wire.md §4.2).
        let codec = Codec::detect(&inflated)?;
        Ok((codec, codec.decode_payload(&inflated)?))
    }

    /// The meta of the job: a dict, empty where there is none.
    ///
    /// [`Job::meta_or_raw`] reads any.
    pub fn meta(&self) -> Result<Value, CodecError> {
        match self.meta.as_deref().filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => Codec::detect_value(bytes).decode_value(bytes),
            None => Ok(Value::Dict(Vec::new())),
        }
    }

    /// The same, and `{'unserialized': bytes}` of what cannot be decoded, as RQ has it: no reason to lose a job.
    pub fn meta_or_raw(&self) -> Value {
        let raw = || Value::Bytes(self.meta.clone().unwrap_or_default());
        self.meta().unwrap_or_else(|_| Value::Dict(vec![("unserialized".into(), raw())]))
    }

    /// The call as text, or the id where the hash has none.
    pub fn described(&self) -> &str {
        self.description.as_deref().unwrap_or(&self.id)
    }

    /// What may be called at an end of this kind, ours before RQ's: the first whose name a program knows is called, one at
    /// most.
    pub fn callbacks(&self, kind: CallbackKind) -> impl Iterator<Item = &Callback> {
        let (ours, of_python) = match kind {
            CallbackKind::Success => (&self.on_success, &self.success_callback),
            CallbackKind::Failure => (&self.on_failure, &self.failure_callback),
            CallbackKind::Stopped => (&self.on_stopped, &self.stopped_callback),
        };
        [ours, of_python].into_iter().flatten()
    }

    /// Sets what to call at an end of this kind: a Rust program's beside Python's, and instead of one of its own.
    pub fn set_callback(&mut self, kind: CallbackKind, callback: Callback) {
        let field = match (kind, callback.is_python()) {
            (CallbackKind::Success, false) => &mut self.on_success,
            (CallbackKind::Failure, false) => &mut self.on_failure,
            (CallbackKind::Stopped, false) => &mut self.on_stopped,
            (CallbackKind::Success, true) => &mut self.success_callback,
            (CallbackKind::Failure, true) => &mut self.failure_callback,
            (CallbackKind::Stopped, true) => &mut self.stopped_callback,
        };
        *field = Some(callback);
    }

    /// Whether something is to be sent when it has ended (docs/wire.md §13).
    pub fn has_webhooks(&self) -> bool {
        self.webhooks.as_ref().is_some_and(|webhooks| !matches!(webhooks.trim_ascii(), b"" | b"[]" | b"null"))
    }
}

fn take_status(f: &mut Fields) -> Result<Status, FieldError> {
    match f.take_text("status")? {
        Some(text) => Status::parse(&text).ok_or_else(|| {
            FieldError::new("status", format_args!("{:?} is no status of RQ", shortened(&text)))
        }),
        None => Ok(Status::Created),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    text.chars().take(SHOWN_CHARS).collect()
}

fn set_bytes(f: &mut Fields, field: &str, bytes: Option<&[u8]>) {
    if let Some(bytes) = bytes {
        f.set(field, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an "always" field is when unset, beside `data` and `origin`.
    fn minimal() -> Fields {
        Fields::from_iter([("data", "x"), ("origin", "default"), ("description", "f()")])
    }

    #[test]
    fn rqs_verified_minimum_is_read() {
        let job = Job::from_fields("j", minimal()).unwrap();
        assert_eq!(job.status, Status::Created);
        assert_eq!(job.limit(), Some(Duration::from_secs(180)));
        assert_eq!(job.described(), "f()");
    }

    #[test]
    fn unknown_fields_are_preserved() {
        let mut fields = minimal();
        fields.set("x-private", vec![0xff, 0]);
        let job = Job::from_fields("j", fields).unwrap();
        assert_eq!(job.to_fields().get("x-private"), Some(&[0xff, 0][..]));
    }

    #[test]
    fn each_bad_field_is_named() {
        for (field, value) in [
            ("created_at", "garbage"),
            ("created_at", "2026-11-22T01:48:39.413834"),
            ("status", "dreaming"),
            ("timeout", "abc"),
            ("timeout", "1e309"),
            ("timeout", "1h"),
            ("retries_left", "x"),
            ("retry_intervals", "{"),
            ("retry_intervals", "[NaN]"),
            ("retry_intervals", "[\"5\"]"),
            ("repeat_intervals", "{\"a\": 1}"),
            ("dependency_ids", "{"),
            ("dependency_ids", "[1]"),
            ("result_ttl", "x"),
            ("enqueue_at_front", ""),
            ("failure_callback_timeout", ""),
        ] {
            let mut fields = minimal();
            fields.set(field, value);
            let error = Job::from_fields("j", fields).unwrap_err();
            assert_eq!(error.field, field, "{value:?}");
        }
        let error = Job::from_fields("j", Fields::from_iter([("origin", "q")])).unwrap_err();
        assert_eq!(error.to_string(), "field `data`: is missing");
    }

    #[test]
    fn timeouts_of_the_wire() {
        for (number, limit_s) in [(-1, None), (0, Some(180)), (7, Some(7))] {
            assert_eq!(Timeout::from_wire(number).limit(), limit_s.map(Duration::from_secs));
        }
    }
}
