//! Python RQ and ours as real processes on one Redis, in both directions.

use std::time::Duration;

use rq_core::{Call, Codec, Error, RegistryKind, ResultKind, Status, Value, blocking::Queue, secs};
use rq_tests::{Child, Gate, Journal, Python, Scratch, Signal, eventually};
use serde_json::{Value as Json, json};

use crate::rq_test::{Books, LIMIT, RqTest};

/// What every look through Python's eyes begins with.
const LOOK: &str = "import look\nshow = lambda seen: print(json.dumps(seen, default=str))\n";

/// What Python sees: the value of an expression of `tests/python/look.py`, such as `look.workers(conn)`.
#[track_caller]
pub(crate) fn seen(python: &Python, expression: &str) -> Json {
    let printed = python.run(&format!("{LOOK}show({expression})"));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Calls as Python writes them, and the `repr` of what they give.
const CALLS: [(&str, &str); 8] = [
    ("'math.add', 2, 3", "5"),
    ("'math.add', x=2, y=3", "5"),
    ("'math.add', 2, y=-3", "-1"),
    ("'interop.echo', None", "None"),
    ("'interop.echo', 'é \\n \\U0001f980'", "'é \\n \u{1f980}'"),
    ("'interop.echo', [1, 2.5, True, {'a': [None]}]", "[1, 2.5, True, {'a': [None]}]"),
    ("'interop.echo', 2**100", "1267650600228229401496703205376"),
    ("'test.greet', 'you', greeting='hi'", "'hi, you'"),
];

/// What only pickle can carry.
const PICKLED_CALLS: [(&str, &str); 7] = [
    (
        "'interop.echo', datetime.datetime(2024, 1, 2, 3, 4, 5, 6)",
        "datetime.datetime(2024, 1, 2, 3, 4, 5, 6)",
    ),
    (
        "'interop.echo', datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)",
        "datetime.datetime(2024, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)",
    ),
    ("'interop.echo', datetime.date(2024, 1, 2)", "datetime.date(2024, 1, 2)"),
    (
        "'interop.echo', datetime.timedelta(days=1, microseconds=5)",
        "datetime.timedelta(days=1, microseconds=5)",
    ),
    ("'interop.echo', (1, b'\\xff', {2}, frozenset())", "(1, b'\\xff', {2}, frozenset())"),
    ("'interop.echo', __import__('decimal').Decimal('1.10')", "Decimal('1.10')"),
    ("'interop.echo', __import__('uuid').UUID(int=1)", "UUID('00000000-0000-0000-0000-000000000001')"),
];

#[test]
fn pythons_calls_are_run_by_our_worker() {
    for (serializer, calls) in [("pickle", [&CALLS[..], &PICKLED_CALLS].concat()), ("json", CALLS.to_vec())] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let enqueue: String = calls
            .iter()
            .enumerate()
            .map(|(number, (call, _))| format!("q.enqueue({call}, job_id='j{number}')\n"))
            .collect();
        let queue = format!("q = Queue(connection=conn, serializer='{serializer}')\n");
        python.run(&format!(
            "{queue}{enqueue}q.enqueue('interop.fail', 'oh no', job_id='bad', meta={{'k': 1}})"
        ));
        RqTest::new(&scratch).drain(&["--name", "ours"]);
        let all = seen(
            &python,
            &format!("[look.job(f'j{{n}}', conn, '{serializer}') for n in range({})]", calls.len()),
        );
        for (job, (call, value)) in all.as_array().unwrap().iter().zip(&calls) {
            check_finished(job, value, "ours", call);
        }
        let bad = seen(&python, &format!("look.job('bad', conn, '{serializer}')"));
        check_failed(&bad, "Error: oh no", "ours");
        assert_eq!(bad["meta"], json!({"k": 1}));
        let queue = seen(&python, "look.queue('default', conn)");
        assert_eq!(queue["finished"].as_array().unwrap().len(), calls.len(), "{queue}");
        assert_eq!(
            (&queue["failed"], &queue["queued"], &queue["started"]),
            (&json!(["bad"]), &json!([]), &json!([]))
        );
    }
}

