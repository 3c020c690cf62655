//! [`Family`]: a job and all that wait for it, directly or through others.

use std::collections::HashMap;

use crate::error::Error;

/// The most jobs that are deleted with the one they wait for.
pub(crate) const FAMILY_MAX: usize = 100_000;

/// A job and all that wait for it, collected step by step.
pub(crate) struct Family {
    /// In the order they were found, the job itself first.
    ids: Vec<String>,
    /// Where each is in `ids`.
    places: HashMap<String, usize>,
    /// Of those looked at, the places of the jobs that wait for it; shorter than `ids` while some are to be looked at.
    dependents: Vec<Vec<usize>>,
}

impl Family {
    /// The job `id`, and nobody else yet.
    pub(crate) fn of(id: &str) -> Family {
        Family {
            ids: vec![id.to_owned()],
            places: HashMap::from([(id.to_owned(), 0)]),
            dependents: Vec::new(),
        }
    }

    /// The next ones whose dependents are to be found, at most `most`; empty when all are known.
    pub(crate) fn next(&self, most: usize) -> Vec<String> {
        self.ids.iter().skip(self.dependents.len()).take(most).cloned().collect()
    }

    /// Adds the dependents of the jobs that [`next`](Family::next) gave.
    pub(crate) fn add(&mut self, dependents: Vec<Vec<String>>) -> Result<(), Error> {
        for ids in dependents {
            let places = ids.into_iter().map(|id| self.place_of(id)).collect();
            self.dependents.push(places);
        }
        match self.ids.len() {
            // Looked at after each page, so that a family without end costs a page more than is allowed.
            ..=FAMILY_MAX => Ok(()),
            _ => Err(Error::TooManyDependents { job_id: self.ids.swap_remove(0), most: FAMILY_MAX }),
        }
    }

    fn place_of(&mut self, id: String) -> usize {
        *self.places.entry(id).or_insert_with_key(|id| {
            self.ids.push(id.clone());
            self.ids.len() - 1
        })
    }

    /// All of them, each before the ones it waits for, so that none is released by the end of another.
    pub(crate) fn dependents_first(self) -> Vec<String> {
        let mut order = Vec::with_capacity(self.ids.len());
        let mut seen = vec![false; self.ids.len()];
        // Noted before the walk begins: others write to these sets too, and what leads back here must not go round
        // for ever.
        seen[0] = true;
        // Depth first without recursion: a place, and how many of its dependents were looked at.
        let mut path = vec![(0, 0)];
        while let Some((place, looked_at)) = path.last_mut() {
            match self.dependents[*place].get(*looked_at) {
                Some(&dependent) => {
                    *looked_at += 1;
                    if !seen[dependent] {
                        seen[dependent] = true;
                        path.push((dependent, 0));
                    }
                }
                None => {
                    order.push(*place);
                    path.pop();
                }
            }
        }
        order.into_iter().map(|place| self.ids[place].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(edges: &[(&str, &[&str])]) -> Family {
        let mut family = Family::of(edges[0].0);
        loop {
            let ids = family.next(2);
            if ids.is_empty() {
                return family;
            }
            let dependents_of = |id: &String| {
                let of = edges.iter().find(|(parent, _)| parent == id);
                of.map(|(_, ids)| ids.iter().map(ToString::to_string).collect()).unwrap_or_default()
            };
            family.add(ids.iter().map(dependents_of).collect()).unwrap();
        }
    }

    #[test]
    fn each_comes_before_the_ones_it_waits_for() {
        let check = |edges: &[(&str, &[&str])], expected: &[&str]| {
            assert_eq!(family(edges).dependents_first(), expected, "{edges:?}");
        };
        check(&[("a", &[])], &["a"]);
        check(&[("a", &["b"]), ("b", &["c"])], &["c", "b", "a"]);
        // `c` waits for both; the shorter way to it must not put it behind `b`.
        check(&[("a", &["c", "b"]), ("b", &["c"])], &["c", "b", "a"]);
        check(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])], &["d", "b", "c", "a"]);
        // No cycle of ours, but others write to these sets too.
        check(&[("a", &["b"]), ("b", &["a"])], &["b", "a"]);
    }

    #[test]
    fn a_family_is_bounded() {
        let mut family = Family::of("a");
        let error = family.add(vec![(0..FAMILY_MAX).map(|number| number.to_string()).collect()]);
        assert!(matches!(error, Err(Error::TooManyDependents { job_id, .. }) if job_id == "a"));
    }
}
