//! [`Context`]: what a running job may ask.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rq_wire::{Codec, CodecError, Value};
use serde::Serialize;

use crate::block_on::BlockOnError;
use crate::current;
use crate::ender::Ender;
use crate::error::Error;
use crate::execution::ExecutionId;
use crate::extensions::Extensions;
use crate::failure::BoxError;
use crate::interrupt::{Interrupt, Interrupted};
use crate::job::Job;
use crate::keys::Keys;
use crate::link::BlockingLink;
use crate::states::{StateError, States};

/// Key of the job's meta under which [`Context::progress`] keeps how far it is, from 0 to 1.
pub const PROGRESS_KEY: &str = "progress";
/// Key of the job's meta under which [`Context::progress`] keeps what it is doing.
pub const PROGRESS_NOTE_KEY: &str = "progress_note";

/// What the executor and the worker do for a running job: sleep, connect to Redis, save its meta.
pub trait Host: Send + Sync {
    /// Sleeps without holding up other jobs, ending early when the job has to end.
    fn sleep(&self, interrupt: &Interrupt, duration: Duration) -> Result<(), Interrupted> {
        interrupt.sleep(duration)
    }

    /// A connection to the Redis that the job came from, made with the first call, and the keys in use there.
    fn link(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        Err(Error::NoConnection)
    }

    /// Stores the job's meta, while the execution still owns the job.
    fn save_meta(&self, execution: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError>;
}

/// What a running job may ask: a handler's first parameter, where it wants one.
///
/// ```
/// use rq_core::{job, secs, Context};
/// #[job("files.shrink")]
/// fn shrink(ctx: &Context, files: Vec<String>) -> rq_core::Result<()> {
///     for (done, file) in files.iter().enumerate() {
///         ctx.check()?;                                                     // fails at the time limit
///         ctx.progress(done as f64 / files.len() as f64, file)?;
///         ctx.sleep(secs(0))?;                                              // wakes at the time limit
///     }
///     Ok(())
/// }
/// shrink(&Context::for_test(), vec!["a".into()]).map_err(|failure| failure.text()).unwrap();
/// ```
///
/// Code further down that is not given it asks for [`Context::current`]. Cloning is cheap: all clones are of one run, and
/// share what it has set.
#[derive(Clone)]
pub struct Context(Arc<Parts>);

struct Parts {
    job: Arc<Job>,
    execution: ExecutionId,
    interrupt: Arc<Interrupt>,
    host: Arc<dyn Host>,
    states: Arc<States>,
    /// `None` until the job first asks for it.
    meta: Mutex<Option<Value>>,
    codec: OnceLock<Codec>,
    extensions: Extensions,
}

impl Context {
    /// For an execution that begins now. Executors call it.
    pub fn new(
        job: Arc<Job>,
        execution: ExecutionId,
        interrupt: Arc<Interrupt>,
        host: Arc<dyn Host>,
        states: Arc<States>,
    ) -> Context {
        let (meta, codec, extensions) = (Mutex::new(None), OnceLock::new(), Extensions::default());
        Context(Arc::new(Parts { job, execution, interrupt, host, states, meta, codec, extensions }))
    }

    /// A context for unit tests of a job: no Redis, no time limit, no state; saved meta stays in it.
    pub fn for_test() -> Context {
        Context::for_test_with(States::default())
    }

    /// A context for unit tests of a job that asks for state.
    pub fn for_test_with(states: States) -> Context {
        struct Nowhere;
        impl Host for Nowhere {
            fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
                Ok(())
            }
        }
        let job = Job::new("test", "test", Vec::new());
        let execution = ExecutionId::new(&job.id);
        Context::new(job.into(), execution, Interrupt::new(None).into(), Arc::new(Nowhere), states.into())
    }

