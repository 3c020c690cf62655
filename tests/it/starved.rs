//! Starved hosts: descriptors, processes, memory, and disk for the log are short, under each executor. No job fails
//! that never began, none is lost, and the worker says why.
//!
//! `cargo xtask rig starved` runs all of it. `cargo test` runs a sample, whatever takes seconds.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Child, Process, Scratch, Stream};

use crate::dice;
use crate::rq_test::{Books, LIMIT, RqTest};

/// How many jobs a worker is given.
const JOBS: usize = 200;
/// How many of them it is to run at once: more than it can.
const CONCURRENCY: &str = "150";
/// How long a worker that can begin nothing tries, and what it may take beside.
const LASTS: Duration = Duration::from_secs(60);
const LASTS_LONGEST: Duration = Duration::from_secs(80);

/// Where a worker is starved.
struct Host {
    scratch: Scratch,
    executor: &'static str,
    concurrency: &'static str,
}

impl Host {
    fn new(executor: &'static str) -> Self {
        Self { scratch: Scratch::new(), executor, concurrency: CONCURRENCY }
    }

    fn args<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        [&["worker", "-w", self.executor, "--concurrency", self.concurrency], more].concat()
    }

    /// The worker, executed by a program that limits it: `["prlimit", "--nofile=64:64"]`.
    fn under(&self, limit: &[&str], more: &[&str]) -> Child {
        let rq = RqTest::new(&self.scratch).command(&self.args(more));
        let mut command = self.scratch.command(limit[0]);
        Child::spawn(command.args(&limit[1..]).arg(rq.get_program()).args(rq.get_args()))
    }

    /// The worker, without limits so far, once it listens.
    fn worker(&self, more: &[&str]) -> Child {
        RqTest::new(&self.scratch).worker(&self.args(more)[1..])
    }

    fn enqueue(&self, call: impl Fn() -> Call<u64>) {
        self.scratch.queue("default").enqueue_many((0..JOBS).map(|_| call())).unwrap();
    }

    /// Asserts that all jobs have run, and that none was failed.
    #[track_caller]
    fn assert_all_ran(&self, worker: &Child) {
        let counts = [("finished:default", JOBS), ("failed:default", 0), ("wip:default", 0)];
        for (registry, count) in counts {
            assert_eq!(self.scratch.count(registry), count, "{registry}: {}", worker.report());
        }
        assert!(self.scratch.waiting("default").is_empty());
    }

    /// Asserts that nothing has run, and that everything waits, in order.
    #[track_caller]
    fn assert_all_wait(&self, ids: &[String], worker: &Child) {
        assert_eq!(self.scratch.waiting("default"), ids, "{}", worker.report());
        for id in ids {
            assert_eq!(self.scratch.status(id), "queued");
        }
        for registry in ["finished:default", "failed:default", "wip:default"] {
            assert_eq!(self.scratch.count(registry), 0, "{registry}: {}", worker.report());
        }
    }
}

fn sleep(ms: u64) -> impl Fn() -> Call<u64> {
    move || Call::to("test.sleep").arg(ms)
}

fn sleep_async(ms: u64) -> impl Fn() -> Call<u64> {
    move || Call::to("test.sleep_async").arg(ms)
}

#[track_caller]
fn assert_exit(worker: &Child, status: ExitStatus, code: i32) {
    assert_eq!(status.code(), Some(code), "{}", worker.report());
}

/// Part of the line of a worker that is short.
pub(crate) const SHORT: &str = "jobs that cannot begin are put back";

/// Asserts that a worker has said once that it is short, and of what.
#[track_caller]
pub(crate) fn assert_says_once(worker: &Child, reason: &str) {
    let text = worker.text(Stream::Stdout) + &worker.text(Stream::Stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(SHORT)).collect();
    assert_eq!(lines.len(), 1, "{}", worker.report());
    assert!(lines[0].contains(reason), "{}", lines[0]);
}

/// Sets a limit of a process that runs: `nofile=20:20`.
pub(crate) fn limit(process: u32, limit: &str) {
    let status =
        Command::new("prlimit").args(["--pid", &process.to_string(), &format!("--{limit}")]).status();
    assert!(status.expect("util-linux is everywhere").success());
}

/// The number behind a word in `/proc/<process>/status`, in its unit.
pub(crate) fn in_status(process: u32, word: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with(word)).expect("the system tells");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Lets a process open no more files than it has, and keeps it free to be allowed more again.
pub(crate) fn allow_no_more_files(process: u32) {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process lives").count();
    limit(process, &format!("nofile={open}:1024"));
}

/// A user of this test's own, of whom the system counts the processes; none without the rights of an administrator.
fn stranger() -> Option<String> {
    let is_root = in_status(std::process::id(), "Uid:") == 0;
    // Tests that run at once must not count each other's.
    static STRANGERS: AtomicU32 = AtomicU32::new(0);
    let number = STRANGERS.fetch_add(1, Ordering::Relaxed);
    is_root.then(|| (1_000_000 + 16 * std::process::id() + number).to_string())
}

