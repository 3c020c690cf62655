//! Steps on a queue.

use std::collections::BTreeSet;

use redis::{Cmd, Value as Reply};

use crate::execution::ExecutionId;
use crate::fields::Fields;
use crate::job::Job;
use crate::keys::Keys;
use crate::link::Step;
use crate::scripts;
use crate::steps::single;
use crate::time::Timestamp;

/// The most jobs one run of the script writes, so that Redis serves others between.
pub const JOBS_PER_SCRIPT_MAX: usize = 100;
/// The most jobs one round trip carries; more take several.
pub const JOBS_PER_ROUND_TRIP_MAX: usize = 10_000;
/// The most jobs one call of `empty` removes.
pub const EMPTIED_PER_SCRIPT_MAX: usize = 1000;

/// What becomes of an enqueued job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one served.
    Head,
    /// Behind all others.
    Tail,
    /// The schedule, due at that second since 1970, whatever it depends on.
    At(i64),
    /// Behind the rate limit of that key, which has so many slots.
    Limited {
        /// The key.
        key: String,
        /// How many of its jobs may be queued or run at once.
        slots: u32,
    },
    /// The next start of the pace of that key: in the queue, or in the schedule.
    Paced {
        /// The key.
        key: String,
        /// The most starts within a period.
        count: u32,
        /// The period.
        period_s: u64,
        /// Whether it goes to the head of the queue, if it goes there at once.
        at_front: bool,
    },
    /// Run by the producer itself, as this execution, which may take until that second since 1970.
    Inline(ExecutionId, i64),
}

impl Place {
    fn to_wire(&self) -> String {
        match self {
            Place::Head => "L".to_owned(),
            Place::Tail => "R".to_owned(),
            Place::At(due_s) => format!("S:{due_s}"),
            Place::Limited { key, slots } => format!("W:{slots}:{key}"),
            Place::Paced { key, count, period_s, at_front } => {
                let side = if *at_front { 'L' } else { 'R' };
                format!("T:{side}:{count}:{period_s}000:{key}")
            }
            Place::Inline(execution, until_s) => format!("I:{}:{until_s}", execution.x()),
        }
    }

