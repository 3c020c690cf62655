//! [`RqTest`]: our `rq` with the test jobs, on a scratch key space. The counterpart of [`rq_tests::Python`].

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use rq_core::{Keys, blocking::Queue};
use rq_tests::{Child, Scratch, Stream};

/// How long a command, or a worker that ends by itself, may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// How long a burst may take: ten thousand jobs, each in a process of its own, take half a minute where nothing else runs.
const DRAIN_LIMIT: Duration = Duration::from_secs(180);

/// How long a worker may take to leave that has nothing else to do, and whose last words nobody reads: a second, and
/// what a busy machine takes.
pub(crate) const LEAVES_WITHIN: Duration = Duration::from_secs(3);

/// Our `rq` with the test jobs, working on `scratch`.
pub(crate) struct RqTest<'a> {
    scratch: &'a Scratch,
    app: &'static str,
}

impl<'a> RqTest<'a> {
    pub(crate) fn new(scratch: &'a Scratch) -> Self {
        Self { scratch, app: "" }
    }

    /// Another of the apps that the program can be; it lists them.
    pub(crate) fn app(scratch: &'a Scratch, app: &'static str) -> Self {
        Self { scratch, app }
    }

    /// The program about to run, for whoever needs more than the arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scratch.command(env!("CARGO_BIN_EXE_rq-test"));
        command.args(args).env("RQ_TEST_APP", self.app);
        command
    }

    /// Starts it.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        Child::spawn(&mut self.command(args))
    }

    /// Runs it to its end, which must be a good one, and returns what it wrote to stdout.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.spawn(args).succeed(LIMIT)
    }

    /// Runs it to its end, and returns its exit code and what it wrote to stdout and to stderr.
    #[track_caller]
    pub(crate) fn outcome(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut child = self.spawn(args);
        let status = child.wait(LIMIT);
        (status.code(), child.text(Stream::Stdout), child.text(Stream::Stderr))
    }

    /// Starts a worker and waits until it listens.
    #[track_caller]
    pub(crate) fn worker(&self, args: &[&str]) -> Child {
        let worker = self.spawn(&[&["worker"], args].concat());
        worker.wait_for_line("*** Listening on", LIMIT);
        worker
    }

    /// Runs a worker until the queues are empty.
    #[track_caller]
    pub(crate) fn drain(&self, args: &[&str]) -> String {
        self.spawn(&[&["worker", "--burst"], args].concat()).succeed(DRAIN_LIMIT)
    }
}

/// What a test looks for in the keys of its scratch.
pub(crate) trait Books {
    /// A producer's queue.
    fn queue(&self, name: &str) -> Queue;
    /// The hash under `rq:<name>` as text; empty where there is none.
    fn hash(&self, name: &str) -> BTreeMap<String, String>;
    /// The status of a job; empty where there is none.
    fn status(&self, id: &str) -> String;
    /// The score of a member of the sorted set `rq:<name>`.
    fn score(&self, name: &str, member: &str) -> Option<f64>;
    /// How many the sorted set `rq:<name>` has.
    fn count(&self, name: &str) -> usize;
    /// The ids in a queue, next one first.
    fn waiting(&self, queue: &str) -> Vec<String>;
    /// Seconds that the key `rq:<name>` has left: -1 for ever, -2 where there is none.
    fn ttl_s(&self, name: &str) -> i64;
}

impl Books for Scratch {
    fn queue(&self, name: &str) -> Queue {
        let keys = Keys::new(self.prefix()).expect("the prefix of a scratch is a good one");
        Queue::connect(self.url(), name).expect("the tests' Redis answers").keys(keys)
    }

    fn hash(&self, name: &str) -> BTreeMap<String, String> {
        let raw: BTreeMap<String, Vec<u8>> = self.query("HGETALL", [self.key(name)]);
        raw.into_iter().map(|(field, value)| (field, String::from_utf8_lossy(&value).into_owned())).collect()
    }

    fn status(&self, id: &str) -> String {
        let status: Option<String> = self.query("HGET", [self.key(format!("job:{id}")), "status".into()]);
        status.unwrap_or_default()
    }

    fn score(&self, name: &str, member: &str) -> Option<f64> {
        self.query("ZSCORE", [self.key(name), member.into()])
    }

    fn count(&self, name: &str) -> usize {
        self.query("ZCARD", [self.key(name)])
    }

    fn waiting(&self, queue: &str) -> Vec<String> {
        self.query("LRANGE", [self.key(format!("queue:{queue}")), "0".into(), "-1".into()])
    }

    fn ttl_s(&self, name: &str) -> i64 {
        self.query("TTL", [self.key(name)])
    }
}
