//! [`Figures`]: what was measured, a value for each round.

use serde::Serialize;

/// What a figure is of, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Name {
    pub(crate) row: &'static str,
    pub(crate) unit: &'static str,
}

impl Name {
    pub(crate) const fn new(row: &'static str, unit: &'static str) -> Name {
        Name { row, unit }
    }
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    #[serde(flatten)]
    pub(crate) name: Name,
    pub(crate) spread: Spread,
    /// A value for each round in which it was measured, with the number of the round.
    pub(crate) rounds: Vec<(usize, f64)>,
}

/// The middle one of several values, and how far they lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of some values; `None` without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Spread { median: percentile(&values, 50), min, max })
    }
}

/// The value below which so many percent of the sorted ones lie.
///
/// # Panics
/// Without any values.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// What was measured so far, in the order in which it first was.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    round: usize,
    all: Vec<Figure>,
}

impl Figures {
    pub(crate) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Writes down what this round gave.
    pub(crate) fn add(&mut self, name: Name, value: f64) {
        let at = self.all.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
            self.all.push(Figure { name, spread: Spread::default(), rounds: Vec::new() });
            self.all.len() - 1
        });
        let figure = &mut self.all[at];
        figure.rounds.push((self.round, value));
        figure.spread = Spread::of(figure.rounds.iter().map(|(_, value)| *value)).unwrap_or_default();
    }

    pub(crate) fn all(&self) -> &[Figure] {
        &self.all
    }

    pub(crate) fn get(&self, name: Name) -> Option<&Figure> {
        self.all.iter().find(|figure| figure.name == name)
    }

    /// What part one figure is of another, round by round: what slows a whole round down slows both.
    pub(crate) fn ratio(&self, name: Name, of: Name) -> Option<Spread> {
        let (over, under) = (self.get(name)?, self.get(of)?);
        let ratios = over.rounds.iter().filter_map(|(round, value)| {
            let (_, base) = under.rounds.iter().find(|(other, _)| other == round)?;
            Some(value / base)
        });
        Spread::of(ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Name = Name::new("a", "jobs/s");
    const B: Name = Name::new("b", "jobs/s");

    #[test]
    fn ratios_are_taken_within_rounds() {
        let mut figures = Figures::default();
        for (a, b) in [(10.0, 20.0), (100.0, 100.0), (30.0, 90.0)] {
            figures.begin_round();
            figures.add(A, a);
            figures.add(B, b);
        }
        assert_eq!(figures.get(A).unwrap().spread, Spread { median: 30.0, min: 10.0, max: 100.0 });
        let ratio = figures.ratio(A, B).unwrap();
        assert_eq!((ratio.median, ratio.max), (0.5, 1.0));
        assert_eq!(figures.ratio(A, Name::new("c", "jobs/s")), None);
    }

    #[test]
    fn percentiles_of_few_values() {
        let sorted = [1.0, 2.0, 3.0];
        assert_eq!((percentile(&sorted, 50), percentile(&sorted, 99)), (2.0, 3.0));
    }
}
