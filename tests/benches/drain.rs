//! The first figure: one worker drains trivial jobs on a real Redis, beside Python RQ's `SimpleWorker`.
//!
//! `cargo bench -p rq-tests --bench drain`; Python takes part where `RQ_TEST_PYTHON` names one that has RQ. What
//! users get is measured: results, heartbeats and fences are all there, and the worker's start and end count.

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rq_examples::drain::{Drain, Drained};
use rq_tests::PrivateRedis;

/// How many jobs our worker drains for one measurement.
const JOBS: usize = 20_000;
/// How many jobs Python drains for one measurement.
const PYTHON_JOBS: usize = 400;
/// The fewest measurements criterion takes.
const MEASUREMENTS: usize = 10;

fn drain(criterion: &mut Criterion) {
    let redis = PrivateRedis::start(&[]);
    let mut drain = Drain::new(&redis.url(), "bench").expect("the server has just answered");
    let mut group = criterion.benchmark_group("drain");
    group.sample_size(MEASUREMENTS).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    let program = Path::new(env!("CARGO_BIN_EXE_rq-test"));
    measure(&mut group, "rq worker -w thread", JOBS, || drain.by_rust(program, JOBS));
    if let Some(python) = std::env::var_os("RQ_TEST_PYTHON").map(PathBuf::from) {
        measure(&mut group, "Python RQ SimpleWorker", PYTHON_JOBS, || drain.by_python(&python, PYTHON_JOBS));
    }
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    jobs: usize,
    mut drained: impl FnMut() -> Result<Drained, anyhow::Error>,
) {
    let mut all = Vec::new();
    group.throughput(Throughput::Elements(jobs as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let before = all.len();
            all.extend((0..iterations).map(|_| drained().expect("the worker drains its queue")));
            all[before..].iter().map(|drained: &Drained| drained.took).sum()
        });
    });
    report(name, &mut all);
}

/// What criterion does not show: the cost to Redis, at the median of the measurements.
fn report(name: &str, all: &mut [Drained]) {
    all.sort_by_key(|drained| drained.took);
    let Some(median) = all.get(all.len() / 2) else { return };
    println!(
        "{name}: {:.0} jobs/s, {:.1} Redis commands and {:.0} µs of Redis CPU a job (median of {})",
        median.jobs_per_s(),
        median.commands_per_job(),
        median.redis_us_per_job(),
        all.len()
    );
}

criterion_group!(benches, drain);
criterion_main!(benches);
