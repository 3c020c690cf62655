//! How calls end, in which codec, and what is kept of them.

use std::time::Duration;

use rq_core::{Call, Codec, Job, JobResult, ResultKind, Status, Ttl, Value, secs};

use super::Stage;
use crate::rq_test::Books;

/// One call and its end.
struct Case {
    call: Call<Value>,
    codec: Codec,
    end: End,
}

/// How a call ends.
enum End {
    /// Well, with this value.
    With(Value),
    /// Well, with a value for which this holds.
    Like(fn(&Value) -> bool),
    /// Badly, with a text that has these parts.
    Failed(&'static [&'static str]),
}

pub(super) fn calls_end_as_they_should(executor: &'static str) {
    let stage = Stage::new(executor);
    let queue = stage.queue();
    let cases = cases();
    let mut handles = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let call = case.call.clone().job_id(format!("j{number}"));
        handles.push(queue.clone().codec(case.codec).enqueue(call).unwrap());
    }
    stage.drain(&["--name", "w"]);
    for (case, handle) in cases.iter().zip(&handles) {
        let job = handle.job().unwrap().unwrap();
        let result = handle.latest_result().unwrap().unwrap_or_else(|| panic!("{}: no result", case.call));
        check_end(case, &job, &result);
        check_books(&stage, &job, &result);
    }
    check_totals(&stage, &cases);
}

/// Every call, in every codec that has words for it.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for codec in [Codec::Json, Codec::Pickle, Codec::Bincode] {
        let mut add = |call, end| cases.push(Case { call, codec, end });
        values().into_iter().for_each(|value| add(echo(&value), End::With(value)));
        add(Call::to("test.none"), End::With(Value::Null));
        add(Call::to("test.unserializable"), End::With("Unserializable return value".into()));
        add(Call::to("test.fail").arg("boom"), End::Failed(&["Error: boom"]));
    }
    for codec in [Codec::Pickle, Codec::Bincode] {
        let values = pythons_values().into_iter();
        cases.extend(values.map(|value| Case { call: echo(&value), codec, end: End::With(value) }));
    }
    let once = [calls_with_arguments(), calls_that_return(), calls_that_fail()].into_iter().flatten();
    cases.extend(once.map(|(call, end)| Case { call, codec: Codec::Json, end }));
    cases
}

fn echo(value: &Value) -> Call<Value> {
    Call::to("interop.echo").value(value.clone())
}

/// What every codec can carry.
fn values() -> Vec<Value> {
    let dict = Value::Dict(vec![
        ("a".into(), Value::List(vec![1.into(), Value::Null])),
        ("é \u{1f980}".into(), "".into()),
    ]);
    vec![
        Value::Null,
        true.into(),
        0.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        0.1.into(),
        (-1e300).into(),
        f64::INFINITY.into(),
        "".into(),
        "line\nnext \u{0} \"quoted\" é \u{1f980}".into(),
        "x".repeat(100_000).into(),
        Value::List(vec![]),
        Value::List((0..1000_i64).map(Value::from).collect()),
        dict,
    ]
}

/// What pickle and bincode can carry beside that.
fn pythons_values() -> Vec<Value> {
    // A pickle is the shortest way to a date: `datetime.date(2024, 1, 2)`, and a naive and an aware `datetime`.
    let unpickled = |pickle: &[u8]| Codec::Pickle.decode_value(pickle).unwrap();
    let utc = b"cdatetime\ndatetime\n(C\x0a\x07\xe8\x01\x02\x03\x04\x05\x0a\x5b\xc5cdatetime\ntimezone\n(cdatetime\ntimedelta\n(K\x00K\x00K\x00tRtRtR.";
    vec![
        Value::Bytes(vec![0, 255, b'x']),
        Value::Tuple(vec![1.into(), Value::Tuple(vec![])]),
        Value::Set(vec!["a".into()]),
        Value::FrozenSet(vec![2.into()]),
        Value::Decimal("1.10".to_string()),
        Value::TimeDelta(-1_500_000),
        Value::Dict(vec![(1.into(), "an integer as key".into())]),
        unpickled(b"cdatetime\ndate\n(C\x04\x07\xe8\x01\x02tR."),
        unpickled(b"cdatetime\ndatetime\n(C\x0a\x07\xe8\x01\x02\x03\x04\x05\x0a\x5b\xc5tR."),
        unpickled(utc),
    ]
}

