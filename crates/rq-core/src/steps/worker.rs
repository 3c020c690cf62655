//! Steps of a worker's record: birth, heartbeat, death.

use std::collections::HashMap;
use std::time::Duration;

use redis::{InfoDict, Value as Reply};

use crate::error::Error;
use crate::execution::Claimed;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::scripts;
use crate::steps::{exactly, first_of, read, read_clock_ms, read_hash, single};
use crate::time::Timestamp;
use crate::worker_record::WorkerRecord;

/// The most executions one heartbeat covers.
pub const HEARTBEAT_BATCH_MAX: usize = 100;
/// How long Redis keeps a worker's record after its death, in seconds (docs/wire.md §8.4).
const DEATH_KEPT_S: u64 = 60;
/// How long a record outlives the last heartbeat that was due, in seconds: RQ's margin.
const HEARTBEAT_MARGIN_S: u64 = 60;
/// How long the list of a worker's executions outlives its record, in seconds: several rounds of maintenance, which
/// [`bury`](crate::steps::maintenance::bury) it with what is on it.
const BURIED_WITHIN_S: u64 = 3600;

/// The identity of a worker, and its intervals, for every step it sends.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The names of the keys.
    pub keys: Keys,
    /// Its name.
    pub name: String,
    /// RQ's `--worker-ttl`: how long it may send no heartbeat before it counts as gone.
    pub worker_ttl: Duration,
    /// RQ's `--job-monitoring-interval`: how often it sends heartbeats.
    pub monitoring_interval: Duration,
    /// How long its leases last: without a renewal, other workers then take its executions from it.
    pub lease: Duration,
}

impl Identity {
    pub(super) fn worker_key_ttl_s(&self) -> u64 {
        self.worker_ttl.as_secs() + HEARTBEAT_MARGIN_S
    }

    pub(super) fn executions_key_ttl_s(&self) -> u64 {
        self.worker_key_ttl_s() + BURIED_WITHIN_S
    }

    pub(super) fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// RQ's heartbeat ttl, normally 90 s (docs/wire.md §6). A shorter one makes Python fail our live jobs.
    pub(super) fn execution_ttl_s(&self) -> u64 {
        self.monitoring_interval.as_secs() + HEARTBEAT_MARGIN_S
    }

    /// The second until which an entry that is written to `rq:wip` now is good.
    pub(super) fn wip_score(&self, now: Timestamp) -> i64 {
        now.epoch_secs().saturating_add_unsigned(self.execution_ttl_s())
    }
}

/// The most queues of one script, so that Redis serves others soon.
pub const QUEUES_MAX: usize = 256;

/// Registers the worker, with its first [`QUEUES_MAX`] queues. `false`: a living worker has the name.
pub fn birth(who: &Identity, record: &WorkerRecord) -> Step<bool> {
    birth_after(who, record, None)
}