    /// The rate limit that the job comes under.
    fn limit(&self) -> Option<&str> {
        match self {
            Place::Limited { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// What a job is unique by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UniqueBy {
    /// Its id: it is made unless there is a record of that id.
    Id,
    /// Its arguments: it is made unless the job that holds their lock still does.
    Args {
        /// Until when it does.
        until: UniqueUntil,
        /// How long the lock holds at most.
        window_ms: u64,
        /// Names the lock: 32 hex digits.
        digest: String,
    },
}

/// Until when a job keeps others of its arguments away, within its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueUntil {
    /// Until it has begun.
    Started,
    /// Until it has ended, in whatever way.
    Ended,
    /// For the whole window.
    Window,
}

impl UniqueBy {
    /// As the script is told it, with the token of one call.
    fn to_wire(&self, token: &str) -> String {
        match self {
            UniqueBy::Id => format!("id:{token}"),
            UniqueBy::Args { until, window_ms, digest } => {
                let until = match until {
                    UniqueUntil::Started => "started",
                    UniqueUntil::Ended => "ended",
                    UniqueUntil::Window => "window",
                };
                format!("{until}:{window_ms}:{digest}:{token}")
            }
        }
    }
}

/// The script's answer for one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in its place.
    Done,
    /// It was there already: the same job, or the same call under the same id.
    Already,
    /// It is unique, and this job is there in its place.
    There {
        /// The id of that job.
        job_id: String,
        /// Where it is; `gone` where only its lock is left.
        status: String,
    },
    /// It waits for other jobs.
    Deferred,
    /// It would wait for itself.
    Cycle,
    /// It would wait for too many jobs that wait themselves.
    TooDeep,
    /// The id belongs to another job, which is in this status.
    Taken(String),
}

/// Writes jobs and puts them into `queue`: at most [`JOBS_PER_ROUND_TRIP_MAX`] a step.
///
/// They join the group that they name; all of them name the same one, or none.
///
/// Safe to send twice, unless a job is deleted as soon as it has finished: then the second sending finds no trace of
/// the first.
pub fn enqueue(keys: &Keys, queue: &str, jobs: &[(Job, Place)]) -> Step<Vec<Enqueued>> {
    write_jobs(keys, queue, jobs, None)
}

/// The same for one job that is made only if it is the only one.
pub fn enqueue_unique(
    keys: &Keys,
    queue: &str,
    job: &[(Job, Place); 1],
    by: &UniqueBy,
) -> Step<Vec<Enqueued>> {
    write_jobs(keys, queue, job, Some(by))
}

fn write_jobs(keys: &Keys, queue: &str, jobs: &[(Job, Place)], by: Option<&UniqueBy>) -> Step<Vec<Enqueued>> {
    const NAME: &str = "enqueue";
    assert!(jobs.len() <= JOBS_PER_ROUND_TRIP_MAX, "the caller cuts jobs into round trips");
    let mut pipeline = redis::Pipeline::with_capacity(jobs.len().div_ceil(JOBS_PER_SCRIPT_MAX));
    let now = Timestamp::now();
    // Two producers may name one id in the same microsecond, and are not to take each other's job for their own.
    let token = by.map(|_| uuid::Uuid::new_v4().simple().to_string());
    let unique_by = by.zip(token.as_deref()).map(|(by, token)| by.to_wire(token)).unwrap_or_default();
    let group = jobs.first().and_then(|(job, _)| job.group()).unwrap_or_default();
    // For each command, whether it answers for jobs.
    let mut answers_for_jobs = Vec::new();
    for chunk in jobs.chunks(JOBS_PER_SCRIPT_MAX) {
        let mut cmd = scripts::ENQUEUE.invoke(&books(keys, queue, chunk, by));
        cmd.arg(keys.prefix())
            .arg(queue)
            .arg(now.to_string())
            .arg(now.epoch_secs())
            .arg(group)
            .arg(&unique_by);
        // Anew for each script: none remembers another's fields, so that the first job of each brings all of its own.
        let mut before = None;
        for (job, place) in chunk {
            let mut fields = job.to_fields();
            fields.set_some("unique", token.as_deref());
            // Apart from the other fields, which jobs share: by `created_at` the script knows the same job sent
            // again, by `data` the same call under an id that is in use.
            let (created_at, data) = (fields.take("created_at"), fields.take("data"));
            cmd.arg(&job.id).arg(place.to_wire()).arg(job.ttl_s.unwrap_or(0)).arg(created_at).arg(data);
            let waits_for = waits_for(job, place);
            cmd.arg(waits_for.len()).arg(waits_for);
            push_fields(&mut cmd, &fields, before.as_ref());
            before = Some(fields);
        }
        pipeline.add_command(cmd);
        answers_for_jobs.push(true);
        // Behind those that wait for a slot: a part of `enqueue` would cost all the others.
        if let Some(fill) = fill_slots(keys, chunk, now) {
            pipeline.add_command(fill);
            answers_for_jobs.push(false);
        }
    }
    let needs_slots = answers_for_jobs.contains(&false);
    let step = Step::new(NAME, pipeline, move |answers| {
        let mut enqueued = Vec::new();
        for (answer, is_for_jobs) in answers.into_iter().zip(&answers_for_jobs) {
            if *is_for_jobs {
                let replies: Vec<Reply> = crate::steps::read(NAME, answer)?;
                enqueued.extend(replies.into_iter().map(read_enqueued));
            } else {
                crate::steps::read::<u64>(NAME, answer)?;
            }
        }
        Ok(enqueued)
    });
    // A job with `result_ttl` 0 may have run and be gone by the second sending, which would run it twice
    // (docs/design/enqueue.md).
    let leaves_a_trace = |job: &Job| job.result_ttl != Some(crate::Ttl::Seconds(0));
    match jobs.iter().all(|(job, _)| leaves_a_trace(job)) {
        true => step,
        // A server may know one script and not the other, and then has done a part, which nobody may send again.
        false if needs_slots => step.whole().once(),
        false => step.once(),
    }
}

/// Gives the free slots of the rate limits that `jobs` have come under; nothing where they have not.
fn fill_slots(keys: &Keys, jobs: &[(Job, Place)], now: Timestamp) -> Option<Cmd> {
    let limits: BTreeSet<&str> = jobs.iter().filter_map(|(_, place)| place.limit()).collect();
    if limits.is_empty() {
        return None;
    }
    let mut cmd = scripts::FILL_SLOTS.invoke(&[keys.rate_limits()]);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs());
    limits.into_iter().for_each(|limit| {
        cmd.arg(limit);
    });
    Some(cmd)
}

/// All fields, or those that differ where the job before has the same ones: jobs that are enqueued together have most
/// in common.
fn push_fields(cmd: &mut Cmd, fields: &Fields, before: Option<&Fields>) {
    // The script changes values of the job before in place, and can neither add a field nor take one away.
    let base = before.filter(|before| before.has_fields_of(fields));
    let pairs: Vec<(&[u8], &[u8])> = match base {
        Some(base) => fields.iter().zip(base.iter()).filter(|(a, b)| a != b).map(|(pair, _)| pair).collect(),
        None => fields.iter().collect(),
    };
    cmd.arg(if base.is_some() { "same" } else { "new" }).arg(pairs.len());
    for (field, value) in pairs {
        cmd.arg(field).arg(value);
    }
}