fn calls_with_arguments() -> Vec<(Call<Value>, End)> {
    let add = || Call::to("math.add");
    let greet = || Call::to("test.greet");
    vec![
        (add().arg(2).arg(3), End::With(5.into())),
        (add().kwarg("y", 3).kwarg("x", 2), End::With(5.into())),
        (add().arg(2).kwarg("y", 3), End::With(5.into())),
        (add().arg(2), End::Failed(&["TypeError: math.add() missing argument 'y'"])),
        (add(), End::Failed(&["TypeError: math.add() missing argument 'x'"])),
        (
            add().arg(1).arg(2).arg(3),
            End::Failed(&["TypeError: math.add() takes 2 positional arguments but 3 were given"]),
        ),
        (
            add().arg(1).kwarg("x", 2),
            End::Failed(&["TypeError: math.add() got multiple values for argument 'x'"]),
        ),
        (add().kwarg("z", 2), End::Failed(&["TypeError: math.add() got an unexpected keyword argument 'z'"])),
        (
            add().arg(1).arg("two"),
            End::Failed(&["TypeError: math.add() argument 'y': ", "string \"two\"", "i64"]),
        ),
        (add().arg(1).arg(0.5), End::Failed(&["TypeError: math.add() argument 'y': ", "0.5"])),
        (
            add().arg(1).arg(u64::MAX),
            End::Failed(&["TypeError: math.add() argument 'y': ", "18446744073709551615"]),
        ),
        (greet().arg("you"), End::With("hello, you".into())),
        (greet().arg("you").kwarg("greeting", "hi"), End::With("hi, you".into())),
        (greet().arg("you").arg(Value::Null), End::With("hello, you".into())),
        (greet().kwarg("greeting", "hi"), End::Failed(&["TypeError: test.greet() missing argument 'name'"])),
    ]
}

fn calls_that_return() -> Vec<(Call<Value>, End)> {
    let field = |name: &str, value| (Value::from(name), value);
    let parent = Value::Dict(vec![
        field("name", "parent".into()),
        field("sizes", Value::List(vec![])),
        field("parent", Value::Null),
    ]);
    let record = Value::Dict(vec![
        field("name", "child".into()),
        field("sizes", Value::List(vec![1.into(), 2.into()])),
        field("parent", parent),
    ]);
    let is_within_its_limit =
        |value: &Value| matches!(value, Value::Float(left) if (3.0..=5.0).contains(left));
    let is_my_id_and_queue = |value: &Value| matches!(value, Value::List(items) if matches!(&items[..], [_, queue] if *queue == "default".into()));
    vec![
        (Call::to("test.record"), End::With(record)),
        (Call::to("test.repr").arg((1, "x")), End::With("[1, 'x']".into())),
        (Call::to("test.sleep").arg(1), End::With(1.into())),
        (Call::to("test.sleep_async").arg(1), End::With(1.into())),
        (Call::to("test.who"), End::Like(is_my_id_and_queue)),
        (Call::to("test.deadline").timeout(secs(5)), End::Like(is_within_its_limit)),
        (Call::to("test.deadline").no_timeout(), End::With(Value::Null)),
        (Call::to("test.meta").meta("k", 1), End::With(Value::Dict(vec![field("k", 1.into())]))),
        (Call::to("test.meta"), End::With(Value::Dict(vec![]))),
    ]
}

