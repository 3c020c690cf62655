//! Our `rq` as people use it, beside Python's where that has the same command.

use std::process::{Command, Stdio};

use rq_core::{Call, Codec, Status, Value};
use rq_tests::{Child, Gate, Python, Scratch, Signal, Stream, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// An address at which no Redis is.
const NOBODY: &str = "redis://127.0.0.1:1/";

#[test]
fn enqueue_writes_what_pythons_does() {
    let scratch = Scratch::new();
    let (ours, python) = (RqTest::new(&scratch), Python::new(&scratch));
    let lines: [&[&str]; 9] = [
        &["interop.add", ":1", ":2"],
        &["interop.echo", "text", "k=v", "n:=1.5", "t%=(1, 'x')"],
        &["interop.echo", "value=é\n"],
        &["interop.echo", "%{'a': [None, True]}"],
        &["interop.echo", "=x", "a:b:=1"],
        &[
            "interop.add",
            "x:=1",
            "y:=2",
            "--timeout",
            "5m",
            "--result-ttl",
            "1h",
            "--ttl",
            "2d",
            "--failure-ttl",
            "30",
        ],
        &["interop.add", "--description", "what people read", "-q", "high"],
        &["interop.add", "--retry-max", "3", "--retry-interval", "5", "--retry-interval", "10"],
        &["interop.add", "--timeout", "-1"],
    ];
    for (number, args) in lines.iter().enumerate() {
        for serializer in ["pickle", "json"] {
            let enqueue = |id: String| {
                [&["enqueue", "-S", serializer, "--job-id", &id], *args]
                    .concat()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            };
            let (mine, theirs) =
                (format!("ours-{number}-{serializer}"), format!("theirs-{number}-{serializer}"));
            let said = ours.run(&enqueue(mine.clone()).iter().map(String::as_str).collect::<Vec<_>>());
            let they_said =
                python.rq(&enqueue(theirs.clone()).iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(said, they_said.replace(&theirs, &mine), "{args:?}");
            check_same_job(&scratch, &mine, &theirs, args);
        }
    }
    assert_eq!(scratch.waiting("high").len(), 4);
}

/// Two jobs of the same command line are the same, but for their times.
fn check_same_job(scratch: &Scratch, mine: &str, theirs: &str, args: &[&str]) {
    let [mut mine, mut theirs] =
        [mine, theirs].map(|id| scratch.queue("default").fetch_job(id).unwrap().unwrap());
    assert_eq!(mine.payload().unwrap(), theirs.payload().unwrap(), "{args:?}");
    theirs.id.clone_from(&mine.id);
    theirs.created_at = mine.created_at;
    theirs.enqueued_at = mine.enqueued_at;
    // The same call may be written in more than one way.
    theirs.data.clear();
    mine.data.clear();
    assert_eq!(mine, theirs, "{args:?}");
}

#[test]
fn enqueued_jobs_run() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    for serializer in ["json", "pickle", "bincode"] {
        let said = ours.run(&["enqueue", "-S", serializer, "--job-id", serializer, "math.add", ":2", "y:=3"]);
        assert_eq!(said, format!("Enqueued math.add(2, y=3) with job-id '{serializer}'.\n"));
    }
    assert_eq!(ours.run(&["enqueue", "--quiet", "--at-front", "--job-id", "first", "test.none"]), "");
    assert_eq!(scratch.waiting("default"), ["first", "json", "pickle", "bincode"]);
    ours.drain(&[]);
    for (serializer, codec) in [("json", Codec::Json), ("pickle", Codec::Pickle), ("bincode", Codec::Bincode)]
    {
        let job = scratch.queue("default").handle::<Value>(serializer);
        assert_eq!(job.job().unwrap().unwrap().payload().unwrap().0, codec);
        assert_eq!(job.result().unwrap(), Some(5.into()));
    }
    assert_eq!(scratch.queue("default").handle::<()>("first").status().unwrap(), Some(Status::Finished));
}

#[test]
fn empty_removes_what_pythons_does() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let fill = || {
        for (queue, jobs) in [("a", 2), ("b", 1500), ("c", 1)] {
            scratch.queue(queue).enqueue_many((0..jobs).map(|_| Call::<()>::to("test.none"))).unwrap();
        }
    };
    let python = Python::new(&scratch);
    for is_python in [false, true] {
        let run = |args: &[&str]| if is_python { python.rq(args) } else { ours.run(args) };
        fill();
        assert_eq!(run(&["empty"]), "Nothing to do\n");
        assert_eq!(
            run(&["empty", "a", "nosuch"]),
            "2 jobs removed from a queue\n0 jobs removed from nosuch queue\n"
        );
        let mut all: Vec<String> = run(&["empty", "--all"]).lines().map(str::to_string).collect();
        all.sort();
        let wanted =
            ["0 jobs removed from a queue", "1 jobs removed from c queue", "1500 jobs removed from b queue"];
        assert_eq!(all, wanted);
        let left: Vec<_> = scratch.dump().into_keys().collect();
        assert_eq!(left, ["rq:queues"]);
    }
}

