//! What a process for each job costs: a worker with `-w fork` drains trivial jobs, beside the bare fork-and-wait rate of
//! the same machine in the same minutes.
//!
//! `cargo bench -p rq-tests --bench fork`. Rounds are interleaved and medians shown, so that whatever else the machine
//! does hits all alike. What users get is measured: results, heartbeats and fences are all there, and the worker's start
//! and end count.

// Targets of their own may hold modules only beside the file that names them.
#[path = "fork/bare.rs"]
mod bare;

use std::path::Path;

use rq_examples::drain::Drain;
use rq_tests::PrivateRedis;

/// How many jobs, or children, are under way at once.
const IN_FLIGHT: [usize; 3] = [1, 4, 16];
/// How many jobs a horse runs, and how many jobs one measurement drains: enough that the worker's start counts little.
const HORSES: [Horse; 3] = [
    Horse { jobs: "1", drained: 3_000 },
    Horse { jobs: "10", drained: 6_000 },
    Horse { jobs: "100", drained: 10_000 },
];
/// How many children one measurement of the bare rate forks.
const BARE_FORKS: usize = 5_000;
/// How often each is measured; the median is shown.
const ROUNDS: usize = 5;

struct Horse {
    jobs: &'static str,
    drained: usize,
}

/// What was measured with so many in flight, a value for each round.
#[derive(Default)]
struct Row {
    bare_per_s: Vec<f64>,
    jobs_per_s: [Vec<f64>; HORSES.len()],
}

fn main() {
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
    row.bare_per_s.push(bare::forks_per_s(BARE_FORKS, in_flight));
    for (horse, jobs_per_s) in HORSES.iter().zip(&mut row.jobs_per_s) {
        let program = Path::new(env!("CARGO_BIN_EXE_rq-test"));
        let concurrency = in_flight.to_string();
        let options = ["-w", "fork", "--concurrency", &concurrency, "--horse-jobs", horse.jobs];
        let drained = drain.by_worker(program, &options, horse.drained).expect("the worker drains its queue");
        jobs_per_s.push(drained.jobs_per_s());
    }
}

fn print(rows: &mut [(usize, Row)]) {
    print!("in flight | bare fork+wait/s");
    HORSES.iter().for_each(|horse| print!(" | jobs/s, {:>3} a horse (x bare)", horse.jobs));
    println!();
    for (in_flight, row) in rows {
        let bare_per_s = median(&mut row.bare_per_s);
        print!("{in_flight:>9} | {bare_per_s:>16.0}");
        for jobs_per_s in &mut row.jobs_per_s {
            let jobs_per_s = median(jobs_per_s);
            print!(" | {jobs_per_s:>18.0} ({:>6.2})", jobs_per_s / bare_per_s);
        }
        println!();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
