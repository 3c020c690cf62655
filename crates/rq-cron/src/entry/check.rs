//! From an [`Entry`] to a [`CheckedEntry`].

use rq_core::keys::{NAME_BYTES_MAX, NameError, check_queue_name};
use rq_core::{Codec, Error, Job, Shown};

use super::{CheckedEntry, Entry, QUEUE_DEFAULT, Times};
use crate::expression::{Expression, ExpressionError};
use crate::schedule::{Interval, IntervalError, Schedule};
use crate::zone::{Zone, ZoneError};

/// An entry that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the entry {:?} cannot be used: {reason}", Shown::name(name).to_string())]
pub struct EntryError {
    /// Its name.
    pub name: String,
    /// Why.
    #[source]
    pub reason: Reason,
}

/// Why an entry cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Its name is no name.
    #[error(
        "its name must not be empty, have more than {NAME_BYTES_MAX} bytes, hold braces or control characters, or begin or end in white space; name it with .named(\"..\")"
    )]
    Name,
    /// Its queue's name is none.
    #[error(transparent)]
    Queue(#[from] NameError),
    /// Its expression is none.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// Its interval is none.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// Its zone is none.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A zone beside an interval.
    #[error("a zone says nothing of an interval; leave it out, or write the times as an expression")]
    ZoneOfInterval,
    /// Its call has an id of its own, which all its jobs would share.
    #[error("each of its jobs needs an id of its own; leave out .job_id(..)")]
    JobId,
    /// Its jobs would wait for others.
    #[error(
        "its jobs cannot wait for others; leave out .depends_on(..), and enqueue such jobs in the job itself"
    )]
    Dependency,
    /// Its call cannot be enqueued.
    #[error(transparent)]
    Call(#[from] Error),
}

impl Entry {
    /// Looks at all of it.
    pub(crate) fn check(&self) -> Result<CheckedEntry, EntryError> {
        self.checked().map_err(|reason| EntryError { name: self.name.clone(), reason })
    }

    fn checked(&self) -> Result<CheckedEntry, Reason> {
        check_name(&self.name)?;
        let queue = self.queue.as_deref().unwrap_or(QUEUE_DEFAULT);
        check_queue_name(queue)?;
        if self.call.id().is_some() {
            return Err(Reason::JobId);
        }
        let checked = CheckedEntry {
            name: self.name.clone(),
            queue: queue.to_owned(),
            call: self.call.clone(),
            schedule: self.schedule()?,
            catch_up: self.catch_up,
            overlap: self.overlap,
        };
        // In the format of RQ's scheduler, which writes fewer values than the others.
        check_job(&checked.job(Codec::Pickle)?)?;
        Ok(checked)
    }

    fn schedule(&self) -> Result<Schedule, Reason> {
        match (&self.times, &self.zone) {
            (Times::Every(interval), None) => Ok(Schedule::Every(Interval::new(*interval)?)),
            (Times::Every(_), Some(_)) => Err(Reason::ZoneOfInterval),
            (Times::At(text), zone) => {
                let zone = zone.as_deref().map_or_else(Zone::local, Zone::named)?;
                Ok(Schedule::At { expression: Expression::parse(text)?, zone })
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), Reason> {
    let is_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.trim() == name
        && !name.contains(['{', '}'])
        && !name.chars().any(char::is_control);
    is_name.then_some(()).ok_or(Reason::Name)
}

fn check_job(job: &Job) -> Result<(), Reason> {
    match job.dependency_ids {
        Some(_) => Err(Reason::Dependency),
        None => Ok(()),
    }
}
