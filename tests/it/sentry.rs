//! Failures of jobs as Sentry gets them: from workers, at a server that answers as it is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rq_core::{Call, Retry};
use rq_tests::{Answer, Authority, Child, Folder, HookServer, Received, Scratch, Stream, named};
use serde_json::{Value, json};

use crate::rq_test::{Books, LEAVES_WITHIN, LIMIT, RqTest};

/// The key in a DSN, which nobody is to read.
const KEY: &str = "hush";
/// An argument, which Sentry is not to get.
const ARGUMENT: &str = "hunter2";
/// How long a worker waits for a Sentry that does not answer (docs/sentry.md).
const FLUSH_LONGEST: Duration = Duration::from_secs(2);
/// More failures than wait for a Sentry that does not answer.
const TOO_MANY: usize = 130;
/// The trace that a producer was in.
const TRACE: &str = "771a43a4192642f0b136d5159a501700";

/// The DSN of a project at this server.
fn dsn(server: &HookServer) -> String {
    server.url("/1").replace("://", &format!("://{KEY}@"))
}

/// The events in what a server has received, by the ids of their jobs; each comes once.
fn events(received: &[Received]) -> BTreeMap<String, Value> {
    let mut events = BTreeMap::new();
    for request in received {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/1/envelope/"));
        assert!(request.headers["x-sentry-auth"].contains(&format!("sentry_key={KEY}")), "{request:?}");
        // An envelope is lines: its head, and of each item a head and the item.
        let mut lines = request.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let event = lines.find(|line| line.get("exception").is_some());
        let event = event.unwrap_or_else(|| panic!("no event: {request:?}"));
        let id = event["tags"]["job_id"].as_str().unwrap().to_owned();
        assert!(events.insert(id, event).is_none(), "{request:?}");
    }
    events
}

/// What an event has on top, its type and its value.
fn told(event: &Value) -> (&str, &str) {
    let values = event["exception"]["values"].as_array().unwrap();
    let last = values.last().unwrap();
    (last["type"].as_str().unwrap(), last["value"].as_str().unwrap())
}

fn enqueue(scratch: &Scratch, id: &str, call: Call<()>) {
    scratch.queue("high").enqueue(call.job_id(id)).unwrap();
}

fn failing(scratch: &Scratch, id: &str) {
    enqueue(scratch, id, Call::to("test.fail").arg("no paper"));
}

/// Runs a worker of the queue `high` until that is empty; its log.
#[track_caller]
fn drain(scratch: &Scratch, args: &[&str]) -> String {
    let mut worker =
        RqTest::new(scratch).spawn(&[&["worker", "--burst", "-n", "w"], args, &["high"]].concat());
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    worker.text(Stream::Stdout) + &worker.text(Stream::Stderr)
}

#[test]
fn what_fails_for_good_is_reported() {
    for executor in ["fork", "thread", "green"] {
        let (scratch, server) = (Scratch::new(), HookServer::start());
        enqueue(&scratch, "good", Call::to("math.add").arg(2).arg(3));
        failing(&scratch, "bad");
        enqueue(&scratch, "chain", Call::to("test.fail_with_causes"));
        enqueue(&scratch, "wrong", Call::to("math.add").arg(ARGUMENT).arg(3));
        enqueue(&scratch, "panic", Call::to("test.panic").arg("lost"));
        enqueue(&scratch, "nowhere", Call::to("no.such").arg(ARGUMENT));
        // Twice, of which the first is nobody's business.
        enqueue(&scratch, "again", Call::to("test.fail").arg("again").retry(Retry::up_to(1)));
        let headers = json!({"sentry-trace": format!("{TRACE}-7634e8a9e4d52f1b-1")});
        let traced = Call::to("test.fail").arg("traced").meta("_sentry_trace_headers", headers);
        enqueue(&scratch, "traced", traced);
        let log = drain(&scratch, &["-w", executor, "--sentry-dsn", &dsn(&server)]);

        // The worker is gone, and has handed over all of them.
        let received = server.received();
        let events = events(&received);
        let ids: Vec<&str> = events.keys().map(String::as_str).collect();
        assert_eq!(ids, ["again", "bad", "chain", "nowhere", "panic", "traced", "wrong"], "{executor}");
        assert_eq!(told(&events["bad"]), ("Error", "no paper"), "{executor}");
        assert_eq!(told(&events["chain"]), ("Error", "no report"), "{executor}");
        assert_eq!(events["chain"]["exception"]["values"][0]["value"], "the disk is full");
        assert_eq!(told(&events["wrong"]), ("TypeError", "math.add() argument 'x' is not of its type"));
        assert_eq!(told(&events["nowhere"]).0, "UnknownFunction");
        assert_eq!(told(&events["panic"]).0, "Panic");
        let frame = &events["panic"]["exception"]["values"][0]["stacktrace"]["frames"][0];
        assert!(frame["filename"].as_str().unwrap().ends_with("jobs.rs"), "{executor}: {frame}");
        assert_eq!(events["traced"]["contexts"]["trace"]["trace_id"], TRACE);

        let bad = &events["bad"];
        let tags = json!({"queue": "high", "worker": "w", "job_id": "bad", "func": "test.fail"});
        assert_eq!(bad["tags"], tags, "{executor}");
        assert_eq!((&bad["transaction"], &bad["environment"]), (&json!("test.fail"), &json!("production")));
        let job = &bad["extra"]["rq-job"];
        assert_eq!(
            (&job["job_id"], &job["func"], &job["retries_left"]),
            (&json!("bad"), &json!("test.fail"), &json!(0))
        );
        for time in ["enqueued_at", "started_at"] {
            assert!(job[time].as_str().is_some_and(|time| time.ends_with('Z')), "{executor}: {job}");
        }
        let all: String = received.iter().map(|request| request.body.as_str()).collect();
        assert!(!all.contains(ARGUMENT), "{executor}: {all}");
        let host = server.url("").replace("http://", "");
        assert!(log.contains(&format!("Worker w: failures are reported to Sentry at {host}\n")), "{log}");
        assert!(!log.contains(KEY), "{log}");
    }
}

