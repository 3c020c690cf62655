//! What a worker does when nobody reads its log: the same.

use std::time::Instant;

use rq_core::Call;
use rq_tests::{Child, Gate, Scratch, Signal, Stream, eventually};

use super::{LIMIT, SOON, Stage, assert_exit};
use crate::rq_test::{Books, LEAVES_WITHIN, RqTest};

/// Jobs whose lines come to more than a worker keeps for a reader, 4 MiB: two lines of 24 kB each.
const MANY: usize = 110;
/// How many lines a job has that ends well.
const LINES_A_JOB: usize = 4;

/// A worker whose stdout and stderr are full from the beginning.
fn unread_worker(stage: &Stage, args: &[&str]) -> Child {
    let args = [&["worker", "-w", stage.executor], args].concat();
    Child::spawn_unread(&mut RqTest::new(&stage.scratch).command(&args))
}

/// Has it run many jobs with long lines, and before them one that fails.
fn run_many(stage: &Stage) {
    let long = format!("many-{}", "界".repeat(8_000));
    let many = (0..MANY).map(|number| {
        Call::<i64>::to("math.add").arg(2).arg(number).job_id(format!("many-{number}")).description(&long)
    });
    let failing = Call::<()>::to("test.fail").arg("oh no").job_id("failing");
    stage.queue().enqueue(failing).unwrap();
    stage.queue().enqueue_many(many).unwrap();
    eventually("all jobs to be done", LIMIT, || {
        let counts = [stage.scratch.count("finished:default"), stage.scratch.count("failed:default")];
        (counts == [MANY, 1]).then_some(())
    });
}

/// Stops it, which nobody's reading holds up.
#[track_caller]
fn stop_unread(worker: &mut Child) {
    worker.signal(Signal::SIGTERM);
    let began = Instant::now();
    let status = worker.wait_at_most(LIMIT);
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    assert!(began.elapsed() < LEAVES_WITHIN, "it left after {:?}", began.elapsed());
}

/// When the lease of the one job that runs is over.
fn lease_of_gate(scratch: &Scratch) -> f64 {
    let leases: Vec<(String, f64)> =
        scratch.query("ZRANGE", [scratch.key("leases"), "0".into(), "-1".into(), "WITHSCORES".into()]);
    let lease = leases.iter().find(|(execution, _)| execution.starts_with("gate:"));
    lease.unwrap_or_else(|| panic!("{leases:?}")).1
}

pub(super) fn a_log_that_nobody_reads_stops_nothing(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let mut worker = unread_worker(&stage, &["--verbose", "--concurrency", "4", "--lease", "2"]);
    let waits = Call::<String>::to("test.gate").arg(gate.key()).job_id("gate");
    let waits = stage.queue().enqueue(waits).unwrap();
    gate.wait_for_arrival();
    run_many(&stage);
    let before = lease_of_gate(&stage.scratch);
    eventually("the lease to be renewed", SOON, || (lease_of_gate(&stage.scratch) > before).then_some(()));
    gate.open(1);
    assert_eq!(waits.wait(LIMIT).unwrap(), "gate");
    stop_unread(&mut worker);
}

pub(super) fn whoever_reads_the_log_later_learns_how_much_was_dropped(executor: &'static str) {
    let stage = Stage::new(executor);
    let mut worker = unread_worker(&stage, &["--concurrency", "4"]);
    run_many(&stage);
    worker.read();
    let note = worker.wait_for_line("lines of this log were dropped", SOON);
    let words = note.split(' ').find_map(|word| word.parse::<usize>().ok());
    let dropped = words.unwrap_or_else(|| panic!("no number: {note}"));
    // From here on all comes, to the end.
    let last = Call::<i64>::to("math.add").arg(2).arg(3).job_id("last");
    stage.queue().enqueue(last).unwrap().wait(LIMIT).unwrap();
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_exit(&worker, status, 0);
    let out = worker.text(Stream::Stdout);
    let lines: Vec<&str> = out.lines().filter(|line| *line != "from before").collect();
    let of_many = lines.iter().filter(|line| line.contains("many-")).count();
    assert_eq!(of_many + dropped, LINES_A_JOB * MANY, "{of_many} lines came, and {note}");
    let at =
        |part: &str| lines.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}"));
    let order = ["*** Listening on", "many-0", " were dropped", "math.add(2, 3) (last)", "result is kept"];
    let places = order.map(at);
    assert!(places[..4].is_sorted(), "{order:?} at {places:?}");
    assert!(lines.last().unwrap().contains("unsubscribing"), "{:?}", lines.last());
    assert!(
        worker.text(Stream::Stderr).contains("job failing: exception raised"),
        "the other stream is whole"
    );
}
