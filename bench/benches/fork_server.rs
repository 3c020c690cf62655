//! What a trivial job's trip through `-w fork` takes without Redis: from the worker to a process of its own and back.
//!
//! `cargo bench -p rq-bench --all-features --bench fork_server`. The executor is driven as the dispatcher drives it: as many jobs
//! are under way as may be, and the next one is started when one has ended. What a job takes of the rest of its life, and what
//! Redis takes from the processors, is not in here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use rq_core::{
    BoxError, Codec, Execution, ExecutionId, Executor, Host, Job, Payload, TIMEOUT_DEFAULT, handlers, job,
    zlib,
};
use rq_worker::{Launch, Options, Program};
use rq_worker_fork::{Fork, ForkOptions};

/// How many jobs are under way at once.
const IN_FLIGHT: [usize; 3] = [1, 4, 16];
/// How many jobs one process runs.
const HORSE_JOBS: [usize; 3] = [1, 10, 100];

/// As good as no work.
#[job("math.add")]
fn add(x: i64, y: i64) -> anyhow::Result<i64> {
    Ok(x + y)
}

/// All that forks is launched first: while this process has one thread, and no runtime.
fn main() {
    let mut executors = HORSE_JOBS.map(|horse_jobs| (horse_jobs, launch(horse_jobs)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has what a runtime needs");
    let mut criterion = settings().configure_from_args();
    for (horse_jobs, executor) in &mut executors {
        let mut group = criterion.benchmark_group(format!("jobs a process: {horse_jobs}"));
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
        for in_flight in IN_FLIGHT {
            let mut trips = |jobs| runtime.block_on(trips(executor.as_mut(), in_flight, jobs));
            group.bench_function(BenchmarkId::new("in flight", in_flight), |b| b.iter_custom(&mut trips));
        }
    }
    criterion.final_summary();
}

fn launch(horse_jobs: usize) -> Box<dyn Executor> {
    let mut options = Options::default();
    options.name = Some(format!("bench-{horse_jobs}"));
    options.concurrency = IN_FLIGHT.into_iter().max();
    let own = ForkOptions::default().horse_jobs(horse_jobs);
    Fork::launch(Program::new(handlers![add]), &options, own).expect("the system lets processes fork")
}

/// Takes so many jobs through the executor; how long they took in all.
async fn trips(executor: &mut dyn Executor, in_flight: usize, jobs: u64) -> Duration {
    let job = trivial_job();
    let mut waiting = (0..jobs).map(|_| execution(&job));
    let began = Instant::now();
    waiting.by_ref().take(in_flight).for_each(|execution| executor.start(execution));
    for _ in 0..jobs {
        let (id, ended) = executor.ended().await;
        let ended = ended.unwrap_or_else(|want| panic!("{id} did not begin: {want}"));
        let value = ended.outcome.unwrap_or_else(|failure| panic!("{id} failed: {failure:?}"));
        assert_eq!(value.as_deref(), Some(&b"5"[..]), "the sum comes back in JSON");
        waiting.next().into_iter().for_each(|execution| executor.start(execution));
    }
    began.elapsed()
}

fn execution(job: &Arc<Job>) -> Execution {
    let id = ExecutionId::new(&job.id);
    Execution::new(id, Arc::clone(job), TIMEOUT_DEFAULT.limit(), Arc::new(NoRedis))
}

fn trivial_job() -> Arc<Job> {
    let call = Payload { func: "math.add".to_owned(), args: vec![2.into(), 3.into()], kwargs: Vec::new() };
    let encoded = Codec::Json.encode_payload(&call).expect("JSON can express numbers");
    let mut job = Job::new("bench", "bench", zlib::deflate(&encoded));
    job.description = Some(call.description());
    Arc::new(job)
}

/// Jobs here save nothing.
struct NoRedis;

impl Host for NoRedis {
    fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
        Err("there is no Redis behind this job".into())
    }
}

/// Nine figures, six seconds each.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
}
