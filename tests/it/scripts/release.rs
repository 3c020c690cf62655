//! `release`: dependents that wait for nobody any more are queued; and how `settle` and `enqueue` play with it.

use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::{Job, Settled, Ttl};

use super::{QUEUE, Stage, failed, finished, settlement};

/// A job that waits for others.
pub(super) fn child(stage: &Stage, id: &str, parents: &[&str], change: impl Fn(&mut Job)) -> Job {
    let mut job = stage.job(id);
    job.dependency_ids = Some(parents.iter().map(ToString::to_string).collect());
    change(&mut job);
    job
}

/// Enqueues such jobs, which all have to wait.
#[track_caller]
fn defer(stage: &Stage, jobs: Vec<Job>) {
    let jobs: Vec<_> = jobs.into_iter().map(|job| (job, Place::Tail)).collect();
    let (first, second) = stage.twice(&enqueue(&stage.keys, QUEUE, &jobs));
    assert_eq!(first, vec![Enqueued::Deferred; jobs.len()]);
    assert_eq!(second, vec![Enqueued::Already; jobs.len()]);
}

#[test]
fn a_child_is_queued_in_its_parents_own_step() {
    let check = |end: fn(&super::Claimed) -> Settlement, allow: Option<bool>, books: &[&str]| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        defer(&stage, vec![child(&stage, "b", &["a"], |job| job.allow_dependency_failures = allow)]);
        assert_eq!(stage.books("b"), ["deferred:q"]);
        assert_eq!(stage.field("b", "enqueued_at"), None);
        stage.twice(&worker.settle_step(&[end(&claimed[0])]));
        assert_eq!(stage.books("b"), books);
        let waits = books == ["deferred:q"];
        assert_eq!(stage.ask::<bool>("EXISTS job:a:dependents"), waits);
        assert_eq!(stage.field("b", "enqueued_at").is_some(), !waits);
    };
    check(finished, None, &["queue:q"]);
    check(failed, None, &["deferred:q"]);
    check(failed, Some(true), &["queue:q"]);
    let stopped = |claimed: &super::Claimed| {
        settlement(claimed, Settled::Stopped("stopped".into()), Ttl::FAILURE_DEFAULT)
    };
    check(stopped, Some(true), &["deferred:q"]);
    let unkept = |claimed: &super::Claimed| settlement(claimed, Settled::Finished(None), Ttl::Seconds(0));
    check(unkept, None, &["queue:q"]);
}

#[test]
fn a_child_waits_for_all_its_parents() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    defer(&stage, vec![child(&stage, "c", &["a", "gone", "b"], |job| job.enqueue_at_front = Some(true))]);
    stage.enqueue(&["waits"]);
    worker.settle(&[finished(&claimed[1])]);
    assert_eq!(stage.books("c"), ["deferred:q"]);
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.waiting(QUEUE), ["c", "waits"]);
}

/// Python's worker writes its copy of a job over the record when it ends, though the id has been deferred meanwhile; and it
/// leaves an id in the registry that is enqueued anew.
#[test]
fn a_child_whose_record_shows_an_earlier_life_is_queued_and_one_of_a_later_life_is_not() {
    for (enqueued_at, books) in [
        ("2026-11-22T01:48:57.947958Z", vec!["queue:q"]),
        ("2026-11-22T01:49:00.000001Z", vec!["queue:q"]),
        ("2026-11-22T01:49:01.000000Z", vec![]),
        ("2027-02-28T23:59:59.000000Z", vec![]),
        ("soon", vec![]),
    ] {
        for status in ["started", "finished", "failed", "stopped"] {
            let stage = Stage::new();
            let (worker, claimed) = stage.worker_with(&["a"]);
            defer(&stage, vec![child(&stage, "b", &["a"], |_| ())]);
            // 2026-11-22T01:49:00Z
            stage.run("ZADD deferred:q 1795312140 b");
            stage.run(&format!("HSET job:b status {status} enqueued_at {enqueued_at}"));
            worker.settle(&[finished(&claimed[0])]);
            assert_eq!(stage.books("b"), books, "{status}, {enqueued_at}");
        }
    }
}

#[test]
fn one_that_is_released_is_in_nobodys_set_any_more() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    defer(&stage, vec![child(&stage, "c", &["a", "b"], |job| job.allow_dependency_failures = Some(true))]);
    worker.settle(&[failed(&claimed[1])]);
    assert!(stage.ask::<bool>("SISMEMBER job:b:dependents c"));
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.waiting(QUEUE), ["c"]);
    // A worker of Python's that ended `b` would look here now.
    assert!(!stage.ask::<bool>("EXISTS job:b:dependents"));
}

