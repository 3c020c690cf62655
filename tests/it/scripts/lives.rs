//! A job whose id is given another life while it runs (docs/design/lives.md): Python's enqueue overwrites the record.

use rq_core::steps::claim::{put_back, save_meta};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_core::{Conclusion, NextPlace, Settled, Ttl};
use rq_tests::fixture;

use super::abandon::{failing, fall_silent};
use super::{QUEUE, Stage, failed, finished, job_ids, settlement};

/// How the id `a` comes by another life, as Python does it, and the book that holds it then.
const LIVES: [(&str, &[&str], &str); 7] = [
    ("enqueued", &["HSET job:a status queued worker_name ", "RPUSH queue:q a"], "queue:q"),
    (
        "enqueued on another queue",
        &["HSET job:a status queued origin other worker_name ", "RPUSH queue:other a"],
        "queue:other",
    ),
    (
        "taken by Python",
        &["HSET job:a status queued worker_name ", "RPUSH queue:q:intermediate a"],
        "queue:q:intermediate",
    ),
    (
        "scheduled",
        &["HSET job:a status scheduled worker_name ", "ZADD scheduled:q 2000000000 a"],
        "scheduled:q",
    ),
    ("deferred", &["HSET job:a status deferred worker_name ", "ZADD deferred:q 1 a"], "deferred:q"),
    (
        "begun by Python",
        &[
            "HSET job:a status started worker_name python",
            "ZADD executions:a 2000000060 x",
            "ZADD wip:q 2000000000 a:x",
        ],
        "wip:q",
    ),
    (
        "ended by Python",
        &["HSET job:a status finished worker_name python", "ZADD finished:q 2000000000 a"],
        "finished:q",
    ),
];

/// A second life that the record has got, with what it was given.
fn give(stage: &Stage, life: &[&str]) {
    // Another end than the first life's, were it written.
    stage.run("HSET job:a data second meta second retries_left 7");
    stage.run("EXPIRE job:a 7000");
    life.iter().for_each(|command| stage.run(command));
}

fn record(stage: &Stage) -> fixture::Key {
    stage.scratch.dump().remove("rq:job:a").expect("the record is there")
}

fn results(stage: &Stage) -> usize {
    stage.ask("XLEN results:a")
}

/// The first life's ends: what is written of each, and whether among the results.
fn ends(claimed: &rq_core::steps::Claimed) -> [(Settlement, bool); 5] {
    let again = |next| Conclusion {
        settled: Settled::Again(Some("boom".to_owned())),
        ttl: Ttl::FAILURE_DEFAULT,
        filed: true,
        next: Some(next),
        changes: vec![("retries_left", "0".to_owned())],
    };
    [
        (Settlement { meta: Some(b"first".to_vec()), ..finished(claimed) }, true),
        (failed(claimed), true),
        (settlement(claimed, Settled::Finished(Some(b"5".to_vec())), Ttl::Seconds(0)), false),
        (Settlement { conclusion: again(NextPlace::Tail), ..finished(claimed) }, true),
        (Settlement { conclusion: again(NextPlace::At(2_000_000_000)), ..finished(claimed) }, true),
    ]
}

#[test]
fn a_settlement_leaves_the_record_to_the_life_that_has_it() {
    for (name, life, book) in LIVES {
        for end in 0..5 {
            let stage = Stage::new();
            let (worker, claimed) = stage.worker_with(&["a"]);
            worker.begin(&claimed);
            give(&stage, life);
            let before = record(&stage);
            let (settlement, has_result) = ends(&claimed[0])[end].clone();
            let (first, second) = stage.twice(&worker.settle_step(&[settlement]));
            assert_eq!(first, [SettleReply::Superseded], "{name}, {end}");
            assert_eq!(
                second,
                [if has_result { SettleReply::Done } else { SettleReply::Lost }],
                "{name}, {end}"
            );
            let after = record(&stage);
            assert_eq!(after.value, before.value, "{name}, {end}");
            assert!((after.ttl_s - before.ttl_s).abs() < 20, "{name}, {end}: {}", after.ttl_s);
            assert_eq!(stage.books("a"), [book], "{name}, {end}");
            assert_eq!(results(&stage), usize::from(has_result), "{name}, {end}");
            assert!(!stage.ask::<bool>(&format!("EXISTS execution:{}", claimed[0].id)), "{name}, {end}");
            assert!(!stage.ask::<bool>("EXISTS leases"), "{name}, {end}");
        }
    }
}

