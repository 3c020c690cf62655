//! An `rq` with the jobs that the tests enqueue; `rq_tests::jobs` lists them.
//!
//! `RQ_TEST_APP` says what else it is: `empty`, as the stock `rq`, which has no jobs; or `watched`, which says what
//! its preload, death penalties and exception handlers see.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use rq_cli::App;
use rq_core::{Context, DeathPenalty, Failure, Guard, Handlers, Job};
use rq_tests::jobs::{self, Counter};

fn main() -> ExitCode {
    let app = match std::env::var("RQ_TEST_APP").as_deref() {
        Ok("empty") => App::new(Handlers::new()),
        Ok("watched") => watched(App::new(jobs::handlers())),
        _ => App::new(jobs::handlers()),
    };
    app.state(Counter::default).run()
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

fn tell(handler: &str, job: &Job, failure: &Failure) {
    say(format!("{handler} handler: {} ended by {}", job.id, failure.kind()));
}

/// A line in one piece: several processes may write at once.
fn say(line: String) {
    // A test that reads no more misses nothing.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
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
        say(format!("{} penalty: {job_id} armed for {limit:?}", self.0));
        Box::new(Armed { name: self.0, job_id })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        say(format!("{} penalty: {} called off", self.name, self.job_id));
    }
}
