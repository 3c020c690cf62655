//! Names of workers: of a living one nobody takes it, of a dead one it is free soon, as service managers start a worker
//! again under its name.

use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Child, Gate, Python, Scratch, Signal};

use crate::rq_test::{Books, LIMIT, RqTest};

/// How soon a name that is free at once has to be: nothing in it waits.
const AT_ONCE: Duration = Duration::from_secs(8);
/// A system's mark in a worker's record that is not this one's.
const ELSEWHERE: &str = "another-boot pid:[1] 1 1";

fn start(scratch: &Scratch, args: &[&str]) -> (Child, Duration) {
    let began = Instant::now();
    let worker = RqTest::new(scratch).worker(&[&["--name", "w"], args].concat());
    (worker, began.elapsed())
}

fn kill(mut worker: Child) {
    worker.signal(Signal::SIGKILL);
    worker.wait(LIMIT);
}

/// Starts a worker with that lease, and kills it while it runs a job.
fn kill_at_work(scratch: &Scratch, lease_s: &str) {
    let gate = Gate::new(scratch, "gate");
    let (worker, _) = start(scratch, &["--lease", lease_s]);
    scratch.queue("default").enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    kill(worker);
}

#[test]
fn a_worker_that_was_killed_is_started_again_under_its_name_at_once() {
    let scratch = Scratch::new();
    // Longer than the second start may take.
    kill_at_work(&scratch, "30");
    let (next, took) = start(&scratch, &[]);
    assert!(took < AT_ONCE, "{took:?}: {}", next.report());
    assert_eq!(scratch.hash("worker:w")["pid"], next.id().to_string());
}

/// Of a process on another host nothing is known but that it is silent.
#[test]
fn the_name_of_one_that_died_elsewhere_is_free_when_its_leases_are_over() {
    let scratch = Scratch::new();
    kill_at_work(&scratch, "3");
    scratch.query::<()>("HSET", [scratch.key("worker:w"), "process".into(), ELSEWHERE.into()]);
    let (next, took) = start(&scratch, &["--lease", "1"]);
    next.wait_for_line("another worker has that name and seems to be gone", LIMIT);
    // It was renewed a third of a lease before the death at the earliest.
    assert!(took > Duration::from_millis(1900), "{took:?}: {}", next.report());
}

#[test]
fn the_name_of_one_that_lives_elsewhere_is_refused() {
    let scratch = Scratch::new();
    let (lives, _) = start(&scratch, &["--lease", "1"]);
    scratch.query::<()>("HSET", [scratch.key("worker:w"), "process".into(), ELSEWHERE.into()]);
    for name in ["w", "theirs"] {
        let _theirs = (name == "theirs").then(|| {
            let theirs = Python::new(&scratch).spawn_rq(&["worker", "--name", "theirs"]);
            theirs.wait_for_line("*** Listening on", LIMIT);
            theirs
        });
        let (code, _, said) = RqTest::new(&scratch).outcome(&["worker", "--lease", "1", "--name", name]);
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains(&format!("There exists an active worker named '{name}' already")), "{said}");
    }
    drop(lives);
}

#[test]
fn the_name_of_one_of_pythons_that_was_killed_is_free_soon() {
    let scratch = Scratch::new();
    let theirs = Python::new(&scratch).spawn_rq(&["worker", "--name", "w"]);
    theirs.wait_for_line("*** Listening on", LIMIT);
    kill(theirs);
    let (next, took) = start(&scratch, &["--lease", "1"]);
    assert!(took < AT_ONCE, "{took:?}: {}", next.report());
}

#[test]
fn a_record_that_nobody_can_read_keeps_no_name() {
    let scratch = Scratch::new();
    let (killed, _) = start(&scratch, &["--lease", "1"]);
    kill(killed);
    for (field, value) in [("pid", "None"), ("last_heartbeat", "yesterday"), ("queues", "")] {
        scratch.query::<()>("HSET", [scratch.key("worker:w"), field.into(), value.into()]);
    }
    let (next, took) = start(&scratch, &["--lease", "1"]);
    assert!(took < AT_ONCE, "{took:?}: {}", next.report());
}