fn calls_that_fail() -> Vec<(Call<Value>, End)> {
    const CAUSES: &str =
        "Error: no report\ncaused by: the file cannot be written\ncaused by: the disk is full";
    const NEAR: &[&str] =
        &["UnknownFunction: no handler named `math.ad`", "did you mean `math.add`?", "handlers![..]"];
    const FAR: &str = "UnknownFunction: no handler named `nothing.of_that_name`";
    const PANIC: &[&str] = &["Panic: job panicked at ", "jobs.rs:", ": oh"];
    vec![
        (Call::to("test.fail_with_causes"), End::Failed(&[CAUSES])),
        (Call::to("test.fail").arg("two\nlines é"), End::Failed(&["Error: two\nlines é"])),
        (Call::to("test.panic").arg("oh"), End::Failed(PANIC)),
        (Call::to("test.panic_async").arg("oh"), End::Failed(PANIC)),
        (Call::to("math.ad").arg(1), End::Failed(NEAR)),
        (Call::to("nothing.of_that_name"), End::Failed(&[FAR])),
    ]
}

fn check_end(case: &Case, job: &Job, result: &JobResult) {
    let Case { call, codec, end } = case;
    let value = result.return_value.as_ref().map(|bytes| {
        assert_eq!(Codec::detect_value(bytes), *codec, "the codec of {call}");
        codec.decode_value(bytes).unwrap()
    });
    let text = result.failure_text.as_deref();
    match end {
        End::With(wanted) => {
            // Python's None is left out of the stream.
            assert_eq!(value.unwrap_or(Value::Null), *wanted, "{call} in {codec}: {text:?}");
        }
        End::Like(holds) => assert!(value.as_ref().is_some_and(holds), "{call}: {value:?} {text:?}"),
        End::Failed(parts) => {
            let text = text.unwrap_or_else(|| panic!("{call} ended with {value:?}"));
            for part in *parts {
                assert!(text.contains(part), "{call}: {text:?} lacks {part:?}");
            }
        }
    }
    let ended_well = !matches!(end, End::Failed(_));
    let (status, kind) = if ended_well {
        (Status::Finished, ResultKind::Successful)
    } else {
        (Status::Failed, ResultKind::Failed)
    };
    assert_eq!((job.status, result.kind), (status, kind), "{call}");
}

/// The traces that every end leaves.
fn check_books(stage: &Stage, job: &Job, result: &JobResult) {
    let id = &job.id;
    assert_eq!((job.worker_name.as_deref(), result.worker_name.as_deref()), (Some("w"), Some("w")), "{id}");
    assert_eq!(result.execution_id.as_ref().map(String::len), Some(32), "{id}");
    let times = [
        Some(job.created_at),
        job.enqueued_at,
        result.execution_started_at,
        job.started_at,
        job.ended_at,
        Some(rq_core::Timestamp::now()),
    ];
    assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{id}: {times:?}");
    assert_eq!(result.execution_ended_at, job.ended_at, "{id}");
    let finished = job.status == Status::Finished;
    let (registry, other, ttl_s) =
        if finished { ("finished", "failed", 500) } else { ("failed", "finished", 31_536_000) };
    let ended_s = job.ended_at.map_or(0, rq_core::Timestamp::epoch_secs);
    let score = stage
        .scratch
        .score(&format!("{registry}:default"), id)
        .unwrap_or_else(|| panic!("{id} is in no registry"));
    assert!((score - (ended_s + ttl_s) as f64).abs() <= 5.0, "{id}: {score}");
    assert_eq!(stage.scratch.score(&format!("{other}:default"), id), None);
    assert!((ttl_s - 60..=ttl_s).contains(&stage.scratch.ttl_s(&format!("job:{id}"))), "{id}");
}

/// What is left of all of them together.
fn check_totals(stage: &Stage, cases: &[Case]) {
    let failed = cases.iter().filter(|case| matches!(case.end, End::Failed(_))).count();
    let worker = stage.scratch.hash("worker:w");
    assert_eq!(worker["failed_job_count"], failed.to_string());
    assert_eq!(worker["successful_job_count"], (cases.len() - failed).to_string());
    assert!(worker["total_working_time"].parse::<f64>().unwrap() > 0.0);
    let left: Vec<String> = stage.scratch.dump().into_keys().collect();
    for word in [":wip:", ":execution:", ":executions", ":queue:", ":claims:"] {
        assert!(!left.iter().any(|key| key.contains(word)), "{word} in {left:?}");
    }
}

