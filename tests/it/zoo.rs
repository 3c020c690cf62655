//! Jobs that harm their process: what each is said to have ended by, how soon, and that nothing of it is left but that.

use std::time::{Duration, Instant};

use rq_core::{Call, JobResult, ResultKind, secs};
use rq_tests::{Child, Process, Scratch, Signal, Stream, eventually};

use crate::memory_group::MemoryGroup;
use crate::rq_test::{Books, LIMIT, RqTest};

/// The time limit of each job.
const JOB_LIMIT: Duration = secs(1);
/// The worker's `--job-grace`: from the time limit to SIGTERM.
const JOB_GRACE: Duration = secs(1);
/// From SIGTERM to SIGKILL.
const TERM_GRACE: Duration = secs(1);
/// What the machine may need beside.
const SLACK: Duration = secs(2);
/// How soon what a job has started must be gone when it has ended.
const TREE_GONE_WITHIN: Duration = secs(2);

/// How often processes are counted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A job ends well.
const WELL: &[&str] = &[];
/// A job that had to be ended for its time limit says so, however it was ended.
const LATE: &[&str] = &["JobTimeoutException: Task exceeded maximum timeout value (1 seconds)"];
const SEGFAULT: &[&str] = &["Killed: the process running the job was ended by signal 11"];
const ABORT: &[&str] = &["Killed: the process running the job was ended by signal 6"];
const KILLED: &[&str] = &["Killed: the process running the job was ended by signal 9"];
const BEREFT: &[&str] = &["the fork server has died, and the job's process with it"];
const EXIT_0: &[&str] = &["Exited: the process running the job exited with code 0 before the job had ended"];
const EXIT_3: &[&str] = &["Exited: the process running the job exited with code 3 before the job had ended"];
const UNTOLD: &[&str] = &["Exited: the process running the job exited with code 74 before the job had ended"];
const PANIC: &[&str] = &["a scoped thread panicked"];

/// Each row a test: the job, what its failure says, and within which time it is over. Where a job cuts its process off from
/// the worker, whoever notices first says so.
macro_rules! zoo {
    ($($test:ident: $call:expr => $says:expr, within $limit:expr;)+) => {
        $(#[test]
        fn $test() {
            check($call, $says, $limit);
        })+
    };
}

zoo! {
    a_segfault: Call::to("zoo.segfault") => SEGFAULT, within JOB_LIMIT;
    an_abort: Call::to("zoo.abort") => ABORT, within JOB_LIMIT;
    an_exit: Call::to("zoo.exit").arg(0) => EXIT_0, within JOB_LIMIT;
    an_exit_with_a_code: Call::to("zoo.exit").arg(3) => EXIT_3, within JOB_LIMIT;
    a_stack_overflow: Call::to("zoo.overflow") => ABORT, within JOB_LIMIT;
    an_allocation_that_fails: Call::to("zoo.allocate") => ABORT, within JOB_LIMIT;
    a_panic_in_a_thread: Call::to("zoo.panic_in_thread") => PANIC, within JOB_LIMIT;
    an_endless_loop: Call::to("zoo.spin") => LATE, within JOB_LIMIT + JOB_GRACE;
    one_that_ignores_sigterm: Call::to("zoo.ignore_term") => LATE, within JOB_LIMIT + JOB_GRACE + TERM_GRACE;
    one_that_stops_itself: Call::to("zoo.freeze") => LATE, within JOB_LIMIT + JOB_GRACE + TERM_GRACE;
    one_without_descriptors: Call::to("zoo.close_all").arg(false) => &[UNTOLD, KILLED, EXIT_0].concat(), within JOB_LIMIT;
    one_without_descriptors_that_goes_on: Call::to("zoo.close_all").arg(true) => &[LATE, KILLED, EXIT_0].concat(), within JOB_LIMIT + JOB_GRACE;
    one_that_hangs_up: Call::to("zoo.hang_up") => KILLED, within JOB_LIMIT;
    one_that_leaves_a_thread: Call::to("zoo.leave_thread") => WELL, within JOB_LIMIT;
    one_whose_process_cannot_end: Call::to("zoo.hold_stdout") => WELL, within JOB_LIMIT;
    one_that_leaves_a_program: Call::to("zoo.children") => WELL, within JOB_LIMIT;
    one_that_kills_the_fork_server: Call::to("zoo.kill_master").arg(false) => BEREFT, within JOB_LIMIT;
    one_that_leaves_others_and_kills_the_fork_server: Call::to("zoo.kill_master").arg(true) => BEREFT, within JOB_LIMIT;
    one_that_leaves_a_tree_of_daemons: Call::to("zoo.daemons") => WELL, within JOB_LIMIT;
    one_that_leaves_a_daemon: Call::to("zoo.daemon") => WELL, within JOB_LIMIT;
    one_that_prints_without_end: Call::to("zoo.print") => WELL, within JOB_LIMIT + JOB_GRACE;
}