/// A scheduled job keeps the names of those it depends on, and does not wait for them (docs/wire.md §9.3).
fn waits_for<'a>(job: &'a Job, place: &Place) -> &'a [String] {
    match place {
        Place::At(_) => &[],
        _ => job.dependency_ids.as_deref().unwrap_or_default(),
    }
}

/// The keys that enqueueing `jobs` may write to, beside their own.
fn books(keys: &Keys, queue: &str, jobs: &[(Job, Place)], by: Option<&UniqueBy>) -> Vec<String> {
    // The script asks for the type of each before its first write, and fails with a wrong one: a broken schedule is
    // to fail those jobs alone that go there.
    let mut books = vec![keys.queue(queue), keys.queues()];
    if jobs.iter().any(|(_, place)| matches!(place, Place::Inline(..))) {
        books.push(keys.wip(queue));
    }
    if jobs.iter().any(|(_, place)| matches!(place, Place::At(_) | Place::Paced { .. })) {
        books.push(keys.scheduled(queue));
    }
    if jobs.iter().any(|(job, place)| !waits_for(job, place).is_empty()) {
        books.push(keys.deferred(queue));
    }
    books.extend(limit_books(keys, jobs));
    if let Some(UniqueBy::Args { digest, .. }) = by {
        books.push(keys.unique(digest));
    }
    books
}

/// The keys of the limits that they come under.
fn limit_books(keys: &Keys, jobs: &[(Job, Place)]) -> BTreeSet<String> {
    let mut books = BTreeSet::new();
    for (_, place) in jobs {
        match place {
            Place::Limited { key, .. } => books.extend([
                keys.rate_limits(),
                keys.rate_limit(key),
                keys.rate_limit_allowed(key),
                keys.rate_limit_waiting(key),
            ]),
            Place::Paced { key, .. } => books.extend([keys.pace(key)]),
            Place::Head | Place::Tail | Place::At(_) | Place::Inline(..) => {}
        }
    }
    books
}

fn read_enqueued(reply: Reply) -> Enqueued {
    match reply {
        Reply::Int(1) => Enqueued::Done,
        Reply::Int(3) => Enqueued::Deferred,
        Reply::Int(_) => Enqueued::Already,
        Reply::BulkString(word) => match &*String::from_utf8_lossy(&word) {
            "cycle" => Enqueued::Cycle,
            "deep" => Enqueued::TooDeep,
            // Whatever else it says is the status of the job that has the id, or `wrongtype` where that key is no
            // hash.
            status => Enqueued::Taken(status.to_owned()),
        },
        Reply::Array(there) => match there.as_slice() {
            [Reply::BulkString(id), Reply::BulkString(status)] => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Enqueued::There { job_id: text(id), status: text(status) }
            }
            _ => Enqueued::Taken(format!("{there:?}")),
        },
        other => Enqueued::Taken(format!("{other:?}")),
    }
}

/// How many jobs wait in `queue` (`LLEN`).
pub fn len(keys: &Keys, queue: &str) -> Step<usize> {
    const NAME: &str = "queue length";
    let mut pipeline = redis::pipe();
    pipeline.cmd("LLEN").arg(keys.queue(queue));
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// How many jobs wait in a queue, and the id of the next one.
#[cfg(feature = "worker")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many.
    pub len: usize,
    /// The next one, if any.
    pub next: Option<String>,
}

/// The heads of `queues`, in their order (`LLEN`, `LINDEX … 0`).
#[cfg(feature = "worker")]
pub fn heads(keys: &Keys, queues: &[String]) -> Step<Vec<Head>> {
    const NAME: &str = "heads of queues";
    let mut pipeline = redis::Pipeline::with_capacity(2 * queues.len());
    for queue in queues {
        pipeline.cmd("LLEN").arg(keys.queue(queue));
        pipeline.cmd("LINDEX").arg(keys.queue(queue)).arg(0);
    }
    Step::new(NAME, pipeline, |answers| {
        let mut answers = answers.into_iter();
        let mut heads = Vec::new();
        while let (Some(len), Some(next)) = (answers.next(), answers.next()) {
            let next: Option<Vec<u8>> = crate::steps::read(NAME, next)?;
            let next = next.map(|id| String::from_utf8_lossy(&id).into_owned());
            heads.push(Head { len: crate::steps::read(NAME, len)?, next });
        }
        Ok(heads)
    })
}