/// How long something is kept, and what that looks like: the TTL of the job and its result, the score in the registry
/// from now on. `None`: nothing is left.
type Kept = Option<(i64, f64)>;

pub(super) fn results_and_failures_are_kept_as_long_as_asked(executor: &'static str) {
    const FOREVER: i64 = -1;
    let stage = Stage::new(executor);
    let (add, fail) = (|| Call::<()>::to("math.add").arg(1).arg(2), || Call::<()>::to("test.fail").arg("x"));
    let cases: Vec<(Call<()>, Kept)> = vec![
        (add(), Some((33, 33.0))),
        (add().result_ttl(secs(77)), Some((77, 77.0))),
        (add().result_ttl(Duration::ZERO), None),
        (add().result_ttl(Ttl::Forever), Some((FOREVER, f64::INFINITY))),
        (fail(), Some((31_536_000, 31_536_000.0))),
        (fail().failure_ttl(secs(77)), Some((77, 77.0))),
        (fail().failure_ttl(Duration::ZERO), None),
        // RQ writes the number itself where a failure is kept for ever.
        (fail().failure_ttl(Ttl::Forever), Some((FOREVER, -1.0))),
    ];
    let calls = cases.iter().enumerate().map(|(number, (call, _))| call.clone().job_id(format!("j{number}")));
    stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&["--results-ttl", "33"]);
    for (number, (call, kept)) in cases.iter().enumerate() {
        check_kept(&stage, call, &format!("j{number}"), *kept);
    }
}

fn check_kept(stage: &Stage, call: &Call<()>, id: &str, kept: Kept) {
    let scratch = &stage.scratch;
    let registry = if call.function() == "math.add" { "finished:default" } else { "failed:default" };
    let ttls = [scratch.ttl_s(&format!("job:{id}")), scratch.ttl_s(&format!("results:{id}"))];
    let score = scratch.score(registry, id);
    let Some((ttl_s, score_s)) = kept else {
        assert_eq!((ttls, score), ([-2, -2], None), "{id}");
        return;
    };
    for found in ttls {
        assert!(
            (ttl_s - 20..=ttl_s).contains(&found) && (ttl_s < 0) == (found < 0),
            "{id}: {found} for {ttl_s}"
        );
    }
    let score = score.unwrap_or_else(|| panic!("{id} is in no registry"));
    let now_s = rq_core::Timestamp::now().epoch_secs() as f64;
    let wanted = if score_s > 0.0 { now_s + score_s } else { score_s };
    assert!(score == wanted || (wanted - score).abs() <= 20.0, "{id}: {score} for {wanted}");
}

pub(super) fn failures_that_nobody_files_leave_a_status(executor: &'static str) {
    let stage = Stage::new(executor);
    let calls = [
        Call::<()>::to("test.fail").arg("x").job_id("bad"),
        Call::to("test.panic").arg("x").job_id("wild").failure_ttl(Ttl::Seconds(0)),
        Call::to("no.such.function").job_id("unknown"),
        Call::to("test.fail").arg("x").job_id("retried").retry(1),
        Call::to("test.none").job_id("good"),
    ];
    stage.queue().enqueue_many(calls).unwrap();
    stage.drain(&["--disable-default-exception-handler", "--name", "w"]);
    for id in ["bad", "wild", "unknown", "retried"] {
        assert_eq!(stage.scratch.status(id), "failed", "{id}");
        assert_eq!(stage.scratch.ttl_s(&format!("job:{id}")), -1, "{id}");
        // An attempt that was retried has its result, which Python does not write.
        let results: usize = stage.scratch.query("XLEN", [stage.scratch.key(format!("results:{id}"))]);
        assert_eq!(results, usize::from(id == "retried"), "{id}");
    }
    assert_eq!(stage.scratch.status("good"), "finished");
    for registry in ["failed:default", "wip:default"] {
        assert_eq!(stage.scratch.count(registry), 0, "{registry}");
    }
    let worker = stage.scratch.hash("worker:w");
    assert_eq!((&*worker["failed_job_count"], &*worker["successful_job_count"]), ("5", "1"));
}