#[track_caller]
fn check_finished(job: &Json, value: &str, worker: &str, call: &str) {
    assert_eq!(
        (&job["status"], &job["finished"], &job["failed"]),
        (&json!("finished"), &json!(true), &json!(false)),
        "{call}: {job}"
    );
    assert_eq!(job["value"], value, "{call}");
    assert_eq!((&job["origin"], &job["worker"]), (&json!("default"), &json!(worker)), "{call}");
    assert_eq!((&job["results"], &job["executions"]), (&json!(1), &json!(0)), "{call}");
    let times = job["times"].as_array().unwrap();
    assert!(times.iter().all(|time| time.as_str().unwrap().starts_with("20")), "{times:?}");
    let result = &job["result"];
    let wanted = json!({
        "type": "SUCCESSFUL", "value": value, "exc_string": null, "worker": worker,
        "execution_id": result["execution_id"], "in_order": true,
    });
    assert_eq!(*result, wanted, "{call}");
    assert_eq!(result["execution_id"].as_str().map(str::len), Some(32), "{call}");
    assert!((400..=500).contains(&job["ttls"][0].as_i64().unwrap()), "{call}: {job}");
}

#[track_caller]
fn check_failed(job: &Json, text: &str, worker: &str) {
    assert_eq!(
        (&job["status"], &job["failed"], &job["value"]),
        (&json!("failed"), &json!(true), &json!("None")),
        "{job}"
    );
    let result = &job["result"];
    assert_eq!(
        (&result["type"], &result["worker"], &result["in_order"]),
        (&json!("FAILED"), &json!(worker), &json!(true))
    );
    assert!(result["exc_string"].as_str().unwrap().contains(text), "{result}");
    assert_eq!(job["exc_info"], result["exc_string"]);
}

#[test]
fn python_sees_our_worker_while_it_runs() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let worker = RqTest::new(&scratch).worker(&["--name", "ours", "--concurrency", "2", "high", "default"]);
    let gate = Gate::new(&scratch, "gate");
    python.run(&format!("Queue(connection=conn).enqueue('test.report', {:?}, job_id='j')", gate.key()));
    gate.wait_for_arrival();
    let workers = seen(&python, "look.workers(conn)");
    let ours = &workers["ours"];
    assert_eq!(ours["state"], "busy", "{workers}");
    assert_eq!(ours["queues"], json!(["high", "default"]));
    assert_eq!(ours["pid"], worker.id());
    assert_eq!((&ours["job"], &ours["executions"]), (&json!("j"), &json!(1)));
    let job = seen(&python, "look.job('j', conn)");
    assert_eq!(
        (&job["status"], &job["executions"], &job["worker"]),
        (&json!("started"), &json!(1), &json!("ours")),
        "{job}"
    );
    let at_the_gate = json!({"stage": "before", "progress": 0.5, "progress_note": "at the gate"});
    eventually("the meta", LIMIT, || {
        (seen(&python, "look.job('j', conn)")["meta"] == at_the_gate).then_some(())
    });
    assert_eq!(seen(&python, "look.queue('default', conn)")["started"], json!(["j"]));
    let line = format!("ours ({} ", ours["hostname"].as_str().unwrap());
    let info = python.rq(&["info"]);
    let shown = info.lines().find(|shown| shown.starts_with(&line)).unwrap_or_else(|| panic!("{info}"));
    assert!(
        shown.ends_with(&format!(" {}): busy high, default. jobs: 0 finished, 0 failed", worker.id())),
        "{shown}"
    );
    assert!(info.contains("default      | 0, 1 executing, 0 finished, 0 failed"), "{info}");
    gate.open(1);
    eventually("the job to end", LIMIT, || (scratch.status("j") == "finished").then_some(()));
    eventually("the worker to be idle", LIMIT, || {
        let ours = seen(&python, "look.workers(conn)")["ours"].clone();
        (ours["state"] == "idle" && ours["finished"] == 1 && ours["job"].is_null()).then_some(())
    });
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("stopping on request", LIMIT);
    eventually("the worker to be gone", LIMIT, || {
        (seen(&python, "look.workers(conn)") == json!({})).then_some(())
    });
}

