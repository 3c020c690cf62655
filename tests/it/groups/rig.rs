//! A large group, over workers that are cut off and killed: its end comes once, and after all its jobs.
//!
//! `cargo xtask rig groups` has 10,000 members. `cargo test` has fewer.

use std::os::unix::process::CommandExt;

use rq_core::{Call, OnCrash, secs};
use rq_tests::{Child, Fault, Journal, Line, Proxy, Scratch};

use super::noted;
use crate::dice::{Dice, SEED, is_full, seed};
use crate::rq_test::{Books, LIMIT, RqTest};

/// How many members there are, and how many workers meet faults one after the other.
const FULL: (usize, usize) = (10_000, 40);
const SAMPLE: (usize, usize) = (600, 4);
/// Within how many requests of a worker its faults come.
const REQUESTS: u64 = 120;
/// The job that waits, in a queue that no worker serves which is killed: it must run once.
const LAST: &str = "last";

#[test]
fn the_end_of_a_large_group_comes_once_whatever_breaks() {
    let (members, workers) = if is_full() { FULL } else { SAMPLE };
    let seed = seed();
    println!("{members} members, {workers} workers ({SEED}={seed} repeats it)");
    let mut dice = Dice::new(seed);
    let scratch = Scratch::new();
    let journal = Journal::new(&scratch);
    let call = |id: &str| Call::<()>::to("interop.journal").arg(journal.path()).arg(id).arg(0).job_id(id);
    let group = scratch.queue("default").group("g").unwrap();
    let ids: Vec<String> = (0..members).map(|number| format!("j{number}")).collect();
    group.enqueue_many(ids.iter().map(|id| call(id).on_crash(OnCrash::Requeue))).unwrap();
    let mut last = None;
    for _ in 0..workers {
        let faults = Fault::ALL.map(|fault| (1 + dice.below(REQUESTS) as usize, fault));
        let proxy = Proxy::new(scratch.url(), faults);
        let mut command = RqTest::new(&scratch).command(&[
            "worker",
            "--burst",
            "--concurrency",
            "8",
            "--lease",
            "0.3",
            "default",
        ]);
        let mut worker = Child::spawn(command.env("RQ_REDIS_URL", proxy.url()).process_group(0));
        proxy.aim_at(worker.id());
        // While the first one is at work: members end while they are noted.
        if last.is_none() {
            let waiting = scratch.queue("last").group("g").unwrap();
            last = Some(waiting.on_complete(call(LAST)).unwrap());
        }
        if !worker.wait(LIMIT).success() {
            journal.note_kill();
        }
    }
    let _worker = RqTest::new(&scratch).worker(&["--lease", "0.3", "default", "last"]);
    let last = last.expect("there was a worker");
    if let Err(error) = last.wait(secs(120)) {
        panic!("{error}: {}, {}", group.status().unwrap(), scratch.dump_json());
    }
    let status = group.status().unwrap();
    assert_eq!((status.total(), status.open(), status.gone()), (members, 0, 0), "{status}");
    assert_eq!(noted(&scratch), [""; 0]);
    check(&journal.lines());
}

/// It ran once, and nothing after it.
fn check(lines: &[Line]) {
    let is_last = |line: &Line| matches!(line, Line::Began(id) | Line::Ended(id) if id == LAST);
    let expected = [Line::Began(LAST.to_owned()), Line::Ended(LAST.to_owned())];
    assert_eq!(
        lines.iter().filter(|line| is_last(line)).collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    assert!(lines.ends_with(&expected), "{:?}", &lines[lines.len().saturating_sub(20)..]);
}
