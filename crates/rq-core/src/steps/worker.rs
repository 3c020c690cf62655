//! Steps of a worker: birth, claim, begin, settle, heartbeat, death.

use std::time::Duration;

use redis::Value as Reply;

use crate::conclusion::{Conclusion, Next, Settled};
use crate::error::Error;
use crate::execution::ExecutionId;
use crate::fields::Fields;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::result;
use crate::scripts;
use crate::steps::{names_of, read, read_hash, single};
use crate::time::Timestamp;
use crate::ttl::whole_seconds;
use crate::worker_record::WorkerRecord;

/// The most jobs one claim takes, and the most executions one settle ends: larger batches stall others for
/// milliseconds and make slots wait for each other.
pub const BATCH_MAX: usize = 16;
/// The most executions one heartbeat covers.
pub const HEARTBEAT_BATCH_MAX: usize = 100;
/// How long Redis keeps a worker's record after its death, in seconds (wire spec §8.4).
const DEATH_KEPT_S: u64 = 60;
/// How long a record outlives the last heartbeat that was due, in seconds: RQ's margin.
const HEARTBEAT_MARGIN_S: u64 = 60;

/// Who a worker is, for every step it takes.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Under which keys.
    pub keys: Keys,
    /// Its name.
    pub name: String,
    /// RQ's `--worker-ttl`: how long it may be silent.
    pub worker_ttl: Duration,
    /// RQ's `--job-monitoring-interval`: how often it says that a job runs.
    pub monitoring_interval: Duration,
    /// How long it may be silent before its executions are taken from it.
    pub lease: Duration,
}

impl Identity {
    fn worker_key_ttl_s(&self) -> u64 {
        self.worker_ttl.as_secs() + HEARTBEAT_MARGIN_S
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// RQ's heartbeat ttl, normally 90 s (wire spec §6). A shorter one makes Python fail our live jobs.
    fn execution_ttl_s(&self) -> u64 {
        self.monitoring_interval.as_secs() + HEARTBEAT_MARGIN_S
    }
}

/// An execution in Redis: the run, and the queue whose registries hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The run.
    pub id: ExecutionId,
    /// The job's origin.
    pub origin: String,
}