/// Our calls, the `repr` of what Python makes of them, and what we read as their value.
fn our_calls() -> Vec<(Call<Value>, Value)> {
    let echo = |value: Value| (Call::to("interop.echo").value(value.clone()), value);
    vec![
        (Call::to("interop.add").arg(2).arg(3), 5.into()),
        (Call::to("interop.add").arg(2).kwarg("y", 0.5), 2.5.into()),
        (Call::to("interop.add").kwarg("y", "b").kwarg("x", "a"), "ab".into()),
        echo(Value::Null),
        echo(u64::MAX.into()),
        echo("é \u{1f980}".into()),
        echo(Value::Dict(vec![("a".into(), Value::List(vec![1.into(), Value::Null, true.into()]))])),
    ]
}

/// What only pickle can carry.
fn our_pickled_calls() -> Vec<(Call<Value>, Value)> {
    let datetime = Codec::Pickle
        .decode_value(b"cdatetime\ndatetime\n(C\x0a\x07\xe8\x01\x02\x03\x04\x05\0\0\x01tR.")
        .unwrap();
    let values = [
        datetime,
        Value::Tuple(vec![1.into(), Value::Bytes(vec![0xff])]),
        Value::Set(vec![2.into()]),
        Value::Decimal("1.10".to_string()),
        Value::TimeDelta(86_400_000_005),
    ];
    values.map(|value| (Call::to("interop.echo").value(value.clone()), value)).into()
}

#[test]
fn our_calls_are_run_by_pythons_workers() {
    for (codec, class) in [
        (Codec::Pickle, "rq.Worker"),
        (Codec::Json, "rq.Worker"),
        (Codec::Pickle, "rq.SimpleWorker"),
        (Codec::Json, "rq.SimpleWorker"),
    ] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let queue = scratch.queue("default").codec(codec);
        let mut calls = our_calls();
        if codec == Codec::Pickle {
            calls.extend(our_pickled_calls());
        }
        let jobs = queue
            .enqueue_many(
                calls.iter().enumerate().map(|(number, (call, _))| call.clone().job_id(format!("j{number}"))),
            )
            .unwrap();
        let failing = queue.enqueue(Call::<()>::to("interop.fail").arg("oh no").meta("k", 1)).unwrap();
        let unknown = queue.enqueue(Call::<()>::to("interop.no_such_function")).unwrap();
        let (number, serializer) = (calls.len(), codec.name());
        let before =
            seen(&python, &format!("[look.job(f'j{{n}}', conn, '{serializer}') for n in range({number})]"));
        check_as_enqueued(&before, &calls);
        let worker =
            python.spawn_rq(&["worker", "--burst", "--name", "theirs", "-w", class, "-S", serializer]);
        for (job, (call, value)) in jobs.iter().zip(&calls) {
            assert_eq!(job.wait(LIMIT).unwrap(), *value, "{call} by {class}");
            let result = job.latest_result().unwrap().unwrap();
            assert_eq!(
                (result.kind, result.worker_name.as_deref()),
                (ResultKind::Successful, Some("theirs")),
                "{call}"
            );
            assert_eq!(result.return_value.as_deref().map_or(codec, Codec::detect_value), codec, "{call}");
            assert!(result.execution_started_at.unwrap() <= result.execution_ended_at.unwrap());
            let job = job.job().unwrap().unwrap();
            assert_eq!(
                (job.status, job.worker_name.as_deref()),
                (Status::Finished, Some("theirs")),
                "{call}"
            );
        }
        check_their_failure(failing.wait(LIMIT), "ValueError: oh no");
        assert_eq!(
            failing.job().unwrap().unwrap().meta().unwrap(),
            Value::Dict(vec![("k".into(), 1.into())])
        );
        check_their_failure(unknown.wait(LIMIT), "no_such_function");
        worker.succeed(LIMIT);
    }
}

/// Before anybody ran them, Python reads our jobs as its own.
fn check_as_enqueued(jobs: &Json, calls: &[(Call<Value>, Value)]) {
    for (job, (call, _)) in jobs.as_array().unwrap().iter().zip(calls) {
        assert_eq!((&job["status"], &job["origin"]), (&json!("queued"), &json!("default")), "{job}");
        assert_eq!((&job["func"], &job["description"]), (&json!(call.function()), &json!(call.to_string())));
        assert_eq!(job["ttls"], json!([-1, null, null, 180]), "{job}");
    }
}

