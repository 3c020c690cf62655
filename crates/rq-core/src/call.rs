//! [`Call`]: what to run, with which arguments and options.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use rq_wire::{Codec, CodecError, Payload, Value, ValueError, zlib};
use serde::Serialize;

use crate::callback::{Callback, CallbackKind};
use crate::dependency::{DEPENDENCIES_MAX, Dependency};
use crate::error::Error;
use crate::job::{Job, TIMEOUT_DEFAULT, Timeout};
use crate::keys::{check_function_name, check_job_id};
use crate::on_crash::OnCrash;
use crate::repeat::Repeat;
use crate::retry::Retry;
use crate::time::TimeSpan;
use crate::ttl::{Ttl, whole_seconds};
use crate::webhook::{self, Webhook};

mod limits;

use limits::{Pace, RateLimit, Uniqueness};

/// What to run, with which arguments and options; yields a `T`.
///
/// `math::add::call(2, 3)` makes one for a function marked `#[job]`. [`Call::to`] makes one by name, for a worker of
/// any language. Options are methods, so typing a dot lists them.
///
/// ```
/// use rq_core::{secs, Call};
/// let call = Call::<f64>::to("reports.monthly").arg(2026).kwarg("currency", "EUR").timeout(secs(30));
/// assert_eq!(call.to_string(), "reports.monthly(2026, currency='EUR')");
/// ```
#[must_use = "a call does nothing until it is enqueued"]
#[derive(Debug)]
pub struct Call<T> {
    payload: Payload,
    options: Options,
    /// The first argument that could not be turned into a value; enqueueing the call fails with this.
    broken: Option<ValueError>,
    yields: PhantomData<fn() -> T>,
}

#[derive(Clone, Debug, Default)]
struct Options {
    job_id: Option<String>,
    description: Option<String>,
    timeout: Option<Timeout>,
    result_ttl: Option<Ttl>,
    failure_ttl: Option<Ttl>,
    ttl: Option<Duration>,
    retry: Option<Retry>,
    repeat: Option<Repeat>,
    dependency: Option<Dependency>,
    on_crash: Option<OnCrash>,
    callbacks: Vec<(CallbackKind, Callback)>,
    queue: Option<String>,
    at_front: bool,
    unique: Option<Uniqueness>,
    rate_limit: Option<RateLimit>,
    pace: Option<Pace>,
    codec: Option<Codec>,
    meta: Vec<(Value, Value)>,
    webhooks: Vec<Webhook>,
}

/// What a queue says of calls that do not say it themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) codec: Codec,
    pub(crate) timeout: Timeout,
}

impl Defaults {
    pub(crate) fn new(codec: Codec) -> Defaults {
        Defaults { codec, timeout: TIMEOUT_DEFAULT }
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Call<T> {
        Call {
            payload: self.payload.clone(),
            options: self.options.clone(),
            broken: self.broken.clone(),
            yields: PhantomData,
        }
    }
}

impl<T> Call<T> {
    /// A call of the function named `function`, without arguments yet. Enqueueing it fails with
    /// [`Error::Name`](crate::Error::Name) where that is no dotted path such as `tasks.add`.
    pub fn to(function: impl Into<String>) -> Call<T> {
        Call {
            payload: Payload { func: function.into(), args: Vec::new(), kwargs: Vec::new() },
            options: Options::default(),
            broken: None,
            yields: PhantomData,
        }
    }

    /// Adds a positional argument.
    pub fn arg(mut self, value: impl Serialize) -> Call<T> {
        if let Some(value) = self.convert(&value) {
            self.payload.args.push(value);
        }
        self
    }

    /// Adds a keyword argument; a second one of the same name replaces the first.
    pub fn kwarg(mut self, name: impl Into<String>, value: impl Serialize) -> Call<T> {
        if let Some(value) = self.convert(&value) {
            let name = name.into();
            self.payload.kwargs.retain(|(known, _)| *known != name);
            self.payload.kwargs.push((name, value));
        }
        self
    }

    /// Adds an argument as it is: for values that serde does not tell apart, such as dates and sets.
    pub fn value(mut self, value: Value) -> Call<T> {
        self.payload.args.push(value);
        self
    }

