//! [`Whereabouts`]: where every job of a queue is, at one moment.

use std::collections::BTreeSet;

use rq_tests::Scratch;

/// All ids by book, read in one transaction: a job on its way is in one of them.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    pub(crate) waiting: BTreeSet<String>,
    pub(crate) running: BTreeSet<String>,
    pub(crate) finished: BTreeSet<String>,
    pub(crate) failed: BTreeSet<String>,
}

impl Whereabouts {
    pub(crate) fn of(scratch: &Scratch, queue: &str) -> Self {
        let mut pipeline = redis::pipe();
        pipeline.atomic().lrange(scratch.key(format!("queue:{queue}")), 0, -1);
        for book in ["wip", "finished", "failed"] {
            pipeline.zrange(scratch.key(format!("{book}:{queue}")), 0, -1);
        }
        let (waiting, running, finished, failed): (_, BTreeSet<String>, _, _) =
            pipeline.query(&mut scratch.connection()).unwrap();
        let id = |execution: &String| execution.split(':').next().unwrap_or(execution).to_string();
        Self { waiting, running: running.iter().map(id).collect(), finished, failed }
    }

    /// The ids in any book.
    pub(crate) fn accounted(&self) -> BTreeSet<String> {
        [&self.waiting, &self.running, &self.finished, &self.failed].into_iter().flatten().cloned().collect()
    }
}