#[track_caller]
fn check_their_failure(end: Result<(), Error>, part: &str) {
    match end {
        Err(Error::JobFailed { status: Status::Failed, text, .. }) => assert!(text.contains(part), "{text}"),
        other => panic!("{other:?} instead of {part}"),
    }
}

#[test]
fn options_of_our_calls_are_pythons() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default").codec(Codec::Pickle);
    let add = || Call::<i64>::to("interop.add").arg(1).arg(2);
    let calls = [
        add()
            .job_id("b")
            .description("what people read")
            .timeout(secs(7))
            .result_ttl(secs(8))
            .failure_ttl(secs(9))
            .meta("k", "v"),
        add().job_id("c").no_timeout().result_ttl(rq_core::Ttl::Forever),
        add().job_id("a").at_front().ttl(secs(100)),
    ];
    for call in calls {
        queue.enqueue(call).unwrap();
    }
    assert_eq!(seen(&python, "look.queue('default', conn)")["queued"], json!(["a", "b", "c"]));
    let [a, b, c] = ["a", "b", "c"].map(|id| seen(&python, &format!("look.job('{id}', conn)")));
    assert!((90..=100).contains(&a["ttls"][0].as_i64().unwrap()), "{a}");
    assert_eq!(b["ttls"], json!([-1, 8, 9, 7]));
    assert_eq!((&b["description"], &b["meta"]), (&json!("what people read"), &json!({"k": "v"})));
    assert_eq!(c["ttls"], json!([-1, -1, null, -1]));
}

#[test]
fn a_job_that_python_cancels_or_deletes_while_it_runs_stays_that_way() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let worker = RqTest::new(&scratch).worker(&["--name", "ours", "--concurrency", "2"]);
    let gate = Gate::new(&scratch, "gate");
    python.run(&format!(
        "q = Queue(connection=conn)\nfor id in ('kept', 'gone'): q.enqueue('test.gate', {:?}, job_id=id)",
        gate.key()
    ));
    (0..2).for_each(|_| drop(gate.wait_for_arrival()));
    python.run("Job.fetch('kept', connection=conn).cancel(); Job.fetch('gone', connection=conn).delete()");
    gate.open(2);
    for id in ["kept", "gone"] {
        worker.wait_for_line(&format!("job {id} is no longer this worker's"), LIMIT);
    }
    assert_eq!((scratch.status("kept"), scratch.status("gone")), ("canceled".into(), String::new()));
    let queue = seen(&python, "look.queue('default', conn)");
    assert_eq!(
        (&queue["canceled"], &queue["finished"], &queue["started"]),
        (&json!(["kept"]), &json!([]), &json!([]))
    );
    let ghosts: Vec<_> =
        scratch.dump().into_keys().filter(|key| key.contains("gone") || key.contains(":execution")).collect();
    assert!(ghosts.is_empty(), "{ghosts:?}");
}

#[test]
fn workers_of_both_kinds_share_queues() {
    const JOBS: usize = 500;
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let journal = Journal::new(&scratch);
    let ours = RqTest::new(&scratch);
    let their_args =
        |name: &'static str, class: &'static str| ["worker", "--name", name, "-w", class, "high", "default"];
    let workers: Vec<(&str, Child)> = vec![
        ("ours-1", ours.worker(&["--name", "ours-1", "--concurrency", "2", "high", "default"])),
        ("theirs-1", python.spawn_rq(&their_args("theirs-1", "rq.SimpleWorker"))),
        ("theirs-2", python.spawn_rq(&their_args("theirs-2", "rq.Worker"))),
        ("ours-2", ours.worker(&["--name", "ours-2", "--concurrency", "1", "default"])),
    ];
    // None gets a start on the others.
    workers.iter().for_each(|(_, worker)| drop(worker.wait_for_line("*** Listening on", LIMIT)));
    enqueue_from_both(&scratch, &python, &journal, JOBS);
    let finished = || scratch.count("finished:high") + scratch.count("finished:default");
    eventually("all jobs to be finished", LIMIT, || (finished() == JOBS).then_some(()));
    let ends = journal.ends();
    assert_eq!(ends.len(), JOBS);
    assert!(ends.values().all(|&count| count == 1) && journal.began().len() == JOBS, "{ends:?}");
    let counts = seen(&python, "look.workers(conn)");
    let sum: i64 = workers.iter().map(|(name, _)| counts[name]["finished"].as_i64().unwrap()).sum();
    assert_eq!(sum, JOBS as i64, "{counts}");
    for (name, mut worker) in workers {
        assert!(counts[name]["finished"].as_i64().unwrap() > 0, "{name} had none: {counts}");
        worker.signal(Signal::SIGTERM);
        assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    }
}

