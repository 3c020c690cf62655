//! [`ExecutionId`]: one run of one job, the fence of all that ends it (docs/wire.md §6).

use std::fmt;
use std::sync::Arc;

use crate::fields::{FieldError, Fields};
use crate::time::Timestamp;

/// One run of one job. `Display` writes `<job_id>:<execution_id>`, the member in the registries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId {
    job_id: Arc<str>,
    x: Arc<str>,
}

impl ExecutionId {
    /// A new run of a job.
    pub fn new(job_id: &str) -> ExecutionId {
        ExecutionId::from_parts(job_id, &fresh_x())
    }

    /// The run `x` of the job `job_id`.
    pub fn from_parts(job_id: &str, x: &str) -> ExecutionId {
        ExecutionId { job_id: job_id.into(), x: x.into() }
    }

    /// Reads `<job_id>:<execution_id>`, which has one colon.
    pub fn parse(member: &str) -> Option<ExecutionId> {
        let (job_id, x) = member.split_once(':')?;
        (!job_id.is_empty() && !x.is_empty() && !x.contains(':')).then(|| ExecutionId::from_parts(job_id, x))
    }

    /// The job.
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// The run: 32 hexadecimal digits.
    pub fn x(&self) -> &str {
        &self.x
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.job_id, self.x)
    }
}

/// An execution id for a job not yet known: 32 hexadecimal digits of a UUID 4.
pub(crate) fn fresh_x() -> String {
    // Without dashes, unlike the ids of jobs (docs/wire.md §1.5).
    uuid::Uuid::new_v4().simple().to_string()
}

/// An execution in Redis: the run, and the queue whose registries hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The run.
    pub id: ExecutionId,
    /// The job's origin.
    pub origin: String,
}

/// The record of a run while it lasts, `rq:execution:<id>:<x>`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExecutionRecord {
    /// The run.
    pub x: String,
    /// Its job; `None` before RQ 3.0.
    pub job_id: Option<String>,
    /// When it was claimed.
    pub created_at: Timestamp,
    /// When its worker last sent a heartbeat for it.
    pub last_heartbeat: Timestamp,
    /// The name of the worker that runs it; `None` before RQ 2.11.
    pub worker_name: Option<String>,
    /// Whatever else the hash holds.
    pub other: Fields,
}

impl ExecutionRecord {
    /// Reads the hash.
    pub fn from_fields(mut fields: Fields) -> Result<ExecutionRecord, FieldError> {
        let f = &mut fields;
        Ok(ExecutionRecord {
            x: f.take_text("id")?.ok_or_else(|| FieldError::new("id", "is missing"))?,
            job_id: f.take_text("job_id")?,
            created_at: take_epoch(f, "created_at")?,
            last_heartbeat: take_epoch(f, "last_heartbeat")?,
            worker_name: f.take_text("worker_name")?,
            other: fields,
        })
    }

    /// The whole hash.
    pub fn to_fields(&self) -> Fields {
        let mut f = self.other.clone();
        f.set("id", self.x.as_str());
        f.set_some("job_id", self.job_id.as_deref());
        f.set("created_at", self.created_at.epoch_text());
        f.set("last_heartbeat", self.last_heartbeat.epoch_text());
        f.set_some("worker_name", self.worker_name.as_deref());
        f
    }
}

fn take_epoch(f: &mut Fields, field: &str) -> Result<Timestamp, FieldError> {
    let seconds = f.take_float(field)?.ok_or_else(|| FieldError::new(field, "is missing"))?;
    Ok(Timestamp::from_epoch_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_one_colon() {
        let id = ExecutionId::parse("job-1:0d2d").unwrap();
        assert_eq!((id.job_id(), id.x(), id.to_string().as_str()), ("job-1", "0d2d", "job-1:0d2d"));
        for bad in ["", "job", "job:", ":x", "a:b:c"] {
            assert_eq!(ExecutionId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn fresh_ids_have_the_wires_form() {
        let x = fresh_x();
        assert!(x.len() == 32 && x.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{x}");
    }
}
