//! Jobs that wait 10 ms each, as one that asks another service, with 64 and 1,000 at once.

use anyhow::Result;
use rq_core::{Call, Ttl};

use super::Extent;
use crate::figures::{Figures, Name};
use crate::stage::{QUEUE, Stage, Wait};

/// How long a job waits.
const WAIT_MS: u64 = 10;

/// So many slots, the best that they allow, and what the executors make of them.
pub(crate) struct Slots {
    slots: usize,
    pub(crate) ideal: Name,
    pub(crate) green: Name,
    pub(crate) thread: Name,
}

pub(crate) const SLOTS_64: Slots = Slots {
    slots: 64,
    ideal: Name::new("10 ms waits, 64 slots, at best", "jobs/s"),
    green: Name::new("10 ms waits, 64 slots, -w green", "jobs/s"),
    thread: Name::new("10 ms waits, 64 slots, -w thread", "jobs/s"),
};
pub(crate) const SLOTS_1000: Slots = Slots {
    slots: 1000,
    ideal: Name::new("10 ms waits, 1,000 slots, at best", "jobs/s"),
    green: Name::new("10 ms waits, 1,000 slots, -w green", "jobs/s"),
    thread: Name::new("10 ms waits, 1,000 slots, -w thread", "jobs/s"),
};

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs = extent.choose(10_000, 20_000);
    let call = Call::<()>::to("bench.wait").arg(WAIT_MS).result_ttl(Ttl::RESULT_DEFAULT);
    for Slots { slots, ideal, green, thread } in [SLOTS_64, SLOTS_1000] {
        figures.add(ideal, (slots as u64 * 1000 / WAIT_MS) as f64);
        for (name, executor) in [(green, "green"), (thread, "thread")] {
            stage.clear()?;
            stage.fill(QUEUE, &call, jobs, Wait::Queued)?;
            let drained = stage.drain(&["-w", executor, "--concurrency", &slots.to_string()], jobs)?;
            figures.add(name, drained.jobs_per_s());
        }
    }
    Ok(())
}
