//! Steps on jobs.

use crate::error::Error;
use crate::fields::Fields;
use crate::job::Job;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::result::JobResult;
use crate::scripts;
use crate::status::Status;
use crate::steps::{exactly, read, read_hash, single};
use crate::time::Timestamp;

/// How many jobs one round trip fetches, looks around or deletes.
pub const FETCHED_PER_ROUND_TRIP_MAX: usize = 500;

/// The raw hashes of jobs, in order; empty where there is none.
pub fn fetch_fields(keys: &Keys, ids: &[String]) -> Step<Vec<Fields>> {
    const NAME: &str = "fetch jobs";
    let mut pipeline = redis::pipe();
    for id in ids {
        pipeline.cmd("HGETALL").arg(keys.job(id));
    }
    Step::new(NAME, pipeline, |answers| answers.into_iter().map(|answer| read_hash(NAME, answer)).collect())
}

/// Jobs, in order; `None` where there is none. What cannot be read is an error in its place.
pub fn fetch_jobs(keys: &Keys, ids: &[String]) -> Step<Vec<Result<Option<Job>, Error>>> {
    const NAME: &str = "fetch jobs";
    let mut pipeline = redis::Pipeline::with_capacity(ids.len());
    for id in ids {
        pipeline.cmd("HGETALL").arg(keys.job(id));
    }
    let ids = ids.to_vec();
    Step::new(NAME, pipeline, move |answers: Answers| {
        // Each on its own: a record that another program has spoilt must not hide the others.
        let hashes = ids.iter().zip(answers).map(|(id, answer)| (id, read_hash(NAME, answer)));
        Ok(hashes.map(|(id, hash)| hash.and_then(|fields| read_job(id, fields))).collect())
    })
}

/// Reads a job hash that was fetched; `None` where there was none.
pub fn read_job(id: &str, fields: Fields) -> Result<Option<Job>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    match Job::from_fields(id, fields) {
        Ok(job) => Ok(Some(job)),
        Err(source) => Err(Error::Malformed { record: format!("job {id}"), source }),
    }
}

/// Whether a job is there (`HEXISTS … data`): a key without `data` is no job.
pub fn exists(keys: &Keys, id: &str) -> Step<bool> {
    const NAME: &str = "whether a job exists";
    let mut pipeline = redis::pipe();
    pipeline.cmd("HEXISTS").arg(keys.job(id)).arg("data");
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Since when jobs wait, in order; `None` where nothing that is a time says so (`HGET … enqueued_at`).
#[cfg(feature = "worker")]
pub fn enqueued_at(keys: &Keys, ids: &[String]) -> Step<Vec<Option<Timestamp>>> {
    const NAME: &str = "when jobs were enqueued";
    let mut pipeline = redis::Pipeline::with_capacity(ids.len());
    for id in ids {
        pipeline.cmd("HGET").arg(keys.job(id)).arg("enqueued_at");
    }
    Step::new(NAME, pipeline, |answers| {
        let times = answers.into_iter().map(|answer| {
            let text: Option<Vec<u8>> = read(NAME, answer)?;
            Ok(text.and_then(|text| Timestamp::parse(&String::from_utf8_lossy(&text)).ok()))
        });
        times.collect()
    })
}

/// A job's status and the newest entry of its results stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// `None` where the job is gone.
    pub status: Option<Status>,
    /// The entry's id in the stream, and the entry.
    pub result: Option<(String, JobResult)>,
}

/// Looks where a job is and how its newest run ended (`HGET`, `XREVRANGE … COUNT 1`).
pub fn latest(keys: &Keys, id: &str) -> Step<Latest> {
    const NAME: &str = "latest result";
    let mut pipeline = redis::pipe();
    // Status before entries, as Redis may serve others between the two: an end with its entry that falls there is
    // seen with the next look. The other way round it would pass for an end whose result has expired.
    pipeline.cmd("HGET").arg(keys.job(id)).arg("status");
    // `HGET` has no value for a job without status, which RQ reads as `created`, and none for a job that is gone.
    pipeline.cmd("EXISTS").arg(keys.job(id));
    pipeline.cmd("XREVRANGE").arg(keys.results(id)).arg("+").arg("-").arg("COUNT").arg(1);
    let id = id.to_owned();
    Step::new(NAME, pipeline, move |answers: Answers| {
        let [status, exists, entries] = exactly(NAME, answers)?;
        let status: Option<String> = read(NAME, status)?;
        let exists: bool = read(NAME, exists)?;
        let status = match status.as_deref().and_then(Status::parse) {
            None if exists => Some(Status::Created),
            status => status,
        };
        Ok(Latest { status, result: read_newest(&id, read::<Vec<Entry>>(NAME, entries)?)? })
    })
}

