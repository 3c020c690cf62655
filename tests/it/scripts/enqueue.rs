//! `enqueue`: jobs and their places, written once.

use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::{ExecutionId, Job, Status};

use super::{QUEUE, Stage, assert_about, finished};

/// Enqueues one job; what the script said.
fn enqueue_one(stage: &Stage, job: Job, place: Place) -> Enqueued {
    stage.take(&enqueue(&stage.keys, QUEUE, &[(job, place)])).swap_remove(0)
}

#[test]
fn a_job_is_written_and_pushed_once() {
    let stage = Stage::new();
    let mut job = stage.job("a");
    job.ttl_s = Some(100);
    let step = enqueue(&stage.keys, QUEUE, &[(job.clone(), Place::Tail)]);
    assert_eq!(stage.twice(&step), (vec![Enqueued::Done], vec![Enqueued::Already]));
    assert_eq!(stage.waiting(QUEUE), ["a"]);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS queues"), [stage.keys.queue(QUEUE)]);
    let fields = rq_core::steps::job::fetch_fields(&stage.keys, &["a".to_owned()]);
    assert_eq!(stage.take(&fields), [job.to_fields()]);
    assert_about("the ttl of the job", stage.ask("TTL job:a"), 100);
}

#[test]
fn each_place_is_taken_once() {
    let stage = Stage::new();
    let inline = ExecutionId::new("c");
    let places =
        [("a", Place::Tail), ("b", Place::Head), ("c", Place::Inline(inline.clone(), 2_000_000_000))];
    let jobs = places.map(|(id, place)| (stage.job(id), place));
    stage.twice(&enqueue(&stage.keys, QUEUE, &jobs));
    assert_eq!(stage.waiting(QUEUE), ["b", "a"]);
    assert_eq!(stage.books("c"), ["wip:q"]);
    assert_eq!(stage.ask::<i64>(&format!("ZSCORE wip:q {inline}")), 2_000_000_000);
}

#[test]
fn many_jobs_keep_their_order_across_scripts() {
    let stage = Stage::new();
    let ids: Vec<String> = (0..250).map(|number| format!("j{number}")).collect();
    let jobs: Vec<(Job, Place)> = ids.iter().map(|id| (stage.job(id), Place::Tail)).collect();
    let (first, second) = stage.twice(&enqueue(&stage.keys, QUEUE, &jobs));
    assert_eq!((first, second), (vec![Enqueued::Done; 250], vec![Enqueued::Already; 250]));
    assert_eq!(stage.waiting(QUEUE), ids);
}

#[test]
fn an_id_whose_job_lives_is_not_overwritten() {
    const ALIVE: [Status; 6] = [
        Status::Queued,
        Status::Started,
        Status::Deferred,
        Status::ReadyToEnqueue,
        Status::Scheduled,
        Status::RateLimited,
    ];
    for status in ALIVE.map(Status::as_str).into_iter().chain(["dreaming"]) {
        let stage = Stage::new();
        stage.run(&format!("HSET job:a data other status {status} created_at then origin q"));
        let step =
            enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail), (stage.job("b"), Place::Tail)]);
        let (first, second) = stage.twice(&step);
        assert_eq!(first, [Enqueued::Taken(status.to_owned()), Enqueued::Done], "{status}");
        assert_eq!(second, [Enqueued::Taken(status.to_owned()), Enqueued::Already], "{status}");
        assert_eq!(stage.field("a", "data").as_deref(), Some("other"));
        assert_eq!(stage.waiting(QUEUE), ["b"]);
    }
}

/// A producer that asks again with the same id and the same call wants that job, once.
#[test]
fn the_same_call_of_a_living_job_is_there_already() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    assert_eq!(enqueue_one(&stage, stage.job("a"), Place::Head), Enqueued::Already);
    assert_eq!(stage.waiting(QUEUE), ["a"]);
}

#[test]
fn a_job_that_has_ended_is_replaced() {
    let check = |status: &str, registry: Option<&str>| {
        let stage = Stage::new();
        stage.run(&format!("HSET job:a data other status {status} created_at then origin old exc_info x"));
        stage.run("XADD results:a * type 1");
        stage.run("SADD job::a:dependencies gone");
        if let Some(registry) = registry {
            stage.run(&format!("ZADD {registry}:old 1 a 2 b"));
        }
        let step = enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]);
        assert_eq!(stage.twice(&step), (vec![Enqueued::Done], vec![Enqueued::Already]), "{status}");
        assert_eq!(stage.books("a"), ["queue:q"], "{status}");
        assert_eq!(stage.field("a", "exc_info"), None, "{status}");
        let mut expected = vec!["job:a", "queue:q", "queues"];
        let registry = registry.map(|registry| format!("{registry}:old"));
        expected.extend(registry.as_deref());
        expected.sort_unstable();
        assert!(stage.key_names().iter().eq(expected), "{status}: {:?}", stage.key_names());
    };
    check("created", None);
    check("finished", Some("finished"));
    check("failed", Some("failed"));
    check("stopped", Some("failed"));
    check("canceled", Some("canceled"));
}

#[test]
fn a_hash_that_is_no_job_is_replaced() {
    for fields in ["last_heartbeat now", "status queued", "data x created_at then"] {
        let stage = Stage::new();
        stage.run(&format!("HSET job:a {fields}"));
        assert_eq!(enqueue_one(&stage, stage.job("a"), Place::Tail), Enqueued::Done, "{fields}");
        assert_eq!(
            (stage.waiting(QUEUE), stage.field("a", "status")),
            (vec!["a".into()], Some("queued".into()))
        );
    }
}

/// The answer of an enqueue may be lost for so long that the job has run meanwhile.
#[test]
fn sending_again_after_the_end_does_not_run_the_job_again() {
    let stage = Stage::new();
    let step = enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]);
    stage.take(&step);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.take(&step), [Enqueued::Already]);
    assert_eq!(stage.books("a"), ["finished:q"]);
}

#[test]
fn a_key_of_another_type_harms_its_job_alone() {
    let stage = Stage::new();
    stage.run("SET job:a mine");
    let jobs = ["a", "b"].map(|id| (stage.job(id), Place::Tail));
    let (first, _) = stage.twice(&enqueue(&stage.keys, QUEUE, &jobs));
    assert_eq!(first, [Enqueued::Taken("wrongtype".to_owned()), Enqueued::Done]);
    assert_eq!(stage.ask::<String>("GET job:a"), "mine");
    assert_eq!(stage.waiting(QUEUE), ["b"]);
}

#[test]
fn a_queue_of_another_type_refuses_before_anything_is_written() {
    for key in ["queue:q", "queues"] {
        let stage = Stage::new();
        stage.run(&format!("SET {key} mine"));
        let error = stage.refuse(&enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]));
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    }
}
