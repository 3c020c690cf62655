//! Steps on silent executions: those whose worker stopped heartbeating.

use std::sync::Arc;
use std::time::Duration;

use crate::conclusion::Conclusion;
use crate::error::Error;
use crate::execution::ExecutionId;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::job::Job;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::on_crash::OnCrash;
use crate::scripts;
use crate::steps::settlement::{Settlement, push_conclusion};
use crate::steps::worker::Identity;
use crate::steps::{BATCH_MAX, Claimed};
use crate::steps::{exactly, read, read_clock_ms, read_record, single};
use crate::time::Timestamp;

/// The most silent executions one look finds; the next one finds the rest.
pub const FOUND_MAX: usize = 100;

/// By what an execution counts as silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// An execution of a worker of this project: its lease is over.
    Lease,
    /// An execution of a Python worker: its entry in `rq:wip` is over.
    Wip,
}

/// An execution whose worker seems to have stopped heartbeating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// The run.
    pub id: ExecutionId,
    /// The queue whose `rq:wip` was found to hold it; a lease does not say.
    pub origin: Option<String>,
}

impl Silent {
    /// What becomes of its job, whose hash is `fields`, if it may have begun. `on_crash` is for jobs without one of
    /// their own.
    pub fn end(&self, fields: Fields, on_crash: OnCrash) -> Abandonment {
        let in_hash = |field: &str| {
            fields.get(field).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
        };
        let origin = self.origin.clone().unwrap_or_else(|| in_hash("origin"));
        // By this name the script finds `rq:unbegun:<w>`, which says whether the job may have begun.
        let worker = in_hash("worker_name");
        // Of a record that cannot be read no retries are known, so the job fails.
        let job = Job::from_fields(self.id.job_id(), fields)
            .unwrap_or_else(|_| Job::new(self.id.job_id(), origin.as_str(), Vec::new()));
        let now = Timestamp::now();
        let failure = Failure::Abandoned { worker: worker.clone() };
        // A claim writes `started_at`, so that it is the time of the claim for our jobs; one of Python's may not have
        // it yet.
        let claimed_at = job.started_at.unwrap_or(now);
        let settlement = Settlement {
            claimed: Claimed { id: self.id.clone(), origin },
            conclusion: Conclusion::of_crash(&job, failure.text(), now, on_crash),
            slot: job.rate_limit().map(|(key, _)| key.to_owned()),
            group: job.group().map(str::to_owned),
            claimed_at,
            ended_at: now,
            ran: now.since(claimed_at),
            // Empty leaves what is stored: what its worker had not stored by then has died with it.
            meta: None,
            posts: Vec::new(),
        };
        Abandonment { job: Arc::new(job), worker, settlement }
    }
}

/// The end of an execution that is silent, if it may have begun.
#[derive(Clone, Debug)]
pub struct Abandonment {
    /// Its job, as it was.
    pub job: Arc<Job>,
    /// The worker that ran it.
    pub worker: String,
    /// The settlement to write.
    pub settlement: Settlement,
}

