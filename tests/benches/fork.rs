//! What a process for each job costs: a worker with `-w fork` drains trivial jobs, beside the bare fork-and-wait rate of
//! the same machine in the same minutes.
//!
//! `cargo bench -p rq-tests --all-features --bench fork`. Rounds are interleaved and medians shown, so that whatever else the
//! machine does hits all alike. What users get is measured: results, heartbeats and fences are all there, and the worker's
//! start and end count.
//!
//! The bare rate is that of a small process whose children end at once: nothing is left out of it that a worker could do
//! without. But Redis, worker and processes share the machine's cores. What could be had if a job cost no more than its bare
//! process and the rest of its life, which is what `-w thread` needs for it, is shown as "both": where all cores are busy, the
//! times of the two add up.

// Targets of their own may hold modules only beside the file that names them.
#[path = "fork/bare.rs"]
mod bare;

use std::path::Path;

use rq_examples::drain::{Drain, median};
use rq_tests::PrivateRedis;

/// How many jobs, or children, are under way at once.
const IN_FLIGHT: [usize; 3] = [1, 4, 16];
/// How many jobs a horse runs, and how many jobs one measurement drains: enough that the worker's start counts little.
const HORSES: [Horse; 3] = [
    Horse { jobs: "1", drained: 6_000 },
    Horse { jobs: "10", drained: 6_000 },
    Horse { jobs: "100", drained: 10_000 },
];
/// How many jobs one measurement drains on threads.
const DRAINED_BY_THREADS: usize = 10_000;
/// How often each is measured; the median is shown.
const ROUNDS: usize = 5;
/// The executor of the test program whose worker holds much memory: 200 MB.
const HEAVY: &str = "heavy-fork";

struct Horse {
    jobs: &'static str,
    drained: usize,
}

/// What was measured with so many in flight, a value for each round.
#[derive(Default)]
struct Row {
    bare_per_s: Vec<f64>,
    threads_per_s: Vec<f64>,
    jobs_per_s: [Vec<f64>; HORSES.len()],
    heavy_per_s: Vec<f64>,
}

fn main() {
    bare::measure_if_asked();
    let redis = PrivateRedis::start(&[]);
    let mut drain = Drain::new(&redis.url(), "bench").expect("the server has just answered");
    let mut rows = IN_FLIGHT.map(|in_flight| (in_flight, Row::default()));
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for (in_flight, row) in &mut rows {
            measure(&mut drain, *in_flight, row);
        }
    }
    print(&mut rows);
}

fn measure(drain: &mut Drain, in_flight: usize, row: &mut Row) {
    row.bare_per_s.push(bare::forks_per_s(in_flight));
    let concurrency = in_flight.to_string();
    let mut jobs_per_s = |options: &[&str], jobs| {
        let program = Path::new(env!("CARGO_BIN_EXE_rq-test"));
        let options = [options, &["--concurrency", &concurrency]].concat();
        let drained = drain.by_worker(program, &options, jobs);
        drained.expect("the worker drains its queue").jobs_per_s()
    };
    row.threads_per_s.push(jobs_per_s(&["-w", "thread"], DRAINED_BY_THREADS));
    for (horse, rates) in HORSES.iter().zip(&mut row.jobs_per_s) {
        rates.push(jobs_per_s(&["-w", "fork", "--horse-jobs", horse.jobs], horse.drained));
    }
    row.heavy_per_s.push(jobs_per_s(&["-w", HEAVY], HORSES[0].drained));
}

fn print(rows: &mut [(usize, Row)]) {
    println!("jobs/s; in brackets what part of the bare rate, and of both, that is");
    print!("in flight | bare fork+wait | threads |  both");
    HORSES.iter().for_each(|horse| print!(" | {:>6} a process   ", horse.jobs));
    println!(" | 1, worker with 200 MB");
    for (in_flight, row) in rows {
        let (bare, threads) = (median(&mut row.bare_per_s), median(&mut row.threads_per_s));
        let both = 1.0 / (1.0 / bare + 1.0 / threads);
        print!("{in_flight:>9} | {bare:>14.0} | {threads:>7.0} | {both:>5.0}");
        for rates in row.jobs_per_s.iter_mut().chain([&mut row.heavy_per_s]) {
            let rate = median(rates);
            print!(" | {rate:>5.0} ({:.2}, {:.2})", rate / bare, rate / both);
        }
        println!();
    }
}
