//! What people see of a Redis where anybody may have written anything: every byte that commands and workers print is
//! harmless.

use rq_core::{Call, Codec, Payload, is_harmful, zlib};
use rq_tests::{Scratch, Stream};

use crate::rq_test::{Books, LIMIT, RqTest};

/// What commands a terminal, deceives who reads, and would forge a line.
const HOSTILE: &str = "evil\x1b]0;owned\x07\x1b[2J\u{9b}31m\r\x08\x7f\u{85}\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\n00:00:00 forged\nError: forged";
/// Not UTF-8, and a control character for whoever reads single bytes.
const NO_TEXT: &[u8] = b"evil\xff\xfe\x9b\x1b[2J";
/// Every field of a worker's record (docs/wire.md §8.1).
const WORKER_FIELDS: [&str; 10] = [
    "hostname",
    "ip_address",
    "version",
    "python_version",
    "state",
    "queues",
    "birth",
    "last_heartbeat",
    "pid",
    "total_working_time",
];
/// Fields of a job's record whose values can be any text, or make the record unreadable (docs/wire.md §3.1).
const JOB_FIELDS: [&str; 14] = [
    "data",
    "description",
    "origin",
    "status",
    "created_at",
    "timeout",
    "worker_name",
    "dependency_ids",
    "retry_intervals",
    "meta",
    "exc_info",
    "success_callback_name",
    "webhooks",
    "rate_limit_key",
];

#[track_caller]
fn check(what: &str, printed: &[u8]) {
    let text = std::str::from_utf8(printed).unwrap_or_else(|error| panic!("{what}: {error}"));
    let raw = text.char_indices().find(|(_, c)| *c != '\n' && is_harmful(*c));
    assert_eq!(raw, None, "{what}: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("00:00:00") || line.starts_with("Error: forged"));
    assert_eq!(forged, None, "{what}: {text}");
    let longest = text.lines().map(str::len).max().unwrap_or(0);
    // Programs read JSON, and get names whole.
    assert!(longest < 50_000 || text.starts_with('{'), "{what}: a line of {longest} bytes");
}

/// Runs a command, and looks at all it prints.
#[track_caller]
fn run(ours: &RqTest, args: &[&str]) -> Option<i32> {
    let mut command = ours.spawn(args);
    let code = command.wait(LIMIT).code();
    assert_ne!(code, Some(101), "a panic: {}", command.report());
    for stream in [Stream::Stdout, Stream::Stderr] {
        check(&format!("{args:.60?}"), command.text(stream).as_bytes());
    }
    code
}

/// Queues, workers and registries with such names and such contents.
fn plant(scratch: &Scratch) {
    let long = "q".repeat(70_000);
    for name in [HOSTILE.as_bytes(), NO_TEXT, long.as_bytes()] {
        let key = |kind: &str| [scratch.key(kind).as_bytes(), name].concat();
        scratch.query::<()>("SADD", [scratch.key("queues").into_bytes(), key("queue:")]);
        scratch.query::<()>("RPUSH", [key("queue:"), name.to_vec()]);
        scratch.query::<()>("ZADD", [key("failed:"), b"4000000000".to_vec(), name.to_vec()]);
        for (number, value) in [HOSTILE.as_bytes(), NO_TEXT, long.as_bytes()].iter().enumerate() {
            let worker = [key("worker:"), number.to_string().into_bytes()].concat();
            scratch.query::<()>("SADD", [scratch.key("workers").into_bytes(), worker.clone()]);
            scratch.query::<()>("SADD", [key("workers:"), worker.clone()]);
            let text = ["hostname", "ip_address", "version", "state", "queues"];
            // A record with a pid or a time that is none is left out, so there is one with all others as well.
            for field in if number == 0 { &text[..] } else { &WORKER_FIELDS[..] } {
                scratch.query::<()>("HSET", [worker.clone(), field.as_bytes().to_vec(), value.to_vec()]);
            }
        }
    }
}

#[test]
fn commands_print_nothing_raw() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    plant(&scratch);
    for args in [
        &["info"][..],
        &["info", "--raw"],
        &["info", "-R"],
        &["info", "-R", "--raw"],
        &["info", "--json"],
        &["info", HOSTILE],
        &["info", "--json", HOSTILE],
    ] {
        assert_eq!(run(&ours, args), Some(0), "{args:?}");
    }
    let shown = ours.run(&["info", "--raw"]);
    assert!(shown.contains(r"queue evil\x1b]0;owned\x07\x1b[2J\x9b31m\r"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&ours.run(&["info", "--json", HOSTILE])).unwrap();
    assert_eq!(json["queues"][0]["name"], HOSTILE, "programs get it as it is");
    for args in [
        &["requeue", "--queue", HOSTILE, HOSTILE][..],
        &["requeue", "--queue", HOSTILE, "--all"],
        &["enqueue", "-q", HOSTILE, "f"],
        &["enqueue", "--job-id", HOSTILE, "f"],
        &["enqueue", HOSTILE, HOSTILE],
        &["enqueue", "--description", HOSTILE, "f", HOSTILE],
        &["enqueue", "--depends-on", HOSTILE, "f"],
        &["enqueue", "--timeout", HOSTILE, "f"],
        &["worker", "--burst", HOSTILE],
        &["worker", "--burst", "--name", HOSTILE],
        &["worker", "-w", HOSTILE],
        &["suspend", "--duration", HOSTILE],
        &["info", "--url", HOSTILE],
        &["info", "--nosuch", HOSTILE],
        &[HOSTILE],
        &["empty", HOSTILE, "default"],
        &["empty", "--all"],
    ] {
        run(&ours, args);
    }
}

#[test]
fn workers_log_nothing_raw() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    plant(&scratch);
    let fails = Call::<()>::to("test.fail").arg(HOSTILE);
    queue.enqueue(fails.clone().job_id("fails")).unwrap();
    queue.enqueue(fails.description(HOSTILE).job_id("described")).unwrap();
    let payload = |func: &str| Payload { func: func.to_owned(), args: vec![HOSTILE.into()], kwargs: vec![] };
    let data = |func: &str| zlib::deflate(&Codec::Json.encode_payload(&payload(func)).unwrap());
    let planted = |id: &[u8], fields: &[(&str, &[u8])]| {
        let key = [scratch.key("job:").as_bytes(), id].concat();
        let good = data("test.fail");
        let base: [(&str, &[u8]); 4] = [
            ("data", &good),
            ("origin", b"default"),
            ("status", b"queued"),
            ("created_at", b"2026-01-02T03:04:05.000000Z"),
        ];
        for (field, value) in base.iter().chain(fields) {
            scratch.query::<()>("HSET", [key.clone(), field.as_bytes().to_vec(), value.to_vec()]);
        }
        scratch.query::<()>("RPUSH", [scratch.key("queue:default").into_bytes(), id.to_vec()]);
    };
    let long = "q".repeat(70_000);
    for (kind, value) in [("hostile", HOSTILE.as_bytes()), ("no-text", NO_TEXT), ("long", long.as_bytes())] {
        planted(value, &[]);
        for field in JOB_FIELDS {
            planted(format!("{kind}-{field}").as_bytes(), &[(field, value)]);
        }
        scratch.query::<()>("RPUSH", [scratch.key("queue:default").into_bytes(), [value, b"gone"].concat()]);
    }
    planted(b"unknown", &[("data", &data(HOSTILE))]);
    scratch.query::<()>("PUBLISH", [scratch.key("pubsub:w"), HOSTILE.into()]);
    for executor in ["thread", "fork"] {
        let args = ["worker", "--burst", "--name", "w", "-v", "-w", executor, "default"];
        assert_eq!(run(&RqTest::new(&scratch), &args), Some(0), "{executor}");
        // The second one runs what was planted to be run by it.
        planted(b"again", &[("description", HOSTILE.as_bytes()), ("webhooks", HOSTILE.as_bytes())]);
    }
    assert_eq!(scratch.status("fails"), "failed");
}

