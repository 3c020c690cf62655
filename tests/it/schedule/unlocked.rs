//! Workers that are no schedulers: what is due goes on where nobody schedules, and a scheduler has its lock at once.

use std::time::Duration;

use rq_core::{Call, Repeat, Retry, secs};
use rq_tests::{Child, PrivateRedis, Python, Scratch, eventually, jobs};

use super::{ACQUIRED, counted, holder, scheduling_worker, stop, suspend, wait_for_more};
use crate::rq_test::{Books, LIMIT, RqTest};

fn plain_worker(scratch: &Scratch, name: &str, args: &[&str]) -> Child {
    RqTest::new(scratch).worker(&[&["--name", name], args].concat())
}

#[test]
fn a_retry_with_a_pause_a_repeat_and_a_schedule_simply_go_on() {
    let scratch = Scratch::new();
    let worker = plain_worker(&scratch, "w", &[]);
    let queue = scratch.queue("default");
    let retry =
        Call::<()>::to("test.fail").arg("oh no").retry(Retry::up_to(1).every(secs(1))).job_id("retried");
    let repeat = jobs::add::call(1, 1).repeat(Repeat::times(1).every(secs(1))).job_id("repeated");
    queue.enqueue(retry).unwrap();
    queue.enqueue(repeat).unwrap();
    let soon = queue.enqueue_in(secs(1), jobs::add::call(2, 3)).unwrap();
    assert_eq!(soon.wait(LIMIT).unwrap(), 5);
    worker.wait_for_lines("exception raised while executing", 2, LIMIT);
    worker.wait_for_lines("Job OK (repeated)", 2, LIMIT);
    eventually("the last failure", LIMIT, || (scratch.status("retried") == "failed").then_some(()));
    let left = scratch.dump();
    assert!(!left.keys().any(|name| name.starts_with("rq:scheduler")), "{:?}", left.keys());
    stop(worker);
}

#[test]
fn a_worker_told_to_leaves_schedules_to_others() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let queue = scratch.queue("default");
    let due = queue.enqueue_in(secs(0), jobs::add::call(1, 1)).unwrap();
    let worker = plain_worker(&scratch, "w", &["--no-scheduler"]);
    // Its leases are looked at a few times meanwhile.
    wait_for_more(&redis, 3, "exists", "calls");
    assert_eq!(scratch.status(due.id()), "scheduled", "{}", worker.report());
    stop(worker);
    let plain = plain_worker(&scratch, "plain", &[]);
    assert_eq!(due.wait(LIMIT).unwrap(), 2);
    stop(plain);
}

/// A scheduler of Python's has the lock at its first attempt, whatever plain workers do; from then on they move nothing.
#[test]
fn a_scheduler_that_wants_the_lock_has_it_at_once() {
    const JOBS: usize = 300;
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let workers = ["a", "b"].map(|name| plain_worker(&scratch, name, &[]));
    suspend(&scratch);
    let queue = scratch.queue("default");
    let ids: Vec<String> = (0..JOBS).map(|number| format!("j{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        queue.enqueue_in(secs((number % 3) as u64), Call::<()>::to("test.none").job_id(id)).unwrap();
    }
    let theirs = Python::new(&scratch).spawn(
        "from rq.scheduler import RQScheduler\n\
         s = RQScheduler(['default'], connection=conn)\n\
         print('got', s.acquire_locks(), flush=True)\n\
         s.work()",
    );
    theirs.wait_for_line("got {'default'}", LIMIT);
    eventually("all jobs to be queued", LIMIT, || (scratch.count("scheduled:default") == 0).then_some(()));
    let counts = counted(&scratch);
    assert!(ids.iter().all(|id| counts.get(id) == Some(&1)), "{counts:?}");
    // Stopped hard, it leaves its lock behind, which keeps everybody off.
    theirs.signal(rq_tests::Signal::SIGKILL);
    drop(theirs);
    let due = queue.enqueue_in(secs(0), jobs::add::call(1, 1)).unwrap();
    wait_for_more(&redis, 6, "time", "calls");
    assert_eq!(scratch.status(due.id()), "scheduled");
    scratch.query::<()>("DEL", [scratch.key("scheduler-lock:default")]);
    eventually("the job to be queued", LIMIT, || (scratch.status(due.id()) == "queued").then_some(()));
    workers.into_iter().for_each(stop);
}

/// A worker that becomes a scheduler takes over at once, too.
#[test]
fn ours_takes_the_lock_beside_plain_workers() {
    let scratch = Scratch::new();
    let plain = plain_worker(&scratch, "plain", &[]);
    let scheduler = scheduling_worker(&scratch, "s");
    assert!(holder(&scratch).is_some() && !plain.report().contains(ACQUIRED));
    let due = scratch.queue("default").enqueue_in(secs(1), jobs::add::call(1, 1)).unwrap();
    assert_eq!(due.wait(LIMIT).unwrap(), 2);
    [plain, scheduler].into_iter().for_each(stop);
}

/// All together look about once a second.
#[test]
fn a_fleet_looks_no_more_often_than_one_worker() {
    const WORKERS: usize = 6;
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    // Counted by each at its start.
    for number in 0..WORKERS {
        scratch.query::<()>(
            "SADD",
            [scratch.key("workers:default"), scratch.key(format!("worker:ghost-{number}"))],
        );
    }
    let workers: Vec<Child> =
        (0..WORKERS).map(|number| plain_worker(&scratch, &format!("w{number}"), &[])).collect();
    let looks = || -> u64 {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut redis.connection()).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_zrange:calls=")).unwrap_or("0,");
        line.split(',').next().unwrap().parse().unwrap()
    };
    let before = looks();
    std::thread::sleep(Duration::from_secs(4));
    // Six that count twelve: 6 looks in 9 s on average. Leases are looked at by ZRANGE, too, where there are any.
    let made = looks() - before;
    assert!(made <= 12, "{made} looks in 4 s");
    workers.into_iter().for_each(stop);
}
