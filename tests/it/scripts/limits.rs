//! `enqueue` behind a rate limit, with `fill_slots`, and at a pace.

use std::time::Duration;

use proptest::prelude::*;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::free_slots;
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::{Job, Status, Ttl};
use rq_tests::fixture::Value;
use rq_tests::{Clock, PrivateRedis, Scratch};

use super::{QUEUE, Stage, assert_about, finished};

// Rate limits

fn limited(stage: &Stage, id: &str) -> (Job, Place) {
    let mut job = stage.job(id);
    job.status = Status::RateLimited;
    job.enqueued_at = None;
    job.rate_limit_key = Some("k".to_owned());
    job.rate_limit_concurrency = Some(2);
    (job, Place::Limited { key: "k".to_owned(), slots: 2 })
}

#[test]
fn slots_are_given_in_the_same_round_trip_and_once() {
    let stage = Stage::new();
    let jobs = ["a", "b", "c"].map(|id| limited(&stage, id));
    let step = enqueue(&stage.keys, QUEUE, &jobs);
    assert_eq!(stage.twice(&step), (vec![Enqueued::Done; 3], vec![Enqueued::Already; 3]));
    assert_eq!(stage.waiting(QUEUE), ["a", "b"]);
    assert_eq!(stage.books("a"), ["queue:q", "rl:k:allowed"]);
    assert_eq!(stage.books("c"), ["rl:k:rate_limited"]);
    assert_eq!(
        (stage.field("a", "status"), stage.field("c", "status")),
        (Some("queued".into()), Some("rate_limited".into()))
    );
    assert!(stage.field("a", "enqueued_at").is_some() && stage.field("c", "enqueued_at").is_none());
    assert_eq!(stage.ask::<String>("HGET rl:k concurrency"), "2");
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS rl-keys"), ["k"]);
}

/// RQ's scores are whole seconds, within which the id decides.
#[test]
fn slots_are_given_in_the_order_in_which_jobs_came() {
    const JOBS: usize = 250;
    let stage = Stage::new();
    let ids: Vec<String> = (0..JOBS).rev().map(|number| format!("j{number:03}")).collect();
    let jobs: Vec<_> = ids.iter().map(|id| limited(&stage, id)).collect();
    stage.take(&enqueue(&stage.keys, QUEUE, &jobs));
    for id in ["z", "a"] {
        stage.take(&enqueue(&stage.keys, QUEUE, &[limited(&stage, id)]));
    }
    let waiting: Vec<String> = stage.ask("ZRANGE rl:k:rate_limited 0 -1");
    let expected: Vec<&str> = ids[2..].iter().map(String::as_str).chain(["z", "a"]).collect();
    assert_eq!(
        (stage.waiting(QUEUE), waiting),
        (ids[..2].to_vec(), expected.iter().map(ToString::to_string).collect())
    );
}

#[test]
fn many_jobs_of_several_limits_are_enqueued_at_once() {
    const JOBS: usize = 250;
    let stage = Stage::new();
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            let (mut job, _) = limited(&stage, &format!("j{number:03}"));
            let key = format!("k{}", number % 2);
            job.rate_limit_key = Some(key.clone());
            (job, Place::Limited { key, slots: 120 })
        })
        .collect();
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &jobs)), vec![Enqueued::Done; JOBS]);
    assert_eq!(stage.waiting(QUEUE).len(), 240);
    for key in ["k0", "k1"] {
        assert_eq!(stage.ask::<usize>(&format!("ZCARD rl:{key}:allowed")), 120);
        assert_eq!(stage.ask::<usize>(&format!("ZCARD rl:{key}:rate_limited")), 5);
    }
}

/// The producer died between the two scripts.
#[test]
fn who_was_given_no_slot_gets_it_with_the_next_end_or_by_maintenance() {
    let left = |stage: &Stage| {
        stage.take(&enqueue(&stage.keys, QUEUE, &[limited(stage, "a")]));
        // As `enqueue.lua` leaves it.
        stage.run("HSET job:b data x created_at then origin q status rate_limited rate_limit_key k rate_limit_concurrency 2");
        stage.run("ZADD rl:k:rate_limited 1 b");
    };
    let stage = Stage::new();
    left(&stage);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    let mut end = finished(&claimed[0]);
    end.slot = Some("k".to_owned());
    worker.settle(&[end]);
    assert_eq!(stage.waiting(QUEUE), ["b"]);

    let stage = Stage::new();
    left(&stage);
    assert_eq!(stage.take(&free_slots(&stage.keys, b"k", &Cursor::default())).found.given, 1);
    assert_eq!(stage.waiting(QUEUE), ["a", "b"]);
    // Another producer's job does it, too.
    let stage = Stage::new();
    left(&stage);
    stage.take(&enqueue(&stage.keys, QUEUE, &[limited(&stage, "c")]));
    assert_eq!(
        (stage.waiting(QUEUE), stage.books("c")),
        (vec!["a".into(), "b".into()], vec!["rl:k:rate_limited".into()])
    );
}

