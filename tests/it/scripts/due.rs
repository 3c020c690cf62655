//! `due` and `leave`: due jobs go on once, by whoever holds their queue.

use std::time::{Duration, Instant};

use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::steps::schedule::{DUE_MAX, Holder, QueueTick, Scheduler, due, leave};
use rq_core::{Job, Status, Timestamp};
use rq_tests::fixture;

use super::{QUEUE, Stage, assert_about};

/// As the worker has it.
const KEPT: Duration = Duration::from_secs(61);

/// A scheduler of `queues`.
pub(super) fn scheduler(stage: &Stage, name: &str, queues: &[&str]) -> Scheduler {
    Scheduler {
        keys: stage.keys.clone(),
        name: name.to_owned(),
        hostname: "host".to_owned(),
        pid: 4711,
        created_at: Timestamp::now(),
        queues: queues.iter().map(ToString::to_string).collect(),
        kept: KEPT,
    }
}

/// Puts a job into the schedule, due so many seconds from now.
pub(super) fn schedule(stage: &Stage, id: &str, in_s: i64, change: impl Fn(&mut Job)) {
    let mut job = stage.job(id);
    job.status = Status::Scheduled;
    job.enqueued_at = None;
    change(&mut job);
    let place = Place::At(Timestamp::now().epoch_secs() + in_s);
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &[(job, place)])), [Enqueued::Done]);
}

/// A stage whose schedule holds `ids`, all due.
fn stage_with_due(ids: &[&str]) -> Stage {
    let stage = Stage::new();
    ids.iter().for_each(|id| schedule(&stage, id, -1, |_| {}));
    stage
}

/// The scheduler `s` has its tick for [`QUEUE`].
#[track_caller]
fn tick(stage: &Stage) -> QueueTick {
    stage.take(&due(&scheduler(stage, "s", &[QUEUE]))).swap_remove(0)
}

pub(super) fn ours(moved: usize, dropped: usize) -> QueueTick {
    QueueTick { holder: Holder::Us, moved, dropped, more: false }
}

const ANOTHERS: QueueTick = QueueTick { holder: Holder::Another, moved: 0, dropped: 0, more: false };

#[test]
fn a_due_job_goes_on_once_and_only_its_status_and_time_change() {
    let stage = stage_with_due(&["a"]);
    schedule(&stage, "later", 3600, |_| {});
    stage.run("HSET job:a meta \u{fffd}binary extra kept");
    let fields = || {
        let mut hash = stage.scratch.dump()["rq:job:a"].hash().clone();
        let changed = ["status", "enqueued_at"].map(|field| hash.remove(field));
        (hash, changed)
    };
    let (before, _) = fields();
    let (first, second) = stage.twice(&due(&scheduler(&stage, "s", &[QUEUE])));
    assert_eq!((first, second), (vec![ours(1, 0)], vec![ours(0, 0)]));
    assert_eq!(
        (stage.books("a"), stage.books("later")),
        (vec!["queue:q".into()], vec!["scheduled:q".into()])
    );
    let (after, [status, enqueued_at]) = fields();
    assert_eq!((after, status.unwrap().as_str()), (before, "queued"));
    let waited = Timestamp::now().since(Timestamp::parse(enqueued_at.unwrap().as_str()).unwrap());
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(stage.ask::<i64>("TTL job:a"), -1);
    // A worker takes it as any other.
    assert_eq!(super::job_ids(&stage.worker("w", &[QUEUE]).claim(2)), ["a"]);
}

