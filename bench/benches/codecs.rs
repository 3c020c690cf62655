//! What it takes to turn calls, results and records into what Redis holds, and back: no Redis, one thread.
//!
//! `cargo bench -p rq-bench --all-features --bench codecs`. Each step of a call's way is measured alone, in every codec: encoded,
//! deflated, inflated, decoded. The figures of a call and of a result are in bytes of what the codec writes, so that codecs
//! which write less are not flattered: compare their times.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rq_core::{Codec, Fields, Job, JobResult, Payload, ResultKind, Status, Timestamp, Value, zlib};

const CODECS: [Codec; 3] = [Codec::Json, Codec::Pickle, Codec::Bincode];
/// How many rows a large call carries, some 80 kB of JSON, and a large result.
const ROWS: i64 = 1_000;

fn calls(criterion: &mut Criterion) {
    for (name, size) in [("small", small_call()), ("large", large_call())] {
        let mut group = criterion.benchmark_group(format!("a {name} call"));
        for codec in CODECS {
            let encoded = codec.encode_payload(&size).expect("every codec can express plain data");
            let deflated = zlib::deflate(&encoded);
            let inflate = || zlib::inflate(&deflated, Codec::MAX_PAYLOAD_BYTES);
            let step = |step| BenchmarkId::new(step, codec);
            group.throughput(Throughput::Bytes(encoded.len() as u64));
            group.bench_function(step("encode"), |b| b.iter(|| codec.encode_payload(black_box(&size))));
            group.bench_function(step("deflate"), |b| b.iter(|| zlib::deflate(black_box(&encoded))));
            group.bench_function(step("inflate"), |b| b.iter(inflate));
            group.bench_function(step("decode"), |b| b.iter(|| codec.decode_payload(black_box(&encoded))));
        }
    }
}

/// As a worker writes a result into the stream, and as a producer reads it from there.
fn results(criterion: &mut Criterion) {
    for (name, value) in [("small", Value::Int(5)), ("large", rows())] {
        let mut group = criterion.benchmark_group(format!("a {name} result"));
        for codec in CODECS {
            let encoded = codec.encode_value(&value).expect("every codec can express plain data");
            let entry = written(codec, &value);
            group.throughput(Throughput::Bytes(encoded.len() as u64));
            group.bench_function(BenchmarkId::new("write", codec), |b| {
                b.iter(|| written(codec, black_box(&value)));
            });
            group.bench_function(BenchmarkId::new("read", codec), |b| {
                b.iter_batched(|| entry.clone(), |entry| read(codec, entry), BatchSize::SmallInput);
            });
        }
    }
}

/// A job's record, as a worker reads it from the hash it has claimed, and as a producer writes it.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a record");
    group.throughput(Throughput::Elements(1));
    let job = claimed_job();
    let hash = job.to_fields();
    group.bench_function("from_fields", |b| {
        b.iter_batched(|| hash.clone(), |hash| Job::from_fields("j", hash), BatchSize::SmallInput);
    });
    group.bench_function("to_fields", |b| b.iter(|| black_box(&job).to_fields()));
}

fn written(codec: Codec, value: &Value) -> Fields {
    let mut result = JobResult::new(ResultKind::Successful);
    result.return_value = Some(codec.encode_value(value).expect("every codec can express plain data"));
    result.to_fields()
}

fn read(codec: Codec, entry: Fields) -> Value {
    let result = JobResult::from_fields(entry).expect("what was written can be read");
    let encoded = result.return_value.expect("it holds a value");
    codec.decode_value(&encoded).expect("what was written can be read")
}

fn small_call() -> Payload {
    Payload { func: "math.add".to_owned(), args: vec![2.into(), 3.into()], kwargs: Vec::new() }
}

fn large_call() -> Payload {
    let kwargs = vec![("dry_run".to_owned(), false.into())];
    Payload { func: "reports.load".to_owned(), args: vec![rows()], kwargs }
}

/// A table as jobs are given one: numbers, text and truth values under names that repeat.
fn rows() -> Value {
    let row = |number: i64| {
        let name = format!("customer {}", number * 7_919 % 10_007);
        Value::Dict(vec![
            ("id".into(), number.into()),
            ("name".into(), name.into()),
            ("balance".into(), (number as f64 * 1.37).into()),
            ("is_active".into(), (number % 3 == 0).into()),
        ])
    };
    Value::List((0..ROWS).map(row).collect())
}

/// What a claim leaves of a job that was enqueued with no options.
fn claimed_job() -> Job {
    let call = small_call();
    let encoded = Codec::default().encode_payload(&call).expect("every codec can express numbers");
    let mut job = Job::new("0b8ab9f2-5ea2-4a0b-b0a5-4f0f2c8f4d3e", "default", zlib::deflate(&encoded));
    let now = Timestamp::now();
    job.status = Status::Started;
    job.description = Some(call.description());
    job.timeout = Some(rq_core::TIMEOUT_DEFAULT);
    job.worker_name = Some("9a8f6a4c0c1a4a6f8a3f1d2f6f0c7b5e".to_owned());
    (job.enqueued_at, job.started_at, job.last_heartbeat) = (Some(now), Some(now), Some(now));
    job
}

/// Some forty figures, a second each.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800))
        .nresamples(10_000)
}

criterion_group! { name = benches; config = settings(); targets = calls, results, records }
criterion_main!(benches);