#[track_caller]
fn check(call: Call<()>, says: &[&str], limit: Duration) {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let mut worker = start(&scratch);
    let job = queue.enqueue(call.timeout(JOB_LIMIT)).unwrap();
    let result = eventually("the end of the job", LIMIT, || job.latest_result().unwrap());
    let JobResult { kind, failure_text, execution_started_at, execution_ended_at, .. } = result;
    let wanted = if says.is_empty() { ResultKind::Successful } else { ResultKind::Failed };
    assert_eq!(kind, wanted, "{failure_text:?}");
    let told = failure_text.unwrap_or_default();
    assert!(says.is_empty() || says.iter().any(|says| told.contains(says)), "{told}");
    let took = execution_ended_at.unwrap().since(execution_started_at.unwrap());
    assert!(took < limit + SLACK, "{took:?}");
    // The worker is none the worse for it, and of the job's process nothing is left.
    let good = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(good.wait(LIMIT).unwrap(), 5);
    check_left(&scratch, 2);
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", worker.report());
    check_left(&scratch, 0);
}

#[test]
fn memory_has_a_limit() {
    const LIMIT_MB: &str = "300";
    let scratch = Scratch::new();
    let rq = RqTest::new(&scratch);
    let worker = rq.worker(&["-w", "fork", "--concurrency", "1", "--job-memory", LIMIT_MB]);
    for hoards in ["zoo.hoard", "zoo.hoard_elsewhere"] {
        let job = scratch.queue("default").enqueue(Call::<()>::to(hoards)).unwrap();
        let result = eventually("the end of the job", LIMIT, || job.latest_result().unwrap());
        let told = result.failure_text.unwrap();
        // It names how much they held, and may.
        let begins = "OutOfMemory: the job and the processes it started held ";
        let held_mb: u64 =
            told.strip_prefix(begins).and_then(|held| held.split(' ').next()?.parse().ok()).expect(&told);
        assert!((300..3_000).contains(&held_mb), "{told}");
        assert!(told.contains("MB of memory and may hold 300 MB: they were ended by signal 9"), "{told}");
        check_left(&scratch, 2);
    }
    // What is mapped and not used does not count.
    let reserves = scratch.queue("default").enqueue(Call::<usize>::to("zoo.reserve")).unwrap();
    assert_eq!(reserves.wait(LIMIT).unwrap(), 1 << 20, "{}", worker.report());
    let good = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(good.wait(LIMIT).unwrap(), 5, "{}", worker.report());
}

#[test]
fn a_control_group_without_memory_is_told_apart() {
    const LIMIT_MB: u64 = 200;
    let Some(group) = MemoryGroup::new(LIMIT_MB << 20) else {
        println!("no control group can be made here, so that none can run out of memory");
        return;
    };
    let scratch = Scratch::new();
    let mut command = RqTest::new(&scratch).command(&["worker", "-w", "fork", "--concurrency", "1"]);
    group.holds(&mut command);
    let worker = Child::spawn(&mut command);
    let job = scratch.queue("default").enqueue(Call::<()>::to("zoo.hoard")).unwrap();
    let result = eventually("the end of the job", LIMIT, || job.latest_result().unwrap());
    let told = result.failure_text.unwrap();
    let says = "OutOfMemory: the process running the job was ended by signal 9 when the memory of the worker's control \
                group was used up";
    assert!(told.starts_with(says), "{told}");
    let good = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(good.wait(LIMIT).unwrap(), 5, "{}", worker.report());
}

#[test]
fn without_its_fork_server_a_worker_starts_another() {
    let scratch = Scratch::new();
    let worker = start(&scratch);
    let job = scratch.queue("default").enqueue(Call::<()>::to("zoo.kill_master").arg(false)).unwrap();
    let error = job.wait(LIMIT).unwrap_err().to_string();
    assert!(error.contains("the fork server has died"), "{error}");
    worker.wait_for_line("another runs with PID", LIMIT);
    let good = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(good.wait(LIMIT).unwrap(), 5);
    check_left(&scratch, 2);
}

/// One by one they are replaced; a job that kills each that comes ends that.
#[test]
fn a_worker_whose_fork_servers_die_and_die_exits_for_its_supervisor() {
    /// More than are replaced within a minute.
    const KILLED: usize = 10;
    let scratch = Scratch::new();
    let calls = (0..KILLED).map(|_| Call::<()>::to("zoo.kill_master").arg(false));
    scratch.queue("default").enqueue_many(calls).unwrap();
    let mut worker = start(&scratch);
    let status = worker.wait(LIMIT);
    assert_eq!(status.code(), Some(1), "{}", worker.report());
    let said = worker.text(Stream::Stderr);
    assert!(said.contains("fork servers have died within"), "{said}");
    check_left(&scratch, 0);
}

/// A worker with one slot, so that what follows a job follows it in the same place.
#[track_caller]
fn start(scratch: &Scratch) -> Child {
    let grace_s = JOB_GRACE.as_secs().to_string();
    RqTest::new(scratch).worker(&["-w", "fork", "--concurrency", "1", "--job-grace", &grace_s])
}

/// Waits until of worker and fork server no more than the last `count` are there, and nothing else.
#[track_caller]
fn check_left(scratch: &Scratch, count: usize) {
    let names = || {
        let mut names: Vec<String> =
            Process::all_on(scratch).into_iter().map(|process| process.name).collect();
        names.sort_unstable();
        names
    };
    let wanted = &["rq-fork-server", "rq-test"][2 - count..];
    let deadline = Instant::now() + TREE_GONE_WITHIN;
    while names() != wanted && Instant::now() < deadline {
        std::thread::sleep(LOOK_EVERY);
    }
    assert_eq!(names(), wanted);
}