#[test]
fn what_is_over_holds_nobody_back_from_the_start() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    worker.settle(&[finished(&claimed[0]), failed(&claimed[1])]);
    let check = |id: &str, parents: &[&str], allow: Option<bool>, answer: Enqueued| {
        let job = child(&stage, id, parents, |job| job.allow_dependency_failures = allow);
        let enqueued = stage.take(&enqueue(&stage.keys, QUEUE, &[(job, Place::Tail)]));
        assert_eq!(enqueued, [answer], "{id}");
    };
    check("c", &["a", "gone"], None, Enqueued::Done);
    check("d", &["a", "b"], Some(true), Enqueued::Done);
    check("e", &["a", "b"], None, Enqueued::Deferred);
    assert_eq!(stage.waiting(QUEUE), ["c", "d"]);
    // As in Python, no sets are written for one that need not wait.
    assert!(!stage.ask::<bool>("EXISTS job::c:dependencies"));
}

#[test]
fn jobs_that_would_wait_for_themselves_are_refused() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    defer(&stage, vec![child(&stage, "b", &["a"], |_| {}), child(&stage, "c", &["b"], |_| {})]);
    worker.settle(&[failed(&claimed[0])]);
    // `a` has ended and could be replaced; `c` waits for it over `b`.
    for (id, parent) in [("a", "c"), ("a", "a"), ("new", "new")] {
        let step = enqueue(&stage.keys, QUEUE, &[(child(&stage, id, &[parent], |_| {}), Place::Tail)]);
        assert_eq!(stage.take_twice(&step), [Enqueued::Cycle], "{id} after {parent}");
    }
    assert_eq!(stage.books("a"), ["failed:q"]);
    assert!(!stage.ask::<bool>("EXISTS job:new"));
}

#[test]
fn a_thousand_children_are_released_in_pages() {
    const CHILDREN: usize = 1000;
    for ttl in [Ttl::Seconds(500), Ttl::Seconds(0)] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        let ids: Vec<String> = (0..CHILDREN).map(|number| format!("c{number}")).collect();
        defer(&stage, ids.iter().map(|id| child(&stage, id, &["a"], |_| {})).collect());
        let step = worker.settle_step(&[settlement(&claimed[0], Settled::Finished(None), ttl)]);
        assert_eq!(stage.take(&step), [SettleReply::DependentsLeft]);
        let why = if ttl == Ttl::Seconds(0) { Release::Discarded } else { Release::Ended };
        let (mut cursor, mut steps) = (Some(Cursor::default()), 0);
        while let Some(at) = cursor {
            cursor = stage.take(&release(&stage.keys, "a", &at, why));
            steps += 1;
        }
        assert!((5..=CHILDREN / 50).contains(&steps), "{steps} steps");
        let mut waiting = stage.waiting(QUEUE);
        waiting.sort();
        let mut expected = ids;
        expected.sort();
        assert_eq!(waiting, expected);
        assert!(!stage.ask::<bool>("EXISTS job:a:dependents") && !stage.ask::<bool>("EXISTS deferred:q"));
        // The parent that is not kept is gone with its last child, not before.
        assert_eq!(stage.ask::<bool>("EXISTS job:a"), ttl != Ttl::Seconds(0));
        assert_eq!(stage.books("a").is_empty(), ttl == Ttl::Seconds(0));
    }
}

#[test]
fn past_a_parent_nobody_waits() {
    let stage = Stage::new();
    stage.enqueue(&["a", "other"]);
    defer(&stage, vec![child(&stage, "b", &["a"], |_| {}), child(&stage, "c", &["a", "other"], |_| {})]);
    assert_eq!(stage.take_twice(&release(&stage.keys, "a", &Cursor::default(), Release::Past)), None);
    assert_eq!(stage.waiting(QUEUE), ["a", "other", "b"]);
    assert_eq!(stage.books("c"), ["deferred:q"]);
    // If `a` comes back and waits for `c`, that is no cycle.
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS job::c:dependencies"), ["other"]);
}

#[test]
fn bad_children_harm_only_themselves() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    defer(&stage, vec![child(&stage, "good", &["a"], |_| {})]);
    stage.run("SADD job:a:dependents ghost string done");
    stage.run("SET job:string x");
    stage.run("HSET job:done data d status finished origin q");
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.waiting(QUEUE), ["good"]);
    assert!(!stage.ask::<bool>("EXISTS job:ghost") && !stage.ask::<bool>("EXISTS job:a:dependents"));
}

/// A rate-limited child waits for its slot once it waits for nobody else.
#[test]
fn a_rate_limited_child_waits_for_its_slot() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    let limited = |id| {
        child(&stage, id, &["a"], |job| {
            job.rate_limit_key = Some("k".into());
            job.rate_limit_concurrency = Some(1);
        })
    };
    defer(&stage, vec![limited("b"), limited("c")]);
    worker.settle(&[finished(&claimed[0])]);
    let [first] = &stage.waiting(QUEUE)[..] else { panic!("one slot") };
    let second = if first == "b" { "c" } else { "b" };
    assert_eq!(stage.books(first), ["queue:q", "rl:k:allowed"]);
    assert_eq!(stage.books(second), ["rl:k:rate_limited"]);
    assert_eq!(stage.field(second, "status").as_deref(), Some("rate_limited"));
    let claimed = worker.claim(1);
    let end = Settlement { slot: Some("k".into()), ..finished(&claimed[0]) };
    stage.twice(&worker.settle_step(&[end]));
    assert_eq!(stage.books(second), ["queue:q", "rl:k:allowed"]);
}
