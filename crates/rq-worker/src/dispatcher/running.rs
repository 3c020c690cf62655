//! [`Running`]: the executions this worker has begun and not settled yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rq_core::steps::Claimed;
use rq_core::steps::settlement::Settlement;
use rq_core::{Conclusion, Ended, Execution, ExecutionId, Failure, Fields, Host, Job, Timestamp};

use crate::options::Options;

/// The executions this worker has begun and not settled yet.
#[derive(Default)]
pub(crate) struct Running {
    runs: HashMap<ExecutionId, Run>,
    occupied: usize,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) job: Arc<Job>,
    claimed: Claimed,
    claimed_at: Timestamp,
    /// When the executor got it.
    pub(crate) started_at: Instant,
    /// The newest meta the job has saved.
    meta: Option<Vec<u8>>,
    /// Whether the executor still has it.
    occupies: bool,
    /// Whether Redis no longer holds it as ours, and that was told.
    pub(crate) lost: bool,
}

/// How beginning an execution went.
pub(crate) enum Begun {
    /// It runs; its job belongs to this queue.
    Runs(Execution, String),
    /// Its job's record cannot be read.
    Malformed(Failure),
}

impl Running {
    /// Writes down an execution whose job was fetched.
    pub(crate) fn begin<H: Host + 'static>(
        &mut self,
        claimed: Claimed,
        fields: Fields,
        host: &Arc<H>,
    ) -> Begun {
        let id = claimed.id.clone();
        let origin = claimed.origin.clone();
        let (job, malformed) = match Job::from_fields(id.job_id(), fields) {
            Ok(job) => (job, None),
            Err(error) => (Job::new(id.job_id(), &*origin, Vec::new()), Some(error)),
        };
        let job = Arc::new(job);
        let limit = job.limit();
        // The claim wrote it, and into the execution's own record.
        let claimed_at = job.started_at.unwrap_or_else(Timestamp::now);
        let run = Run {
            job: Arc::clone(&job),
            claimed,
            claimed_at,
            started_at: Instant::now(),
            meta: None,
            occupies: true,
            lost: false,
        };
        let before = self.runs.insert(id.clone(), run);
        assert!(before.is_none(), "execution ids are fresh for every claim");
        self.occupied += 1;
        match malformed {
            Some(error) => Begun::Malformed(Failure::Malformed { field: error.field, reason: error.reason }),
            None => {
                let host: Arc<dyn Host> = Arc::clone(host) as Arc<dyn Host>;
                Begun::Runs(Execution::new(id, job, limit, host), origin)
            }
        }
    }

    /// Frees the slot of an execution. `None` if that was done before: its end came in a second way.
    pub(crate) fn end(&mut self, id: &ExecutionId) -> Option<Run> {
        let run = self.runs.get_mut(id)?;
        if !std::mem::replace(&mut run.occupies, false) {
            return None;
        }
        self.occupied -= 1;
        Some(run.clone())
    }

    /// Drops a settled execution.
    pub(crate) fn forget(&mut self, id: &ExecutionId) -> Option<Run> {
        self.runs.remove(id)
    }

    /// How many slots are taken.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// Whether everything begun is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All that Redis holds as running here.
    pub(crate) fn all(&self) -> Vec<Claimed> {
        self.runs.values().map(|run| run.claimed.clone()).collect()
    }

    /// The jobs that run, and since when they are this worker's.
    pub(crate) fn jobs(&self) -> Vec<(Arc<Job>, Timestamp)> {
        self.runs.values().map(|run| (Arc::clone(&run.job), run.claimed_at)).collect()
    }

    /// The registration of one execution.
    pub(crate) fn claimed(&self, id: &ExecutionId) -> Option<Claimed> {
        self.runs.get(id).map(|run| run.claimed.clone())
    }

    /// Remembers the newest meta of a job: its settlement writes it once more, after any save still under way.
    pub(crate) fn note_meta(&mut self, id: &ExecutionId, meta: &[u8]) {
        if let Some(run) = self.runs.get_mut(id) {
            run.meta = Some(meta.to_vec());
        }
    }

    /// Notes that Redis no longer holds an execution as ours. True the first time.
    pub(crate) fn notice_loss(&mut self, id: &ExecutionId) -> bool {
        self.runs.get_mut(id).is_some_and(|run| run.occupies && !std::mem::replace(&mut run.lost, true))
    }
}

impl Run {
    /// What is to be written about its end, and the failure if it is one. `meta` is what it saved last and is not
    /// stored yet.
    pub(crate) fn settlement(
        &self,
        ended: Ended,
        options: &Options,
        meta: Option<Vec<u8>>,
    ) -> (Settlement, Option<Failure>) {
        let (value, failure) = match ended.outcome {
            Ok(value) => (value, None),
            Err(failure) => (None, Some(failure)),
        };
        let ended_at = Timestamp::now();
        let conclusion = match &failure {
            Some(failure @ Failure::ShutDown) => {
                Conclusion::of_shut_down(&self.job, failure.text(), ended_at, options.on_crash)
            }
            failure => {
                let outcome = failure.as_ref().map_or(Ok(value), Err);
                Conclusion::of(&self.job, outcome, ended_at, options.result_ttl)
            }
        };
        let settlement = Settlement {
            claimed: self.claimed.clone(),
            conclusion,
            slot: self.job.rate_limit().map(|(key, _)| key.to_owned()),
            claimed_at: self.claimed_at,
            ended_at,
            ran: ended.ran,
            meta: meta.or_else(|| self.meta.clone()),
        };
        (settlement, failure)
    }
}
