//! A snapshot as the object of `--json`. The command's help lists its fields.

use rq_core::steps::cron::record::CronRecord;
use rq_core::steps::rate_limit::Usage;
use rq_core::{Timestamp, WorkerRecord};
use serde::Serialize;

use super::Shows;
use super::snapshot::{Queue, Snapshot};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::text::Text;

/// The version of the object: it rises when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Info<'a> {
    schema: u32,
    url: String,
    prefix: &'a str,
    updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<Vec<QueueInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<Vec<RateLimitInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Vec<WorkerInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron_schedulers: Option<Vec<CronInfo<'a>>>,
}

#[derive(Serialize)]
struct CronInfo<'a> {
    name: &'a str,
    hostname: &'a str,
    pid: Option<u32>,
    config_file: Option<&'a str>,
}

#[derive(Serialize)]
struct QueueInfo<'a> {
    name: &'a str,
    queued: usize,
    started: usize,
    finished: usize,
    failed: usize,
    deferred: usize,
    scheduled: usize,
    canceled: usize,
    scheduler: Option<SchedulerInfo<'a>>,
}

#[derive(Serialize)]
struct SchedulerInfo<'a> {
    name: &'a str,
    hostname: Option<&'a str>,
    pid: Option<&'a str>,
}

#[derive(Serialize)]
struct RateLimitInfo<'a> {
    key: &'a str,
    slots: Option<u64>,
    held: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct WorkerInfo<'a> {
    name: &'a str,
    state: Option<&'a str>,
    queues: &'a [String],
    hostname: Option<&'a str>,
    ip_address: Option<&'a str>,
    pid: Option<i64>,
    version: Option<&'a str>,
    birth: Option<String>,
    last_heartbeat: Option<String>,
    successful_job_count: i64,
    failed_job_count: i64,
    total_working_time_s: f64,
}

/// The object on one line.
pub(super) fn render(snapshot: &Snapshot, server: &Server, shows: Shows) -> Result<Text, Refusal> {
    let info = Info {
        schema: SCHEMA,
        url: server.shown.clone(),
        prefix: server.keys.prefix(),
        updated: snapshot.taken.to_string(),
        queues: (shows != Shows::Workers).then(|| snapshot.queues.iter().map(QueueInfo::from).collect()),
        rate_limits: (shows != Shows::Workers)
            .then(|| snapshot.rate_limits.iter().map(RateLimitInfo::from).collect()),
        workers: (shows != Shows::Queues).then(|| snapshot.workers.iter().map(WorkerInfo::from).collect()),
        groups: (shows != Shows::Workers).then_some(snapshot.groups),
        cron_schedulers: (shows == Shows::Both)
            .then(|| snapshot.cron_schedulers.iter().map(CronInfo::from).collect()),
    };
    Ok(Text::json(&info)?.ended())
}

impl<'a> From<&'a CronRecord> for CronInfo<'a> {
    fn from(record: &'a CronRecord) -> CronInfo<'a> {
        let CronRecord { name, hostname, pid, config_file, .. } = record;
        CronInfo {
            name,
            hostname,
            pid: pid.parse().ok(),
            config_file: Some(config_file.as_str()).filter(|file| !file.is_empty()),
        }
    }
}

impl<'a> From<&'a Queue> for QueueInfo<'a> {
    fn from(queue: &'a Queue) -> QueueInfo<'a> {
        let Queue { name, counts, scheduler } = queue;
        QueueInfo {
            name,
            queued: counts.queued,
            started: counts.started,
            finished: counts.finished,
            failed: counts.failed,
            deferred: counts.deferred,
            scheduled: counts.scheduled,
            canceled: counts.canceled,
            scheduler: scheduler.as_ref().map(|scheduler| SchedulerInfo {
                name: &scheduler.name,
                hostname: scheduler.hostname.as_deref(),
                pid: scheduler.pid.as_deref(),
            }),
        }
    }
}

impl<'a> From<&'a (String, Usage)> for RateLimitInfo<'a> {
    fn from((key, usage): &'a (String, Usage)) -> RateLimitInfo<'a> {
        RateLimitInfo { key, slots: usage.slots, held: usage.held, waiting: usage.waiting }
    }
}

impl<'a> From<&'a WorkerRecord> for WorkerInfo<'a> {
    fn from(worker: &'a WorkerRecord) -> WorkerInfo<'a> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        // Python's workers write a float as text; what does not parse counts as nothing.
        let working_time = worker.total_working_time.as_deref().and_then(|seconds| seconds.parse().ok());
        WorkerInfo {
            name: &worker.name,
            state: worker.state.as_deref(),
            queues: &worker.queues,
            hostname: worker.hostname.as_deref(),
            ip_address: worker.ip_address.as_deref(),
            pid: worker.pid,
            version: worker.version.as_deref(),
            birth: time(worker.birth),
            last_heartbeat: time(worker.last_heartbeat),
            successful_job_count: worker.successful_job_count.unwrap_or_default(),
            failed_job_count: worker.failed_job_count.unwrap_or_default(),
            total_working_time_s: working_time.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rq_core::steps::queue::Counts;
    use rq_core::{Fields, Keys};

    use super::*;

    #[test]
    fn the_object_has_the_documented_fields() {
        let fields: Fields =
            [("queues", "q"), ("state", "idle"), ("total_working_time", "1.5"), ("pid", "7")]
                .into_iter()
                .map(|(field, value)| (Vec::from(field), Vec::from(value)))
                .collect();
        let snapshot = Snapshot {
            taken: Timestamp::from_epoch_us(0),
            queues: vec![Queue {
                name: "q".to_owned(),
                counts: Counts { queued: 2, failed: 1, ..Counts::default() },
                scheduler: None,
            }],
            rate_limits: vec![("k".to_owned(), Usage { slots: Some(2), held: 2, waiting: 3 })],
            cron_schedulers: Vec::new(),
            workers: vec![WorkerRecord::from_fields("w", fields).unwrap()],
            groups: 3,
        };
        let server = Server::at("redis://:secret@h/0", Keys::default()).unwrap();
        let head = r#"{"schema":1,"url":"redis://:***@h:6379/0","prefix":"rq","updated":"1970-01-01T00:00:00.000000Z""#;
        let queues = r#","queues":[{"name":"q","queued":2,"started":0,"finished":0,"failed":1,"deferred":0,"scheduled":0,"canceled":0,"scheduler":null}],"rate_limits":[{"key":"k","slots":2,"held":2,"waiting":3}]"#;
        let workers = r#","workers":[{"name":"w","state":"idle","queues":["q"],"hostname":null,"ip_address":null,"pid":7,"version":null,"birth":null,"last_heartbeat":null,"successful_job_count":0,"failed_job_count":0,"total_working_time_s":1.5}]"#;
        for (shows, expected) in [
            (Shows::Both, format!("{head}{queues}{workers},\"groups\":3,\"cron_schedulers\":[]}}\n")),
            (Shows::Queues, format!("{head}{queues},\"groups\":3}}\n")),
            (Shows::Workers, format!("{head}{workers}}}\n")),
        ] {
            assert_eq!(render(&snapshot, &server, shows).unwrap().as_str(), expected);
        }
    }
}