/// Whether any worker of this project holds an execution (`EXISTS rq:leases`): where none does, no lease can be over.
pub fn any_leases(keys: &Keys) -> Step<bool> {
    const NAME: &str = "look for leases";
    let mut pipeline = redis::pipe();
    pipeline.cmd("EXISTS").arg(keys.leases());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The leases that end first.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstLeases {
    /// The time of Redis' clock, in milliseconds since the epoch.
    pub clock_ms: f64,
    /// Per execution when its lease is over, by that clock; the first ones first.
    pub until_ms: Vec<(ExecutionId, f64)>,
}

impl FirstLeases {
    /// The executions whose lease is over, by Redis' clock.
    pub fn over(&self) -> Vec<Silent> {
        let over = self.until_ms.iter().filter(|(_, until_ms)| *until_ms <= self.clock_ms);
        over.map(|(id, _)| Silent { id: id.clone(), origin: None }).collect()
    }
}

/// The leases that end first, [`FOUND_MAX`] at most (`TIME`, `ZRANGE rq:leases`). Fails where Redis takes no writes: leases
/// cannot be renewed then, and those that are over say nothing.
pub fn first_leases(who: &Identity) -> Step<FirstLeases> {
    const NAME: &str = "look for leases that are over";
    let mut pipeline = redis::pipe();
    // A write that changes next to nothing, and is refused where others would be.
    pipeline.cmd("EXPIRE").arg(who.keys.worker(&who.name)).arg(who.worker_key_ttl_s());
    pipeline.cmd("TIME");
    pipeline.cmd("ZRANGE").arg(who.keys.leases()).arg(0).arg(FOUND_MAX - 1).arg("WITHSCORES");
    Step::new(NAME, pipeline, |answers: Answers| {
        let [written, clock, leases] = exactly(NAME, answers)?;
        let _: i64 = read(NAME, written)?;
        let clock_ms = read_clock_ms(NAME, clock)?;
        let leases: Vec<(Vec<u8>, f64)> = read(NAME, leases)?;
        let leases = leases.into_iter();
        let until_ms =
            leases.filter_map(|(member, until_ms)| Some((read_member(&member, None)?.id, until_ms)));
        Ok(FirstLeases { clock_ms, until_ms: until_ms.collect() })
    })
}

/// Executions in `rq:wip` of `queue` whose entry is over: Python's workers have no lease (`ZRANGEBYSCORE`). [`abandon`]
/// leaves out executions among them that have a lease.
pub fn wip_over(keys: &Keys, queue: &str) -> Step<Vec<Silent>> {
    const NAME: &str = "look for abandoned jobs";
    let mut pipeline = redis::pipe();
    // Python writes these scores by its machine's clock. A wrong guess does no harm: `abandon` looks again, by Redis'
    // clock.
    let now_s = Timestamp::now().epoch_secs();
    // From 0 on, as Python tests for abandoned executions: a score below never ends (docs/wire.md §5).
    pipeline.cmd("ZRANGEBYSCORE").arg(keys.wip(queue)).arg(0).arg(now_s).arg("LIMIT").arg(0).arg(FOUND_MAX);
    let queue = queue.to_owned();
    Step::new(NAME, pipeline, move |answers| {
        let members: Vec<Vec<u8>> = single(NAME, answers)?;
        Ok(members.iter().filter_map(|member| read_member(member, Some(&queue))).collect())
    })
}

/// `<id>:<x>`; RQ before 2.0 writes the id alone, and such a member has no execution to be abandoned.
fn read_member(member: &[u8], origin: Option<&str>) -> Option<Silent> {
    let member = std::str::from_utf8(member).ok()?;
    let (id, x) = member.rsplit_once(':')?;
    Some(Silent { id: ExecutionId::from_parts(id, x), origin: origin.map(str::to_owned) })
}

/// What is known about silent executions.
#[derive(Clone, Debug)]
pub struct Remains {
    /// How long the server has been up: while it was away no worker could renew a lease.
    pub uptime: Duration,
    /// Per execution the hash of its job, empty where it is gone. Its `worker_name` is that of the execution, where that is
    /// known: the record may be in another life by now.
    pub jobs: Vec<Fields>,
}

/// Fetches the jobs of silent executions (`HGETALL`) and whose executions they are (`HGET`), and how long the server has
/// been up (`INFO server`).
pub fn remains(keys: &Keys, silent: &[Silent]) -> Step<Remains> {
    const NAME: &str = "fetch the jobs of silent executions";
    let mut pipeline = redis::pipe();
    // A server that was away itself has all leases over, those of living workers too: the caller judges by its
    // uptime.
    pipeline.cmd("INFO").arg("server");
    for Silent { id, .. } in silent {
        pipeline.cmd("HGETALL").arg(keys.job(id.job_id()));
        pipeline.cmd("HGET").arg(keys.execution(id.job_id(), id.x())).arg("worker_name");
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let mut answers = answers.into_iter();
        // A server that does not report its uptime is taken to have been up all the time.
        let info = answers.next().and_then(|info| read::<redis::InfoDict>(NAME, info).ok());
        let uptime_s = info.and_then(|info| info.get::<u64>("uptime_in_seconds"));
        let uptime = uptime_s.map_or(Duration::MAX, Duration::from_secs);
        // A key that is no hash is as good as gone: the script clears the execution's records, and the others go on.
        let mut jobs = Vec::new();
        while let Some((hash, worker)) = answers.next().zip(answers.next()) {
            let mut fields = read_record(NAME, hash)?;
            if let Ok(Some(worker)) = read::<Option<Vec<u8>>>(NAME, worker)
                && !fields.is_empty()
            {
                fields.set("worker_name", worker);
            }
            jobs.push(fields);
        }
        Ok(Remains { uptime, jobs })
    })
}

/// What became of an execution that was taken for silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbandonReply {
    /// Its worker has renewed it after all, or it is not there any more.
    No,
    /// It may have begun, and was concluded.
    Concluded,
    /// As [`AbandonReply::Concluded`], and dependents of the job are left to be released.
    DependentsLeft,
    /// It provably never began; its job waits again.
    PutBack,
    /// The job is gone, has ended in another way, or is in a life that somebody has given it since; the execution's
    /// records are cleared.
    Cleared,
}

/// Ends at most [`BATCH_MAX`] executions that are silent, each as its settlement says if it may have begun.
pub fn abandon(keys: &Keys, sign: Evidence, executions: &[Abandonment]) -> Step<Vec<AbandonReply>> {
    const NAME: &str = "abandon";
    assert!(executions.len() <= BATCH_MAX, "the caller cuts executions into batches");
    let now = Timestamp::now();
    let mut cmd = scripts::ABANDON.invoke(&[keys.leases()]);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs());
    cmd.arg(match sign {
        Evidence::Lease => "lease",
        Evidence::Wip => "wip",
    });
    for Abandonment { worker, settlement, .. } in executions {
        let Claimed { id, origin } = &settlement.claimed;
        // The conclusion goes along for every execution. Whether it has begun the script sees, as the worker may
        // still begin it until then.
        cmd.arg(origin).arg(id.job_id()).arg(id.x()).arg(worker);
        push_conclusion(&mut cmd, settlement);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let codes: Vec<i64> = single(NAME, answers)?;
        codes.into_iter().map(read_reply).collect()
    })
}

fn read_reply(code: i64) -> Result<AbandonReply, Error> {
    match code {
        0 => Ok(AbandonReply::No),
        1 => Ok(AbandonReply::Concluded),
        2 => Ok(AbandonReply::PutBack),
        3 | 5 => Ok(AbandonReply::Cleared),
        4 => Ok(AbandonReply::DependentsLeft),
        other => Err(Error::UnexpectedReply { step: "abandon", got: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_name_a_job_and_its_run() {
        let silent = read_member(b"a-b:0f", Some("q")).unwrap();
        assert_eq!((silent.id.job_id(), silent.id.x()), ("a-b", "0f"));
        assert_eq!(read_member(b"old", Some("q")), None);
        assert_eq!(read_member(b"\xff:x", None), None);
    }
}
