//! Broken and hostile jobs, and what becomes of them: a failed job whose text names the field, a job skipped with one
//! line in the log, or, where the input is legal after all, a job that runs. The worker goes on in any case.
//!
//! The numbers are those of the project's list of bad inputs: 1 to 45 are about the job hash, 46 to 56 about pickles.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rq_core::{Call, Codec, Payload, Value, zlib};
use rq_tests::{Child, PrivateRedis, Python, Scratch, Stream};

use crate::rq_test::{Books, LIMIT, RqTest};

/// One bad input.
struct Case {
    /// Its number in the list, with a word where a number has several forms.
    name: String,
    /// Writes the job into Redis and its id into the queue.
    plant: Plant,
    becomes: Becomes,
}

type Plant = Box<dyn Fn(&Spot)>;

/// Where a job is planted.
struct Spot<'a> {
    scratch: &'a Scratch,
    id: &'a str,
}

/// What becomes of a bad input.
enum Becomes {
    /// A failed job, whose text has these parts.
    Failed(Vec<&'static str>),
    /// Nothing but a line in the log with this part.
    Skipped(&'static str),
    /// A job that ends with 3, as a good one would, and why it may.
    Runs(&'static str),
}

use Becomes::{Failed, Runs, Skipped};

#[test]
fn hashes_that_are_no_job() {
    const GONE: &str = "it was deleted, or its time to live has passed";
    const NO_HASH: &str = "its key holds no hash";
    check_all(vec![
        case("1 empty hash, 2 no key", raw(|_| {}), Skipped(GONE)),
        case("3 a string", raw(|spot| spot.query("SET", &["x"])), Skipped(NO_HASH)),
        case("4 a list", raw(|spot| spot.query("RPUSH", &["x"])), Skipped(NO_HASH)),
        case("5 a sorted set", raw(|spot| spot.query("ZADD", &["1", "x"])), Skipped(NO_HASH)),
        case("6 a stream", raw(|spot| spot.query("XADD", &["*", "x", "y"])), Skipped(NO_HASH)),
        case("7 no data", without("data"), Skipped(GONE)),
    ]);
}

#[test]
fn data_that_is_no_call() {
    let call = deflated(&call("math.add"));
    let mut with_trailing_bytes = call.clone();
    with_trailing_bytes.extend(b"junk");
    let raw_pickle = Codec::Pickle.encode_payload(&payload("math.add")).unwrap();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x8b\x8e\x05\0\xc7\x4e\x1d\x7b\x02\0\0\0".to_vec();
    let nested = |pairs: usize| {
        [b"[\"math.add\", null, ".to_vec(), b"[".repeat(pairs), b"]".repeat(pairs), b", {}]".to_vec()]
            .concat()
    };
    check_all(vec![
        case("8 empty", field("data", b""), Failed(vec!["field `data`"])),
        case("9 not zlib", field("data", b"garbage"), Failed(vec!["field `data`"])),
        case("10 zlib, truncated", field("data", &call[..call.len() / 2]), Failed(vec!["field `data`"])),
        case(
            "11 zlib, with more behind it",
            field("data", &with_trailing_bytes),
            Runs("zlib ends where it says"),
        ),
        case(
            "13 a bomb in a bomb",
            field("data", &deflated(&deflated(&vec![0; 1 << 20]))),
            Failed(vec!["field `data`"]),
        ),
        case("15 a pickle as it is", field("data", &raw_pickle), Runs("RQ reads data that nobody deflated")),
        case("15 JSON as it is", field("data", br#"["math.add",null,[1,2],{}]"#), Runs("the same")),
        case("16 gzip", field("data", &gzip), Failed(vec!["field `data`"])),
        case("JSON that is no call", data(b"[1, 2]"), Failed(vec!["field `data`", "four items"])),
        case("JSON, an object", data(b"{}"), Failed(vec!["field `data`"])),
        case("JSON, cut off", data(b"[\"math.add\", null, ["), Failed(vec!["field `data`"])),
        case("JSON, not UTF-8", data(b"[\"math.\xff\", null, [], {}]"), Failed(vec!["field `data`"])),
        case("JSON, 10,000 deep", data(&nested(10_000)), Failed(vec!["field `data`", "nested deeper"])),
        case("bincode, cut off", data(b"\xb1rq\x01"), Failed(vec!["field `data`"])),
        case(
            "bincode, a huge length",
            data(b"\xb1rq\x01\xfd\xff\xff\xff\xff\xff\xff\xff\xff"),
            Failed(vec!["field `data`"]),
        ),
    ]);
}

#[test]
fn fields_that_cannot_be_read() {
    let fails = |field_name: &'static str, value: &[u8], part: &'static str| {
        let name = format!("{field_name} = {}", value[..value.len().min(30)].escape_ascii());
        Case {
            name,
            plant: field(field_name, value),
            becomes: Failed(vec!["Malformed: field `", field_name, part]),
        }
    };
    check_all(vec![
        // 17 to 19
        fails("created_at", b"yesterday", "yesterday"),
        fails("created_at", b"2026-01-02T03:04:05.678901", "is no time"),
        fails("created_at", b"0000-01-02T03:04:05Z", "is no time"),
        fails("created_at", b"+10000-01-02T03:04:05Z", "is no time"),
        fails("enqueued_at", b"\xff\xfe", "is not UTF-8"),
        // 24, 27, 28
        fails("timeout", b"abc", "abc"),
        fails("timeout", b"1e309", "1e309"),
        fails("timeout", b"nan", "nan"),
        fails("timeout", b"1h", "1h"),
        // 29 to 31
        fails("retries_left", b"x", "\"x\""),
        fails("retry_intervals", b"{", ""),
        fails("retry_intervals", b"[NaN]", "seconds"),
        fails("retry_intervals", b"[\"5\"]", "seconds"),
        fails("dependency_ids", b"{", ""),
        fails("dependency_ids", b"[1]", "job ids"),
        // 37, 38, 42
        fails("description", b"\xff", "is not UTF-8"),
        fails("success_callback_name", b"\xff\xfe", "is not UTF-8"),
        fails("failure_callback_timeout", b"soon", "soon"),
        fails("result_ttl", b"x", "\"x\""),
        fails("failure_ttl", b"1.5", "whole number"),
        fails("enqueue_at_front", b"", "whole number"),
        fails("group_id", b"\xff", "is not UTF-8"),
    ]);
}

#[test]
fn fields_that_only_look_bad() {
    let runs = |name: &str, value: &[u8], why| Case {
        name: format!("{name} = {}", value[..value.len().min(30)].escape_ascii()),
        plant: field(name, value),
        becomes: Runs(why),
    };
    let ids = |ids: &[&str]| serde_json::to_vec(ids).unwrap();
    let many_ids: Vec<String> = (0..100_000).map(|number| format!("id-{number}")).collect();
    let many_ids = serde_json::to_vec(&many_ids).unwrap();
    check_all(vec![
        runs("created_at", b"9999-12-31T23:59:59.999999Z", "19: Python's last moment"),
        runs("created_at", b"2026-01-02T03:04:05Z", "20: whole seconds are legal"),
        runs("created_at", b"", "an empty time is no time"),
        case("21 no status", without("status"), Runs("RQ takes it for a new job")),
        runs("status", b"sleeping", "22: the claim writes `started` over it, as Python does"),
        runs("status", b"\xff\xfe", "23: the same"),
        runs("timeout", b"-1", "25: no limit"),
        runs("timeout", b"0", "26: RQ's default"),
        runs("timeout", b"9223372036854775808", "28: Python's numbers have no end: no limit in practice"),
        runs("timeout", b"", "empty is absent"),
        runs("retry_intervals", b"[-1]", "30: no pause, as in Python"),
        runs("retry_intervals", b"null", "none"),
        runs("retries_left", b"-5", "29: no retries are left"),
        runs("dependency_ids", &ids(&["nobody"]), "31: what is in a queue waits for nothing"),
        runs("dependency_ids", &ids(&["a:b", "c\nd", "e\u{0}f"]), "35: ids are not keys here"),
        runs("dependency_ids", &many_ids, "34: 100,000 ids are data"),
        case(
            "32 waits for itself",
            Box::new(|spot| spot.job(&[("dependency_ids", format!("[\"{}\"]", spot.id).as_bytes())])),
            Runs("31"),
        ),
        case("33 two that wait for each other", Box::new(plant_cycle), Runs("31")),
        case("36 no origin", without("origin"), Runs("RQ takes the queue it was found in")),
        case("36 another queue's", field("origin", b"elsewhere"), Runs("it is filed there")),
        runs("success_callback_name", b"no.such.module.function", "38: nothing of that name runs here"),
        runs("failure_callback_name", b"a.b.c.__class__", "38: the same"),
        runs("webhooks", b"{", "39: nothing is sent"),
        runs(
            "webhooks",
            br#"[{"url": "file:///etc/passwd"}, {"url": "http://169.254.169.254/"}]"#,
            "39: the same",
        ),
        runs("webhooks", &[b"[".to_vec(), b"1,".repeat(10_000), b"1]".to_vec()].concat(), "39: the same"),
        runs(
            "meta",
            b"\x80\x04cposix\nsystem\nX\x04\0\0\0true\x85R.",
            "40: this job does not look at its meta",
        ),
        runs("ttl", b"0", "41: what was claimed in time runs"),
        runs("ttl", b"-1", "41: the same"),
        runs("ttl", b"9223372036854775807", "41: the same"),
        runs("result_ttl", b"9223372036854775807", "42: kept as long as Redis can"),
    ]);
}

#[test]
fn texts_that_are_not_for_a_terminal() {
    let shown = |name: &str, text: &str| Case {
        name: format!("37 {name}"),
        plant: field("description", text.as_bytes()),
        becomes: Runs("any text is a description"),
    };
    let cases = vec![
        shown("colours", "\u{1b}[31mred\u{1b}[0m"),
        shown("line ends", "one\r\nInjected: two\nInjected: three"),
        shown("from right to left", "\u{202e}txt.exe"),
        shown("HTML", "<img onerror=alert(1)></script>{{7*7}}"),
        shown("bell and NUL", "\u{7}\u{0}"),
        case(
            "a failure with line ends",
            call_of("test.fail", "one\nInjected: two"),
            Failed(vec!["one\nInjected: two"]),
        ),
        case("56 a name with line ends", call_of("x\nInjected: y", "z"), Failed(vec!["UnknownFunction"])),
    ];
    let worker = check_all(cases);
    for line in [worker.text(Stream::Stdout), worker.text(Stream::Stderr)].concat().lines() {
        assert!(!line.starts_with("Injected"), "{line:?}");
        assert!(!line.contains(['\u{1b}', '\r', '\u{7}', '\u{0}', '\u{202e}']), "{line:?}");
    }
}

#[test]
fn fields_nobody_knows_stay() {
    let plant: Plant = Box::new(|spot| spot.job(&[("x-mine", b"\xff\x00kept"), ("", b"no name")]));
    let scratch = Scratch::new();
    check_on(&scratch, vec![case("43", plant, Runs("unknown fields are for others"))]);
    let job = scratch.dump()["rq:job:bad-0"].hash().clone();
    assert_eq!((job["x-mine"].as_bytes(), job[""].as_bytes()), (&b"\xff\x00kept"[..], &b"no name"[..]));
}

#[test]
fn ids_in_too_many_books() {
    let scratch = Scratch::new();
    let thousand_times: Plant = Box::new(|spot| {
        spot.job(&[]);
        (0..999).for_each(|_| spot.push());
    });
    let everywhere: Plant = Box::new(|spot| {
        spot.job(&[]);
        let in_a_minute = (rq_core::Timestamp::now().epoch_secs() + 60).to_string();
        let foreign = format!("{}:0123456789abcdef0123456789abcdef", spot.id);
        spot.scratch.query::<()>("ZADD", [spot.scratch.key("wip:default"), in_a_minute.clone(), foreign]);
        spot.scratch.query::<()>("ZADD", [spot.scratch.key("failed:default"), in_a_minute, spot.id.into()]);
    });
    let worker = check_on(
        &scratch,
        vec![
            case("44 1,000 times in the list", thousand_times, Runs("once")),
            case(
                "45 queued, in wip, and failed",
                everywhere,
                Runs("its status says queued, and nobody runs it"),
            ),
        ],
    );
    let begun = worker.text(Stream::Stdout).matches("default: math.add(1, 2) (bad-0)").count();
    assert_eq!(begun, 1, "a job runs once however often its id is in the list");
    assert_eq!(scratch.score("failed:default", "bad-1"), None, "what has finished has not failed");
}

#[test]
fn ids_and_names_with_anything_in_them() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    // Goes before the scratch, which could not list keys that are no text to delete them.
    let _redis = redis;
    let ids: Vec<&[u8]> = vec![
        b"a:b",
        b"a:b:c",
        b"line\nInjected: end",
        b"nul\0",
        b"",
        b"\xff\xfe",
        "\u{1f980} {}".as_bytes(),
        &[b'x'; 70_000],
    ];
    for (number, id) in ids.iter().enumerate() {
        let key = [scratch.key("job:").as_bytes(), id].concat();
        let mut arguments = vec![key];
        for (field, value) in good_fields() {
            arguments.extend([field.as_bytes().to_vec(), value]);
        }
        scratch.query::<()>("HSET", arguments);
        scratch.query::<()>("RPUSH", [scratch.key("queue:default").as_bytes(), id]);
        let good = Call::<i64>::to("math.add").arg(number).arg(1).job_id(format!("good-{number}"));
        scratch.queue("default").enqueue(good).unwrap();
    }
    // 36: not UTF-8.
    Spot { scratch: &scratch, id: "origin" }.job(&[("origin", b"\xff\xfe")]);
    let mut worker = RqTest::new(&scratch).spawn(&["worker", "--burst", "--concurrency", "1"]);
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    for number in 0..ids.len() {
        assert_eq!(scratch.status(&format!("good-{number}")), "finished", "{}", worker.report());
    }
    for line in [worker.text(Stream::Stdout), worker.text(Stream::Stderr)].concat().lines() {
        assert!(!line.starts_with("Injected") && line.len() < 50_000, "{line:?}");
    }
    // Whatever each became, it is in no list of running jobs: nobody would ever end it.
    let running: Vec<Vec<u8>> = scratch.query("KEYS", [scratch.key("wip:*")]);
    let running: Vec<_> = running.iter().map(|key| String::from_utf8_lossy(key)).collect();
    assert!(running.is_empty(), "{running:?}: {}", worker.report());
    // Nor is it in a book that Python could not read any more.
    Python::new(&scratch).run("import look; look.queue('default', conn)");
}

#[test]
fn pickles_that_do_more_than_hold_data() {
    let marker: PathBuf = std::env::temp_dir().join(format!("rq-tests-{}-was-here", std::process::id()));
    let touch = format!("touch {}", marker.display());
    let refused = |name: &str, argument: &[u8], parts: &[&'static str]| {
        let mut wanted = vec!["field `data`"];
        wanted.extend(parts);
        case(name, data(&pickled_call(argument)), Failed(wanted))
    };
    let text = |text: &str| {
        [b"X".to_vec(), (text.len() as u32).to_le_bytes().to_vec(), text.as_bytes().to_vec()].concat()
    };
    let reduce = |class: &str, argument: &[u8]| {
        [format!("c{}\n", class.replace(' ', "\n")).as_bytes(), argument, b"\x85R"].concat()
    };
    check_all(vec![
        refused("46 os.system", &reduce("os system", &text(&touch)), &["os.system", "never run"]),
        refused("46 posix.system", &reduce("posix system", &text(&touch)), &["posix.system"]),
        case(
            "46 alone",
            data(&[b"\x80\x04", &reduce("posix system", &text(&touch))[..], b"."].concat()),
            Failed(vec!["posix.system"]),
        ),
        refused("46 eval", &reduce("builtins eval", &text("1")), &["builtins.eval"]),
        refused("47 10,000 deep", &[b"]".repeat(10_000), b"a".repeat(9_999)].concat(), &["nested deeper"]),
        refused("48 a memo bomb", &memo_bomb(), &["more than"]),
        refused("49 a huge text", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", &[]),
        refused("49 a huge integer", b"\x8b\xff\xff\xff\x7f", &[]),
        refused("49 huge bytes", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", &[]),
        refused("49 a negative length", b"\x8b\xff\xff\xff\xff", &[]),
        refused("49 a huge frame", b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", &[]),
        refused("49 a huge memo index", b"Nr\xff\xff\xff\xff", &[]),
        refused("52 a persistent id", b"Pid\n", &[]),
        refused("52 a persistent id, binary", b"K\x01Q", &[]),
        refused("53 no such class", &reduce("no.such Class", b"K\x01"), &["no.such.Class"]),
        refused("54 exits", b"cbuiltins\nexit\n)R", &["builtins.exit"]),
        refused("54 forks", b"cos\nfork\n)R", &["os.fork"]),
        refused("54 sleeps", &reduce("time sleep", b"K\x3c"), &["time.sleep"]),
        refused("54 raises", b"cdatetime\ndate\n(K\x00K\x00K\x00tR", &["date"]),
        refused("an unknown opcode", b"\xff", &[]),
        refused("a stack underflow", b"aaaa", &[]),
    ]);
    assert!(!marker.exists(), "a pickle ran a command");
}

#[test]
fn pickles_that_are_no_call() {
    let whole = Codec::Pickle.encode_payload(&payload("math.add")).unwrap();
    let truncated = (0..whole.len()).map(|length| {
        case(&format!("50 cut after {length}"), data(&whole[..length]), Failed(vec!["field `data`"]))
    });
    let mut newer = whole.clone();
    newer[1] = 6;
    let items = |items: &[u8]| data(&[b"\x80\x04(", items, b"t."].concat());
    let shape = || Failed(vec!["field `data`", "the payload must be"]);
    let mut cases = vec![
        case("51 protocol 6", data(&newer), Failed(vec!["field `data`", "protocol"])),
        case("55 three items", items(b"X\x01\0\0\0fN)"), shape()),
        case("55 five items", items(b"X\x01\0\0\0fN)}N"), shape()),
        case("55 a dict as arguments", items(b"X\x01\0\0\0fN}K\x01K\x01s}"), shape()),
        case("55 a list as keywords", items(b"X\x01\0\0\0fN)]"), shape()),
        case(
            "55 an instance",
            items(b"X\x01\0\0\0fK\x01)}"),
            Failed(vec!["field `data`", "a method of an instance"]),
        ),
        case("55 no tuple", data(b"\x80\x04X\x01\0\0\0f."), shape()),
        case("56 None", items(b"NN)}"), shape()),
        case("56 a number", items(b"K\x01N)}"), shape()),
        case("56 no text", call_of("", "x"), Failed(vec!["UnknownFunction"])),
        case("56 dots", call_of("..", "x"), Failed(vec!["UnknownFunction: no handler named `..`"])),
        case("56 another alphabet", call_of("m\u{430}th.add", "x"), Failed(vec!["did you mean `math.add`"])),
        case("56 1 MiB", call_of(&"x".repeat(1 << 20), "x"), Failed(vec!["UnknownFunction"])),
    ];
    cases.extend(truncated);
    check_all(cases);
}

/// Meta is decoded where a job asks for it, so it fails that job alone.
/// 40: it is told as bytes, as Python tells what it cannot read, and never run.
#[test]
fn meta_that_does_more_than_hold_data() {
    let scratch = Scratch::new();
    let meta = b"\x80\x04cposix\nsystem\nX\x04\0\0\0true\x85R.";
    let data =
        deflated(&Codec::Pickle.encode_payload(&Payload { args: vec![], ..payload("test.meta") }).unwrap());
    Spot { scratch: &scratch, id: "j" }.job(&[("data", &data), ("meta", meta)]);
    let mut worker = RqTest::new(&scratch).spawn(&["worker", "--burst"]);
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    let seen = scratch.queue("default").handle::<Value>("j").result().unwrap();
    let seen = seen.expect("it was given its meta");
    assert_eq!(seen, Value::Dict(vec![("unserialized".into(), Value::Bytes(meta.to_vec()))]));
}

/// The largest job here, as it is in Redis.
const LARGEST_MIB: usize = 32;
/// The most memory a worker may have taken after all of the large ones: twice the largest, and what it takes by itself.
const MEMORY_KIB_MAX: usize = (2 * LARGEST_MIB + 64) * 1024;
/// How long one of them may take, in a debug build.
const LARGE_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn large_ones_take_neither_the_memory_nor_the_time_of_others() {
    let scratch = Scratch::new();
    let intervals = [b"[".to_vec(), b"0,".repeat(999_999), b"0]".to_vec()].concat();
    let bomb = |bytes| field("data", &zeros_deflated(&scratch, bytes));
    let cases = [
        case("12 as much as may be", bomb(Codec::MAX_PAYLOAD_BYTES), Failed(vec!["field `data`"])),
        case(
            "12 a byte more than may be",
            bomb(Codec::MAX_PAYLOAD_BYTES + 1),
            Failed(vec!["field `data`", "larger than"]),
        ),
        case(
            "12 255 KiB that inflate to 256 MiB",
            bomb(256 << 20),
            Failed(vec!["field `data`", "larger than"]),
        ),
        case(
            "14 32 MiB, not deflated",
            field("data", &vec![b' '; LARGEST_MIB << 20]),
            Failed(vec!["field `data`"]),
        ),
        case("37 a description of 10 MiB", field("description", &vec![b'x'; 10 << 20]), Runs("it is text")),
        case("30 a million intervals", field("retry_intervals", &intervals), Runs("as many as may be")),
    ];
    let count = cases.len();
    for (number, case) in cases.iter().enumerate() {
        case.plant(&scratch, number);
    }
    let mut worker = RqTest::new(&scratch).worker(&["--concurrency", "1", "--name", "w"]);
    for (number, case) in cases.iter().enumerate() {
        let began = Instant::now();
        let good = format!("good-{number}");
        scratch.queue("default").handle::<i64>(&good).wait(LARGE_LIMIT).unwrap_or_else(|error| {
            panic!("{}: {error}", case.name);
        });
        assert!(began.elapsed() < LARGE_LIMIT, "{} took {:?}", case.name, began.elapsed());
        let peak_kib = peak_memory_kib(worker.id());
        assert!(peak_kib < MEMORY_KIB_MAX, "{}: {peak_kib} KiB", case.name);
    }
    worker.signal(rq_tests::Signal::SIGTERM);
    assert!(worker.wait(LIMIT).success());
    for (number, case) in cases.iter().enumerate() {
        case.check(&scratch, number, &worker);
    }
    for line in worker.text(Stream::Stdout).lines() {
        assert!(line.len() < 50_000, "a line of {} bytes", line.len());
    }
    assert_eq!(scratch.hash("worker:w")["successful_job_count"], (count + 2).to_string());
}

/// The most memory that a process has had at once.
fn peak_memory_kib(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs all on a key space of their own; see [`check_on`].
#[track_caller]
fn check_all(cases: Vec<Case>) -> Child {
    check_on(&Scratch::new(), cases)
}

/// Plants all, a good job behind each, lets one worker serve them one after the other, and checks what became of each.
#[track_caller]
fn check_on(scratch: &Scratch, cases: Vec<Case>) -> Child {
    for (number, case) in cases.iter().enumerate() {
        case.plant(scratch, number);
    }
    let mut worker = RqTest::new(scratch).spawn(&["worker", "--burst", "--concurrency", "1"]);
    let status = worker.wait(LIMIT);
    assert!(status.success(), "{status}: {}", worker.report());
    for (number, case) in cases.iter().enumerate() {
        case.check(scratch, number, &worker);
    }
    worker
}

impl Case {
    fn plant(&self, scratch: &Scratch, number: usize) {
        let id = format!("bad-{number}");
        (self.plant)(&Spot { scratch, id: &id });
        let good = Call::<i64>::to("math.add").arg(number).arg(1).job_id(format!("good-{number}"));
        scratch.queue("default").enqueue(good).unwrap();
    }

    #[track_caller]
    fn check(&self, scratch: &Scratch, number: usize, worker: &Child) {
        let (name, id) = (&self.name, format!("bad-{number}"));
        let good = format!("good-{number}");
        assert_eq!(scratch.status(&good), "finished", "the job after {name}: {}", worker.report());
        let end = || scratch.queue("default").handle::<i64>(&id).latest_result().unwrap().unwrap();
        match &self.becomes {
            Failed(parts) => {
                assert_eq!(scratch.status(&id), "failed", "{name}: {}", worker.report());
                assert!(scratch.score("failed:default", &id).is_some(), "{name}");
                let text = end().failure_text.unwrap();
                for part in parts {
                    assert!(text.contains(part), "{name}: {part:?} is not in {text:?}");
                }
            }
            Skipped(part) => {
                let log = worker.text(Stream::Stdout);
                let lines: Vec<_> = log.lines().filter(|line| line.contains(&format!(" {id} "))).collect();
                assert!(matches!(lines[..], [line] if line.contains(part)), "{name}: {lines:?}");
                assert_eq!(scratch.score("failed:default", &id), None, "{name}");
            }
            Runs(why) => {
                assert_eq!(scratch.status(&id), "finished", "{name} ({why}): {}", worker.report());
                let value = end().return_value.unwrap();
                let value = Codec::detect_value(&value).decode_value(&value).unwrap();
                assert_eq!(value, Value::Int(3), "{name}");
            }
        }
    }
}

impl Spot<'_> {
    /// A good job, with some of its fields replaced.
    fn job(&self, fields: &[(&str, &[u8])]) {
        let mut all = good_fields();
        all.retain(|(name, _)| !fields.iter().any(|(replaced, _)| replaced == name));
        all.extend(fields.iter().map(|(name, value)| (*name, value.to_vec())));
        let pairs = all.into_iter().flat_map(|(name, value)| [name.as_bytes().to_vec(), value]);
        self.scratch.query::<()>("HSET", std::iter::once(self.key().into_bytes()).chain(pairs));
        self.push();
    }

    /// Puts the id at the end of the queue.
    fn push(&self) {
        self.scratch.query::<()>("RPUSH", [self.scratch.key("queue:default"), self.id.to_string()]);
    }

    /// Runs a command on the job's key.
    fn query(&self, command: &str, args: &[&str]) {
        let args = std::iter::once(self.key()).chain(args.iter().map(ToString::to_string));
        self.scratch.query::<redis::Value>(command, args);
    }

    fn key(&self) -> String {
        self.scratch.key(format_args!("job:{}", self.id))
    }
}

fn case(name: &str, plant: Plant, becomes: Becomes) -> Case {
    Case { name: name.to_string(), plant, becomes }
}

/// No job: what `plant` does with the key.
fn raw(plant: impl Fn(&Spot) + 'static) -> Plant {
    Box::new(move |spot| {
        plant(spot);
        spot.push();
    })
}

/// A good job without a field.
fn without(field: &'static str) -> Plant {
    Box::new(move |spot| {
        spot.job(&[]);
        spot.query("HDEL", &[field]);
    })
}

/// A good job with another value in one field.
fn field(name: &str, value: &[u8]) -> Plant {
    let (name, value) = (name.to_string(), value.to_vec());
    Box::new(move |spot| spot.job(&[(&name, &value)]))
}

/// A good job with another call.
fn data(call: &[u8]) -> Plant {
    field("data", &deflated(call))
}

/// A call of this function with one text.
fn call_of(function: &str, argument: &str) -> Plant {
    let payload = Payload { func: function.to_string(), args: vec![argument.into()], kwargs: vec![] };
    data(&Codec::Pickle.encode_payload(&payload).unwrap())
}

/// Two jobs that wait for each other.
fn plant_cycle(spot: &Spot) {
    let other = format!("{}-other", spot.id);
    Spot { id: &other, ..*spot }.job(&[("dependency_ids", format!("[\"{}\"]", spot.id).as_bytes())]);
    spot.job(&[("dependency_ids", format!("[\"{other}\"]").as_bytes())]);
}

/// What RQ writes for `math.add(1, 2)`.
fn good_fields() -> Vec<(&'static str, Vec<u8>)> {
    let data = deflated(&call("math.add"));
    let text = [
        ("status", "queued"),
        ("created_at", "2026-01-02T03:04:05.678901Z"),
        ("enqueued_at", "2026-01-02T03:04:05.678901Z"),
        ("origin", "default"),
        ("description", "math.add(1, 2)"),
        ("timeout", "180"),
        ("started_at", ""),
        ("ended_at", ""),
        ("last_heartbeat", ""),
        ("worker_name", ""),
        ("group_id", ""),
        ("success_callback_name", ""),
        ("failure_callback_name", ""),
        ("stopped_callback_name", ""),
    ];
    let text = text.into_iter().map(|(name, value)| (name, value.as_bytes().to_vec()));
    text.chain([("data", data)]).collect()
}

fn payload(function: &str) -> Payload {
    Payload { func: function.to_string(), args: vec![1.into(), 2.into()], kwargs: vec![] }
}

fn call(function: &str) -> Vec<u8> {
    Codec::Json.encode_payload(&payload(function)).unwrap()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    zlib::deflate(bytes)
}

/// A pickle of a call of `math.add`, whose only argument is what these opcodes make.
fn pickled_call(argument: &[u8]) -> Vec<u8> {
    [b"\x80\x04(X\x08\0\0\0math.addN(", argument, b"t}t."].concat()
}

/// Lists of ten times the list before: ten thousand million items in a few hundred bytes.
fn memo_bomb() -> Vec<u8> {
    const LISTS: u8 = 10;
    let mut bomb = [&b"]("[..], &b"K\x01".repeat(10), b"eq\x000"].concat();
    for list in 1..LISTS {
        bomb.extend([&b"]("[..], &[b'h', list - 1].repeat(10), &[b'e', b'q', list, b'0']].concat());
    }
    bomb.extend([b'h', LISTS - 1]);
    bomb
}

/// So many zeros, deflated by Python: it takes ours, unoptimized, a minute.
fn zeros_deflated(scratch: &Scratch, bytes: usize) -> Vec<u8> {
    let key = scratch.key("zeros");
    Python::new(scratch).run(&format!("import zlib; conn.set({key:?}, zlib.compress(bytes({bytes}), 9))"));
    scratch.query("GET", [key])
}
