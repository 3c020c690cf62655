//! What a job costs where many wait before it, where there are many queues, and where there are several workers.

use anyhow::Result;
use rq_core::Timestamp;

use super::Extent;
use super::enqueue::BULK_JOBS;
use crate::figures::{Figures, Name};
use crate::stage::{QUEUE, Stage, Wait, finish, trivial};

/// So many jobs that wait while others are enqueued and drained.
pub(crate) struct Waiting {
    jobs: usize,
    pub(crate) drain_redis_us: Name,
    pub(crate) enqueue_redis_us: Name,
    pub(crate) due_redis_us: Name,
}

macro_rules! waiting {
    ($jobs:literal, $words:literal) => {
        Waiting {
            jobs: $jobs,
            drain_redis_us: Name::new(concat!("drain, ", $words, " queued"), "Redis CPU µs/job"),
            enqueue_redis_us: Name::new(concat!("enqueue, ", $words, " queued"), "Redis CPU µs/job"),
            due_redis_us: Name::new(
                concat!("schedule and drain, ", $words, " scheduled"),
                "Redis CPU µs/job",
            ),
        }
    };
}

pub(crate) const FEW: Waiting = waiting!(1_000, "1,000");
pub(crate) const SOME: Waiting = waiting!(10_000, "10,000");
pub(crate) const MANY: Waiting = waiting!(100_000, "100,000");
pub(crate) const MOST: Waiting = waiting!(1_000_000, "1,000,000");

/// How many queues the jobs lie in.
const QUEUES: [(usize, Name); 3] = [
    (1, Name::new("drain, 1 queue", "jobs/s")),
    (10, Name::new("drain, 10 queues", "jobs/s")),
    (100, Name::new("drain, 100 queues", "jobs/s")),
];
/// How many workers there are.
const WORKERS: [(usize, Name); 3] = [
    (1, Name::new("drain, 1 worker", "jobs/s")),
    (2, Name::new("drain, 2 workers", "jobs/s")),
    (4, Name::new("drain, 4 workers", "jobs/s")),
];
const OPTIONS: [&str; 5] = ["-w", "thread", "--concurrency", "64", "--quiet"];
/// How long jobs that wait in the schedule are not due.
const LATER_S: i64 = 86_400;

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs = extent.choose(5_000, 10_000);
    for waiting in [FEW, SOME, MANY, MOST] {
        measure_queued(stage, &waiting, jobs, figures)?;
        measure_scheduled(stage, &waiting, jobs, figures)?;
    }
    for (queues, name) in QUEUES {
        figures.add(name, drain_queues(stage, queues, 2 * jobs)?);
    }
    for (workers, name) in WORKERS {
        figures.add(name, drain_by(stage, workers, 2 * jobs)?);
    }
    Ok(())
}

/// More jobs come, and as many are drained, while so many wait.
fn measure_queued(stage: &mut Stage, waiting: &Waiting, jobs: usize, figures: &mut Figures) -> Result<()> {
    stage.set(waiting.jobs)?;
    let queue = stage.queue(QUEUE)?;
    let enqueued = stage.measure(jobs, |_| {
        for _ in 0..jobs / BULK_JOBS {
            queue.enqueue_many((0..BULK_JOBS).map(|_| trivial()))?;
        }
        Ok(())
    })?;
    figures.add(waiting.enqueue_redis_us, enqueued.redis_us_per_job());
    let worker = stage.worker(&[&OPTIONS[..], &["--max-jobs", &jobs.to_string()]].concat(), &[QUEUE]);
    let drained = stage.measure(jobs, |_| finish(vec![worker]))?;
    stage.check_finished(&[QUEUE], jobs)?;
    figures.add(waiting.drain_redis_us, drained.redis_us_per_job());
    Ok(())
}

/// Jobs are due, go on into their queue and are drained, while so many are not due yet.
fn measure_scheduled(stage: &mut Stage, waiting: &Waiting, jobs: usize, figures: &mut Figures) -> Result<()> {
    stage.clear()?;
    let now_s = Timestamp::now().epoch_secs();
    stage.fill(QUEUE, &trivial(), waiting.jobs, Wait::Scheduled(now_s + LATER_S))?;
    stage.fill(QUEUE, &trivial(), jobs, Wait::Scheduled(now_s))?;
    let jobs_max = jobs.to_string();
    let options = [&OPTIONS[..], &["--with-scheduler", "--max-jobs", &jobs_max]].concat();
    let worker = stage.worker(&options, &[QUEUE]);
    let drained = stage.measure(jobs, |_| finish(vec![worker]))?;
    stage.check_finished(&[QUEUE], jobs)?;
    figures.add(waiting.due_redis_us, drained.redis_us_per_job());
    Ok(())
}

fn drain_queues(stage: &mut Stage, queues: usize, jobs: usize) -> Result<f64> {
    stage.clear()?;
    let names: Vec<String> = (0..queues).map(|number| format!("queue-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        stage.fill(name, &trivial(), jobs / queues, Wait::Queued)?;
    }
    let worker = stage.worker(&[&OPTIONS[..], &["--burst"]].concat(), &names);
    let drained = stage.measure(jobs, |_| finish(vec![worker]))?;
    stage.check_finished(&names, jobs)?;
    Ok(drained.jobs_per_s())
}

fn drain_by(stage: &mut Stage, workers: usize, jobs: usize) -> Result<f64> {
    stage.set(jobs)?;
    let worker = |_| stage.worker(&[&OPTIONS[..], &["--burst"]].concat(), &[QUEUE]);
    let workers = (0..workers).map(worker).collect();
    let drained = stage.measure(jobs, |_| finish(workers))?;
    stage.check_finished(&[QUEUE], jobs)?;
    Ok(drained.jobs_per_s())
}