/// An entry of a stream as Redis sends it.
type Entry = (String, Vec<(Vec<u8>, Vec<u8>)>);

fn read_newest(id: &str, mut entries: Vec<Entry>) -> Result<Option<(String, JobResult)>, Error> {
    entries.pop().map(|entry| read_entry(id, entry)).transpose()
}

fn read_entry(id: &str, (entry, fields): Entry) -> Result<(String, JobResult), Error> {
    match JobResult::from_fields(fields.into_iter().collect()) {
        Ok(result) => Ok((entry, result)),
        Err(source) => Err(Error::Malformed { record: format!("result {entry} of job {id}"), source }),
    }
}

/// The newest entries of a job's results stream, newest first, at most `count` (`XREVRANGE`).
pub fn results(keys: &Keys, id: &str, count: usize) -> Step<Vec<JobResult>> {
    const NAME: &str = "results";
    let mut pipeline = redis::pipe();
    pipeline.cmd("XREVRANGE").arg(keys.results(id)).arg("+").arg("-").arg("COUNT").arg(count);
    let id = id.to_owned();
    Step::new(NAME, pipeline, move |answers| {
        let entries: Vec<Entry> = single(NAME, answers)?;
        entries.into_iter().map(|entry| Ok(read_entry(&id, entry)?.1)).collect()
    })
}

/// The ids of the jobs that wait for each of `ids`, or did, sorted (`SMEMBERS`).
pub fn dependents(keys: &Keys, ids: &[String]) -> Step<Vec<Vec<String>>> {
    sets_of_ids("dependents", ids.iter().map(|id| keys.dependents(id)))
}

/// The ids of the jobs that each of `ids` waits for, or has waited for, sorted (`SMEMBERS`).
pub fn dependencies(keys: &Keys, ids: &[String]) -> Step<Vec<Vec<String>>> {
    sets_of_ids("dependencies", ids.iter().map(|id| keys.dependencies(id)))
}

fn sets_of_ids(name: &'static str, keys: impl ExactSizeIterator<Item = String>) -> Step<Vec<Vec<String>>> {
    let mut pipeline = redis::Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.cmd("SMEMBERS").arg(key);
    }
    Step::new(name, pipeline, move |answers: Answers| {
        let read = |answer| {
            let members: Vec<Vec<u8>> = read(name, answer)?;
            let mut ids: Vec<String> =
                members.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect();
            ids.sort();
            Ok(ids)
        };
        answers.into_iter().map(read).collect()
    })
}

/// How far a walk over a long set has come, such as the release of a job's dependents; the default is the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor("0".to_owned())
    }
}

/// What one step found, and where to go on; `None` when there is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found or done.
    pub found: T,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

pub(super) fn page<T>(cursor: String, found: T) -> Page<T> {
    // A scan of Redis is over when its cursor is 0 again; a page without anything found is no sign of that.
    Page { found, next: (cursor != "0").then_some(Cursor(cursor)) }
}

/// Why dependents are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The job they wait for has ended; its status decides which of them it holds back.
    Ended,
    /// The job they wait for has ended, is not kept, and goes with its last dependent.
    Discarded,
    /// The job they wait for holds nobody back, whatever its status.
    Past,
}

/// Queues those dependents of `id` that wait for nobody any more, a bounded number a step: to be repeated with the
/// cursor it gives, until it gives none.
pub fn release(keys: &Keys, id: &str, cursor: &Cursor, why: Release) -> Step<Option<Cursor>> {
    const NAME: &str = "release dependents";
    let now = Timestamp::now();
    let mut cmd = scripts::RELEASE.invoke(&[keys.dependents(id)]);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(id).arg(&cursor.0);
    cmd.arg(u8::from(why == Release::Past)).arg(u8::from(why == Release::Discarded));
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let cursor: String = single(NAME, answers)?;
        Ok((cursor != "0").then_some(Cursor(cursor)))
    })
}

/// The command that waits for an entry after `after`, for at most `longest_ms`. For a waiting connection.
pub fn wait_for_result(keys: &Keys, id: &str, after: &str, longest_ms: u64) -> redis::Cmd {
    let mut cmd = redis::cmd("XREAD");
    cmd.arg("COUNT").arg(1).arg("BLOCK").arg(longest_ms).arg("STREAMS").arg(keys.results(id)).arg(after);
    cmd
}
