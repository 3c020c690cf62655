//! Enqueueing, one by one and 1,000 a call, beside what a client does that writes the same and checks nothing; and what it
//! costs that a job is unique, or under a limit.

use std::time::Instant;

use anyhow::{Result, ensure};
use rq_core::{Call, Error, minutes, secs};

use super::Extent;
use crate::figures::{Figures, Name};
use crate::floors::bare_enqueue;
use crate::stage::{QUEUE, Stage, trivial};

pub(crate) const ONE: Name = Name::new("enqueue, one by one", "jobs/s");
pub(crate) const BARE_ONE: Name = Name::new("enqueue, one by one, bare SET+RPUSH", "jobs/s");
pub(crate) const BULK: Name = Name::new("enqueue, 1,000 a call", "jobs/s");
pub(crate) const BARE_BULK: Name = Name::new("enqueue, 1,000 a call, bare HSET+RPUSH", "jobs/s");
const UNIQUE_ID: Name = Name::new("enqueue, unique by id", "jobs/s");
const UNIQUE_ARGS: Name = Name::new("enqueue, unique by arguments", "jobs/s");
const FOUND: Name = Name::new("enqueue, unique by arguments, found", "jobs/s");
const LIMITED: Name = Name::new("enqueue, rate limit with free slots", "jobs/s");
const WAITING: Name = Name::new("enqueue, rate limit without", "jobs/s");
const PACED: Name = Name::new("enqueue, pace, most scheduled", "jobs/s");
const ONE_REDIS_US: Name = Name::new("enqueue, one by one", "Redis CPU µs/job");
const BULK_REDIS_US: Name = Name::new("enqueue, 1,000 a call", "Redis CPU µs/job");

/// How many calls one round trip carries.
pub(crate) const BULK_JOBS: usize = 1000;

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let (one_by_one, bulks) = (extent.choose(3_000, 6_000), extent.choose(15, 30));
    bare_one_by_one(stage, one_by_one, figures)?;
    measure_one_by_one(stage, one_by_one, figures)?;
    measure_guarded(stage, one_by_one, figures)?;
    bare_bulk(stage, bulks, figures)?;
    measure_bulk(stage, bulks, figures)
}

/// One by one, with what decides whether, and when, a job may go on.
fn measure_guarded(stage: &mut Stage, jobs: usize, figures: &mut Figures) -> Result<()> {
    type Guarded = fn(usize) -> Call<i64>;
    const SLOTS: u32 = 1_000_000;
    let guarded: [(Name, Guarded); 6] = [
        (UNIQUE_ID, |number| trivial().job_id(format!("j{number}")).unique()),
        (UNIQUE_ARGS, |number| trivial().kwarg("number", number).unique_by_args(minutes(10))),
        (FOUND, |_| trivial().unique_by_args(minutes(10))),
        (LIMITED, |_| trivial().rate_limit("k", SLOTS)),
        (WAITING, |_| trivial().rate_limit("k", 1)),
        (PACED, |_| trivial().pace("k", 100, secs(1))),
    ];
    for (name, call) in guarded {
        stage.clear()?;
        let queue = stage.queue(QUEUE)?;
        let measured = stage.measure(jobs, |_| {
            for number in 0..jobs {
                match queue.enqueue(call(number)) {
                    Ok(_) | Err(Error::Duplicate { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })?;
        figures.add(name, measured.jobs_per_s());
    }
    Ok(())
}

fn measure_one_by_one(stage: &mut Stage, jobs: usize, figures: &mut Figures) -> Result<()> {
    stage.clear()?;
    let queue = stage.queue(QUEUE)?;
    let measured = stage.measure(jobs, |_| {
        for _ in 0..jobs {
            queue.enqueue(trivial())?;
        }
        Ok(())
    })?;
    ensure!(queue.len()? == jobs, "enqueued jobs are in the queue");
    figures.add(ONE, measured.jobs_per_s());
    figures.add(ONE_REDIS_US, measured.redis_us_per_job());
    Ok(())
}

fn measure_bulk(stage: &mut Stage, bulks: usize, figures: &mut Figures) -> Result<()> {
    stage.clear()?;
    let queue = stage.queue(QUEUE)?;
    let measured = stage.measure(bulks * BULK_JOBS, |_| {
        for _ in 0..bulks {
            queue.enqueue_many((0..BULK_JOBS).map(|_| trivial()))?;
        }
        Ok(())
    })?;
    ensure!(queue.len()? == bulks * BULK_JOBS, "enqueued jobs are in the queue");
    figures.add(BULK, measured.jobs_per_s());
    figures.add(BULK_REDIS_US, measured.redis_us_per_job());
    Ok(())
}

fn bare_one_by_one(stage: &mut Stage, jobs: usize, figures: &mut Figures) -> Result<()> {
    stage.clear()?;
    let began = Instant::now();
    for number in 0..jobs {
        bare_enqueue::one(stage, number)?;
    }
    figures.add(BARE_ONE, jobs as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

fn bare_bulk(stage: &mut Stage, bulks: usize, figures: &mut Figures) -> Result<()> {
    stage.clear()?;
    let job = bare_enqueue::Template::take(stage)?;
    let began = Instant::now();
    for number in 0..bulks {
        job.enqueue(stage, number * BULK_JOBS, BULK_JOBS)?;
    }
    figures.add(BARE_BULK, (bulks * BULK_JOBS) as f64 / began.elapsed().as_secs_f64());
    Ok(())
}
