//! [`Handlers`]: the functions a worker can run.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rq_wire::{Codec, Payload, Value, ValueError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::callback::CallbackKind;
use crate::context::Context;
use crate::end::End;
use crate::failure::{ArgumentError, Failure};
use crate::job::Job;
use crate::panics::{self, Panic};

/// What a handler's run yields before it is encoded.
pub type Outcome = Result<Returned, Failure>;

/// How a run ended: the value in the job's codec, `None` being Python's `None`; or why there is none.
pub type JobOutcome = Result<Option<Vec<u8>>, Failure>;

/// A running async handler.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What RQ stores for a value that cannot be written in the job's codec (docs/wire.md §7).
const UNSERIALIZABLE: &str = "Unserializable return value";

/// A value a handler returned, or why it is none that can be written; the job has finished either way.
pub type Returned = Result<Value, ValueError>;

/// A function that a worker can run. `#[job]` writes it.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// Its dotted name on the wire.
    pub name: &'static str,
    /// Its parameters without the [`Context`].
    pub params: &'static [&'static str],
    /// How it runs.
    pub run: Run,
}

/// How a handler runs.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// On the calling thread.
    Sync(fn(&Context, Arguments) -> Outcome),
    /// As a future that needs a tokio runtime.
    Async(for<'a> fn(&'a Context, Arguments) -> Running<'a>),
    /// On the calling thread, when a job has ended.
    Callback(fn(&Context, End) -> Outcome),
    /// The same as a future that needs a tokio runtime.
    AsyncCallback(for<'a> fn(&'a Context, End) -> Running<'a>),
}

impl Handler {
    /// Whether it is called when a job has ended, and is no job.
    fn is_callback(&self) -> bool {
        matches!(self.run, Run::Callback(_) | Run::AsyncCallback(_))
    }
}

/// A job or a callback that can run here: `#[job]` and `#[callback]` implement it for the type beside the function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run here: declared without a body, or not marked `#[job]`",
    label = "a worker needs the function's body"
)]
pub trait Perform {
    /// The handler.
    #[doc(hidden)]
    const HANDLER: Handler;
}

/// What a job's function may return: a `Result` of something that serde can write.
#[diagnostic::on_unimplemented(
    message = "a job returns a `Result` whose value serde can write",
    label = "wrap this in `Ok(..)` and return `rq_core::Result<{Self}>`"
)]
pub trait Returns {
    /// What a call of it yields.
    type Yields;
    /// Turns the function's result into what is stored.
    fn outcome(self) -> Outcome;
}

impl<T: Serialize, E: Into<Failure>> Returns for Result<T, E> {
    type Yields = T;