    /// Adds a keyword argument as it is.
    pub fn kwvalue(mut self, name: impl Into<String>, value: Value) -> Call<T> {
        self.payload.kwargs.push((name.into(), value));
        self
    }

    /// How long the job may run, in whole seconds; by default the queue's
    /// [`default_timeout`](crate::Queue::default_timeout), 180 s. See [`Call::no_timeout`] for no limit.
    pub fn timeout(mut self, limit: impl Into<TimeSpan>) -> Call<T> {
        self.options.timeout = Some(Timeout::Seconds(whole_seconds(limit.into().duration())));
        self
    }

    /// Lets the job run as long as it likes.
    pub fn no_timeout(mut self) -> Call<T> {
        self.options.timeout = Some(Timeout::Infinite);
        self
    }

    /// How long the result is kept: a [`Duration`] or [`Ttl::Forever`]; zero deletes the job as it finishes. The
    /// worker's default is 500 s.
    pub fn result_ttl(mut self, ttl: impl Into<Ttl>) -> Call<T> {
        self.options.result_ttl = Some(ttl.into());
        self
    }

    /// How long the job is kept if it fails; by default one year.
    pub fn failure_ttl(mut self, ttl: impl Into<Ttl>) -> Call<T> {
        self.options.failure_ttl = Some(ttl.into());
        self
    }

    /// How long the job may wait in the queue before it is discarded, in whole seconds; by default as long as it takes.
    pub fn ttl(mut self, ttl: impl Into<TimeSpan>) -> Call<T> {
        self.options.ttl = Some(ttl.into().duration());
        self
    }

    /// Runs the job again when it fails: a [`Retry`], or how often.
    pub fn retry(mut self, retry: impl Into<Retry>) -> Call<T> {
        self.options.retry = Some(retry.into());
        self
    }

    /// Runs the job again when it succeeds.
    pub fn repeat(mut self, repeat: Repeat) -> Call<T> {
        self.options.repeat = Some(repeat);
        self
    }

    /// Runs the job once others have finished: an id, a handle, a list of ids, or a [`Dependency`].
    ///
    /// A job that is scheduled does not wait for others, as in RQ.
    pub fn depends_on(mut self, dependency: impl Into<Dependency>) -> Call<T> {
        self.options.dependency = Some(dependency.into());
        self
    }

    /// What becomes of the job when its worker, or the process that runs it, dies while it runs; by default the option of
    /// the worker.
    pub fn on_crash(mut self, policy: OnCrash) -> Call<T> {
        self.options.on_crash = Some(policy);
        self
    }

    /// What to call when the job has returned a value, before that is stored: `page::callback()` of a function marked
    /// `#[callback]`, [`Callback::to`] one by name, or [`Callback::python`] one that Python imports. One of each is kept; a
    /// second one replaces the first. docs/callbacks.md says what they get and what their own failure does.
    pub fn on_success(self, callback: impl Into<Callback>) -> Call<T> {
        self.on_end(CallbackKind::Success, callback.into())
    }

    /// The same when an attempt of the job has failed, before that is stored, also where it is tried again.
    pub fn on_failure(self, callback: impl Into<Callback>) -> Call<T> {
        self.on_end(CallbackKind::Failure, callback.into())
    }

    /// The same when somebody has stopped the job.
    pub fn on_stopped(self, callback: impl Into<Callback>) -> Call<T> {
        self.on_end(CallbackKind::Stopped, callback.into())
    }

    fn on_end(mut self, kind: CallbackKind, callback: Callback) -> Call<T> {
        self.options.callbacks.push((kind, callback));
        self
    }

    /// Puts the job at the head of the queue.
    pub fn at_front(mut self) -> Call<T> {
        self.options.at_front = true;
        self
    }

    /// Puts the job at the tail of the queue, as is done anyway unless its declaration says otherwise.
    pub fn at_back(mut self) -> Call<T> {
        self.options.at_front = false;
        self
    }

