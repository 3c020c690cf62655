//! Coroutines: jobs that wait well, by the thousand, and jobs that do not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rq_core::{Call, JobResult, ResultKind, blocking::JobHandle, secs};
use rq_examples::fetch;
use rq_tests::{Child, PrivateRedis, Scratch, Signal, Stream, eventually};

use crate::dice;
use crate::rq_test::{Books, LIMIT, RqTest};

/// The time limit of each job in the zoo.
const JOB_LIMIT: Duration = secs(1);
/// What the executor adds before it gives a job up, and what the machine may need beside.
const SLACK: Duration = secs(3);
/// Longer than any test.
const LONG_MS: u64 = 600_000;
/// How many carriers there are on a machine with few cores.
const CARRIERS: usize = rq_worker_green::CARRIERS_MIN;

const LATE: &str = "JobTimeoutException: Task exceeded maximum timeout value (1 seconds)";
const OVERFLOW: &str = "StackOverflow: the job has overflowed its stack of ";
const PANIC: &str = "Panic: job panicked at ";

/// Each row a test: the job, and what its failure says. The worker is none the worse for it.
macro_rules! zoo {
    ($($test:ident: $call:expr => $says:expr;)+) => {
        $(#[test]
        fn $test() {
            check($call, $says);
        })+
    };
}

zoo! {
    a_panic: Call::to("test.panic").arg("oh") => PANIC;
    a_panic_behind_a_wait: Call::to("green.panic_late").arg(1).arg("oh") => PANIC;
    a_stack_overflow: Call::to("zoo.overflow") => OVERFLOW;
    a_stack_overflow_word_by_word: Call::to("green.descend").arg(0) => OVERFLOW;
    a_sleep_without_context: Call::to("green.nap") => LATE;
    a_wait_at_a_channel: Call::to("green.receive") => LATE;
    a_wait_for_a_peer: Call::to("green.read") => LATE;
    one_that_swallows_its_cancel: Call::to("green.swallow") => LATE;
    one_that_swallows_every_cancel: Call::to("green.swallow_on") => LATE;
    an_endless_loop: Call::to("zoo.spin") => LATE;
    a_sleep_as_threads_do: Call::to("green.block").arg(LONG_MS) => LATE;
    a_lock_of_the_standard_library_across_a_wait: Call::to("green.hold").arg(LONG_MS) => LATE;
}

#[track_caller]
fn check(call: Call<()>, says: &str) {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let mut worker = RqTest::new(&scratch).worker(&["-w", "green", "--concurrency", "1"]);
    let job = queue.enqueue(call.timeout(JOB_LIMIT)).unwrap();
    check_failed(&job, says);
    let good = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(good.wait(LIMIT).unwrap(), 5, "{}", worker.report());
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", worker.report());
    // A panic that was caught is not printed, nor is a cancel.
    assert!(!worker.text(Stream::Stderr).contains("thread '"), "{}", worker.report());
}

#[track_caller]
fn check_failed(job: &JobHandle<()>, says: &str) {
    let result = eventually("the end of the job", LIMIT, || job.latest_result().unwrap());
    let JobResult { kind, failure_text, execution_started_at, execution_ended_at, .. } = result;
    assert_eq!(kind, ResultKind::Failed);
    let told = failure_text.unwrap_or_default();
    assert!(told.starts_with(says), "{told}");
    let took = execution_ended_at.unwrap().since(execution_started_at.unwrap());
    assert!(took < JOB_LIMIT + SLACK, "{took:?}");
}

/// What overflows leaves its stack to others.
#[test]
fn overflows_in_a_row_harm_nobody_else() {
    /// Enough for each stack to be used again and again.
    const JOBS: usize = 600;
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let calls = (0..JOBS).map(|number| match number % 3 {
        0 => Call::<()>::to("zoo.overflow"),
        // From different depths on, in case it matters where it ends.
        1 => Call::to("green.descend").arg(number),
        _ => Call::to("test.none"),
    });
    let jobs = queue.enqueue_many(calls).unwrap();
    RqTest::new(&scratch).drain(&["-w", "green", "--concurrency", "2", "--quiet"]);
    for (number, job) in jobs.iter().enumerate() {
        let text = job.latest_result().unwrap().unwrap().failure_text.unwrap_or_default();
        assert_eq!(text.starts_with(OVERFLOW), number % 3 != 2, "{number}: {text}");
    }
}

