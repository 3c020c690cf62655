//! [`EnqueueMiddleware`]: code around enqueueing, where calls are made.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::Call;
use crate::error::Error;
use crate::failure::BoxError;
use crate::job::Job;
use crate::panics::{self, Panic};
use crate::shown::Shown;

/// Code around enqueueing, in the producer: adds what all jobs carry, such as who is logged in; refuses calls; counts them
/// (docs/middleware.md). [`Queue::middleware`](crate::Queue::middleware) adds it to a queue.
///
/// A closure is middleware that has something to do [before](EnqueueMiddleware::before) alone.
///
/// ```no_run
/// # fn example(queue: rq_core::blocking::Queue) -> Result<(), rq_core::Error> {
/// use rq_core::Call;
/// let queue = queue.middleware(|_queue: &str, call: Call<()>| Ok(call.meta("release", env!("CARGO_PKG_VERSION"))));
/// queue.enqueue(Call::<()>::to("reports.nightly"))?;                // has the release in its meta
/// # Ok(())
/// # }
/// ```
///
/// It is called once for each call, before the job is made: what is sent again over a broken connection is the same job.
/// The one that was added first is the outermost: first before, and last after. It must not block for long: in the async
/// front it runs in the caller's task.
pub trait EnqueueMiddleware: Send + Sync {
    /// Gives back the call as it is to be enqueued in `queue`, or why it must not be: the caller then gets
    /// [`Error::Refused`]. Of many calls none is sent if one is refused.
    ///
    /// The call may be changed in all it says, but for the queue, which is chosen by now; and for an id that another of many
    /// calls depends on: all of them are refused then. A panic refuses the call.
    fn before(&self, _queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
        Ok(call)
    }

    /// Is told what became of a call that it has let pass; of each by itself where there were many. Not where the caller has
    /// dropped the future. A panic changes nothing, and the log tells of it: the job is there.
    fn after(&self, _outcome: &EnqueueOutcome<'_>) {}
}

impl<F: Fn(&str, Call<()>) -> Result<Call<()>, BoxError> + Send + Sync> EnqueueMiddleware for F {
    fn before(&self, queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
        self(queue, call)
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EnqueueOutcome<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The function called.
    pub function: &'a str,
    /// The job that the call became; `None` where it became none.
    pub job_id: Option<&'a str>,
    /// How long it took until that was known: with the middleware, a run inline, and all that was sent together.
    pub took: Duration,
    /// Why the job is not enqueued, or not known to be. A unique call whose job is there already is
    /// [`Error::Duplicate`].
    pub result: Result<(), &'a Error>,
}

/// The calls of one request on their way through the middleware of a queue.
pub(crate) struct Passage<'a> {
    middleware: &'a [Arc<dyn EnqueueMiddleware>],
    queue: &'a str,
    began: Instant,
    /// The function of the last call, and how many have let it pass.
    function: String,
    passed: usize,
    /// The jobs that were made, one a call and in that order; kept where somebody is told of them.
    made: Vec<Made>,
    /// The ids that calls had before, and no longer have.
    changed_ids: HashSet<String>,
}

/// A job that a call has become.
struct Made {
    job_id: String,
    function: String,
}

impl<'a> Passage<'a> {
    pub(crate) fn new(middleware: &'a [Arc<dyn EnqueueMiddleware>], queue: &'a str) -> Passage<'a> {
        let (function, made, changed_ids) = (String::new(), Vec::new(), HashSet::new());
        Passage { middleware, queue, began: Instant::now(), function, passed: 0, made, changed_ids }
    }

    /// The call as it is to be enqueued.
    pub(crate) fn pass<T>(&mut self, call: Call<T>) -> Result<Call<T>, Error> {
        if self.middleware.is_empty() {
            return Ok(call);
        }
        let mut call = call.untyped();
        self.passed = 0;
        self.function = call.function().to_owned();
        let id = call.id().map(str::to_owned);
        for middleware in self.middleware {
            let panicked = |panic: Panic| Err(format!("middleware panicked: {}", panic.message).into());
            let before = panics::catch(|| middleware.before(self.queue, call)).unwrap_or_else(panicked);
            call = before.map_err(|source| Error::Refused { function: self.function.clone(), source })?;
            self.passed += 1;
        }
        self.function = call.function().to_owned();
        self.changed_ids.extend(id.filter(|id| call.id() != Some(id)));
        Ok(call.retyped())
    }

    /// Notes the job that the last call has become.
    pub(crate) fn made(&mut self, job: &Job) {
        if !self.middleware.is_empty() {
            self.made.push(Made { job_id: job.id.clone(), function: self.function.clone() });
        }
    }

