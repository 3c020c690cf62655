//! An `rq` with the jobs that the tests enqueue; `rq_tests::jobs` lists them.
//!
//! `RQ_TEST_APP` says what else it is: `empty`, as the stock `rq`, which has no jobs; `watched`, which says what its
//! preload, death penalties and exception handlers see; `middleware`, which has some around its jobs; `no-limit`,
//! `half-limit` and `double-limit`, whose death penalty replaces the limits of jobs; `service`, which runs two workers in a runtime of its own;
//! `late-service`, which gets to that too late; `async-main`, which calls `rq_cli::main` in a runtime; `plain`, a worker
//! without a command line and without a Redis; `states`, which has all kinds of them; `model`, which has a file for
//! one; `cron`, which has an entry; `pieces`, which has some of each kind for its command line to name; `broken-state` and `panic-in-preload`,
//! which cannot start; `thread-in-main`, which starts a thread first of all; `joined-thread-in-main`, which waits for its
//! end; or `thread-in-preload`, whose fork server cannot fork.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rq_cli::{App, Cron};
use rq_core::{Call, Context, DeathPenalty, Failure, Guard, Handlers, Job, Keys, Next};
use rq_tests::jobs::{self, Counter};
use rq_worker_fork::{Fork, ForkOptions, Worker};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// A port where nobody listens.
const NO_REDIS: &str = "redis://127.0.0.1:1/";

fn main() -> ExitCode {
    let app = match std::env::var("RQ_TEST_APP").as_deref() {
        Ok("empty") => App::new(Handlers::new()),
        Ok("watched") => watched(App::new(jobs::handlers())),
        Ok("middleware") => jobs::middleware::app(jobs::handlers()),
        Ok("no-limit") => App::new(jobs::handlers()).death_penalty(Scaled(None)),
        Ok("half-limit") => App::new(jobs::handlers()).death_penalty(Scaled(Some(0.5))),
        Ok("double-limit") => App::new(jobs::handlers()).death_penalty(Scaled(Some(2.0))),
        Ok("service") => return told(service()),
        Ok("late-service") => return told(late_service()),
        Ok("plain") => return Worker::new(jobs::handlers()).url(NO_REDIS).run(),
        Ok("thread-in-preload") => {
            App::new(jobs::handlers()).preload(|| drop(std::thread::spawn(std::thread::park)))
        }
        Ok("states") => jobs::states::app(jobs::handlers()),
        Ok("model") => jobs::states::model_app(jobs::handlers()),
        Ok("cron") => {
            let add = Call::<()>::to("math.add").arg(2).arg(3);
            App::new(jobs::handlers()).cron(Cron::new().every(Duration::from_secs(3600), add))
        }
        Ok("pieces") => pieces(App::new(jobs::handlers())),
        Ok("broken-state") => jobs::states::broken_app(jobs::handlers()),
        Ok("panic-in-preload") => App::new(jobs::handlers()).preload(|| panic!("no model")),
        Ok("thread-in-main") => {
            let metrics = std::thread::Builder::new().name("metrics".to_owned());
            metrics.spawn(std::thread::park).expect("a thread can be had");
            App::new(jobs::handlers())
        }
        Ok("joined-thread-in-main") => {
            std::thread::spawn(|| {}).join().expect("it does nothing");
            App::new(jobs::handlers())
        }
        Ok("async-main") => {
            let runtime = Runtime::new().expect("the system has what a runtime needs");
            return runtime.block_on(async { rq_cli::main(jobs::handlers()) });
        }
        _ => App::new(jobs::handlers()),
    };
    app.state(Counter::default).run()
}

/// A service with a runtime of its own, which runs two workers until it gets a SIGTERM: the first on the queue `one`, the
/// second on the queue `two`.
fn service() -> anyhow::Result<()> {
    let [one, two] = [worker("one")?.prepare()?, worker("two")?.prepare()?];
    Runtime::new()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let (stop_one, stop_two) =
            (tokio::sync::oneshot::channel::<()>(), tokio::sync::oneshot::channel::<()>());
        let one = tokio::spawn(one.run_until(async { drop(stop_one.1.await) }));
        let two = tokio::spawn(two.run_until(async { drop(stop_two.1.await) }));
        terminate.recv().await;
        drop((stop_one.0, stop_two.0));
        one.await??;
        Ok(two.await??)
    })
}

