//! What somebody deletes under running jobs, by hand or because Redis evicts it, is repaired, and no outcome is lost.
//! What was taken away from a worker by right is not given back.

use rq_core::steps::claim::{begin, put_back, renew, save_meta};
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Scope, bury};
use rq_core::steps::management::{Canceled, Deleted, RequeueFrom, Requeued, cancel, delete, requeue};
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::steps::settlement::{SettleReply, settle};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon, wip_over};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_core::steps::{Claimed, settlement::Settlement};
use rq_core::{Cancel, Conclusion, ExecutionId, NextPlace, Settled, Status, Timestamp, Ttl};

use super::abandon::{failing, fall_silent};
use super::{LEASE, QUEUE, Stage, Worker, assert_about, finished, settlement};

/// What may happen to the books of those that run: each line is done at once.
const DAMAGES: &[&[&str]] = &[
    &["DEL wip:q"],
    &["DEL leases"],
    &["DEL wip:q", "DEL leases"],
    &["DEL wip:q", "DEL leases", "DEL executions:a"],
    &["DEL wip:q", "SET wip:q mine"],
];

fn all(stage: &Stage, commands: &[&str]) {
    commands.iter().for_each(|command| stage.run(command));
}

/// Whether `rq:wip` and `rq:leases` hold an execution.
fn books_of(stage: &Stage, claimed: &Claimed) -> [bool; 2] {
    ["wip:q", "leases"]
        .map(|book| stage.ask::<Option<f64>>(&format!("ZSCORE {book} {}", claimed.id)).is_some())
}

// What is repaired

#[test]
fn a_deleted_registry_is_repaired_by_the_next_renewal() {
    for damage in &DAMAGES[..4] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a", "b"]);
        worker.begin(&claimed);
        all(&stage, damage);
        let step = renew(&worker.who, &claimed);
        for sending in 1..=2 {
            assert_eq!(stage.take(&step), [true, true], "{damage:?}, sending {sending}");
        }
        let (now_s, _): (f64, f64) = stage.scratch.query("TIME", [""; 0]);
        for Claimed { id, .. } in &claimed {
            let good_for: i64 =
                stage.ask::<i64>(&format!("ZSCORE wip:q {id}")) - Timestamp::now().epoch_secs();
            assert_about("the entry in wip", good_for, 90);
            let left_s = stage.ask::<f64>(&format!("ZSCORE leases {id}")) / 1e3 - now_s;
            assert!((left_s - LEASE.as_secs_f64()).abs() <= 2.0, "{damage:?}: {left_s} s");
        }
        worker.settle(&[finished(&claimed[0]), finished(&claimed[1])]);
        assert_eq!(
            (stage.books("a"), stage.books("b")),
            (vec!["finished:q".into()], vec!["finished:q".into()])
        );
    }
}

#[test]
fn a_deleted_registry_is_repaired_by_the_next_heartbeat() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    stage.run("DEL wip:q");
    let pulse = stage.take_twice(&heartbeat(&worker.who, StateUpdate::default(), &claimed));
    assert_eq!(pulse.alive, [true, true]);
    for Claimed { id, .. } in &claimed {
        let good_for: i64 = stage.ask::<i64>(&format!("ZSCORE wip:q {id}")) - Timestamp::now().epoch_secs();
        assert_about("the entry in wip", good_for, 90);
    }
}

/// It may end before anybody has repaired anything.
#[test]
fn the_outcome_of_a_job_whose_registry_was_deleted_is_kept() {
    for damage in DAMAGES {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        all(&stage, damage);
        let settled = stage.take_twice(&worker.settle_step(&[finished(&claimed[0])]));
        assert_eq!(settled, [SettleReply::Done], "{damage:?}");
        assert_eq!(stage.books("a"), ["finished:q"], "{damage:?}");
        assert_eq!(stage.ask::<usize>("XLEN results:a"), 1);
        assert_eq!(worker.count("successful_job_count"), Some(1));
        assert!(!stage.key_names().iter().any(|name| name.contains("execution") || name == "leases"));
    }
}

