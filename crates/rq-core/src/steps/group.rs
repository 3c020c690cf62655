//! Steps on groups: their members, and jobs that wait for their end (docs/wire.md §14, docs/design/groups.md).

use redis::Value as Reply;

use crate::error::Error;
use crate::fields::Fields;
use crate::job::Job;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::scripts;
use crate::status::Status;
use crate::steps::job::{Cursor, Page, page};
use crate::steps::{read, single};
use crate::time::Timestamp;

/// The most jobs that wait for the end of one group.
pub const ENDS_MAX: usize = 16;
/// About how many members of a set one page has.
const PAGE: usize = 500;

/// The names of all groups, sorted (`SMEMBERS rq:groups`).
pub fn names(keys: &Keys) -> Step<Vec<String>> {
    const NAME: &str = "group names";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.groups());
    Step::new(NAME, pipeline, |answers| super::names_of(NAME, answers, ""))
}

/// How many groups there are (`SCARD rq:groups`).
#[cfg(feature = "worker")]
pub fn count(keys: &Keys) -> Step<usize> {
    const NAME: &str = "how many groups";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SCARD").arg(keys.groups());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// How many members a group has (`SCARD`).
pub fn len(keys: &Keys, group: &str) -> Step<usize> {
    const NAME: &str = "group size";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SCARD").arg(keys.group(group));
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The ids of some members (`SSCAN`). One may come twice.
pub fn members(keys: &Keys, group: &str, at: &Cursor) -> Step<Page<Vec<String>>> {
    const NAME: &str = "members of a group";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SSCAN").arg(keys.group(group)).arg(&at.0).arg("COUNT").arg(PAGE);
    Step::new(NAME, pipeline, |answers| {
        let (cursor, ids): (String, Vec<Vec<u8>>) = single(NAME, answers)?;
        Ok(page(cursor, ids.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect()))
    })
}

/// The statuses of jobs, in order (`HGET`, `HEXISTS … data`); `None` where there is no such job, and for a status that RQ
/// does not know.
pub fn statuses(keys: &Keys, ids: &[String]) -> Step<Vec<Option<Status>>> {
    const NAME: &str = "statuses";
    const COMMANDS_EACH: usize = 2;
    let mut pipeline = redis::Pipeline::with_capacity(COMMANDS_EACH * ids.len());
    for id in ids {
        pipeline.cmd("HGET").arg(keys.job(id)).arg("status");
        pipeline.cmd("HEXISTS").arg(keys.job(id)).arg("data");
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let mut answers = answers.into_iter();
        let mut statuses = Vec::new();
        while let (Some(status), Some(is_job)) = (answers.next(), answers.next()) {
            // A key of another type is no job.
            let (Ok(status), Ok(is_job)) = (read::<Option<String>>(NAME, status), read::<bool>(NAME, is_job))
            else {
                statuses.push(None);
                continue;
            };
            let known = status.filter(|status| !status.is_empty());
            let known = known.map_or(Some(Status::Created), |status| Status::parse(&status));
            statuses.push(known.filter(|_| is_job));
        }
        Ok(statuses)
    })
}

/// The ids of the jobs that were said to wait for the end of a group, sorted (`SMEMBERS`). Some may have been canceled or
/// deleted since.
pub fn ends(keys: &Keys, group: &str) -> Step<Vec<String>> {
    const NAME: &str = "ends of a group";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.group_ends(group));
    Step::new(NAME, pipeline, |answers| super::names_of(NAME, answers, ""))
}

/// Takes an id out of a group, and says whether it was there (`SREM`).
pub fn remove(keys: &Keys, group: &str, id: &str) -> Step<bool> {
    const NAME: &str = "remove from a group";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SREM").arg(keys.group(group)).arg(id);
    Step::new(NAME, pipeline, |answers| Ok(single::<u64>(NAME, answers)? > 0))
}

/// Takes ids whose job is gone out of a group, and forgets the group when it is empty; how many.
pub fn tidy(keys: &Keys, group: &[u8], at: &Cursor) -> Step<Page<usize>> {
    const NAME: &str = "tidy a group";
    let mut cmd = scripts::TIDY_GROUP.invoke(&[keys.groups()]);
    cmd.arg(keys.prefix()).arg(group).arg(&at.0);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let (cursor, gone): (String, usize) = single(NAME, answers)?;
        Ok(page(cursor, gone))
    })
}