/// One that has a runtime before it thinks of its worker.
fn late_service() -> anyhow::Result<()> {
    Runtime::new()?.block_on(async { Ok(worker("one")?.run_until(std::future::pending()).await?) })
}

fn worker(queue: &str) -> anyhow::Result<Worker> {
    let worker = Worker::new(jobs::handlers()).state(Counter::default).keys(Keys::from_env()?);
    let worker = worker.url(std::env::var("RQ_REDIS_URL")?).queues([queue]).concurrency(1);
    Ok(worker.executor_options(ForkOptions::default().job_grace(Duration::from_secs(1))))
}

/// How a service ends.
fn told(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Two death penalties around each job, three handlers for each failure. The second keeps timeouts from the third, and
/// breaks down at panics.
fn watched(app: App) -> App {
    app.preload(|| say("preloaded".to_owned()))
        .death_penalty(Announced("first"))
        .death_penalty(Announced("second"))
        .on_exception(|job, failure| {
            tell("first", job, failure);
            ControlFlow::Continue(())
        })
        .on_exception(|job, failure| {
            assert!(!matches!(failure, Failure::Panic(_)), "the second handler breaks down");
            tell("second", job, failure);
            match failure {
                Failure::Timeout { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        .on_exception(|job, failure| {
            tell("third", job, failure);
            ControlFlow::Continue(())
        })
}

/// Pieces that say what they see. The handler `always` is there without being named.
fn pieces(app: App) -> App {
    let handler = |name: &'static str| {
        move |job: &Job, failure: &Failure| {
            tell(name, job, failure);
            ControlFlow::Continue(())
        }
    };
    let audited = |ctx: &Context, next: Next<'_>| {
        say(format!("audited: {} begins", ctx.job().id));
        let outcome = next.run();
        say(format!("audited: {} ends", ctx.job().id));
        outcome
    };
    app.on_exception(handler("always"))
        .exception_handler_named("report", handler("report"))
        // The name that its Python had.
        .exception_handler_named("app.handlers.page", handler("page"))
        .death_penalty_named("cpu", Announced("cpu"))
        .job_class("audited", audited)
        .queue_class("urgent", |queue| queue.default_timeout(Duration::from_secs(10)))
        .executor::<Fork>("fresh")
        .executor_with::<Fork>("kept", ForkOptions::default().horse_jobs(2))
}

fn tell(handler: &str, job: &Job, failure: &Failure) {
    say(format!("{handler} handler: {} ended by {}", job.id, failure.kind()));
}

/// A line in one piece: several processes may write at once.
fn say(line: String) {
    // A test that reads no more misses nothing.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A death penalty that replaces the limit by so many times as much, or by none.
struct Scaled(Option<f64>);

impl DeathPenalty for Scaled {
    fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard> {
        assert_eq!(ctx.deadline(), None, "nobody knows of it");
        let Some((limit, factor)) = limit.zip(self.0) else { return Box::new(()) };
        let (limit, ender) = (limit.mul_f64(factor), ctx.ender());
        let (armed, called_off) = channel::<()>();
        std::thread::spawn(move || {
            if called_off.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                ender.time_out(limit);
            }
        });
        Box::new(armed)
    }

    fn replaces_limit(&self) -> bool {
        true
    }
}

/// A death penalty that says when it is armed and when it is called off.
struct Announced(&'static str);

struct Armed {
    name: &'static str,
    job_id: String,
}

impl DeathPenalty for Announced {
    fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard> {
        let job_id = ctx.job().id.clone();
        // It runs where jobs do, between one and the next.
        if let Some(left) = Context::current() {
            say(format!("{} has left its context", left.job().id));
        }
        say(format!("{} penalty: {job_id} armed for {limit:?}", self.0));
        Box::new(Armed { name: self.0, job_id })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        say(format!("{} penalty: {} called off", self.name, self.job_id));
    }
}