/// Half of the jobs by us, half by Python; on two queues.
fn enqueue_from_both(scratch: &Scratch, python: &Python, journal: &Journal, jobs: usize) {
    /// Long enough for every worker to get some.
    const JOB_MS: u64 = 10;
    for (queue, ids) in [("high", 0..jobs / 4), ("default", jobs / 4..jobs / 2)] {
        let queue: Queue = scratch.queue(queue).codec(Codec::Pickle);
        let call =
            |id: usize| Call::<()>::to("interop.journal").arg(journal.path()).arg(id.to_string()).arg(JOB_MS);
        queue.enqueue_many(ids.map(call)).unwrap();
    }
    python.run(&format!(
        "for name, ids in (('high', range({half}, {three})), ('default', range({three}, {jobs}))):\n    \
             q = Queue(name, connection=conn)\n    \
             q.enqueue_many([Queue.prepare_data('interop.journal', ({path:?}, str(id), {JOB_MS})) for id in ids])",
        half = jobs / 2,
        three = jobs * 3 / 4,
        path = journal.path(),
    ));
}

/// RQ 3.0's worker commits a failure first and looks for dependents then, without asking whether they wait still.
#[test]
fn a_dependent_that_we_release_is_not_queued_again_by_pythons_worker() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run(
        "from rq import Queue\n\
         from rq.job import Dependency\n\
         q, slow = Queue(connection=conn), Queue('slow', connection=conn)\n\
         q.enqueue('interop.add', 1, 2, job_id='good')\n\
         slow.enqueue('interop.fail', job_id='bad')\n\
         parents = Dependency(['good', 'bad'], allow_failure=True)\n\
         q.enqueue('interop.add', 1, 2, job_id='heir', depends_on=parents)\n\
         class Paused(SimpleWorker):\n\
         \x20   def _enqueue_dependents_safely(self, queue, job):\n\
         \x20       pass\n\
         Paused([slow], connection=conn).work(burst=True)\n",
    );
    assert_eq!(scratch.queue("default").registry(RegistryKind::Deferred).ids().unwrap(), ["heir"]);
    RqTest::new(&scratch).drain(&[]);
    let released = python.run(
        "from rq import Queue\n\
         print(Queue('slow', connection=conn).enqueue_dependents(Job.fetch('bad', connection=conn)))",
    );
    assert_eq!(released, "{}\n");
    let queue = scratch.queue("default");
    assert_eq!(queue.job_ids().unwrap(), [""; 0]);
    assert_eq!(queue.handle::<i64>("heir").results().unwrap().len(), 1);
}

#[test]
fn python_requeues_what_failed_here_and_we_run_it_again() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    python.run("Queue(connection=conn).enqueue('interop.fail', 'once', job_id='j')");
    RqTest::new(&scratch).drain(&[]);
    python.rq(&["requeue", "--queue", "default", "j"]);
    assert_eq!(seen(&python, "look.job('j', conn)")["status"], "queued");
    RqTest::new(&scratch).drain(&[]);
    let job = seen(&python, "look.job('j', conn)");
    assert_eq!((&job["status"], &job["results"]), (&json!("failed"), &json!(2)), "{job}");
}

