//! [`Rules`]: how horses are used, as the options of a worker come to.

use std::time::Duration;

use rq_worker::{LaunchError, Options};

use crate::options::ForkOptions;

/// The most horses there may be at once.
pub const CONCURRENCY_MAX: usize = 1024;
/// How many jobs run at once where nothing is said: who enqueues jobs of RQ's counts on their order.
const CONCURRENCY_DEFAULT: usize = 1;

/// How the operator wants horses used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) slots: usize,
    pub(crate) jobs_per_horse: usize,
    /// How long a job that was asked to end may take to do so before its process is ended.
    pub(crate) job_grace: Duration,
    /// How much memory a job and what it starts may hold, in MB.
    pub(crate) memory_mb: Option<u64>,
    /// How many horses wait for their job.
    pub(crate) spares: usize,
}

impl Rules {
    /// What the options come to; one job at a time, as in RQ, unless they say so.
    pub(crate) fn of(options: &Options, own: &ForkOptions) -> Result<Rules, LaunchError> {
        let slots = options.slots(CONCURRENCY_MAX, |_| CONCURRENCY_DEFAULT)?;
        Ok(Rules {
            slots,
            jobs_per_horse: own.horse_jobs.max(1),
            job_grace: own.job_grace,
            memory_mb: own.job_memory_mb,
            spares: own.spare_horses.min(slots),
        })
    }
}
