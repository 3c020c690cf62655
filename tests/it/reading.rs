//! Job hashes of any producer: each field is read as Python RQ reads it, whatever it holds.
//!
//! One table of odd values; for each, Python's own `Job.restore` of every version we share a Redis with, beside ours.
//! What 3.0.0 reads is read, with the same meaning, and what it refuses is refused.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use rq_core::{Codec, Fields, Job, JobResult, Payload, Value, zlib};
use rq_tests::{Python, PythonRq, Scratch};
use serde_json::{Value as Json, json};

/// Whole numbers, and what looks like some.
const NUMBERS: &[&str] = &[
    "",
    " ",
    "0",
    "1",
    "-1",
    "+3",
    " 7 ",
    "\u{b}7\n",
    "007",
    "1_000",
    "1__0",
    "_1",
    "1_",
    "-",
    "- 1",
    "--1",
    "1.0",
    "1.5",
    "1e3",
    "0x10",
    "nan",
    "inf",
    "abc",
    "true",
    "True",
    "None",
    "null",
    "1h",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "100000000000000000000000000000",
    "\u{a0}1",
    "١",
    "1\0",
];

const TIMES: &[&str] = &[
    "",
    " ",
    "2026-11-22T01:48:39.413834Z",
    "2026-11-22T01:48:39.4Z",
    "2026-11-22T01:48:39Z",
    "2026-1-2T3:4:5.006Z",
    "2026-01- 2T03:04:05Z",
    "2026-01-  2T03:04:05Z",
    "2026-11-22t01:48:39.413834z",
    "2026-11-22T01:48:39.Z",
    "2026-11-22T01:48:39.413834",
    "2026-11-22T01:48:39.413834+00:00",
    "2026-11-22T01:48:39.4138341Z",
    "2026-11-22 01:48:39Z",
    "2026-11-22T01:48:60Z",
    "2026-11-22T24:00:00Z",
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "26-11-22T01:48:39Z",
    "2026-11-22T01:48:39Z ",
    " 2026-11-22T01:48:39Z",
    "1795312119.676466",
    "0",
    "None",
    "garbage",
];

const TEXTS: &[&str] = &["", " ", "text", "é\u{1f980}", "a\0b", "None"];

const INTERVALS: &[&str] = &[
    "",
    " ",
    "null",
    "[]",
    "[0]",
    "[10, 20, 30]",
    "[10,20]",
    "[0.2, 0.4]",
    "[1000.0]",
    "[1e3]",
    "[0.0]",
    "[-0.5]",
    "[-1]",
    "[true]",
    "[false]",
    "[null]",
    "[\"\"]",
    "[\"5\"]",
    "[[1]]",
    "[[]]",
    "[{}]",
    "[NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[1e300]",
    "[100000000000000000000000000000]",
    "[-100000000000000000000000000000]",
    "5",
    "0.3",
    "0",
    "true",
    "false",
    "\"\"",
    "\"5\"",
    "{}",
    "{\"a\": 1}",
    "{",
    "[1",
    "[1] 2",
    "garbage",
];

const ID_LISTS: &[&str] = &[
    "",
    "null",
    "[]",
    "[\"a\"]",
    "[\"a\", \"b\"]",
    "[1]",
    "[null]",
    "[\"a\", 2]",
    "\"\"",
    "false",
    "0",
    "{}",
    "{",
    "5",
    "garbage",
];

const STATUSES: &[&str] = &[
    "",
    "created",
    "queued",
    "started",
    "finished",
    "failed",
    "deferred",
    "scheduled",
    "stopped",
    "canceled",
    "Queued",
    " queued",
    "cancelled",
    "dreaming",
];

