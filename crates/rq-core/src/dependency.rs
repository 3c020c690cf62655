//! [`Dependency`]: jobs that another one waits for.

use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::job::Job;
use crate::steps::queue::Place;

/// The most jobs that one may wait for: when each of them ends, the script looks at all the others.
pub(crate) const DEPENDENCIES_MAX: usize = 10_000;

/// Jobs that another one waits for: RQ's `Dependency`.
///
/// The dependent waits until each of them has finished. A job that is gone, because it was deleted or has expired,
/// holds nobody back; one that failed, was stopped or canceled does, until it has run well after all.
///
/// ```
/// use rq_core::{Call, Dependency};
/// let call = Call::<()>::to("reports.send").depends_on(Dependency::on(["fetch-1", "fetch-2"]).allow_failure());
/// # let _ = call;
/// ```
#[must_use = "a dependency does nothing until a call is given it"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    ids: Vec<String>,
    allow_failure: Option<bool>,
    at_front: Option<bool>,
}

impl Dependency {
    /// Waits for the jobs with these ids.
    pub fn on<S: Into<String>>(ids: impl IntoIterator<Item = S>) -> Dependency {
        let ids = ids.into_iter().map(Into::into).collect();
        Dependency { ids, allow_failure: Some(false), at_front: Some(false) }
    }

    /// A failed job holds nobody back either.
    pub fn allow_failure(mut self) -> Dependency {
        self.allow_failure = Some(true);
        self
    }

    /// Puts the waiting job at the head of its queue once it waits no longer.
    pub fn at_front(mut self) -> Dependency {
        self.at_front = Some(true);
        self
    }

    /// The ids.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Whether failed jobs hold nobody back; `None` where plain ids were given, for which RQ writes no field.
    pub(crate) fn allows_failure(&self) -> Option<bool> {
        self.allow_failure
    }

    /// Whether the job goes to the head; `None` as above.
    pub(crate) fn is_at_front(&self) -> Option<bool> {
        self.at_front
    }

    fn plain(ids: Vec<String>) -> Dependency {
        Dependency { ids, allow_failure: None, at_front: None }
    }
}

impl From<&str> for Dependency {
    fn from(id: &str) -> Dependency {
        Dependency::plain(vec![id.to_owned()])
    }
}

impl From<String> for Dependency {
    fn from(id: String) -> Dependency {
        Dependency::plain(vec![id])
    }
}

impl<S: Into<String>> From<Vec<S>> for Dependency {
    fn from(ids: Vec<S>) -> Dependency {
        Dependency::plain(ids.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Dependency {
    fn from(ids: [S; N]) -> Dependency {
        Dependency::plain(ids.into_iter().map(Into::into).collect())
    }
}

/// Jobs in another order, and which place each had.
type Reordered = (Vec<(Job, Place)>, Vec<usize>);

/// Jobs of one call in an order in which those that others wait for come first; otherwise as they were. Fails for jobs
/// that wait for each other.
pub(crate) fn parents_first(jobs: Vec<(Job, Place)>) -> Result<Reordered, Error> {
    let ids: HashSet<&str> = jobs.iter().map(|(job, _)| job.id.as_str()).collect();
    let waits_within =
        |job: &Job| job.dependency_ids.iter().flatten().any(|dependency| ids.contains(dependency.as_str()));
    // Most calls wait for none of their own batch: they are spared the walk, and keep their order.
    if !jobs.iter().any(|(job, _)| waits_within(job)) {
        let places = (0..jobs.len()).collect();
        return Ok((jobs, places));
    }
    let order = order_by_dependency(&jobs)?;
    let mut jobs: Vec<Option<(Job, Place)>> = jobs.into_iter().map(Some).collect();
    Ok((order.iter().filter_map(|&index| jobs[index].take()).collect(), order))
}

/// Depth first without recursion: chains may be as long as the list.
fn order_by_dependency(jobs: &[(Job, Place)]) -> Result<Vec<usize>, Error> {
    let index_of: HashMap<&str, usize> =
        jobs.iter().enumerate().map(|(index, (job, _))| (job.id.as_str(), index)).collect();
    let parents = |index: usize| -> Vec<usize> {
        let ids = jobs[index].0.dependency_ids.iter().flatten();
        ids.filter_map(|id| index_of.get(id.as_str()).copied()).collect()
    };
    let (mut order, mut state) = (Vec::with_capacity(jobs.len()), vec![Seen::Not; jobs.len()]);
    for first in 0..jobs.len() {
        let mut path = vec![(first, parents(first))];
        while let Some((index, ahead)) = path.last_mut() {
            let index = *index;
            // One that several wait for may be on the path more than once, and is placed once.
            if state[index] == Seen::Placed {
                path.pop();
                continue;
            }
            state[index] = Seen::OnPath;
            match ahead.pop() {
                // Only here can it be seen: the script writes one job after the other, and the first of a cycle would
                // find its parent missing and run.
                Some(parent) if state[parent] == Seen::OnPath => {
                    return Err(Error::DependencyCycle { job_id: jobs[parent].0.id.clone() });
                }
                Some(parent) => path.push((parent, parents(parent))),
                None => {
                    state[index] = Seen::Placed;
                    order.push(index);
                }
            }
        }
    }
    Ok(order)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnPath,
    Placed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(specs: &[(&str, &[&str])]) -> Vec<(Job, Place)> {
        let job = |(id, waits_for): &(&str, &[&str])| {
            let mut job = Job::new(*id, "q", Vec::new());
            job.dependency_ids = Some(waits_for.iter().map(ToString::to_string).collect());
            (job, Place::Tail)
        };
        specs.iter().map(job).collect()
    }

    fn ordered(specs: &[(&str, &[&str])]) -> Result<String, String> {
        match parents_first(jobs(specs)) {
            Ok((jobs, _)) => Ok(jobs.iter().map(|(job, _)| job.id.as_str()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn parents_come_first_and_the_rest_stays() {
        assert_eq!(ordered(&[("a", &[]), ("b", &["x"]), ("c", &[])]).unwrap(), "abc");
        assert_eq!(ordered(&[("a", &["c"]), ("b", &[]), ("c", &["d"]), ("d", &[])]).unwrap(), "dcab");
        assert_eq!(ordered(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]).unwrap(), "dcba");
    }

    #[test]
    fn each_keeps_its_place_where_two_have_one_id() {
        let (_, places) = parents_first(jobs(&[("b", &["a"]), ("a", &[]), ("a", &[])])).unwrap();
        assert_eq!(places, [2, 0, 1]);
    }

    #[test]
    fn jobs_that_wait_for_each_other_are_refused() {
        assert!(ordered(&[("a", &["a"])]).unwrap_err().contains("job a would wait for itself"));
        assert!(ordered(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]).is_err());
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let ids: Vec<String> = (0..50_000).map(|number| format!("j{number}")).collect();
        let mut chain: Vec<(Job, Place)> = Vec::new();
        for pair in ids.windows(2) {
            let mut job = Job::new(&*pair[0], "q", Vec::new());
            job.dependency_ids = Some(vec![pair[1].clone()]);
            chain.push((job, Place::Tail));
        }
        assert_eq!(parents_first(chain).unwrap().0.len(), ids.len() - 1);
    }
}
