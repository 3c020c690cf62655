//! Python RQ and ours manage each other's jobs on one Redis, and each reads what the other left.

use rq_core::{
    Call, Cancel, Codec, Error, RegistryKind, Requeued, ResultKind, Status, Timestamp, blocking::Queue, secs,
};
use rq_tests::{Gate, Python, Scratch, eventually};
use serde_json::{Value as Json, json};

use crate::interop::seen;
use crate::rq_test::{Books, LIMIT, RqTest};

/// Every registry as Python reads it: it must never raise.
#[track_caller]
fn registries(python: &Python, expected: &Json) {
    let mut left = seen(python, "look.queue('default', conn)");
    left.as_object_mut().unwrap().retain(|_, ids| *ids != json!([]));
    // By the second in which they came: those of one second are in the order of their names.
    let registries = left.as_object_mut().unwrap().iter_mut().filter(|(name, _)| *name != "queued");
    for ids in registries.filter_map(|(_, ids)| ids.as_array_mut()) {
        ids.sort_by_key(Json::to_string);
    }
    assert_eq!(left, *expected);
}

/// Something of everything, as Python writes it: `good` has finished, `bad` failed; `queued`, `later`, `parent` with its
/// `child`, and `both`, which waits for `queued` too.
const EVERYTHING: &str = "
from rq import Queue
q = Queue(connection=conn)
q.enqueue('interop.add', 1, 2, job_id='good')
q.enqueue('interop.fail', 'oh no', job_id='bad')
SimpleWorker([q], connection=conn).work(burst=True)
q.enqueue('interop.add', 1, 2, job_id='queued')
q.enqueue_in(datetime.timedelta(hours=1), 'interop.add', 1, 2, job_id='later')
parent = q.enqueue('interop.add', 1, 2, job_id='parent')
q.enqueue('interop.add', 1, 2, job_id='child', depends_on='parent')
q.enqueue('interop.add', 1, 2, job_id='both', depends_on=['queued', 'parent'])
";

#[test]
fn our_cancel_requeue_and_delete_of_pythons_jobs() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(EVERYTHING);
    let queue = scratch.queue("default");
    let job = |id: &str| queue.handle::<i64>(id);

    job("later").cancel().unwrap();
    job("child").cancel_with(Cancel::default().leave_dependencies()).unwrap();
    job("good").cancel().unwrap();
    registries(
        &python,
        &json!({"queued": ["queued", "parent"], "failed": ["bad"], "deferred": ["both"], "canceled": ["child", "good", "later"]}),
    );
    for id in ["later", "child", "good"] {
        let left = seen(&python, &format!("look.job('{id}', conn)"));
        assert_eq!((&left["status"], &left["executions"]), (&json!("canceled"), &json!(0)), "{left}");
    }
    job("parent").cancel_with(Cancel::default().release_dependents()).unwrap();
    job("queued").delete().unwrap();
    job("bad").requeue().unwrap();
    registries(
        &python,
        &json!({"queued": ["both", "bad"], "canceled": ["child", "good", "later", "parent"]}),
    );
    let bad = seen(&python, "look.job('bad', conn)");
    assert_eq!(
        (&bad["status"], &bad["results"], &bad["ttls"][0]),
        (&json!("queued"), &json!(1), &json!(-1)),
        "{bad}"
    );
    let raised = python.run(
        "try: Job.fetch('queued', connection=conn)\nexcept Exception as error: print(type(error).__name__)",
    );
    assert_eq!(raised, "NoSuchJobError\n");

    python.rq(&["worker", "--burst"]);
    registries(
        &python,
        &json!({"finished": ["both"], "failed": ["bad"], "canceled": ["child", "good", "later", "parent"]}),
    );
    let failed = queue.registry(RegistryKind::Failed);
    assert_eq!(failed.requeue_all().unwrap(), [("bad".to_owned(), Requeued::Done)]);
    python.rq(&["worker", "--burst"]);
    assert_eq!(job("bad").results().unwrap().len(), 3);
    for id in ["bad", "both", "child", "good", "later", "parent"] {
        job(id).delete().unwrap();
    }
    registries(&python, &json!({}));
    let left: Vec<_> =
        scratch.dump().into_keys().filter(|key| key.contains(":job:") || key.contains(":results:")).collect();
    assert_eq!(left, ["rq:job::both:dependencies"; 0]);
}

