//! Which cases are run.

use rq_tests::Trouble;

use super::case::{Case, LENGTHS_MS};
use crate::cases::{Selection, is_named};
use crate::dice::Dice;

/// How many cases of each trouble a sample has that are short,
const SAMPLE_SHORT: usize = 1;
/// and how many that are longer than a lease, among all troubles. They share their time.
const SAMPLE_LONG: usize = 3;

/// The cases, in order. A sample has a short one of each trouble, and few that are longer than a lease.
pub(super) fn cases(selection: &Selection) -> Vec<Case> {
    let cases: Vec<Case> = match selection {
        Selection::Full => Case::all().collect(),
        Selection::Sample { seed } => sample(*seed),
        Selection::Named(names) => Case::all().filter(|case| is_named(&case.name(), names)).collect(),
    };
    selection.check(&cases);
    cases
}

/// Some of them, the same ones for the same seed.
fn sample(seed: u64) -> Vec<Case> {
    let mut dice = Dice::new(seed);
    let [short, long, ..] = LENGTHS_MS;
    // From a partition the recovery takes long, too.
    let is_long = |case: &Case| case.length_ms == long && case.trouble != Trouble::Partition;
    let mut sample = dice.draw(Case::all().filter(is_long).collect(), SAMPLE_LONG);
    for trouble in Trouble::ALL {
        let cases = Case::all().filter(|case| case.trouble == trouble && case.length_ms == short);
        sample.extend(dice.draw(cases.collect(), SAMPLE_SHORT));
    }
    sample.sort();
    sample
}

#[test]
fn cases_are_chosen_by_the_beginning_of_their_name() {
    let is_meant = |case: &Case, name: &str| is_named(&case.name(), &[name.to_string()]);
    let count = |name: &str| Case::all().filter(|case| is_meant(case, name)).count();
    for (name, cases) in [
        ("readonly", 3 * 6 * 3),
        ("readonly:0.3", 6 * 3),
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
