//! What a worker does that is short of what it takes to run jobs.

use std::time::Duration;

use rq_core::{Call, Codec, Payload, Value, zlib};
use rq_tests::{Journal, Line, Scratch, Signal, eventually};

use super::{SOON, Stage, assert_exit};
use crate::rq_test::{Books, LIMIT};
use crate::starved::{SHORT, allow_no_more_files, assert_says_once, in_status, limit};

/// Under `-w fork` a process for it cannot be had, and else a runtime for async jobs.
fn call() -> Call<u64> {
    Call::to("test.sleep_async").arg(1)
}

pub(super) fn what_cannot_begin_goes_back_in_order_and_runs_when_it_can(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let mut worker = stage.worker(&["--concurrency", "1", "--max-jobs", "20"]);
    allow_no_more_files(worker.id());
    let jobs = stage.queue().enqueue_many((0..20).map(|_| call())).unwrap();
    let ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    worker.wait_for_line(SHORT, SOON);
    // Between two tries all of them wait, the first one first.
    eventually("all jobs to wait", SOON, || (scratch.waiting("default") == ids).then_some(()));
    for id in &ids {
        let status = scratch.status(id);
        assert!(["queued", "started"].contains(&&*status), "{status}");
    }
    assert_eq!(scratch.count("failed:default"), 0, "{}", worker.report());
    limit(worker.id(), "nofile=1024:1024");
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    assert_eq!(scratch.count("finished:default"), 20, "{}", worker.report());
    assert_eq!(scratch.count("failed:default") + scratch.count("wip:default"), 0);
    assert_says_once(&worker, "Too many open files");
}

pub(super) fn a_stop_finds_nothing_that_cannot_begin(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    // There is work, so it is not idle.
    let mut worker = stage.worker(&["--concurrency", "4", "--max-idle-time", "1"]);
    allow_no_more_files(worker.id());
    let jobs = stage.queue().enqueue_many((0..20).map(|_| call())).unwrap();
    let mut ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    worker.wait_for_line(SHORT, SOON);
    std::thread::sleep(Duration::from_millis(1500));
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    let mut waiting = scratch.waiting("default");
    waiting.sort();
    ids.sort();
    assert_eq!(waiting, ids, "{}", worker.report());
    assert_eq!(scratch.count("failed:default") + scratch.count("wip:default"), 0);
    worker.wait_for_line("stopping on request", SOON);
}

/// Queues jobs by their ids whose payload inflates to so many bytes; all have the same.
fn enqueue_large(scratch: &Scratch, ids: &[String], journal: &Journal, ms: i64, bytes: usize) {
    let args = vec![Value::Str(journal.path().to_owned()), Value::Int(ms), Value::Str("x".repeat(bytes))];
    let payload = Payload { func: "test.weigh".to_owned(), args, kwargs: Vec::new() };
    let data = zlib::deflate(&Codec::Pickle.encode_payload(&payload).unwrap());
    let mut connection = scratch.connection();
    let mut pipeline = redis::pipe();
    for id in ids {
        let fields = [("status", &b"queued"[..]), ("origin", b"default"), ("data", &data)];
        pipeline.hset_multiple(scratch.key(format!("job:{id}")), &fields).ignore();
        pipeline.rpush(scratch.key("queue:default"), id).ignore();
    }
    pipeline.query::<()>(&mut connection).unwrap();
}

/// Six payloads of 40 kB that inflate to 40 MB each, where twenty slots are free.
pub(super) fn large_payloads_take_their_turn(executor: &'static str) {
    const BYTES: usize = 40 << 20;
    /// What fits at once.
    const AT_ONCE: usize = 3;
    /// What a worker takes without them, what they take inflated and decoded, and some room.
    const PEAK_KB_MAX: u64 = (60 << 10) + ((2 * AT_ONCE * BYTES) >> 10) as u64;
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let journal = Journal::new(scratch);
    let ids: Vec<String> = (0..5).map(|number| format!("large-{number}")).collect();
    enqueue_large(scratch, &ids, &journal, 100, BYTES);
    let mut worker = stage.worker(&["--concurrency", "20"]);
    // What is small passes by.
    let call = Call::<u64>::to("test.sleep").arg(1);
    assert_eq!(stage.queue().enqueue(call).unwrap().wait(SOON).unwrap(), 1);
    assert!(scratch.count("finished:default") < ids.len());
    // One that waits can be stopped, and has not begun.
    let stopped = ids.last().unwrap();
    scratch.query::<()>("PUBLISH", {
        let name: Vec<String> = scratch.query("SMEMBERS", [scratch.key("workers")]);
        let name = name[0].rsplit(':').next().unwrap().to_owned();
        let command = format!(r#"{{"command": "stop-job", "job_id": "{stopped}"}}"#);
        [scratch.key(format!("pubsub:{name}")), command]
    });
    eventually("one to be stopped", SOON, || (scratch.status(stopped) == "stopped").then_some(()));
    eventually("the others to end", 3 * SOON, || {
        (scratch.count("finished:default") == ids.len()).then_some(())
    });
    let peak_kb = in_status(worker.id(), "VmHWM:");
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    let (mut running, mut most) = (0, 0);
    for line in journal.lines() {
        match line {
            Line::Began(id) => {
                assert_ne!(id, *stopped);
                running += 1;
            }
            Line::Ended(_) | Line::Killed => running -= 1,
            Line::Called(..) => {}
        }
        most = most.max(running);
    }
    assert!((1..=AT_ONCE).contains(&most), "{most}");
    assert!(peak_kb <= PEAK_KB_MAX, "{peak_kb} kB, which should be {PEAK_KB_MAX} at most");
}

/// A worker that stops cold gives back what waits for its turn: it has not begun.
pub(super) fn what_waits_for_its_turn_goes_back_in_a_cold_stop(executor: &'static str) {
    const BYTES: usize = 40 << 20;
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let journal = Journal::new(scratch);
    let ids: Vec<String> = (0..5).map(|number| format!("large-{number}")).collect();
    enqueue_large(scratch, &ids, &journal, 60_000, BYTES);
    let mut worker = stage.worker(&["--concurrency", "20"]);
    eventually("as many to run as fit", LIMIT, || (journal.began().len() == 3).then_some(()));
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("warm shut down requested", SOON);
    // Signals within a second are one.
    std::thread::sleep(Duration::from_millis(1100));
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    assert_eq!(scratch.waiting("default"), ids[3..], "{}", worker.report());
    assert_eq!(journal.began().len(), 3);
}

/// Payloads of eight megabytes, a few at a time, and then nothing.
pub(super) fn memory_is_given_back_when_the_worker_rests(executor: &'static str) {
    const BYTES: usize = 8 << 20;
    /// What code that has run, and heaps that nobody uses, may take: less than two payloads.
    const KEPT_KB_MAX: u64 = 14 << 10;
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let journal = Journal::new(scratch);
    let worker = stage.worker(&["--concurrency", "4"]);
    let before_kb = in_status(worker.id(), "VmRSS:");
    let ids: Vec<String> = (0..16).map(|number| format!("large-{number}")).collect();
    enqueue_large(scratch, &ids, &journal, 1, BYTES);
    eventually("all to end", 3 * SOON, || (scratch.count("finished:default") == ids.len()).then_some(()));
    eventually("memory to be given back", SOON, || {
        (in_status(worker.id(), "VmRSS:") <= before_kb + KEPT_KB_MAX).then_some(())
    });
}
