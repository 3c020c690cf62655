//! The scheduler inside our workers, alone and beside Python's: each due job is enqueued once, whoever schedules.
//!
//! | file | holds |
//! |---|---|
//! | `schedule/python.rs` | ours and Python's on the same queues |
//! | `schedule/unlocked.rs` | workers that are no schedulers |
//! | `schedule/many.rs` | thousands of queues |
//! | `schedule/rig.rs` | two of ours, stopped and killed at random |

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rq_core::{Call, Timestamp, secs};
use rq_tests::{Child, Gate, PrivateRedis, Scratch, Signal, Stream, eventually, jobs};

use crate::rq_test::{Books, LIMIT, RqTest};

mod many;
mod python;
mod rig;
mod unlocked;

/// What a scheduler says when it takes a queue.
const ACQUIRED: &str = "Acquired scheduler lock for default";
/// Long enough that it is not due in a test.
const LATER: Duration = Duration::from_secs(3600);

/// Starts a worker with a scheduler, named `name`, and waits until it holds the queue `default`.
#[track_caller]
fn scheduling_worker(scratch: &Scratch, name: &str) -> Child {
    let worker = RqTest::new(scratch).worker(&["--with-scheduler", "--name", name]);
    worker.wait_for_line(ACQUIRED, LIMIT);
    worker
}

/// Keeps the workers that run from claiming, so that what is enqueued stays in its queue.
fn suspend(scratch: &Scratch) {
    scratch.query::<()>("SET", [scratch.key("suspended"), "1".into()]);
}

/// Who holds the queue `default`.
fn holder(scratch: &Scratch) -> Option<String> {
    scratch.query("GET", [scratch.key("scheduler-lock:default")])
}

/// How many times each id is in the queue `default`.
fn counted(scratch: &Scratch) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for id in scratch.waiting("default") {
        *counted.entry(id).or_default() += 1;
    }
    counted
}

#[track_caller]
fn stop(mut worker: Child) {
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert!(status.success(), "{status}: {}", worker.report());
}

#[test]
fn jobs_run_when_they_are_due_and_not_before() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let later = queue.enqueue_in(LATER, jobs::add::call(1, 1)).unwrap();
    let soon = queue.enqueue_in(secs(2), jobs::add::call(2, 3)).unwrap();
    let due = Timestamp::now().after(secs(1));
    let worker = scheduling_worker(&scratch, "w");
    let past = queue.enqueue_at(Timestamp::now().before(LATER), jobs::add::call(3, 4)).unwrap();
    assert_eq!((past.wait(LIMIT).unwrap(), soon.wait(LIMIT).unwrap()), (7, 5));
    let began = soon.job().unwrap().unwrap().started_at.unwrap();
    assert!(began >= due, "due at {due} at the earliest, and begun at {began}");
    assert_eq!(scratch.status(later.id()), "scheduled");
    let record = scratch.hash(&format!("scheduler:{}", holder(&scratch).unwrap()));
    assert_eq!((&record["queues"], &record["pid"]), (&"default".to_string(), &worker.id().to_string()));
    stop(worker);
    let left = scratch.dump();
    assert!(!left.keys().any(|name| name.starts_with("rq:scheduler")), "{:?}", left.keys());
}

#[test]
fn info_counts_what_waits_for_its_time_and_says_who_schedules_it() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let parent = queue.enqueue_in(LATER, jobs::add::call(1, 1)).unwrap();
    queue.enqueue(jobs::add::call(1, 1).depends_on(parent.id())).unwrap();
    let info = || RqTest::new(&scratch).run(&["info", "-Q"]);
    let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    assert!(line(&info()).ends_with("0 failed, 1 scheduled, 1 deferred"), "{}", info());
    let worker = scheduling_worker(&scratch, "w");
    let who = format!("; scheduler {} {}", scratch.hash("worker:w")["hostname"], worker.id());
    assert!(line(&info()).ends_with(&who), "{who}: {}", info());
    let json = RqTest::new(&scratch).run(&["info", "--json", "-Q"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["queues"][0]["scheduler"]["name"].as_str(), holder(&scratch).as_deref());
}