/// Attempts that are followed by none have failed, whatever retries the first life had.
#[test]
fn a_failed_attempt_of_an_earlier_life_is_a_failure() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    give(&stage, LIVES[0].1);
    stage.take(&worker.settle_step(&[ends(&claimed[0])[3].0.clone()]));
    let entries: Vec<(String, Vec<String>)> = stage.ask("XRANGE results:a - +");
    assert_eq!(entries[0].1[..2], ["type", "2"]);
}

#[test]
fn the_results_live_as_long_as_the_life_that_keeps_them_longest() {
    let check = |second: Ttl, expected: i64| {
        let stage = Stage::new();
        let (worker, first) = stage.worker_with(&["a"]);
        give(&stage, LIVES[0].1);
        let other = stage.worker("other", &[QUEUE]);
        let again = other.claim(1);
        let value = || Settled::Finished(Some(b"5".to_vec()));
        other.settle(&[settlement(&again[0], value(), second)]);
        let end = settlement(&first[0], value(), Ttl::Seconds(500));
        assert_eq!(stage.take(&worker.settle_step(&[end])), [SettleReply::Superseded]);
        let ttl: i64 = stage.ask("TTL results:a");
        assert!((ttl - expected).abs() <= 2, "{second:?}: {ttl}");
        assert_eq!(results(&stage), 2);
    };
    check(Ttl::Seconds(7000), 7000);
    check(Ttl::Seconds(5), 500);
    check(Ttl::Forever, -1);
}

/// Two lives of one id under way at once: each is claimed, and each ends.
#[test]
fn both_lives_are_run() {
    let stage = Stage::new();
    let (worker, first) = stage.worker_with(&["a"]);
    worker.begin(&first);
    give(&stage, LIVES[0].1);
    let second = worker.claim(1);
    assert_eq!(job_ids(&second), ["a"]);
    worker.begin(&second);
    let (settled, _) = stage.twice(&worker.settle_step(&[finished(&first[0]), finished(&second[0])]));
    assert_eq!(settled, [SettleReply::Superseded, SettleReply::Done]);
    assert_eq!((stage.books("a"), results(&stage)), (vec!["finished:q".to_owned()], 2));
    assert_eq!(worker.count("successful_job_count"), Some(2));
}

/// A program that fetches a job, changes it and saves it whole writes the status of then: that is no other life.
#[test]
fn a_record_that_was_saved_by_somebody_is_no_other_life() {
    for status in ["queued", "scheduled", "deferred", "created"] {
        let save = format!("HSET job:a status {status} meta theirs worker_name ");
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        stage.run(&save);
        worker.settle(&[finished(&claimed[0])]);
        assert_eq!(stage.books("a"), ["finished:q"], "{status}");
        assert_eq!(stage.field("a", "meta").as_deref(), Some("theirs"), "{status}");

        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        stage.run(&save);
        fall_silent(&stage, &claimed[0]);
        if status != "scheduled" {
            let abandoned = stage.take_twice(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])]));
            assert_eq!(
                (abandoned, stage.books("a")),
                (vec![AbandonReply::Concluded], vec!["failed:q".to_owned()])
            );
        }
    }
}

#[test]
fn a_dead_worker_takes_no_other_life_with_it() {
    for (name, life, book) in LIVES {
        for has_begun in [true, false] {
            let stage = Stage::new();
            let (worker, claimed) = stage.worker_with(&["a"]);
            if has_begun {
                worker.begin(&claimed);
            }
            give(&stage, life);
            fall_silent(&stage, &claimed[0]);
            let before = record(&stage);
            let (first, _) = stage.twice(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])]));
            if !has_begun && name.ends_with("by Python") && name != "taken by Python" {
                assert_eq!(
                    (first, stage.waiting(QUEUE)),
                    (vec![AbandonReply::PutBack], vec!["a".to_owned()])
                );
                continue;
            }
            assert_eq!(first, [AbandonReply::Cleared], "{name}");
            assert_eq!(
                (record(&stage).value, stage.books("a")),
                (before.value, vec![book.to_owned()]),
                "{name}"
            );
            // What never began has no end.
            let ended = has_begun && book != "finished:q";
            assert_eq!(results(&stage), usize::from(ended), "{name}, {has_begun}");
        }
    }
}

