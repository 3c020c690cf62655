//! `rq worker-pool` beside Python's: what it says, how it ends, and that it keeps its workers.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use rq_core::Call;
use rq_tests::{Child, Gate, Process, Python, Scratch, Signal, Stream, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// What lines of a pool, and of nobody else, have.
const OF_A_POOL: [&str; 7] = [
    "Starting worker pool",
    "Starting worker started",
    "Received SIGINT/SIGTERM",
    "Sending stop signal",
    "Sent shutdown command",
    "is dead",
    "All workers stopped",
];
/// The digits of RQ's names.
const NAME_DIGITS: usize = 32;

/// The lines of a pool that ended well, with each time, name and process id by its kind.
#[track_caller]
fn lines(mut pool: Child) -> Vec<String> {
    let status = pool.wait(LIMIT);
    assert!(status.success(), "{status}");
    let text = pool.text(Stream::Stdout);
    let of_pool = text.lines().filter(|line| OF_A_POOL.iter().any(|part| line.contains(part)));
    of_pool.map(normalised).collect()
}

fn normalised(line: &str) -> String {
    let (_, message) = line.split_once(' ').unwrap();
    let word = |word: &str| {
        let number = word.trim_end_matches('.');
        let is_hex = number.len() == NAME_DIGITS && number.chars().all(|c| c.is_ascii_hexdigit());
        match number.parse::<u32>() {
            _ if is_hex => word.replace(number, "NAME"),
            // Counts of workers have one digit here.
            Ok(10..) => word.replace(number, "PID"),
            _ => word.to_owned(),
        }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Both pools with these arguments, ended by a signal once all workers listen, or by themselves.
#[track_caller]
fn check(args: &[&str], workers: usize, signal: Option<Signal>) {
    let args = [&["worker-pool"], args].concat();
    let (here, there) = (Scratch::new(), Scratch::new());
    let (ours, pythons) = (RqTest::new(&here).spawn(&args), Python::new(&there).spawn_rq(&args));
    if let Some(signal) = signal {
        for (pool, scratch) in [(&ours, &here), (&pythons, &there)] {
            pool.wait_for_lines("*** Listening on", workers, LIMIT);
            // A worker of Python's that is still at its beginning does not survive a signal.
            eventually("all workers to be idle", LIMIT, || (idle_workers(scratch) == workers).then_some(()));
            pool.signal(signal);
        }
    }
    let mut expected = lines(pythons);
    // Python's pool looks once a second, and tells who died in between in any order.
    let mut found = lines(ours);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{args:?}");
}

fn idle_workers(scratch: &Scratch) -> usize {
    let workers: Vec<String> = scratch.query("SMEMBERS", [scratch.key("workers")]);
    let state = |key: &String| scratch.query::<Option<String>>("HGET", [key.as_str(), "state"]);
    workers.iter().filter(|key| state(key).as_deref() == Some("idle")).count()
}

#[test]
fn a_pool_says_what_pythons_says() {
    check(&["-n", "2", "--burst", "a", "b"], 2, None);
    check(&["-b", "-n", "0"], 0, None);
    check(&["-n", "2", "q"], 2, Some(Signal::SIGTERM));
    check(&["-n", "1"], 1, Some(Signal::SIGINT));
}

#[test]
fn lines_come_in_rqs_order() {
    let scratch = Scratch::new();
    let found = lines(RqTest::new(&scratch).spawn(&["worker-pool", "--burst"]));
    let expected = [
        "Starting worker pool NAME with pid PID...",
        "Starting worker started with PID PID",
        "Worker NAME with pid PID is dead",
        "All workers stopped, exiting...",
    ];
    assert_eq!(found, expected);
}

#[test]
fn all_workers_of_a_pool_run_jobs_and_are_schedulers() {
    let scratch = Scratch::new();
    let gates = [Gate::new(&scratch, "one"), Gate::new(&scratch, "two")];
    for gate in &gates {
        scratch.queue("q").enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    }
    let pool =
        RqTest::new(&scratch).spawn(&["worker-pool", "-n", "2", "-w", "thread", "--url", scratch.url(), "q"]);
    pool.wait_for_lines("*** Listening on q", 2, LIMIT);
    gates.iter().for_each(|gate| drop(gate.wait_for_arrival()));
    pool.wait_for_line("Acquired scheduler lock for q", LIMIT);
    assert_no_argument_has_a_url(&scratch, pool.id());
    gates.iter().for_each(|gate| gate.open(1));
    pool.wait_for_lines("q: Job OK", 2, LIMIT);
    pool.signal(Signal::SIGTERM);
    assert_eq!(lines(pool).last().unwrap(), "All workers stopped, exiting...");
}

/// But for the pool's own, which somebody has typed.
#[track_caller]
fn assert_no_argument_has_a_url(scratch: &Scratch, pool: u32) {
    let arguments = |id: u32| fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let pools = arguments(pool);
    let mut workers = 0;
    for process in Process::all_on(scratch) {
        let text = String::from_utf8_lossy(&arguments(process.id)).replace('\0', " ");
        workers += usize::from(text.starts_with("rq:worker:"));
        if arguments(process.id) != pools {
            assert!(!text.contains("redis://"), "{text}");
        }
    }
    assert!(workers >= 2, "{workers} workers were looked at");
}

#[test]
fn a_worker_that_was_killed_is_followed_by_another() {
    let scratch = Scratch::new();
    let pool = RqTest::new(&scratch).spawn(&["worker-pool", "-w", "thread"]);
    let line = pool.wait_for_line("Starting worker started with PID", LIMIT);
    pool.wait_for_line("*** Listening on", LIMIT);
    let names = || -> BTreeSet<String> { scratch.query("SMEMBERS", [scratch.key("workers")]) };
    let before = names();
    let id = line.rsplit(' ').next().unwrap();
    assert!(Command::new("kill").args(["-KILL", id]).status().unwrap().success());
    pool.wait_for_line(&format!("with pid {id} is dead"), LIMIT);
    pool.wait_for_lines("*** Listening on", 2, LIMIT);
    // Of another name: that of the dead one is taken until it is missed.
    assert!(names().difference(&before).count() == 1, "{before:?}, then {:?}", names());
    pool.signal(Signal::SIGTERM);
    lines(pool);
}

#[test]
fn a_second_signal_ends_what_runs() {
    let scratch = Scratch::new();
    let gate = Gate::new(&scratch, "gate");
    let call = Call::<String>::to("test.gate").arg(gate.key()).job_id("j");
    scratch.queue("default").enqueue(call).unwrap();
    let mut pool = RqTest::new(&scratch).spawn(&["worker-pool"]);
    gate.wait_for_arrival();
    pool.signal(Signal::SIGINT);
    pool.wait_for_line("warm shut down requested", LIMIT);
    assert_eq!(pool.wait_at_most(std::time::Duration::from_millis(1200)), None);
    pool.signal(Signal::SIGINT);
    assert!(pool.wait(LIMIT).success());
    assert_eq!(scratch.status("j"), "failed");
}

#[test]
fn a_pool_that_is_suspended_waits() {
    let scratch = Scratch::new();
    let rq = RqTest::new(&scratch);
    rq.run(&["suspend"]);
    scratch.queue("default").enqueue(Call::<String>::to("test.greet").arg("x").job_id("j")).unwrap();
    let pool = rq.spawn(&["worker-pool"]);
    pool.wait_for_line("suspended, run `rq resume` to resume", LIMIT);
    rq.run(&["resume"]);
    eventually("the job to finish", LIMIT, || (scratch.status("j") == "finished").then_some(()));
    pool.signal(Signal::SIGTERM);
    lines(pool);
    // A burst does not wait for that, here as there.
    rq.run(&["suspend"]);
    let mut burst = rq.spawn(&["worker-pool", "--burst"]);
    assert!(burst.wait(LIMIT).success());
    assert!(burst.text(Stream::Stdout).contains("suspended in burst mode, exiting"));
}

#[test]
fn a_pool_whose_redis_is_away_says_so_and_tries_again() {
    let scratch = Scratch::new();
    let mut command = RqTest::new(&scratch).command(&["worker-pool"]);
    let pool = Child::spawn(command.env("RQ_REDIS_URL", "redis://127.0.0.1:1/"));
    let parked = pool.wait_for_line("No worker can be started in place 1 of the pool", LIMIT);
    assert!(parked.contains("cannot be reached"), "{parked}");
    pool.signal(Signal::SIGINT);
    lines(pool);
}