#[test]
fn a_failed_job_runs_again_after_its_pause() {
    let scratch = Scratch::new();
    let retry = rq_core::Retry::up_to(1).every(secs(1));
    let call = Call::<()>::to("test.fail").arg("oh no").retry(retry).job_id("j");
    scratch.queue("default").enqueue(call).unwrap();
    let worker = scheduling_worker(&scratch, "w");
    worker.wait_for_line("job j will run again in", LIMIT);
    eventually("the second failure", LIMIT, || (scratch.status("j") == "failed").then_some(()));
    // What Redis knows by now is written a little later.
    worker.wait_for_lines("exception raised while executing", 2, LIMIT);
    assert_eq!(worker.text(Stream::Stderr).lines().count(), 2, "{}", worker.report());
}

/// As Python's: what is due is enqueued first, then the queue is free for others, then the jobs run.
#[test]
fn a_burst_worker_runs_what_was_due() {
    const JOBS: usize = 600;
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let past = Timestamp::now().before(secs(10));
    for number in 0..JOBS {
        queue.enqueue_at(past, Call::<()>::to("test.none").job_id(format!("j{number}"))).unwrap();
    }
    let later = queue.enqueue_in(LATER, jobs::add::call(1, 1)).unwrap();
    let log = RqTest::new(&scratch).drain(&["-s"]);
    assert_eq!(log.matches("Job OK").count(), JOBS);
    assert!(log.find(ACQUIRED).is_some_and(|acquired| acquired < log.find("test.none").unwrap()), "{log}");
    assert_eq!((scratch.status(later.id()).as_str(), holder(&scratch)), ("scheduled", None));
    // Another's queue is not touched, and no reason to wait.
    scratch.query::<()>("SET", [scratch.key("scheduler-lock:default"), "theirs".into()]);
    let due = queue.enqueue_at(past, jobs::add::call(1, 1)).unwrap();
    assert!(!RqTest::new(&scratch).drain(&["-s"]).contains(ACQUIRED));
    assert_eq!(
        (scratch.status(due.id()).as_str(), holder(&scratch).as_deref()),
        ("scheduled", Some("theirs"))
    );
}

#[test]
fn a_burst_worker_without_a_scheduler_schedules_nothing() {
    let scratch = Scratch::new();
    let past = Timestamp::now().before(secs(10));
    let due = scratch.queue("default").enqueue_at(past, jobs::add::call(1, 1)).unwrap();
    RqTest::new(&scratch).drain(&[]);
    assert_eq!((scratch.status(due.id()).as_str(), holder(&scratch)), ("scheduled", None));
}

/// It does not finish its jobs first: that may take long.
#[test]
fn a_worker_that_stops_leaves_its_queues_to_others_at_once() {
    let scratch = Scratch::new();
    let gate = Gate::new(&scratch, "gate");
    let first = scheduling_worker(&scratch, "first");
    scratch.queue("default").enqueue(Call::<()>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    let second = RqTest::new(&scratch).worker(&["--with-scheduler", "--name", "second"]);
    let due = scratch.queue("default").enqueue_in(secs(1), jobs::add::call(2, 3)).unwrap();
    assert_eq!(due.wait(LIMIT).unwrap(), 5);
    assert!(!second.text(Stream::Stdout).contains(ACQUIRED), "{}", second.report());
    first.signal(Signal::SIGTERM);
    second.wait_for_line(ACQUIRED, LIMIT);
    let due = scratch.queue("default").enqueue_in(secs(1), jobs::add::call(3, 4)).unwrap();
    assert_eq!(due.wait(LIMIT).unwrap(), 7);
    gate.open(1);
    first.wait_for_line("Job OK", LIMIT);
}

/// Such as a lock that it slept past.
#[test]
fn a_lock_that_another_has_taken_is_given_up_and_taken_again() {
    let scratch = Scratch::new();
    let worker = scheduling_worker(&scratch, "w");
    let lock = scratch.key("scheduler-lock:default");
    scratch.query::<()>("SET", [&lock, "theirs"]);
    worker.wait_for_line("Scheduler lock for default was taken over by another scheduler", LIMIT);
    assert_eq!(holder(&scratch).as_deref(), Some("theirs"));
    scratch.query::<()>("DEL", [&lock]);
    worker.wait_for_lines(ACQUIRED, 2, LIMIT);
}

#[test]
fn a_refused_tick_is_told_once_and_made_up_for() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let worker = scheduling_worker(&scratch, "w");
    let allow = |rule: &str| {
        redis::cmd("ACL").arg(&["SETUSER", "default", rule]).exec(&mut redis.connection()).unwrap();
    };
    allow("-hset");
    worker.wait_for_line("scheduling failed", LIMIT);
    wait_for_more(&redis, 2, "evalsha", "failed_calls");
    allow("+hset");
    let due = scratch.queue("default").enqueue_in(secs(0), jobs::add::call(2, 3)).unwrap();
    assert_eq!(due.wait(LIMIT).unwrap(), 5);
    assert_eq!(worker.text(Stream::Stderr).matches("scheduling failed").count(), 1, "{}", worker.report());
}

