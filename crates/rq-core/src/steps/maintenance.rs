//! Steps of maintenance: they remove what has expired, and repair what a crash or another program has left in queues,
//! registries, rate limits and groups.
//!
//! A script judges and repairs each item on its own, so that these steps need no lock and any worker may run them at
//! any time. Most of them take a registry page by page: to be repeated with the cursor they give, until they give none.

use redis::{Cmd, FromRedisValue, Value as Reply};

use crate::error::Error;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::scripts;
pub use crate::steps::job::Page;
use crate::steps::job::{Cursor, page};
use crate::steps::single;
use crate::time::Timestamp;

/// The most entries one step takes off a registry because their time is over.
pub const EXPIRED_MAX: usize = 1000;
/// The most jobs one step queues that were ready.
pub const READY_MAX: usize = 100;
/// About how many members of a set one page has.
const PAGE: usize = 100;

/// What one round of maintenance covers, by one worker at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One queue's books.
    Queue(&'a str),
    /// Workers, groups and rate limits.
    AtLarge,
}

/// Whether `round`, which names a worker and its round, does the maintenance of `scope`. For `interval_ms` no other
/// round does. It is no lock: there is nothing to give back.
pub fn take_round(keys: &Keys, scope: Scope<'_>, round: &str, interval_ms: u64) -> Step<bool> {
    let key = match scope {
        Scope::Queue(queue) => keys.maintained(queue),
        Scope::AtLarge => keys.maintained_at_large(),
    };
    let mut cmd = scripts::TAKE_ROUND.invoke(&[key]);
    // The round is named, not just its worker: sent again, the script finds this very round and answers yes once
    // more.
    cmd.arg(round).arg(interval_ms);
    step("take a round of maintenance", cmd, Ok)
}

/// Takes entries whose time is over off a `registry` of ended jobs, given by its key, at most [`EXPIRED_MAX`]; how
/// many.
pub fn expire(registry: &str) -> Step<Page<usize>> {
    let mut cmd = scripts::EXPIRE.invoke(&[registry]);
    cmd.arg(Timestamp::now().epoch_secs()).arg(EXPIRED_MAX);
    step("take off expired entries", cmd, |expired: usize| {
        // What was taken off is not there for the next call, so the beginning is always where to go on; a full page
        // may mean more.
        Ok(Page { found: expired, next: (expired == EXPIRED_MAX).then(Cursor::default) })
    })
}

/// Takes ids whose job is gone off a `registry` of jobs that expire by themselves, given by its key; how many.
pub fn prune(keys: &Keys, registry: &str, at: &Cursor) -> Step<Page<usize>> {
    let mut cmd = scripts::PRUNE.invoke(&[registry]);
    cmd.arg(keys.prefix()).arg(&at.0);
    step("take off ids without a job", cmd, |(cursor, gone): (String, usize)| Ok(page(cursor, gone)))
}

/// Queues jobs of `queue` that Python left ready, at most [`READY_MAX`]; their ids, and whether there was one to queue.
pub fn push_ready(keys: &Keys, queue: &str) -> Step<Page<Vec<(String, bool)>>> {
    let mut cmd = scripts::PUSH_READY.invoke(&[keys.ready(queue)]);
    let now = Timestamp::now();
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(queue).arg(READY_MAX);
    step("queue ready jobs", cmd, |ready: Vec<(Vec<u8>, bool)>| {
        let next = (ready.len() == READY_MAX).then(Cursor::default);
        Ok(Page { found: ready.into_iter().map(|(id, queued)| (text(id), queued)).collect(), next })
    })
}

/// What became of an id that Python's workers had taken off a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickedUp {
    /// Its job is gone.
    Gone,
    /// Another queue or registry has it.
    Left,
    /// It never began, and waits at the head of its queue again.
    Queued,
    /// It may have begun, but `rq:wip` had no execution of it; now it has one that is over, which a reaper ends.
    Started,
}

/// Queues, or files otherwise, ids that Python's workers took off `queue` and never began. Returns the ids that were
/// taken off the intermediate list, and why.
pub fn pick_up(keys: &Keys, queue: &str, at: &Cursor) -> Step<Page<Vec<(String, PickedUp)>>> {
    const NAME: &str = "pick up jobs that never began";
    let mut cmd = scripts::PICK_UP.invoke(&[keys.intermediate(queue)]);
    let now = Timestamp::now();
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_text()).arg(now.epoch_secs());
    // The fresh id is for a job that may have begun: it is filed in `rq:wip` as an execution that is over, so that it
    // ends like one of a worker that died.
    cmd.arg(queue).arg(crate::execution::fresh_x()).arg(&at.0);
    step(NAME, cmd, |answer: Vec<Reply>| {
        let (index, answer): (i64, _) = first(NAME, answer)?;
        let pairs = Vec::<(Vec<u8>, String)>::from_redis_value(Reply::Array(answer))
            .map_err(|error| Error::UnexpectedReply { step: NAME, got: error.to_string() })?;
        let found: Result<_, Error> =
            pairs.into_iter().map(|(id, word)| Ok((text(id), read_picked_up(&word)?))).collect();
        Ok(Page { found: found?, next: (index >= 0).then(|| Cursor(index.to_string())) })
    })
}

fn read_picked_up(word: &str) -> Result<PickedUp, Error> {
    match word {
        "gone" => Ok(PickedUp::Gone),
        "left" => Ok(PickedUp::Left),
        "queued" => Ok(PickedUp::Queued),
        "started" => Ok(PickedUp::Started),
        other => Err(Error::UnexpectedReply { step: "pick up", got: other.to_owned() }),
    }
}

