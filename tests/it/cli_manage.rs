//! `rq requeue`, `suspend`, `resume`, and what `rq enqueue` waits for, beside Python's.

use rq_core::{Call, Job, Status, Timestamp};
use rq_tests::{Python, Scratch};

use crate::rq_test::{Books, LIMIT, RqTest};

/// Fails jobs of these ids in the queue `default`.
fn fail(scratch: &Scratch, ids: &[&str]) {
    let calls = ids.iter().map(|id| Call::<()>::to("test.fail").arg("oh no").job_id(*id));
    scratch.queue("default").enqueue_many(calls).unwrap();
    RqTest::new(scratch).drain(&[]);
    assert_eq!(scratch.count("failed:default"), ids.len());
}

#[test]
fn requeue_does_and_says_what_pythons_does() {
    let scratch = Scratch::new();
    let (ours, python) = (RqTest::new(&scratch), Python::new(&scratch));
    fail(&scratch, &["a", "b", "c"]);
    // By score, whatever the ids.
    for (id, score) in [("a", "4000000002"), ("b", "4000000001"), ("c", "4000000003")] {
        scratch.query::<()>("ZADD", [scratch.key("failed:default"), score.into(), id.into()]);
    }
    for is_python in [true, false] {
        let run = |args: &[&str]| if is_python { python.rq(args) } else { ours.run(args) };
        assert_eq!(run(&["requeue", "--queue", "default"]), "Nothing to do\n");
        assert_eq!(run(&["requeue", "--queue", "nosuch", "--all"]), "Nothing to do\n");
        let said = run(&["requeue", "--queue", "default", "c"]);
        assert_eq!(said, "Requeueing 1 jobs from failed queue\n\n", "python: {is_python}");
        let said = run(&["requeue", "--queue", "default", "--all"]);
        assert_eq!(said, "Requeueing 2 jobs from failed queue\n\n", "python: {is_python}");
        assert_eq!(scratch.waiting("default"), ["c", "b", "a"], "python: {is_python}");
        assert_eq!(scratch.count("failed:default"), 0);
        check_requeued(&scratch, is_python);
        RqTest::new(&scratch).drain(&[]);
        for (id, score) in [("a", "4000000002"), ("b", "4000000001"), ("c", "4000000003")] {
            scratch.query::<()>("ZADD", [scratch.key("failed:default"), score.into(), id.into()]);
        }
    }
}

/// The fields that requeueing sets, and those that it leaves.
fn check_requeued(scratch: &Scratch, is_python: bool) {
    let job = scratch.queue("default").fetch_job("a").unwrap().unwrap();
    let Job { status, started_at, ended_at, enqueued_at, last_heartbeat, exc_info, .. } = &job;
    assert_eq!((*status, *started_at, *ended_at), (Status::Queued, None, None), "python: {is_python}");
    assert!(enqueued_at > last_heartbeat, "python: {is_python}");
    assert_eq!(exc_info.as_deref(), Some(&b"\x78\x9c\x03\x00\x00\x00\x00\x01"[..]), "python: {is_python}");
    let kept = if is_python { 31_536_000 } else { -1 };
    assert!((scratch.ttl_s("job:a") - kept).abs() < 60, "python: {is_python}");
}

