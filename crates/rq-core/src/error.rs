//! [`Error`]: how a call to a [`Queue`](crate::Queue) or a [`JobHandle`](crate::JobHandle) fails.

use std::time::Duration;

use rq_wire::{CodecError, ValueError};

use crate::error_class::ErrorClass;
use crate::fields::FieldError;
use crate::keys::NameError;
use crate::redis_error::RedisError;
use crate::redis_url::UrlError;
use crate::shown::Shown;
use crate::status::Status;

/// How a call to a queue or a job handle fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Redis could not be reached, or refused the step.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    /// `RQ_SERIALIZER` names no codec.
    #[error("RQ_SERIALIZER: {0}")]
    SerializerVariable(#[source] CodecError),
    /// The URL of a Redis cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The connection broke before Redis answered, and again when the step was sent anew: it may have been done.
    #[error(
        "the connection to redis broke before it answered; job {job_id} may have been enqueued: enqueue it again with this id to be sure"
    )]
    Unconfirmed {
        /// The job that may be enqueued.
        job_id: String,
        /// How the connection broke.
        source: RedisError,
    },
    /// Redis gave an answer that the protocol does not have.
    #[error("redis answered {} to {step}; is another program writing to these keys?", Shown::line(got))]
    UnexpectedReply {
        /// The step.
        step: &'static str,
        /// The answer.
        got: String,
    },
    /// A name cannot be written.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An option of a call has a value RQ does not know.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it has to be instead.
        reason: &'static str,
    },
    /// A payload, a result or a meta cannot be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A value does not fit the Rust type.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A payload is larger than may be sent.
    #[error(
        "the payload of {function} has more than the {max_bytes} bytes that may be sent; put the data elsewhere and pass a reference"
    )]
    PayloadTooLarge {
        /// The function called.
        function: String,
        /// The most that may be sent, before it is deflated.
        max_bytes: usize,
    },
    /// The id is taken by a job that has not ended.
    #[error(
        "job {job_id} exists already and is {}; use another id, or wait until it has ended",
        Shown::name(status)
    )]
    JobExists {
        /// The id.
        job_id: String,
        /// Where that job is.
        status: String,
    },
    /// The call is unique, and its job is there already: one with its id, or one that was enqueued with the same
    /// arguments. [`Queue::enqueue_unique`](crate::Queue::enqueue_unique) gives that job. Python's `DuplicateJobError`.
    #[error(
        "the call is unique, and job {job_id} is there already and is {}; enqueue_unique gives that one",
        Shown::name(status)
    )]
    Duplicate {
        /// The job that is there.
        job_id: String,
        /// Where it is; `gone` where only its lock is left.
        status: String,
    },
    /// Middleware has refused the call; nothing was sent.
    #[error("{} was not enqueued: {source}", Shown::name(function))]
    Refused {
        /// The function called.
        function: String,
        /// Why.
        source: crate::failure::BoxError,
    },
    /// A job would wait for itself, directly or through others, and none of them would ever run.
    #[error("job {job_id} would wait for itself: one of the jobs it depends on waits for it")]
    DependencyCycle {
        /// The job.
        job_id: String,
    },
    /// The chain of jobs that a job would wait for is too long to see that it is no cycle.
    #[error(
        "job {job_id} would wait for a chain of more than 10,000 jobs that wait themselves; enqueue it later"
    )]
    DependenciesTooDeep {
        /// The job.
        job_id: String,
    },
    /// A job runs where there is no Redis, as in a unit test.
    #[error("this job runs without a Redis; its worker would give it one")]
    NoConnection,
    /// There is no such job.
    #[error("there is no job {job_id}: it was deleted, or its time to live has passed")]
    NoSuchJob {
        /// The id asked for.
        job_id: String,
    },
    /// The job was canceled by an earlier call.
    #[error("job {job_id} has been canceled already")]
    AlreadyCanceled {
        /// The job.
        job_id: String,
    },
    /// The job is not among its queue's failed or finished ones, which alone can be requeued.
    #[error(
        "job {job_id} is {} and not among the failed or finished jobs of its queue, which alone can be requeued",
        status.map_or("gone", Status::as_str)
    )]
    NotRequeued {
        /// The job.
        job_id: String,
        /// Where it is.
        status: Option<Status>,
    },
    /// The job does not run, so that nobody can be asked to stop it.
    #[error("job {job_id} is {status} and does not run; one that waits can be canceled")]
    NotRunning {
        /// The job.
        job_id: String,
        /// Where it is.
        status: Status,
    },
    /// More jobs wait for a job, directly or through others, than are deleted with it in one call.
    #[error("more than {most} jobs wait for job {job_id}; delete some of them by themselves first")]
    TooManyDependents {
        /// The job.
        job_id: String,
        /// The most that are deleted with it.
        most: usize,
    },
    /// A record in Redis cannot be read.
    #[error("{record} cannot be read: {source}")]
    Malformed {
        /// Which record.
        record: String,
        /// What is wrong with it.
        source: FieldError,
    },
    /// The job has not ended within the time given to [`wait`](crate::JobHandle::wait).
    #[error(
        "job {job_id} has not ended within {waited:?}; {}",
        status.map_or("redis did not answer".to_owned(), |status| format!("it is {status}"))
    )]
    NotEnded {
        /// The job.
        job_id: String,
        /// How long the wait was.
        waited: Duration,
        /// Where it was last; `None` where Redis did not answer.
        status: Option<Status>,
    },
    /// The job has ended without a value.
    ///
    /// As text it has the error and its causes in one line; `text` has all.
    #[error("job {job_id} {}{}", status.as_str(), what_was_wrong(text))]
    JobFailed {
        /// The job.
        job_id: String,
        /// How it ended.
        status: Status,
        /// What is stored with it.
        text: String,
    },
    /// The job has ended and its result is gone.
    #[error("job {job_id} has ended and its result is gone; raise its result_ttl")]
    ResultGone {
        /// The job.
        job_id: String,
    },
    /// The job's meta could not be saved.
    #[error("the job's meta was not saved: {0}")]
    MetaNotSaved(#[source] crate::failure::BoxError),
}

/// Nothing of a job that was canceled.
fn what_was_wrong(text: &str) -> String {
    let summary = crate::failure::summary(text);
    if summary.is_empty() { summary } else { format!(": {summary}") }
}

impl Error {
    /// What can be done about it. What does not come from Redis is a [`Fault`](ErrorClass::Fault).
    pub fn class(&self) -> ErrorClass {
        match self {
            Error::Redis(error) | Error::Unconfirmed { source: error, .. } => error.class(),
            _ => ErrorClass::Fault,
        }
    }

    /// Whether Redis could not be reached, so that trying later may help.
    pub fn is_redis_unavailable(&self) -> bool {
        match self {
            Error::Redis(error) | Error::Unconfirmed { source: error, .. } => error.is_connection_broken(),
            _ => false,
        }
    }
}

/// For `?` in RQ's own crates, which know the client library. Other code should not rely on it.
#[doc(hidden)]
impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Error {
        Error::Redis(error.into())
    }
}
