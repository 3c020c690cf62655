//! Steps that read which workers there are, and their records.

use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::steps::{names_of, read_hash};
use crate::worker_record::WorkerRecord;

/// The names of the workers that serve any of `queues`, or of all workers where none is given, sorted.
pub fn names(keys: &Keys, queues: &[String]) -> Step<Vec<String>> {
    const NAME: &str = "worker names";
    let mut pipeline = redis::pipe();
    let mut cmd = redis::cmd("SUNION");
    if queues.is_empty() {
        cmd.arg(keys.workers());
    }
    for queue in queues {
        cmd.arg(keys.queue_workers(queue));
    }
    pipeline.add_command(cmd);
    let prefix = keys.worker("");
    Step::new(NAME, pipeline, move |answers| names_of(NAME, answers, &prefix))
}

/// The records of workers; those that are gone or unreadable are left out.
pub fn records(keys: &Keys, names: &[String]) -> Step<Vec<WorkerRecord>> {
    const NAME: &str = "worker records";
    let mut pipeline = redis::pipe();
    for name in names {
        pipeline.cmd("HGETALL").arg(keys.worker(name));
    }
    let names = names.to_vec();
    Step::new(NAME, pipeline, move |answers: Answers| {
        let hashes = names.iter().zip(answers).map(|(name, answer)| (name, read_hash(NAME, answer)));
        let records = hashes.filter_map(|(name, hash)| {
            // The set outlives a record that has expired, until maintenance takes the worker off (`bury.lua`).
            let fields = hash.ok().filter(|fields| !fields.is_empty())?;
            WorkerRecord::from_fields(name.as_str(), fields).ok()
        });
        Ok(records.collect())
    })
}
