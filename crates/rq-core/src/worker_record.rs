//! [`WorkerRecord`]: a worker's own record in Redis (docs/wire.md §8.1).

use crate::fields::{FieldError, Fields};
use crate::time::Timestamp;

/// What the field `python_version` of a worker of this project begins with.
pub(crate) const NO_PYTHON: &str = "none: rq in Rust";

/// The record of a worker, `rq:worker:<name>`.
///
/// All fields of docs/wire.md §8.1 by their names there; the rest is kept in `other`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are those of docs/wire.md §8.1, named as there")]
pub struct WorkerRecord {
    pub name: String,
    pub birth: Option<Timestamp>,
    pub last_heartbeat: Option<Timestamp>,
    /// In the order they are served.
    pub queues: Vec<String>,
    pub pid: Option<i64>,
    pub hostname: Option<String>,
    pub ip_address: Option<String>,
    pub version: Option<String>,
    pub python_version: Option<String>,
    /// `started`, `idle`, `busy` or `suspended`.
    pub state: Option<String>,
    pub successful_job_count: Option<i64>,
    pub failed_job_count: Option<i64>,
    /// As text: a float in seconds whose digits are the writer's.
    pub total_working_time: Option<String>,
    pub shutdown_requested_date: Option<Timestamp>,
    pub death: Option<Timestamp>,
    pub other: Fields,
}

impl WorkerRecord {
    /// A worker of which only the name is known.
    pub fn new(name: impl Into<String>) -> WorkerRecord {
        WorkerRecord {
            name: name.into(),
            birth: None,
            last_heartbeat: None,
            queues: Vec::new(),
            pid: None,
            hostname: None,
            ip_address: None,
            version: None,
            python_version: None,
            state: None,
            successful_job_count: None,
            failed_job_count: None,
            total_working_time: None,
            shutdown_requested_date: None,
            death: None,
            other: Fields::default(),
        }
    }

    /// Reads the hash of the worker `name`.
    pub fn from_fields(name: impl Into<String>, mut fields: Fields) -> Result<WorkerRecord, FieldError> {
        let f = &mut fields;
        Ok(WorkerRecord {
            name: name.into(),
            birth: f.take_time("birth")?,
            last_heartbeat: f.take_time("last_heartbeat")?,
            queues: split_queues(f.take_text("queues")?.as_deref().unwrap_or_default()),
            pid: f.take_int("pid")?,
            hostname: f.take_text("hostname")?,
            ip_address: f.take_text("ip_address")?,
            version: f.take_text("version")?,
            python_version: f.take_text("python_version")?,
            state: f.take_text("state")?,
            successful_job_count: f.take_int("successful_job_count")?,
            failed_job_count: f.take_int("failed_job_count")?,
            // Redis writes the sum (`HINCRBYFLOAT`); as a number its digits might not come back as they were.
            total_working_time: f.take_text("total_working_time")?,
            shutdown_requested_date: f.take_time("shutdown_requested_date")?,
            death: f.take_time("death")?,
            other: fields,
        })
    }

    /// The whole hash.
    pub fn to_fields(&self) -> Fields {
        let mut f = self.other.clone();
        f.set_some("birth", self.birth);
        f.set_some("last_heartbeat", self.last_heartbeat);
        // Python splits the text at commas, which is why no queue may have one in its name (`check_queue_name`).
        f.set("queues", self.queues.join(","));
        f.set_some("pid", self.pid);
        f.set_some("hostname", self.hostname.as_deref());
        f.set_some("ip_address", self.ip_address.as_deref());
        f.set_some("version", self.version.as_deref());
        f.set_some("python_version", self.python_version.as_deref());
        f.set_some("state", self.state.as_deref());
        f.set_some("successful_job_count", self.successful_job_count);
        f.set_some("failed_job_count", self.failed_job_count);
        f.set_some("total_working_time", self.total_working_time.as_deref());
        f.set_some("shutdown_requested_date", self.shutdown_requested_date);
        f.set_some("death", self.death);
        f
    }
}

impl WorkerRecord {
    /// Whether Python's RQ wrote it: workers of this project say so in `python_version` as well.
    pub fn is_pythons(&self) -> bool {
        !self.python_version.as_deref().is_some_and(|version| version.starts_with(NO_PYTHON))
    }
}

fn split_queues(text: &str) -> Vec<String> {
    text.split(',').filter(|queue| !queue.is_empty()).map(str::to_owned).collect()
}
