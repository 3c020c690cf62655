//! Which cases are run.

use rq_core::OnCrash;
use rq_tests::Fault;

use super::case::Case;
use super::scenario::{SCENARIOS, Scenario};
use crate::cases::{Selection, is_named};
use crate::dice::Dice;

/// How many cases of each scenario a sample has.
const SAMPLE: usize = 4;

/// The cases. Finds out by a trial run which requests there are.
pub(super) fn cases(selection: &Selection) -> Vec<Case> {
    let wanted = SCENARIOS.iter().filter(|scenario| concerns(selection, scenario));
    let cases: Vec<Case> =
        wanted.flat_map(|scenario| cases_of(selection, scenario, trial(scenario))).collect();
    selection.check(&cases);
    cases
}

fn concerns(selection: &Selection, scenario: &Scenario) -> bool {
    match selection {
        Selection::Sample { .. } | Selection::Full => true,
        Selection::Named(names) => names.iter().any(|name| name.split(':').next() == Some(scenario.name)),
    }
}

fn cases_of(selection: &Selection, scenario: &'static Scenario, requests: usize) -> Vec<Case> {
    let mut cases = all(scenario, requests);
    match selection {
        Selection::Full => {}
        Selection::Sample { seed } => cases = sample(cases, *seed),
        Selection::Named(names) => cases.retain(|case| is_named(&case.name(), names)),
    }
    cases
}

/// How many requests the scenario takes when nothing breaks.
fn trial(scenario: &'static Scenario) -> usize {
    let outcome = Case { scenario, fault: None, on_crash: OnCrash::Fail }.run();
    assert!(outcome.is_good(), "without a fault: {outcome}{}", outcome.report());
    println!("{}: {}", scenario.name, outcome.requests.join(", "));
    outcome.requests.len()
}

/// Every fault at every request; those that kill, for each way to go on after.
fn all(scenario: &'static Scenario, requests: usize) -> Vec<Case> {
    let policies = |fault: &Fault| match fault.kills() {
        true => &[OnCrash::Fail, OnCrash::Requeue][..],
        false => &[OnCrash::Fail],
    };
    let faults: Vec<(Fault, OnCrash)> =
        Fault::ALL.iter().flat_map(|fault| policies(fault).iter().map(|&policy| (*fault, policy))).collect();
    let at = |request| {
        faults.iter().map(move |&(fault, on_crash)| Case {
            scenario,
            fault: Some((request, fault)),
            on_crash,
        })
    };
    (1..=requests).flat_map(at).collect()
}

/// Some of them, the same ones for the same seed.
fn sample(cases: Vec<Case>, seed: u64) -> Vec<Case> {
    Dice::new(seed).draw(cases, SAMPLE)
}

#[test]
fn cases_are_chosen_by_the_beginning_of_their_name() {
    let scenario = &SCENARIOS[0];
    let named = |name: &str| Selection::Named(vec![name.replace('S', scenario.name)]);
    let count = |name: &str| cases_of(&named(name), scenario, 20).len();
    for (name, cases) in [
        ("S", 20 * 6),
        ("S:1", 6),
        ("S:1:cut-after", 1),
        ("S:1:kill-after", 2),
        ("S:1:kill-after:requeue", 1),
        ("S:21", 0),
        ("other", 0),
    ] {
        assert_eq!(count(name), cases, "{name}");
    }
}

#[test]
fn a_seed_repeats_its_sample() {
    let sample =
        |seed| -> Vec<String> { sample(all(&SCENARIOS[0], 20), seed).iter().map(Case::name).collect() };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert_eq!(sample(1).len(), SAMPLE);
}
