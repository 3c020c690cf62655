//! Maintenance by real workers: what others left lying is put right, by one of many, and in nobody's way.

use std::time::{Duration, Instant};

use rq_core::Timestamp;
use rq_tests::{Child, Python, Scratch, Signal, Stream, eventually};
use serde_json::json;

use crate::interop::seen;
use crate::rq_test::{Books, LIMIT, RqTest};

/// As RQ says it, once a queue and round.
const ROUND: &str = "cleaning registries for queue: default";
/// A worker of Python that dies when it has popped a job.
const DIES_AFTER_ITS_POP: &str = "
class Dies(SimpleWorker):
    def execute_job(self, job, queue):
        print('kill me', flush=True)
        time.sleep(600)
Dies(['default'], connection=conn, name='dead').work(burst=True)";
/// One that dies between the two steps of a release.
const DIES_IN_A_RELEASE: &str = "
def stay(queue, ids):
    if ids:
        print('kill me', flush=True)
        time.sleep(600)
Queue.enqueue_ready_jobs_by_queue = stay
SimpleWorker(['default'], connection=conn, name='dead too').work(burst=True)";
/// A producer that dies while it writes what a job depends on.
const DIES_WHILE_IT_DEFERS: &str = "
from rq.registry import DeferredJobRegistry
add = DeferredJobRegistry.add
def add_and_stay(*args, **kwargs):
    add(*args, **kwargs)
    print('kill me', flush=True)
    time.sleep(600)
DeferredJobRegistry.add = add_and_stay
q = Queue(connection=conn)
q.enqueue_many([Queue.prepare_data('math.add', (1, 4), job_id='cut-off', depends_on=['parent'])])";

/// Runs a snippet of Python until it asks to be killed.
#[track_caller]
fn kill_in_the_middle(python: &Python, code: &str) {
    let child = python.spawn(code);
    child.wait_for_line("kill me", LIMIT);
    child.signal(Signal::SIGKILL);
}

fn finished(scratch: &Scratch) -> Vec<String> {
    let mut ids: Vec<String> =
        scratch.query("ZRANGE", [scratch.key("finished:default"), "0".into(), "-1".into()]);
    ids.sort();
    ids
}

#[track_caller]
fn all_finished(scratch: &Scratch, ids: &[&str]) {
    eventually("all jobs", LIMIT, || (finished(scratch) == ids).then_some(()));
}

/// As if the job had been queued long ago, and maintenance had seen it popped a minute ago.
fn a_minute_later(scratch: &Scratch, id: &str) {
    let minute_ago = Timestamp::now().before(Duration::from_secs(61));
    let note = scratch.key(format!("queue:default:intermediate:first_seen:{id}"));
    scratch.query::<()>(
        "HSET",
        [scratch.key(format!("job:{id}")), "enqueued_at".into(), "2024-01-01T00:00:00Z".into()],
    );
    scratch.query::<()>("SET", [note, minute_ago.epoch_text()]);
}