#[test]
fn pythons_cancel_requeue_and_delete_of_our_jobs() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default");
    let add = |id: &str| Call::<i64>::to("math.add").arg(1).arg(2).job_id(id);
    queue.enqueue_many([add("good"), Call::to("test.fail").arg("oh no").job_id("bad")]).unwrap();
    RqTest::new(&scratch).drain(&[]);
    queue.enqueue_many([add("queued"), add("parent"), add("gone")]).unwrap();
    queue.enqueue_in(secs(3600), add("later")).unwrap();
    queue.enqueue_many([add("child").depends_on("parent"), add("lost").depends_on("gone")]).unwrap();
    python.run(
        "job = lambda id: Job.fetch(id, connection=conn, serializer='json')\n\
         job('queued').cancel()\n\
         job('later').cancel()\n\
         job('parent').cancel(enqueue_dependents=True)\n\
         job('gone').delete(delete_dependents=True)\n\
         job('bad').requeue(at_front=True)\n\
         job('good').delete()\n",
    );
    // Sorted, as those of one second are: Python may have been at it in two.
    let ids = |kind| {
        let mut ids = queue.registry(kind).ids().unwrap();
        ids.sort();
        ids
    };
    assert_eq!(queue.job_ids().unwrap(), ["bad", "child"]);
    assert_eq!(ids(RegistryKind::Canceled), ["later", "parent", "queued"]);
    for kind in RegistryKind::ALL.into_iter().filter(|kind| *kind != RegistryKind::Canceled) {
        assert_eq!(ids(kind), [""; 0], "{kind}");
    }
    for id in ["gone", "lost", "good"] {
        assert_eq!(queue.fetch_job(id).unwrap(), None, "{id}");
    }
    assert!(matches!(queue.handle::<()>("queued").cancel(), Err(Error::AlreadyCanceled { .. })));
    RqTest::new(&scratch).drain(&[]);
    assert_eq!(
        (ids(RegistryKind::Finished), ids(RegistryKind::Failed)),
        (vec!["child".into()], vec!["bad".into()])
    );
    let kinds: Vec<_> =
        queue.handle::<()>("bad").results().unwrap().iter().map(|result| result.kind).collect();
    assert_eq!(kinds, [ResultKind::Failed; 2]);
    registries(
        &python,
        &json!({"finished": ["child"], "failed": ["bad"], "canceled": ["later", "parent", "queued"]}),
    );
}

/// Python's workers run a canceled job to its end, as they do when Python cancels it; they must not stumble.
#[test]
fn our_cancel_and_delete_of_jobs_that_pythons_workers_run() {
    for class in ["rq.Worker", "rq.SimpleWorker"] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let queue = scratch.queue("default").codec(Codec::Pickle);
        let worker = python.spawn_rq(&["worker", "--name", "theirs", "-w", class]);
        worker.wait_for_line("*** Listening on", LIMIT);
        for act in [
            |queue: &Queue| queue.handle::<()>("j").cancel(),
            |queue: &Queue| queue.handle::<()>("j").delete(),
        ] {
            let job = queue.enqueue(Call::<f64>::to("interop.sleep").arg(1.0).job_id("j")).unwrap();
            eventually("the job to run", LIMIT, || (scratch.status("j") == "started").then_some(()));
            act(&queue).unwrap();
            let after = queue.enqueue(Call::<i64>::to("interop.add").arg(2).arg(3)).unwrap();
            assert_eq!(after.wait(LIMIT).unwrap(), 5, "{class}: the worker goes on");
            registries_are_readable(&python);
            job.delete().unwrap();
        }
        let left: Vec<_> = scratch
            .dump()
            .into_keys()
            .filter(|key| key.contains(":execution") || key.contains(":wip"))
            .collect();
        assert!(left.is_empty(), "{class}: {left:?}");
        drop(worker);
    }
}