#[test]
fn the_lock_and_the_record_are_pythons() {
    let stage = Stage::new();
    stage.take_twice(&due(&scheduler(&stage, "s", &[QUEUE, "low"])));
    assert!(stage.key_names().iter().eq(["scheduler-lock:low", "scheduler-lock:q", "scheduler:s"]));
    let scenario = fixture::scenario("rq-3.0.0", "scheduler_process");
    let (name, theirs) =
        scenario.snapshot("running").keys.iter().find(|(name, _)| name.starts_with("rq:scheduler:")).unwrap();
    let dump = stage.scratch.dump();
    let ours = &dump["rq:scheduler:s"];
    assert!(theirs.hash().keys().eq(ours.hash().keys()), "{name}: {:?}", ours.hash());
    for (field, value) in [("name", "s"), ("hostname", "host"), ("pid", "4711"), ("queues", "q,low")] {
        assert_eq!(ours.hash()[field].as_str(), value, "{field}");
    }
    for field in ["created_at", "last_heartbeat"] {
        assert!(Timestamp::parse(ours.hash()[field].as_str()).is_ok(), "{field}");
    }
    for key in ["scheduler:s", "scheduler-lock:q", "scheduler-lock:low"] {
        assert_about(key, stage.ask(&format!("TTL {key}")), theirs.ttl_s);
        stage.run(&format!("EXPIRE {key} 5"));
    }
    assert_eq!(stage.ask::<String>("GET scheduler-lock:q"), "s");
    tick(&stage);
    // Its record and the queue it still schedules are kept, as long as before.
    for (key, ttl_s) in [("scheduler:s", 61), ("scheduler-lock:q", 61), ("scheduler-lock:low", 5)] {
        assert_about(key, stage.ask(&format!("TTL {key}")), ttl_s);
    }
}

/// What is due is a matter of Redis' clock, down to the second.
#[test]
fn jobs_go_on_at_their_second() {
    let stage = Stage::new();
    for (id, in_s) in [("before-1970", -2_000_000_000), ("past", -100), ("now", 0), ("later", 2)] {
        schedule(&stage, id, in_s, |_| {});
    }
    assert_eq!(tick(&stage), ours(3, 0));
    assert_eq!(stage.waiting(QUEUE), ["before-1970", "past", "now"]);
    stage.run("ZADD scheduled:q 1 later");
    assert_eq!(tick(&stage), ours(1, 0));
}

#[test]
fn jobs_go_on_to_their_side_of_the_queue() {
    let check = |fields: &str, expected: [&str; 2]| {
        let stage = stage_with_due(&["a"]);
        stage.enqueue(&["waits"]);
        if !fields.is_empty() {
            stage.run(&format!("HSET job:a {fields}"));
        }
        assert_eq!(tick(&stage), ours(1, 0));
        assert_eq!(stage.waiting(QUEUE), expected, "{fields}");
    };
    check("", ["waits", "a"]);
    check("enqueue_at_front 1", ["a", "waits"]);
    check("enqueue_at_front 0", ["waits", "a"]);
    // A retry (docs/wire.md §11.2).
    check("enqueue_at_front_on_retry 1 ended_at 2026-11-22T01:48:39Z", ["a", "waits"]);
    check("enqueue_at_front_on_retry 1", ["waits", "a"]);
    // Numbers as Python's `int()` reads them, as the record's reader does.
    for flag in ["2", "-1", "01", "+1", "1_0"] {
        check(&format!("enqueue_at_front {flag}"), ["a", "waits"]);
    }
    for none in ["00", "0_0", "0x1", "1e0", "1__0", "1_", "x"] {
        check(&format!("enqueue_at_front {none}"), ["waits", "a"]);
    }
}

#[test]
fn the_time_a_job_may_wait_counts_anew_and_may_be_over_before_it_is_due() {
    let stage = Stage::new();
    schedule(&stage, "a", -1, |job| job.ttl_s = Some(100));
    stage.run("EXPIRE job:a 7");
    tick(&stage);
    assert_about("the ttl of the job", stage.ask("TTL job:a"), 100);
    for (ttl, seconds) in [("+1_00", 100), ("0x64", -1), ("1e2", -1), ("0", -1)] {
        schedule(&stage, ttl, -1, |_| {});
        stage.run(&format!("HSET job:{ttl} ttl {ttl}"));
        tick(&stage);
        assert_about(ttl, stage.ask(&format!("TTL job:{ttl}")), seconds);
    }
    schedule(&stage, "short", 3600, |job| job.ttl_s = Some(1));
    stage.run("DEL job:short");
    assert_eq!(tick(&stage), ours(0, 0));
    stage.run("ZADD scheduled:q 1 short");
    assert_eq!(tick(&stage), ours(0, 0));
    stage.run("ZADD scheduled:q 1.5 short");
    assert_eq!(tick(&stage), ours(0, 1));
    assert!(stage.books("short").is_empty() && !stage.ask::<bool>("EXISTS job:short"));
}