/// Whatever the outcome is, it is settled once: also by a sending whose answer is lost, and the job has run again since.
#[test]
fn an_outcome_that_was_kept_is_not_kept_twice() {
    let stage = Stage::new();
    let (worker, first) = stage.worker_with(&["a"]);
    stage.run("DEL wip:q");
    let again = Conclusion {
        settled: Settled::Again(Some("boom".to_owned())),
        ttl: Ttl::FAILURE_DEFAULT,
        filed: true,
        next: Some(NextPlace::Tail),
        changes: Vec::new(),
    };
    let end = Settlement { conclusion: again, ..finished(&first[0]) };
    let step = worker.settle_step(&[end]);
    assert_eq!(stage.take_twice(&step), [SettleReply::Done]);
    assert_eq!(stage.books("a"), ["queue:q"]);
    let second = worker.claim(1);
    assert_eq!(stage.take(&step), [SettleReply::Done], "done before");
    assert_eq!((stage.books("a"), stage.ask::<usize>("XLEN results:a")), (vec!["wip:q".to_owned()], 1));
    worker.settle(&[finished(&second[0])]);
    assert_eq!(stage.take(&step), [SettleReply::Done], "done before, as the results tell");
    assert_eq!((stage.books("a"), stage.ask::<usize>("XLEN results:a")), (vec!["finished:q".to_owned()], 2));
}

#[test]
fn a_job_whose_registry_was_deleted_begins() {
    for damage in DAMAGES {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        all(&stage, damage);
        assert!(stage.take_twice(&begin(&worker.who, &claimed))[0].is_some(), "{damage:?}");
        worker.settle(&[finished(&claimed[0])]);
        assert_eq!(stage.books("a"), ["finished:q"], "{damage:?}");
    }
}

#[test]
fn a_job_whose_registry_was_deleted_goes_back() {
    for damage in DAMAGES {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        all(&stage, damage);
        let (first, second) = stage.twice(&put_back(&worker.who, &claimed));
        assert_eq!((first, second), (vec![true], vec![false]), "{damage:?}");
        assert_eq!(stage.books("a"), ["queue:q"], "{damage:?}");
    }
}

#[test]
fn meta_of_a_job_whose_registry_was_deleted_is_stored() {
    let stage = Stage::new();
    let (_, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL wip:q");
    assert_eq!(stage.take(&save_meta(&stage.keys, "w", &[(claimed[0].clone(), b"{}".to_vec())])), [true]);
}

#[test]
fn the_outcome_of_an_inline_run_is_kept() {
    let stage = Stage::new();
    let execution = ExecutionId::new("a");
    let mut job = stage.job("a");
    job.status = Status::Started;
    job.worker_name = Some("sync".to_owned());
    let place = Place::Inline(execution.clone(), Timestamp::now().epoch_secs() + 240);
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &[(job, place)])), [Enqueued::Done]);
    let claimed = Claimed { id: execution, origin: QUEUE.to_owned() };
    stage.run("DEL wip:q");
    assert_eq!(stage.take_twice(&settle(&stage.keys, None, &[finished(&claimed)])), [SettleReply::Done]);
    assert_eq!(stage.books("a"), ["finished:q"]);
}

/// The execution of job `a` is abandoned, once however often that is sent, and the job is in these books then.
#[track_caller]
fn check_abandoned(stage: &Stage, sign: Evidence, claimed: &Claimed, answer: AbandonReply, books: &[&str]) {
    let (first, _) = stage.twice(&abandon(&stage.keys, sign, &[failing(claimed)]));
    assert_eq!((first, stage.books("a")), (vec![answer], books.iter().map(ToString::to_string).collect()));
}

/// Its worker died before it could repair anything: by its lease it is found, and by the job's hash it is known.
#[test]
fn a_dead_workers_job_ends_though_the_registry_was_deleted() {
    let check = |begins: bool, answer: AbandonReply, books: &[&str]| {
        for damage in [&["DEL wip:q"][..], &["DEL wip:q", "DEL executions:a", "SET wip:q mine"]] {
            let stage = Stage::new();
            let (worker, claimed) = stage.worker_with(&["a"]);
            if begins {
                worker.begin(&claimed);
            }
            all(&stage, damage);
            fall_silent(&stage, &claimed[0]);
            assert_eq!(stage.silent().len(), 1);
            check_abandoned(&stage, Evidence::Lease, &claimed[0], answer, books);
        }
    };
    check(true, AbandonReply::Concluded, &["failed:q"]);
    check(false, AbandonReply::PutBack, &["queue:q"]);
}

