//! [`Snapshot`]: queues, rate limits and workers as Redis had them a moment ago.

use std::collections::{BTreeMap, BTreeSet};

use rq_core::link::BlockingLink;
use rq_core::steps::cron::record::{CronRecord, living, records};
use rq_core::steps::queue::{self, Counts};
use rq_core::steps::rate_limit::Usage;
use rq_core::steps::{group, rate_limit, roster, schedule};
use rq_core::{Error, ErrorClass, Keys, Timestamp, WorkerRecord};

/// Queues, rate limits and workers as Redis had them a moment ago.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) taken: Timestamp,
    /// In the order they are shown: as named, else sorted.
    pub(super) queues: Vec<Queue>,
    /// All that are in use, whichever queues are shown: they count over all of them. By key, sorted.
    pub(super) rate_limits: Vec<(String, Usage)>,
    /// Sorted by name.
    pub(super) workers: Vec<WorkerRecord>,
    /// How many groups there are, of whichever queues.
    pub(super) groups: usize,
    /// The cron schedulers that live, Python's among them.
    pub(super) cron_schedulers: Vec<CronRecord>,
}

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) counts: Counts,
    /// Who schedules it, if anybody.
    pub(super) scheduler: Option<Scheduler>,
}

/// A scheduler that holds a queue's lock.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    pub(super) name: String,
    pub(super) hostname: Option<String>,
    pub(super) pid: Option<String>,
}

impl Snapshot {
    /// Reads `queues`, or all where none is named, and the workers that serve any of them. Where there is no queue at
    /// all, these are all workers. Nothing is written.
    pub(super) fn read(link: &BlockingLink, keys: &Keys, queues: &[String]) -> Result<Snapshot, Error> {
        let names = if queues.is_empty() { link.run(&queue::names(keys))? } else { queues.to_vec() };
        // The client refuses an empty pipeline.
        let counts = if names.is_empty() { Vec::new() } else { link.run(&queue::counts(keys, &names))? };
        let workers = link.run(&roster::names(keys, &names))?;
        let workers =
            if workers.is_empty() { Vec::new() } else { link.run(&roster::records(keys, &workers))? };
        let schedulers = schedulers(link, keys, &names)?;
        let queues = names.into_iter().zip(counts).zip(schedulers);
        let queues = queues.map(|((name, counts), scheduler)| Queue { name, counts, scheduler }).collect();
        let groups = link.run(&group::count(keys))?;
        let cron_schedulers = cron_schedulers(link, keys)?;
        let rate_limits = rate_limits(link, keys)?;
        Ok(Snapshot { taken: Timestamp::now(), queues, rate_limits, workers, groups, cron_schedulers })
    }
}

/// All rate limits that are in use.
fn rate_limits(link: &BlockingLink, keys: &Keys) -> Result<Vec<(String, Usage)>, Error> {
    let limits = link.run(&rate_limit::keys(keys))?;
    let usages = if limits.is_empty() { Vec::new() } else { link.run(&rate_limit::usage(keys, &limits))? };
    Ok(limits.into_iter().zip(usages).collect())
}

/// A user who may not look sees none.
fn cron_schedulers(link: &BlockingLink, keys: &Keys) -> Result<Vec<CronRecord>, Error> {
    let names = match link.run(&living(keys, Timestamp::now())) {
        Err(error) if error.class() == ErrorClass::Misconfigured => Vec::new(),
        names => names?,
    };
    if names.is_empty() { Ok(Vec::new()) } else { link.run(&records(keys, &names)) }
}

/// Who schedules each of `queues`.
fn schedulers(link: &BlockingLink, keys: &Keys, queues: &[String]) -> Result<Vec<Option<Scheduler>>, Error> {
    let holders = if queues.is_empty() { Vec::new() } else { link.run(&schedule::holders(keys, queues))? };
    let names: Vec<String> = holders.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let known = if names.is_empty() { Vec::new() } else { link.run(&schedule::whereabouts(keys, &names))? };
    let known: BTreeMap<&String, (Option<String>, Option<String>)> = names.iter().zip(known).collect();
    let scheduler = |name: String| {
        let (hostname, pid) = known.get(&name).cloned().unwrap_or_default();
        Scheduler { name, hostname, pid }
    };
    Ok(holders.into_iter().map(|holder| holder.map(scheduler)).collect())
}
