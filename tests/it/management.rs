//! What people do to jobs and look at, on both fronts: cancel, delete, requeue, stop; registries, workers, suspension.

use std::collections::BTreeSet;
use std::time::Duration;

use rq_core::steps::Claimed;
use rq_core::steps::management::Canceled;
use rq_core::{
    Call, Cancel, Dependency, Entry, Error, Keys, RegistryKind, Requeued, ResultKind, Status, Timestamp,
    secs, steps,
};
use rq_tests::Scratch;

use crate::queue::on_both_fronts;
use crate::scripts::{QUEUE, Stage, failed, finished};

/// More than one step releases.
const MANY: usize = 1500;

fn call(id: &str) -> Call<i64> {
    Call::to("math.add").arg(1).arg(2).job_id(id)
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:05}")).collect()
}

/// Runs all that wait, one by one.
fn run_all(stage: &Stage, worker: &str, end: impl Fn(&Claimed) -> rq_core::steps::settlement::Settlement) {
    let worker = stage.worker(worker, &[QUEUE]);
    loop {
        let claimed = worker.claim(16);
        if claimed.is_empty() {
            return stage.take(&worker.death());
        }
        worker.settle(&claimed.iter().map(&end).collect::<Vec<_>>());
    }
}

on_both_fronts! {
    fn a_canceled_job_says_so() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(queue.enqueue(call("j"))).unwrap();
        now!(job.cancel()).unwrap();
        assert_eq!(now!(job.status()).unwrap(), Some(Status::Canceled));
        assert!(now!(queue.is_empty()).unwrap());
        let error = now!(job.cancel()).unwrap_err();
        assert_eq!(error.to_string(), "job j has been canceled already");
        let error = now!(job.wait(secs(5))).unwrap_err();
        assert!(matches!(error, Error::JobFailed { status: Status::Canceled, .. }), "{error}");
        let error = now!(queue.handle::<()>("nosuch").cancel()).unwrap_err();
        assert!(matches!(error, Error::NoSuchJob { .. }), "{error}");
    }

    fn canceling_releases_all_dependents_if_told() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let parent = now!(queue.enqueue(call("parent"))).unwrap();
        let ids = numbered("d", MANY);
        now!(queue.enqueue_many(ids.iter().map(|id| call(id).depends_on("parent")))).unwrap();
        assert_eq!(now!(parent.dependents()).unwrap(), ids);
        assert_eq!(now!(queue.handle::<()>(&ids[0]).dependencies()).unwrap(), ["parent"]);
        now!(parent.cancel_with(Cancel::default().release_dependents())).unwrap();
        assert_eq!(now!(queue.len()).unwrap(), MANY);
        assert_eq!(now!(parent.dependents()).unwrap(), [""; 0]);
    }

    fn a_deleted_job_leaves_nothing_and_holds_nobody_back() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let parent = now!(queue.enqueue(call("parent"))).unwrap();
        let ids = numbered("d", MANY);
        now!(queue.enqueue_many(ids.iter().map(|id| call(id).depends_on("parent")))).unwrap();
        now!(parent.delete()).unwrap();
        assert_eq!((now!(parent.job()).unwrap(), now!(queue.len()).unwrap()), (None, MANY));
        assert!(stage.key_names().iter().all(|name| !name.contains("parent")), "{:?}", stage.key_names());
        now!(parent.delete()).expect("it may be done twice");
    }

    /// `c` waits for `b` and, of those that stay, for one that has ended: were `b` deleted first, `c` would be queued.
    fn dependents_are_deleted_before_what_they_wait_for() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue(call("ended"))).unwrap();
        run_all(&stage, "w", finished);
        let a = now!(queue.enqueue(call("a"))).unwrap();
        for (id, on) in [("b", vec!["a"]), ("c", vec!["ended", "b"]), ("d", vec!["a", "c"])] {
            now!(queue.enqueue(call(id).depends_on(Dependency::on(on)))).unwrap();
        }
        now!(queue.enqueue(call("e"))).unwrap();
        now!(queue.enqueue(call("f").depends_on("e"))).unwrap();
        now!(a.delete_with_dependents()).unwrap();
        let jobs: Vec<String> =
            stage.key_names().into_iter().filter(|name| name.starts_with("job:")).collect();
        assert_eq!(jobs, ["job::f:dependencies", "job:e", "job:e:dependents", "job:ended", "job:f"]);
        assert_eq!(stage.waiting(QUEUE), ["e"]);
        now!(a.delete_with_dependents()).expect("it may be done twice");
    }

    fn a_requeued_job_runs_again() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(queue.enqueue(call("j"))).unwrap();
        let error = now!(job.requeue()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job j is queued and not among the failed or finished jobs of its queue, which alone can be requeued"
        );
        run_all(&stage, "first", failed);
        now!(queue.enqueue(call("other"))).unwrap();
        now!(job.requeue()).unwrap();
        assert_eq!(now!(queue.job_ids()).unwrap(), ["other", "j"]);
        run_all(&stage, "second", finished);
        assert_eq!(now!(job.result()).unwrap(), Some(5));
        now!(queue.enqueue(call("other"))).unwrap();
        now!(job.requeue_at_front()).unwrap();
        assert_eq!(now!(queue.job_ids()).unwrap(), ["j", "other"]);
        let kinds: Vec<ResultKind> = now!(job.results()).unwrap().iter().map(|result| result.kind).collect();
        assert_eq!(kinds, [ResultKind::Successful, ResultKind::Failed]);
        let error = now!(queue.handle::<()>("nosuch").requeue()).unwrap_err();
        assert!(matches!(error, Error::NoSuchJob { .. }), "{error}");
    }

    fn whoever_runs_a_job_is_asked_to_stop_it() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(queue.enqueue(call("j"))).unwrap();
        let error = now!(job.stop()).unwrap_err();
        assert_eq!(error.to_string(), "job j is queued and does not run; one that waits can be canceled");
        let worker = stage.worker("w", &[QUEUE]);
        let claimed = worker.claim(1);
        assert!(!now!(job.stop()).unwrap(), "nobody listens");
        let mut connection = stage.scratch.connection();
        let mut subscription = connection.as_pubsub();
        subscription.subscribe(stage.keys.pubsub("w")).unwrap();
        assert!(now!(job.stop()).unwrap());
        let command: String = subscription.get_message().unwrap().get_payload().unwrap();
        assert_eq!(command, r#"{"command": "stop-job", "job_id": "j"}"#);
        // The record goes on naming the worker.
        worker.settle(&[finished(&claimed[0])]);
        assert!(matches!(now!(job.stop()), Err(Error::NotRunning { status: Status::Finished, .. })));
        assert!(matches!(now!(queue.handle::<()>("nosuch").stop()), Err(Error::NoSuchJob { .. })));
    }

    fn each_registry_can_be_looked_into() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let due = Timestamp::now().after(secs(1000));
        now!(queue.enqueue_many(["good", "bad", "called-off", "runs", "parent"].map(call))).unwrap();
        let worker = stage.worker("w", &[QUEUE]);
        let claimed = worker.claim(4);
        worker.settle(&[finished(&claimed[0]), failed(&claimed[1])]);
        now!(queue.handle::<()>("called-off").cancel()).unwrap();
        now!(queue.enqueue(call("child").depends_on("parent"))).unwrap();
        now!(queue.enqueue_at(due, call("later"))).unwrap();
        stage.run("ZADD ready:q 7 child");
        let before = stage.scratch.dump_json();
        let now_s = Timestamp::now().epoch_secs();
        use RegistryKind::{Canceled, Deferred, Failed, Finished, Ready, Scheduled, Started};
        for (kind, id, at_s) in [
            (Started, "runs", now_s + 90),
            (Finished, "good", now_s + 500),
            (Failed, "bad", now_s + 31_536_000),
            (Deferred, "child", now_s),
            (Scheduled, "later", due.epoch_secs()),
            (Canceled, "called-off", now_s),
            (Ready, "child", 7),
        ] {
            let registry = queue.registry(kind);
            assert_eq!((now!(registry.count()).unwrap(), now!(registry.is_empty()).unwrap()), (1, false), "{kind}");
            assert_eq!(now!(registry.ids()).unwrap(), [id], "{kind}");
            assert_eq!((now!(registry.ids_page(1, 5)).unwrap(), now!(registry.ids_page(0, 0)).unwrap()), (vec![], vec![]));
            let entry = now!(registry.entry(id)).unwrap().unwrap();
            assert_eq!(now!(registry.entries_page(0, 5)).unwrap(), std::slice::from_ref(&entry), "{kind}");
            assert!((entry.moment().unwrap().epoch_secs() - at_s).abs() <= 3, "{kind}: {entry:?}");
            let runs = (kind == Started).then(|| claimed[3].id.clone());
            assert_eq!(entry, Entry { job_id: id.into(), execution: runs, score: entry.score }, "{kind}");
            assert!(now!(registry.contains(id)).unwrap() && !now!(registry.contains("parent")).unwrap(), "{kind}");
            let jobs: Vec<_> = now!(registry.jobs_page(0, 5)).unwrap().into_iter().map(Result::unwrap).collect();
            assert_eq!(jobs.iter().flatten().map(|job| job.id.as_str()).collect::<Vec<_>>(), [id], "{kind}");
        }
        assert_eq!(stage.scratch.dump_json(), before, "looking changes nothing");
        let other = queue.named("other").unwrap().registry(Failed);
        assert_eq!((now!(other.count()).unwrap(), now!(other.ids()).unwrap()), (0, vec![]));
    }

    /// What has expired, or was abandoned, stays until somebody cleans up.
    fn looking_cleans_nothing_up() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        stage.run("ZADD finished:q 1 old -1 for-ever");
        stage.run("ZADD wip:q 1 j:0123");
        let before = stage.scratch.dump_json();
        let finished = queue.registry(RegistryKind::Finished);
        assert_eq!(now!(finished.ids()).unwrap(), ["for-ever", "old"]);
        assert_eq!(now!(finished.entry("for-ever")).unwrap().unwrap().moment(), None);
        assert!(now!(finished.jobs_page(0, 5)).unwrap().iter().all(|job| matches!(job, Ok(None))));
        assert_eq!(now!(queue.registry(RegistryKind::Started).ids()).unwrap(), ["j"]);
        assert_eq!(stage.scratch.dump_json(), before);
    }

    fn one_bad_record_hides_no_others() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue_many(["a", "bad", "b"].map(call))).unwrap();
        stage.run("HSET job:bad timeout soon");
        stage.run("SET job:string x");
        let ids = ["a", "bad", "nosuch", "string", "b"].map(str::to_owned);
        let jobs = now!(queue.fetch_jobs(&ids)).unwrap();
        let told: Vec<String> = jobs
            .iter()
            .map(|job| match job {
                Ok(job) => job.as_ref().map_or("none".to_owned(), |job| job.id.clone()),
                Err(error) => error.to_string().chars().take(20).collect(),
            })
            .collect();
        assert_eq!((told[0].as_str(), told[1].as_str(), told[2].as_str()), ("a", "job bad cannot be re", "none"));
        assert!(told[3].contains("WRONGTYPE"), "{told:?}");
        assert_eq!(told[4], "b");
        let many = numbered("j", 1201);
        assert_eq!(now!(queue.fetch_jobs(&many)).unwrap().len(), 1201);
        assert!(now!(queue.fetch_jobs(&[])).unwrap().is_empty());
    }

    fn all_failed_jobs_are_requeued_in_their_order() {
        const JOBS: usize = 1001;
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let ids = numbered("j", JOBS);
        now!(queue.enqueue_many(ids.iter().map(|id| call(id)))).unwrap();
        run_all(&stage, "w", failed);
        let registry = queue.registry(RegistryKind::Failed);
        // By score: the last one is first.
        stage.run(&format!("ZADD failed:q 1 {}", ids[JOBS - 1]));
        stage.run(&format!("DEL job:{}", ids[0]));
        let some = now!(registry.requeue(&[ids[5].clone(), "nosuch".into()])).unwrap();
        assert_eq!(some, [(ids[5].clone(), Requeued::Done), ("nosuch".into(), Requeued::NoJob)]);
        let all = now!(registry.requeue_all()).unwrap();
        assert_eq!((all.len(), &all[0], &all[1]), (
            JOBS - 1,
            &(ids[JOBS - 1].clone(), Requeued::Done),
            &(ids[0].clone(), Requeued::NoJob),
        ));
        assert!(all[2..].iter().all(|(_, requeued)| *requeued == Requeued::Done));
        assert!(now!(registry.is_empty()).unwrap());
        let waiting = now!(queue.job_ids()).unwrap();
        assert_eq!((waiting.len(), &waiting[0], &waiting[1], &waiting[2]), (JOBS - 1, &ids[5], &ids[JOBS - 1], &ids[1]));
        assert_eq!(now!(registry.requeue_all()).unwrap(), []);
        let error = now!(queue.registry(RegistryKind::Canceled).requeue_all()).unwrap_err();
        assert_eq!(error.to_string(), "registry: only failed and finished jobs can be requeued");
    }

    fn workers_are_listed_for_a_queue_and_for_all() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let one = stage.worker("one", &[QUEUE]);
        stage.worker("other", &["elsewhere"]);
        stage.worker("two", &["elsewhere", QUEUE]);
        // One that died in silence, and one whose record is broken.
        stage.run("SADD workers $P:worker:gone");
        stage.run("SADD workers $P:worker:broken");
        stage.run("HSET worker:broken pid x");
        now!(queue.enqueue_many(["good", "bad"].map(call))).unwrap();
        let claimed = one.claim(2);
        one.settle(&[finished(&claimed[0]), failed(&claimed[1])]);
        let workers = now!(queue.workers()).unwrap();
        assert_eq!(workers.iter().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!((workers[0].successful_job_count, workers[0].failed_job_count), (Some(1), Some(1)));
        assert!(workers[0].total_working_time.as_deref().unwrap().parse::<f64>().unwrap() > 0.0);
        let all = now!(queue.all_workers()).unwrap();
        assert_eq!(all.iter().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["one", "other", "two"]);
    }

    fn suspended_workers_take_nothing() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        assert!(!now!(queue.are_workers_suspended()).unwrap() && !now!(queue.resume_all_workers()).unwrap());
        now!(queue.suspend_all_workers(None)).unwrap();
        assert_eq!((stage.ask::<String>("GET suspended"), stage.ask::<i64>("TTL suspended")), ("1".into(), -1));
        assert!(now!(queue.are_workers_suspended()).unwrap());
        now!(queue.suspend_all_workers(Some(Duration::from_millis(29_100)))).unwrap();
        assert!((28..=30).contains(&stage.ask::<i64>("TTL suspended")));
        now!(queue.suspend_all_workers(Some(Duration::ZERO))).unwrap();
        assert!(stage.ask::<i64>("TTL suspended") <= 1);
        now!(queue.suspend_all_workers(None)).unwrap();
        assert!(now!(queue.resume_all_workers()).unwrap());
        assert_eq!(stage.ask::<usize>("EXISTS suspended"), 0);
    }
}

