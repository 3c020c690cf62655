//! Outages: each trouble of a Redis, for 0.3, 12 and 60 s, while workers claim, run, settle, post, wait and stop, under
//! each executor. No outcome, webhook or callback is thrown away, none comes twice, and soon after the cause is gone
//! everything works.
//!
//! `cargo xtask rig outages` runs all of it. `cargo test` runs a sample, another one each time.
//!
//! | file | holds |
//! |---|---|
//! | `outages/case.rs` | one trouble met by two workers, from their start to the check |
//! | `outages/step.rs` | what the workers are at when the trouble begins |
//! | `outages/posts.rs` | what ends call for outside of Redis, and what came of that |
//! | `outages/window.rs` | the cases that meet a trouble on the same Redis, at the same time |
//! | `outages/milestones.rs` | how they wait for each other |
//! | `outages/outcome.rs` | how a case ended |
//! | `outages/selection.rs` | which cases are run |
//! | `outages/table.rs` | how they ended, at a glance |

mod case;
mod milestones;
mod outcome;
mod posts;
mod selection;
mod step;
mod table;
mod window;

use std::sync::Mutex;
use std::thread;

use outcome::Outcome;
use table::Table;
use window::Window;

use crate::cases::{Selection, told};

/// How many windows are open at once: a few dozen workers each, nearly all of which wait.
const WINDOWS_AT_ONCE: usize = 4;
/// The same for a sample, whose windows have a case or two.
const WINDOWS_AT_ONCE_IN_SAMPLE: usize = 20;

#[test]
fn no_outage_costs_a_job() {
    let selection = Selection::from_env();
    let cases = selection::cases(&selection);
    println!("{selection}: {} cases", cases.len());
    let at_once = if selection.is_sample() { WINDOWS_AT_ONCE_IN_SAMPLE } else { WINDOWS_AT_ONCE };
    let mut outcomes = run(Window::all_of(cases), at_once);
    outcomes.sort_by_key(|outcome| outcome.case);
    println!("{}", Table::of(&outcomes));
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases failed\n{}",
        failed.len(),
        outcomes.len(),
        told(&failed, Outcome::report)
    );
}

/// Runs them side by side, and says how each went.
fn run(windows: Vec<Window>, at_once: usize) -> Vec<Outcome> {
    let count = windows.len();
    // The longest ones first: none of them is then left to run alone.
    let waiting = Mutex::new(windows);
    let done = Mutex::new(Vec::new());
    let run_all = || {
        while let Some(window) = { waiting.lock().expect("taking one does not panic").pop() } {
            let outcomes = window.run();
            let mut done = done.lock().expect("adding some does not panic");
            done.push(outcomes);
            let number = done.len();
            println!("{number}/{count} {window}: {}", outcome::summary(&done[number - 1]));
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(run_all);
        }
    });
    done.into_inner().expect("adding some does not panic").into_iter().flatten().collect()
}
