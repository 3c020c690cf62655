//! [`Settlement`]: the step that ends executions, each with one outcome.

use std::time::Duration;

use crate::conclusion::{Conclusion, NextPlace, Settled};
use crate::error::Error;
use crate::execution::Claimed;
use crate::keys::Keys;
use crate::link::Step;
use crate::result;
use crate::scripts;
use crate::steps::outbox::Post;
use crate::steps::{BATCH_MAX, single};
use crate::time::Timestamp;

/// One execution to be settled.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which.
    pub claimed: Claimed,
    /// How it ended, and what becomes of its job.
    pub conclusion: Conclusion,
    /// The key of the rate limit the job has a slot of.
    pub slot: Option<String>,
    /// The group the job is in.
    pub group: Option<String>,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long the job itself ran.
    pub ran: Duration,
    /// The meta it saved while it ran, if it did.
    pub meta: Option<Vec<u8>>,
    /// What is to be done outside of Redis because of this end.
    pub posts: Vec<Post>,
}

impl Settlement {
    /// How many bytes of value, text, meta and posts it writes, before they are encoded for the stream.
    #[cfg(feature = "worker")]
    pub fn len_bytes(&self) -> usize {
        let outcome = match &self.conclusion.settled {
            Settled::Finished(value) => value.as_ref().map_or(0, Vec::len),
            Settled::Failed(text) | Settled::Stopped(text) => text.len(),
            Settled::Again(text) => text.as_ref().map_or(0, String::len),
            Settled::Exhausted => 0,
        };
        let posts: usize = self.posts.iter().map(|post| post.body.len()).sum();
        outcome + self.meta.as_ref().map_or(0, Vec::len) + posts
    }
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleReply {
    /// The execution was no longer this worker's; nothing was done.
    Lost,
    /// Done, now or by an earlier sending of the same step.
    Done,
    /// Done, and dependents of the job are left to be [released](crate::steps::job::release).
    DependentsLeft,
    /// The job was deleted meanwhile.
    Deleted,
    /// Done, and the job's record was left to the life it has been given meanwhile: somebody has enqueued the id anew
    /// while this execution ran.
    Superseded,
}

/// Settles at most [`BATCH_MAX`] executions. `worker` is `None` for inline runs, which have none.
pub fn settle(keys: &Keys, worker: Option<&str>, settlements: &[Settlement]) -> Step<Vec<SettleReply>> {
    const NAME: &str = "settle";
    assert!(settlements.len() <= BATCH_MAX, "the caller cuts settlements into batches");
    // The script takes an empty name for an inline run: there is no lease to take back and nobody whose jobs to
    // count.
    let name = worker.unwrap_or_default();
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

/// The arguments of the scripts' parts `conclude` and `post`.
pub(super) fn push_conclusion(cmd: &mut redis::Cmd, settlement: &Settlement) {
    let Settlement { conclusion, slot, group, claimed_at, ended_at, ran, meta, .. } = settlement;
    let (status, payload) = match &conclusion.settled {
        Settled::Finished(value) => ("finished", value.as_deref().map(result::encode_value)),
        Settled::Failed(text) => ("failed", Some(result::encode_failure_text(text))),
        Settled::Stopped(text) => ("stopped", Some(result::encode_failure_text(text))),
        // Python's entry holds a pickled `Retry` here, which others may leave out (docs/wire.md §7).
        Settled::Exhausted => ("failed", None),
        Settled::Again(text) => ("again", text.as_deref().map(result::encode_failure_text)),
    };
    cmd.arg(status);
    let payload = if conclusion.filed {
        cmd.arg(conclusion.settled.kind().to_wire()).arg(conclusion.ttl.to_wire());
        payload
    } else {
        cmd.arg("").arg("");
        None
    };
    // The result's `execution_started_at` is the time of the claim (docs/wire.md §24.3); the job's `started_at` is
    // that of the run, the end less what it took.
    cmd.arg(payload.unwrap_or_default()).arg(claimed_at.epoch_text());
    cmd.arg(ended_at.before(*ran).to_string()).arg(ended_at.to_string()).arg(ended_at.epoch_text());
    // Empty leaves the job's meta as it is: a run that saved none must not blank what is there.
    cmd.arg(meta.as_deref().unwrap_or_default()).arg(slot.as_deref().unwrap_or_default());
    cmd.arg(group.as_deref().unwrap_or_default());
    match conclusion.next {
        None => cmd.arg(""),
        Some(NextPlace::Head) => cmd.arg("L"),
        Some(NextPlace::Tail) => cmd.arg("R"),
        Some(NextPlace::At(due_s)) => cmd.arg(due_s),
    };
    cmd.arg(conclusion.changes.len());
    for (field, value) in &conclusion.changes {
        cmd.arg(*field).arg(value);
    }
    cmd.arg(settlement.posts.len());
    for Post { to, body } in &settlement.posts {
        cmd.arg(to.name()).arg(body);
    }
}

fn read_settling(code: i64) -> Result<SettleReply, Error> {
    match code {
        0 => Ok(SettleReply::Lost),
        // 2 is an earlier sending whose answer was lost; it was done, and that is all the caller asks.
        1 | 2 => Ok(SettleReply::Done),
        3 => Ok(SettleReply::Deleted),
        4 => Ok(SettleReply::DependentsLeft),
        5 => Ok(SettleReply::Superseded),
        other => Err(Error::UnexpectedReply { step: "settle", got: other.to_string() }),
    }
}