    /// Refuses jobs of which one depends on an id that middleware has changed: it would wait for nobody.
    pub(crate) fn check_dependencies<'j>(&self, jobs: impl Iterator<Item = &'j Job>) -> Result<(), Error> {
        // Mostly none, and then nothing is looked at.
        if self.changed_ids.is_empty() {
            return Ok(());
        }
        for (job, made) in jobs.zip(&self.made) {
            let mut waits_for = job.dependency_ids.iter().flatten();
            if let Some(id) = waits_for.find(|id| self.changed_ids.contains(*id)) {
                let source = format!("it depends on {}, whose id middleware has changed", Shown::name(id));
                return Err(Error::Refused { function: made.function.clone(), source: source.into() });
            }
        }
        Ok(())
    }

    /// What became of the job that the call of this number has become, where it was kept.
    pub(crate) fn end(&self, number: usize, result: Result<(), &Error>) {
        if let Some(Made { job_id, function }) = self.made.get(number) {
            self.tell(self.middleware.len(), function, Some(job_id), result);
        }
    }

    /// What became of all jobs that were made; and where it was that the last call became none, of that.
    pub(crate) fn end_all(&self, error: &Error, of_last: bool) {
        (0..self.made.len()).for_each(|number| self.end(number, Err(error)));
        if of_last {
            self.tell(self.passed, &self.function, None, Err(error));
        }
    }

    /// What became of the only call there is.
    pub(crate) fn end_one<T>(&self, enqueued: &Result<T, Error>) {
        match enqueued {
            Err(error) if self.made.is_empty() => self.end_all(error, true),
            _ => self.end(0, enqueued.as_ref().map(drop)),
        }
    }

    fn tell(&self, passed: usize, function: &str, job_id: Option<&str>, result: Result<(), &Error>) {
        let (queue, took) = (self.queue, self.began.elapsed());
        let outcome = EnqueueOutcome { queue, function, job_id, took, result };
        for middleware in self.middleware[..passed].iter().rev() {
            // The job is there, or is not: neither does the caller get another answer by this, nor the others none.
            if let Err(panic) = panics::catch(|| middleware.after(&outcome)) {
                let (function, message) = (Shown::name(function), panic.message);
                tracing::error!(
                    "middleware panicked that was told what became of a call of {function}: {message}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rq_wire::{Codec, Value};

    use super::*;
    use crate::call::Defaults;

    /// Adds its name to the call's arguments, and notes what it is told; refuses calls of one function.
    #[derive(Clone)]
    struct Noting {
        name: &'static str,
        refuses: &'static str,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl EnqueueMiddleware for Noting {
        fn before(&self, queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
            self.told.lock().unwrap().push(format!("{} before {} in {queue}", self.name, call.function()));
            if call.function() == self.refuses { Err("not today".into()) } else { Ok(call.arg(self.name)) }
        }

        fn after(&self, outcome: &EnqueueOutcome<'_>) {
            let EnqueueOutcome { function, job_id, result, .. } = outcome;
            let result = result.map_or_else(ToString::to_string, |()| "enqueued".to_owned());
            self.told.lock().unwrap().push(format!("{} after {function} {job_id:?}: {result}", self.name));
        }
    }

    /// What two are told of a call of `function`, of which the job `j` is made where they let it pass.
    fn told(function: &str, enqueued: Result<(), Error>) -> (Vec<String>, Result<(), Error>) {
        let outer = Noting { name: "outer", refuses: "nothing", told: Arc::default() };
        let inner = Noting { name: "inner", refuses: "bad", ..outer.clone() };
        let middleware: [Arc<dyn EnqueueMiddleware>; 2] = [Arc::new(outer.clone()), Arc::new(inner)];
        let mut passage = Passage::new(&middleware, "q");
        let call = Call::<u8>::to(function).arg("own").job_id("j");
        let enqueued = passage.pass(call).and_then(|call| {
            assert_eq!(call.args(), ["own", "outer", "inner"].map(Value::from));
            passage.made(&call.into_job("q", Defaults::new(Codec::Json))?);
            enqueued
        });
        passage.end_one(&enqueued);
        let told = outer.told.lock().unwrap().clone();
        (told, enqueued)
    }

    #[test]
    fn the_first_is_first_before_and_last_after() {
        let before = ["outer before good in q", "inner before good in q"];
        let check = |enqueued: Result<(), Error>, says: &str| {
            let (told, _) = told("good", enqueued);
            let after = ["inner", "outer"].map(|name| format!("{name} after good Some(\"j\"): {says}"));
            assert_eq!((&told[..2], &told[2..]), (&before.map(str::to_owned)[..], &after[..]));
        };
        check(Ok(()), "enqueued");
        check(Err(Error::NoConnection), &Error::NoConnection.to_string());
    }

    #[test]
    fn a_refusal_is_told_to_those_that_let_the_call_pass() {
        let (told, enqueued) = told("bad", Ok(()));
        let error = enqueued.unwrap_err();
        assert!(matches!(&error, Error::Refused { function, .. } if function == "bad"));
        assert_eq!(error.to_string(), "bad was not enqueued: not today");
        let says = [
            "outer before bad in q",
            "inner before bad in q",
            "outer after bad None: bad was not enqueued: not today",
        ];
        assert_eq!(told, says);
    }

    #[test]
    fn a_panic_before_refuses_and_one_after_keeps_nobody_from_being_told() {
        struct Breaks;
        impl EnqueueMiddleware for Breaks {
            fn before(&self, _: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
                if call.function() == "bad" { panic!("no {}", call.function()) } else { Ok(call) }
            }
            fn after(&self, _: &EnqueueOutcome<'_>) {
                panic!("after");
            }
        }
        let outer = Noting { name: "outer", refuses: "nothing", told: Arc::default() };
        let middleware: [Arc<dyn EnqueueMiddleware>; 2] = [Arc::new(outer.clone()), Arc::new(Breaks)];
        let check = |function: &str, after: &str| {
            let mut passage = Passage::new(&middleware, "q");
            let enqueued = passage.pass(Call::<u8>::to(function).job_id("j")).and_then(|call| {
                passage.made(&call.into_job("q", Defaults::new(Codec::Json))?);
                Ok(())
            });
            passage.end_one(&enqueued);
            let told = std::mem::take(&mut *outer.told.lock().unwrap());
            assert_eq!(told, [format!("outer before {function} in q"), format!("outer after {after}")]);
        };
        check("good", "good Some(\"j\"): enqueued");
        check("bad", "bad None: bad was not enqueued: middleware panicked: no bad");
    }
}