/// The fields, the odd values of each, and since which version of RQ it is read.
const TABLE: &[(&[&str], &[&str], PythonRq)] = &[
    (
        &[
            "timeout",
            "result_ttl",
            "failure_ttl",
            "ttl",
            "retries_left",
            "enqueue_at_front",
            "allow_dependency_failures",
            "success_callback_timeout",
            "failure_callback_timeout",
            "stopped_callback_timeout",
        ],
        NUMBERS,
        PythonRq::Rq1,
    ),
    (&["number_of_retries", "repeats_left", "enqueue_at_front_on_retry"], NUMBERS, PythonRq::Rq2),
    (&["rate_limit_concurrency"], NUMBERS, PythonRq::Rq3),
    (&["created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat"], TIMES, PythonRq::Rq1),
    (
        &[
            "origin",
            "description",
            "worker_name",
            "success_callback_name",
            "failure_callback_name",
            "stopped_callback_name",
            "result",
            "exc_info",
            "dependency_id",
        ],
        TEXTS,
        PythonRq::Rq1,
    ),
    (&["group_id", "webhooks"], TEXTS, PythonRq::Rq2),
    (&["rate_limit_key"], TEXTS, PythonRq::Rq3),
    (&["retry_intervals"], INTERVALS, PythonRq::Rq1),
    (&["repeat_intervals"], INTERVALS, PythonRq::Rq2),
    (&["dependency_ids"], ID_LISTS, PythonRq::Rq1),
    (&["status"], STATUSES, PythonRq::Rq1),
    (&["status"], &["rate_limited", "ready_to_enqueue"], PythonRq::Rq3),
];

/// What 1.16 alone reads: any text is a status to it.
fn is_of_old_alone(case: &Case) -> bool {
    case.field == "status"
}

/// A hash of the table.
struct Case {
    field: String,
    value: Vec<u8>,
    since: PythonRq,
    fields: Fields,
}

#[test]
fn every_field_is_read_as_python_reads_it() {
    let cases = cases();
    let scratch = Scratch::new();
    let seen = PythonRq::ALL.map(|rq| (rq, seen_by(rq, &scratch, &cases, "read")));
    check(&cases, &seen, seen_by_us);
    assert!(cases.len() > 500, "{} cases", cases.len());
}

/// Entries of the results' stream (docs/wire.md §7).
#[test]
fn every_field_of_a_result_is_read_as_python_reads_it() {
    let value = BASE64.encode(Codec::Pickle.encode_value(&5.into()).unwrap());
    let text = BASE64.encode(zlib::deflate(b"Error: boom"));
    let in_lines = |text: &str| text.as_bytes().chunks(4).collect::<Vec<_>>().join(&b"\r\n"[..]);
    let table: [(&str, Vec<Vec<u8>>, PythonRq); 5] = [
        (
            "type",
            NUMBERS.iter().chain(&["2", "4", "5"]).map(|number| number.as_bytes().to_vec()).collect(),
            PythonRq::Rq3,
        ),
        (
            "return_value",
            vec![in_lines(&value), value.into_bytes(), b"abc".to_vec(), b"gASV".to_vec()],
            PythonRq::Rq1,
        ),
        (
            "exc_string",
            vec![in_lines(&text), text.into_bytes(), b"".to_vec(), b"abc".to_vec()],
            PythonRq::Rq1,
        ),
        ("worker_name", TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect(), PythonRq::Rq2),
        (
            "execution_ended_at",
            ["", "1795312119.5", " 7 ", "soon", "nan"].map(|text| text.as_bytes().to_vec()).to_vec(),
            PythonRq::Rq3,
        ),
    ];
    let mut cases = Vec::new();
    for (field, values, since) in table {
        for value in values {
            let mut fields = Fields::from_iter([("type", "1")]);
            fields.set(field, value.as_slice());
            cases.push(Case { field: field.to_owned(), value, since, fields });
        }
    }
    let scratch = Scratch::new();
    let seen = PythonRq::ALL.map(|rq| (rq, seen_by(rq, &scratch, &cases, "read_result")));
    check(&cases, &seen, |fields| {
        let result = JobResult::from_fields(fields.clone()).map_err(|error| error.to_string())?;
        let value = match &result.return_value {
            Some(bytes) => Codec::Pickle.decode_value(bytes).map_err(|error| error.to_string())?,
            None => Value::Null,
        };
        let moments = [result.execution_started_at, result.execution_ended_at];
        Ok(json!({
            "type": result.kind.to_wire().parse::<i64>().unwrap(),
            "return_value": value.repr(),
            "exc_string": result.failure_text,
            "worker_name": result.worker_name.filter(|name| !name.is_empty()),
            "execution_id": result.execution_id,
            "moments": moments.map(|moment| moment.map(|moment| moment.to_string())),
        }))
    });
}

