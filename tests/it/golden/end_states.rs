//! Our own steps leave the same end state as Python RQ does: keys, types, fields and TTLs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rq_core::blocking::Queue;
use rq_core::steps::silent::{Abandoned, Sign, abandon, leases_over};
use rq_core::steps::worker::{Claimed, News, Settlement, Settling, heartbeat};
use rq_core::{
    Call, Cancel, Codec, Conclusion, Dependency, Failure, Fields, Job, OnCrash, Repeat, Retry, Settled,
    Timestamp, Ttl, handlers, job, secs, steps, zlib,
};
use rq_tests::fixture::{self, Value};

use super::core_fields;
use crate::scripts::{Stage, settlement};

/// The names that the scenarios use.
const QUEUE: &str = "default";
const WORKER: &str = "worker-1";
/// How far a TTL, or a score that counts from a job's creation, may be off, in seconds.
const SLACK_S: i64 = 5;

/// Requeued jobs have an empty one.
const EXC_INFO_BYTES_MAX: usize = 1000;

/// What one scenario did, done by us.
struct Replay {
    /// Its name; behind a slash the snapshot, where that is not the last one.
    scenario: &'static str,
    act: fn(&Stage),
}

const REPLAYS: &[Replay] = &[
    Replay { scenario: "queued_simple", act: queued_simple },
    Replay { scenario: "queued_all_options", act: queued_all_options },
    Replay { scenario: "finished", act: finished },
    Replay { scenario: "finished_none_and_ttls", act: finished_none_and_ttls },
    Replay { scenario: "failed", act: failed },
    Replay { scenario: "enqueue_many", act: enqueue_many },
    Replay { scenario: "empty_delete_queue", act: empty_delete_queue },
    Replay { scenario: "sync_queue", act: sync_queue },
    Replay { scenario: "retry", act: retry },
    Replay { scenario: "retry_returned", act: retry_returned },
    Replay { scenario: "repeat", act: repeat },
    Replay { scenario: "dependent", act: dependent },
    Replay { scenario: "dependent_failed_parent", act: dependent_failed_parent },
    Replay { scenario: "stopped", act: stopped },
    Replay { scenario: "abandoned", act: abandoned },
    Replay { scenario: "canceled", act: canceled },
    Replay { scenario: "requeue_delete/requeued", act: requeued },
    Replay { scenario: "requeue_delete", act: requeued_and_deleted },
    Replay { scenario: "suspend_resume/suspended", act: suspended },
    Replay { scenario: "suspend_resume", act: resumed },
    Replay { scenario: "cancel_delete_running/after cancel", act: canceled_while_it_runs },
    Replay { scenario: "cancel_delete_running", act: canceled_and_deleted_while_they_run },
];