/// A cancel or delete that came first wins, and so does whatever else made of the job something that does not wait.
#[test]
fn what_waits_no_more_is_only_taken_off_the_schedule() {
    const IN_BETWEEN: [&[&str]; 6] = [
        &["HSET job:bad status canceled", "ZADD canceled:q 1 bad"],
        &["DEL job:bad", "SET job:bad mine"],
        &["DEL job:bad", "RPUSH job:bad mine"],
        &["HSET job:bad status queued", "RPUSH queue:q bad"],
        &["HSET job:bad status deferred"],
        &["HSET job:bad status dreaming"],
    ];
    for commands in IN_BETWEEN {
        let stage = stage_with_due(&["a", "bad", "z"]);
        commands.iter().for_each(|command| stage.run(command));
        let untouched = |stage: &Stage| stage.scratch.dump().remove("rq:job:bad");
        let (job, mut books) = (untouched(&stage), stage.books("bad"));
        assert_eq!(tick(&stage), ours(2, 1), "{commands:?}");
        books.retain(|book| book != "scheduled:q");
        assert_eq!((untouched(&stage), stage.books("bad")), (job, books), "{commands:?}");
        for id in ["a", "z"] {
            assert_eq!(stage.books(id), ["queue:q"], "{commands:?}");
        }
    }
}

/// Python before 3.0 puts an id into the schedule and writes its job afterwards.
#[test]
fn an_id_without_a_job_is_put_off_once() {
    // The last two: what Python leaves of a job that was deleted while it was written.
    for commands in
        [&["DEL job:late"][..], &["DEL job:late", "HSET job:late status scheduled"], &["HDEL job:late data"]]
    {
        let stage = stage_with_due(&["late"]);
        commands.iter().for_each(|command| stage.run(command));
        assert_eq!((tick(&stage), tick(&stage)), (ours(0, 0), ours(0, 0)), "{commands:?}");
        let due_s: f64 = stage.ask("ZSCORE scheduled:q late");
        let ahead_s = due_s - Timestamp::now().epoch_secs() as f64;
        assert!((5.0..=11.0).contains(&ahead_s) && due_s.fract() != 0.0, "{due_s}");
        // Its time has come, and there is a job by then, or none.
        stage.run("ZADD scheduled:q 1.5 late");
        assert_eq!(tick(&stage), ours(0, 1), "{commands:?}");
        stage.run("ZADD scheduled:q 1.5 late");
        stage.run("HSET job:late data x status scheduled origin q");
        assert_eq!(tick(&stage), ours(1, 0), "{commands:?}");
        assert_eq!(stage.books("late"), ["queue:q"], "{commands:?}");
    }
}

/// Python overwrites the record of a job that is scheduled when its id is enqueued beside that, and its scheduler lets the
/// job go on all the same.
#[test]
fn a_job_that_was_enqueued_and_begun_beside_its_schedule_goes_on_at_its_time() {
    for status in ["started", "finished", "failed", "stopped"] {
        let stage = stage_with_due(&["a"]);
        stage.run(&format!("HSET job:a status {status}"));
        assert_eq!(tick(&stage), ours(1, 0), "{status}");
        assert_eq!(stage.books("a"), ["queue:q"], "{status}");
    }
}

/// RQ reads an empty status as `created`; programs that write into the schedule by hand leave it so.
#[test]
fn a_job_without_a_status_waits_too() {
    for command in ["HDEL job:a status", "HSET job:a status ", "HSET job:a status created"] {
        let stage = stage_with_due(&["a"]);
        stage.run(command);
        assert_eq!(tick(&stage), ours(1, 0), "{command}");
        assert_eq!(stage.books("a"), ["queue:q"], "{command}");
    }
}

/// As Python does: the schedule says which queue it is.
#[test]
fn a_job_belongs_to_the_queue_that_scheduled_it() {
    for command in ["HDEL job:a origin", "HSET job:a origin other"] {
        let stage = stage_with_due(&["a"]);
        stage.run(command);
        tick(&stage);
        assert_eq!(
            (stage.books("a"), stage.field("a", "origin")),
            (vec!["queue:q".into()], Some(QUEUE.into()))
        );
    }
}

