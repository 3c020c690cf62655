//! A program whose command line names pieces of it: an exception handler, a death penalty, a job class and a queue class.
//!
//! ```sh
//! pieces enqueue --queue-class app.queues.Urgent app.halve :6
//! pieces worker --burst --exception-handler app.handlers.report --death-penalty app.penalties.Twice \
//!     --job-class app.jobs.AuditedJob
//! ```
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rq_cli::{
    App, BoxError, Call, Context, DeathPenalty, Failure, Guard, Job, JobOutcome, Next, handlers, job,
};
use rq_core::blocking::Queue;

/// Halves a number that is even.
#[job("app.halve")]
fn halve(number: i64) -> rq_cli::Result<i64> {
    match number % 2 {
        0 => Ok(number / 2),
        _ => Err(format!("{number} is odd").into()),
    }
}

/// Sleeps, and fails where its time is up.
#[job("app.sleep")]
fn sleep(ctx: &Context, milliseconds: u64) -> rq_cli::Result<()> {
    Ok(ctx.sleep(Duration::from_millis(milliseconds))?)
}

/// `--exception-handler app.handlers.report`: where Python had a function of that path.
fn report(job: &Job, failure: &Failure) -> ControlFlow<()> {
    eprintln!("reported: {} ended by {}", job.id, failure.kind());
    ControlFlow::Continue(())
}

/// `--death-penalty app.penalties.Twice`: decides in the place of the limit, and gives each job twice the time.
struct Twice;

impl DeathPenalty for Twice {
    fn replaces_limit(&self) -> bool {
        true
    }

    fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard> {
        let Some(limit) = limit.map(|limit| limit * 2) else { return Box::new(()) };
        let (armed, called_off) = channel::<()>();
        let ender = ctx.ender();
        std::thread::spawn(move || {
            // Nobody sends: the wait ends when the guard is dropped, or when the time is up.
            if called_off.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                ender.time_out(limit);
            }
        });
        Box::new(armed)
    }
}

/// `--job-class app.jobs.AuditedJob`: where Python had a subclass of `Job` with its own `perform`.
fn audited(ctx: &Context, next: Next<'_>) -> JobOutcome {
    let outcome = next.run();
    eprintln!("audited: {} {}", ctx.job().id, if outcome.is_ok() { "went well" } else { "failed" });
    outcome
}

/// Around enqueueing, in queues of the class: every job is stamped with the release that has enqueued it.
fn stamped(_queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
    Ok(call.meta("release", env!("CARGO_PKG_VERSION")))
}

/// `--queue-class app.queues.Urgent`: where Python had a subclass of `Queue`. Jobs have a second, if nothing else is said.
fn urgent(queue: Queue) -> Queue {
    queue.default_timeout(Duration::from_secs(1)).middleware(stamped)
}

fn main() -> ExitCode {
    App::new(handlers![halve, sleep])
        .exception_handler_named("app.handlers.report", report)
        .death_penalty_named("app.penalties.Twice", Twice)
        .job_class("app.jobs.AuditedJob", audited)
        .queue_class("app.queues.Urgent", urgent)
        .run()
}
