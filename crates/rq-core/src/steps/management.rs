//! Steps by which people manage jobs: cancel, delete, requeue, stop (docs/wire.md §12, §15).

use rq_wire::{Codec, CodecError, Value};

use crate::cancel::Cancel;
use crate::error::Error;
use crate::execution::fresh_x;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::registry_kind::RegistryKind;
use crate::scripts;
use crate::status::Status;
use crate::steps::queue::{JOBS_PER_ROUND_TRIP_MAX, JOBS_PER_SCRIPT_MAX};
use crate::steps::{exactly, read, single};
use crate::time::Timestamp;

/// What became of a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceled {
    /// The job is canceled, now or by an earlier sending of the same step.
    Done,
    /// The same, and dependents of the job are left to be [released](crate::steps::job::release).
    DependentsLeft,
    /// Another call has canceled it.
    Already,
    /// There is no such job.
    NoJob,
}

/// Cancels a job, whatever it is doing, and ended ones too, as RQ does.
///
/// The worker that runs it has lost it: workers of this project find out with the next renewal of their leases and ask
/// the job to end, Python's run it to its end.
pub fn cancel(keys: &Keys, id: &str, how: Cancel) -> Step<Canceled> {
    const NAME: &str = "cancel";
    let now = Timestamp::now();
    let mut cmd = scripts::CANCEL.invoke(&[keys.job(id)]);
    // The token of this call is kept in the job hash: sent again, the step knows its own cancel from somebody else's.
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(id).arg(fresh_x());
    cmd.arg(u8::from(how.releases_dependents)).arg(u8::from(how.leaves_dependencies));
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| match single::<redis::Value>(NAME, answers)? {
        redis::Value::Int(0) => Ok(Canceled::NoJob),
        redis::Value::Int(1) => Ok(Canceled::Done),
        redis::Value::Int(4) => Ok(Canceled::DependentsLeft),
        redis::Value::BulkString(_) => Ok(Canceled::Already),
        other => Err(Error::UnexpectedReply { step: NAME, got: format!("{other:?}") }),
    })
}

/// What became of a request to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The job is gone.
    Done,
    /// No queue or registry has it any more, and its record goes once the dependents that are left have been
    /// [released](crate::steps::job::release).
    DependentsLeft,
}

/// Takes jobs out of every queue and registry, and removes their records; their dependents wait for them no longer.
pub fn delete(keys: &Keys, ids: &[String]) -> Step<Vec<Deleted>> {
    const NAME: &str = "delete";
    let now = Timestamp::now();
    let mut pipeline = redis::Pipeline::with_capacity(ids.len());
    for id in ids {
        let mut cmd = scripts::DELETE.invoke(&[keys.job(id)]);
        cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(id);
        pipeline.add_command(cmd);
    }
    Step::new(NAME, pipeline, |answers| {
        let read = |answer| match read::<i64>(NAME, answer)? {
            1 => Ok(Deleted::Done),
            4 => Ok(Deleted::DependentsLeft),
            other => Err(Error::UnexpectedReply { step: NAME, got: other.to_string() }),
        };
        answers.into_iter().map(read).collect()
    })
}

/// What became of a job that was to be requeued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// It is in its queue, or waits for the slot of its rate limit; now, or by an earlier sending of the same step.
    Done,
    /// It is not in the registry.
    NotThere,
    /// It is in the registry, and elsewhere too: it waits or runs again, was canceled, or was enqueued again since, here
    /// or in another queue, and has ended in another registry. It was left as it is.
    Elsewhere,
    /// There is no such job. If the registry had its id, it has it no longer.
    NoJob,
}

impl Requeued {
    fn read(code: i64) -> Result<Requeued, Error> {
        match code {
            0 => Ok(Requeued::NotThere),
            1 => Ok(Requeued::Done),
            2 => Ok(Requeued::Elsewhere),
            3 => Ok(Requeued::NoJob),
            other => Err(Error::UnexpectedReply { step: "requeue", got: other.to_string() }),
        }
    }
}

/// Where ended jobs are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeueFrom<'a> {
    /// The registry that each one's record names.
    Record,
    /// A registry of the queue of this name: [`RegistryKind::Failed`] or [`RegistryKind::Finished`].
    Registry(RegistryKind, &'a str),
}