    /// The context of the job that runs here, for code that is not given it: RQ's `get_current_job()`. `None` outside of
    /// a job, and on threads and in tasks that a job starts; give those a clone of its context, and let them
    /// [`enter`](Context::enter) it.
    ///
    /// ```
    /// use rq_core::{job, Context};
    /// /// Logs on behalf of whatever job runs.
    /// fn audit(what: &str) -> String {
    ///     Context::current().map_or_else(|| what.to_owned(), |ctx| format!("{}: {what}", ctx.job().id))
    /// }
    /// assert_eq!(audit("read"), "read");
    /// assert_eq!(Context::for_test().enter(|| audit("read")), "test: read");
    /// ```
    pub fn current() -> Option<Context> {
        current::current()
    }

    /// Runs `f` with this as the [current](Context::current) context: for unit tests, and for threads that a job starts.
    /// Whichever was current before is so again afterwards.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        current::within(self, f)
    }

    /// [`enter`](Context::enter) for async code, around each of its polls, whichever thread polls it; and around its drop.
    pub async fn enter_async<F: Future>(&self, future: F) -> F::Output {
        current::within_async(self, future).await
    }

    /// The job's record as it was when the run began.
    pub fn job(&self) -> &Job {
        &self.0.job
    }

    /// This run: a key under which effects outside of Redis can be made once.
    pub fn execution(&self) -> &ExecutionId {
        &self.0.execution
    }

    /// When the job's time is up; `None` for no limit, and where a death penalty [replaces
    /// it](crate::DeathPenalty::replaces_limit) that nobody knows of beforehand.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.interrupt.deadline()
    }

    /// By which a death penalty ends this job, or the callback that runs, from any thread.
    pub fn ender(&self) -> Ender {
        Ender::new(&self.0.interrupt)
    }

    /// Fails once the job has to end: its time is up, or it was asked to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.0.interrupt.check()
    }

    /// Sleeps, waking early with an error when the job has to end. For sync handlers.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        self.0.host.sleep(&self.0.interrupt, duration)
    }

    /// [`sleep`](Context::sleep) for async handlers.
    pub async fn sleep_async(&self, duration: Duration) -> Result<(), Interrupted> {
        self.0.interrupt.sleep_async(duration).await
    }

    /// What the program shares among its jobs, made the first time a job asks for it.
    ///
    /// # Panics
    /// If the program added no `T`, or it cannot be made; the job then fails with a text that says so, and names the line of
    /// this call. [`try_state`](Context::try_state) returns the second as an error.
    #[track_caller]
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        self.0.states.get()
    }

    /// [`state`](Context::state), where making it may fail; docs/states.md has the kinds there are. The next job that asks has
    /// it made again.
    ///
    /// # Panics
    /// If the program added no `T`.
    #[track_caller]
    pub fn try_state<T: Send + Sync + 'static>(&self) -> Result<&T, StateError> {
        self.0.states.try_get()
    }

    /// The values of this run: what middleware hands to the job, and what code further down asks for.
    pub fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Runs async code to its end, from sync code of a job or around it: the beginning of a transaction, say. Its I/O is
    /// driven by the runtime of the process on which [async states](crate::States::insert_async) are made, which goes on
    /// between jobs.
    ///
    /// Under `-w green` the coroutine waits and its thread goes on to others; under `-w thread` and `-w fork` the thread is
    /// blocked. The future is not broken off when the job has to end, so that what must be undone then can be; it may
    /// ask for that itself, by [`check`](Context::check) and [`sleep_async`](Context::sleep_async).
    ///
    /// # Errors
    /// In async code, which has `.await`; and where there is no worker: in unit tests and inline jobs.
    pub fn block_on<F>(&self, future: F) -> Result<F::Output, BlockOnError>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let mut output = None;
        let future = async { output = Some(future.await) };
        self.0.states.block_on(Box::pin(future))?;
        output.ok_or(BlockOnError::NoRuntime)
    }

    /// The job's meta: a dict, as it was at the start with what this run has set; `{'unserialized': bytes}` where that
    /// cannot be decoded, as in RQ.
    pub fn meta(&self) -> Result<Value, Error> {
        Ok(self.locked_meta().clone().unwrap_or_else(|| self.0.job.meta_or_raw()))
    }

    /// One entry of the job's [meta](Context::meta); `None` where there is none.
    pub fn meta_value(&self, key: &str) -> Result<Option<Value>, Error> {
        let mut meta = self.locked_meta();
        let Value::Dict(dict) = self.loaded(&mut meta)? else { return Ok(None) };
        let is_key = |known: &Value| matches!(known, Value::Str(known) if known == key);
        Ok(dict.iter().find(|(known, _)| is_key(known)).map(|(_, value)| value.clone()))
    }

    /// Sets one key of the job's meta and saves it. Meta that cannot be decoded is not written over: an error.
    pub fn set_meta(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        self.update_meta([(key, Value::from_serialize(&value)?)])
    }

    /// Saves how far the job is, from 0 to 1, and what it is doing: the keys `progress` and `progress_note` of its
    /// meta.
    pub fn progress(&self, fraction: f64, note: impl fmt::Display) -> Result<(), Error> {
        let fraction = Value::Float(fraction.clamp(0.0, 1.0));
        self.update_meta([(PROGRESS_KEY, fraction), (PROGRESS_NOTE_KEY, Value::Str(note.to_string()))])
    }

    fn update_meta<const N: usize>(&self, entries: [(&str, Value); N]) -> Result<(), Error> {
        // Held until the host has it: two threads of a job may save at once, and the later meta must be the one that
        // stays.
        let mut meta = self.locked_meta();
        let Value::Dict(dict) = self.loaded(&mut meta)? else {
            return Err(CodecError::Shape { wanted: "a dict as meta" }.into());
        };
        for (key, value) in entries {
            let key = Value::Str(key.to_owned());
            match dict.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = value,
                None => dict.push((key, value)),
            }
        }
        let encoded = self.codec().encode_value(&Value::Dict(dict.clone()))?;
        self.0.host.save_meta(&self.0.execution, encoded).map_err(Error::MetaNotSaved)
    }

    /// The codec in which the job's payload is written, and so its value and its meta.
    pub fn codec(&self) -> Codec {
        // Read from the payload once.
        // The context of a unit test has no payload, and keeps its meta in the default codec.
        let detect =
            || self.0.job.inflated().and_then(|inflated| Codec::detect(&inflated)).unwrap_or_default();
        *self.0.codec.get_or_init(detect)
    }

    /// A value as a [`JobOutcome`](crate::JobOutcome) has it, for middleware that puts one in the place of a job's: in the
    /// job's codec, and `None` for `()` and other values that are Python's `None`.
    /// [`EndValue::new`](crate::EndValue::new) with [`codec`](Context::codec) reads one.
    pub fn encode(&self, value: impl Serialize) -> Result<Option<Vec<u8>>, Error> {
        match Value::from_serialize(&value)? {
            Value::Null => Ok(None),
            value => Ok(Some(self.codec().encode_value(&value)?)),
        }
    }

    fn loaded<'a>(&self, meta: &'a mut Option<Value>) -> Result<&'a mut Value, Error> {
        match meta {
            Some(meta) => Ok(meta),
            None => Ok(meta.insert(self.0.job.meta()?)),
        }
    }

    fn locked_meta(&self) -> MutexGuard<'_, Option<Value>> {
        self.0.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.0.host
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.0.interrupt
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("execution", &self.0.execution).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_in_the_meta() {
        let context = Context::for_test();
        context.set_meta("mine", 1).unwrap();
        assert_eq!(context.meta_value("mine").unwrap(), Some(Value::Int(1)));
        assert_eq!(context.meta_value("other").unwrap(), None);
        context.progress(0.25, "a").unwrap();
        context.progress(7.0, "b").unwrap();
        let json = Codec::Json.encode_value(&context.meta().unwrap()).unwrap();
        assert_eq!(json, br#"{"mine": 1, "progress": 1.0, "progress_note": "b"}"#);
    }
}