/// As [`birth`], in the place of a worker of that name that was born at `gone`, and died without a word.
pub fn birth_after(who: &Identity, record: &WorkerRecord, gone: Option<&str>) -> Step<bool> {
    const NAME: &str = "birth";
    let keys = &who.keys;
    let first = &record.queues[..record.queues.len().min(QUEUES_MAX)];
    // The claims of an earlier worker of that name go with it: this one counts from 1 again, and an old number would
    // make its claims stale.
    let mut birth_keys = vec![keys.worker(&who.name), keys.workers(), keys.claims(&who.name)];
    birth_keys.extend(first.iter().map(|queue| keys.queue_workers(queue)));
    let mut cmd = scripts::BIRTH.invoke(&birth_keys);
    // The time of birth tells this worker, whose first sending may have been done, from a living one of the same
    // name.
    cmd.arg(who.worker_key_ttl_s()).arg(record.birth.map(|birth| birth.to_string()));
    cmd.arg(first.len());
    cmd.arg(gone.unwrap_or_default());
    for (field, value) in record.to_fields().iter() {
        cmd.arg(field).arg(value);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Lists a registered worker with those of its queues that [`birth`] has left out, beyond the first [`QUEUES_MAX`]
/// (`SADD`); `None` where there are none.
pub fn join_more_queues(who: &Identity, queues: &[String]) -> Option<Step<()>> {
    let more = queues.get(QUEUES_MAX..).filter(|more| !more.is_empty())?;
    let mut pipeline = redis::pipe();
    for queue in more {
        pipeline.cmd("SADD").arg(who.keys.queue_workers(queue)).arg(who.keys.worker(&who.name));
    }
    Some(Step::new("join queues", pipeline, |answers: Answers| {
        answers.into_iter().try_for_each(|answer| read("join queues", answer))
    }))
}

/// The field of a worker's record that says which process it is; of our own, as Python has none.
pub const PROCESS: &str = "process";

/// A worker that has a name already.
#[derive(Clone, Debug)]
pub struct Namesake {
    /// When it was born, as its record says it.
    pub birth: String,
    /// Which process it is, if its record says so.
    pub process: Option<String>,
    /// How many listen for its commands, which a worker does as long as it lives; `None` where Redis does not say.
    pub listeners: Option<usize>,
    /// How long its record still lives. It rises with every sign of life.
    pub record_lives: Duration,
    /// The executions on its list.
    pub executions: Vec<Vec<u8>>,
}

/// Looks at the worker that has this one's name (`HGETALL`, `PUBSUB NUMSUB`, `PTTL`, `SMEMBERS`); `None` where none has,
/// or it has died properly.
pub fn namesake(who: &Identity) -> Step<Option<Namesake>> {
    const NAME: &str = "look for the worker of that name";
    let keys = &who.keys;
    let mut pipeline = redis::pipe();
    pipeline.cmd("HGETALL").arg(keys.worker(&who.name));
    pipeline.cmd("PUBSUB").arg("NUMSUB").arg(keys.pubsub(&who.name));
    pipeline.cmd("PTTL").arg(keys.worker(&who.name));
    pipeline.cmd("SMEMBERS").arg(keys.worker_executions(&who.name));
    Step::new(NAME, pipeline, |answers| {
        let [hash, listeners, lives_ms, executions] = exactly(NAME, answers)?;
        // The rest of the record may be whatever: a name must not be taken for ever for a field that nobody can read.
        let fields = read_hash(NAME, hash)?;
        let text = |field: &str| fields.get(field).map(|text| String::from_utf8_lossy(text).into_owned());
        let Some(birth) = text("birth").filter(|_| text("death").is_none()) else { return Ok(None) };
        let process = text(PROCESS);
        // A user may lack that command: it is of use here alone.
        let listeners = read::<(Vec<u8>, usize)>(NAME, listeners).ok().map(|(_, listeners)| listeners);
        let record_lives = Duration::from_millis(read::<i64>(NAME, lives_ms)?.max(0).unsigned_abs());
        let executions = read(NAME, executions).unwrap_or_default();
        Ok(Some(Namesake { birth, process, listeners, record_lives, executions }))
    })
}

/// Whether the leases of these executions are over, or were never there (`TIME`, `ZSCORE`).
pub fn leases_are_over(who: &Identity, executions: &[Vec<u8>]) -> Step<bool> {
    const NAME: &str = "look at leases";
    let mut pipeline = redis::pipe();
    pipeline.cmd("TIME");
    for execution in executions {
        pipeline.cmd("ZSCORE").arg(who.keys.leases()).arg(execution);
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let (clock, until) = first_of(NAME, answers)?;
        let now_ms = read_clock_ms(NAME, clock)?;
        let until = until.map(|until| read::<Option<f64>>(NAME, until));
        let until = until.collect::<Result<Vec<Option<f64>>, Error>>()?;
        Ok(until.into_iter().flatten().all(|until_ms| until_ms <= now_ms))
    })
}

/// Names this connection and asks what address Redis sees (`CLIENT SETNAME`, `CLIENT INFO`); `unknown` where Redis does
/// not report one. Redis refuses names with spaces; the connection then has no name.
pub fn introduce(name: &str) -> Step<String> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
    pipeline.cmd("CLIENT").arg("INFO");
    Step::new("introduce", pipeline, |answers: Answers| {
        // The answer to `CLIENT SETNAME` is not looked at: a connection without a name works as well.
        let info = match answers.into_iter().nth(1) {
            Some(Ok(Reply::BulkString(info))) => String::from_utf8_lossy(&info).into_owned(),
            // So RESP3 sends it.
            Some(Ok(Reply::VerbatimString { text, .. })) => text,
            _ => String::new(),
        };
        let address = info.split_whitespace().find_map(|pair| pair.strip_prefix("addr="));
        Ok(address.unwrap_or("unknown").to_owned())
    })
}

/// What a worker should know of its server before it begins; `None` for what the server does not tell, as managed ones
/// and users with few rights are refused `INFO` or `CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, `7.2.4`.
    pub version: Option<String>,
    /// Which keys it gives up when its memory is full: its `maxmemory-policy`.
    pub maxmemory_policy: Option<String>,
    /// Whether its data outlives a restart: it has an append-only file, or save points.
    pub is_persistent: Option<bool>,
    /// Whether it is a node of a cluster.
    pub is_of_cluster: bool,
}