/// Registers the worker (`CLIENT SETNAME`, then the script). `false`: a living worker has the name.
pub fn birth(who: &Identity, record: &WorkerRecord) -> Step<bool> {
    const NAME: &str = "birth";
    let keys = &who.keys;
    let mut birth_keys = vec![keys.worker(&who.name), keys.workers(), keys.claims(&who.name)];
    birth_keys.extend(record.queues.iter().map(|queue| keys.queue_workers(queue)));
    let mut cmd = scripts::BIRTH.invoke(&birth_keys);
    cmd.arg(who.worker_key_ttl_s()).arg(record.birth.map(|birth| birth.to_string()));
    for (field, value) in record.to_fields().iter() {
        cmd.arg(field).arg(value);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Names this connection and asks what address Redis sees (`CLIENT SETNAME`, `CLIENT INFO`); `unknown` where Redis
/// does not tell. Names with spaces are refused by Redis, which harms nobody.
pub fn introduce(name: &str) -> Step<String> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLIENT").arg("SETNAME").arg(name);
    pipeline.cmd("CLIENT").arg("INFO");
    Step::new("introduce", pipeline, |answers: Answers| {
        let info = match answers.into_iter().nth(1) {
            Some(Ok(Reply::BulkString(info))) => String::from_utf8_lossy(&info).into_owned(),
            Some(Ok(Reply::VerbatimString { text, .. })) => text,
            _ => String::new(),
        };
        let address = info.split_whitespace().find_map(|pair| pair.strip_prefix("addr="));
        Ok(address.unwrap_or("unknown").to_owned())
    })
}

/// What server this is (`INFO server`).
pub fn server_info() -> Step<redis::InfoDict> {
    const NAME: &str = "server info";
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server");
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Whether all workers are suspended.
pub fn is_suspended(keys: &Keys) -> Step<bool> {
    const NAME: &str = "suspension";
    let mut pipeline = redis::pipe();
    pipeline.cmd("EXISTS").arg(keys.suspended());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Suspends all workers, Python's too, until somebody [resumes](resume) them or `longest` has passed (`SET`). What runs
/// goes on.
pub fn suspend(keys: &Keys, longest: Option<Duration>) -> Step<()> {
    const NAME: &str = "suspend";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg(keys.suspended()).arg(1);
    if let Some(longest) = longest {
        // Redis refuses no time at all.
        pipeline.arg("EX").arg(whole_seconds(longest).max(1));
    }
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Lets suspended workers go on (`DEL`). Whether they were suspended.
pub fn resume(keys: &Keys) -> Step<bool> {
    const NAME: &str = "resume";
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEL").arg(keys.suspended());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Unregisters the worker.
pub fn death(who: &Identity, queues: &[String]) -> Step<()> {
    const NAME: &str = "death";
    let keys = &who.keys;
    let (worker, claims, executions) =
        (keys.worker(&who.name), keys.claims(&who.name), keys.worker_executions(&who.name));
    let mut death_keys = vec![worker, keys.workers(), claims, executions];
    death_keys.extend(queues.iter().map(|queue| keys.queue_workers(queue)));
    let mut cmd = scripts::DEATH.invoke(&death_keys);
    cmd.arg(Timestamp::now().to_string()).arg(DEATH_KEPT_S);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// What a claim got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// These; none when the queues are empty.
    Taken {
        /// Claimed, in queue order.
        claimed: Vec<Claimed>,
        /// Taken off a list and not run, with the reason.
        dropped: Vec<(String, String)>,
        /// Whether the claim ended because it had dropped so many, and not because the queues are empty.
        more: bool,
    },
    /// All workers are suspended.
    Suspended,
}

/// Claims at most `want` jobs off `queues`, in that order: at most `per_turn` of one queue before the next one's turn,
/// and as many as it has where that is 0. `number` rises by one from one claim to the next; a step
/// sent again gets the first answer, as long as the claim after the next has not been sent.
///
/// # Panics
/// If `want` is zero or above [`BATCH_MAX`].
pub fn claim(who: &Identity, queues: &[String], per_turn: usize, number: u64, want: usize) -> Step<Claim> {
    const NAME: &str = "claim";
    assert!((1..=BATCH_MAX).contains(&want), "a claim is for 1 to {BATCH_MAX} jobs, not {want}");
    let keys = &who.keys;
    let mut claim_keys = vec![
        keys.worker(&who.name),
        keys.worker_executions(&who.name),
        keys.claims(&who.name),
        keys.suspended(),
        keys.leases(),
        keys.unbegun(&who.name),
    ];
    claim_keys.extend(queues.iter().map(|queue| keys.queue(queue)));
    let now = Timestamp::now();
    let xs: Vec<String> = (0..want).map(|_| crate::execution::fresh_x()).collect();
    let mut cmd = scripts::CLAIM.invoke(&claim_keys);
    cmd.arg(keys.prefix()).arg(&who.name).arg(now.to_string()).arg(now.epoch_text()).arg(now.epoch_secs());
    cmd.arg(who.execution_ttl_s())
        .arg(number)
        .arg(who.worker_key_ttl_s())
        .arg(who.lease_ms())
        .arg(per_turn)
        .arg(queues.len())
        .arg(queues)
        .arg(&xs);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, move |answers| read_claim(&xs, single(NAME, answers)?))
}

fn read_claim(xs: &[String], answer: Vec<Vec<u8>>) -> Result<Claim, Error> {
    let unexpected = |got: String| Err(Error::UnexpectedReply { step: "claim", got });
    let mut words = answer.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned());
    let more = match words.next().as_deref() {
        Some("ok") => false,
        Some("more") => true,
        Some("suspended") => return Ok(Claim::Suspended),
        other => return unexpected(format!("{other:?}")),
    };
    let (mut claimed, mut dropped) = (Vec::new(), Vec::new());
    while let Some(kind) = words.next() {
        let (Some(id), Some(what)) = (words.next(), words.next()) else {
            return unexpected("an answer that is cut off".to_owned());
        };
        match (kind.as_str(), xs.get(claimed.len())) {
            ("c", Some(x)) => claimed.push(Claimed { id: ExecutionId::from_parts(&id, x), origin: what }),
            ("d", _) => dropped.push((id, what)),
            _ => return unexpected(format!("{kind} {id}")),
        }
    }
    Ok(Claim::Taken { claimed, dropped, more })
}

/// Marks claimed executions as begun and fetches their jobs' hashes. `None` for one that must not be run: it was put
/// back, canceled or deleted meanwhile.
pub fn begin(who: &Identity, claimed: &[Claimed]) -> Step<Vec<Option<Fields>>> {
    const NAME: &str = "begin";
    let keys = &who.keys;
    let mut cmd = scripts::BEGIN.invoke(&[keys.unbegun(&who.name)]);
    cmd.arg(keys.prefix());
    for Claimed { id, origin } in claimed {
        cmd.arg(origin).arg(id.job_id()).arg(id.x());
    }
    let mut pipeline = redis::Pipeline::with_capacity(claimed.len() + 1);
    pipeline.add_command(cmd);
    for Claimed { id, .. } in claimed {
        pipeline.cmd("HGETALL").arg(keys.job(id.job_id()));
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let mut answers = answers.into_iter();
        let Some(marks) = answers.next() else {
            return Err(Error::UnexpectedReply { step: NAME, got: "nothing".to_owned() });
        };
        let marks: Vec<bool> = read(NAME, marks)?;
        let begun = marks.into_iter().zip(answers).map(|(may_run, hash)| {
            // A hash of another type by now belongs to no job of ours.
            Ok(read_hash(NAME, hash).ok().filter(|fields| may_run && !fields.is_empty()))
        });
        begun.collect()
    })
}

/// Gives claimed jobs that were never begun back to their queues. Per execution, whether there was one to give back.
pub fn put_back(who: &Identity, claimed: &[Claimed]) -> Step<Vec<bool>> {
    const NAME: &str = "put back";
    let mut cmd = scripts::PUT_BACK.invoke(&[who.keys.worker(&who.name)]);
    cmd.arg(who.keys.prefix()).arg(Timestamp::now().to_string()).arg(&who.name);
    // The first one claimed is pushed last, so that it is next again.
    for Claimed { id, origin } in claimed.iter().rev() {
        cmd.arg(origin).arg(id.job_id()).arg(id.x());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let mut put_back: Vec<bool> = single(NAME, answers)?;
        put_back.reverse();
        Ok(put_back)
    })
}

/// One execution to be settled.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which.
    pub claimed: Claimed,
    /// How it ended, and what becomes of its job.
    pub conclusion: Conclusion,
    /// The key of the rate limit the job has a slot of.
    pub slot: Option<String>,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long the job itself ran.
    pub ran: Duration,
    /// The meta it saved while it ran, if it did.
    pub meta: Option<Vec<u8>>,
}

