//! Our own claim, begin and settle, driven by a loop that runs no job: what the protocol costs, whatever the worker.

use std::time::Duration;

use anyhow::{Result, ensure};
use rq_core::link::Link;
use rq_core::steps::claim::Claim;
use rq_core::steps::settlement::Settlement;
use rq_core::steps::worker::Identity;
use rq_core::steps::{BATCH_MAX, Claimed, claim, settlement, worker};
use rq_core::{Conclusion, Fields, Job, Keys, Timestamp, Ttl, WorkerRecord};

use crate::stage::{Drained, QUEUE, Stage};

/// How many loops are at it at once, each a worker of its own.
const LOOPS: usize = 8;
/// RQ's defaults, and the lease of our workers.
const WORKER_TTL: Duration = Duration::from_secs(420);
const MONITORING_INTERVAL: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(10);
/// The value 5 as pickle, as the trivial job leaves it.
const RESULT: &[u8] = b"\x80\x04K\x05.";

/// Drains the queue of `jobs` trivial jobs.
pub(crate) fn drain(stage: &mut Stage, jobs: usize) -> Result<Drained> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let drained = stage.measure(jobs, |stage| {
        runtime.block_on(async {
            let link = Link::open(&stage.url).await?;
            let loops = (0..LOOPS).map(|number| drain_batches(&link, identity(&stage.keys, number)));
            futures_util::future::try_join_all(loops).await?;
            Ok(())
        })
    })?;
    stage.check_finished(&[QUEUE], jobs)?;
    Ok(drained)
}

fn identity(keys: &Keys, number: usize) -> Identity {
    Identity {
        keys: keys.clone(),
        name: format!("bare-scripts-{number}"),
        worker_ttl: WORKER_TTL,
        monitoring_interval: MONITORING_INTERVAL,
        lease: LEASE,
    }
}

/// Takes batches until the queue is empty.
async fn drain_batches(link: &Link, who: Identity) -> Result<()> {
    let queues = [QUEUE.to_owned()];
    let mut record = WorkerRecord::new(who.name.as_str());
    record.birth = Some(Timestamp::now());
    record.queues = queues.to_vec();
    ensure!(link.run(&worker::birth(&who, &record)).await?, "a worker has the name {}", who.name);
    // Ends with the first claim that finds nothing.
    for number in 1.. {
        let claim = link.run(&claim::claim(&who, &queues, 0, number, BATCH_MAX)).await?;
        let Claim::Taken { claimed, .. } = claim else { break };
        if claimed.is_empty() {
            break;
        }
        let fetched = link.run(&claim::begin(&who, &claimed)).await?;
        let settlements: Result<Vec<Settlement>> = claimed
            .into_iter()
            .zip(fetched)
            .filter_map(|(claimed, fields)| Some(settlement(claimed, fields?)))
            .collect();
        link.run(&settlement::settle(&who.keys, Some(&who.name), &settlements?)).await?;
    }
    Ok(())
}

fn settlement(claimed: Claimed, fields: Fields) -> Result<Settlement> {
    let job = Job::from_fields(claimed.id.job_id(), fields)?;
    let ended_at = Timestamp::now();
    Ok(Settlement {
        conclusion: Conclusion::of(&job, Ok(Some(RESULT.to_vec())), ended_at, Ttl::RESULT_DEFAULT),
        slot: None,
        group: None,
        claimed_at: job.started_at.unwrap_or(ended_at),
        ended_at,
        ran: Duration::ZERO,
        meta: None,
        posts: Vec::new(),
        claimed,
    })
}
