//! [`Inline`]: running jobs in the producer, as they are enqueued (docs/wire.md §9.8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::callback::CallbackKind;
use crate::conclusion::Conclusion;
use crate::context::{Context, Host};
use crate::execution::ExecutionId;
use crate::failure::BoxError;
use crate::handlers::{Handlers, JobOutcome};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::states::States;
use crate::status::Status;
use crate::steps::Claimed;
use crate::steps::outbox::Post;
use crate::steps::queue::Place;
use crate::steps::settlement::Settlement;
use crate::time::Timestamp;
use crate::ttl::Ttl;
use crate::webhook::{Letter, compose, told_by};

/// What RQ writes as the worker's name of an inline run.
const WORKER_NAME: &str = "sync";
/// How long an inline run may be overdue before maintenance takes it for abandoned, in seconds.
const OVERDUE_S: i64 = 60;
/// The same for a job without a time limit: a year.
const UNLIMITED_S: i64 = 31_536_000;

/// The functions an inline queue can run.
pub(crate) struct Inline {
    handlers: Handlers,
}

impl Inline {
    pub(crate) fn new(handlers: Handlers) -> Inline {
        Inline { handlers }
    }

    /// Makes a run of `job` that begins now.
    pub(crate) fn begin(&self, mut job: Job) -> InlineRun<'_> {
        let now = Timestamp::now();
        // As if claimed, from the first write on: it is in no queue, and no worker can take it.
        job.status = Status::Started;
        job.enqueued_at = Some(now);
        job.started_at = Some(now);
        job.last_heartbeat = Some(now);
        job.worker_name = Some(WORKER_NAME.to_owned());
        let execution = ExecutionId::new(&job.id);
        InlineRun { inline: self, job: Arc::new(job), execution, began_at: now, saved: Arc::default() }
    }
}

/// One run of one job in the producer.
pub(crate) struct InlineRun<'a> {
    inline: &'a Inline,
    job: Arc<Job>,
    execution: ExecutionId,
    began_at: Timestamp,
    saved: Arc<SavedMeta>,
}

impl InlineRun<'_> {
    pub(crate) fn job_id(&self) -> &str {
        &self.job.id
    }

    /// The job as the enqueue step writes it: begun, in no queue.
    pub(crate) fn as_enqueued(&self) -> [(Job, Place); 1] {
        let limit_s = self
            .job
            .limit()
            .map_or(UNLIMITED_S, |limit| i64::try_from(limit.as_secs()).unwrap_or(UNLIMITED_S));
        // Once this is past, maintenance of either language takes the run for abandoned, since no worker renews it.
        let until_s = self.began_at.epoch_secs().saturating_add(limit_s).saturating_add(OVERDUE_S);
        [(Job::clone(&self.job), Place::Inline(self.execution.clone(), until_s))]
    }

    /// Runs the job on this thread.
    pub(crate) fn run(&self) -> Settlement {
        let (context, began) = (self.context(), Instant::now());
        let handlers = &self.inline.handlers;
        let outcome = handlers.prepare(&self.job).and_then(|prepared| prepared.run(&context));
        let mut outcome = context.drop_extensions(outcome);
        let ran = began.elapsed();
        for kind in CallbackKind::WHERE_IT_RAN {
            let Some(due) = handlers.due_callback(kind, &context, &outcome) else { continue };
            context.interrupt().rearm(due.limit);
            if let Err(failure) = due.prepared.run(&context) {
                outcome = Err(failure);
            }
        }
        self.settlement(outcome, ran)
    }

    /// Runs the job in this task.
    pub(crate) async fn run_async(&self) -> Settlement {
        let (context, began) = (self.context(), Instant::now());
        let handlers = &self.inline.handlers;
        let outcome = match handlers.prepare(&self.job) {
            Ok(prepared) => prepared.run_async(&context).await,
            Err(failure) => Err(failure),
        };
        let mut outcome = context.drop_extensions(outcome);
        let ran = began.elapsed();
        for kind in CallbackKind::WHERE_IT_RAN {
            let Some(due) = handlers.due_callback(kind, &context, &outcome) else { continue };
            context.interrupt().rearm(due.limit);
            if let Err(failure) = due.prepared.run_async(&context).await {
                outcome = Err(failure);
            }
        }
        self.settlement(outcome, ran)
    }

    fn context(&self) -> Context {
        let interrupt = Interrupt::new(self.job.limit());
        let (job, host) = (Arc::clone(&self.job), Arc::clone(&self.saved));
        Context::new(job, self.execution.clone(), interrupt.into(), host, Arc::new(States::default()))
    }

    fn settlement(&self, outcome: JobOutcome, ran: Duration) -> Settlement {
        let ended_at = Timestamp::now();
        let (value, failure) = match outcome {
            Ok(value) => (value, None),
            Err(failure) => (None, Some(failure)),
        };
        // By the same rules as a worker's runs, so that a test with an inline queue sees the same retries and
        // lifetimes.
        let outcome = failure.as_ref().map_or(Ok(value), Err);
        let conclusion = Conclusion::of(&self.job, outcome, ended_at, Ttl::RESULT_DEFAULT);
        let posts = self.posts(&conclusion, ended_at);
        Settlement {
            claimed: Claimed { id: self.execution.clone(), origin: self.job.origin.clone() },
            conclusion,
            slot: self.job.rate_limit().map(|(key, _)| key.to_owned()),
            group: self.job.group().map(str::to_owned),
            claimed_at: self.began_at,
            ended_at,
            ran,
            meta: self.saved.take(),
            posts,
        }
    }

    /// The webhooks, for any worker to send: a producer has nothing to send them with.
    fn posts(&self, conclusion: &Conclusion, ended_at: Timestamp) -> Vec<Post> {
        let Some((status, text)) = told_by(&self.job, &conclusion.settled) else { return Vec::new() };
        let composed = compose(&self.job, status, Some(ended_at), text);
        if let Some(error) = composed.wrong {
            tracing::warn!("webhooks of job {}: {error}", self.job.id);
        }
        composed.letters.iter().map(Letter::post).collect()
    }
}

/// Keeps what the job saves until it is settled.
#[derive(Default)]
struct SavedMeta {
    meta: std::sync::Mutex<Option<Vec<u8>>>,
}

impl SavedMeta {
    fn take(&self) -> Option<Vec<u8>> {
        self.meta.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Host for SavedMeta {
    fn save_meta(&self, _: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError> {
        *self.meta.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(meta);
        Ok(())
    }
}
