//! Our scheduler and Python's on the same queues.

use rq_core::{Call, secs};
use rq_tests::fixture::Fields;
use rq_tests::{PrivateRedis, Python, Scratch, Signal, eventually};

use super::{ACQUIRED, LATER, counted, holder, scheduling_worker, stop, suspend, wait_for_ticks};
use crate::rq_test::{Books, LIMIT, RqTest};

/// One pass of Python's scheduler, as its burst workers have it; prints which queues it got.
const PYTHONS_PASS: &str = "\
from rq.scheduler import RQScheduler
s = RQScheduler(['default'], connection=conn, logging_level='WARNING')
print(s.acquire_locks())
s.enqueue_scheduled_jobs()
s.release_locks()
";
/// Python's scheduler as the process that its workers start.
const PYTHONS_LOOP: &str = "\
from rq.scheduler import RQScheduler
s = RQScheduler(['default'], connection=conn)
s.acquire_locks()
s.work()
";
/// Schedules a job with all in it that a schedule must not lose, long due.
const PYTHONS_JOB: &str = "\
q = Queue(connection=conn)
past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=100)
q.enqueue_at(past, 'interop.add', 2, y=3, job_id='j', meta={'k': [1, b'\\xff']}, ttl=1000, result_ttl=77,
             failure_ttl=88, job_timeout=99, description='what people read', retry=Retry(max=3, interval=[1, 2]))
conn.hset(Job.key_for('j'), 'private', 'kept')
";

/// The hash of a job without what enqueuing it changes.
fn untouched(scratch: &Scratch, id: &str) -> Fields {
    let mut hash = scratch.dump()[&format!("rq:job:{id}")].hash().clone();
    for changes in ["status", "enqueued_at"] {
        hash.remove(changes);
    }
    hash
}

#[test]
fn jobs_that_python_scheduled_go_on_as_they_were() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let worker = scheduling_worker(&scratch, "w");
    suspend(&scratch);
    python.run(PYTHONS_JOB);
    let before = untouched(&scratch, "j");
    assert!(before.contains_key("meta") && before.contains_key("private"), "{before:?}");
    eventually("the job to be enqueued", LIMIT, || (scratch.waiting("default") == ["j"]).then_some(()));
    assert_eq!(untouched(&scratch, "j"), before);
    assert_eq!(scratch.status("j"), "queued");
    assert!((990..=1000).contains(&scratch.ttl_s("job:j")), "{}", scratch.ttl_s("job:j"));
    stop(worker);
    scratch.query::<()>("DEL", [scratch.key("suspended")]);
    let ran = python.spawn_rq(&["worker", "--burst"]);
    ran.wait_for_line("Job OK", LIMIT);
    assert_eq!(python.run("print(Job.fetch('j', connection=conn).return_value())"), "5\n");
}

#[test]
fn jobs_that_we_scheduled_go_on_as_they_were_under_python() {
    let scratch = Scratch::new();
    let past = rq_core::Timestamp::now().before(secs(100));
    let call =
        Call::<i64>::to("interop.add").arg(2).kwarg("y", 3).job_id("j").meta("k", [1, 2]).ttl(secs(1000));
    let job =
        scratch.queue("default").enqueue_at(past, call.result_ttl(secs(77)).description("read")).unwrap();
    // Python deflates the call anew, and pickles the meta; that they are the same shows when it runs.
    let meta = || Python::new(&scratch).run("print(Job.fetch('j', connection=conn).meta)");
    let without_data = || {
        let mut hash = untouched(&scratch, "j");
        hash.remove("data");
        hash.remove("meta");
        hash
    };
    let (before, meta_before) = (without_data(), meta());
    assert_eq!(Python::new(&scratch).run(PYTHONS_PASS), "{'default'}\n");
    assert_eq!(
        (scratch.waiting("default"), scratch.status("j")),
        (vec!["j".to_string()], "queued".to_string())
    );
    assert_eq!((without_data(), meta()), (before, meta_before));
    RqTest::new(&scratch).drain(&[]);
    assert_eq!(job.result().unwrap(), Some(5));
}

#[test]
fn neither_touches_the_others_queue_and_both_take_over_one_that_is_free() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let python = Python::new(&scratch);
    let ours = scheduling_worker(&scratch, "ours");
    let later = scratch.queue("default").enqueue_in(LATER, Call::<()>::to("test.none")).unwrap();
    assert_eq!(python.run(PYTHONS_PASS), "set()\n");
    // Ours dies; its lock ends as if a minute had passed.
    let name = holder(&scratch).unwrap();
    ours.signal(Signal::SIGKILL);
    drop(ours);
    assert_eq!(holder(&scratch), Some(name));
    scratch.query::<()>("DEL", [scratch.key("scheduler-lock:default")]);
    assert_eq!(python.run(PYTHONS_PASS), "{'default'}\n");
    // Python's dies holding it, and the other way round.
    python.run(
        "from rq.scheduler import RQScheduler\nRQScheduler(['default'], connection=conn).acquire_locks()",
    );
    let pythons = holder(&scratch).unwrap();
    let ours = RqTest::new(&scratch).worker(&["-s", "--name", "next"]);
    let due =
        scratch.queue("default").enqueue_in(secs(0), Call::<i64>::to("math.add").arg(1).arg(1)).unwrap();
    wait_for_ticks(&redis, 2);
    assert_eq!((holder(&scratch), scratch.status(due.id())), (Some(pythons), "scheduled".to_string()));
    scratch.query::<()>("DEL", [scratch.key("scheduler-lock:default")]);
    ours.wait_for_line(ACQUIRED, LIMIT);
    assert_eq!(due.wait(LIMIT).unwrap(), 2);
    assert_eq!(scratch.status(later.id()), "scheduled");
}

/// Python's holds the queue first, then ours; jobs become due all the while. Nobody runs them, so that all stay in the
/// queue, to be counted.
#[test]
fn a_change_of_schedulers_enqueues_each_job_once() {
    const JOBS: usize = 400;
    const DUE_WITHIN_S: usize = 5;
    let scratch = Scratch::new();
    let mut theirs = Python::new(&scratch).spawn(PYTHONS_LOOP);
    theirs.wait_for_line(ACQUIRED, LIMIT);
    let ours = RqTest::new(&scratch).worker(&["--with-scheduler", "--name", "ours"]);
    suspend(&scratch);
    let queue = scratch.queue("default");
    let ids: Vec<String> = (0..JOBS).map(|number| format!("j{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let call = Call::<()>::to("test.none").job_id(id);
        queue.enqueue_in(secs((number % DUE_WITHIN_S) as u64), call).unwrap();
    }
    eventually("Python to have enqueued some", LIMIT, || {
        (scratch.count("scheduled:default") < JOBS * 2 / 3).then_some(())
    });
    assert!(!ours.report().contains(ACQUIRED), "{}", ours.report());
    theirs.signal(Signal::SIGTERM);
    assert!(theirs.wait(LIMIT).success(), "{}", theirs.report());
    ours.wait_for_line(ACQUIRED, LIMIT);
    eventually("all to be enqueued", LIMIT, || (scratch.count("scheduled:default") == 0).then_some(()));
    assert_eq!(counted(&scratch), ids.into_iter().map(|id| (id, 1)).collect());
}