impl Settlement {
    /// How large what it writes is, before it is encoded for the stream.
    pub fn len_bytes(&self) -> usize {
        let outcome = match &self.conclusion.settled {
            Settled::Finished(value) => value.as_ref().map_or(0, Vec::len),
            Settled::Failed(text) | Settled::Stopped(text) => text.len(),
            Settled::Again(text) => text.as_ref().map_or(0, String::len),
            Settled::Exhausted => 0,
        };
        outcome + self.meta.as_ref().map_or(0, Vec::len)
    }
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// The execution was no longer ours; nothing was done.
    Lost,
    /// Done, now or by an earlier sending of the same step.
    Done,
    /// Done, and dependents of the job are left to be [released](crate::steps::job::release).
    DependentsLeft,
    /// The job was deleted meanwhile.
    Deleted,
}

/// Settles at most [`BATCH_MAX`] executions. `who` is `None` for inline runs, which have no worker.
pub fn settle(keys: &Keys, who: Option<&Identity>, settlements: &[Settlement]) -> Step<Vec<Settling>> {
    const NAME: &str = "settle";
    assert!(settlements.len() <= BATCH_MAX, "the caller cuts settlements into batches");
    let name = who.map_or("", |who| who.name.as_str());
    let now = Timestamp::now();
    let mut cmd = scripts::SETTLE.invoke(&[keys.worker(name), keys.worker_executions(name), keys.leases()]);
    cmd.arg(keys.prefix()).arg(name).arg(now.to_string()).arg(now.epoch_secs());
    for settlement in settlements {
        let Settlement { claimed: Claimed { id, origin }, ran, .. } = settlement;
        cmd.arg(origin).arg(id.job_id()).arg(id.x()).arg(format!("{:.6}", ran.as_secs_f64()));
        push_conclusion(&mut cmd, settlement);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let codes: Vec<i64> = single(NAME, answers)?;
        codes.into_iter().map(read_settling).collect()
    })
}