/// Each has its own message and place, on whatever thread it was before.
#[test]
fn panics_are_told_apart() {
    const JOBS: usize = 200;
    let scratch = Scratch::new();
    let call =
        |number: usize| Call::<()>::to("green.panic_late").arg(number % 7).arg(format!("number {number}"));
    let jobs = scratch.queue("default").enqueue_many((0..JOBS).map(call)).unwrap();
    RqTest::new(&scratch).drain(&["-w", "green", "--quiet"]);
    for (number, job) in jobs.iter().enumerate() {
        let text = job.latest_result().unwrap().unwrap().failure_text.unwrap();
        assert!(text.contains("jobs/green.rs:") && text.ends_with(&format!(": number {number}")), "{text}");
    }
}

#[test]
fn jobs_that_wait_go_on_while_others_block_carriers() {
    const WAITING: usize = 100;
    /// One less than what exhausts the worker.
    const BLOCKED: usize = CARRIERS / 2 - 1;
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let worker = RqTest::new(&scratch).worker(&["-w", "green"]);
    let block = Call::<()>::to("green.block").arg(LONG_MS).timeout(secs(600));
    queue.enqueue_many((0..BLOCKED).map(|_| block.clone())).unwrap();
    for line in worker.wait_for_lines("(green.block) has not yielded for", BLOCKED, LIMIT) {
        assert!(line.contains("blocks one of the"), "{line}");
    }
    let began = Instant::now();
    let calls = (0..WAITING).flat_map(|number| {
        let call = |function| Call::<u64>::to(function).arg(number * 10);
        [call("test.sleep"), call("test.sleep_async")]
    });
    let jobs = queue.enqueue_many(calls).unwrap();
    for job in &jobs {
        job.wait(LIMIT).unwrap();
    }
    assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_worker_whose_carriers_are_blocked_exits_for_its_supervisor() {
    let reason = format!(
        "jobs that ignore their time limits block threads that run coroutines, of which there are {CARRIERS}"
    );
    let spin = Call::<()>::to("zoo.spin").timeout(JOB_LIMIT);
    let scratch = Scratch::new();
    let jobs = scratch.queue("default").enqueue_many(vec![spin; CARRIERS / 2]).unwrap();
    check_exhausted(&scratch, &reason);
    jobs.iter().for_each(|job| check_failed(job, LATE));
}

/// None of them is over its time.
#[test]
fn a_worker_all_of_whose_carriers_are_blocked_takes_no_more_work() {
    let scratch = Scratch::new();
    let block = Call::<()>::to("green.block").arg(14_000);
    let jobs = scratch.queue("default").enqueue_many(vec![block; CARRIERS]).unwrap();
    check_exhausted(
        &scratch,
        &format!("jobs have blocked all {CARRIERS} threads that run coroutines for 10 seconds"),
    );
    for job in &jobs {
        assert_eq!(job.latest_result().unwrap().unwrap().kind, ResultKind::Successful);
    }
}

/// The one that holds the lock waits for a thread, and every thread for the lock.
#[test]
fn a_deadlock_of_all_carriers_ends_with_the_worker() {
    const JOBS: usize = CARRIERS * 3;
    let scratch = Scratch::new();
    let hold = Call::<()>::to("green.hold").arg(300).timeout(JOB_LIMIT);
    scratch.queue("default").enqueue_many(vec![hold; JOBS]).unwrap();
    let began = Instant::now();
    check_exhausted(&scratch, "jobs that ignore their time limits block threads that run coroutines");
    assert!(began.elapsed() < secs(15), "{:?}", began.elapsed());
    assert_eq!(scratch.count("wip:default"), 0);
    // Those that no thread was left for never began.
    let ended = scratch.count("failed:default") + scratch.count("finished:default");
    assert_eq!(ended + scratch.waiting("default").len(), JOBS);
}

#[track_caller]
fn check_exhausted(scratch: &Scratch, reason: &str) {
    let mut worker = RqTest::new(scratch).worker(&["-w", "green"]);
    let status = worker.wait(LIMIT);
    assert_eq!(status.code(), Some(1), "{}", worker.report());
    let said = worker.text(Stream::Stderr);
    assert!(
        said.contains(reason) && said.contains("exiting so that a supervisor can start a fresh worker"),
        "{said}"
    );
    assert_eq!(scratch.query::<usize>("SCARD", [scratch.key("workers")]), 0);
}

#[test]
fn locks_of_ours_are_held_across_waits() {
    const JOBS: u64 = 50;
    let scratch = Scratch::new();
    let call = || Call::<u64>::to("green.count_locked").arg(5);
    let jobs = scratch.queue("default").enqueue_many((0..JOBS).map(|_| call())).unwrap();
    RqTest::new(&scratch).drain(&["-w", "green", "--quiet"]);
    let counts: BTreeSet<u64> = jobs.iter().map(|job| job.result().unwrap().unwrap()).collect();
    assert_eq!(counts, (1..=JOBS).collect());
}

#[test]
fn what_is_noted_with_a_thread_is_anothers_behind_a_wait() {
    const JOBS: u64 = 500;
    let scratch = Scratch::new();
    let call = |number: u64| Call::<u64>::to("green.of_thread").arg(number).arg(100);
    let jobs = scratch.queue("default").enqueue_many((0..JOBS).map(call)).unwrap();
    RqTest::new(&scratch).drain(&["-w", "green", "--quiet"]);
    let kept = (0..JOBS).zip(&jobs).filter(|(number, job)| job.result().unwrap() == Some(*number)).count();
    // Each thread has one of the many that have noted something with it.
    assert!(kept <= JOBS as usize / 10, "{kept} of {JOBS}");
}

#[test]
fn redis_is_asked_from_coroutines() {
    const JOBS: i64 = 50;
    let scratch = Scratch::new();
    let key = scratch.key("number");
    let call = || Call::<(i64, i64)>::to("green.add_in_redis").arg(&key).arg(2);
    let jobs = scratch.queue("default").enqueue_many((0..JOBS).map(|_| call())).unwrap();
    RqTest::new(&scratch).drain(&["-w", "green", "--quiet"]);
    let mut sums: Vec<(i64, i64)> = jobs.iter().map(|job| job.result().unwrap().unwrap()).collect();
    sums.sort_unstable();
    assert_eq!(sums, (0..JOBS).map(|number| (2 * number, 2 * number + 2)).collect::<Vec<_>>());
}

/// Whoever is asked, whichever way: with a login, in another database, in the newer protocol, over a Unix socket.
#[test]
fn redis_lets_in_who_may() {
    const USER: [&str; 6] = ["--user", "alice", "on", ">secret", "~*", "+@all"];
    let socket = std::env::temp_dir().join(format!("rq-test-{}.sock", std::process::id()));
    let socket = socket.to_str().unwrap();
    let redis = PrivateRedis::start(&[&USER[..], &["--unixsocket", socket]].concat());
    let (address, key) = (redis.address(), "who");
    let ask = |url: &str| -> redis::RedisResult<(String, Option<i64>)> {
        let mut connection = rq_worker_green::redis::Connection::open(url)?;
        let who = redis::cmd("ACL").arg("WHOAMI").query(&mut connection)?;
        Ok((who, redis::cmd("GET").arg(key).query(&mut connection)?))
    };
    let mut plain = redis.connection();
    redis::pipe().cmd("SELECT").arg(3).cmd("SET").arg(key).arg(7).exec(&mut plain).unwrap();
    for (url, who, value) in [
        (format!("redis://{address}/"), "default", None),
        (format!("redis://{address}/3"), "default", Some(7)),
        (format!("redis://alice:secret@{address}/3"), "alice", Some(7)),
        (format!("redis://alice:secret@{address}/3?protocol=resp3"), "alice", Some(7)),
        (format!("unix://{socket}?db=3&user=alice&pass=secret"), "alice", Some(7)),
    ] {
        assert_eq!(ask(&url).unwrap(), (who.to_owned(), value), "{url}");
    }
    for url in
        [format!("redis://alice:guess@{address}/"), format!("redis://alice:guess@{address}/?protocol=resp3")]
    {
        assert!(ask(&url).unwrap_err().to_string().contains("WRONGPASS"), "{url}");
    }
}

#[test]
fn pages_are_fetched_at_once() {
    const PAGES: usize = 200;
    const DELAY: Duration = secs(1);
    let scratch = Scratch::new();
    let host = fetch::serve(DELAY).unwrap().to_string();
    let calls = (0..PAGES).map(|number| fetch::fetch::call(host.clone(), format!("/{number:04}")));
    let jobs = scratch.queue("default").enqueue_many(calls).unwrap();
    let began = Instant::now();
    RqTest::new(&scratch).drain(&["-w", "green", "--quiet"]);
    // One after the other on as many threads would take 25 s.
    assert!(began.elapsed() < secs(10), "{:?}", began.elapsed());
    for job in &jobs {
        let JobResult { kind, failure_text, .. } = job.latest_result().unwrap().unwrap();
        assert_eq!((kind, failure_text), (ResultKind::Successful, None));
        assert_eq!(job.result().unwrap(), Some("/0000".len()));
    }
}

#[test]
fn more_than_the_system_allows_is_refused_with_the_way_on() {
    let scratch = Scratch::new();
    let (code, out, err) =
        RqTest::new(&scratch).outcome(&["worker", "-w", "green", "--concurrency", "10000000"]);
    assert_eq!(code, Some(1), "{out}");
    for part in
        ["a concurrency of 10000000 is not possible", "vm.max_map_count = ", "sysctl -w vm.max_map_count=300"]
    {
        assert!(err.contains(part), "{err}");
    }
}

/// Some thousand, or with `RQ_RIG=full` ten.
#[test]
fn thousands_of_jobs_wait_at_once() {
    const RSS_MAX_MB: u64 = 250;
    let (jobs, wait) = if dice::is_full() { (10_000, secs(10)) } else { (2_000, secs(2)) };
    // With other tests beside it a sample shows that they wait at once, no more.
    let beside = if dice::is_full() { Duration::ZERO } else { secs(15) };
    let concurrency = jobs.to_string();
    let scratch = Scratch::new();
    let worker = RqTest::new(&scratch).worker(&["-w", "green", "--concurrency", &concurrency]);
    let trivial = time(&scratch, vec![Call::<()>::to("test.none"); jobs]);
    let millis = u64::try_from(wait.as_millis()).unwrap();
    let waiting = time(&scratch, vec![Call::<()>::to("test.sleep").arg(millis); jobs]);
    let peak_mb = peak_rss_mb(&worker);
    println!(
        "{jobs} trivial jobs: {trivial:.2?}; as many that wait {wait:?}: {waiting:.2?}; at most {peak_mb} MB"
    );
    assert!(waiting <= wait + trivial.mul_f64(1.5) + beside, "{waiting:?} with {trivial:?}");
    assert!(peak_mb < RSS_MAX_MB, "{peak_mb} MB");
}

/// From the first job's way into the queue to the last one's end.
fn time(scratch: &Scratch, calls: Vec<Call<()>>) -> Duration {
    let (jobs, ended_before) = (calls.len(), scratch.count("finished:default"));
    let began = Instant::now();
    scratch.queue("default").enqueue_many(calls).unwrap();
    eventually("the end of all jobs", LIMIT, || {
        (scratch.count("finished:default") == ended_before + jobs).then(|| began.elapsed())
    })
}

/// The most memory the process has had.
fn peak_rss_mb(worker: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}