#[test]
fn what_cannot_be_requeued_is_named() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    fail(&scratch, &["a", "b", "gone"]);
    scratch.query::<()>("DEL", [scratch.key("job:gone")]);
    scratch.queue("default").enqueue(Call::<()>::to("test.none").job_id("queued")).unwrap();
    let (code, out, err) = ours.outcome(&["requeue", "--queue", "default", "a", "nosuch", "queued"]);
    assert_eq!(code, Some(1));
    let said = "Requeueing 3 jobs from failed queue\n\nUnable to requeue 2 jobs from failed job registry\n";
    assert_eq!(out, said);
    let remarks = "Note: job nosuch is gone: it was deleted, or its time to live has passed.\n\
                   Note: job queued is no failed job of queue default.\n";
    assert_eq!(err, remarks);
    let (code, out, _) = ours.outcome(&["requeue", "--queue", "default", "--all"]);
    assert_eq!(code, Some(1));
    assert!(out.ends_with("Unable to requeue 1 jobs from failed job registry\n"), "{out}");
    assert_eq!(scratch.waiting("default"), ["queued", "a", "b"]);
    assert_eq!(scratch.count("failed:default"), 0, "nobody will requeue what is gone");
    let many: Vec<String> = (0..15).map(|number| format!("nosuch-{number}")).collect();
    let args: Vec<&str> =
        ["requeue", "--queue", "default"].into_iter().chain(many.iter().map(String::as_str)).collect();
    let (_, _, err) = ours.outcome(&args);
    assert_eq!(err.lines().count(), 11, "{err}");
    assert!(err.ends_with("Note: and 5 more.\n"), "{err}");
}

#[test]
fn a_job_that_has_finished_elsewhere_since_is_left_alone_with_a_note() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    fail(&scratch, &["tick"]);
    scratch.queue("other").enqueue(Call::<()>::to("test.none").job_id("tick")).unwrap();
    ours.drain(&["other"]);
    // Python leaves such an id where it failed.
    scratch.query::<()>("ZADD", [scratch.key("failed:default"), "4000000001".into(), "tick".into()]);
    let (code, out, err) = ours.outcome(&["requeue", "--all", "--queue", "default"]);
    assert_eq!((code, scratch.status("tick").as_str()), (Some(1), "finished"), "{out}{err}");
    assert!(
        err.contains("job tick waits or runs again, was canceled, or has ended elsewhere since"),
        "{err}"
    );
    assert_eq!((scratch.waiting("default"), scratch.waiting("other")), (vec![], vec![]));
}

