//! [`Window`]: the cases that meet a trouble on the same Redis, at the same time.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use rq_tests::{Trouble, TroubledRedis};

use super::case::{Case, LENGTHS_MS};
use super::milestones::{Milestone, Milestones};
use super::outcome::{Fault, Outcome};

/// One trouble of one length, and the cases that it meets. They share a Redis, each with keys of its own: the time a
/// rig takes is that of its troubles.
pub(crate) struct Window {
    cases: Vec<Case>,
}

/// Where cases play.
pub(crate) struct Place {
    /// How the case reaches Redis.
    pub(crate) url: String,
    /// How its workers do.
    pub(crate) worker_url: String,
}

impl Window {
    /// All that are needed for these cases, the longest ones last.
    pub(crate) fn all_of(cases: Vec<Case>) -> Vec<Window> {
        let windows = LENGTHS_MS.into_iter().flat_map(|length_ms| {
            Trouble::ALL.map(|trouble| {
                let is_in = |case: &&Case| case.trouble == trouble && case.length_ms == length_ms;
                Window { cases: cases.iter().filter(is_in).copied().collect() }
            })
        });
        windows.filter(|window| !window.cases.is_empty()).collect()
    }

    /// Runs its cases, and returns how they ended.
    pub(crate) fn run(&self) -> Vec<Outcome> {
        let mut redis = self.cases[0].trouble.redis();
        let place = Place { url: redis.url(), worker_url: redis.worker_url() };
        let milestones = Milestones::new(self.cases.len());
        thread::scope(|scope| {
            let cases = self.cases.iter().enumerate().map(|(number, case)| {
                let (way, place) = (milestones.way(number), &place);
                let run = move || catch_unwind(AssertUnwindSafe(|| case.run(place, way)));
                (case, scope.spawn(run))
            });
            let cases: Vec<_> = cases.collect();
            self.pass(&mut redis, &milestones);
            let ended = cases.into_iter().map(|(case, thread)| {
                let outcome = thread.join().expect("what panics was caught");
                outcome.unwrap_or_else(|panic| broken_off(case, panic.as_ref()))
            });
            ended.collect()
        })
    }

    /// The trouble, from its announcement to its end.
    fn pass(&self, redis: &mut TroubledRedis, milestones: &Milestones) {
        milestones.wait_for_all(Milestone::Ready);
        redis.prepare();
        milestones.wait_for_all(Milestone::Holding);
        redis.begin();
        milestones.note_beginning();
        let ends_at = Instant::now() + self.cases[0].length();
        thread::sleep(ends_at.saturating_duration_since(Instant::now()));
        redis.end();
        milestones.note_end();
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cases[0].trouble.name(), self.cases[0].seconds())
    }
}

/// A case in which the harness could not do its part.
fn broken_off(case: &Case, panic: &(dyn Any + Send)) -> Outcome {
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    let what = format!("broken off: {}", message.unwrap_or_default());
    Outcome { case: *case, recovery: None, faults: vec![(Fault::Other, what)], evidence: String::new() }
}
