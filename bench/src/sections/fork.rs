//! What a process for each job costs, beside the bare fork-and-wait rate of the machine.
//!
//! Redis, worker and processes share the machine's cores. What could be had if a job cost no more than its bare process and
//! the rest of its life, which is what `-w thread` needs for it, is shown as "both": where all cores are busy, the times of
//! the two add up.

use anyhow::Result;

use super::Extent;
use crate::figures::{Figures, Name};
use crate::floors::bare_forks;
use crate::stage::Stage;

pub(crate) const BARE_16: Name = Name::new("fork, 16 in flight, bare fork+wait", "jobs/s");
pub(crate) const BOTH_16: Name =
    Name::new("fork, 16 in flight, bare fork+wait and -w thread, both", "jobs/s");
pub(crate) const FORK_16: Name = Name::new("fork, 16 in flight", "jobs/s");
pub(crate) const HEAVY_16: Name = Name::new("fork, 16 in flight, worker holds 200 MB", "jobs/s");
pub(crate) const FORK_16_OF_10: Name = Name::new("fork, 16 in flight, 10 jobs a process", "jobs/s");
pub(crate) const FORK_16_OF_100: Name = Name::new("fork, 16 in flight, 100 jobs a process", "jobs/s");
const FEWER: [(&str, usize, Name, Name); 2] = [
    (
        "1",
        1,
        Name::new("fork, 1 in flight, bare fork+wait", "jobs/s"),
        Name::new("fork, 1 in flight", "jobs/s"),
    ),
    (
        "4",
        4,
        Name::new("fork, 4 in flight, bare fork+wait", "jobs/s"),
        Name::new("fork, 4 in flight", "jobs/s"),
    ),
];

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs = extent.choose(3_000, 6_000);
    for (concurrency, in_flight, bare, name) in FEWER {
        figures.add(bare, bare_forks::per_s(in_flight)?);
        add(stage, name, &["-w", "fork", "--concurrency", concurrency], jobs / 2, figures)?;
    }
    let bare = bare_forks::per_s(16)?;
    figures.add(BARE_16, bare);
    let threads = drain(stage, &["-w", "thread", "--concurrency", "16"], 2 * jobs)?;
    figures.add(BOTH_16, 1.0 / (1.0 / bare + 1.0 / threads));
    for (name, executor, horse_jobs, jobs) in [
        (FORK_16, "fork", "1", jobs),
        (HEAVY_16, "heavy-fork", "1", jobs),
        (FORK_16_OF_10, "fork", "10", 2 * jobs),
        (FORK_16_OF_100, "fork", "100", 2 * jobs),
    ] {
        let options = ["-w", executor, "--concurrency", "16", "--horse-jobs", horse_jobs];
        add(stage, name, &options, jobs, figures)?;
    }
    Ok(())
}

fn add(stage: &mut Stage, name: Name, options: &[&str], jobs: usize, figures: &mut Figures) -> Result<()> {
    figures.add(name, drain(stage, options, jobs)?);
    Ok(())
}

fn drain(stage: &mut Stage, options: &[&str], jobs: usize) -> Result<f64> {
    stage.set(jobs)?;
    Ok(stage.drain(options, jobs)?.jobs_per_s())
}
