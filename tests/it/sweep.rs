//! The sweep: one fault at each request that a worker sends to Redis, in scenario after scenario. Nothing is lost,
//! doubled or stuck.
//!
//! `cargo xtask rig sweep` runs all of it. `cargo test` runs a sample, another one each time.
//!
//! | file | holds |
//! |---|---|
//! | `sweep/scenario.rs` | the table of what workers are watched doing |
//! | `sweep/case.rs` | one fault at one request, from the producer to the check |
//! | `sweep/posts.rs` | the scenario whose ends call for webhooks and callbacks, and what must come of those |
//! | `sweep/outcome.rs` | how it ended |
//! | `sweep/selection.rs` | which cases are run |
//! | `sweep/table.rs` | how they ended, added up |

mod case;
mod outcome;
mod posts;
mod scenario;
mod selection;
mod table;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::Case;
use outcome::Outcome;
use table::Table;

use crate::cases::{Selection, told};

/// How many cases are under way for each core: most of the time they wait.
const CASES_PER_CORE: usize = 2;

#[test]
fn no_single_fault_loses_doubles_or_stops_a_job() {
    let selection = Selection::from_env();
    let cases = selection::cases(&selection);
    let outcomes = run(&cases);
    println!("{selection}\n{}", Table::of(&outcomes));
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases failed\n{}",
        failed.len(),
        cases.len(),
        told(&failed, Outcome::report)
    );
}

/// Runs them side by side.
fn run(cases: &[Case]) -> Vec<Outcome> {
    let threads = thread::available_parallelism().map_or(1, usize::from) * CASES_PER_CORE;
    let next = AtomicUsize::new(0);
    let take = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        cases.get(number).map(|case| (number, case.run()))
    };
    let mut outcomes: Vec<(usize, Outcome)> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| std::iter::from_fn(take).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a case ends")).collect()
    });
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use rq_core::OnCrash;
    use rq_tests::{Acknowledged, Fault};

    use super::scenario::{SCENARIOS, Scenario};
    use super::*;

    /// A job that finishes, of which this says that it must fail.
    static WRONG: Scenario = Scenario {
        enqueue: |producer| {
            (SCENARIOS[0].enqueue)(producer);
            vec![Acknowledged::fails("a")]
        },
        ..SCENARIOS[0]
    };

    #[test]
    fn a_case_that_ends_wrong_is_told() {
        let case = Case { scenario: &WRONG, fault: Some((1, Fault::CutAfter)), on_crash: OnCrash::Fail };
        let outcomes = run(&[case]);
        let (told, report) = (outcomes[0].to_string(), outcomes[0].report());
        for part in [
            "cargo xtask rig sweep one-queue:1:cut-after  # CLIENT SETINFO",
            "job a is in rq:finished:default, where it must not end",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(report.contains("Worker second") && report.contains("rq:finished:default"), "{report}");
        let table = Table::of(&outcomes).to_string();
        let row = table.lines().find(|line| line.starts_with("one-queue, cut")).expect("a row");
        let counts: Vec<&str> = row.split_whitespace().skip(2).take(10).collect();
        assert_eq!(counts, ["1", "0", "1", "0", "0", "0", "0", "0", "0", "1"], "{table}");
    }
}
