//! Python RQ, the other side of every interoperation test.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Child, Scratch};

/// Which Python RQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PythonRq {
    /// 3.0.0.
    Rq3,
    /// 2.12.0.
    Rq2,
    /// 1.16.2.
    Rq1,
}

impl PythonRq {
    /// All of them, the newest first.
    pub const ALL: [PythonRq; 3] = [PythonRq::Rq3, PythonRq::Rq2, PythonRq::Rq1];

    /// What names the interpreter of an environment that holds it. `cargo xtask test` sets it.
    fn variable(self) -> &'static str {
        match self {
            PythonRq::Rq3 => "RQ_TEST_PYTHON",
            PythonRq::Rq2 => "RQ_TEST_PYTHON_2",
            PythonRq::Rq1 => "RQ_TEST_PYTHON_1",
        }
    }
}

/// Jobs that Python workers run, and that our handlers share their names with.
const JOBS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
/// How long a snippet or a command may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What every snippet begins with.
const PRELUDE: &str = "\
import datetime, json, os, sys, time
import redis, rq
from rq import Queue, Worker, SimpleWorker, Retry
from rq.job import Job
conn = redis.Redis.from_url(os.environ['RQ_REDIS_URL'])
";

/// Python RQ on a scratch key space.
pub struct Python<'a> {
    interpreter: String,
    scratch: &'a Scratch,
}

impl<'a> Python<'a> {
    /// Python RQ 3.0.0, working on `scratch`.
    ///
    /// # Panics
    /// When `RQ_TEST_PYTHON` names no interpreter.
    pub fn new(scratch: &'a Scratch) -> Self {
        Self::of(PythonRq::Rq3, scratch)
    }

    /// This Python RQ, working on `scratch`; those before 3.0 only where its prefix is theirs
    /// ([`Scratch::unprefixed_on`]).
    ///
    /// # Panics
    /// When no interpreter of it is named.
    pub fn of(rq: PythonRq, scratch: &'a Scratch) -> Self {
        Self::named_by(rq.variable(), scratch)
    }

    /// Python RQ 3.0.0 in an environment that has rq-dashboard and django-rq as well.
    ///
    /// # Panics
    /// When no interpreter of it is named.
    pub fn with_dashboards(scratch: &'a Scratch) -> Self {
        Self::named_by("RQ_TEST_PYTHON_DASHBOARDS", scratch)
    }

    fn named_by(variable: &str, scratch: &'a Scratch) -> Self {
        let interpreter = std::env::var(variable).unwrap_or_else(|_| {
            panic!("this test needs Python RQ, and {variable} is not set: run `cargo xtask test`.")
        });
        Self { interpreter, scratch }
    }

    /// Runs a snippet and returns what it printed. It finds `conn` (the connection), `redis`, `rq`, `Queue`, `Worker`,
    /// `SimpleWorker`, `Retry`, `Job`, `json`, `datetime`, `os`, `sys` and `time`, and may import the jobs of `tests/python`.
    ///
    /// # Panics
    /// When it raises, with its traceback, or takes longer than a minute.
    #[track_caller]
    pub fn run(&self, code: &str) -> String {
        self.spawn(code).succeed(LIMIT)
    }

    /// As [`Python::run`], without waiting for its end.
    pub fn spawn(&self, code: &str) -> Child {
        Child::spawn(self.command().arg("-c").arg(format!("{PRELUDE}{code}")))
    }

    /// Runs Python's `rq` and returns what it printed: `rq(&["info", "--raw"])`.
    ///
    /// # Panics
    /// When its exit code is not 0, or it takes longer than a minute.
    #[track_caller]
    pub fn rq(&self, args: &[&str]) -> String {
        self.spawn_rq(args).succeed(LIMIT)
    }

    /// As [`Python::rq`], without waiting for its end: a worker that goes on, a command that fails.
    pub fn spawn_rq(&self, args: &[&str]) -> Child {
        Child::spawn(&mut self.rq_command(args))
    }

    /// Python's `rq` about to run, for whoever needs more than the arguments.
    pub fn rq_command(&self, args: &[&str]) -> Command {
        let mut command = self.command();
        command.args(["-m", "rq.cli"]).args(args);
        command
    }

    fn command(&self) -> Command {
        let mut command = self.scratch.command(&self.interpreter);
        command.current_dir(Path::new(JOBS)).env("PYTHONPATH", JOBS);
        // Lines as they happen; no compiled files beside the sources.
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_works_on_its_scratch_alone() {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let printed = python
            .run("print(rq.VERSION, Queue(connection=conn).enqueue('interop.add', 2, 3, job_id='j').id)");
        assert_eq!(printed, "3.0.0 j\n");
        python.rq(&["worker", "--burst", "default"]);
        assert_eq!(python.run("print(Job.fetch('j', connection=conn).return_value())"), "5\n");
        let dump = scratch.dump();
        assert_eq!(dump["rq:job:j"].hash()["status"], "finished");
    }

    #[test]
    #[should_panic(expected = "ZeroDivisionError")]
    fn a_traceback_is_the_message() {
        Python::new(&Scratch::new()).run("1 / 0");
    }
}
