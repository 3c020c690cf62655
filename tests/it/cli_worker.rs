//! The options of our `rq worker`: their defaults are RQ's, and each does what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Child, Gate, Journal, Line, PrivateRedis, Python, PythonRq, Scratch, Signal, eventually};

use crate::rq_test::{Books, LEAVES_WITHIN, LIMIT, RqTest};

/// How far a TTL may be off because time passed, in seconds.
const SLACK_S: i64 = 5;

#[track_caller]
fn assert_about(what: &str, seconds: i64, expected: i64) {
    assert!((expected - SLACK_S..=expected).contains(&seconds), "{what}: {seconds}, not about {expected}");
}

/// What the times given on the command line come to in Redis: of the worker's record, of a running execution and of its
/// job's entry in `rq:wip`, of a result.
struct Times {
    worker_s: i64,
    execution_s: i64,
    result_s: i64,
}

#[track_caller]
fn check_times(args: &[&str], times: &Times) {
    let scratch = Scratch::new();
    let gate = Gate::new(&scratch, "gate");
    let call = Call::<String>::to("test.gate").arg(gate.key()).job_id("j");
    let job = scratch.queue("default").enqueue(call).unwrap();
    let _worker = RqTest::new(&scratch).worker(&[&["--name", "w"], args].concat());
    gate.wait_for_arrival();
    assert_about("the record", scratch.ttl_s("worker:w"), times.worker_s);
    let dump = scratch.dump();
    let execution = dump.keys().find(|name| name.starts_with("rq:execution:j:")).unwrap();
    assert_about("the execution", scratch.ttl_s(&execution["rq:".len()..]), times.execution_s);
    let started_s = job.job().unwrap().unwrap().started_at.unwrap().epoch_secs();
    let wip = scratch.score("wip:default", &execution["rq:execution:".len()..]).unwrap() as i64;
    assert_about("wip", wip - started_s, times.execution_s);
    gate.open(1);
    job.wait(LIMIT).unwrap();
    let kept_s = eventually("the job to be settled", LIMIT, || {
        let kept_s = scratch.ttl_s("results:j");
        (scratch.count("wip:default") == 0).then_some(kept_s)
    });
    match times.result_s {
        -1 => assert_eq!(kept_s, -1),
        result_s => assert_about("the result", kept_s, result_s),
    }
}

/// As in RQ: who enqueues one job after the other counts on it.
#[test]
fn a_worker_that_is_told_nothing_runs_one_job_at_a_time_in_order() {
    for args in [&[][..], &["-w", "rq.Worker"], &["-w", "rq.SimpleWorker"]] {
        let scratch = Scratch::new();
        let journal = Journal::new(&scratch);
        let call = |id: &&str| Call::<String>::to("test.journal").arg(journal.path()).arg(30).job_id(*id);
        let ids = ["a", "b", "c", "d"];
        scratch.queue("default").enqueue_many(ids.iter().map(call)).unwrap();
        RqTest::new(&scratch).drain(args);
        let expected =
            ids.iter().flat_map(|id| [Line::Began((*id).to_owned()), Line::Ended((*id).to_owned())]);
        assert_eq!(journal.lines(), expected.collect::<Vec<_>>(), "{args:?}");
    }
}

#[test]
fn times_are_rqs_unless_told() {
    // docs/wire.md §6, §8, §3.3.
    check_times(&[], &Times { worker_s: 420 + 60, execution_s: 30 + 60, result_s: 500 });
    check_times(
        &["--worker-ttl", "100", "--job-monitoring-interval", "7", "--results-ttl", "50"],
        &Times { worker_s: 100 + 60, execution_s: 7 + 60, result_s: 50 },
    );
    check_times(
        &["--results-ttl", "-1", "--maintenance-interval", "60"],
        &Times { worker_s: 480, execution_s: 90, result_s: -1 },
    );
}

/// Three queues with `each` jobs: `a0`, `a1`, `a2`, `b0`, …
fn fill(scratch: &Scratch, journal: &Journal, each: usize) {
    for queue in ["a", "b", "c"] {
        for number in 0..each {
            let id = format!("{queue}{number}");
            let call = Call::<()>::to("interop.journal").arg(journal.path()).arg(&id).arg(0);
            scratch.queue(queue).enqueue(call).unwrap();
        }
    }
}

