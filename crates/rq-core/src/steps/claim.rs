//! Steps of a job on its way into a worker and while it runs: claim, begin, put back, renew, save meta.

use crate::error::Error;
use crate::execution::{Claimed, ExecutionId, fresh_x};
use crate::fields::Fields;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::scripts;
use crate::steps::worker::{HEARTBEAT_BATCH_MAX, Identity};
use crate::steps::{BATCH_MAX, read, read_record, single};
use crate::time::Timestamp;

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The claimed jobs; none when the queues are empty.
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
    // The ids belong to the step, not to its sending: the answer names none, and one that is given again has to fit.
    let xs: Vec<String> = (0..want).map(|_| fresh_x()).collect();
    let mut cmd = scripts::CLAIM.invoke(&claim_keys);
    cmd.arg(keys.prefix()).arg(&who.name).arg(now.to_string()).arg(now.epoch_text()).arg(now.epoch_secs());
    cmd.arg(who.execution_ttl_s())
        .arg(number)
        .arg(who.worker_key_ttl_s())
        .arg(who.executions_key_ttl_s())
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
    // What was dropped may have any bytes as its name, which only the log sees; what is claimed is UTF-8, as the
    // script drops the rest.
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
        // The k-th claimed job has the k-th execution id that was sent; more of them than ids is no answer of the
        // script's.
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
    // Not part of the claim, though a round trip could be spared: whoever dies before this provably began nothing
    // (docs/design/claims-and-fences.md).
    let mut cmd = scripts::BEGIN.invoke(&[keys.unbegun(&who.name)]);
    cmd.arg(keys.prefix()).arg(&who.name).arg(who.wip_score(Timestamp::now()));
    for Claimed { id, origin } in claimed {
        cmd.arg(origin).arg(id.job_id()).arg(id.x());
    }
    let mut pipeline = redis::Pipeline::with_capacity(claimed.len() + 1);
    pipeline.add_command(cmd);
    for Claimed { id, .. } in claimed {
        // Not in one transaction with the mark: a job that is deleted between them gives an empty hash, and must not
        // run.
        pipeline.cmd("HGETALL").arg(keys.job(id.job_id()));
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let mut answers = answers.into_iter();
        let Some(marks) = answers.next() else {
            return Err(Error::UnexpectedReply { step: NAME, got: "nothing".to_owned() });
        };
        let marks: Vec<bool> = read(NAME, marks)?;
        let begun = marks.into_iter().zip(answers).map(|(may_run, hash)| {
            Ok(Some(read_record(NAME, hash)?).filter(|fields| may_run && !fields.is_empty()))
        });
        begun.collect()
    })
}

/// Gives claimed jobs that were never begun back to their queues. Per execution, whether there was one to give back.
pub fn put_back(who: &Identity, claimed: &[Claimed]) -> Step<Vec<bool>> {
    const NAME: &str = "put back";
    // The worker's key only tells a cluster which node is meant; the script finds the others by their prefix.
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
        // The answers are in the order of the pushes, and the caller counts in its own.
        put_back.reverse();
        Ok(put_back)
    })
}

/// Renews the leases of `running`, at most [`HEARTBEAT_BATCH_MAX`], and writes down again what `rq:wip` or `rq:leases`
/// have lost. Per execution, whether the worker still holds it.
pub fn renew(who: &Identity, running: &[Claimed]) -> Step<Vec<bool>> {
    const NAME: &str = "renew leases";
    assert!(running.len() <= HEARTBEAT_BATCH_MAX, "the caller cuts leases into batches");
    let mut cmd = scripts::RENEW.invoke(&[who.keys.leases(), who.keys.worker(&who.name)]);
    // The worker's record is extended as well: that is the script's first write, an EXPIRE, which Redis allows at
    // `maxmemory`.
    cmd.arg(who.keys.prefix()).arg(&who.name).arg(who.worker_key_ttl_s()).arg(who.lease_ms());
    cmd.arg(who.wip_score(Timestamp::now()));
    for Claimed { id, origin } in running {
        cmd.arg(origin).arg(id.to_string());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Stores the meta that jobs saved while `worker` ran them. Per execution, whether it was still that worker's.
pub fn save_meta(keys: &Keys, worker: &str, metas: &[(Claimed, Vec<u8>)]) -> Step<Vec<bool>> {
    const NAME: &str = "save meta";
    // For routing alone. At `maxmemory` this script is refused whole, unlike others of the worker: meta may grow
    // without end.
    let mut cmd = scripts::SAVE_META.invoke(&[keys.suspended()]);
    cmd.arg(keys.prefix()).arg(worker);
    for (Claimed { id, origin }, meta) in metas {
        cmd.arg(origin).arg(id.job_id()).arg(id.x()).arg(meta);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
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
