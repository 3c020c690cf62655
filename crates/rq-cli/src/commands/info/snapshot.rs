//! [`Snapshot`]: queues and workers as Redis had them a moment ago.

use rq_core::link::BlockingLink;
use rq_core::steps::queue::{self, Counts};
use rq_core::steps::roster;
use rq_core::{Error, Keys, Timestamp, WorkerRecord};

/// Queues and workers as Redis had them a moment ago.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) taken: Timestamp,
    /// In the order they are shown: as named, else sorted.
    pub(super) queues: Vec<Queue>,
    /// Sorted by name.
    pub(super) workers: Vec<WorkerRecord>,
}

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) counts: Counts,
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
        let queues = names.into_iter().zip(counts).map(|(name, counts)| Queue { name, counts }).collect();
        Ok(Snapshot { taken: Timestamp::now(), queues, workers })
    }
}
