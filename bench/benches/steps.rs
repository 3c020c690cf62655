//! What a worker's three steps for each job take: claim, begin and settle, for 1 job and for 16, on a real Redis.
//!
//! `cargo bench -p rq-bench --all-features --bench steps`. A measurement takes whole lives, from enqueued to settled, and counts
//! one step of each: the steps come in the order and from the state in which a worker takes them. What is measured is what the
//! worker waits for: the step is written, sent, carried out by Redis, and its answer is read.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rq_core::link::{Link, Step};
use rq_core::steps::claim::Claim;
use rq_core::steps::queue::{self, Enqueued, Place};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::worker::Identity;
use rq_core::steps::{BATCH_MAX, Claimed, claim, settlement, worker};
use rq_core::{Codec, Conclusion, Job, Keys, Payload, Settled, Status, Timestamp, Ttl, WorkerRecord, zlib};
use rq_tests::PrivateRedis;
use tokio::runtime::Runtime;

const QUEUE: &str = "bench";
/// How many jobs one step is for: the fewest and the most.
const BATCHES: [usize; 2] = [1, BATCH_MAX];

/// One of a worker's steps.
#[derive(Clone, Copy)]
enum Measured {
    Claim,
    Begin,
    Settle,
}

fn steps(criterion: &mut Criterion) {
    let redis = PrivateRedis::start(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has what a runtime needs");
    let mut stage = Stage::new(&redis, &runtime);
    for (name, measured) in
        [("claim", Measured::Claim), ("begin", Measured::Begin), ("settle", Measured::Settle)]
    {
        let mut group = criterion.benchmark_group(name);
        for batch in BATCHES {
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::from_parameter(batch), |b| {
                b.iter_custom(|iterations| {
                    let took = runtime.block_on(stage.live(measured, batch, iterations));
                    redis::cmd("FLUSHDB").exec(&mut redis.connection()).expect("the server answers");
                    took
                });
            });
        }
    }
}

/// A worker as Redis sees it, and the producer of its jobs.
struct Stage {
    link: Link,
    who: Identity,
    queues: Vec<String>,
    data: Vec<u8>,
    claims: u64,
}

impl Stage {
    fn new(redis: &PrivateRedis, runtime: &Runtime) -> Stage {
        let link = runtime.block_on(Link::open(&redis.url())).expect("the server has just answered");
        let who = Identity {
            keys: Keys::default(),
            name: "bench".to_owned(),
            worker_ttl: Duration::from_secs(420),
            monitoring_interval: Duration::from_secs(30),
            lease: Duration::from_secs(10),
        };
        let call =
            Payload { func: "math.add".to_owned(), args: vec![2.into(), 3.into()], kwargs: Vec::new() };
        let encoded = Codec::Json.encode_payload(&call).expect("JSON can express numbers");
        Stage { link, who, queues: vec![QUEUE.to_owned()], data: zlib::deflate(&encoded), claims: 0 }
    }

    /// Takes `batch` jobs through their lives, so many times over; how long the measured step took in all.
    async fn live(&mut self, measured: Measured, batch: usize, lives: u64) -> Duration {
        self.register().await;
        let mut took = Duration::ZERO;
        for _ in 0..lives {
            self.enqueue(batch).await;
            let (claimed, claim) = self.claim(batch).await;
            let begin = self.begin(&claimed).await;
            let settle = self.settle(&claimed).await;
            took += match measured {
                Measured::Claim => claim,
                Measured::Begin => begin,
                Measured::Settle => settle,
            };
        }
        took
    }

    async fn register(&mut self) {
        let mut record = WorkerRecord::new(self.who.name.as_str());
        record.birth = Some(Timestamp::now());
        record.queues.clone_from(&self.queues);
        assert!(self.take(&worker::birth(&self.who, &record)).await, "nobody else has the name");
        self.claims = 0;
    }

    async fn enqueue(&self, count: usize) {
        let jobs: Vec<(Job, Place)> = (0..count).map(|_| (self.job(), Place::Tail)).collect();
        let enqueued = self.take(&queue::enqueue(&self.who.keys, QUEUE, &jobs)).await;
        assert!(enqueued.iter().all(|enqueued| *enqueued == Enqueued::Done), "the ids are fresh");
    }

    async fn claim(&mut self, want: usize) -> (Vec<Claimed>, Duration) {
        self.claims += 1;
        let began = Instant::now();
        let claim = self.take(&claim::claim(&self.who, &self.queues, 0, self.claims, want)).await;
        let took = began.elapsed();
        let Claim::Taken { claimed, .. } = claim else { panic!("nobody suspends workers here") };
        assert_eq!(claimed.len(), want, "the queue was filled for this claim");
        (claimed, took)
    }

    async fn begin(&self, claimed: &[Claimed]) -> Duration {
        let began = Instant::now();
        let begun = self.take(&claim::begin(&self.who, claimed)).await;
        let took = began.elapsed();
        assert!(begun.iter().all(Option::is_some), "nobody calls jobs off here");
        took
    }

    async fn settle(&self, claimed: &[Claimed]) -> Duration {
        let settlements: Vec<Settlement> = claimed.iter().map(finished).collect();
        let began = Instant::now();
        let settled =
            self.take(&settlement::settle(&self.who.keys, Some(&self.who.name), &settlements)).await;
        let took = began.elapsed();
        assert!(settled.iter().all(|settled| *settled == SettleReply::Done), "the executions are ours");
        took
    }

    async fn take<T>(&self, step: &Step<T>) -> T {
        self.link.run(step).await.expect("the server takes every step")
    }

    /// One as a producer writes it who gives no options.
    fn job(&self) -> Job {
        let mut job = Job::new(fresh_id(), QUEUE, self.data.clone());
        job.status = Status::Queued;
        job.enqueued_at = Some(job.created_at);
        job.description = Some("math.add(2, 3)".to_owned());
        job.timeout = Some(rq_core::TIMEOUT_DEFAULT);
        job
    }
}

/// As long as the ids that a queue gives.
fn fresh_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("00000000-0000-4000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An execution that ended now with the value 5, kept as long as RQ keeps it.
fn finished(claimed: &Claimed) -> Settlement {
    const RAN: Duration = Duration::from_micros(10);
    let ended_at = Timestamp::now();
    let settled = Settled::Finished(Some(b"5".to_vec()));
    let conclusion =
        Conclusion { settled, ttl: Ttl::RESULT_DEFAULT, filed: true, next: None, changes: Vec::new() };
    let (claimed, claimed_at) = (claimed.clone(), ended_at.before(2 * RAN));
    Settlement {
        claimed,
        conclusion,
        slot: None,
        group: None,
        claimed_at,
        ended_at,
        ran: RAN,
        meta: None,
        posts: Vec::new(),
    }
}

/// Six figures, six seconds each, of which the measured step has about a quarter.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6))
}

criterion_group! { name = benches; config = settings(); targets = steps }
criterion_main!(benches);