#[test]
fn an_outage_of_redis_ends_no_scheduler() {
    let mut redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let worker = scheduling_worker(&scratch, "w");
    redis.restart();
    worker.wait_for_lines(ACQUIRED, 1, LIMIT);
    let due = scratch.queue("default").enqueue_in(secs(1), jobs::add::call(2, 3)).unwrap();
    assert_eq!(due.wait(LIMIT).unwrap(), 5);
    stop(worker);
}

/// Nobody reads the record before the job is claimed, and then it fails alone.
#[test]
fn a_broken_record_stops_no_other_job() {
    let scratch = Scratch::new();
    let past = Timestamp::now().before(secs(10));
    let schedule = |id: &str| {
        let call = jobs::add::call(2, 3).job_id(id);
        scratch.queue("default").enqueue_at(past, call).unwrap()
    };
    let handles = ["a", "bad-time", "bad-number", "bad-type", "z"].map(schedule);
    let job = |id: &str| scratch.key(format!("job:{id}"));
    scratch.query::<()>("HSET", [job("bad-time"), "created_at".into(), "yesterday".into()]);
    scratch.query::<()>("HSET", [job("bad-number"), "retries_left".into(), "x".into()]);
    scratch.query::<()>("DEL", [job("bad-type")]);
    scratch.query::<()>("SET", [job("bad-type"), "mine".into()]);
    let log = RqTest::new(&scratch).drain(&["-s"]);
    assert!(log.contains("1 scheduled job not enqueued"), "{log}");
    for id in ["a", "z"] {
        let handle = handles.iter().find(|handle| handle.id() == id).unwrap();
        assert_eq!(handle.result().unwrap(), Some(5), "{id}");
    }
    for id in ["bad-time", "bad-number"] {
        assert_eq!(scratch.status(id), "failed", "{id}");
    }
    assert_eq!(scratch.count("scheduled:default"), 0);
}

/// One script a second, whatever waits.
#[test]
fn an_idle_scheduler_costs_one_call_a_second() {
    const TICKS: u64 = 3;
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    scratch.queue("default").enqueue_in(LATER, jobs::add::call(1, 1)).unwrap();
    let _worker = scheduling_worker(&scratch, "w");
    wait_for_ticks(&redis, 1);
    let began = Instant::now();
    wait_for_ticks(&redis, TICKS);
    assert!(began.elapsed() > Duration::from_millis(800) * (TICKS as u32 - 1), "{:?}", began.elapsed());
}

/// Waits until the one scheduler on a server has had so many more ticks, for one queue.
#[track_caller]
fn wait_for_ticks(redis: &PrivateRedis, ticks: u64) {
    // Nothing else of ours reads a lock, or any other string.
    wait_for_more(redis, ticks, "get", "calls");
}

/// Waits until a server has counted so many more, in the figures that it keeps of a command.
#[track_caller]
fn wait_for_more(redis: &PrivateRedis, more: u64, command: &str, figure: &str) {
    let count = || -> u64 {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut redis.connection()).unwrap();
        let figures = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let mut pairs = figures.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == figure).map_or(0, |(_, count)| count.parse().unwrap())
    };
    let before = count();
    eventually("a server's figures to rise", LIMIT, || (count() >= before + more).then_some(()));
}