#[test]
fn a_queue_of_another_scheduler_is_left_alone_until_its_lock_is_over() {
    let stage = stage_with_due(&["a"]);
    stage.run("SET scheduler-lock:q theirs EX 30");
    let both = scheduler(&stage, "s", &[QUEUE, "low"]);
    assert_eq!(stage.take_twice(&due(&both)), [ANOTHERS, ours(0, 0)]);
    assert_eq!(stage.books("a"), ["scheduled:q"]);
    assert_eq!(stage.ask::<String>("GET scheduler-lock:q"), "theirs");
    assert_about("their lock", stage.ask("TTL scheduler-lock:q"), 30);
    stage.run("DEL scheduler-lock:q");
    assert_eq!(stage.take(&due(&both)), [ours(1, 0), ours(0, 0)]);
    assert_eq!(stage.ask::<String>("GET scheduler-lock:q"), "s");
    // The one that slept past its lock finds that out before it moves anything.
    schedule(&stage, "b", -1, |_| {});
    assert_eq!(stage.take(&due(&scheduler(&stage, "theirs", &[QUEUE]))), [ANOTHERS]);
    assert_eq!(stage.books("b"), ["scheduled:q"]);
}

/// Nobody writes such a lock; it would keep everybody out for ever.
#[test]
fn a_lock_that_would_never_end_ends() {
    let stage = Stage::new();
    stage.run("SET scheduler-lock:q theirs");
    assert_eq!(tick(&stage), ANOTHERS);
    assert_about("their lock", stage.ask("TTL scheduler-lock:q"), 61);
    stage.run("EXPIRE scheduler-lock:q 30");
    tick(&stage);
    assert_about("their lock", stage.ask("TTL scheduler-lock:q"), 30);
}

#[test]
fn a_key_of_another_type_harms_its_queue_alone() {
    let check = |key: &str, holder: Holder| {
        let stage = stage_with_due(&["a"]);
        stage.run("DEL scheduled:bad");
        stage.run(&format!("HSET {key} some thing"));
        let ticks = stage.take_twice(&due(&scheduler(&stage, "t", &["bad", "low"])));
        assert_eq!(ticks, [QueueTick { holder, moved: 0, dropped: 0, more: false }, ours(0, 0)], "{key}");
        let ticks = stage.take(&due(&scheduler(&stage, "t", &["bad", QUEUE])));
        assert_eq!(ticks[1], ours(1, 0), "{key}");
        assert_eq!(stage.ask::<String>(&format!("HGET {key} some")), "thing");
    };
    check("scheduler-lock:bad", Holder::BadLock);
    check("scheduled:bad", Holder::BadSchedule);
}

/// It cannot be where it should; so it is where people look.
#[test]
fn a_job_whose_next_book_is_of_another_type_is_failed() {
    let check = |key: &str, fields: &str| {
        let stage = stage_with_due(&["a"]);
        stage.run(&format!("SET {key} mine"));
        if !fields.is_empty() {
            stage.run(&format!("HSET job:a {fields}"));
        }
        assert_eq!(tick(&stage), ours(1, 0));
        assert_eq!(
            (stage.books("a"), stage.field("a", "status")),
            (vec!["failed:q".into()], Some("failed".into()))
        );
    };
    check("queue:q", "");
    check("rl:k:rate_limited", "rate_limit_key k rate_limit_concurrency 1");
}

#[test]
fn a_rate_limited_job_waits_for_its_slot() {
    let stage = stage_with_due(&["a", "b"]);
    for id in ["a", "b"] {
        stage.run(&format!("HSET job:{id} rate_limit_key k rate_limit_concurrency 1"));
    }
    assert_eq!(tick(&stage), ours(2, 0));
    assert_eq!(stage.books("a"), ["queue:q", "rl:k:allowed"]);
    assert_eq!(stage.books("b"), ["rl:k:rate_limited"]);
    let statuses = ["a", "b"].map(|id| stage.field(id, "status").unwrap());
    assert_eq!(statuses, ["queued", "rate_limited"]);
    assert_eq!(stage.field("b", "enqueued_at"), None);
}