#[track_caller]
fn registries_are_readable(python: &Python) {
    seen(python, "look.queue('default', conn)");
    seen(python, "look.workers(conn)");
}

/// Our worker learns of it with the next renewal of its lease, and asks the job to end.
#[test]
fn our_cancel_and_delete_of_jobs_that_our_worker_runs() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let worker = RqTest::new(&scratch).worker(&["--name", "ours", "--concurrency", "2"]);
    let gate = Gate::new(&scratch, "never-opened");
    let jobs = ["kept", "gone"]
        .map(|id| queue.enqueue(Call::<()>::to("test.gate").arg(gate.key()).job_id(id)).unwrap());
    (0..2).for_each(|_| drop(gate.wait_for_arrival()));
    jobs[0].cancel().unwrap();
    jobs[1].delete().unwrap();
    for id in ["kept", "gone"] {
        worker.wait_for_line(&format!("job {id} is no longer this worker's"), LIMIT);
    }
    let after = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(after.wait(LIMIT).unwrap(), 5);
    assert_eq!((jobs[0].status().unwrap(), jobs[1].status().unwrap()), (Some(Status::Canceled), None));
    assert!(jobs[0].results().unwrap().is_empty());
    eventually("the worker to be idle", LIMIT, || {
        (scratch.hash("worker:ours").get("state")? == "idle").then_some(())
    });
    let left: Vec<_> = scratch
        .dump()
        .into_keys()
        .filter(|key| key.contains("gone") || key.contains(":execution") || key.contains(":leases"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Our worker learns of it with the next renewal. If Python enqueues the job anew, the worker runs it anew, and its first
/// run stays lost.
#[test]
fn pythons_cancel_of_a_job_that_our_worker_runs() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default");
    let worker = RqTest::new(&scratch).worker(&["--lease", "0.3", "--concurrency", "2"]);
    let gate = Gate::new(&scratch, "gate");
    let job = queue.enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("j")).unwrap();
    gate.wait_for_arrival();
    python.run(
        "job = Job.fetch('j', connection=conn, serializer='json')\n\
         job.cancel()\n\
         Queue(connection=conn, serializer='json').enqueue_job(job)",
    );
    worker.wait_for_line("job j is no longer this worker's", LIMIT);
    gate.wait_for_arrival();
    // The first run may stand at the gate until it has been killed, and is let through first.
    gate.open(2);
    assert_eq!(job.wait(LIMIT).unwrap(), "j", "{}", worker.report());
    eventually("the first run to be settled, too", LIMIT, || {
        (scratch.count("leases") == 0 && scratch.count("wip:default") == 0).then_some(())
    });
    let finished = scratch.dump();
    assert_eq!((scratch.status("j").as_str(), job.results().unwrap().len()), ("finished", 1), "{finished:?}");
}

#[test]
fn our_stop_is_heard_by_pythons_workers() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default").codec(Codec::Pickle);
    let worker = python.spawn_rq(&["worker", "--name", "theirs"]);
    let job = queue.enqueue(Call::<f64>::to("interop.sleep").arg(600.0)).unwrap();
    worker.wait_for_line("*** Listening on", LIMIT);
    eventually("the job to run", LIMIT, || (job.status().unwrap() == Some(Status::Started)).then_some(()));
    assert!(job.stop().unwrap());
    eventually("the job to be stopped", LIMIT, || {
        (job.status().unwrap() == Some(Status::Stopped)).then_some(())
    });
    assert!(queue.registry(RegistryKind::Failed).contains(job.id()).unwrap());
    assert!(matches!(job.stop(), Err(Error::NotRunning { status: Status::Stopped, .. })));
    job.requeue().unwrap();
    eventually("the job to run again", LIMIT, || {
        (job.status().unwrap() == Some(Status::Started)).then_some(())
    });
    job.cancel().unwrap();
}

