//! [`Selection`]: which cases are run.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use rq_core::OnCrash;
use rq_tests::Fault;

use super::case::Case;
use super::scenario::{SCENARIOS, Scenario};

/// Chooses: `full`, or the names of scenarios and cases (`retry`, `retry:17`, `retry:17:cut-after`), with commas between.
const RIG: &str = "RQ_RIG";
/// Repeats a sample.
const SEED: &str = "RQ_RIG_SEED";
/// How many cases of each scenario a sample has.
const SAMPLE: usize = 4;

/// Which cases are run.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Some of each scenario.
    Sample { seed: u64 },
    /// All.
    Full,
    /// Those whose names begin so.
    Named(Vec<String>),
}

impl Selection {
    /// What the environment asks for; a sample if it does not.
    pub(crate) fn from_env() -> Self {
        let seed = || match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap_or_else(|error| panic!("{SEED}={seed}: {error}")),
            Err(_) => RandomState::new().build_hasher().finish(),
        };
        match std::env::var(RIG).as_deref() {
            Err(_) | Ok("") => Self::Sample { seed: seed() },
            Ok("full") => Self::Full,
            Ok(names) => Self::Named(names.split(',').map(str::to_string).collect()),
        }
    }

    /// The cases. Finds out by a trial run which requests there are.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let wanted = SCENARIOS.iter().filter(|scenario| self.concerns(scenario));
        let cases: Vec<Case> = wanted.flat_map(|scenario| self.cases_of(scenario, trial(scenario))).collect();
        assert!(!cases.is_empty(), "no case is called that: {self}");
        cases
    }

    fn concerns(&self, scenario: &Scenario) -> bool {
        match self {
            Self::Sample { .. } | Self::Full => true,
            Self::Named(names) => names.iter().any(|name| name.split(':').next() == Some(scenario.name)),
        }
    }

    fn cases_of(&self, scenario: &'static Scenario, requests: usize) -> Vec<Case> {
        match self {
            Self::Full => all(scenario, requests),
            Self::Sample { seed } => sample(all(scenario, requests), *seed),
            Self::Named(names) => {
                let mut cases = all(scenario, requests);
                cases.retain(|case| names.iter().any(|name| is_named(case, name)));
                cases
            }
        }
    }
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

fn is_named(case: &Case, name: &str) -> bool {
    let case = case.name();
    case.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Some of them, the same ones for the same seed.
fn sample(mut cases: Vec<Case>, mut seed: u64) -> Vec<Case> {
    let mut sample = Vec::new();
    while sample.len() < SAMPLE && !cases.is_empty() {
        // A step of splitmix64, good enough to choose by.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let chosen = (mixed ^ (mixed >> 31)) % cases.len() as u64;
        sample.push(cases.swap_remove(chosen as usize));
    }
    sample
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample { seed } => write!(f, "a sample ({SEED}={seed} repeats it)"),
            Self::Full => write!(f, "all cases"),
            Self::Named(names) => write!(f, "the cases {}", names.join(", ")),
        }
    }
}

#[test]
fn cases_are_chosen_by_the_beginning_of_their_name() {
    let scenario = &SCENARIOS[0];
    let count =
        |name: &str| Selection::Named(vec![name.replace('S', scenario.name)]).cases_of(scenario, 20).len();
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
