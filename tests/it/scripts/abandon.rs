//! `abandon`: what a silent worker held waits again if it never began, and is concluded if it may have.

use std::sync::Arc;

use rq_core::steps::Claimed;
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::silent::{AbandonReply, Abandonment, Evidence, abandon, wip_over};
use rq_core::{Conclusion, ExecutionId, Job, NextPlace, Settled, Ttl};

use super::{QUEUE, Stage, finished, settlement};

pub(super) fn failing(claimed: &Claimed) -> Abandonment {
    let text = "AbandonedJobError: the worker w stopped heartbeating while it ran the job".to_owned();
    let job = Arc::new(Job::new(claimed.id.job_id(), QUEUE, Vec::new()));
    Abandonment {
        job,
        worker: "w".to_owned(),
        settlement: settlement(claimed, Settled::Failed(text), Ttl::FAILURE_DEFAULT),
    }
}

fn again(claimed: &Claimed, next: NextPlace) -> Abandonment {
    let end = failing(claimed);
    let settled = Settled::Again(Some("silent".to_owned()));
    let changes = vec![("retries_left", "0".to_owned())];
    let conclusion =
        Conclusion { settled, ttl: Ttl::FAILURE_DEFAULT, filed: true, next: Some(next), changes };
    Abandonment { settlement: Settlement { conclusion, ..end.settlement.clone() }, ..end }
}

/// As if the lease were over.
pub(super) fn fall_silent(stage: &Stage, claimed: &Claimed) {
    stage.run(&format!("ZADD leases 5 {}", claimed.id));
}

#[track_caller]
fn assert_cleared(stage: &Stage, claimed: &Claimed) {
    for key in
        [&format!("execution:{}", claimed.id), "executions:a", "wip:q", "leases", "worker:w:executions"]
    {
        assert!(!stage.ask::<bool>(&format!("EXISTS {key}")), "{key}");
    }
}

#[test]
fn what_never_began_is_next_again() {
    let stage = Stage::new();
    let (_, claimed) = stage.worker_with(&["a"]);
    stage.enqueue(&["later"]);
    fall_silent(&stage, &claimed[0]);
    assert_eq!(stage.silent().len(), 1);
    let (first, second) = stage.twice(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])]));
    assert_eq!((first, second), (vec![AbandonReply::PutBack], vec![AbandonReply::No]));
    assert_eq!(stage.waiting(QUEUE), ["a", "later"]);
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
    assert!(!stage.ask::<bool>("EXISTS results:a"));
    assert_cleared(&stage, &claimed[0]);
}

#[test]
fn what_may_have_begun_is_concluded() {
    let check = |forget: bool, next: Option<NextPlace>, books: &[&str]| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        if forget {
            // The record expires after a while: then nothing proves that it never began.
            stage.run(&format!("DEL execution:{}", claimed[0].id));
        }
        fall_silent(&stage, &claimed[0]);
        let end = next.map_or_else(|| failing(&claimed[0]), |next| again(&claimed[0], next));
        let answers = stage.take_twice(&abandon(&stage.keys, Evidence::Lease, &[end]));
        assert_eq!(answers, [AbandonReply::Concluded]);
        assert_eq!(stage.books("a"), books);
        assert_eq!(stage.ask::<usize>("XLEN results:a"), 1);
        assert_cleared(&stage, &claimed[0]);
        // The worker lives after all, and comes too late.
        assert_eq!(stage.take(&worker.settle_step(&[finished(&claimed[0])])), [SettleReply::Done]);
        assert_eq!(stage.books("a"), books);
        assert_eq!(stage.ask::<usize>("XLEN results:a"), 1);
    };
    check(false, None, &["failed:q"]);
    check(true, None, &["failed:q"]);
    check(false, Some(NextPlace::Head), &["queue:q"]);
    check(false, Some(NextPlace::At(2_000_000_000)), &["scheduled:q"]);
}

#[test]
fn who_renewed_meanwhile_is_left_alone() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.begin(&claimed);
    assert_eq!(stage.silent(), []);
    let before = stage.scratch.dump();
    assert_eq!(
        stage.take(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])])),
        [AbandonReply::No]
    );
    assert_eq!(stage.take(&abandon(&stage.keys, Evidence::Wip, &[failing(&claimed[0])])), [AbandonReply::No]);
    super::assert_same(&before, &stage.scratch.dump());
}

#[test]
fn what_was_canceled_or_deleted_is_only_cleared() {
    let canceled_by_python = ["ZREM wip:q $M", "HSET job:a status canceled"];
    for happens in [&["DEL job:a"][..], &canceled_by_python, &["HSET job:a status finished"]] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        fall_silent(&stage, &claimed[0]);
        happens.iter().for_each(|command| stage.run(&command.replace("$M", &claimed[0].id.to_string())));
        let (first, _) = stage.twice(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])]));
        assert_eq!(first, [AbandonReply::Cleared], "{happens:?}");
        assert!(stage.books("a").is_empty(), "{happens:?}");
        assert_cleared(&stage, &claimed[0]);
    }
}

/// Python's workers have no lease: a job is `queued` until its horse starts, in the intermediate list, and in `rq:wip`
/// with the time at which it counts as abandoned.
#[test]
fn pythons_leftovers_are_ended_too() {
    let check = |status: &str, answer: AbandonReply, books: &[&str]| {
        let stage = Stage::new();
        stage.enqueue(&["a"]);
        let x = ExecutionId::new("a");
        stage.run("LMOVE queue:q $P:queue:q:intermediate LEFT RIGHT");
        stage.run("SET queue:q:intermediate:first_seen:a 5");
        stage.run(&format!("HSET job:a status {status} worker_name python"));
        stage.run(&format!("ZADD wip:q 5 {x}"));
        stage.run(&format!("ZADD executions:a 65 {}", x.x()));
        if status != "queued" {
            // The horse takes it out as it starts.
            stage.run("DEL queue:q:intermediate");
        }
        let found = stage.take(&wip_over(&stage.keys, QUEUE));
        assert_eq!(found.len(), 1);
        let claimed = Claimed { id: found[0].id.clone(), origin: QUEUE.to_owned() };
        let (first, _) = stage.twice(&abandon(&stage.keys, Evidence::Wip, &[failing(&claimed)]));
        assert_eq!(first, [answer], "{status}");
        assert_eq!(stage.books("a"), books, "{status}");
    };
    check("queued", AbandonReply::PutBack, &["queue:q"]);
    check("started", AbandonReply::Concluded, &["failed:q"]);
    // Cut off between the two steps of a delayed retry (docs/wire.md §22-3).
    check("scheduled", AbandonReply::PutBack, &["scheduled:q"]);
}