/// Ids in the deferred registry of `queue` (`ZSCAN`), for [`undefer`].
pub fn deferred(keys: &Keys, queue: &str, at: &Cursor) -> Step<Page<Vec<Vec<u8>>>> {
    let mut cmd = redis::cmd("ZSCAN");
    cmd.arg(keys.deferred(queue)).arg(&at.0).arg("COUNT").arg(PAGE);
    step("look at deferred jobs", cmd, |(cursor, members): (String, Vec<(Vec<u8>, f64)>)| {
        Ok(page(cursor, members.into_iter().map(|(id, _)| id).collect()))
    })
}

/// What became of a deferred job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeferred {
    /// It waits for a job that has not ended, or has been deferred just now.
    Waits,
    /// The job is gone, and its id taken off.
    Gone,
    /// Nobody held it back: it is queued.
    Queued,
}

/// Queues those of the deferred `ids` of `queue` that nobody holds back. Answers for the first ones, one at least: to
/// be repeated with the others.
pub fn undefer(keys: &Keys, queue: &str, ids: &[Vec<u8>]) -> Step<Vec<Undeferred>> {
    const NAME: &str = "release deferred jobs";
    let mut cmd = scripts::UNDEFER.invoke(&[keys.deferred(queue)]);
    let now = Timestamp::now();
    // The script may stop before the last id: one job with many dependencies is to hold up Redis no longer than many
    // with few.
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(ids);
    step(NAME, cmd, |codes: Vec<i64>| {
        let read = |code| match code {
            0 => Ok(Undeferred::Waits),
            1 => Ok(Undeferred::Gone),
            2 => Ok(Undeferred::Queued),
            other => Err(Error::UnexpectedReply { step: NAME, got: other.to_string() }),
        };
        codes.into_iter().map(read).collect()
    })
}

/// Takes workers whose record has expired off `rq:workers`, or off the workers of one queue; their keys. What they ran
/// and nobody would find, as its lease and its entry in `rq:wip` are lost, gets an entry that is over.
pub fn bury(keys: &Keys, scope: Scope<'_>, at: &Cursor) -> Step<Page<Vec<String>>> {
    const NAME: &str = "take off dead workers";
    let set = match scope {
        Scope::Queue(queue) => keys.queue_workers(queue),
        Scope::AtLarge => keys.workers(),
    };
    let mut cmd = scripts::BURY.invoke(&[set]);
    cmd.arg(keys.prefix()).arg(Timestamp::now().epoch_secs()).arg(&at.0);
    step(NAME, cmd, |answer: Vec<Reply>| {
        let (cursor, members): (String, _) = first(NAME, answer)?;
        Ok(page(cursor, texts(NAME, members)?))
    })
}

/// The names of groups (`SSCAN rq:groups`), for [`tidy`](crate::steps::group::tidy).
pub fn groups(keys: &Keys, at: &Cursor) -> Step<Page<Vec<Vec<u8>>>> {
    names("look at groups", &keys.groups(), at)
}

/// The keys of rate limits (`SSCAN rq:rl-keys`), for [`free_slots`].
pub fn rate_limits(keys: &Keys, at: &Cursor) -> Step<Page<Vec<Vec<u8>>>> {
    names("look at rate limits", &keys.rate_limits(), at)
}

fn names(step_name: &'static str, set: &str, at: &Cursor) -> Step<Page<Vec<Vec<u8>>>> {
    let mut cmd = redis::cmd("SSCAN");
    cmd.arg(set).arg(&at.0).arg("COUNT").arg(PAGE);
    step(step_name, cmd, |(cursor, names): (String, Vec<Vec<u8>>)| Ok(page(cursor, names)))
}

/// What became of the slots of a rate limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The jobs that held a slot though they neither wait nor run.
    pub freed: Vec<String>,
    /// How many jobs got one and are queued.
    pub given: usize,
}

/// Takes the slots of a rate limit from jobs that neither wait nor run, and gives them to those that wait for one.
pub fn free_slots(keys: &Keys, rate_limit: &[u8], at: &Cursor) -> Step<Page<Slots>> {
    const NAME: &str = "free slots of a rate limit";
    let mut cmd = scripts::FREE_SLOTS.invoke(&[keys.rate_limits()]);
    let now = Timestamp::now();
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs()).arg(rate_limit).arg(&at.0);
    step(NAME, cmd, |answer: Vec<Reply>| {
        let (cursor, answer): (String, _) = first(NAME, answer)?;
        let (given, freed): (usize, _) = first(NAME, answer)?;
        Ok(page(cursor, Slots { freed: texts(NAME, freed)?, given }))
    })
}

/// A step of one command, which is safe to send twice.
fn step<A: FromRedisValue, T>(
    name: &'static str,
    cmd: Cmd,
    read: impl Fn(A) -> Result<T, Error> + Send + Sync + 'static,
) -> Step<T> {
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(name, pipeline, move |answers: Answers| read(single(name, answers)?))
}

/// The first element of an answer, and the others.
fn first<T: FromRedisValue>(step: &'static str, answer: Vec<Reply>) -> Result<(T, Vec<Reply>), Error> {
    let mut answer = answer.into_iter();
    let first = T::from_redis_value(answer.next().unwrap_or(Reply::Nil));
    let first = first.map_err(|error| Error::UnexpectedReply { step, got: error.to_string() })?;
    Ok((first, answer.collect()))
}

fn texts(step: &'static str, answer: Vec<Reply>) -> Result<Vec<String>, Error> {
    let members = Vec::<Vec<u8>>::from_redis_value(Reply::Array(answer));
    let members = members.map_err(|error| Error::UnexpectedReply { step, got: error.to_string() })?;
    Ok(members.into_iter().map(text).collect())
}

/// A name for the log, whatever bytes it has.
fn text(name: Vec<u8>) -> String {
    String::from_utf8(name).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