/// In which order nine jobs of three queues run, one at a time.
fn order(strategy: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let journal = Journal::new(&scratch);
    fill(&scratch, &journal, 3);
    RqTest::new(&scratch).drain(&[strategy, &["--concurrency", "1", "a", "b", "c"]].concat());
    journal.began()
}

#[test]
fn queues_are_served_as_the_strategy_says() {
    let by_queue = ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"];
    let in_turns = ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"];
    for default in [&[][..], &["--dequeue-strategy", "default"], &["-ds", "default"]] {
        assert_eq!(order(default), by_queue, "{default:?}");
    }
    for round_robin in [&["--dequeue-strategy", "round_robin"][..], &["-ds", "round_robin"]] {
        assert_eq!(order(round_robin), in_turns, "{round_robin:?}");
    }
}

/// As Python's does, one job after the other.
#[test]
fn round_robin_is_pythons() {
    let orders = [false, true].map(|is_python| {
        let scratch = Scratch::new();
        let (python, journal) = (Python::new(&scratch), Journal::new(&scratch));
        for (queue, ids) in [("a", vec!["a0", "a1", "a2"]), ("b", vec!["b0"]), ("c", vec!["c0", "c1"])] {
            let queue = scratch.queue(queue).codec(rq_core::Codec::Pickle);
            for id in ids {
                let call = Call::<()>::to("interop.journal").arg(journal.path()).arg(id).arg(0);
                queue.enqueue(call).unwrap();
            }
        }
        let args = ["worker", "--burst", "-ds", "round_robin", "a", "b", "c"];
        if is_python {
            python.rq(&args);
        } else {
            RqTest::new(&scratch).run(&[&args[..], &["--concurrency", "1"]].concat());
        }
        journal.began()
    });
    assert_eq!(orders[0], orders[1]);
}

/// Of 120 jobs in three queues, the first 60 come from all of them: less than three from one has a chance below 1e-7.
#[test]
fn a_random_order_serves_all_queues_in_no_order() {
    const EACH: usize = 40;
    let scratch = Scratch::new();
    let journal = Journal::new(&scratch);
    fill(&scratch, &journal, EACH);
    RqTest::new(&scratch).drain(&["-ds", "random", "--concurrency", "1", "a", "b", "c"]);
    let began = journal.began();
    assert_eq!(began.iter().collect::<BTreeSet<_>>().len(), 3 * EACH);
    let queue_of = |id: &String| id[..1].to_string();
    let mut first_half = BTreeMap::<String, usize>::new();
    for id in &began[..began.len() / 2] {
        *first_half.entry(queue_of(id)).or_default() += 1;
    }
    // Twenty each, and a spread of about four.
    assert!(first_half.len() == 3 && first_half.values().all(|&count| count >= 3), "{first_half:?}");
    let in_turns =
        began.chunks(3).filter(|three| three.iter().map(queue_of).collect::<BTreeSet<_>>().len() == 3);
    assert!(in_turns.count() < EACH, "served in turns: {began:?}");
}

#[test]
fn a_dead_workers_job_is_taken_from_it_after_its_lease() {
    let check = |on_crash: &[&str], ends: &str, began: usize| {
        let scratch = Scratch::new();
        let gate = Gate::new(&scratch, "gate");
        let times = &["--lease", "0.5", "--concurrency", "1"][..];
        let dies = RqTest::new(&scratch).worker(times);
        let call = Call::<String>::to("test.gate").arg(gate.key()).job_id("j");
        scratch.queue("default").enqueue(call).unwrap();
        gate.wait_for_arrival();
        dies.signal(Signal::SIGKILL);
        drop(dies);
        let _other = RqTest::new(&scratch).worker(&[times, on_crash].concat());
        for _ in 1..began {
            gate.wait_for_arrival();
        }
        gate.open(2);
        eventually(ends, LIMIT, || (scratch.status("j") == ends).then_some(()));
    };
    check(&[], "failed", 1);
    check(&["--on-crash", "fail"], "failed", 1);
    check(&["--on-crash", "requeue"], "finished", 2);
}