/// What became of a job that is to wait for the end of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// It waits, and the group's end is held back: [`note_open`] comes next, and then [`let_end`].
    Waits,
    /// An earlier call has written it, and it has gone on since.
    WentOn,
    /// [`ENDS_MAX`] jobs wait for the group already.
    TooMany,
    /// The id belongs to another job, which is in this status.
    Taken(String),
}

/// Writes `job`, which is deferred, as one that waits for the end of `group`.
pub fn await_group(keys: &Keys, group: &str, job: &Job) -> Step<Awaited> {
    const NAME: &str = "wait for a group";
    let mut fields: Fields = job.to_fields();
    let (created_at, data) = (fields.take("created_at"), fields.take("data"));
    let books = [
        keys.queues(),
        keys.deferred(&job.origin),
        keys.awaited_groups(),
        keys.group_ends(group),
        keys.group_open(group),
    ];
    let mut cmd = scripts::AWAIT_GROUP.invoke(&books);
    cmd.arg(keys.prefix()).arg(&job.origin).arg(Timestamp::now().epoch_secs()).arg(group).arg(ENDS_MAX);
    cmd.arg(&job.id).arg(created_at).arg(data);
    for (field, value) in fields.iter() {
        cmd.arg(field).arg(value);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| match single::<Reply>(NAME, answers)? {
        Reply::Int(1 | 2) => Ok(Awaited::Waits),
        Reply::Int(3) => Ok(Awaited::WentOn),
        Reply::BulkString(word) => Ok(match &*String::from_utf8_lossy(&word) {
            "many" => Awaited::TooMany,
            status => Awaited::Taken(status.to_owned()),
        }),
        other => Err(Error::UnexpectedReply { step: NAME, got: format!("{other:?}") }),
    })
}

/// Notes some members of `group` that have not ended, for the declaration of the job `waiting`.
pub fn note_open(keys: &Keys, group: &str, waiting: &str, at: &Cursor) -> Step<Page<()>> {
    const NAME: &str = "note open members";
    let mut cmd = scripts::NOTE_OPEN.invoke(&[keys.group(group), keys.group_open(group)]);
    cmd.arg(keys.prefix()).arg(group).arg(waiting).arg(&at.0);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| Ok(page(single(NAME, answers)?, ())))
}

/// Ends the declaration of the job `waiting`, and the group where no member is open. How many jobs went on.
pub fn let_end(keys: &Keys, group: &str, waiting: &str) -> Step<usize> {
    const NAME: &str = "let a group end";
    let now = Timestamp::now();
    let mut cmd = scripts::LET_END.invoke(&[keys.group_open(group)]);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(group).arg(waiting);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The most groups that one look takes.
#[cfg(feature = "worker")]
pub const TAKEN_MAX: usize = 10;

/// Takes groups whose open members are to be looked at, for whose end a job waits: at most [`TAKEN_MAX`] that are due
/// within `ahead_ms`. Their names.
#[cfg(feature = "worker")]
pub fn take(keys: &Keys, ahead_ms: u64) -> Step<Vec<String>> {
    const NAME: &str = "look for ended groups";
    let mut cmd = scripts::TAKE_GROUPS.invoke(&[keys.awaited_groups()]);
    cmd.arg(keys.prefix()).arg(TAKEN_MAX).arg(ahead_ms);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| super::names_of(NAME, answers, ""))
}

/// What a look at some open members of a group has found.
#[cfg(feature = "worker")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// How many had ended.
    pub ended: usize,
    /// How many jobs went on, as the group has ended.
    pub gone_on: usize,
    /// The jobs whose declaration was begun long ago and never ended: its caller is gone.
    pub overdue: Vec<String>,
}

/// Takes open members out that have ended, and ends the group after the last one. Declarations that were begun more than
/// `held_ms` ago are named.
#[cfg(feature = "worker")]
pub fn look(keys: &Keys, group: &str, at: &Cursor, held_ms: u64) -> Step<Page<Looked>> {
    const NAME: &str = "look at a group";
    let now = Timestamp::now();
    let mut cmd = scripts::LOOK_AT_GROUP.invoke(&[keys.group_open(group)]);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(group).arg(&at.0).arg(held_ms);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let answer: Vec<Reply> = single(NAME, answers)?;
        let mut words = answer.into_iter().map(Ok);
        let mut word = || words.next().unwrap_or(Ok(Reply::Nil));
        let cursor: String = read(NAME, word())?;
        let (ended, gone_on) = (read(NAME, word())?, read(NAME, word())?);
        let overdue: Vec<String> = words.map(|word| read(NAME, word)).collect::<Result<_, _>>()?;
        Ok(page(cursor, Looked { ended, gone_on, overdue }))
    })
}