/// Without a lease it is found as one of Python's is, by its entry in `rq:wip`.
#[test]
fn a_dead_workers_job_ends_though_the_leases_were_deleted() {
    let check = |begins: bool, answer: AbandonReply, books: &[&str]| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        if begins {
            worker.begin(&claimed);
        }
        stage.run("DEL leases");
        stage.run(&format!("ZADD wip:q 5 {}", claimed[0].id));
        assert_eq!(stage.take(&wip_over(&stage.keys, QUEUE)).len(), 1);
        check_abandoned(&stage, Evidence::Wip, &claimed[0], answer, books);
    };
    check(true, AbandonReply::Concluded, &["failed:q"]);
    check(false, AbandonReply::PutBack, &["queue:q"]);
}

/// Without either it is in no book. What is known of a dead worker when it is buried finds it.
#[test]
fn a_dead_workers_job_ends_though_both_were_deleted() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "canceled"]);
    worker.begin(&claimed);
    stage.run("HSET job:canceled status canceled");
    all(&stage, &["DEL wip:q", "DEL leases", "DEL executions:a"]);
    let outlives_s = stage.ask::<i64>("TTL worker:w:executions") - stage.ask::<i64>("TTL worker:w");
    assert_about("how long the list outlives the worker", outlives_s, 3600);
    stage.run("DEL worker:w");
    let (first, _) = stage.twice(&bury(&stage.keys, Scope::AtLarge, &Cursor::default()));
    assert_eq!(first.found, [stage.keys.worker("w")]);
    let found = stage.take(&wip_over(&stage.keys, QUEUE));
    assert_eq!(found.iter().map(|silent| &silent.id).collect::<Vec<_>>(), [&claimed[0].id]);
    let answer = stage.take(&abandon(&stage.keys, Evidence::Wip, &[failing(&claimed[0])]));
    assert_eq!((answer, stage.books("a")), (vec![AbandonReply::Concluded], vec!["failed:q".to_owned()]));
}

// What is not