    /// The queue that [`Queue::delay`](crate::Queue::delay) puts the job into: the one of its declaration,
    /// `#[job(.., queue = "..")]`, unless this says another. [`Queue::enqueue`](crate::Queue::enqueue) does not ask.
    pub fn queue(mut self, name: impl Into<String>) -> Call<T> {
        self.options.queue = Some(name.into());
        self
    }

    /// Writes the call, and its worker the result, in `codec`; by default in that of the queue.
    pub fn codec(mut self, codec: Codec) -> Call<T> {
        self.options.codec = Some(codec);
        self
    }

    /// The job's id: letters, digits, `_` and `-`; by default a fresh UUID.
    pub fn job_id(mut self, id: impl Into<String>) -> Call<T> {
        self.options.job_id = Some(id.into());
        self
    }

    /// What people read instead of the call itself.
    pub fn description(mut self, text: impl Into<String>) -> Call<T> {
        self.options.description = Some(text.into());
        self
    }

    /// Adds an entry to the job's meta, a dict that the job, its producer and dashboards share.
    pub fn meta(mut self, key: impl Into<String>, value: impl Serialize) -> Call<T> {
        if let Some(value) = self.convert(&value) {
            let key = Value::Str(key.into());
            self.options.meta.retain(|(known, _)| *known != key);
            self.options.meta.push((key, value));
        }
        self
    }

    /// Adds a request that is sent when the job has ended; 16 at most.
    pub fn webhook(mut self, webhook: Webhook) -> Call<T> {
        self.options.webhooks.push(webhook);
        self
    }

    /// The function's name.
    pub fn function(&self) -> &str {
        &self.payload.func
    }

    /// The id that was set with [`Call::job_id`].
    pub fn id(&self) -> Option<&str> {
        self.options.job_id.as_deref()
    }

    /// The queue that was declared, or set with [`Call::queue`].
    pub fn queue_name(&self) -> Option<&str> {
        self.options.queue.as_deref()
    }

    /// The positional arguments.
    pub fn args(&self) -> &[Value] {
        &self.payload.args
    }

    /// The keyword arguments.
    pub fn kwargs(&self) -> &[(String, Value)] {
        &self.payload.kwargs
    }

    /// The entry of the job's meta that was set with [`Call::meta`].
    pub fn meta_value(&self, key: &str) -> Option<&Value> {
        let is_key = |known: &Value| matches!(known, Value::Str(known) if known == key);
        self.options.meta.iter().find(|(known, _)| is_key(known)).map(|(_, value)| value)
    }

    /// Whether it says how long the job may run, or its declaration does: otherwise the queue's default counts.
    pub fn has_timeout(&self) -> bool {
        self.options.timeout.is_some()
    }

    /// Whether it says that the job runs again when it fails, or its declaration does.
    pub fn has_retry(&self) -> bool {
        self.options.retry.is_some()
    }

    /// The same call, whatever it yields.
    pub fn untyped(self) -> Call<()> {
        self.retyped()
    }

    pub(crate) fn retyped<U>(self) -> Call<U> {
        let Call { payload, options, broken, .. } = self;
        Call { payload, options, broken, yields: PhantomData }
    }

    /// The job this call becomes in `queue`, queued now, for whoever enqueues it in a step of its own; fails for one that
    /// is unique, or under a limit, which such a step does not heed.
    #[cfg(feature = "worker")]
    pub fn into_queued_job(self, queue: &str, codec: Codec) -> Result<Job, Error> {
        self.check_has_no_limit()?;
        let mut job = self.into_job(queue, Defaults::new(codec))?;
        job.status = crate::Status::Queued;
        job.enqueued_at = Some(crate::Timestamp::now());
        Ok(job)
    }

    /// Whether the job goes to the head of the queue.
    pub fn is_at_front(&self) -> bool {
        self.options.at_front
    }

