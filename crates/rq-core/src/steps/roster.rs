//! Steps that read which workers there are and what they are at, and that tell them commands.

use crate::error::Error;
use crate::execution::ExecutionId;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::steps::{exactly, names_of, read_hash, single};
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

/// How many workers serve `queue`, or how many there are (`SCARD`).
pub fn count(keys: &Keys, queue: Option<&str>) -> Step<usize> {
    const NAME: &str = "worker count";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SCARD").arg(queue.map_or_else(|| keys.workers(), |queue| keys.queue_workers(queue)));
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The record of a worker; `None` where there is none (`HGETALL`).
pub fn record(keys: &Keys, name: &str) -> Step<Option<WorkerRecord>> {
    const NAME: &str = "worker record";
    let mut pipeline = redis::pipe();
    pipeline.cmd("HGETALL").arg(keys.worker(name));
    let name = name.to_owned();
    Step::new(NAME, pipeline, move |answers| {
        let [answer] = exactly(NAME, answers)?;
        let fields = read_hash(NAME, answer)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let record = WorkerRecord::from_fields(name.as_str(), fields);
        record.map(Some).map_err(|source| Error::Malformed { record: format!("worker {name}"), source })
    })
}

/// What a worker runs, sorted (`SMEMBERS rq:worker:<name>:executions`). Members that are no execution are left out.
pub fn executions(keys: &Keys, name: &str) -> Step<Vec<ExecutionId>> {
    const NAME: &str = "executions of a worker";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.worker_executions(name));
    Step::new(NAME, pipeline, |answers| {
        let members: Vec<Vec<u8>> = single(NAME, answers)?;
        let members = members.iter().map(|member| String::from_utf8_lossy(member));
        let mut ids: Vec<ExecutionId> = members.filter_map(|member| ExecutionId::parse(&member)).collect();
        ids.sort();
        Ok(ids)
    })
}

/// What a worker is told over its channel (docs/wire.md §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To stop warm.
    Shutdown,
    /// To stop cold: a private word beside the command, which Python's workers do not know (docs/wire.md §24.5).
    ShutdownCold,
    /// To kill the processes that run its jobs.
    KillHorse,
}

/// Tells a worker a command, and says whether one of that name listens (`PUBLISH`). Sent twice it is told twice, which
/// asks for nothing more.
pub fn command(keys: &Keys, name: &str, command: Command) -> Step<bool> {
    const NAME: &str = "command";
    // Anything malformed would end the thread on which one of Python's hears it.
    let text = match command {
        Command::Shutdown => r#"{"command": "shutdown"}"#,
        Command::ShutdownCold => r#"{"command": "shutdown", "cold": true}"#,
        Command::KillHorse => r#"{"command": "kill-horse"}"#,
    };
    let mut pipeline = redis::pipe();
    pipeline.cmd("PUBLISH").arg(keys.pubsub(name)).arg(text);
    Step::new(NAME, pipeline, |answers| Ok(single::<i64>(NAME, answers)? > 0))
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