#[test]
fn what_is_no_value_is_refused_in_rqs_words() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let check = |args: &[&str], code: i32, part: &str| {
        let (exit, out, err) = ours.outcome(&[&["worker"], args].concat());
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    };
    const STRATEGY: &str = "Dequeue Strategy can only be one of `default`, `random` or `round_robin`.";
    check(&["--dequeue-strategy", "fair"], 1, STRATEGY);
    check(&["-ds", "Random"], 1, STRATEGY);
    check(
        &["--on-crash", "ignore"],
        2,
        "Invalid value for '--on-crash': 'ignore' is neither 'fail' nor 'requeue'.",
    );
    check(&["--lease", "0.01"], 2, "Invalid value for '--lease': it must be at least 0.1.");
    check(&["--lease", "soon"], 2, "Invalid value for '--lease': 'soon' is not a valid float.");
    check(
        &["--maintenance-interval", "0"],
        2,
        "Invalid value for '--maintenance-interval': it must be at least 1.",
    );
    check(&["--maintenance-interval", "1.5"], 2, "'1.5' is not a valid integer.");
    check(&["--results-ttl", "x"], 2, "'x' is not a valid integer.");
}

#[test]
fn options_of_one_executor_are_refused_with_another() {
    let scratch = Scratch::new();
    for (args, reason) in [
        (
            ["-w", "thread", "--job-memory", "10"],
            "No such option '--job-memory' with -w thread; it is one of -w fork.",
        ),
        (
            ["-w", "green", "--horse-jobs", "2"],
            "No such option '--horse-jobs' with -w green; it is one of -w fork.",
        ),
        (
            ["-w", "fork", "--job-stack", "128"],
            "No such option '--job-stack' with -w fork; it is one of -w green.",
        ),
        (["-w", "fork", "--job-memory", "0"], "Invalid value for '--job-memory': it must be at least 1."),
        (
            ["-w", "green", "--job-stack", "63"],
            "Invalid value for '--job-stack': it must be from 64 to 1048576.",
        ),
    ] {
        let (code, _, stderr) = RqTest::new(&scratch).outcome(&[&["worker", "--burst"], &args[..]].concat());
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.ends_with(&format!("\n\nError: {reason}\n")), "{stderr}");
    }
}

/// Its time to be idle is over, but what it asks Redis has no answer: it waits for that, and for nothing that is past.
#[test]
fn a_worker_that_waits_for_redis_computes_nothing() {
    let mut redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let worker = RqTest::new(&scratch).worker(&["-w", "thread", "--max-idle-time", "1"]);
    redis.kill();
    worker.wait_for_lines("could not connect to Redis instance", 2, LIMIT);
    std::thread::sleep(Duration::from_millis(1_100));
    let before = worker.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let computed = worker.cpu() - before;
    assert!(computed < Duration::from_millis(200), "{computed:?}: {}", worker.report());
}

#[test]
fn a_worker_that_cannot_run_anything_writes_no_process_id() {
    let scratch = Scratch::new();
    let path = std::env::temp_dir().join(format!("{}.pid", scratch.prefix()));
    let (code, ..) = RqTest::app(&scratch, "empty").outcome(&["worker", "--pid", path.to_str().unwrap()]);
    assert_eq!((code, path.exists()), (Some(2), false));
}

#[test]
fn an_operator_is_told_at_the_start_how_redis_may_lose_jobs() {
    const EVICTS: &str =
        "Worker w: Redis may evict jobs: maxmemory-policy is allkeys-lru; set it to noeviction";
    const FORGETS: &str = "Worker w: a restart of Redis loses all jobs: it has neither an append-only file nor save \
                           points; set appendonly to yes, or save";
    let redis = PrivateRedis::start(&["--maxmemory-policy", "allkeys-lru"]);
    let scratch = Scratch::on(&redis.url());
    let run = |command: &str, arguments: &[&str]| {
        redis::cmd(command).arg(arguments).exec(&mut redis.connection()).unwrap();
    };
    let set = |name: &str, value: &str| run("CONFIG", &["SET", name, value]);
    let told = |expected: &[&str]| {
        let format = ["--log-format", "%(levelname)s|%(message)s"];
        let log = RqTest::new(&scratch).drain(&[&["-w", "thread", "--name", "w"], &format[..]].concat());
        let warnings: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("WARNING|")).collect();
        assert_eq!(warnings, expected, "{log}");
    };
    told(&[EVICTS, FORGETS]);
    set("maxmemory-policy", "noeviction");
    told(&[FORGETS]);
    set("appendonly", "yes");
    told(&[]);
    set("appendonly", "no");
    set("save", "3600 1");
    set("maxmemory-policy", "allkeys-lru");
    told(&[EVICTS]);
    // What cannot be known is not said, and holds up nobody.
    set("save", "");
    run("ACL", &["SETUSER", "default", "-config"]);
    told(&[EVICTS]);
    run("ACL", &["SETUSER", "default", "-info"]);
    told(&[]);
}