#[test]
fn info_shows_one_moment_after_the_other() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    scratch.queue("default").enqueue(Call::<()>::to("test.none")).unwrap();
    let mut watching = ours.spawn(&["info", "--raw", "-Q", "--interval", "0.1", "default"]);
    watching.wait_for_lines("queue default 1, 0 executing", 2, LIMIT);
    scratch.queue("default").enqueue(Call::<()>::to("test.none")).unwrap();
    watching.wait_for_line("queue default 2, 0 executing", LIMIT);
    watching.signal(Signal::SIGINT);
    assert_eq!(watching.wait(LIMIT).code(), Some(0), "{}", watching.report());
}

#[test]
fn info_is_also_for_programs() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let _worker = ours.worker(&["--name", "w", "high", "default"]);
    let gate = Gate::new(&scratch, "gate");
    scratch.queue("default").enqueue(Call::<()>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    scratch.queue("low").enqueue(Call::<()>::to("test.none")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&ours.run(&["info", "--json"])).unwrap();
    assert_eq!((&info["schema"], &info["prefix"]), (&1.into(), &scratch.prefix().into()));
    let queue = |name: &str| {
        let queues = info["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["name"] == name).unwrap_or_else(|| panic!("{name} in {info}"))
    };
    assert_eq!((&queue("default")["started"], &queue("low")["queued"]), (&1.into(), &1.into()), "{info}");
    let worker = &info["workers"][0];
    assert_eq!((&worker["name"], &worker["state"]), (&"w".into(), &"busy".into()), "{info}");
    assert_eq!(worker["queues"], serde_json::json!(["high", "default"]));
    assert_eq!(info["rate_limits"], serde_json::json!([]));
    let limited = ["a", "b"].map(|id| Call::<()>::to("test.none").job_id(id).rate_limit("api", 1));
    scratch.queue("low").enqueue_many(limited).unwrap();
    let queues_only: serde_json::Value = serde_json::from_str(&ours.run(&["info", "--json", "-Q"])).unwrap();
    assert!(queues_only.get("workers").is_none(), "{queues_only}");
    let api = serde_json::json!([{"key": "api", "slots": 1, "held": 1, "waiting": 1}]);
    assert_eq!(queues_only["rate_limits"], api);
    assert!(ours.run(&["info"]).contains("\nrate limit api: 1 of 1 slots held, 1 waiting\n"));
}

#[test]
fn looking_changes_nothing() {
    let scratch = Scratch::new();
    scratch.queue("default").enqueue(Call::<()>::to("test.none").job_id("j")).unwrap();
    // An execution whose worker died: Python's `rq info` would fail its job.
    scratch.query::<()>("ZADD", [scratch.key("wip:default"), "1".into(), "j:0123".into()]);
    scratch.query::<()>("SADD", [scratch.key("workers"), scratch.key("worker:gone")]);
    let before = scratch.dump_json();
    for args in [&["info"][..], &["info", "--raw"], &["info", "-R"], &["info", "--json"]] {
        RqTest::new(&scratch).run(args);
    }
    assert_eq!(scratch.dump_json(), before);
}

#[test]
fn exit_codes_and_sentences() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let stock = RqTest::app(&scratch, "empty");
    let check = |rq: &RqTest, args: &[&str], code: i32, part: &str| {
        let (exit, out, err) = rq.outcome(args);
        assert_eq!(exit, Some(code), "{args:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(part), "{args:?}: {out}{err}");
        assert!(!format!("{out}{err}").contains("panicked"), "{args:?}: {err}");
    };
    check(&ours, &["--version"], 0, "version");
    check(&ours, &["--help"], 0, "enqueue");
    check(&ours, &[], 2, "Usage: rq-test");
    check(&ours, &["nosuch"], 2, "No such command 'nosuch'.");
    check(&ours, &["worker", "--nosuch"], 2, "No such option '--nosuch'.");
    check(&ours, &["enqueue"], 2, "Missing argument 'FUNCTION'.");
    check(&ours, &["enqueue", "f", ":{"], 2, "Unable to parse 1. non keyword argument as JSON.");
    check(
        &ours,
        &["enqueue", "f", "a=1", "a=2"],
        2,
        "You can't specify multiple values for the same keyword.",
    );
    check(&ours, &["enqueue", "f", "@/no/such/file"], 1, "Could not open file '/no/such/file'");
    check(&ours, &["worker", "-w", "nosuch"], 2, "'nosuch' is no executor");
    check(&ours, &["worker", "-v", "-q"], 2, "cannot be used together");
    check(&stock, &["worker"], 2, "rq worker --app ./my-jobs");
    check(&stock, &["worker"], 2, "rq_cli::main(handlers![");
    for command in [&["info"][..], &["enqueue", "f"], &["empty", "q"], &["worker"], &["suspend"]] {
        check(
            &ours,
            &[command, &["--url", NOBODY]].concat(),
            1,
            "Redis at redis://127.0.0.1:1/0 cannot be reached",
        );
    }
    check(&ours, &["info", "--url", "nonsense://x"], 1, "");
    let mut prefixed = ours.command(&["info"]);
    let output = prefixed.env("RQ_KEY_PREFIX", "a b").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("RQ_KEY_PREFIX"));
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    for (line, part) in [
        (&["enqueue", ""][..], "Invalid value for 'FUNCTION': function name \"\" cannot be used"),
        (&["enqueue", "not a function!"], "it must be a dotted path, such as tasks.add."),
        (&["enqueue", "-q", "", "f"], "Invalid value for '--queue' / '-q': queue name \"\" cannot be used"),
        (&["enqueue", "-q", "a,b", "f"], "Invalid value for '--queue' / '-q'"),
        (&["enqueue", "--job-id", "", "f"], "Invalid value for '--job-id'"),
        (&["enqueue", "--job-id", "a b", "f"], "job id \"a b\" cannot be used"),
        (&["enqueue", "--depends-on", "a,b", "f"], "give the option once for each job."),
        (&["enqueue", "--depends-on", "", "f"], "'' is no job id."),
        (&["enqueue", "--schedule-in", "-5", "f"], "Invalid value for '--schedule-in': that is in the past"),
        (&["enqueue", "--schedule-in=-5m", "f"], "Invalid value for '--schedule-in': that is in the past"),
        (&["enqueue", "--retry-interval", "5", "f"], "give that, too"),
        (&["enqueue", "--retry-interval", "5", "--retry-max", "0", "f"], "give that, too"),
        (&["enqueue", "--retry-interval", "-5", "f"], "negative numbers are not allowed"),
        (&["enqueue", "--retry-max", "-1", "f"], "Invalid value for '--retry-max': it must be from 0 to"),
        (&["enqueue", "--retry-max", "1.5", "f"], "'1.5' is not a valid integer"),
        (&["enqueue", "--timeout", "0", "f"], "Use -1 for infinite timeout"),
        (&["enqueue", "--timeout", "-2", "f"], "or -1 for no limit"),
        (&["enqueue", "--ttl", "0", "f"], "Invalid value for '--ttl': it must be greater than 0"),
        (&["enqueue", "--ttl", "-1", "f"], "Invalid value for '--ttl': it must be greater than 0"),
        (&["enqueue", "--result-ttl", "-2", "f"], "or -1 for ever"),
        (&["enqueue", "--failure-ttl", "-2", "f"], "or -1 for ever"),
        (&["enqueue", "--timeout", "nan", "f"], "'nan' is no time"),
        (
            &["info", "--interval", "-1"],
            "Invalid value for '--interval' / '-i': it must be between 0 and 86400.",
        ),
        (&["info", "--interval", "nan"], "Invalid value for '--interval' / '-i'"),
        (&["info", ""], "Invalid value for 'QUEUES': it must not be empty."),
        (&["empty", "a", ""], "Invalid value for 'QUEUES': it must not be empty."),
        (&["requeue", "--queue", "", "--all"], "Invalid value for '--queue': it must not be empty."),
        (&["requeue", "--queue", "a", ""], "Invalid value for 'JOB_IDS': it must not be empty."),
        (&["worker", ""], "Invalid value for 'QUEUES': queue name \"\" cannot be used"),
        (&["worker", "a,b"], "it must not hold a comma"),
        (&["worker", "--name", "a\n"], "Invalid value for '--name' / '-n'"),
        (&["worker", "--results-ttl", "-2"], "or -1 for ever"),
        (&["worker", "--max-idle-time", "-1"], "it must be at least 1"),
        (&["worker", "--stop-timeout", "0"], "it must be at least 1"),
        (&["worker", "--concurrency", "0"], "it must be at least 1"),
        (
            &["worker", "--log-format", "%(thread)s"],
            "Invalid value for '--log-format': behind % it takes one of",
        ),
        (
            &["worker", "--date-format", "%!"],
            "Invalid value for '--date-format': '%!' is no format of a time",
        ),
        (&["worker", "--lease", "nan"], "it must be at least 0.1"),
        (&["worker", "--pid", ""], "--pid"),
    ] {
        let (code, out, err) = ours.outcome(line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line:?}: {err}");
        assert!(err.contains(part), "{line:?}: {err}");
    }
    assert!(scratch.dump().is_empty(), "{}", scratch.dump_json());
}