/// One way in which our end state is another than Python's.
struct Difference {
    /// `*` for all.
    scenario: &'static str,
    /// What the key begins with.
    key: &'static str,
    /// Which fact of the key begins with this: `.field`, `ttl`, `[index]`; empty for the whole key.
    fact: &'static str,
    #[expect(dead_code, reason = "it is there to be read")]
    why: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "*",
        key: "rq:clean_groups",
        fact: "",
        why: "a worker process did maintenance; here are its steps alone",
    },
    Difference {
        scenario: "*",
        key: "rq:job:",
        fact: ".settled",
        why: "a field of ours, by which a settle that is sent twice is known; Python keeps unknown fields",
    },
    Difference {
        scenario: "*",
        key: "rq:job:",
        fact: ".canceled",
        why: "the token of the call, by which a cancel that is sent twice is known",
    },
    Difference { scenario: "*", key: "rq:job:", fact: ".requeued", why: "the same for a requeue" },
    Difference {
        scenario: "canceled",
        key: "rq:job:job-parent",
        fact: ".released",
        why: "says that a canceled job holds nobody back, should its canceler die midway",
    },
    Difference {
        scenario: "requeue_delete/requeued",
        key: "rq:job:job-",
        fact: "ttl",
        why: "Python's requeued jobs expire with their failure (wire spec §22-8); ours live until they have run",
    },
    Difference {
        scenario: "requeue_delete/requeued",
        key: "rq:results:job-",
        fact: "ttl",
        why: "Python's results of failures live for ever (wire spec §22-19); ours as long as the failed job",
    },
    Difference {
        scenario: "suspend_resume/suspended",
        key: "rq:worker:worker-1",
        fact: "ttl",
        why: "the scenario's worker has another --worker-ttl",
    },
    Difference {
        scenario: "suspend_resume/suspended",
        key: "rq:queue:default:intermediate",
        fact: "",
        why: "Python's worker leaves an id without a job there; ours pops no id into it",
    },
    Difference {
        scenario: "suspend_resume",
        key: "rq:queue:default:intermediate",
        fact: "",
        why: "the same",
    },
    Difference {
        scenario: "cancel_delete_running/after cancel",
        key: "rq:execution",
        fact: "",
        why: "Python's canceled job runs on and wins in the end (wire spec §22-12); ours has lost its run",
    },
    Difference {
        scenario: "cancel_delete_running/after cancel",
        key: "rq:worker:worker-1:executions",
        fact: "",
        why: "the same",
    },
    Difference {
        scenario: "cancel_delete_running/after cancel",
        key: "rq:worker:worker-1",
        fact: "ttl",
        why: "Python's worker cuts it to the heartbeat of the job it runs; ours beats for itself",
    },
    Difference {
        scenario: "cancel_delete_running/after cancel",
        key: "rq:claims:worker-1",
        fact: "",
        why: "a key of ours, by which a claim that is sent twice is known",
    },
    Difference {
        scenario: "cancel_delete_running",
        key: "rq:finished:default",
        fact: "",
        why: "Python's workers file what was canceled or deleted under them (wire spec §22-11); ours cannot",
    },
    Difference { scenario: "cancel_delete_running", key: "rq:results:job-", fact: "", why: "the same" },
    Difference { scenario: "cancel_delete_running", key: "rq:job:job-delete", fact: "", why: "the same" },
    Difference { scenario: "cancel_delete_running", key: "rq:job:job-cancel", fact: "ttl", why: "the same" },
    Difference {
        scenario: "cancel_delete_running",
        key: "rq:job:job-cancel",
        fact: ".status",
        why: "the same",
    },
    Difference {
        scenario: "cancel_delete_running",
        key: "rq:job:job-cancel",
        fact: ".ended_at",
        why: "the same",
    },
    Difference {
        scenario: "cancel_delete_running",
        key: "rq:worker:worker-1",
        fact: ".successful_job_count",
        why: "the same",
    },
    Difference {
        scenario: "cancel_delete_running",
        key: "rq:worker:worker-1",
        fact: ".total_working_time",
        why: "the same",
    },
    Difference {
        scenario: "failed",
        key: "rq:results:job-1",
        fact: "ttl",
        why: "Python's results of failures live for ever (wire spec §22-19); ours as long as the failed job",
    },
    Difference { scenario: "sync_queue", key: "rq:results:job-2", fact: "ttl", why: "the same" },
    Difference {
        scenario: "sync_queue",
        key: "rq:results:",
        fact: "#0.execution_",
        why: "Python's inline runs have no executions (wire spec §9.8); ours are fenced by one",
    },
    Difference {
        scenario: "sync_queue",
        key: "rq:job:job-2",
        fact: ".ended_at",
        why: "Python leaves it empty for a job that failed inline; ours has ended",
    },
    Difference {
        scenario: "queued_all_options",
        key: "rq:job:job-all",
        fact: ".success_callback_",
        why: "callbacks are not offered yet",
    },
    Difference {
        scenario: "queued_all_options",
        key: "rq:job:job-all",
        fact: ".failure_callback_",
        why: "the same",
    },
    Difference {
        scenario: "queued_all_options",
        key: "rq:job:job-all",
        fact: ".stopped_callback_",
        why: "the same",
    },
    Difference {
        scenario: "enqueue_many",
        key: "rq:job::m-3:dependencies",
        fact: "",
        why: "no sets for a job that need not wait: a leftover member makes Python run a finished child again (wire spec \
              §22-10)",
    },
    Difference { scenario: "enqueue_many", key: "rq:job:job-done:dependents", fact: "", why: "the same" },
    Difference {
        scenario: "retry",
        key: "rq:results:",
        fact: "",
        why: "each attempt has an entry of type 4 with its traceback, where Python keeps that of the last attempt alone, for \
              ever",
    },
    Difference {
        scenario: "retry_returned",
        key: "rq:job:",
        fact: ".result",
        why: "a legacy copy of what the results stream holds",
    },
    Difference {
        scenario: "retry_returned",
        key: "rq:results:",
        fact: "#0.return_value",
        why: "Python's is an object of its class Retry (wire spec §7)",
    },
    Difference { scenario: "retry_returned", key: "rq:results:", fact: "#1.return_value", why: "the same" },
    Difference {
        scenario: "retry_returned",
        key: "rq:results:",
        fact: "ttl",
        why: "results of failures expire with the job",
    },
    Difference { scenario: "repeat", key: "rq:job:", fact: ".result", why: "a legacy copy" },
    Difference {
        scenario: "dependent_failed_parent",
        key: "rq:results:job-parent",
        fact: "ttl",
        why: "results of failures expire with the job",
    },
    Difference { scenario: "stopped", key: "cb:stopped:", fact: "", why: "callbacks are not offered yet" },
    Difference { scenario: "stopped", key: "rq:job:job-1", fact: ".stopped_callback_", why: "the same" },
    Difference {
        scenario: "stopped",
        key: "rq:job:job-1",
        fact: "",
        why: "Python writes its copy from before the run over the hash (wire spec §3.1): worker and times are lost",
    },
    Difference {
        scenario: "stopped",
        key: "rq:results:job-1",
        fact: "",
        why: "for the same reason Python's has no end; and it lives for ever",
    },
    Difference {
        scenario: "stopped",
        key: "rq:worker:worker-1",
        fact: ".total_working_time",
        why: "for the same reason Python does not count the time a stopped job took",
    },
    Difference { scenario: "abandoned", key: "cb:failure:", fact: "", why: "callbacks are not offered yet" },
    Difference { scenario: "abandoned", key: "rq:job:job-1", fact: ".failure_callback_", why: "the same" },
    Difference {
        scenario: "abandoned",
        key: "rq:execution",
        fact: "",
        why: "Python leaves what it abandons to expire; an entry in rq:wip of such an execution would fail the next run",
    },
    Difference {
        scenario: "abandoned",
        key: "rq:worker:worker-dead",
        fact: "",
        why: "the same: the set of a dead worker's executions",
    },
    Difference {
        scenario: "abandoned",
        key: "rq:job:",
        fact: ".ended_at",
        why: "the run has ended, as far as anybody will know",
    },
    Difference {
        scenario: "abandoned",
        key: "rq:job:",
        fact: ".crashes",
        why: "a field of ours: how many workers died of it",
    },
    Difference {
        scenario: "abandoned",
        key: "rq:results:",
        fact: "",
        why: "ours say which run it was; both expire, and the retried one has its entry too",
    },
];