#[test]
fn suspend_and_resume_do_and_say_what_pythons_do() {
    let scratch = Scratch::new();
    let (ours, python) = (RqTest::new(&scratch), Python::new(&scratch));
    for args in [&["suspend"][..], &["suspend", "--duration", "30"], &["resume"], &["resume"]] {
        let said = ours.run(args);
        let left = scratch.dump();
        assert_eq!(said, python.rq(args), "{args:?}");
        let theirs = scratch.dump();
        assert_eq!(left.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{args:?}");
        for (key, held) in &left {
            assert_eq!(held.value, theirs[key].value, "{args:?}");
            assert!((held.ttl_s - theirs[key].ttl_s).abs() <= 3, "{args:?}: {held:?}");
        }
    }
    for duration in ["0", "-1"] {
        let (code, said, _) = ours.outcome(&["suspend", "--duration", duration]);
        assert_eq!((code, said.as_str()), (Some(1), "Duration must be an integer greater than 1\n"));
    }
    assert!(scratch.dump().is_empty(), "{}", scratch.dump_json());
}

#[test]
fn suspended_workers_of_both_kinds_wait() {
    let scratch = Scratch::new();
    let (ours, python) = (RqTest::new(&scratch), Python::new(&scratch));
    let queue = scratch.queue("default");
    ours.run(&["suspend"]);
    let job = queue.enqueue(Call::<i64>::to("interop.add").arg(2).arg(3)).unwrap();
    let mut worker = python.spawn_rq(&["worker", "--burst"]);
    assert_eq!(worker.wait(LIMIT).code(), Some(1), "{}", worker.report());
    assert_eq!(queue.len().unwrap(), 1);
    python.rq(&["resume"]);
    python.rq(&["worker", "--burst"]);
    assert_eq!(job.result().unwrap(), Some(5));
    python.rq(&["suspend"]);
    let job = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    let (code, _, _) = ours.outcome(&["worker", "--burst"]);
    assert_eq!((code, queue.len().unwrap()), (Some(1), 1));
    ours.run(&["resume"]);
    ours.drain(&[]);
    assert_eq!(job.result().unwrap(), Some(5));
}

#[test]
fn enqueue_waits_for_jobs_and_times_as_pythons_does() {
    let scratch = Scratch::new();
    let (ours, python) = (RqTest::new(&scratch), Python::new(&scratch));
    scratch
        .queue("default")
        .enqueue_many(["p1", "p2"].map(|id| Call::<()>::to("test.none").job_id(id)))
        .unwrap();
    let lines: [&[&str]; 6] = [
        &["--depends-on", "p1"],
        &["--depends-on", "p1", "--depends-on", "p2", "--at-front"],
        &["--schedule-in", "5m"],
        &["--schedule-in", "1d", "--at-front", "--ttl", "1h", "-q", "high"],
        &["--schedule-at", "2099-07-01T10:00:00"],
        &["--schedule-at", "2099-01-01T10:00:00", "--depends-on", "p1"],
    ];
    for (number, args) in lines.iter().enumerate() {
        let (mine, theirs) = (format!("ours-{number}"), format!("theirs-{number}"));
        let line = |id: &str| {
            let line =
                [&["enqueue", "--job-id", id, "-S", "json"], *args, &["interop.add", ":1", ":2"]].concat();
            line.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        // Not UTC, and with summer time.
        let mut command = ours.command(&line(&mine).iter().map(String::as_str).collect::<Vec<_>>());
        let said = command.env("TZ", "Europe/Berlin").output().unwrap();
        assert!(said.status.success(), "{args:?}: {said:?}");
        let words = format!("{:?}", line(&theirs));
        python.run(&format!(
            "os.environ['TZ'] = 'Europe/Berlin'; time.tzset()\nfrom rq.cli import main\nmain({words})"
        ));
        check_same(&scratch, &mine, &theirs, args);
    }
    for (args, message) in [
        (&["--schedule-in", "5m", "--schedule-at", "2099-07-01T10:00:00"][..], "You can't specify both"),
        (&["--schedule-at", "tomorrow"], "is no local time of the form 2021-05-27T21:45:00"),
        (&["--schedule-in", "soon"], "'soon' is no time"),
    ] {
        let (code, _, err) = ours.outcome(&[&["enqueue", "f"], args].concat());
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.contains(message), "{args:?}: {err}");
    }
}

/// Two jobs of the same command line are the same, and in the same registries at the same time.
fn check_same(scratch: &Scratch, mine: &str, theirs: &str, args: &[&str]) {
    let [mut mine, mut theirs] =
        [mine, theirs].map(|id| scratch.queue("default").fetch_job(id).unwrap().unwrap());
    for registry in ["scheduled", "deferred"] {
        let name = format!("{registry}:{}", mine.origin);
        let scores = [&mine.id, &theirs.id].map(|id| scratch.score(&name, id));
        match (registry, scores) {
            (_, [None, None]) => {}
            (_, [Some(mine), Some(theirs)]) => {
                assert!((mine - theirs).abs() <= 20.0, "{args:?}: {mine} {theirs}")
            }
            (registry, scores) => panic!("{args:?}: {registry} {scores:?}"),
        }
    }
    for parent in ["p1", "p2"] {
        let listed = |id: &str| -> bool {
            scratch.query("SISMEMBER", [scratch.key(format!("job:{parent}:dependents")), id.into()])
        };
        assert_eq!(listed(&mine.id), listed(&theirs.id), "{args:?} {parent}");
    }
    let ttls = [&mine.id, &theirs.id].map(|id| scratch.ttl_s(&format!("job:{id}")));
    assert!((ttls[0] - ttls[1]).abs() <= 20, "{args:?}: {ttls:?}");
    for job in [&mut mine, &mut theirs] {
        job.id = "job".to_owned();
        job.created_at = Timestamp::from_epoch_us(0);
        job.data.clear();
    }
    assert_eq!(mine, theirs, "{args:?}");
}
