//! What the ticks of a cron cost: each is a script that decides it, once, and enqueues its job.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rq_core::steps::cron::{Act, Definition, Tick, Ticked, announce, tick};
use rq_core::{BlockingLink, Codec, Keys, Timestamp, secs};

use super::Extent;
use crate::figures::{Figures, Name};
use crate::stage::{QUEUE, Stage, trivial};

const RATE: Name = Name::new("tick of a cron, one by one", "ticks/s");
const REDIS_US: Name = Name::new("tick of a cron, one by one", "Redis CPU µs/tick");
const DECIDED_REDIS_US: Name = Name::new("tick of a cron that another has decided", "Redis CPU µs/tick");

const ENTRY: &str = "bench";
const EVERY: Duration = secs(60);

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let ticks = extent.choose(2_000, 6_000);
    stage.clear()?;
    let link = stage.link()?;
    let since = announced(stage, &link)?;
    let queue = stage.queue(QUEUE)?;
    let fired = stage.measure(ticks, |stage| tick_all(&stage.keys, &link, since, ticks, true))?;
    ensure!(queue.len()? == ticks, "each tick enqueues its job");
    figures.add(RATE, fired.jobs_per_s());
    figures.add(REDIS_US, fired.redis_us_per_job());
    let decided = stage.measure(ticks, |stage| tick_all(&stage.keys, &link, since, ticks, false))?;
    ensure!(queue.len()? == ticks, "a tick is fired once");
    figures.add(DECIDED_REDIS_US, decided.redis_us_per_job());
    Ok(())
}

/// Announces the entry; since when it counts.
fn announced(stage: &Stage, link: &BlockingLink) -> Result<Timestamp> {
    let definition = Definition {
        name: ENTRY.to_owned(),
        schedule: "every 60 s".to_owned(),
        queue: QUEUE.to_owned(),
        at_front: false,
        job: trivial().into_queued_job(QUEUE, Codec::Pickle)?,
        function: "operator.add".to_owned(),
    };
    let step = announce(&stage.keys, Timestamp::now(), true, EVERY, &[definition]);
    let progress = link.run(&step)?;
    Ok(progress.first().context("one entry was announced")?.since)
}

/// So many ticks, one after the other; those that were decided before, again.
fn tick_all(keys: &Keys, link: &BlockingLink, since: Timestamp, ticks: usize, are_new: bool) -> Result<()> {
    let mut decided = None;
    for number in 0..ticks {
        let due = since.after(EVERY.saturating_mul(u32::try_from(number)?));
        let job = trivial().into_queued_job(QUEUE, Codec::Pickle)?;
        let one = Tick {
            name: ENTRY.to_owned(),
            schedule: "every 60 s".to_owned(),
            queue: QUEUE.to_owned(),
            at_front: false,
            due,
            decided,
            dropped: 0,
            act: Act::Fire(job),
        };
        decided = Some(due);
        match link.run(&tick(keys, &[one]))?.pop().context("one tick was sent")?? {
            Ticked::Fired if are_new => {}
            Ticked::Fired => bail!("a tick was fired twice"),
            other if are_new => bail!("a tick came to {other:?}"),
            _ => {}
        }
    }
    Ok(())
}