/// Both programs on one Redis, with something of everything in it.
#[test]
fn info_reads_as_pythons() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let ours = RqTest::new(&scratch);
    let check = |state: &str| {
        for args in [
            &["info"][..],
            &["info", "--raw"],
            &["info", "-R"],
            &["info", "-Q"],
            &["info", "-W"],
            &["info", "-W", "-R"],
            &["info", "low", "unknown"],
            &["info", "--raw", "-R"],
        ] {
            assert_eq!(lines(&ours.run(args)), lines(&python.rq(args)), "{args:?} of {state}");
        }
    };
    check("nothing");
    let calls = |jobs: usize| (0..jobs).map(|_| Call::<()>::to("interop.add").arg(1).arg(2));
    scratch.queue("low").enqueue_many(calls(57)).unwrap();
    scratch.queue("a-queue-with-a-long-name").enqueue_many(calls(3)).unwrap();
    scratch.queue("default").enqueue_many(calls(2)).unwrap();
    scratch.queue("default").enqueue(Call::<()>::to("interop.fail")).unwrap();
    ours.drain(&["default"]);
    check("queues without workers");
    let busy = ours.worker(&["--name", "busy", "--concurrency", "2", "default", "high"]);
    let _idle = ours.worker(&["--name", "idle", "low-but-other"]);
    let gate = Gate::new(&scratch, "gate");
    scratch.queue("default").enqueue(Call::<()>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    for (worker, state) in [("busy", "busy"), ("idle", "idle")] {
        eventually(state, LIMIT, || {
            (scratch.hash(&format!("worker:{worker}")).get("state")? == state).then_some(())
        });
    }
    check("queues and workers");
    drop(busy);
}

/// The lines of `rq info`, without the time. Queues and workers come in no order.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with("Updated: ")).map(str::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn a_wait_for_a_python_job_has_an_end() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let job = scratch.queue("default").enqueue(Call::<f64>::to("interop.sleep").arg(0.3)).unwrap();
    match job.wait(Duration::from_millis(50)) {
        Err(Error::NotEnded { status: Some(Status::Queued), .. }) => {}
        other => panic!("{other:?}"),
    }
    let worker = python.spawn_rq(&["worker", "--burst"]);
    assert_eq!(job.wait(LIMIT).unwrap(), 0.3);
    worker.succeed(LIMIT);
}

#[test]
fn the_failure_of_a_python_job_is_told_by_its_error() {
    let scratch = Scratch::new();
    let job =
        scratch.queue("default").enqueue(Call::<f64>::to("interop.fail").arg("no such customer")).unwrap();
    Python::new(&scratch).rq(&["worker", "--burst"]);
    let error = job.wait(LIMIT).unwrap_err().to_string();
    assert_eq!(error, format!("job {} failed: ValueError: no such customer", job.id()));
}

/// Nobody has to be told a serializer: Python's worker and Python's tools take what our command line and our library write.
#[test]
fn what_we_enqueue_is_what_python_expects() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    RqTest::new(&scratch).run(&["enqueue", "-q", "py", "--job-id", "told", "operator.add", ":1", ":2"]);
    let call =
        Call::<Value>::to("interop.echo").arg((1, "a")).kwarg("when", "now").job_id("made").meta("k", "v");
    scratch.queue("py").enqueue(call.value(Value::Bytes(vec![0xff]))).unwrap();
    let seen = |id: &str| {
        python.run(&format!(
            "j = Job.fetch('{id}', connection=conn)\nprint(j.func_name, j.args, j.kwargs, j.meta, j.return_value())"
        ))
    };
    assert_eq!(seen("told"), "operator.add (1, 2) {} {} None\n");
    assert_eq!(seen("made"), "interop.echo ((1, 'a'), b'\\xff') {'when': 'now'} {'k': 'v'} None\n");
    python.rq(&["worker", "--burst", "py"]);
    assert_eq!(seen("told"), "operator.add (1, 2) {} {} 3\n");
    // Ours writes the result as the call was.
    RqTest::new(&scratch).run(&["enqueue", "--job-id", "ours", "math.add", ":1", "y:=2"]);
    RqTest::new(&scratch).drain(&[]);
    assert_eq!(seen("ours"), "math.add (1,) {'y': 2} {} 3\n");
}