    fn outcome(self) -> Outcome {
        match self {
            Ok(value) => Ok(Value::from_serialize(&value)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a callback's function returned, as the outcome of a handler. The code that `#[callback]` writes calls it.
pub fn called_back<E: Into<Failure>>(returned: Result<(), E>) -> Outcome {
    match returned.map_err(Into::into) {
        Ok(()) => Ok(Ok(Value::Null)),
        // Its job has ended, and a callback is called once.
        Err(Failure::Retry(_)) => Err("a callback cannot ask for another run; its job can".into()),
        Err(failure) => Err(failure),
    }
}

/// The functions a worker can run, by their names on the wire: jobs and callbacks.
///
/// Made by [`handlers!`](crate::handlers); a module offers its own as a value and [`merge`](Handlers::merge) puts
/// them together.
#[must_use = "handlers do nothing until a worker has them"]
#[derive(Clone, Debug, Default)]
pub struct Handlers {
    by_name: BTreeMap<&'static str, Handler>,
}

impl Handlers {
    /// None yet.
    pub fn new() -> Handlers {
        Handlers::default()
    }

    /// Adds the job, or the callback, `J`.
    ///
    /// # Panics
    /// If there is a handler of that name already: one of the two would never run.
    pub fn with<J: Perform>(mut self) -> Handlers {
        self.insert(J::HANDLER);
        self
    }

    /// [`with`](Handlers::with) for `handlers!`, which names the job in a type.
    #[doc(hidden)]
    pub fn with_listed<J: Perform>(self, _: Option<fn(J)>) -> Handlers {
        self.with::<J>()
    }

    /// Adds all of `other`.
    ///
    /// # Panics
    /// If both have a handler of one name.
    pub fn merge(mut self, other: Handlers) -> Handlers {
        other.by_name.into_values().for_each(|handler| self.insert(handler));
        self
    }

    fn insert(&mut self, handler: Handler) {
        let name = handler.name;
        assert!(
            self.by_name.insert(name, handler).is_none(),
            "two handlers are named `{name}`; rename one of them"
        );
    }

    /// The job named `name`.
    fn get(&self, name: &str) -> Option<&Handler> {
        self.by_name.get(name).filter(|handler| !handler.is_callback())
    }

    /// The names of the jobs, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.values().filter(|handler| !handler.is_callback()).map(|handler| handler.name)
    }

    /// The names of the callbacks, sorted.
    pub fn callback_names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.values().filter(|handler| handler.is_callback()).map(|handler| handler.name)
    }

    /// Whether there is no handler.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Decodes a job's payload and binds its arguments: all that can fail before the handler begins.
    ///
    /// Executors call it where the job runs, since a payload may be large or hostile.
    pub fn prepare(&self, job: &Job) -> Result<Prepared, Failure> {
        let (codec, payload) = job.payload().map_err(Failure::Payload)?;
        let Some(handler) = self.get(&payload.func) else {
            let nearest = self.nearest(&payload.func);
            return Err(Failure::UnknownFunction { name: payload.func, nearest });
        };
        let arguments = Arguments::bind(handler, payload).map_err(Failure::Arguments)?;
        let ready = match handler.run {
            Run::Sync(run) => Ready::Sync(run, arguments),
            Run::Async(run) => Ready::Async(run, arguments),
            Run::Callback(_) | Run::AsyncCallback(_) => unreachable!("`get` finds jobs alone"),
        };
        Ok(Prepared { name: handler.name, ready, codec })
    }

    /// The callback to call where a job has run, once it has ended with `outcome`: of this kind, where the outcome is of that
    /// kind, the job names one, and the program has it.
    ///
    /// Called for success, and then for failure: a callback that fails is a failure of its job.
    pub fn due_callback(
        &self,
        kind: CallbackKind,
        context: &Context,
        outcome: &JobOutcome,
    ) -> Option<DueCallback> {
        let is_due = match (kind, outcome) {
            (CallbackKind::Success, Ok(_)) => true,
            // A job that asks to be run again has not failed (docs/wire.md §4.6); what a stop is, its worker knows.
            (CallbackKind::Failure, Err(failure)) => !matches!(failure, Failure::Retry(_) | Failure::Stopped),
            _ => false,
        };
        let mut callbacks = context.job().callbacks(kind).filter(|_| is_due);
        let (handler, limit) =
            callbacks.find_map(|callback| Some((self.callback(&callback.name)?, callback.limit())))?;
        let prepared = Prepared::callback(handler, End::of(outcome, context.codec()));
        Some(DueCallback { limit, prepared })
    }

    /// The callback named `name`, to be called with `end`.
    pub fn prepare_callback(&self, name: &str, end: End) -> Result<Prepared, Failure> {
        let handler = self.callback(name);
        let handler =
            handler.ok_or_else(|| Failure::UnknownFunction { name: name.to_owned(), nearest: None })?;
        Ok(Prepared::callback(handler, end))
    }

    fn callback(&self, name: &str) -> Option<&Handler> {
        self.by_name.get(name).filter(|handler| handler.is_callback())
    }

    /// The known name that differs least from `name`, if by little.
    fn nearest(&self, name: &str) -> Option<String> {
        const EDITS_MAX: usize = 2;
        const COMPARED_CHARS_MAX: usize = 200;
        // The name comes from a payload, and to compare takes its length times that of each known name.
        if name.len() > COMPARED_CHARS_MAX {
            return None;
        }
        let ranked = self.names().map(|known| (edits(name, known), known));
        ranked.min().filter(|&(edits, _)| edits <= EDITS_MAX).map(|(_, known)| known.to_owned())
    }
}

/// Makes [`Handlers`] of jobs and callbacks: `handlers![math::add, web::fetch, alerts::page]`.
///
/// ```
/// use rq_core::{handlers, job};
/// #[job("math.add")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> {
///     Ok(x + y)
/// }
/// assert_eq!(handlers![add].names().collect::<Vec<_>>(), ["math.add"]);
/// ```
///
/// A function without `#[job]` above it has no type of its name, and is refused: "expected type, found function `add`".
/// ```compile_fail
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> {
///     Ok(x + y)
/// }
/// let _ = rq_core::handlers![add];
/// ```
#[macro_export]
macro_rules! handlers {
    ($($job:path),* $(,)?) => {
        // Within `fn(..)` stands nothing but a type: rustc says of a function there that it is one, and where.
        $crate::Handlers::new()$(.with_listed(::core::option::Option::None::<fn($job)>))*
    };
}

/// A callback that is to be called where its job has run.
#[must_use = "a callback that is due was not called"]
#[derive(Debug)]
pub struct DueCallback {
    /// How long it may take.
    pub limit: Option<Duration>,
    /// The callback itself.
    pub prepared: Prepared,
}

/// A job or a callback whose handler was found and whose arguments were bound: ready to run once.
#[must_use = "a job that was prepared has not run"]
#[derive(Debug)]
pub struct Prepared {
    name: &'static str,
    ready: Ready,
    codec: Codec,
}

/// A handler's function, with what it is called with.
#[derive(Debug)]
enum Ready {
    Sync(fn(&Context, Arguments) -> Outcome, Arguments),
    Async(for<'a> fn(&'a Context, Arguments) -> Running<'a>, Arguments),
    Callback(fn(&Context, End) -> Outcome, End),
    AsyncCallback(for<'a> fn(&'a Context, End) -> Running<'a>, End),
}

impl Prepared {
    fn callback(handler: &Handler, end: End) -> Prepared {
        let ready = match handler.run {
            Run::Callback(run) => Ready::Callback(run, end),
            Run::AsyncCallback(run) => Ready::AsyncCallback(run, end),
            Run::Sync(_) | Run::Async(_) => unreachable!("`callback` finds callbacks alone"),
        };
        // A callback has no value to be encoded.
        Prepared { name: handler.name, ready, codec: Codec::default() }
    }

    /// Whether it must be run by [`run_async`](Prepared::run_async).
    pub fn is_async(&self) -> bool {
        matches!(self.ready, Ready::Async(..) | Ready::AsyncCallback(..))
    }

    /// The handler's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs a sync handler here and now; the value comes back in the job's codec. A panic is a failure.
    ///
    /// `None` is Python's `None`, which the results stream leaves out.
    pub fn run(self, context: &Context) -> JobOutcome {
        let panicked = self.panicked();
        let outcome = match self.ready {
            Ready::Sync(run, arguments) => panics::catch(|| context.enter(|| run(context, arguments))),
            Ready::Callback(run, end) => panics::catch(|| context.enter(|| run(context, end))),
            Ready::Async(..) | Ready::AsyncCallback(..) => {
                return Err(Failure::Executor(format!(
                    "`{}` is an async handler, which needs a runtime; use the async queue or a worker",
                    self.name
                )));
            }
        };
        settled(self.codec, outcome.unwrap_or_else(panicked), context)
    }

    /// Runs a handler of either kind; the value comes back in the job's codec. A panic is a failure.
    ///
    /// Dropping the future ends an async handler at its next `await`.
    pub async fn run_async(self, context: &Context) -> JobOutcome {
        let panicked = self.panicked();
        let begun = match self.ready {
            Ready::Async(run, arguments) => panics::catch(|| context.enter(|| run(context, arguments))),
            Ready::AsyncCallback(run, end) => panics::catch(|| context.enter(|| run(context, end))),
            Ready::Sync(..) | Ready::Callback(..) => return self.run(context),
        };
        let outcome = match begun {
            Ok(running) => panics::catch_async(context.enter_async(running)).await,
            Err(panic) => Err(panic),
        };
        settled(self.codec, outcome.unwrap_or_else(panicked), context)
    }

    /// What becomes of a panic: a failure that says whether it was the job's, or that of which callback.
    fn panicked(&self) -> impl Fn(Panic) -> Outcome + use<> {
        let is_callback = matches!(self.ready, Ready::Callback(..) | Ready::AsyncCallback(..));
        let callback = is_callback.then(|| self.name.to_owned());
        move |panic| Err(Failure::Panic(Panic { callback: callback.clone(), ..panic }))
    }
}

/// The value in the job's codec. An error after the job was asked to end is recorded as that interruption, even where
/// the job, or `anyhow`, has wrapped it beyond recognition.
fn settled(codec: Codec, outcome: Outcome, context: &Context) -> JobOutcome {
    match (outcome, context.interrupt().told()) {
        (Ok(returned), _) => Ok(encode_returned(codec, returned)),
        // A panic, or a request to be run again, keeps its meaning: each says what it is.
        (Err(Failure::Error(_)), Some(interrupted)) => Err(Failure::interrupted(interrupted)),
        (Err(failure), _) => Err(failure),
    }
}

fn encode_returned(codec: Codec, returned: Returned) -> Option<Vec<u8>> {
    let encoded = match returned {
        // RQ leaves `None` out of the results stream (docs/wire.md §7).
        Ok(Value::Null) => return None,
        Ok(value) => codec.encode_value(&value).ok(),
        Err(_) => None,
    };
    // The job has done its work and counts as finished, in RQ too; only the value is lost.
    encoded.or_else(|| codec.encode_value(&Value::Str(UNSERIALIZABLE.to_owned())).ok())
}

/// A call's arguments, bound to a handler's parameters.
#[derive(Debug)]
pub struct Arguments {
    function: &'static str,
    bound: std::vec::IntoIter<Option<Value>>,
}

impl Arguments {
    /// Binds by position and by keyword, as Python does.
    fn bind(handler: &Handler, payload: Payload) -> Result<Arguments, ArgumentError> {
        let (function, params) = (handler.name, handler.params);
        if payload.args.len() > params.len() {
            return Err(ArgumentError::TooMany { function, takes: params.len(), given: payload.args.len() });
        }
        let mut bound: Vec<Option<Value>> = payload.args.into_iter().map(Some).collect();
        // What nobody gives stays open here: only the parameter's type can say whether it may be left out.
        bound.resize_with(params.len(), || None);
        for (name, value) in payload.kwargs {
            let Some(index) = params.iter().position(|param| **param == name) else {
                return Err(ArgumentError::Unexpected { function, name });
            };
            if bound[index].replace(value).is_some() {
                return Err(ArgumentError::Twice { function, name });
            }
        }
        Ok(Arguments { function, bound: bound.into_iter() })
    }

    /// Takes the next parameter. Called by the code that `#[job]` writes, once a parameter, in order.
    ///
    /// A parameter that takes `None`, such as an `Option`, may be left out by the caller.
    pub fn take<T: DeserializeOwned + 'static>(&mut self, name: &'static str) -> Result<T, Failure> {
        let function = self.function;
        let given = self.bound.next().flatten();
        let missing = given.is_none();
        convert(given.unwrap_or(Value::Null)).map_err(|error| {
            Failure::Arguments(if missing {
                ArgumentError::Missing { function, name }
            } else {
                ArgumentError::Type { function, name, reason: error.to_string() }
            })
        })
    }
}

/// `value` as a `T`; a `T` that is a [`Value`] gets it as it came, dates and sets included.
pub(crate) fn convert<T: DeserializeOwned + 'static>(value: Value) -> Result<T, ValueError> {
    // serde knows neither dates nor sets, so a handler that takes a `Value` must not get it by way of serde.
    if TypeId::of::<T>() != TypeId::of::<Value>() {
        return value.deserialize_into();
    }
    let as_it_is: Box<dyn Any> = Box::new(value);
    match as_it_is.downcast::<T>() {
        Ok(value) => Ok(*value),
        Err(_) => unreachable!("the type ids are equal"),
    }
}

/// Whether two lists of parameter names are equal; `#[job]` has it evaluated at compile time.
pub const fn same_params(a: &[&str], b: &[&str]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    // By index and byte: iterators and `==` of texts are not to be had at compile time.
    while i < a.len() {
        let (a, b) = (a[i].as_bytes(), b[i].as_bytes());
        if a.len() != b.len() {
            return false;
        }
        let mut j = 0;
        while j < a.len() {
            if a[j] != b[j] {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

/// How many characters must be added, dropped or changed to make `a` of `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Cow<'_, [char]> = Cow::Owned(b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Handler = Handler {
        name: "mail.send",
        params: &["to", "subject", "copy"],
        run: Run::Sync(|_, mut arguments| {
            let to: String = arguments.take("to")?;
            let subject: String = arguments.take("subject")?;
            let copy: Option<String> = arguments.take("copy")?;
            Ok(Ok(Value::Str(format!("{to}|{subject}|{copy:?}"))))
        }),
    };

    fn send(args: &[&str], kwargs: &[(&str, Value)]) -> Result<String, String> {
        let payload = Payload {
            func: SEND.name.to_owned(),
            args: args.iter().map(|arg| Value::Str((*arg).to_owned())).collect(),
            kwargs: kwargs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        let data = Codec::Json.encode_payload(&payload).unwrap();
        let mut handlers = Handlers::new();
        handlers.insert(SEND);
        let job = Job::new("j", "default", data);
        let context = Context::for_test();
        let value = handlers.prepare(&job).and_then(|prepared| prepared.run(&context));
        value.map(|json| String::from_utf8(json.unwrap()).unwrap()).map_err(|failure| failure.text())
    }

    fn text(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    #[test]
    fn arguments_bind_by_position_and_by_keyword() {
        assert_eq!(send(&["a", "b"], &[]).unwrap(), r#""a|b|None""#);
        assert_eq!(send(&["a"], &[("subject", text("s"))]).unwrap(), r#""a|s|None""#);
        assert_eq!(
            send(&[], &[("copy", text("c")), ("subject", text("s")), ("to", text("t"))]).unwrap(),
            r#""t|s|Some(\"c\")""#
        );
    }

    #[test]
    fn arguments_that_do_not_fit_are_told_in_pythons_words() {
        for (args, kwargs, told) in [
            (vec!["a"], vec![], "mail.send() missing argument 'subject'"),
            (vec!["a", "b"], vec![("cc", text("c"))], "mail.send() got an unexpected keyword argument 'cc'"),
            (vec!["a", "b"], vec![("to", text("c"))], "mail.send() got multiple values for argument 'to'"),
            (vec!["a", "b", "c", "d"], vec![], "mail.send() takes 3 positional arguments but 4 were given"),
        ] {
            assert_eq!(send(&args, &kwargs), Err(format!("TypeError: {told}")));
        }
        let error = send(&["a"], &[("subject", Value::Int(1))]).unwrap_err();
        assert!(error.starts_with("TypeError: mail.send() argument 'subject': "), "{error}");
    }

    #[test]
    #[should_panic(expected = "two handlers are named `mail.send`")]
    fn two_handlers_of_one_name_panic() {
        let mut handlers = Handlers::new();
        handlers.insert(SEND);
        handlers.insert(SEND);
    }

    #[test]
    fn the_nearest_name_is_near() {
        let mut handlers = Handlers::new();
        handlers.insert(SEND);
        assert_eq!(handlers.nearest("mail.sent"), Some("mail.send".to_owned()));
        assert_eq!(handlers.nearest("math.add"), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