/// Puts ended jobs into their queues again, at the tail or, in the order given, at the head. At most
/// [`JOBS_PER_ROUND_TRIP_MAX`] a step. Per id, what became of it.
///
/// # Panics
/// If there are more, or `from` is a registry of jobs that have not ended.
pub fn requeue(keys: &Keys, from: RequeueFrom<'_>, at_front: bool, ids: &[String]) -> Step<Vec<Requeued>> {
    const NAME: &str = "requeue";
    assert!(ids.len() <= JOBS_PER_ROUND_TRIP_MAX, "the caller cuts jobs into round trips");
    let (registry, queue) = match from {
        RequeueFrom::Record => ("", ""),
        RequeueFrom::Registry(kind, queue) => {
            assert!(kind.can_requeue(), "{kind} jobs have not ended");
            (kind.as_str(), queue)
        }
    };
    // One token for all sendings of this call: a job that has run and failed between two of them must not run once
    // more.
    let (now, token) = (Timestamp::now(), fresh_x());
    // The first one is pushed last to the head, so that it is next.
    let ids: Vec<&String> = if at_front { ids.iter().rev().collect() } else { ids.iter().collect() };
    let mut pipeline = redis::Pipeline::with_capacity(ids.len().div_ceil(JOBS_PER_SCRIPT_MAX));
    for ids in ids.chunks(JOBS_PER_SCRIPT_MAX) {
        // For routing alone: which registries and queues the script writes to is in the jobs' records.
        let mut cmd = scripts::REQUEUE.invoke(&[keys.queues()]);
        cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(&token);
        cmd.arg(if at_front { "L" } else { "R" }).arg(registry).arg(queue).arg(ids);
        pipeline.add_command(cmd);
    }
    Step::new(NAME, pipeline, move |answers| {
        let mut requeued = Vec::new();
        for answer in answers {
            let codes: Vec<i64> = read(NAME, answer)?;
            requeued.extend(codes.into_iter().map(Requeued::read).collect::<Result<Vec<_>, Error>>()?);
        }
        if at_front {
            requeued.reverse();
        }
        Ok(requeued)
    })
}

/// What became of meta that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The job has it, now or by an earlier sending of the same step.
    Done,
    /// Somebody else has written another one since it was read.
    Changed,
    /// There is no such job.
    NoJob,
}

/// Replaces the meta of a job if it still is `read`.
pub fn write_meta(keys: &Keys, id: &str, read: &[u8], new: &[u8]) -> Step<Written> {
    const NAME: &str = "write meta";
    let mut pipeline = redis::pipe();
    let mut cmd = scripts::WRITE_META.invoke(&[keys.job(id)]);
    cmd.arg(read).arg(new);
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| match single::<i64>(NAME, answers)? {
        0 => Ok(Written::NoJob),
        1 => Ok(Written::Done),
        2 => Ok(Written::Changed),
        other => Err(Error::UnexpectedReply { step: NAME, got: other.to_string() }),
    })
}

/// The worker that runs a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The worker of this name.
    Worker(String),
    /// Nobody: it is in this status.
    Nobody(Status),
    /// There is no such job.
    NoJob,
}

/// Looks which worker runs a job (`HMGET`). The record names the worker also after the run, so the status decides.
pub fn runner(keys: &Keys, id: &str) -> Step<Runner> {
    const NAME: &str = "who runs a job";
    let mut pipeline = redis::pipe();
    pipeline.cmd("HMGET").arg(keys.job(id)).arg(&["status", "worker_name"]);
    // Of a key that is gone `HMGET` gives fields without value, as of a job without status, which is `created` to RQ.
    pipeline.cmd("EXISTS").arg(keys.job(id));
    Step::new(NAME, pipeline, |answers: Answers| {
        let [fields, exists] = exactly(NAME, answers)?;
        let (status, worker): (Option<String>, Option<String>) = read(NAME, fields)?;
        // An unknown status is not `started`: nobody is asked to stop such a job.
        let status = status.as_deref().and_then(Status::parse).unwrap_or(Status::Created);
        Ok(match worker.filter(|worker| !worker.is_empty()) {
            _ if !read::<bool>(NAME, exists)? => Runner::NoJob,
            Some(worker) if status == Status::Started => Runner::Worker(worker),
            _ => Runner::Nobody(status),
        })
    })
}

/// Asks a worker to stop a job it runs (`PUBLISH`). Returns whether a worker of that name listens.
///
/// Sent twice, the second command finds the worker at another job, or idle, and is ignored.
pub fn stop(keys: &Keys, worker: &str, job_id: &str) -> Result<Step<bool>, CodecError> {
    const NAME: &str = "stop";
    // JSON whatever the queue's codec is: so workers read commands. Anything malformed would end the thread on which
    // one of Python's hears them (docs/wire.md §15).
    let words = [("command", "stop-job"), ("job_id", job_id)];
    let command = Value::Dict(words.map(|(name, word)| (name.into(), word.into())).into());
    let mut pipeline = redis::pipe();
    pipeline.cmd("PUBLISH").arg(keys.pubsub(worker)).arg(Codec::Json.encode_value(&command)?);
    Ok(Step::new(NAME, pipeline, |answers| Ok(single::<i64>(NAME, answers)? > 0)))
}