/// The arguments of the scripts' part `conclude`.
pub(super) fn push_conclusion(cmd: &mut redis::Cmd, settlement: &Settlement) {
    let Settlement { conclusion, slot, claimed_at, ended_at, ran, meta, .. } = settlement;
    let (status, payload) = match &conclusion.settled {
        Settled::Finished(value) => ("finished", value.as_deref().map(result::encode_value)),
        Settled::Failed(text) => ("failed", Some(result::encode_failure_text(text))),
        Settled::Stopped(text) => ("stopped", Some(result::encode_failure_text(text))),
        Settled::Exhausted => ("failed", None),
        Settled::Again(text) => ("again", text.as_deref().map(result::encode_failure_text)),
    };
    cmd.arg(status).arg(conclusion.settled.kind().to_wire()).arg(conclusion.ttl.to_wire());
    cmd.arg(payload.unwrap_or_default()).arg(claimed_at.epoch_text());
    cmd.arg(ended_at.before(*ran).to_string()).arg(ended_at.to_string()).arg(ended_at.epoch_text());
    cmd.arg(meta.as_deref().unwrap_or_default()).arg(slot.as_deref().unwrap_or_default());
    match conclusion.next {
        None => cmd.arg(""),
        Some(Next::Head) => cmd.arg("L"),
        Some(Next::Tail) => cmd.arg("R"),
        Some(Next::At(due_s)) => cmd.arg(due_s),
    };
    cmd.arg(conclusion.changes.len());
    for (field, value) in &conclusion.changes {
        cmd.arg(*field).arg(value);
    }
}

fn read_settling(code: i64) -> Result<Settling, Error> {
    match code {
        0 => Ok(Settling::Lost),
        1 | 2 => Ok(Settling::Done),
        3 => Ok(Settling::Deleted),
        4 => Ok(Settling::DependentsLeft),
        other => Err(Error::UnexpectedReply { step: "settle", got: other.to_string() }),
    }
}

/// What a heartbeat found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The worker's record is gone and must be written again.
    pub record_gone: bool,
    /// Per execution, whether it is still ours.
    pub alive: Vec<bool>,
}

/// What a heartbeat says beside "I live".
#[derive(Clone, Copy, Debug, Default)]
pub struct News {
    /// The worker's new state: `started`, `idle`, `busy` or `suspended`.
    pub state: Option<&'static str>,
    /// When it was asked to stop while it was busy (wire spec §10.10).
    pub shutdown_requested: Option<Timestamp>,
}