#[test]
fn our_steps_leave_what_pythons_left() {
    let mut used = vec![false; DIFFERENCES.len()];
    let (mut compared, mut unknown) = (0, Vec::new());
    for Replay { scenario, act } in REPLAYS {
        let stage = Stage::new();
        act(&stage);
        let theirs = facts(&left_by_python(scenario));
        let ours = facts(&stage.scratch.dump());
        for at in theirs.keys().chain(ours.keys()) {
            compared += 1;
            let (their, our) = (theirs.get(at), ours.get(at));
            if agree(their, our) {
                continue;
            }
            let known = DIFFERENCES.iter().position(|difference| difference.covers(scenario, at));
            match known {
                Some(known) => used[known] = true,
                None => unknown.push(format!("{scenario}: {} {}: {their:?}, ours {our:?}", at.0, at.1)),
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(compared > 1200, "{compared} facts compared");
    for (difference, used) in DIFFERENCES.iter().zip(used) {
        assert!(used, "no difference in {} {} {}", difference.scenario, difference.key, difference.fact);
    }
}

fn left_by_python(scenario: &str) -> fixture::Keys {
    let (name, label) = scenario.split_once('/').unwrap_or((scenario, "final"));
    let snapshots = fixture::scenario("rq-3.0.0", name).snapshots;
    let snapshot = snapshots.into_iter().find(|snapshot| snapshot.label == label);
    snapshot.unwrap_or_else(|| panic!("{name} has no snapshot {label}")).keys
}

impl Difference {
    fn covers(&self, scenario: &str, (key, fact): &At) -> bool {
        (self.scenario == "*" || self.scenario == scenario)
            && key.starts_with(self.key)
            && fact.starts_with(self.fact)
    }
}

// The scenarios

fn queue(stage: &Stage) -> Queue {
    let queue = Queue::connect(stage.scratch.url(), QUEUE).expect("the server answers");
    queue.keys(stage.keys.clone()).codec(Codec::Pickle)
}

fn enqueue<T>(stage: &Stage, call: Call<T>) {
    queue(stage).enqueue(call).expect("the job is enqueued");
}

fn add() -> Call<i64> {
    Call::to("tasks.add").arg(1).arg(2)
}

fn none() -> Call<()> {
    Call::to("tasks.none")
}

fn queued_simple(stage: &Stage) {
    enqueue(stage, add().job_id("fd4d7300-262e-4cc8-8e3f-f541f701ca6d"));
}

fn queued_all_options(stage: &Stage) {
    let greet = Call::<String>::to("tasks.greet").arg("bob").kwarg("greeting", "hi");
    let options = greet.job_id("job-all").description("say hi").timeout(secs(120)).ttl(secs(3600));
    let options = options.result_ttl(secs(300)).failure_ttl(secs(600));
    let retry = Retry::up_to(3).after([secs(10), secs(20), secs(30)]);
    enqueue(stage, options.retry(retry).meta("k", "v").meta("n", 1));
    let front = none().job_id("job-front").at_front().no_timeout();
    enqueue(stage, front.result_ttl(Ttl::Forever).failure_ttl(Ttl::Forever));
}

fn finished(stage: &Stage) {
    enqueue(stage, add().job_id("job-1"));
    run_worker(stage, |claimed| value(claimed, &3.into(), Ttl::RESULT_DEFAULT));
}

fn finished_none_and_ttls(stage: &Stage) {
    enqueue(stage, none().job_id("job-none"));
    enqueue(stage, add().job_id("job-ttl0").result_ttl(secs(0)));
    enqueue(stage, add().job_id("job-ttlneg").result_ttl(Ttl::Forever));
    enqueue(stage, Call::<()>::to("tasks.unserializable").job_id("job-unser"));
    enqueue(stage, Call::<String>::to("tasks.set_meta").job_id("job-meta"));
    enqueue(stage, add().job_id("job-ttl").ttl(secs(1000)));
    let kept = Ttl::RESULT_DEFAULT;
    run_worker(stage, |claimed| match claimed.id.job_id() {
        "job-none" => settlement(claimed, Settled::Finished(None), kept),
        "job-ttl0" => value(claimed, &3.into(), Ttl::Seconds(0)),
        "job-ttlneg" => value(claimed, &3.into(), Ttl::Forever),
        "job-unser" => value(claimed, &"Unserializable return value".into(), kept),
        "job-meta" => {
            let entries = [("a", 1), ("progress", 50)].map(|(key, value)| (key.into(), value.into()));
            let meta = pickled(&rq_core::Value::Dict(entries.into()));
            Settlement { meta: Some(meta), ..value(claimed, &"done".into(), kept) }
        }
        _ => value(claimed, &3.into(), kept),
    });
}

fn failed(stage: &Stage) {
    enqueue(stage, Call::<()>::to("tasks.fail").arg("boom").job_id("job-1"));
    let text = || Settled::Failed("ValueError: boom".to_owned());
    run_worker(stage, |claimed| settlement(claimed, text(), Ttl::FAILURE_DEFAULT));
}

fn enqueue_many(stage: &Stage) {
    enqueue(stage, none().job_id("job-done"));
    run_worker(stage, |claimed| settlement(claimed, Settled::Finished(None), Ttl::RESULT_DEFAULT));
    enqueue(stage, none().job_id("job-pending"));
    let first = Call::<i64>::to("tasks.add").arg(1).arg(1).job_id("m-1");
    let second = Call::<i64>::to("tasks.add").arg(2).arg(2).job_id("m-2").at_front();
    queue(stage).enqueue_many([first, second]).expect("the jobs are enqueued");
    let third = Call::<i64>::to("tasks.add").arg(3).arg(3).job_id("m-3").depends_on("job-done");
    let fourth =
        Call::<i64>::to("tasks.add").arg(4).arg(4).job_id("m-4").depends_on("job-pending").ttl(secs(500));
    queue(stage).enqueue_many([third, fourth]).expect("the jobs are enqueued");
}

fn empty_delete_queue(stage: &Stage) {
    enqueue(stage, none().job_id("job-1"));
    enqueue(stage, none().job_id("job-2").depends_on("job-1"));
    assert_eq!(queue(stage).empty().expect("emptied"), 1);
    assert_eq!(queue(stage).delete().expect("deleted"), 0);
}

fn boom() -> Failure {
    Failure::Error("boom".into())
}

fn retry(stage: &Stage) {
    let fail = || Call::<()>::to("tasks.fail");
    enqueue(stage, fail().job_id("job-interval").retry(Retry::up_to(2).after([secs(60), secs(120)])));
    run_by_the_rules(stage, |_| Err(boom()));
    enqueue(stage, fail().job_id("job-immediate").retry(Retry::up_to(1)));
    run_by_the_rules(stage, |_| Err(boom()));
}

fn retry_returned(stage: &Stage) {
    let asks = |max: u32, pause_s: u64| Call::<()>::to("tasks.ret_retry").arg(max).arg(pause_s);
    enqueue(stage, asks(1, 0).job_id("job-now"));
    run_by_the_rules(stage, |_| Err(Retry::up_to(1).into()));
    enqueue(stage, asks(2, 30).job_id("job-int"));
    run_by_the_rules(stage, |_| Err(Retry::up_to(2).every(secs(30)).into()));
}

fn repeat(stage: &Stage) {
    enqueue(stage, add().job_id("job-1").repeat(Repeat::times(2).after([secs(0), secs(30)])));
    enqueue(stage, add().job_id("job-last").repeat(Repeat::times(1)));
    run_by_the_rules(stage, |_| Ok(Some(pickled(&3.into()))));
}

fn dependent(stage: &Stage) {
    let sum = |x: i64, y: i64| Call::<i64>::to("tasks.add").arg(x).arg(y);
    enqueue(stage, sum(1, 2).job_id("job-a"));
    enqueue(stage, sum(3, 4).job_id("job-b").depends_on("job-a"));
    let both = Dependency::on(["job-a", "job-b"]).allow_failure().at_front();
    let other = queue(stage).named("other").expect("a good name");
    other.enqueue(sum(5, 6).job_id("job-c").depends_on(both)).expect("the job is enqueued");
    run_jobs(stage, 1, by_the_rules(|_| Ok(Some(pickled(&3.into())))));
    run_by_the_rules(stage, |_| Ok(Some(pickled(&7.into()))));
    enqueue(stage, sum(7, 8).job_id("job-d").depends_on("job-a"));
}

fn dependent_failed_parent(stage: &Stage) {
    enqueue(stage, Call::<()>::to("tasks.fail").job_id("job-parent"));
    enqueue(stage, none().job_id("job-strict").depends_on("job-parent").ttl(secs(5000)));
    let lenient = Dependency::on(["job-parent"]).allow_failure();
    enqueue(stage, none().job_id("job-lenient").depends_on(lenient));
    run_jobs(stage, 1, by_the_rules(|_| Err(boom())));
}

fn stopped(stage: &Stage) {
    enqueue(stage, Call::<()>::to("tasks.sleeper").arg(60).job_id("job-1"));
    run_by_the_rules(stage, |_| Err(Failure::Stopped));
}

/// Both workers are gone for good. A fresh one ends what they held.
fn abandoned(stage: &Stage) {
    let sleeper = || Call::<()>::to("tasks.sleeper").arg(60);
    enqueue(stage, sleeper().job_id("job-1"));
    enqueue(stage, sleeper().job_id("job-2").retry(Retry::up_to(1).every(secs(100))));
    for name in ["worker-dead", "worker-dead2"] {
        let dead = stage.worker(name, &[QUEUE]);
        let claimed = dead.claim(1);
        let fields = dead.begin(&claimed).remove(0).expect("it may begin");
        stage.run(&format!("ZADD leases 5 {}", claimed[0].id));
        let end = stage.take(&leases_over(&stage.keys))[0].end(fields, OnCrash::Fail);
        let answers = stage.take(&abandon(&stage.keys, Sign::Lease, &[end]));
        assert_eq!(answers, [Abandoned::Concluded]);
        // Its record expires.
        stage.take(&dead.death());
        stage.run(&format!("DEL worker:{name}"));
    }
    run_worker(stage, |_| panic!("nothing waits"));
}

fn sync_queue(stage: &Stage) {
    #[job("tasks.add")]
    fn add(x: i64, y: i64) -> rq_core::Result<i64> {
        Ok(x + y)
    }
    #[job("tasks.fail")]
    fn fail() -> rq_core::Result<()> {
        Err("boom".into())
    }
    let queue = queue(stage).inline(handlers![add, fail]);
    queue.enqueue(add::call(1, 2).job_id("job-1")).expect("it ran");
    queue.enqueue(fail::call().job_id("job-2")).expect("it ran, and failed");
}

fn canceled(stage: &Stage) {
    let queue = queue(stage);
    let job = queue.enqueue(none().job_id("job-queued")).expect("the job is enqueued");
    job.cancel().expect("canceled");
    let parent = queue.enqueue(none().job_id("job-parent")).expect("the job is enqueued");
    enqueue(stage, none().job_id("job-child").depends_on(&parent));
    parent.cancel_with(Cancel::default().release_dependents()).expect("canceled");
    let later = queue.enqueue_in(secs(3600), none().job_id("job-sched")).expect("the job is scheduled");
    later.cancel().expect("canceled");
    let parent = queue.enqueue(none().job_id("job-parent2")).expect("the job is enqueued");
    let child = queue.enqueue(none().job_id("job-child2").depends_on(&parent)).expect("the job is enqueued");
    child.cancel_with(Cancel::default().leave_dependencies()).expect("canceled");
}

fn requeued(stage: &Stage) {
    let queue = queue(stage);
    let [first, second] = ["job-1", "job-2"]
        .map(|id| queue.enqueue(Call::<()>::to("tasks.fail").job_id(id)).expect("the job is enqueued"));
    run_worker(stage, fail);
    first.requeue().expect("requeued");
    second.requeue_at_front().expect("requeued");
}

fn requeued_and_deleted(stage: &Stage) {
    requeued(stage);
    let handle = |id| queue(stage).handle::<()>(id);
    handle("job-1").delete().expect("deleted");
    run_worker(stage, fail);
    handle("job-2").delete().expect("deleted");
}

fn fail(claimed: &Claimed) -> Settlement {
    settlement(claimed, Settled::Failed("ValueError: boom".to_owned()), Ttl::FAILURE_DEFAULT)
}

fn suspended(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    stage.take(&heartbeat(&worker.who, News { state: Some("idle"), ..News::default() }, &[]));
    queue(stage).suspend_all_workers(Some(secs(100))).expect("suspended");
}

fn resumed(stage: &Stage) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    queue(stage).suspend_all_workers(Some(secs(100))).expect("suspended");
    assert!(queue(stage).resume_all_workers().expect("resumed"));
    stage.take(&heartbeat(&worker.who, News { state: Some("idle"), ..News::default() }, &[]));
    stage.take(&worker.death());
}

fn canceled_while_it_runs(stage: &Stage) {
    enqueue(stage, Call::<i64>::to("tasks.sleeper").arg(2).job_id("job-cancel"));
    let worker = stage.worker(WORKER, &[QUEUE]);
    assert!(worker.begin(&worker.claim(1))[0].is_some());
    queue(stage).handle::<()>("job-cancel").cancel().expect("canceled");
}

fn canceled_and_deleted_while_they_run(stage: &Stage) {
    let sleeper = |id| Call::<i64>::to("tasks.sleeper").arg(2).job_id(id);
    enqueue(stage, sleeper("job-cancel"));
    enqueue(stage, sleeper("job-delete"));
    let worker = stage.worker(WORKER, &[QUEUE]);
    let claimed = worker.claim(2);
    assert!(worker.begin(&claimed).iter().all(Option::is_some));
    queue(stage).handle::<()>("job-cancel").cancel().expect("canceled");
    queue(stage).handle::<()>("job-delete").delete().expect("deleted");
    let ends: Vec<_> = claimed.iter().map(|claimed| value(claimed, &2.into(), Ttl::RESULT_DEFAULT)).collect();
    let settled = stage.take(&steps::worker::settle(&stage.keys, Some(&worker.who), &ends));
    assert_eq!(settled, [Settling::Lost; 2]);
    stage.take(&heartbeat(&worker.who, News { state: Some("idle"), ..News::default() }, &[]));
    stage.take(&worker.death());
}

/// The life of a burst worker: birth, all that waits one by one, death.
fn run_worker(stage: &Stage, run: impl Fn(&Claimed) -> Settlement) {
    run_jobs(stage, JOBS_MAX, |claimed, _| run(claimed));
}

/// The same, where the job's record decides what its outcome means.
fn run_by_the_rules(stage: &Stage, run: impl Fn(&str) -> Result<Option<Vec<u8>>, Failure>) {
    run_jobs(stage, JOBS_MAX, by_the_rules(run));
}

fn by_the_rules(
    run: impl Fn(&str) -> Result<Option<Vec<u8>>, Failure>,
) -> impl Fn(&Claimed, Fields) -> Settlement {
    move |claimed, fields| {
        let job = Job::from_fields(claimed.id.job_id(), fields).expect("a job");
        let outcome = run(&job.id);
        let outcome = outcome.as_ref().map(Clone::clone);
        let conclusion = Conclusion::of(&job, outcome, Timestamp::now(), Ttl::RESULT_DEFAULT);
        Settlement { conclusion, ..settlement(claimed, Settled::Exhausted, Ttl::Forever) }
    }
}

const JOBS_MAX: usize = 10;

/// [`run_worker`] with RQ's `--max-jobs`.
fn run_jobs(stage: &Stage, most: usize, run: impl Fn(&Claimed, Fields) -> Settlement) {
    let worker = stage.worker(WORKER, &[QUEUE]);
    for _ in 0..most {
        let claimed = worker.claim(1);
        if claimed.is_empty() {
            break;
        }
        let fields = worker.begin(&claimed).remove(0).expect("it may begin");
        worker.settle(&[run(&claimed[0], fields)]);
    }
    assert!(most < JOBS_MAX || worker.claim(1).is_empty(), "more than {JOBS_MAX} jobs");
    let idle = News { state: Some("idle"), ..News::default() };
    stage.take(&heartbeat(&worker.who, idle, &[]));
    stage.take(&worker.death());
}

fn value(claimed: &Claimed, value: &rq_core::Value, ttl: Ttl) -> Settlement {
    settlement(claimed, Settled::Finished(Some(pickled(value))), ttl)
}

fn pickled(value: &rq_core::Value) -> Vec<u8> {
    Codec::Pickle.encode_value(value).expect("plain data")
}

// Facts

/// A key, and what of it: `type`, `ttl`, `.field`, `[index]`, `{member}`, `#entry.field`.
type At = (String, String);

/// What can be compared: the volatile is reduced to its kind.
#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Text(String),
    Seconds(i64),
}

fn agree(theirs: Option<&Fact>, ours: Option<&Fact>) -> bool {
    match (theirs, ours) {
        (Some(Fact::Seconds(theirs)), Some(Fact::Seconds(ours))) => {
            (theirs - ours).abs() <= SLACK_S && (*theirs < 0) == (*ours < 0)
        }
        (theirs, ours) => theirs == ours,
    }
}

fn facts(keys: &fixture::Keys) -> BTreeMap<At, Fact> {
    let mut facts = BTreeMap::new();
    for (name, key) in keys {
        let mut add = |what: String, fact: Fact| facts.insert((name.clone(), what), fact);
        add("type".to_owned(), Fact::Text(super::type_name(&key.value).to_owned()));
        add("ttl".to_owned(), Fact::Seconds(key.ttl_s));
        match &key.value {
            Value::String(text) => drop(add("text".to_owned(), Fact::Text(text.as_str().to_owned()))),
            Value::List(ids) => ids.iter().enumerate().for_each(|(index, id)| {
                add(format!("[{index}]"), Fact::Text(id.as_str().to_owned()));
            }),
            Value::Set(members) => members.iter().for_each(|member| {
                add(format!("{{{}}}", member.as_str()), Fact::Text(String::new()));
            }),
            Value::SortedSet(members) => members.iter().for_each(|(member, score)| {
                add(format!("{{{}}}", member.as_str()), since_creation(keys, member.as_str(), score.0));
            }),
            Value::Hash(fields) => fields.iter().for_each(|(field, value)| {
                add(format!(".{field}"), Fact::Text(steady(field, fields, value.as_bytes())));
            }),
            Value::Stream(entries) => entries.iter().enumerate().for_each(|(index, (_, entry))| {
                for (field, value) in entry {
                    add(format!("#{index}.{field}"), Fact::Text(steady(field, entry, value.as_bytes())));
                }
            }),
        }
    }
    facts
}

/// The score of a job, counted from its creation.
fn since_creation(keys: &fixture::Keys, id: &str, score: f64) -> Fact {
    // The executions of a job are no jobs.
    let Some(job) = keys.get(&format!("rq:job:{id}")) else { return Fact::Text("a time".to_owned()) };
    let created_at = &job.hash()["created_at"];
    let created_at = Timestamp::parse(created_at.as_str()).expect("a time");
    if score.is_finite() && score > 0.0 {
        Fact::Seconds(score as i64 - created_at.epoch_secs())
    } else {
        Fact::Text(score.to_string())
    }
}

/// A field of a hash or a stream entry, without what differs from run to run.
fn steady(field: &str, all: &fixture::Fields, value: &[u8]) -> String {
    let text = || String::from_utf8(value.to_vec()).expect("it is text");
    let decoded = |bytes: &[u8]| {
        let codec = Codec::detect_value(bytes);
        // An object of one of Python's classes is no plain data.
        let value = codec.decode_value(bytes).map_or_else(|_| "an object".to_owned(), |value| value.repr());
        format!("{codec}: {value}")
    };
    match field {
        _ if value.is_empty() => String::new(),
        "created_at" | "enqueued_at" | "started_at" | "ended_at" | "last_heartbeat" | "birth" | "death" => {
            // Executions have the E form, all others the T form.
            let is_time = Timestamp::parse(&text()).is_ok() || text().parse::<f64>().is_ok();
            assert!(is_time, "{field}: {}", text());
            "a time".to_owned()
        }
        "execution_started_at" | "execution_ended_at" | "total_working_time" => {
            text().parse::<f64>().map(|_| "a number").expect("of seconds").to_owned()
        }
        "execution_id" if super::is_x(&text()) => "an execution".to_owned(),
        "exc_string" | "pid" | "hostname" | "ip_address" | "version" | "python_version" => {
            "a text".to_owned()
        }
        "settled" => "an execution".to_owned(),
        "meta" | "result" => decoded(value),
        "canceled" | "requeued" => "a call".to_owned(),
        "answer" => "to a claim".to_owned(),
        "exc_info" => {
            let text = zlib::inflate(value, EXC_INFO_BYTES_MAX).expect("it is deflated").into_owned();
            String::from_utf8(text).expect("it is text")
        }
        "return_value" => decoded(&BASE64.decode(value).expect("base64")),
        "data" => {
            let job = Job::from_fields("job", core_fields(all)).expect("a job");
            let (codec, payload) = job.payload().expect("a call");
            format!("{codec}: {}", payload.full_description())
        }
        _ => text(),
    }
}