    /// The job this call becomes in the queue `origin`, ready to be written; with the `defaults` of that where it has
    /// nothing of its own.
    pub(crate) fn into_job(self, origin: &str, defaults: Defaults) -> Result<Job, Error> {
        // Only now: the methods that add arguments give back the call, so that they can be chained.
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        let Call { payload, options, .. } = self;
        let codec = options.codec.unwrap_or(defaults.codec);
        let id = match options.job_id {
            Some(id) => {
                check_job_id(&id)?;
                id
            }
            None => uuid::Uuid::new_v4().to_string(),
        };
        check_function_name(&payload.func)?;
        let mut job = Job::new(id, origin, encode(&payload, codec)?);
        // Never left out: a Python worker on a terminal ends on a job without one (docs/wire.md §21-3).
        job.description = Some(options.description.unwrap_or_else(|| payload.description()));
        job.timeout = Some(checked_timeout(options.timeout.unwrap_or(defaults.timeout))?);
        job.result_ttl = options.result_ttl;
        job.failure_ttl = options.failure_ttl;
        job.ttl_s = checked_ttl(options.ttl)?;
        if let Some(retry) = options.retry {
            job.retries_left = Some(i64::from(retry.max()));
            job.retry_intervals_s = Some(retry.intervals().to_vec());
            // RQ writes this field only where it is true.
            job.enqueue_at_front_on_retry = retry.is_at_front().then_some(true);
        }
        if let Some(repeat) = options.repeat {
            job.repeats_left = Some(i64::from(repeat.count()));
            job.repeat_intervals_s = Some(repeat.intervals().to_vec());
        }
        if let Some(dependency) = options.dependency {
            set_dependency(&mut job, &dependency)?;
        }
        if let Some(rate_limit) = options.rate_limit {
            rate_limit.set(&mut job)?;
        }
        job.on_crash = options.on_crash;
        for (kind, callback) in options.callbacks {
            callback.check(kind)?;
            job.set_callback(kind, callback);
        }
        job.webhooks = webhook::to_field(&options.webhooks)?;
        if !options.meta.is_empty() {
            job.meta = Some(codec.encode_value(&Value::Dict(options.meta))?);
        }
        Ok(job)
    }

    fn convert(&mut self, value: &impl Serialize) -> Option<Value> {
        match Value::from_serialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.broken.get_or_insert(error);
                None
            }
        }
    }
}

impl<T> fmt::Display for Call<T> {
    /// The call as RQ describes it (docs/wire.md §4.5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.payload.description())
    }
}

/// The deflated payload. One that is too large is refused before a byte is sent.
fn encode(payload: &Payload, codec: Codec) -> Result<Vec<u8>, Error> {
    match codec.encode_payload(payload) {
        Ok(bytes) => Ok(zlib::deflate(&bytes)),
        Err(CodecError::TooLarge { limit_bytes }) => {
            Err(Error::PayloadTooLarge { function: payload.func.clone(), max_bytes: limit_bytes })
        }
        Err(error) => Err(error.into()),
    }
}

fn set_dependency(job: &mut Job, dependency: &Dependency) -> Result<(), Error> {
    if dependency.ids().len() > DEPENDENCIES_MAX {
        return Err(Error::Option {
            option: "depends_on",
            reason: "a job can wait for 10,000 others at most; let jobs in between wait for parts of them",
        });
    }
    // RQ has no field that says "none": a job with an empty list waits for nobody.
    if dependency.ids().is_empty() {
        return Ok(());
    }
    // Read by those alone that do not know the list (docs/wire.md §3).
    job.dependency_id = dependency.ids().first().cloned();
    job.dependency_ids = Some(dependency.ids().to_vec());
    job.allow_dependency_failures = dependency.allows_failure();
    job.enqueue_at_front = dependency.is_at_front();
    Ok(())
}

fn checked_timeout(timeout: Timeout) -> Result<Timeout, Error> {
    match timeout {
        Timeout::Seconds(0) => Err(Error::Option {
            option: "timeout",
            reason: "a job needs at least a second; use no_timeout() for no limit",
        }),
        timeout => Ok(timeout),
    }
}