#[test]
fn a_failure_of_several_lines_is_several_lines_that_nobody_can_take_for_others() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let text = "first\n00:00:00 Worker w: default: Job OK (bad)\n  third\n";
    queue.enqueue(Call::<()>::to("test.fail").arg(text).job_id("bad")).unwrap();
    let mut worker =
        RqTest::new(&scratch).spawn(&["worker", "--burst", "--name", "w", "--log-format", "%(message)s"]);
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    let logged = worker.text(Stream::Stderr);
    let (head, rest) = logged.split_once('\n').unwrap();
    assert!(
        head.starts_with("Worker w: job bad: exception raised while executing (test.fail('first"),
        "{logged}"
    );
    assert!(head.ends_with("):"), "{logged}");
    assert!(rest.contains("first\n    00:00:00 Worker w: default: Job OK (bad)\n      third\n"), "{logged}");
    assert!(rest.lines().all(|line| line.starts_with("    ")), "{logged}");
}

#[test]
fn many_queues_are_cleaned_in_one_line() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..60).map(|number| format!("queue-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let said = |queues: &[&str]| {
        let said = RqTest::new(&scratch).drain(queues);
        said.lines().filter(|line| line.contains("cleaning registries for")).count()
    };
    assert_eq!(said(&names), 1);
    assert_eq!(said(&["a", "b"]), 2);
}

#[test]
fn names_of_callbacks_and_webhooks_of_others_are_shown_whole() {
    let scratch = Scratch::new();
    let webhooks = r#"[{"url": "http://h\u001b[2J/", "job_status": "finished"}]"#;
    let fields = |id: &str, function: &str, field: &str, value: &str| {
        scratch.queue("default").enqueue(Call::<i64>::to(function).arg(2).arg(3).job_id(id)).unwrap();
        scratch.query::<()>("HSET", [scratch.key(format!("job:{id}")), field.into(), value.into()]);
    };
    fields("a", "math.add", "success_callback_name", "hooks.\x1b[2J");
    fields("b", "interop.fail", "on_failure", "ours.\x1b[2J");
    fields("c", "math.add", "webhooks", webhooks);
    let said = RqTest::new(&scratch).drain(&["--name", "w"]);
    for line in [
        r"Worker w: job a: this program has no callback hooks.\x1b[2J, so it is not called",
        r"Worker w: job b: this program has no callback ours.\x1b[2J; the call waits for a day for a worker that has it",
    ] {
        assert_eq!(said.matches(line).count(), 1, "{line}: {said}");
    }
    assert!(said.contains("Worker w: job c: a webhook to") && !said.contains('\x1b'), "{said}");
}