#[test]
fn who_waits_for_others_comes_under_the_limit_later() {
    let stage = Stage::new();
    stage.enqueue(&["parent"]);
    let behind = |id: &str| {
        let (mut job, place) = limited(&stage, id);
        job.dependency_ids = Some(vec!["parent".to_owned()]);
        (job, place)
    };
    let step = enqueue(&stage.keys, QUEUE, &[behind("a"), behind("b"), behind("c")]);
    assert_eq!(stage.twice(&step), (vec![Enqueued::Deferred; 3], vec![Enqueued::Already; 3]));
    assert!(!stage.key_names().iter().any(|name| name.starts_with("rl")), "{:?}", stage.key_names());
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.waiting(QUEUE).len(), 2);
    assert_eq!(stage.ask::<usize>("ZCARD rl:k:rate_limited"), 1);
    // Whose parent is over already does so at once.
    let stage = Stage::new();
    stage.run("HSET job:parent data x status finished");
    let (mut job, place) = limited(&stage, "a");
    job.dependency_ids = Some(vec!["parent".to_owned()]);
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &[(job, place)])), [Enqueued::Done]);
    assert_eq!(stage.books("a"), ["queue:q", "rl:k:allowed"]);
}

#[test]
fn a_job_that_leaves_no_trace_is_sent_with_both_scripts_whole() {
    let server = PrivateRedis::start(&[]);
    let stage = Stage::on(Scratch::on(&server.url()));
    let (mut job, place) = limited(&stage, "a");
    job.result_ttl = Some(Ttl::Seconds(0));
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &[(job, place)])), [Enqueued::Done]);
    assert_eq!(stage.books("a"), ["queue:q", "rl:k:allowed"]);
}

#[test]
fn books_of_another_type_refuse_before_anything_is_written() {
    for key in ["rl-keys", "rl:k", "rl:k:allowed", "rl:k:rate_limited"] {
        let stage = Stage::new();
        stage.run(&format!("SET {key} mine"));
        let error = stage.refuse(&enqueue(&stage.keys, QUEUE, &[limited(&stage, "a")]));
        assert!(error.to_string().contains("WRONGTYPE"), "{key}: {error}");
    }
    for key in ["pace:k", "scheduled:q"] {
        let stage = Stage::new();
        stage.run(&format!("SET {key} mine"));
        let error = stage.refuse(&enqueue(&stage.keys, QUEUE, &[paced(&stage, "a", 1, 1)]));
        assert!(error.to_string().contains("WRONGTYPE"), "{key}: {error}");
    }
}

// Paces

fn paced(stage: &Stage, id: &str, count: u32, period_s: u64) -> (Job, Place) {
    (stage.job(id), Place::Paced { key: "k".to_owned(), count, period_s, at_front: false })
}

/// The starts, earliest first, in milliseconds.
fn starts(stage: &Stage) -> Vec<i64> {
    let dump = stage.scratch.dump();
    let Some(starts) = dump.get("rq:pace:k") else { return Vec::new() };
    let Value::SortedSet(starts) = &starts.value else { panic!("{starts:?}") };
    starts.iter().map(|(_, start)| start.0 as i64).collect()
}

#[test]
fn who_comes_too_early_is_scheduled_for_a_whole_second() {
    let stage = Stage::new();
    let jobs = ["a", "b", "c", "d", "e"].map(|id| paced(&stage, id, 2, 60));
    let step = enqueue(&stage.keys, QUEUE, &jobs);
    assert_eq!(stage.twice(&step), (vec![Enqueued::Done; 5], vec![Enqueued::Already; 5]));
    assert_eq!(stage.waiting(QUEUE), ["a", "b"]);
    let starts = starts(&stage);
    for (id, start) in ["c", "d", "e"].iter().zip(&starts[2..]) {
        assert_eq!(stage.books(id), ["scheduled:q"]);
        assert_eq!(stage.ask::<i64>(&format!("ZSCORE scheduled:q {id}")) * 1000, *start);
        assert_eq!(
            (stage.field(id, "status").as_deref(), stage.field(id, "enqueued_at")),
            (Some("scheduled"), None)
        );
    }
    // The first of a period that was not reserved at once is rounded up, once.
    for (start, later) in [(starts[0], starts[2]), (starts[1], starts[3])] {
        assert!((60_000..61_000).contains(&(later - start)), "{starts:?}");
    }
    assert_eq!(starts[4] - starts[2], 60_000, "{starts:?}");
    assert_about("the starts", stage.ask("TTL pace:k"), 180);
}

