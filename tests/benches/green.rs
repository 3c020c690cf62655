//! What coroutines cost and bring: trivial jobs under each executor, and many jobs that wait 10 ms each.
//!
//! `cargo bench -p rq-tests --bench green`; Python takes part where `RQ_TEST_PYTHON` names one that has RQ. Rounds are
//! interleaved and medians shown, so that whatever else the machine does hits all alike. What users get is measured:
//! results, heartbeats and fences are all there, and the worker's start and end count.

use std::path::{Path, PathBuf};

use rq_core::Call;
use rq_examples::drain::{Drain, median};
use rq_tests::PrivateRedis;

/// How often each is measured; the median is shown.
const ROUNDS: usize = 5;
const PYTHON_JOBS: usize = 200;
/// Which executor drains how many trivial jobs: enough that the worker's start counts little.
const TRIVIAL: [(&str, &[&str], usize); 3] = [
    ("green", &["-w", "green"], 20_000),
    ("thread", &["-w", "thread"], 20_000),
    ("fork", &["-w", "fork"], 3_000),
];
/// How long a job waits.
const WAIT_MS: u64 = 10;
/// With how many slots how many jobs that wait are drained.
const WAITING: [(usize, usize); 3] = [(64, 20_000), (1_000, 20_000), (10_000, 30_000)];
/// With how many slots threads do the same.
const THREADS_MAX: usize = 1_000;

fn main() {
    let redis = PrivateRedis::start(&[]);
    let mut drain = Drain::new(&redis.url(), "bench").expect("the server has just answered");
    let program = Path::new(env!("CARGO_BIN_EXE_rq-test"));
    let python = std::env::var_os("RQ_TEST_PYTHON").map(PathBuf::from);
    let mut trivial = TRIVIAL.map(|_| Vec::new());
    let mut by_python = Vec::new();
    let mut waiting = WAITING.map(|_| [const { Vec::new() }; 3]);
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for ((_, options, jobs), row) in TRIVIAL.iter().zip(&mut trivial) {
            let drained = drain.by_worker(program, options, *jobs).expect("the worker drains its queue");
            row.push(drained.jobs_per_s());
        }
        if let Some(python) = &python {
            by_python
                .push(drain.by_python(python, PYTHON_JOBS).expect("Python drains its queue").jobs_per_s());
        }
        for ((slots, jobs), [wait, threads, floor]) in WAITING.iter().zip(&mut waiting) {
            let many = slots.to_string();
            let options = ["-w", "green", "--concurrency", &many];
            let call = || Call::<()>::to("test.sleep").arg(WAIT_MS);
            let drained = drain.of(call, program, &options, *jobs).expect("the worker drains its queue");
            wait.push(drained.jobs_per_s());
            if *slots <= THREADS_MAX {
                let options = ["-w", "thread", "--concurrency", &many];
                let drained = drain.of(call, program, &options, *jobs).expect("the worker drains its queue");
                threads.push(drained.jobs_per_s());
            }
            floor.push(
                drain.by_worker(program, &options, *jobs).expect("the worker drains its queue").jobs_per_s(),
            );
        }
    }
    for ((name, _, jobs), row) in TRIVIAL.iter().zip(&mut trivial) {
        println!("trivial job, -w {name:<6} | {:>7.0} jobs/s (median of {ROUNDS}, {jobs} jobs)", median(row));
    }
    if python.is_some() {
        println!("trivial job, Python    | {:>7.0} jobs/s ({PYTHON_JOBS} jobs)", median(&mut by_python));
    }
    println!(
        "slots | {WAIT_MS} ms waits: jobs/s | of slots/{WAIT_MS} ms | -w thread | trivial jobs with these slots"
    );
    for ((slots, _), [wait, threads, floor]) in WAITING.iter().zip(&mut waiting) {
        let ideal_per_s = *slots as f64 * 1000.0 / WAIT_MS as f64;
        let wait = median(wait);
        let threads = if threads.is_empty() { "-".to_owned() } else { format!("{:.0}", median(threads)) };
        println!(
            "{slots:>5} | {wait:>20.0} | {:>14.2} | {threads:>9} | {:>29.0}",
            wait / ideal_per_s,
            median(floor)
        );
    }
}