#[test]
fn a_rate_limit_is_one_to_the_scripts_where_it_is_one_to_python() {
    let check = |slots: &str, books: &[&str], concurrency: Option<&str>| {
        let stage = stage_with_due(&["a"]);
        stage.run(&format!("HSET job:a rate_limit_key k rate_limit_concurrency {slots}"));
        assert_eq!(tick(&stage), ours(1, 0));
        assert_eq!(stage.books("a"), books, "{slots}");
        assert_eq!(stage.ask::<Option<String>>("HGET rl:k concurrency").as_deref(), concurrency, "{slots}");
    };
    check("+1_0", &["queue:q", "rl:k:allowed"], Some("10"));
    check("007", &["queue:q", "rl:k:allowed"], Some("7"));
    for none in ["0", "-0", "0x1", "1e3", "x"] {
        check(none, &["queue:q"], None);
    }
}

/// A long schedule neither holds Redis up nor keeps others waiting for their turn.
#[test]
fn a_tick_is_bounded_and_shared_by_the_queues() {
    const LONG: usize = 1200;
    let stage = stage_with_due(&[]);
    let mut jobs = redis::pipe();
    for (queue, count) in [("long", LONG), ("short", 10), ("empty", 0)] {
        for number in 0..count {
            let (job, id) = (stage.scratch.key(format!("job:{queue}{number}")), format!("{queue}{number}"));
            jobs.cmd("HSET").arg(job).arg(&["status", "scheduled", "data", "x", "origin", queue]);
            jobs.cmd("ZADD").arg(stage.scratch.key(format!("scheduled:{queue}"))).arg(number).arg(id);
        }
    }
    jobs.exec(&mut stage.scratch.connection()).unwrap();
    let who = scheduler(&stage, "s", &["long", "short", "empty"]);
    let first = stage.take(&due(&who));
    assert_eq!(first[0], QueueTick { more: true, ..ours(DUE_MAX - 10, 0) });
    assert_eq!(first[1..], [ours(10, 0), ours(0, 0)]);
    let (mut moved, mut last) = (first[0].moved, first[0]);
    while last.more {
        last = stage.take(&due(&who))[0];
        moved += last.moved;
    }
    assert_eq!((moved, stage.take(&due(&who))), (LONG, vec![ours(0, 0); 3]));
    let in_order: Vec<String> = (0..LONG).map(|number| format!("long{number}")).collect();
    assert_eq!(stage.waiting("long"), in_order);
}

/// The median of some ticks is looked at: the machine may be busy.
#[test]
fn a_hundred_thousand_jobs_that_are_not_due_slow_no_tick() {
    const JOBS: usize = 100_000;
    const TICK_MAX: Duration = Duration::from_millis(20);
    let stage = Stage::new();
    let fill = "for i = 1, ARGV[1] do redis.call('ZADD', KEYS[1], 2e9 + i, 'j' .. i) end";
    stage.scratch.query::<()>("EVAL", [fill, "1", &stage.keys.scheduled(QUEUE), &JOBS.to_string()]);
    let mut took: Vec<Duration> = (0..9)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(tick(&stage), ours(0, 0));
            began.elapsed()
        })
        .collect();
    took.sort();
    assert!(took[4] < TICK_MAX, "{took:?}");
    assert_eq!(stage.ask::<usize>("ZCARD scheduled:q"), JOBS);
}

#[test]
fn who_leaves_frees_its_own_queues_at_once() {
    let stage = stage_with_due(&["a"]);
    stage.run("SET scheduler-lock:theirs t EX 30");
    stage.run("HSET scheduler-lock:bad some thing");
    let who = scheduler(&stage, "s", &[QUEUE, "theirs", "bad"]);
    stage.take(&due(&who));
    assert_eq!(stage.twice(&leave(&who)), (1, 0));
    let expected = ["job:a", "queue:q", "queues", "scheduler-lock:bad", "scheduler-lock:theirs"];
    assert!(stage.key_names().iter().eq(expected), "{:?}", stage.key_names());
    assert_eq!(stage.ask::<String>("GET scheduler-lock:theirs"), "t");
}