/// Asks the server for that (`INFO`, `CONFIG GET save`).
pub fn server_info() -> Step<ServerInfo> {
    const NAME: &str = "server info";
    let mut pipeline = redis::pipe();
    // Without the names of sections: before Redis 7.0 it takes one at most.
    pipeline.cmd("INFO");
    pipeline.cmd("CONFIG").arg("GET").arg("save");
    Step::new(NAME, pipeline, |answers| {
        let [info, config] = exactly(NAME, answers)?;
        let info: Option<InfoDict> = read(NAME, info).ok();
        let config: Option<HashMap<String, String>> = read(NAME, config).ok();
        let text = |field: &str| info.as_ref()?.get::<String>(field);
        let appends = text("aof_enabled").map(|flag| flag != "0");
        let saves = config.and_then(|mut config| config.remove("save")).map(|points| !points.is_empty());
        // One of the two is enough; that there is neither takes both answers.
        let is_persistent = match (appends, saves) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        Ok(ServerInfo {
            version: text("redis_version"),
            maxmemory_policy: text("maxmemory_policy"),
            is_persistent,
            is_of_cluster: text("cluster_enabled").is_some_and(|flag| flag == "1"),
        })
    })
}

/// What a heartbeat writes beside the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateUpdate {
    /// The worker's new state: `started`, `idle`, `busy` or `suspended`.
    pub state: Option<&'static str>,
    /// When the worker was asked to stop while it was busy (docs/wire.md §10.10).
    pub shutdown_requested: Option<Timestamp>,
}

/// Writes that the worker is alive and runs `running`, at most [`HEARTBEAT_BATCH_MAX`].
pub fn heartbeat(who: &Identity, update: StateUpdate, running: &[Claimed]) -> Step<Pulse> {
    const NAME: &str = "heartbeat";
    assert!(running.len() <= HEARTBEAT_BATCH_MAX, "the caller cuts heartbeats into batches");
    let now = Timestamp::now();
    let mut cmd =
        scripts::HEARTBEAT.invoke(&[who.keys.worker(&who.name), who.keys.worker_executions(&who.name)]);
    cmd.arg(who.keys.prefix()).arg(now.to_string()).arg(now.epoch_text()).arg(now.epoch_secs());
    cmd.arg(who.execution_ttl_s()).arg(who.worker_key_ttl_s()).arg(who.executions_key_ttl_s());
    cmd.arg(update.state.unwrap_or_default());
    cmd.arg(update.shutdown_requested.map(|at| at.to_string()).unwrap_or_default()).arg(&who.name);
    for Claimed { id, origin } in running {
        cmd.arg(origin).arg(id.job_id()).arg(id.x());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let codes: Vec<i64> = single(NAME, answers)?;
        // The first number is of the worker's record, below 0 where it has expired: the script then wrote nothing
        // into it, as a record of two fields would pass for a whole one.
        let Some((&count, alive)) = codes.split_first() else {
            return Err(Error::UnexpectedReply { step: NAME, got: "nothing".to_owned() });
        };
        Ok(Pulse { record_gone: count < 0, alive: alive.iter().map(|&code| code == 1).collect() })
    })
}

/// What a heartbeat found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The worker's record is gone and must be written again.
    pub record_gone: bool,
    /// Per execution, whether it is still this worker's.
    pub alive: Vec<bool>,
}

/// Unregisters the worker, whose last state is `state`.
pub fn death(who: &Identity, queues: &[String], state: &str) -> Step<()> {
    const NAME: &str = "death";
    let keys = &who.keys;
    let (first, others) = queues.split_at(queues.len().min(QUEUES_MAX));
    let (worker, claims, executions) =
        (keys.worker(&who.name), keys.claims(&who.name), keys.worker_executions(&who.name));
    let mut death_keys = vec![worker.clone(), keys.workers(), claims, executions];
    death_keys.extend(first.iter().map(|queue| keys.queue_workers(queue)));
    let mut cmd = scripts::DEATH.invoke(&death_keys);
    // The record stays for a while with `death` in it, which frees the name at once (docs/wire.md §8.2).
    cmd.arg(Timestamp::now().to_string()).arg(DEATH_KEPT_S).arg(state);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    for queue in others {
        pipeline.cmd("SREM").arg(keys.queue_workers(queue)).arg(&worker);
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        // Those to what follows the script are errors where keys are of another type, which harm nobody.
        read(NAME, first_of(NAME, answers)?.0)
    })
}