/// The stock program has no jobs and becomes the one that has.
#[test]
fn app_runs_the_jobs_of_another_program() {
    let scratch = Scratch::new();
    let job = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    let program = RqTest::new(&scratch).command(&[]).get_program().to_os_string();
    let wrapper = AppOfOurOwn::new(&scratch, &program);
    let stock = RqTest::app(&scratch, "empty");
    let mut worker = stock.spawn(&["worker", "--app", wrapper.path(), "--burst", "--name", "w", "default"]);
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    assert!(
        worker.text(Stream::Stdout).contains("my-jobs got worker --burst --name w default"),
        "{}",
        worker.report()
    );
    assert_eq!(job.result().unwrap(), Some(5));
    let (code, _, said) = stock.outcome(&["worker", "--app", "/no/such/program"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no program /no/such/program"), "{said}");
}

/// A program that says with what it was started, and is our test program with all its jobs.
struct AppOfOurOwn {
    path: std::path::PathBuf,
}

impl AppOfOurOwn {
    fn new(scratch: &Scratch, program: &std::ffi::OsStr) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("rq-tests-{}-my-jobs", scratch.prefix()));
        let script =
            format!("#!/bin/sh\necho my-jobs got \"$@\"\nRQ_TEST_APP= exec {} \"$@\"\n", program.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { path }
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("the folder for temporary files has a plain name")
    }
}

impl Drop for AppOfOurOwn {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn a_reader_who_leaves_is_no_reason_to_complain() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    // More than a pipe holds, so that writing fails.
    let names: Vec<String> = (0..5000).map(|number| format!("queue-{number}")).collect();
    let args: Vec<&str> = ["info", "--raw"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let output = head_of(ours.command(&args));
    assert_eq!(output.0, "queue queue-0 0, 0 executing, 0 finished, 0 failed\n");
    assert_eq!(output.1, "", "nothing is said about it");
}

/// The first line that `command` writes to a reader who then leaves, and what it says about that.
fn head_of(mut command: Command) -> (String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut head = Command::new("head")
        .args(["-n", "1"])
        .stdin(child.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_ne!(output.status.code(), Some(101), "a panic");
    let mut line = String::new();
    std::io::Read::read_to_string(&mut head.stdout.take().unwrap(), &mut line).unwrap();
    head.wait().unwrap();
    (line, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A worker whose log nobody reads any more goes on.
#[test]
fn a_worker_outlives_the_reader_of_its_log() {
    let scratch = Scratch::new();
    let mut command = RqTest::new(&scratch).command(&["worker", "--name", "w"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut worker = command.spawn().unwrap();
    drop(worker.stdout.take());
    let job = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    let sum = job.wait(LIMIT);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(sum.unwrap(), 5);
}

#[test]
fn a_worker_writes_its_log_as_told() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let run = |args: &[&str]| -> Child {
        scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3).job_id("good")).unwrap();
        scratch.queue("default").enqueue(Call::<()>::to("test.fail").arg("oh no").job_id("bad")).unwrap();
        let mut worker =
            ours.spawn(&[&["worker", "--burst", "--name", "w", "--concurrency", "1"], args].concat());
        assert!(worker.wait(LIMIT).success(), "{}", worker.report());
        worker
    };
    let worker = run(&["--log-format", "%(levelname)s|%(message)s"]);
    let out = worker.text(Stream::Stdout);
    for line in [
        "INFO|*** Listening on default...",
        "INFO|Worker w: default: math.add(2, 3) (good)",
        "INFO|Worker w: default: Job OK (good)",
        "INFO|Worker w: job good result is kept for 500 seconds",
        "INFO|Worker w: done, quitting",
    ] {
        assert!(out.lines().any(|written| written == line), "{line:?} is not in {out}");
    }
    let errors = worker.text(Stream::Stderr);
    assert!(
        errors.starts_with("ERROR|Worker w: job bad: exception raised while executing (test.fail('oh no'))"),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "one failure, one line: {errors}");
    let quiet = run(&["--quiet"]);
    // What an operator should know of the tests' Redis is worth a warning.
    let said = quiet.text(Stream::Stdout);
    assert!(said.lines().all(|line| line.contains("a restart of Redis loses all jobs")), "{said}");
    assert!(quiet.text(Stream::Stderr).contains("oh no"));
    let ids_only = run(&["--disable-job-desc-logging"]);
    assert!(!ids_only.report().contains("math.add"), "{}", ids_only.report());
    assert!(ids_only.text(Stream::Stdout).contains("Worker w: default: good"));
    // Neither from what did not fit.
    let secret = |id: &str| {
        let call = Call::<Value>::to("math.add").arg("hunter2secret").arg(1).job_id(id);
        scratch.queue("default").enqueue(call).unwrap()
    };
    let job = secret("in-secret");
    let worker = run(&["--disable-job-desc-logging"]);
    assert!(!worker.report().contains("hunter2"), "{}", worker.report());
    let said = "TypeError: math.add() argument 'x' is not of its type";
    assert!(worker.text(Stream::Stderr).contains(said), "{}", worker.report());
    let text = job.latest_result().unwrap().unwrap().failure_text.unwrap();
    assert!(text.contains("invalid type: string \"hunter2s…\""), "{text}");
}

#[test]
fn a_worker_writes_its_process_id_where_told() {
    let scratch = Scratch::new();
    let path = std::env::temp_dir().join(format!("rq-tests-{}.pid", scratch.prefix()));
    let worker = RqTest::new(&scratch).worker(&["--pid", path.to_str().unwrap()]);
    let written = eventually("the file", LIMIT, || std::fs::read_to_string(&path).ok());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written, worker.id().to_string());
}