/// Compares what each Python has made of the cases with what `ours` does.
#[track_caller]
fn check(cases: &[Case], seen: &[(PythonRq, Vec<Json>)], ours: impl Fn(&Fields) -> Result<Json, String>) {
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let ours = ours(&case.fields);
        for (rq, seen) in seen.iter().filter(|(rq, _)| knows(*rq, case.since)) {
            let is_alike = match (&ours, &seen[index]) {
                (Err(_), Json::String(_)) => true,
                (Ok(ours), python) => ours == python,
                (Err(_), _) => *rq == PythonRq::Rq1 && is_of_old_alone(case),
            };
            if !is_alike {
                let value = case.value.escape_ascii();
                wrong.push(format!(
                    "{} = \"{value}\": {rq:?} {}",
                    case.field,
                    difference(&ours, &seen[index])
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn knows(rq: PythonRq, since: PythonRq) -> bool {
    let age = |rq| PythonRq::ALL.iter().position(|known| *known == rq);
    age(rq) <= age(since)
}

/// What differs, and no more.
fn difference(ours: &Result<Json, String>, python: &Json) -> String {
    match (ours, python) {
        (Ok(Json::Object(ours)), Json::Object(python)) => {
            let parts = ours.iter().filter(|(name, value)| python.get(*name) != Some(value));
            parts
                .map(|(name, value)| format!("{name}: {} and not {value}", python[name]))
                .collect::<Vec<_>>()
                .join(", ")
        }
        (ours, python) => format!("{python}, ours {ours:?}"),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (fields, values, since) in TABLE {
        for (field, value) in fields.iter().flat_map(|field| values.iter().map(move |value| (*field, *value)))
        {
            cases.push(case(field, value.as_bytes(), *since));
        }
    }
    for field in
        ["origin", "worker_name", "retry_intervals", "timeout", "created_at", "status", "dependency_ids"]
    {
        cases.push(case(field, b"\xff\xfe", PythonRq::Rq1));
    }
    for data in payloads() {
        cases.push(case("data", &data, PythonRq::Rq1));
    }
    let meta = Codec::Pickle.encode_value(&Value::Dict(vec![("k".into(), 1.into())])).unwrap();
    for meta in [&meta[..], b"", b"garbage", b"\x80\x04", b"\x80\x04K\x01."] {
        cases.push(case("meta", meta, PythonRq::Rq1));
    }
    cases
}

/// A whole job with one odd field.
fn case(field: &str, value: &[u8], since: PythonRq) -> Case {
    let mut fields = Fields::from_iter([
        ("data", zlib::deflate(&pickled(Value::Null, Value::Tuple(vec![1.into()]), Value::Dict(vec![])))),
        ("status", b"queued".to_vec()),
        ("origin", b"default".to_vec()),
        ("created_at", b"2026-11-22T01:48:39.413834Z".to_vec()),
        ("description", b"math.add(1)".to_vec()),
    ]);
    // What only counts together with another field.
    let partner = match field {
        "success_callback_timeout" => Some(("success_callback_name", "jobs.done")),
        "failure_callback_timeout" => Some(("failure_callback_name", "jobs.done")),
        "stopped_callback_timeout" => Some(("stopped_callback_name", "jobs.done")),
        "rate_limit_concurrency" => Some(("rate_limit_key", "k")),
        "rate_limit_key" => Some(("rate_limit_concurrency", "2")),
        "dependency_ids" => Some(("dependency_id", "first")),
        _ => None,
    };
    if let Some((field, value)) = partner {
        fields.set(field, value);
    }
    fields.set(field, value);
    Case { field: field.to_owned(), value: value.to_vec(), since, fields }
}

/// Calls with odd parts, deflated and not, whole and cut.
fn payloads() -> Vec<Vec<u8>> {
    let none = || Value::Tuple(vec![]);
    let dict = || Value::Dict(vec![]);
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for instance in [
        Value::Null,
        "".into(),
        false.into(),
        0.into(),
        0.0.into(),
        Value::List(vec![]),
        none(),
        dict(),
        Value::Set(vec![]),
        Value::Bytes(vec![]),
        Value::TimeDelta(0),
        1.into(),
        "x".into(),
        Value::List(vec![0.into()]),
    ] {
        payloads.push(pickled(instance, none(), dict()));
    }
    for args in [
        Value::List(vec![1.into()]),
        "".into(),
        Value::Bytes(vec![]),
        dict(),
        Value::Set(vec![]),
        Value::FrozenSet(vec![]),
        Value::Null,
        5.into(),
        false.into(),
    ] {
        payloads.push(pickled(Value::Null, args, dict()));
    }
    for kwargs in [
        Value::Dict(vec![("k".into(), 1.into())]),
        Value::Dict(vec![(1.into(), 1.into())]),
        Value::Null,
        "".into(),
        Value::List(vec![]),
    ] {
        payloads.push(pickled(Value::Null, none(), kwargs));
    }
    let call = payloads[0].clone();
    let deflated = zlib::deflate(&call);
    payloads.push(b"".to_vec());
    payloads.push(b"garbage".to_vec());
    payloads.push(deflated[..deflated.len() - 3].to_vec());
    payloads.push([&deflated[..], b"trailing"].concat());
    payloads.push([&call[..], b"trailing"].concat());
    payloads.push(deflated);
    payloads
}

/// A call of `math.add` with any parts.
fn pickled(instance: Value, args: Value, kwargs: Value) -> Vec<u8> {
    let call = Value::Tuple(vec!["math.add".into(), instance, args, kwargs]);
    Codec::Pickle.encode_value(&call).unwrap()
}

/// What Python's `reader` makes of each.
fn seen_by(rq: PythonRq, scratch: &Scratch, cases: &[Case], reader: &str) -> Vec<Json> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash =
        |case: &Case| case.fields.iter().map(|(field, value)| [hex(field), hex(value)]).collect::<Vec<_>>();
    let hashes: Vec<_> = cases.iter().map(hash).collect();
    let key = scratch.key("hashes");
    scratch.query::<()>("SET", [key.clone(), serde_json::to_string(&hashes).unwrap()]);
    let printed = Python::of(rq, scratch).run(&format!(
        "import reading\nprint(json.dumps(reading.read_all(json.loads(conn.get('{key}')), reading.{reader})))"
    ));
    serde_json::from_str(&printed).unwrap()
}

/// The same of ours.
fn seen_by_us(fields: &Fields) -> Result<Json, String> {
    let job = Job::from_fields("j", fields.clone()).map_err(|error| error.to_string())?;
    let data = job.inflated().map_err(|error| error.to_string())?;
    let (_, payload): (Codec, Payload) = job.payload().map_err(|error| error.to_string())?;
    let callback = |callback: &Option<rq_core::Callback>| {
        callback.as_ref().map(|callback| json!([callback.name, callback.timeout_s]))
    };
    let time = |time: Option<rq_core::Timestamp>| time.map(|time| time.to_string());
    let has = |field| fields.get(field).is_some_and(|value| !value.is_empty());
    let dependencies = job.dependency_ids.clone().or_else(|| Some(vec![job.dependency_id.clone()?]));
    Ok(json!({
        "data": data.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "call": payload.description(),
        "status": job.status.as_str(),
        "created_at": if has("created_at") { job.created_at.to_string() } else { "now".to_owned() },
        "origin": job.origin,
        "description": job.description,
        "timeout": job.timeout.map(rq_core::Timeout::to_wire),
        "enqueued_at": time(job.enqueued_at),
        "started_at": time(job.started_at),
        "ended_at": time(job.ended_at),
        "last_heartbeat": time(job.last_heartbeat),
        "worker_name": job.worker_name,
        "success_callback": callback(&job.success_callback),
        "failure_callback": callback(&job.failure_callback),
        "stopped_callback": callback(&job.stopped_callback),
        "group_id": job.group_id.clone().filter(|group| !group.is_empty()),
        "result_ttl": job.result_ttl.map(rq_core::Ttl::to_wire),
        "failure_ttl": job.failure_ttl.map(rq_core::Ttl::to_wire),
        "ttl": job.ttl_s,
        "retries_left": job.retries_left,
        "retry_intervals": job.retry_intervals_s.clone().unwrap_or_default(),
        "enqueue_at_front_on_retry": job.enqueue_at_front_on_retry.unwrap_or_default(),
        "number_of_retries": job.number_of_retries,
        "repeats_left": job.repeats_left,
        "repeat_intervals": job.repeat_intervals_s.clone().unwrap_or_default(),
        "dependencies": dependencies.unwrap_or_default(),
        "allow_dependency_failures": job.allow_dependency_failures,
        "enqueue_at_front": job.enqueue_at_front,
        "meta": job.meta_or_raw().repr(),
        "rate_limit": job.rate_limit(),
    }))
}