#[test]
fn the_side_counts_for_who_may_start_at_once() {
    let stage = Stage::new();
    stage.enqueue(&["old"]);
    let place = |at_front| Place::Paced { key: "k".to_owned(), count: 9, period_s: 1, at_front };
    stage.take(&enqueue(
        &stage.keys,
        QUEUE,
        &[(stage.job("head"), place(true)), (stage.job("tail"), place(false))],
    ));
    assert_eq!(stage.waiting(QUEUE), ["head", "old", "tail"]);
}

#[test]
fn an_id_that_comes_again_has_a_start_of_its_own() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.take(&enqueue(&stage.keys, QUEUE, &[paced(&stage, "a", 1, 60)]));
        stage.run("HSET job:a status finished");
    }
    assert_eq!(starts(&stage).len(), 2);
    assert_eq!(
        stage.books("a"),
        ["queue:q", "scheduled:q"],
        "the first is in the queue still: nobody ran it"
    );
    // What is refused has none.
    stage.run("HSET job:b data other status started created_at then");
    assert_eq!(
        stage.take(&enqueue(&stage.keys, QUEUE, &[paced(&stage, "b", 1, 60)])),
        [Enqueued::Taken("started".to_owned())]
    );
    assert_eq!(starts(&stage).len(), 2);
}

#[test]
fn starts_are_forgotten_when_they_hold_nobody_back() {
    let clock = Clock::new();
    let server = PrivateRedis::with_clock(&clock, &[]);
    let stage = Stage::on(Scratch::on(&server.url()));
    let enqueue_one =
        |id: &str, count| stage.take(&enqueue(&stage.keys, QUEUE, &[paced(&stage, id, count, 10)]));
    enqueue_one("a", 1);
    enqueue_one("b", 1);
    assert_eq!((stage.waiting(QUEUE).len(), starts(&stage).len()), (1, 2));
    clock.jump(Duration::from_secs(15));
    // The second start is 4 or 5 seconds ago.
    enqueue_one("c", 2);
    assert_eq!((stage.waiting(QUEUE).len(), starts(&stage).len()), (2, 2));
    clock.jump(Duration::from_secs(11));
    enqueue_one("d", 1);
    assert_eq!((stage.waiting(QUEUE).len(), starts(&stage).len()), (3, 1));
    clock.jump(Duration::from_secs(11));
    assert!(!stage.ask::<bool>("EXISTS pace:k"));
}

/// What a caller asks, and how long it then waits.
fn asked() -> impl Strategy<Value = Vec<(u32, u64)>> {
    let pause_ms = prop_oneof![2 => Just(0), 3 => 1..3000_u64, 1 => 3000..20_000_u64];
    prop::collection::vec((1..4_u32, pause_ms), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The arithmetic against a model that keeps all starts, and looks for the first that fits behind the last one.
    #[test]
    fn starts_are_those_of_a_simple_model(asked in asked(), period_s in 1..6_u64) {
        let (clock, server) = server_with_clock();
        let stage = Stage::on(Scratch::on(&server.url()));
        let period_ms = period_s as i64 * 1000;
        let mut all: Vec<i64> = Vec::new();
        for (number, (count, pause_ms)) in asked.into_iter().enumerate() {
            let id = format!("j{number}");
            let before_ms = now_ms(&stage);
            stage.take(&enqueue(&stage.keys, QUEUE, &[paced(&stage, &id, count, period_s)]));
            let after_ms = now_ms(&stage);
            let start = *starts(&stage).last().expect("it has a start");
            let is_queued = stage.books(&id) == ["queue:q"];
            let not_before = |start: i64| {
                let within = all.iter().filter(|earlier| **earlier > start - period_ms).count();
                start >= all.last().copied().unwrap_or(0) && within < count as usize
            };
            prop_assert!(not_before(start), "{start} after {all:?}, {count} in {period_ms}");
            if is_queued {
                prop_assert!((before_ms..=after_ms).contains(&start));
            } else {
                prop_assert_eq!(start % 1000, 0);
                // Nor would a second earlier have done.
                let earlier = start - 1000;
                prop_assert!(earlier < after_ms || !not_before(earlier), "{earlier} was free: {all:?}");
            }
            all.push(start);
            clock.jump(Duration::from_millis(pause_ms));
        }
    }
}

fn now_ms(stage: &Stage) -> i64 {
    let (seconds, microseconds): (i64, i64) = stage.scratch.query("TIME", [""; 0]);
    seconds * 1000 + microseconds / 1000
}

/// One for all cases: each has keys of its own.
fn server_with_clock() -> (&'static Clock, &'static PrivateRedis) {
    static BOTH: std::sync::OnceLock<(Clock, PrivateRedis)> = std::sync::OnceLock::new();
    let both = BOTH.get_or_init(|| {
        let clock = Clock::new();
        let server = PrivateRedis::with_clock(&clock, &[]);
        (clock, server)
    });
    (&both.0, &both.1)
}