// Many at once

/// A job whose cancellation was confirmed never starts afterwards, and nobody's outcome of it counts.
#[test]
fn a_canceled_job_never_starts() {
    const JOBS: usize = 400;
    let stage = Stage::new();
    let ids = numbered("j", JOBS);
    stage.enqueue(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let canceling = {
        let (url, keys, ids) = (stage.scratch.url().to_owned(), stage.keys.clone(), ids.clone());
        // From the tail: the two meet somewhere in the middle, and then it calls off what was claimed.
        std::thread::spawn(move || {
            let link = rq_core::link::BlockingLink::open(&url).unwrap();
            let cancel =
                |id: &String| link.run(&steps::management::cancel(&keys, id, Cancel::default())).unwrap();
            ids.iter().rev().map(|id| (id.clone(), cancel(id))).collect::<Vec<_>>()
        })
    };
    let worker = stage.worker("w", &[QUEUE]);
    let mut ended = BTreeSet::new();
    loop {
        let (claimed, dropped) = worker.claim_all(8);
        assert_eq!(dropped, [], "a canceled job is in no list");
        if claimed.is_empty() {
            break;
        }
        let begun = worker.begin(&claimed);
        let runs: Vec<&Claimed> = claimed
            .iter()
            .zip(begun)
            .filter(|(_, begun)| begun.is_some())
            .map(|(claimed, _)| claimed)
            .collect();
        let settlements: Vec<_> = runs.iter().map(|claimed| finished(claimed)).collect();
        if settlements.is_empty() {
            continue;
        }
        let settled =
            stage.take(&steps::settlement::settle(&stage.keys, Some(&worker.who.name), &settlements));
        let done =
            runs.iter().zip(settled).filter(|(_, settled)| *settled == steps::settlement::SettleReply::Done);
        ended.extend(done.map(|(claimed, _)| claimed.id.job_id().to_owned()));
    }
    let canceled = canceling.join().unwrap();
    assert!(canceled.iter().all(|(_, canceled)| *canceled == Canceled::Done));
    // Canceled after its end, or before it could end: in one book either way.
    assert_eq!(stage.ask::<BTreeSet<String>>("ZRANGE canceled:q 0 -1"), ids.iter().cloned().collect());
    for book in ["queue:q", "wip:q", "finished:q", "failed:q", "leases"] {
        assert_eq!(stage.ask::<usize>(&format!("EXISTS {book}")), 0, "{book}");
    }
    for id in &ids {
        let has_result = stage.ask::<usize>(&format!("EXISTS results:{id}")) == 1;
        assert_eq!(has_result, ended.contains(id), "{id}");
    }
    assert!((1..JOBS).contains(&ended.len()), "{} ended before they were canceled", ended.len());
}

#[test]
fn jobs_requeued_by_many_at_once_are_pushed_once() {
    const AT_ONCE: usize = 4;
    let stage = Stage::new();
    let ids = numbered("j", 500);
    stage.enqueue(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    run_all(&stage, "w", failed);
    let requeue = || {
        let keys = stage.keys.clone();
        let queue = rq_core::blocking::Queue::connect(stage.scratch.url(), QUEUE).unwrap().keys(keys);
        std::thread::spawn(move || queue.registry(RegistryKind::Failed).requeue_all().unwrap())
    };
    let requeuing: Vec<_> = (0..AT_ONCE).map(|_| requeue()).collect();
    let outcomes = requeuing.into_iter().flat_map(|thread| thread.join().unwrap());
    let done = outcomes.filter(|(_, requeued)| *requeued == Requeued::Done).count();
    let mut waiting = stage.waiting(QUEUE);
    waiting.sort();
    assert_eq!((waiting, done), (ids.clone(), ids.len()));
}

/// What people do after an incident: 20,000 jobs at once.
#[test]
fn very_many_jobs_are_requeued_in_seconds() {
    const JOBS: usize = 20_000;
    const LONGEST: Duration = Duration::from_secs(10);
    let stage = Stage::new();
    let queue =
        rq_core::blocking::Queue::connect(stage.scratch.url(), QUEUE).unwrap().keys(stage.keys.clone());
    let ids = numbered("j", JOBS);
    queue.enqueue_many(ids.iter().map(|id| call(id))).unwrap();
    let mut fail = redis::pipe();
    for id in &ids {
        fail.hset(stage.keys.job(id), "status", "failed").ignore();
        fail.zadd(stage.keys.failed(QUEUE), id, 4_000_000_000_u64).ignore();
    }
    fail.del(stage.keys.queue(QUEUE)).ignore();
    fail.exec(&mut stage.scratch.connection()).unwrap();
    let began = std::time::Instant::now();
    let outcome = queue.registry(RegistryKind::Failed).requeue_all().unwrap();
    let took = began.elapsed();
    println!("{JOBS} requeued in {took:?}");
    assert!(took < LONGEST, "{took:?}");
    assert!(outcome.iter().all(|(_, requeued)| *requeued == Requeued::Done));
    assert_eq!(stage.waiting(QUEUE), ids);
}