/// As a user who may have so many processes and threads.
fn with_processes<'a>(uid: &'a str, nproc: &'a str) -> Vec<&'a str> {
    vec!["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "prlimit", nproc]
}

#[test]
fn with_few_descriptors_fewer_processes_run_at_once() {
    let host = Host::new("fork");
    host.enqueue(sleep(20));
    let mut worker = host.under(&["prlimit", "--nofile=64:64"], &["--burst"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    host.assert_all_ran(&worker);
    assert_says_once(&worker, "Too many open files");
}

#[test]
fn with_few_processes_fewer_run_at_once() {
    let Some(uid) = stranger() else { return };
    let host = Host::new("fork");
    host.enqueue(sleep(20));
    let mut worker = host.under(&with_processes(&uid, "--nproc=20:20"), &["--burst"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    host.assert_all_ran(&worker);
    assert_says_once(&worker, "TasksMax=");
}

#[test]
fn with_few_threads_fewer_jobs_run_at_once() {
    let Some(uid) = stranger() else { return };
    let host = Host::new("thread");
    host.enqueue(sleep(20));
    let mut worker = host.under(&with_processes(&uid, "--nproc=20:20"), &["--burst"]);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    host.assert_all_ran(&worker);
    assert_says_once(&worker, "no thread could be had for a job");
}

#[test]
fn with_little_room_for_stacks_fewer_coroutines_run_at_once() {
    let host = Host::new("green");
    let mut worker = host.worker(&["--max-jobs", &JOBS.to_string()]);
    // Room for a few stacks, beside those that it has.
    let room_bytes = (in_status(worker.id(), "VmSize:") << 10) + (8 << 20);
    limit(worker.id(), &format!("as={room_bytes}:{room_bytes}"));
    host.enqueue(sleep(500));
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    host.assert_all_ran(&worker);
    assert_says_once(&worker, "no coroutine could be started");
}

/// A fork server that died cannot be replaced for want of descriptors: the worker tries again, and counts that as no
/// further death.
#[test]
fn a_fork_server_that_cannot_be_replaced_is_tried_again() {
    let host = Host::new("fork");
    let mut worker = host.worker(&["--max-jobs", &JOBS.to_string()]);
    allow_no_more_files(worker.id());
    let server = Process::all_on(&host.scratch).into_iter().find(|process| process.name == "rq-fork-server");
    let status = Command::new("kill").args(["-KILL", &server.expect("there is one").id.to_string()]).status();
    assert!(status.expect("every system has it").success());
    host.enqueue(sleep(1));
    worker.wait_for_line(SHORT, LIMIT);
    // More tries than servers may die.
    std::thread::sleep(Duration::from_secs(4));
    limit(worker.id(), "nofile=1024:1024");
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    host.assert_all_ran(&worker);
    assert_says_once(&worker, "no process could be had for a job");
}

#[test]
fn a_full_disk_for_the_log_stops_nothing() {
    for executor in ["fork", "thread", "green"] {
        let host = Host::new(executor);
        host.enqueue(sleep(1));
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        let mut command = RqTest::new(&host.scratch).command(&host.args(&["--burst"]));
        let status = command.stdin(Stdio::null()).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{executor}");
        assert_eq!(host.scratch.count("finished:default"), JOBS, "{executor}");
        assert_eq!(host.scratch.count("failed:default"), 0, "{executor}");
    }
}

/// Takes the minute that a worker tries.
#[test]
fn a_worker_that_can_begin_nothing_leaves_with_the_cause() {
    if !dice::is_full() {
        return;
    }
    let starve = |executor: &'static str, call: &dyn Fn() -> Call<u64>, reason: &str| {
        let host = Host { concurrency: "1", ..Host::new(executor) };
        let mut worker = host.worker(&[]);
        allow_no_more_files(worker.id());
        let jobs = host.scratch.queue("default").enqueue_many((0..JOBS).map(|_| call())).unwrap();
        let ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
        let began = Instant::now();
        let status = worker.wait(LASTS_LONGEST);
        assert_exit(&worker, status, 1);
        assert!(began.elapsed() >= LASTS, "{}", worker.report());
        host.assert_all_wait(&ids, &worker);
        let said = worker.text(Stream::Stderr);
        assert!(
            said.contains("no job could be begun, and all were put back") && said.contains(reason),
            "{said}"
        );
    };
    std::thread::scope(|scope| {
        scope.spawn(|| starve("fork", &sleep(1), "no process could be had for a job"));
        for executor in ["thread", "green"] {
            scope.spawn(move || starve(executor, &sleep_async(1), "the runtime for async jobs"));
        }
    });
}

#[test]
fn a_worker_that_can_have_no_threads_of_its_own_says_so() {
    let Some(uid) = stranger() else { return };
    for executor in ["fork", "thread", "green"] {
        for processes in ["--nproc=1:1", "--nproc=2:2", "--nproc=4:4", "--nproc=8:8"] {
            let host = Host::new(executor);
            let mut worker = host.under(&with_processes(&uid, processes), &["--burst"]);
            let status = worker.wait(LIMIT);
            let said = worker.text(Stream::Stderr);
            assert!(
                status.success() || !said.trim().is_empty(),
                "{executor}, {processes}: {}",
                worker.report()
            );
        }
    }
}
