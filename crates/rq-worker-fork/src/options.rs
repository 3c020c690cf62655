//! [`ForkOptions`]: what can be decided about processes alone.

use std::time::Duration;

use rq_worker::{ExecutorOption, ExecutorOptions, number};

/// What can be decided about processes alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "options decide nothing until a worker has them"]
pub struct ForkOptions {
    /// How many jobs one process runs before a fresh one takes its place: 1, which isolates jobs from each other.
    pub horse_jobs: usize,
    /// How many processes are forked ahead of the jobs they will run: none.
    pub spare_horses: usize,
    /// How much memory, in MB, a job and the processes that it starts may hold together; `None` for as much as there is.
    /// What is resident counts, and not what is mapped. It is looked at ten times a second.
    pub job_memory_mb: Option<u64>,
    /// How long a job that was asked to end may take before its process is ended: 5 s.
    pub job_grace: Duration,
}

impl ForkOptions {
    /// How many jobs one process runs before a fresh one takes its place, one at least.
    pub fn horse_jobs(mut self, jobs: usize) -> ForkOptions {
        self.horse_jobs = jobs;
        self
    }

    /// How many processes are forked ahead of the jobs they will run.
    pub fn spare_horses(mut self, horses: usize) -> ForkOptions {
        self.spare_horses = horses;
        self
    }

    /// How much memory, in MB, a job and the processes that it starts may hold together.
    pub fn job_memory_mb(mut self, megabytes: u64) -> ForkOptions {
        self.job_memory_mb = Some(megabytes);
        self
    }

    /// How long a job that was asked to end may take before its process is ended.
    pub fn job_grace(mut self, grace: Duration) -> ForkOptions {
        self.job_grace = grace;
        self
    }
}

impl Default for ForkOptions {
    fn default() -> ForkOptions {
        ForkOptions { horse_jobs: 1, spare_horses: 0, job_memory_mb: None, job_grace: Duration::from_secs(5) }
    }
}

impl ExecutorOptions for ForkOptions {
    const ALL: &'static [ExecutorOption<ForkOptions>] = &[
        ExecutorOption {
            name: "horse-jobs",
            value_name: "INTEGER",
            help: "How many jobs one process runs before a fresh one takes its place: one isolates jobs from each other, more \
                   spare the cost of a process for each [default: 1]",
            set: |options, text| {
                options.horse_jobs = number::count_in_memory(text)?;
                Ok(())
            },
        },
        ExecutorOption {
            name: "spare-horses",
            value_name: "INTEGER",
            help: "How many processes are forked ahead of the jobs they will run [default: 0]",
            set: |options, text| {
                options.spare_horses = number::count_in_memory(text)?;
                Ok(())
            },
        },
        ExecutorOption {
            name: "job-memory",
            value_name: "MB",
            help: "How many megabytes of memory a job and the processes that it starts may hold together [default: as \
                   many as there are]",
            set: |options, text| {
                options.job_memory_mb = Some(number::count(text)?);
                Ok(())
            },
        },
        ExecutorOption {
            name: "job-grace",
            value_name: "SECONDS",
            help: "How many seconds a job that was asked to end, at its time limit or on request, may take before its process \
                   is ended [default: 5]",
            set: |options, text| {
                options.job_grace = number::seconds(text)?;
                Ok(())
            },
        },
    ];
}