#[test]
fn arguments_are_reported_where_that_is_asked_for() {
    let (scratch, server) = (Scratch::new(), HookServer::start());
    enqueue(&scratch, "wrong", Call::to("math.add").arg(ARGUMENT).kwarg("y", 3));
    let args = ["-w", "thread", "--sentry-dsn", &dsn(&server), "--sentry-arguments", "--sentry-debug=true"];
    let log = drain(&scratch, &args);
    let event = &events(&server.received())["wrong"];
    let job = &event["extra"]["rq-job"];
    assert_eq!((&job["args"], &job["kwargs"]), (&json!([ARGUMENT]), &json!({"y": 3})));
    assert_eq!(job["description"], format!("math.add('{ARGUMENT}', y=3)"));
    assert!(told(event).1.contains(ARGUMENT), "{event}");
    assert!(log.contains("Sentry: job wrong is event ") && log.contains(" answers 200 after "), "{log}");
}

#[test]
fn a_job_whose_process_dies_is_reported() {
    let (scratch, server) = (Scratch::new(), HookServer::start());
    enqueue(&scratch, "dead", Call::to("zoo.abort"));
    drain(&scratch, &["-w", "fork", "--sentry-dsn", &dsn(&server)]);
    assert_eq!(told(&events(&server.received())["dead"]).0, "Killed");
    // One that bears a second run has not failed yet; three crashes later it has.
    enqueue(&scratch, "poison", Call::to("zoo.abort"));
    drain(&scratch, &["-w", "fork", "--on-crash", "requeue", "--sentry-dsn", &dsn(&server)]);
    assert_eq!(events(&server.received())["poison"]["extra"]["rq-job"]["crashes"], 3);
}

#[test]
fn nothing_is_sent_of_success_nor_without_a_dsn() {
    let (scratch, server) = (Scratch::new(), HookServer::start());
    enqueue(&scratch, "good", Call::to("math.add").arg(2).arg(3));
    drain(&scratch, &["-w", "thread", "--sentry-dsn", &dsn(&server)]);
    failing(&scratch, "bad");
    assert!(!drain(&scratch, &["-w", "thread"]).contains("Sentry"));
    // An empty one is none, whatever the environment says.
    failing(&scratch, "worse");
    let mut worker = RqTest::new(&scratch).command(&["worker", "--burst", "--sentry-dsn", "", "high"]);
    Child::spawn(worker.env("RQ_SENTRY_DSN", dsn(&server))).succeed(LIMIT);
    assert_eq!(server.received(), []);
    assert_eq!((scratch.status("bad"), scratch.status("worse")), ("failed".into(), "failed".into()));
}

#[test]
fn the_environment_names_a_sentry_also_for_a_pool() {
    let (scratch, server) = (Scratch::new(), HookServer::start());
    let check = |id: &str, args: &[&str], variables: &[(&str, &str)]| {
        failing(&scratch, id);
        let mut command = RqTest::new(&scratch).command(args);
        let log = Child::spawn(command.envs(variables.iter().copied())).succeed(LIMIT);
        assert!(events(&server.received()).contains_key(id), "{id}: {log}");
        assert!(!log.contains(KEY), "{log}");
    };
    let dsn = dsn(&server);
    let worker = ["worker", "--burst", "-w", "thread", "high"];
    check("own", &worker, &[("RQ_SENTRY_DSN", &dsn), ("SENTRY_DSN", "no DSN")]);
    check(
        "sentrys",
        &worker,
        &[("SENTRY_DSN", &dsn), ("SENTRY_ENVIRONMENT", "staging"), ("SENTRY_RELEASE", "7")],
    );
    let event = &events(&server.received())["sentrys"];
    assert_eq!((&event["environment"], &event["release"]), (&json!("staging"), &json!("7")));
    let pool = ["worker-pool", "--burst", "-w", "thread", "--sentry-arguments", "--sentry-dsn", &dsn, "high"];
    check("pool", &pool, &[]);
    assert_eq!(events(&server.received())["pool"]["extra"]["rq-job"]["args"], json!(["no paper"]));
}