/// Says that the worker lives and runs `running`, at most [`HEARTBEAT_BATCH_MAX`].
pub fn heartbeat(who: &Identity, news: News, running: &[Claimed]) -> Step<Pulse> {
    const NAME: &str = "heartbeat";
    assert!(running.len() <= HEARTBEAT_BATCH_MAX, "the caller cuts heartbeats into batches");
    let now = Timestamp::now();
    let mut cmd =
        scripts::HEARTBEAT.invoke(&[who.keys.worker(&who.name), who.keys.worker_executions(&who.name)]);
    cmd.arg(who.keys.prefix()).arg(now.to_string()).arg(now.epoch_text()).arg(now.epoch_secs());
    cmd.arg(who.execution_ttl_s()).arg(who.worker_key_ttl_s()).arg(news.state.unwrap_or_default());
    cmd.arg(news.shutdown_requested.map(|at| at.to_string()).unwrap_or_default());
    for Claimed { id, origin } in running {
        cmd.arg(origin).arg(id.job_id()).arg(id.x());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let codes: Vec<i64> = single(NAME, answers)?;
        let Some((&count, alive)) = codes.split_first() else {
            return Err(Error::UnexpectedReply { step: NAME, got: "nothing".to_owned() });
        };
        Ok(Pulse { record_gone: count < 0, alive: alive.iter().map(|&code| code == 1).collect() })
    })
}

/// Says that the worker still holds `running`, at most [`HEARTBEAT_BATCH_MAX`]. Per execution, whether it does.
pub fn renew(who: &Identity, running: &[Claimed]) -> Step<Vec<bool>> {
    const NAME: &str = "renew leases";
    assert!(running.len() <= HEARTBEAT_BATCH_MAX, "the caller cuts leases into batches");
    let mut cmd = scripts::RENEW.invoke(&[who.keys.leases(), who.keys.worker(&who.name)]);
    cmd.arg(who.worker_key_ttl_s()).arg(who.lease_ms());
    for Claimed { id, .. } in running {
        cmd.arg(id.to_string());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Stores the meta that running jobs saved. Per execution, whether it was still ours.
pub fn save_meta(keys: &Keys, metas: &[(Claimed, Vec<u8>)]) -> Step<Vec<bool>> {
    const NAME: &str = "save meta";
    let mut cmd = scripts::SAVE_META.invoke(&[keys.suspended()]);
    cmd.arg(keys.prefix());
    for (Claimed { id, origin }, meta) in metas {
        cmd.arg(origin).arg(id.job_id()).arg(id.x()).arg(meta);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

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
            let fields = hash.ok().filter(|fields| !fields.is_empty())?;
            WorkerRecord::from_fields(name.as_str(), fields).ok()
        });
        Ok(records.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn claims_are_read_in_order() {
        let xs = ["x1".to_owned(), "x2".to_owned()];
        let claim = read_claim(&xs, words("ok c a high d b gone c c low")).unwrap();
        let claimed = |id: &str, x: &str, origin: &str| Claimed {
            id: ExecutionId::from_parts(id, x),
            origin: origin.to_owned(),
        };
        let expected = Claim::Taken {
            claimed: vec![claimed("a", "x1", "high"), claimed("c", "x2", "low")],
            dropped: vec![("b".to_owned(), "gone".to_owned())],
            more: false,
        };
        assert_eq!(claim, expected);
        assert!(matches!(read_claim(&xs, words("more d b gone")), Ok(Claim::Taken { more: true, .. })));
        assert_eq!(read_claim(&xs, words("suspended")).unwrap(), Claim::Suspended);
        for bad in ["", "stale", "ok c a", "ok e a b", "ok c a q c b q c c q"] {
            assert!(read_claim(&xs, words(bad)).is_err(), "{bad:?}");
        }
    }
}