#[test]
fn what_python_left_lying_runs_after_all() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let long_ago =
        |id: &str| scratch.query::<()>("ZADD", [scratch.key("deferred:default"), "1".into(), id.to_owned()]);
    // A job whose parent went with its queue.
    python.run(
        "
q = Queue(connection=conn)
parent = q.enqueue('math.add', 1, 1, job_id='emptied')
q.enqueue('math.add', 1, 2, job_id='orphan', depends_on=parent)
q.empty()
q.enqueue('math.add', 2, 3, job_id='stuck')",
    );
    long_ago("orphan");
    kill_in_the_middle(&python, DIES_AFTER_ITS_POP);
    python.run(
        "
q = Queue(connection=conn)
q.enqueue('interop.add', 1, 1, job_id='parent')
q.enqueue('math.add', 2, 2, job_id='ready', depends_on='parent')",
    );
    kill_in_the_middle(&python, DIES_IN_A_RELEASE);
    // Two jobs that share one slot; the first is lost.
    python.run(
        "
from rq.rate_limit import RateLimit
q, limit = Queue(connection=conn), RateLimit('k', 1)
q.enqueue('math.add', 1, 1, job_id='lost', rate_limit=limit)
q.enqueue('math.add', 1, 3, job_id='limited', rate_limit=limit)
q.empty()
q.enqueue('math.add', 1, 1, job_id='parent')",
    );
    kill_in_the_middle(&python, DIES_WHILE_IT_DEFERS);
    long_ago("cut-off");
    // What ends Python's workers, and what they never take away.
    scratch.query::<()>("ZADD", [scratch.key("ready:default"), "1".into(), "ghost".into()]);
    scratch.query::<()>("HSET", [scratch.key("job:ghost"), "status".into(), "ready_to_enqueue".into()]);
    scratch.query::<()>("ZADD", [scratch.key("canceled:default"), "1".into(), "gone".into()]);
    scratch.query::<()>("DEL", [scratch.key("worker:dead"), scratch.key("worker:dead too")]);
    assert_eq!(scratch.status("ready"), "ready_to_enqueue");
    assert_eq!(scratch.status("cut-off"), "deferred");
    assert_eq!(scratch.waiting("default:intermediate"), ["stuck"]);

    let worker = RqTest::new(&scratch).worker(&["--maintenance-interval", "1", "--name", "ours"]);
    let note = scratch.key("queue:default:intermediate:first_seen:stuck");
    eventually("the first sight", LIMIT, || scratch.query::<bool>("EXISTS", [&note]).then_some(()));
    a_minute_later(&scratch, "stuck");
    all_finished(&scratch, &["cut-off", "limited", "orphan", "parent", "ready", "stuck"]);
    worker.wait_for_line("job stuck was taken off its queue and never began: queued again", LIMIT);
    for left in
        ["ready:default", "deferred:default", "queue:default:intermediate", "canceled:default", "rl-keys"]
    {
        let is_gone = || (!scratch.query::<bool>("EXISTS", [scratch.key(left)])).then_some(());
        eventually(&format!("the end of {left}"), LIMIT, is_gone);
    }

    // Python finds its way afterwards.
    let queue = seen(&python, "look.queue('default', conn)");
    for registry in ["queued", "started", "failed", "deferred", "scheduled", "canceled"] {
        assert_eq!(queue[registry], json!([]), "{registry}");
    }
    let workers = seen(&python, "look.workers(conn)");
    assert!(workers.as_object().unwrap().keys().eq(["ours"]), "{workers}");
    drop(worker);
    python.rq(&["info"]);
    python.run("Queue(connection=conn).enqueue('interop.add', 1, 1, job_id='last')");
    python.rq(&["worker", "--burst", "default"]);
    assert_eq!(scratch.status("last"), "finished");
}

/// Workers that stop when all is done see what maintenance finds as something to do.
#[test]
fn a_burst_worker_runs_what_it_found() {
    let scratch = Scratch::new();
    for id in ["ready", "deferred"] {
        scratch
            .queue("default")
            .enqueue(rq_core::Call::<i64>::to("math.add").arg(1).arg(1).job_id(id))
            .unwrap();
    }
    let key = |name: &str| scratch.key(name);
    scratch.query::<()>("DEL", [key("queue:default")]);
    for (id, status, registry) in
        [("ready", "ready_to_enqueue", "ready:default"), ("deferred", "deferred", "deferred:default")]
    {
        scratch.query::<()>("HSET", [key(&format!("job:{id}")), "status".into(), status.into()]);
        scratch.query::<()>("ZADD", [key(registry), "1".into(), id.into()]);
    }
    let log = RqTest::new(&scratch).drain(&["--name", "w"]);
    assert_eq!(finished(&scratch), ["deferred", "ready"]);
    let lines = [
        "Worker w: cleaning registries for queue: default",
        "Worker w: job ready was ready: queued",
        "Worker w: job deferred was deferred, and nobody held it back: queued",
        "Worker w: cleaning group registries",
        "Worker w: done, quitting",
    ];
    let mut rest = log.as_str();
    for line in lines {
        rest = rest.split_once(line).unwrap_or_else(|| panic!("no {line:?} in its place: {log}")).1;
    }
}