#[test]
fn a_sentry_that_is_away_or_refuses_changes_nothing_for_jobs() {
    let server = HookServer::start();
    server.answer([Answer::Status(403), Answer::Status(403)]);
    let nobody = format!("http://{KEY}@127.0.0.1:1/1");
    for (dsn, reason) in [(dsn(&server), "it answers 403"), (nobody, "127.0.0.1:1: ")] {
        let scratch = Scratch::new();
        failing(&scratch, "bad");
        failing(&scratch, "worse");
        enqueue(&scratch, "good", Call::to("math.add").arg(2).arg(3));
        let began_at = Instant::now();
        let log = drain(&scratch, &["-w", "thread", "--sentry-dsn", &dsn]);
        assert!(began_at.elapsed() < LIMIT);
        let statuses = ["bad", "worse", "good"].map(|id| scratch.status(id));
        assert_eq!(statuses, ["failed", "failed", "finished"]);
        let warnings = log.lines().filter(|line| line.contains("1 failure not reported to Sentry at"));
        let warnings: Vec<&str> = warnings.collect();
        // Once a minute.
        assert!(matches!(warnings[..], [line] if line.contains(reason)), "{log}");
        assert!(!log.contains(KEY), "{log}");
    }
}

#[test]
fn a_sentry_that_never_answers_holds_up_no_worker() {
    // One is under way; and then as many wait as may, and more.
    for count in [1, TOO_MANY] {
        let (scratch, server) = (Scratch::new(), HookServer::start());
        server.answer(vec![Answer::Hang; TOO_MANY]);
        for number in 0..count {
            failing(&scratch, &format!("bad-{number}"));
        }
        let args = ["worker", "--burst", "-w", "thread", "--sentry-dsn", &dsn(&server), "high"];
        let mut worker = RqTest::new(&scratch).spawn(&args);
        worker.wait_for_line("unsubscribing from channel", LIMIT);
        let left_at = Instant::now();
        assert!(worker.wait(LIMIT).success(), "{}", worker.report());
        let took = left_at.elapsed();
        assert!(took < FLUSH_LONGEST + LEAVES_WITHIN, "{count}: {took:?}");
        let log = worker.text(Stream::Stdout);
        assert!(log.contains("not all failures have reached those who are told of them"), "{log}");
        assert_eq!(scratch.count("failed:high"), count);
    }
}

#[test]
fn a_sentry_of_ones_own_is_known_by_its_authority() {
    let folder = Folder::new("sentry");
    let authority = Authority::new("ca.example");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    authority.certify(named("localhost"), &folder.path().join("server"));
    let server = HookServer::secured(&folder.path().join("server"));
    let scratch = Scratch::new();
    failing(&scratch, "unknown");
    let log = drain(&scratch, &["-w", "thread", "--sentry-dsn", &dsn(&server)]);
    assert!(log.contains("1 failure not reported to Sentry at localhost:"), "{log}");
    failing(&scratch, "known");
    let args = ["-w", "thread", "--sentry-dsn", &dsn(&server), "--sentry-ca-certs", ca.to_str().unwrap()];
    drain(&scratch, &args);
    assert_eq!(events(&server.received()).into_keys().collect::<Vec<_>>(), ["known"]);
}

#[test]
fn what_is_no_dsn_is_refused_and_none_is_shown() {
    let scratch = Scratch::new();
    let rq = RqTest::new(&scratch);
    for command in ["worker", "worker-pool"] {
        let (code, _, errors) = rq.outcome(&[command, "--burst", "--sentry-dsn", KEY]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(
            errors.contains("Invalid value for '--sentry-dsn': it is no DSN") && !errors.contains(KEY),
            "{errors}"
        );
        let args =
            [command, "--burst", "--sentry-dsn", "https://k@h/1", "--sentry-ca-certs", "/no/such/file"];
        let (code, _, errors) = rq.outcome(&args);
        assert!(code == Some(1) && errors.contains("/no/such/file"), "{code:?} {errors}");
        let mut help = rq.command(&[command, "--help"]);
        let help = Child::spawn(help.env("RQ_SENTRY_DSN", KEY)).succeed(LIMIT);
        assert!(
            help.contains("--sentry-dsn") && help.contains("RQ_SENTRY_DSN") && !help.contains(KEY),
            "{help}"
        );
    }
}
