//! [`JobMiddleware`]: code around jobs, where they run.

use std::fmt;
use std::sync::Arc;

use crate::context::Context;
use crate::failure::Failure;
use crate::handlers::JobOutcome;
use crate::panics;

/// Code around jobs, where they run: times them, makes a tenant current, opens a transaction (docs/middleware.md).
///
/// It is called in the place of the job, and [`next.run()`](Next::run) runs what is behind it: further middleware, and
/// then the job. That of a program which was added first is the outermost.
///
/// ```
/// use std::time::Instant;
/// use rq_core::{Context, JobMiddleware, JobOutcome, Next};
///
/// /// Says how long jobs take, and how they end.
/// struct Timing;
///
/// impl JobMiddleware for Timing {
///     fn call(&self, ctx: &Context, next: Next<'_>) -> JobOutcome {
///         let (function, began) = (next.function().to_owned(), Instant::now());
///         let outcome = next.run();
///         let end = outcome.as_ref().err().map_or("finished", |failure| failure.kind());
///         println!("{function} {}: {end} after {:?}", ctx.job().id, began.elapsed());
///         outcome
///     }
/// }
/// ```
///
/// * It is called once for each run of a job, a retry included, and not for callbacks. The job's function was found by then
///   and its arguments fit; time limit and death penalties are armed. A job that cannot begin for want of something the
///   system is short of has none called.
/// * It runs in the process, thread or coroutine of the job, of which [`Context::current`] tells there. It is sync around
///   sync and async handlers alike; [`Context::block_on`] runs async code from it.
/// * What it returns is how the job has ended: it may look at a failure or a value, and return another. One that does not
///   call `next` has decided alone, and the job's function does not run. [`Context::encode`] makes a value.
/// * A panic of what is behind it is a failure that `next.run()` returns; its own is the failure of the job, as are those of
///   a handler.
/// * A job that its executor ends by force, which a process is at the end of its grace and a thread is given up, runs
///   nothing behind `next`.
///
/// Jobs that a producer runs inline ([`Queue::inline`](crate::Queue::inline)) have none: it belongs to workers.
pub trait JobMiddleware: Send + Sync {
    /// Called in the place of the job.
    fn call(&self, ctx: &Context, next: Next<'_>) -> JobOutcome;
}

impl<F: Fn(&Context, Next<'_>) -> JobOutcome + Send + Sync> JobMiddleware for F {
    fn call(&self, ctx: &Context, next: Next<'_>) -> JobOutcome {
        self(ctx, next)
    }
}

/// What is behind middleware: further middleware, and then the job.
#[must_use = "the job does not run unless `run` is called"]
pub struct Next<'a> {
    function: &'a str,
    context: &'a Context,
    middleware: &'a [Arc<dyn JobMiddleware>],
    job: Box<dyn FnOnce() -> JobOutcome + 'a>,
}

impl<'a> Next<'a> {
    /// All of `middleware`, and `job` within, a call of `function`. Where jobs run, it is made and run.
    #[cfg(any(feature = "worker", test))]
    pub fn new(
        function: &'a str,
        context: &'a Context,
        middleware: &'a [Arc<dyn JobMiddleware>],
        job: impl FnOnce() -> JobOutcome + 'a,
    ) -> Next<'a> {
        Next { function, context, middleware, job: Box::new(job) }
    }

    /// The name of the job's function.
    pub fn function(&self) -> &str {
        self.function
    }

    /// Runs it, and returns how it has ended. A panic is a failure.
    pub fn run(self) -> JobOutcome {
        let Next { function, context, middleware, job } = self;
        let run = || match middleware.split_first() {
            Some((first, behind)) => {
                context.enter(|| first.call(context, Next { function, context, middleware: behind, job }))
            }
            None => job(),
        };
        panics::catch(run).unwrap_or_else(|panic| Err(Failure::Panic(panic)))
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("middleware", &self.middleware.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What is told, in order.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Told {
        fn tell(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn all(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    /// Middleware that tells what it sees before and behind the job.
    fn told_by(told: &Told, name: &'static str) -> Arc<dyn JobMiddleware> {
        let told = told.clone();
        Arc::new(move |ctx: &Context, next: Next<'_>| {
            let is_current = Context::current().is_some_and(|current| current.execution() == ctx.execution());
            told.tell(format!("{name} before, current: {is_current}"));
            let outcome = next.run();
            told.tell(format!("{name} behind: {}", text(&outcome)));
            outcome
        })
    }

    fn text(outcome: &JobOutcome) -> String {
        match outcome {
            Ok(value) => format!("{:?}", value.as_deref().map(String::from_utf8_lossy)),
            Err(failure) => failure.text(),
        }
    }

    fn run(middleware: &[Arc<dyn JobMiddleware>], job: impl FnOnce() -> JobOutcome) -> JobOutcome {
        Next::new("test", &Context::for_test(), middleware, job).run()
    }

    #[test]
    fn the_first_is_the_outermost() {
        let told = Told::default();
        let outcome = run(&[told_by(&told, "a"), told_by(&told, "b")], || {
            told.tell("job");
            Ok(Some(b"1".to_vec()))
        });
        assert_eq!(text(&outcome), r#"Some("1")"#);
        let behind = [r#"b behind: Some("1")"#, r#"a behind: Some("1")"#];
        assert_eq!(told.all()[..3], ["a before, current: true", "b before, current: true", "job"]);
        assert_eq!(told.all()[3..], behind);
        assert!(Context::current().is_none());
    }

    #[test]
    fn what_it_returns_is_the_end_of_the_job() {
        let fails = || Err("the disk is full".into());
        let mends: Arc<dyn JobMiddleware> = Arc::new(|_: &Context, next: Next<'_>| {
            assert!(next.run().is_err());
            Ok(None)
        });
        assert_eq!(text(&run(&[mends], fails)), "None");
        let told = Told::default();
        let refuses: Arc<dyn JobMiddleware> = Arc::new(|_: &Context, _: Next<'_>| Err("not today".into()));
        let outcome = run(&[told_by(&told, "a"), refuses, told_by(&told, "never")], || unreachable!());
        assert_eq!(text(&outcome), "Error: not today");
        assert_eq!(told.all(), ["a before, current: true", "a behind: Error: not today"]);
    }

    #[test]
    fn a_panic_behind_it_is_a_failure_that_it_sees() {
        let told = Told::default();
        let panics: Arc<dyn JobMiddleware> = Arc::new(|_: &Context, _: Next<'_>| panic!("boom"));
        for middleware in [&[told_by(&told, "a"), panics][..], &[told_by(&told, "b")]] {
            let outcome = run(middleware, || panic!("boom"));
            assert!(matches!(outcome, Err(Failure::Panic(panic)) if panic.message == "boom"));
        }
        for name in ["a", "b"] {
            let begins = format!("{name} behind: Panic: job panicked");
            assert!(told.all().iter().any(|line| line.starts_with(&begins)), "{:?}", told.all());
        }
    }
}