fn checked_ttl(ttl: Option<Duration>) -> Result<Option<i64>, Error> {
    match ttl.map(whole_seconds) {
        Some(0) => Err(Error::Option {
            option: "ttl",
            reason: "a job needs at least a second; leave it out for no limit",
        }),
        Some(seconds) => Ok(Some(i64::try_from(seconds).unwrap_or(i64::MAX))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{days, secs};

    fn job(call: Call<()>) -> Result<Job, Error> {
        call.into_job("default", Defaults::new(Codec::Json))
    }

    #[test]
    fn options_become_fields() {
        let call = Call::<()>::to("f")
            .arg(1)
            .job_id("j1")
            .timeout(secs(7))
            .result_ttl(Ttl::Forever)
            .failure_ttl(days(1))
            .ttl(Duration::from_millis(1500))
            .retry(Retry::up_to(2).every(secs(5)).at_front())
            .description("d")
            .meta("k", "v");
        let fields = job(call).unwrap().to_fields();
        for (field, value) in [
            ("timeout", "7"),
            ("result_ttl", "-1"),
            ("failure_ttl", "86400"),
            ("ttl", "2"),
            ("retries_left", "2"),
            ("retry_intervals", "[5]"),
            ("enqueue_at_front_on_retry", "1"),
            ("description", "d"),
            ("meta", r#"{"k": "v"}"#),
            ("origin", "default"),
            ("group_id", ""),
            ("worker_name", ""),
        ] {
            assert_eq!(fields.get(field), Some(value.as_bytes()), "{field}");
        }
    }

    #[test]
    fn callbacks_become_fields_ours_beside_pythons() {
        let call = Call::<()>::to("f")
            .on_failure(Callback::to("alerts.first"))
            .on_failure(Callback::to("alerts.page").timeout(secs(5)))
            .on_failure(Callback::python("hooks.failed"))
            .on_success(Callback::to("reports.publish"));
        let made = job(call).unwrap();
        let fields = made.to_fields();
        let field = |name| fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(field("on_failure").as_deref(), Some("alerts.page"));
        assert_eq!(field("on_failure_timeout").as_deref(), Some("5"));
        assert_eq!(field("failure_callback_name").as_deref(), Some("hooks.failed"));
        assert_eq!(field("failure_callback_timeout").as_deref(), Some("60"), "as RQ writes it");
        // What Python would import is none of ours, and what is not set is not there.
        assert_eq!(field("success_callback_name").as_deref(), Some(""));
        for absent in ["success_callback_timeout", "on_success_timeout", "on_stopped", "on_stopped_timeout"] {
            assert_eq!(field(absent), None, "{absent}");
        }
        assert_eq!(Job::from_fields("j", fields.clone()).unwrap().to_fields(), fields);
        let names = |kind| made.callbacks(kind).map(|callback| callback.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(CallbackKind::Failure), ["alerts.page", "hooks.failed"]);
        assert_eq!(names(CallbackKind::Stopped), [""; 0]);
    }

    #[test]
    fn callbacks_that_nobody_could_call_are_refused() {
        let call = || Call::<()>::to("f");
        assert!(matches!(job(call().on_stopped(Callback::to("a b"))), Err(Error::Name(_))));
        assert!(matches!(job(call().on_success(Callback::python(""))), Err(Error::Name(_))));
        let none = Callback::to("f").timeout(Duration::ZERO);
        assert!(matches!(job(call().on_success(none)), Err(Error::Option { option: "on_success", .. })));
    }

    #[test]
    fn what_rq_refuses_is_refused() {
        let call = || Call::<()>::to("f");
        assert!(matches!(job(call().timeout(Duration::ZERO)), Err(Error::Option { option: "timeout", .. })));
        assert!(matches!(job(call().ttl(Duration::ZERO)), Err(Error::Option { option: "ttl", .. })));
        assert!(matches!(job(call().job_id("a b")), Err(Error::Name(_))));
        assert!(matches!(job(Call::to("not a function!")), Err(Error::Name(_))));
    }

    #[test]
    fn the_codec_of_a_call_has_precedence() {
        let codec =
            |call: Call<()>| call.into_job("q", Defaults::new(Codec::Pickle)).unwrap().payload().unwrap().0;
        assert_eq!(codec(Call::to("f")), Codec::Pickle);
        assert_eq!(codec(Call::to("f").codec(Codec::Json)), Codec::Json);
    }

    #[test]
    fn the_last_keyword_of_a_name_counts() {
        let call = Call::<()>::to("f").kwarg("a", 1).kwarg("a", 2);
        assert_eq!(call.to_string(), "f(a=2)");
    }
}