fn rounds(worker: &Child) -> usize {
    worker.text(Stream::Stdout).matches(ROUND).count()
}

#[test]
fn one_of_many_workers_does_it() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let first = ours.worker(&["--name", "first"]);
    first.wait_for_line("cleaning group registries", LIMIT);
    let logs: Vec<String> = (0..3).map(|_| ours.drain(&[])).collect();
    assert!(logs.iter().all(|log| !log.contains("cleaning")), "{logs:?}");
    assert_eq!(rounds(&first), 1);
    // Another queue's books are its own; one that comes more often does not wait for the others.
    let log = ours.drain(&["other", "default"]);
    assert!(log.contains("cleaning registries for queue: other") && !log.contains(ROUND), "{log}");
    let often = ours.worker(&["--maintenance-interval", "1"]);
    often.wait_for_lines(ROUND, 3, LIMIT);
}

/// Nothing that Python's maintenance knows holds ours up, or is changed.
#[test]
fn pythons_locks_are_left_alone() {
    let scratch = Scratch::new();
    let locks = ["clean_registries:default", "clean_groups"];
    for lock in locks {
        scratch.query::<()>("SET", [scratch.key(lock), "1".into(), "EX".into(), "899".into()]);
    }
    let log = RqTest::new(&scratch).drain(&[]);
    assert!(log.contains(ROUND) && log.contains("cleaning group registries"), "{log}");
    for lock in locks {
        assert!((880..=899).contains(&scratch.ttl_s(lock)), "{lock}");
    }
}

#[test]
fn a_book_that_cannot_be_read_harms_only_itself() {
    let scratch = Scratch::new();
    let key = |name: &str| scratch.key(name);
    for book in ["finished", "failed", "ready", "deferred", "scheduled", "canceled", "workers"] {
        scratch.query::<()>("SET", [key(&format!("{book}:other")), "x".into()]);
    }
    for book in ["queue:other:intermediate", "rl-keys", "group:bad"] {
        scratch.query::<()>("SET", [key(book), "x".into()]);
    }
    scratch.query::<()>("SADD", [key("groups"), "bad".into(), "over".into()]);
    scratch.query::<()>("ZADD", [key("finished:default"), "1".into(), "a".into()]);
    // A worker of `other` cannot register where its set of workers is none.
    scratch.query::<()>("DEL", [key("workers:other")]);
    let log = RqTest::new(&scratch).outcome(&["worker", "--burst", "other", "default"]);
    let text = format!("{}{}", log.1, log.2);
    for step in [
        "take off expired entries",
        "queue ready jobs",
        "look at deferred jobs",
        "look at rate limits",
        "tidy a group",
    ] {
        assert!(text.contains(&format!("{step} failed: ")), "{step}: {text}");
    }
    assert_eq!((log.0, scratch.count("finished:default")), (Some(0), 0), "{text}");
    assert_eq!(scratch.query::<Vec<String>>("SMEMBERS", [key("groups")]), ["bad"]);
}

/// A round is a matter of many small steps, and there is nothing to give back.
#[test]
fn a_worker_leaves_in_the_middle_of_a_round() {
    const EXPIRED: usize = 400_000;
    const FILL: &str = "for i = ARGV[1], ARGV[1] + 9999 do redis.call('ZADD', KEYS[1], i, 'j' .. i) end";
    let scratch = Scratch::new();
    let registry = scratch.key("finished:default");
    for chunk in (0..EXPIRED).step_by(10_000) {
        scratch.query::<()>("EVAL", [FILL, "1", &registry, &chunk.to_string()]);
    }
    let mut worker = RqTest::new(&scratch).worker(&[]);
    worker.wait_for_line(ROUND, LIMIT);
    worker.signal(Signal::SIGTERM);
    let began = Instant::now();
    assert!(worker.wait(LIMIT).success());
    let left = scratch.count("finished:default");
    assert!((1..EXPIRED).contains(&left), "{left} left after {:?}", began.elapsed());
}