/// A fleet whose Python runs with `-S json` says so once, in the environment.
#[test]
fn the_environment_names_the_codec_of_those_who_are_not_told_one() {
    let scratch = Scratch::new();
    let enqueue = |serializer: &str, args: &[&str]| {
        let mut command = RqTest::new(&scratch).command(&[&["enqueue", "--quiet"], args].concat());
        command.env("RQ_SERIALIZER", serializer).output().unwrap()
    };
    let check = |serializer: &str, args: &[&str], codec: Codec| {
        let output = enqueue(serializer, &[&["--job-id", "j"], args, &["operator.add", ":1", ":2"]].concat());
        assert!(output.status.success(), "{output:?}");
        let queue = scratch.queue("default");
        assert_eq!(
            queue.fetch_job("j").unwrap().unwrap().payload().unwrap().0,
            codec,
            "{serializer} {args:?}"
        );
        queue.handle::<Value>("j").delete().unwrap();
    };
    check("", &[], Codec::Pickle);
    check("json", &[], Codec::Json);
    check("rq.serializers.JSONSerializer", &[], Codec::Json);
    check("bincode", &[], Codec::Bincode);
    check("json", &["-S", "pickle"], Codec::Pickle);
    let refused = enqueue("yaml", &["f"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("RQ_SERIALIZER: no codec is called `yaml`"), "{text}");
}

/// What jobs leave whose failures nobody files (docs/wire.md §10.6): of each its status, its time to live and how many
/// results it has, with the names of its fields; and the books of its queue.
fn unfiled(python: &Python, scratch: &Scratch, worker: &str) -> Json {
    /// Ours alone (docs/wire.md §24), and those that a job has while it runs.
    const OWN: [&str; 2] = ["execution", "settled"];
    let jobs = ["failed", "dependent", "retried", "discarded", "unknown"].map(|id| {
        let filled = scratch.hash(&format!("job:{id}")).into_iter();
        let fields: Vec<String> = filled
            .filter(|(name, value)| !value.is_empty() && !OWN.contains(&&**name))
            .map(|(name, _)| name)
            .collect();
        let job = seen(python, &format!("look.job({id:?}, conn)"));
        // An attempt that is retried has a result of ours, and none of Python's (docs/differences.md).
        let results = if id == "retried" { Json::Null } else { job["results"].clone() };
        let ttl_s = scratch.ttl_s(&format!("job:{id}"));
        json!([id, job["status"], fields, ttl_s > 0, results, job["executions"]])
    });
    let queue = seen(python, "look.queue('default', conn)");
    let counts = scratch.hash(&format!("worker:{worker}"));
    let counts = ["failed_job_count", "successful_job_count"].map(|name| counts.get(name).cloned());
    json!([jobs, queue["failed"], queue["queued"], queue["started"], queue["finished"], counts])
}

#[test]
fn what_nobody_files_is_left_as_python_leaves_it() {
    let left = |work: &dyn Fn(&Python, &Scratch)| {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        python.run(
            "from rq.job import Dependency
q = Queue(connection=conn)
q.enqueue('interop.fail', job_id='failed')
q.enqueue('interop.add', 1, 2, job_id='dependent', depends_on=Dependency(jobs=['failed'], allow_failure=True))
q.enqueue('interop.fail', job_id='retried', retry=Retry(max=1), failure_ttl=60)
q.enqueue('interop.fail', job_id='discarded', failure_ttl=0)
q.enqueue('interop.there_is_none', job_id='unknown')",
        );
        work(&python, &scratch);
        unfiled(&python, &scratch, "w")
    };
    let pythons = left(&|python, _| {
        python.rq(&["worker", "--burst", "--name", "w", "-w", "rq.SimpleWorker", "-d"]);
    });
    let statuses: Vec<&Json> = pythons[0].as_array().unwrap().iter().map(|job| &job[1]).collect();
    assert_eq!(statuses, ["failed", "finished", "failed", "failed", "failed"], "{pythons}");
    for executor in ["fork", "thread", "green"] {
        let ours = left(&|_, scratch| {
            let args = ["-w", executor, "--concurrency", "1", "--name", "w", "-d"];
            RqTest::new(scratch).drain(&args);
        });
        assert_eq!(ours, pythons, "{executor}\n{ours:#}\n{pythons:#}");
    }
}