/// A slot that we free goes to Python's next job, and the other way round.
#[test]
fn slots_of_rate_limits_go_on() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(
        "from rq.rate_limit import RateLimit\n\
         q = Queue(connection=conn)\n\
         for id in 'abcd': q.enqueue('interop.add', 1, 2, job_id=id, rate_limit=RateLimit('k', 1))",
    );
    let queue = scratch.queue("default");
    assert_eq!(queue.job_ids().unwrap(), ["a"]);
    queue.handle::<()>("a").cancel().unwrap();
    assert_eq!(queue.job_ids().unwrap(), ["b"]);
    queue.handle::<()>("c").cancel().unwrap();
    queue.handle::<()>("b").delete().unwrap();
    assert_eq!(queue.job_ids().unwrap(), ["d"]);
    python.rq(&["worker", "--burst"]);
    registries(&python, &json!({"finished": ["d"], "canceled": ["a", "c"]}));
    // Ours waits for the slot that it frees itself.
    queue.handle::<()>("d").requeue().unwrap();
    assert_eq!(seen(&python, "look.job('d', conn)")["status"], "queued");
    python.rq(&["worker", "--burst"]);
    assert_eq!((scratch.status("d"), scratch.count("rl:k:allowed")), ("finished".into(), 0));
}

#[test]
fn we_read_registries_and_workers_as_python_does() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(EVERYTHING);
    python.run("Job.fetch('child', connection=conn).cancel()");
    let worker = python.spawn_rq(&["worker", "--name", "theirs", "other"]);
    worker.wait_for_line("*** Listening on", LIMIT);
    let queue = scratch.queue("default");
    let theirs = seen(&python, "look.queue('default', conn)");
    for kind in RegistryKind::ALL.into_iter().filter(|kind| *kind != RegistryKind::Ready) {
        let ours = queue.registry(kind).ids().unwrap();
        assert_eq!(json!(ours), theirs[kind.as_str()], "{kind}");
        let jobs = queue.registry(kind).jobs_page(0, 10).unwrap();
        assert!(jobs.iter().all(|job| matches!(job, Ok(Some(_)))), "{kind}: {jobs:?}");
    }
    let due = queue.registry(RegistryKind::Scheduled).entry("later").unwrap().unwrap().moment().unwrap();
    let theirs: f64 = python
        .run("print(Queue(connection=conn).scheduled_job_registry.get_scheduled_time('later').timestamp())")
        .trim()
        .parse()
        .unwrap();
    assert_eq!(due, Timestamp::from_epoch_seconds(theirs));
    assert_eq!(queue.handle::<()>("both").dependencies().unwrap(), ["parent", "queued"]);
    assert_eq!(queue.handle::<()>("parent").dependents().unwrap(), ["both", "child"]);
    let workers = queue.all_workers().unwrap();
    assert_eq!(
        (workers.len(), workers[0].name.as_str(), workers[0].pid),
        (1, "theirs", Some(i64::from(worker.id())))
    );
    assert_eq!(
        (queue.workers().unwrap().len(), queue.named("other").unwrap().workers().unwrap().len()),
        (0, 1)
    );
}

#[test]
fn python_stops_jobs_of_our_workers() {
    for executor in ["thread", "fork"] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let gate = Gate::new(&scratch, "gate");
        let worker = RqTest::new(&scratch).worker(&["-w", executor, "--name", "w"]);
        let call = Call::<String>::to("test.gate").arg(gate.key()).job_id("j");
        scratch.queue("default").codec(Codec::Pickle).enqueue(call).unwrap();
        gate.wait_for_arrival();
        python.run("from rq.command import send_stop_job_command; send_stop_job_command(conn, 'j')");
        eventually("the job to be stopped", LIMIT, || (scratch.status("j") == "stopped").then_some(()));
        let seen = python
            .run("job = Job.fetch('j', connection=conn); print(job.get_status().value, job.is_stopped)");
        assert_eq!(seen, "stopped True\n", "{executor}: {}", worker.report());
    }
}