#[test]
fn an_operator_is_told_at_the_start_that_rq_1_serves_the_same_queues() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::unprefixed_on(&redis.url());
    let told = |queue: &str| {
        let format = ["--log-format", "%(levelname)s|%(message)s"];
        let log =
            RqTest::new(&scratch).drain(&[&["-w", "thread", "--name", "w", queue], &format[..]].concat());
        log.lines().filter(|line| line.contains("Python RQ 1")).map(str::to_owned).collect::<Vec<_>>()
    };
    let newer = Python::of(PythonRq::Rq2, &scratch).spawn_rq(&["worker", "--name", "newer", "default"]);
    newer.wait_for_line("Listening on default", LIMIT);
    assert_eq!(told("default"), Vec::<String>::new());
    let old = Python::of(PythonRq::Rq1, &scratch).spawn_rq(&["worker", "--name", "old", "default"]);
    old.wait_for_line("Listening on default", LIMIT);
    assert_eq!(
        told("default"),
        [
            "WARNING|Worker w: Python RQ 1 serves the same queues (old (RQ 1.16.2)); it and newer workers do not see each \
          other's running jobs: upgrade it to RQ 2, or give each queues of its own"
        ]
    );
    assert_eq!(told("other"), Vec::<String>::new());
}

/// As behind `2>&1`.
#[test]
fn lines_of_one_pipe_are_in_order_whatever_their_level() {
    let scratch = Scratch::new();
    let calls = (0..20).map(|number| {
        let name = if number % 2 == 0 { "test.none" } else { "interop.fail" };
        Call::<()>::to(name).job_id(format!("j{number:02}"))
    });
    scratch.queue("default").enqueue_many(calls).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = RqTest::new(&scratch).command(&["worker", "--burst", "--concurrency", "1"]);
    let mut worker = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    // It holds the pipe open.
    drop(command);
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    assert!(worker.wait().unwrap().success());
    let places = (0..20).map(|number| {
        let end = if number % 2 == 0 {
            format!("Job OK (j{number:02})")
        } else {
            format!("job j{number:02}: exception raised")
        };
        log.find(&end).unwrap_or_else(|| panic!("no {end:?} in {log}"))
    });
    assert!(places.is_sorted(), "{log}");
}

/// Its standard output and error are full pipes from the beginning.
#[test]
fn a_worker_that_cannot_run_ends_though_nobody_reads_why() {
    let [scratch, suspended] = [Scratch::new(), Scratch::new()];
    let _first = RqTest::new(&scratch).worker(&["--name", "w"]);
    suspended.query::<()>("SET", [suspended.key("suspended"), "1".into()]);
    let cases: [(&Scratch, &'static str, &[&str], i32); 7] = [
        (&scratch, "", &["worker", "--lease", "soon"], 2),
        (&scratch, "empty", &["worker"], 2),
        (&scratch, "thread-in-preload", &["worker"], 1),
        (&scratch, "plain", &[], 1),
        // There is a remark on a class of Python's, too.
        (&scratch, "", &["worker", "-w", "rq.Worker", "--name", "w"], 1),
        (&scratch, "", &["worker", "-w", "rq.SimpleWorker", "--name", "w"], 1),
        (&suspended, "", &["worker"], 1),
    ];
    let began = Instant::now();
    let start = |(scratch, app, args, code)| {
        (Child::spawn_unread(&mut RqTest::app(scratch, app).command(args)), app, args, code)
    };
    for (mut worker, app, args, code) in cases.map(start) {
        let status = worker.wait_at_most(LIMIT);
        assert_eq!(status.and_then(|status| status.code()), Some(code), "{app} {args:?}");
    }
    assert!(began.elapsed() < 2 * LEAVES_WITHIN, "{:?}", began.elapsed());
}