/// Takes the execution of `a` away from the worker `w`, and checks that no step of `w` brings it back.
#[track_caller]
fn stays_lost(happens: impl Fn(&Stage, &Worker<'_>, &Claimed)) {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    let (claimed, who) = (&claimed[0], &worker.who);
    let ours = std::slice::from_ref(claimed);
    happens(&stage, &worker, claimed);
    let [_, lease] = books_of(&stage, claimed);
    let (hash, books) = (job(&stage), stage.books("a"));
    let same = |step: &str| {
        assert_eq!(books_of(&stage, claimed), [false, lease], "wip and leases after {step}");
        assert_eq!((job(&stage), stage.books("a")), (hash.clone(), books.clone()), "after {step}");
    };
    assert_eq!(stage.take(&renew(who, ours)), [false]);
    same("the renewal");
    assert_eq!(stage.take(&heartbeat(who, StateUpdate::default(), ours)).alive, [false]);
    same("the heartbeat");
    assert_eq!(stage.take(&save_meta(&stage.keys, "w", &[(claimed.clone(), b"{}".to_vec())])), [false]);
    same("the meta");
    assert_eq!(stage.take(&begin(who, ours)), [None]);
    same("the begin");
    let before_us = stage.field("a", "settled").as_deref() == Some(claimed.id.x());
    if lease {
        fall_silent(&stage, claimed);
        let answer = stage.take(&abandon(&stage.keys, Evidence::Lease, &[failing(claimed)]));
        assert_eq!(answer, [AbandonReply::Cleared]);
    }
    let settled = stage.take(&worker.settle_step(&[finished(claimed)]));
    assert_eq!(settled, [if before_us { SettleReply::Done } else { SettleReply::Lost }]);
    assert_eq!(stage.take(&put_back(who, ours)), [false]);
    assert_eq!(books_of(&stage, claimed), [false, false]);
    assert_eq!((job(&stage), stage.books("a")), (hash, books), "at last");
}

fn job(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    stage.ask("HGETALL job:a")
}

#[test]
fn a_canceled_job_is_not_repaired() {
    stays_lost(|stage, _, _| {
        assert_eq!(stage.take(&cancel(&stage.keys, "a", Cancel::default())), Canceled::Done);
    });
}

/// What Python's cancel leaves of a job that runs (docs/wire.md §12.1).
fn canceled_by_python(stage: &Stage, claimed: &Claimed) {
    stage.run("HSET job:a status canceled");
    stage.run(&format!("ZREM wip:q {}", claimed.id));
    stage.run("ZADD canceled:q 5 a");
}

#[test]
fn a_job_that_python_canceled_is_not_repaired() {
    stays_lost(|stage, _, claimed| canceled_by_python(stage, claimed));
}

#[test]
fn a_deleted_job_is_not_repaired() {
    stays_lost(|stage, _, _| {
        assert_eq!(stage.take(&delete(&stage.keys, &["a".to_owned()])), [Deleted::Done]);
    });
    // The id is taken by another job, which runs.
    stays_lost(|stage, worker, _| {
        assert_eq!(stage.take(&delete(&stage.keys, &["a".to_owned()])), [Deleted::Done]);
        stage.enqueue(&["a"]);
        assert_eq!(worker.claim(1).len(), 1);
    });
}

#[test]
fn a_reaped_job_is_not_repaired() {
    stays_lost(reap);
}

fn reap(stage: &Stage, worker: &Worker<'_>, claimed: &Claimed) {
    worker.begin(std::slice::from_ref(claimed));
    fall_silent(stage, claimed);
    let answer = stage.take(&abandon(&stage.keys, Evidence::Lease, &[failing(claimed)]));
    assert_eq!(answer, [AbandonReply::Concluded]);
    // Another run's end stands there, or none: the reaped run must not pass for one that was settled.
    stage.run("HDEL job:a settled");
}

#[test]
fn a_requeued_job_is_not_repaired() {
    stays_lost(requeue_reaped);
}

fn requeue_reaped(stage: &Stage, worker: &Worker<'_>, claimed: &Claimed) {
    reap(stage, worker, claimed);
    let step = requeue(&stage.keys, RequeueFrom::Record, false, &["a".to_owned()]);
    assert_eq!(stage.take(&step), [Requeued::Done]);
}

#[test]
fn a_job_that_went_back_is_not_repaired() {
    stays_lost(|stage, worker, claimed| {
        assert_eq!(stage.take(&put_back(&worker.who, std::slice::from_ref(claimed))), [true]);
    });
}

#[test]
fn a_settled_job_is_not_repaired() {
    stays_lost(|_, worker, claimed| worker.settle(&[finished(claimed)]));
    let end = |claimed: &Claimed| settlement(claimed, Settled::Finished(None), Ttl::Seconds(0));
    stays_lost(|_, worker, claimed| worker.settle(&[end(claimed)]));
}

#[test]
fn a_job_that_another_worker_runs_is_not_repaired() {
    stays_lost(|stage, worker, claimed| {
        requeue_reaped(stage, worker, claimed);
        assert_eq!(stage.worker("other", &[QUEUE]).claim(1).len(), 1);
    });
    // One of Python's, which writes of its run what docs/wire.md §10.2 says.
    stays_lost(|stage, worker, claimed| {
        requeue_reaped(stage, worker, claimed);
        stage.run("DEL queue:q");
        stage.run("HSET job:a status started worker_name python");
        stage.run("ZADD wip:q 2000000000 a:theirs");
        stage.run("ZADD executions:a 2000000060 theirs");
    });
}

/// Python's cancel leaves the execution in `rq:executions`, and then there are two of them of one worker.
#[test]
fn a_job_that_this_worker_runs_anew_is_not_repaired() {
    stays_lost(|stage, worker, claimed| {
        canceled_by_python(stage, claimed);
        stage.run("ZREM canceled:q a");
        stage.run("HSET job:a status queued");
        stage.run("RPUSH queue:q a");
        let anew: Vec<Claimed> = worker.claim(1);
        assert_eq!(stage.field("a", "execution").as_deref(), Some(anew[0].id.x()));
        assert_eq!(stage.ask::<Vec<String>>("ZRANGE executions:a 0 -1").len(), 2);
    });
}