#[test]
fn what_never_began_is_not_put_back_over_another_life() {
    for (name, life, book) in LIVES {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        give(&stage, life);
        let before = record(&stage);
        if name.ends_with("by Python") && name != "taken by Python" {
            continue;
        }
        assert_eq!(stage.take_twice(&put_back(&worker.who, &claimed)), [false], "{name}");
        assert_eq!((record(&stage).value, stage.books("a")), (before.value, vec![book.to_owned()]), "{name}");
    }
}

/// Python's worker may have begun or ended an earlier life, and written that over the one that was claimed here.
#[test]
fn what_never_began_is_put_back_over_a_run_of_pythons() {
    for (name, life, book) in &LIVES[5..] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        give(&stage, life);
        assert_eq!(stage.twice(&put_back(&worker.who, &claimed)), (vec![true], vec![false]), "{name}");
        assert_eq!(stage.waiting(QUEUE), ["a"], "{name}");
        assert_eq!(stage.field("a", "status").as_deref(), Some("queued"), "{name}");
        assert_eq!(stage.ask::<usize>("EXISTS finished:q"), 0, "{name}");
        // What Python runs stays in its book.
        let runs = stage.ask::<Option<f64>>("ZSCORE wip:q a:x").is_some();
        assert_eq!(runs, *book == "wip:q", "{name}");
    }
}

#[test]
fn a_run_writes_nothing_into_the_record_of_another_life() {
    for (name, life, _) in LIVES {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        give(&stage, life);
        let before = record(&stage);
        let metas = [(claimed[0].clone(), b"first".to_vec())];
        assert_eq!(stage.take(&save_meta(&stage.keys, "w", &metas)), [false], "{name}");
        // It is this worker's still: it runs on, and has an end.
        stage.take(&heartbeat(&worker.who, StateUpdate::default(), &claimed));
        assert_eq!(record(&stage).value, before.value, "{name}");
        assert!(stage.ask::<Option<f64>>(&format!("ZSCORE wip:q {}", claimed[0].id)).is_some(), "{name}");
    }
}

/// Python's worker writes its copy of the job over the record when it ends, whatever life that is in by then.
#[test]
fn what_pythons_worker_has_overwritten_is_run_all_the_same() {
    let check = |commands: &[&str], is_run: bool| {
        let stage = Stage::new();
        stage.enqueue(&["a"]);
        commands.iter().for_each(|command| stage.run(command));
        let worker = stage.worker("w", &[QUEUE]);
        let (claimed, dropped) = worker.claim_all(1);
        assert_eq!(
            (claimed.len(), dropped.len()),
            (usize::from(is_run), usize::from(!is_run)),
            "{commands:?}"
        );
        if is_run {
            assert!(stage.books("a").iter().all(|book| book == "wip:q"), "{commands:?}");
        }
    };
    const FINISHED: [&str; 2] =
        ["HSET job:a status finished worker_name python", "ZADD finished:q 2000000000 a"];
    const FAILED: [&str; 2] = ["HSET job:a status failed worker_name python", "ZADD failed:q 2000000000 a"];
    let theirs = "XADD results:a * type 1 execution_id x";
    for [status, registry] in [FINISHED, FAILED] {
        check(&[status, registry, theirs], true);
        check(&[status, registry, "XADD results:a * type 1"], true);
        check(&[status, registry, "HSET job:a settled y", theirs], true);
        // Ours wrote this end: the copy in the list is one too many.
        check(&[status, registry, "HSET job:a settled x", theirs], false);
    }
    check(&["HSET job:a status canceled", "ZADD canceled:q 1 a", theirs], false);

    // Python's worker fetched the job before it was enqueued anew, and marked it as started after that.
    let started = "HSET job:a status started worker_name python";
    let runs = ["ZADD executions:a 2000000060 x", "ZADD wip:q 2000000000 a:x"];
    check(&[started, runs[0], runs[1], "HSET execution:a:x worker_name python"], true);
    check(
        &[started, runs[0], runs[1], "HSET execution:a:x worker_name python", "HSET job:a execution y"],
        true,
    );
    // A worker of ours has taken this life.
    check(
        &[started, runs[0], runs[1], "HSET execution:a:x worker_name python", "HSET job:a execution x"],
        false,
    );
    check(&[started, runs[0], runs[1], "HSET execution:a:x worker_name other"], false);
}
