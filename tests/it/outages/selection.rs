//! [`Selection`]: which cases are run.

use std::fmt;

use rq_tests::Trouble;

use super::case::{Case, LENGTHS_MS};
use crate::dice::{self, Dice, SEED};

/// Chooses: `full`, or the beginnings of names (`readonly`, `readonly:12`, `readonly:12:running:fork`), with commas between.
const RIG: &str = "RQ_RIG";
/// How many cases of each trouble a sample has that are short,
const SAMPLE_SHORT: usize = 1;
/// and how many that are longer than a lease, among all troubles. They share their time.
const SAMPLE_LONG: usize = 3;

/// Which cases are run.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Some: a short one of each trouble, and few that are longer than a lease.
    Sample { seed: u64 },
    /// All.
    Full,
    /// Those whose names begin so.
    Named(Vec<String>),
}

impl Selection {
    /// What the environment asks for; a sample if it does not.
    pub(crate) fn from_env() -> Self {
        match std::env::var(RIG).as_deref() {
            Err(_) | Ok("") => Self::Sample { seed: dice::seed() },
            Ok("full") => Self::Full,
            Ok(names) => Self::Named(names.split(',').map(str::to_string).collect()),
        }
    }

    pub(crate) fn is_sample(&self) -> bool {
        matches!(self, Self::Sample { .. })
    }

    /// The cases, in order.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let cases: Vec<Case> = match self {
            Self::Full => Case::all().collect(),
            Self::Sample { seed } => sample(*seed),
            Self::Named(names) => {
                Case::all().filter(|case| names.iter().any(|name| is_named(case, name))).collect()
            }
        };
        assert!(!cases.is_empty(), "no case is called that: {self}");
        cases
    }
}

fn is_named(case: &Case, name: &str) -> bool {
    let case = case.name();
    case.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Some of them, the same ones for the same seed.
fn sample(seed: u64) -> Vec<Case> {
    let mut dice = Dice::new(seed);
    let mut draw = |mut cases: Vec<Case>, count: usize| {
        let drawn = (0..count).map(|_| cases.swap_remove(dice.below(cases.len() as u64) as usize));
        drawn.collect::<Vec<_>>()
    };
    let [short, long, ..] = LENGTHS_MS;
    // From a partition the recovery takes long, too.
    let is_long = |case: &Case| case.length_ms == long && case.trouble != Trouble::Partition;
    let mut sample = draw(Case::all().filter(is_long).collect(), SAMPLE_LONG);
    for trouble in Trouble::ALL {
        let cases = Case::all().filter(|case| case.trouble == trouble && case.length_ms == short);
        sample.extend(draw(cases.collect(), SAMPLE_SHORT));
    }
    sample.sort();
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
    let count = |name: &str| Case::all().filter(|case| is_named(case, name)).count();
    for (name, cases) in [
        ("readonly", 3 * 5 * 3),
        ("readonly:0.3", 5 * 3),
        ("readonly:12:running", 3),
        ("readonly:12:running:fork", 1),
        ("readonly:1", 0),
        ("other", 0),
    ] {
        assert_eq!(count(name), cases, "{name}");
    }
}

#[test]
fn a_seed_repeats_its_sample() {
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert_eq!(sample(1).len(), Trouble::ALL.len() * SAMPLE_SHORT + SAMPLE_LONG);
}
