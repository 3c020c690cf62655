//! What a producer waits for: the methods of a queue and of its jobs' handles, on a real Redis.
//!
//! `cargo bench -p rq-bench --all-features --bench queue`. Each call is measured alone, from its call to its return. What it needs
//! is put there and what it leaves is cleared away outside of the measured time.

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use rq_core::blocking::{JobHandle, Queue};
use rq_core::{Call, handlers, job};
use rq_tests::PrivateRedis;

/// How many jobs are enqueued at once, and how many wait where a queue is long.
const MANY: usize = 1_000;

/// As good as no work.
#[job("math.add")]
fn add(x: i64, y: i64) -> anyhow::Result<i64> {
    Ok(x + y)
}

fn queue(criterion: &mut Criterion) {
    let redis = PrivateRedis::start(&[]);
    let stage = Stage::new(&redis);
    enqueue(&mut criterion.benchmark_group("enqueue"), &stage);
    look(&mut criterion.benchmark_group("look"), &stage);
    manage(&mut criterion.benchmark_group("manage"), &stage);
}

fn enqueue(group: &mut BenchmarkGroup<'_, WallTime>, stage: &Stage) {
    // A thousand take too long to be counted up sample by sample.
    group.sampling_mode(SamplingMode::Flat);
    let one = |call| stage.queue.enqueue(call).expect("the server takes it");
    stage.measure(group, "one", 1, || add::call(2, 3), one);
    let many = |calls: Vec<Call<i64>>| stage.queue.enqueue_many(calls).expect("the server takes them");
    stage.measure(group, "many", MANY, || calls(MANY), many);
}

fn look(group: &mut BenchmarkGroup<'_, WallTime>, stage: &Stage) {
    let jobs = stage.fill(MANY);
    let job = &jobs[MANY / 2];
    group.throughput(Throughput::Elements(1));
    group.bench_function("len", |b| b.iter(|| stage.queue.len().expect("the server answers")));
    group.bench_function("status", |b| b.iter(|| job.status().expect("the server answers")));
    group.bench_function("job", |b| b.iter(|| job.job().expect("the server answers")));
    group.throughput(Throughput::Elements(MANY as u64));
    group.bench_function(BenchmarkId::new("job_ids", MANY), |b| {
        b.iter(|| stage.queue.job_ids().expect("the server answers"));
    });
    group.bench_function(BenchmarkId::new("jobs", MANY), |b| {
        b.iter(|| stage.queue.jobs().expect("the server answers"));
    });
    stage.clear();
}

/// Cancels jobs that wait, alone and behind many, and requeues jobs that have finished.
fn manage(group: &mut BenchmarkGroup<'_, WallTime>, stage: &Stage) {
    let cancel = |job: JobHandle<i64>| job.cancel().expect("it waits");
    stage.measure(group, "cancel", 1, || stage.waiting_job(), cancel);
    let requeue = |job: JobHandle<i64>| job.requeue().expect("it has finished");
    stage.measure(group, "requeue", 1, || stage.finished_job(), requeue);
    stage.fill(MANY);
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("cancel behind", MANY), |b| {
        b.iter_custom(|iterations| spent(iterations, || stage.waiting_job(), cancel));
    });
    stage.clear();
}

/// A queue, and one on the same Redis whose jobs run as they are enqueued.
struct Stage<'a> {
    redis: &'a PrivateRedis,
    queue: Queue,
    inline: Queue,
}

impl Stage<'_> {
    fn new(redis: &PrivateRedis) -> Stage<'_> {
        let queue = Queue::connect(&redis.url(), "bench").expect("the server has just answered");
        let inline = queue.clone().inline(handlers![add]);
        Stage { redis, queue, inline }
    }

    /// Measures `act` on what `make` makes, for `elements` jobs a time, in an empty queue that fills as it may.
    fn measure<I, O>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &str,
        elements: usize,
        make: impl Fn() -> I,
        act: impl Fn(I) -> O,
    ) {
        group.throughput(Throughput::Elements(elements as u64));
        group.bench_function(BenchmarkId::new(name, elements), |b| {
            b.iter_custom(|iterations| {
                let took = spent(iterations, &make, &act);
                self.clear();
                took
            });
        });
    }

    fn fill(&self, jobs: usize) -> Vec<JobHandle<i64>> {
        self.queue.enqueue_many(calls(jobs)).expect("the server takes them")
    }

    fn waiting_job(&self) -> JobHandle<i64> {
        self.queue.enqueue(add::call(2, 3)).expect("the server takes it")
    }

    fn finished_job(&self) -> JobHandle<i64> {
        self.inline.enqueue(add::call(2, 3)).expect("the server takes it")
    }

    fn clear(&self) {
        redis::cmd("FLUSHDB").exec(&mut self.redis.connection()).expect("the server answers");
    }
}

/// How long `act` took, so many times over.
fn spent<I, O>(times: u64, make: impl Fn() -> I, act: impl Fn(I) -> O) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..times {
        let made = make();
        let began = Instant::now();
        let out = act(made);
        took += began.elapsed();
        drop(out);
    }
    took
}

fn calls(count: usize) -> Vec<Call<i64>> {
    (0..count).map(|_| add::call(2, 3)).collect()
}

/// Ten figures, four seconds each.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! { name = benches; config = settings(); targets = queue }
criterion_main!(benches);