/// The ids from `offset` on, at most `count`, next one first (`LRANGE`).
pub fn job_ids(keys: &Keys, queue: &str, offset: usize, count: usize) -> Step<Vec<String>> {
    const NAME: &str = "job ids";
    let mut pipeline = redis::pipe();
    // Redis counts in 64 bits with sign, from 0, both ends included.
    let end = offset.saturating_add(count).min(i64::MAX as usize);
    // Below 0, where `end - 1` might come to, Redis counts from the tail.
    if count == 0 {
        return Step::new(NAME, pipeline, |_| Ok(Vec::new()));
    }
    pipeline.cmd("LRANGE").arg(keys.queue(queue)).arg(offset.min(i64::MAX as usize)).arg(end - 1);
    Step::new(NAME, pipeline, |answers| {
        let ids: Vec<Vec<u8>> = single(NAME, answers)?;
        Ok(ids.into_iter().map(|id| String::from_utf8_lossy(&id).into_owned()).collect())
    })
}

/// Removes at most [`EMPTIED_PER_SCRIPT_MAX`] jobs of `queue` and returns how many; to be repeated while it is as many.
/// With `delete` an emptied queue is forgotten as well.
pub fn empty(keys: &Keys, queue: &str, delete: bool) -> Step<usize> {
    const NAME: &str = "empty";
    let mut pipeline = redis::pipe();
    let mut cmd = scripts::EMPTY.invoke(&[keys.queue(queue), keys.queues()]);
    cmd.arg(keys.prefix()).arg(EMPTIED_PER_SCRIPT_MAX).arg(u8::from(delete));
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Takes every copy of `id` off `queue`, and says whether there was one (`LREM`).
pub fn remove(keys: &Keys, queue: &str, id: &str) -> Step<bool> {
    const NAME: &str = "remove";
    let mut pipeline = redis::pipe();
    pipeline.cmd("LREM").arg(keys.queue(queue)).arg(0).arg(id);
    Step::new(NAME, pipeline, |answers| Ok(single::<u64>(NAME, answers)? > 0))
}

/// The place of `id` in `queue`, 0 for the next one (`LPOS`).
pub fn position(keys: &Keys, queue: &str, id: &str) -> Step<Option<usize>> {
    const NAME: &str = "position";
    let mut pipeline = redis::pipe();
    pipeline.cmd("LPOS").arg(keys.queue(queue)).arg(id);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The names of all queues, sorted (`SMEMBERS rq:queues`).
pub fn names(keys: &Keys) -> Step<Vec<String>> {
    const NAME: &str = "queue names";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.queues());
    let prefix = keys.queue("");
    Step::new(NAME, pipeline, move |answers| super::names_of(NAME, answers, &prefix))
}

/// How many ids a queue and each of its registries hold.
#[cfg(feature = "worker")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the queue.
    pub queued: usize,
    /// Running executions.
    pub started: usize,
    /// In the finished registry.
    pub finished: usize,
    /// In the failed registry.
    pub failed: usize,
    /// In the deferred registry.
    pub deferred: usize,
    /// In the scheduled registry.
    pub scheduled: usize,
    /// In the canceled registry.
    pub canceled: usize,
}

/// Counts the ids of each queue and of its registries, without side effects (`LLEN`, `ZCARD`).
#[cfg(feature = "worker")]
pub fn counts(keys: &Keys, queues: &[String]) -> Step<Vec<Counts>> {
    const NAME: &str = "counts";
    const BOOKS: usize = 7;
    let mut pipeline = redis::pipe();
    for queue in queues {
        pipeline.cmd("LLEN").arg(keys.queue(queue));
        for registry in [
            keys.wip(queue),
            keys.finished(queue),
            keys.failed(queue),
            keys.deferred(queue),
            keys.scheduled(queue),
            keys.canceled(queue),
        ] {
            pipeline.cmd("ZCARD").arg(registry);
        }
    }
    Step::new(NAME, pipeline, |answers| {
        let read = |answer| crate::steps::read::<usize>(NAME, answer);
        let numbers = answers.into_iter().map(read).collect::<Result<Vec<usize>, crate::Error>>()?;
        Ok(numbers.chunks_exact(BOOKS).map(read_counts).collect())
    })
}

#[cfg(feature = "worker")]
fn read_counts(numbers: &[usize]) -> Counts {
    match *numbers {
        [queued, started, finished, failed, deferred, scheduled, canceled] => {
            Counts { queued, started, finished, failed, deferred, scheduled, canceled }
        }
        _ => unreachable!("a queue has seven books"),
    }
}
