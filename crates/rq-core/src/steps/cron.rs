//! Steps of a cron scheduler on its entries: what it announces, its ticks, and what people do to entries (docs/wire.md §17).
//!
//! The scheduler's own record is in [`record`].

pub mod record;

use std::time::Duration;

use redis::Value as Reply;

use crate::error::Error;
use crate::error_class::ErrorClass;
use crate::fields::Fields;
use crate::job::Job;
use crate::keys::Keys;
use crate::link::Step;
use crate::scripts;
use crate::steps::{Answers, read, read_hash, single};
use crate::time::Timestamp;

/// The most entries that one run of the script announces.
pub const ANNOUNCED_PER_SCRIPT_MAX: usize = 50;
/// The most ticks of one step: each is a script of its own, so that Redis serves others between.
pub const TICKS_MAX: usize = 50;
/// The field of a job that has the name of the entry it is of. Ours; Python keeps fields that it does not know.
pub const NAME_FIELD: &str = "cron";
/// The field of a job that says when it was due, in the `T` form. Ours as well.
pub const DUE_FIELD: &str = "cron_due";
/// What the fields of the job begin with in the entry's hash.
const JOB_FIELD: &str = "job:";

/// What is kept of an entry: enough to tell of it, and to trigger it where no scheduler runs.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name, by which it is one and the same in all schedulers.
    pub name: String,
    /// Its schedule as text, time zone included. Whoever has another under this name has another entry.
    pub schedule: String,
    /// The queue of its jobs.
    pub queue: String,
    /// Whether they go to the head of it.
    pub at_front: bool,
    /// Such a job; its id and its times are those of no tick.
    pub job: Job,
    /// Which function it calls.
    pub function: String,
}

/// Whether an entry is as its scheduler has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not there before.
    New,
    /// It is.
    Same,
    /// It had another schedule, and has this one from now on.
    Changed,
    /// It has another schedule, which another scheduler upholds.
    Other(String),
    /// Its key is of another type.
    WrongType,
}

/// How far an entry has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether it is as its scheduler has it.
    pub standing: Standing,
    /// Since when its schedule counts.
    pub since: Timestamp,
    /// The latest tick that is decided: fired, or dropped for good.
    pub decided: Option<Timestamp>,
    /// Whether it is paused.
    pub paused: bool,
}

/// Announces entries, and asks how far each has come.
///
/// `takes_over` is for a scheduler that starts: what it was started with counts from now on. Others take an entry over only if
/// nobody has upheld its schedule for `given_up_after`.
pub fn announce(
    keys: &Keys,
    now: Timestamp,
    takes_over: bool,
    given_up_after: Duration,
    entries: &[Definition],
) -> Step<Vec<Progress>> {
    const NAME: &str = "announce";
    let mut pipeline = redis::pipe();
    for chunk in entries.chunks(ANNOUNCED_PER_SCRIPT_MAX) {
        let mut cmd = scripts::ANNOUNCE.invoke(&[keys.cron_entries()]);
        cmd.arg(keys.prefix()).arg(now.epoch_us()).arg(u8::from(takes_over)).arg(given_up_after.as_micros());
        for entry in chunk {
            let fields = entry.fields();
            cmd.arg(&entry.name).arg(&entry.schedule).arg(fields.iter().len());
            for (field, value) in fields.iter() {
                cmd.arg(field).arg(value);
            }
        }
        pipeline.add_command(cmd);
    }
    Step::new(NAME, pipeline, move |answers| {
        let mut progress = Vec::new();
        for answer in answers {
            let words: Vec<Vec<u8>> = read(NAME, answer)?;
            let words: Vec<String> =
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            progress.extend(words.chunks(4).map(read_progress).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(progress)
    })
}

impl Definition {
    fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields.set("queue", self.queue.as_str());
        fields.set("function", self.function.as_str());
        fields.set("side", side(self.at_front));
        fields.set("ttl", self.job.ttl_s.unwrap_or(0).to_string());
        for (field, value) in self.job.to_fields() {
            fields.set([JOB_FIELD.as_bytes(), &field].concat(), value);
        }
        fields.set([JOB_FIELD, NAME_FIELD].concat(), self.name.as_str());
        fields
    }
}

fn side(at_front: bool) -> &'static str {
    if at_front { "L" } else { "R" }
}

fn read_progress(words: &[String]) -> Result<Progress, Error> {
    let unexpected = || Error::UnexpectedReply { step: "announce", got: format!("{words:?}") };
    let [standing, since, decided, paused] = words else { return Err(unexpected()) };
    let time = |text: &str| text.parse().map(Timestamp::from_epoch_us).map_err(|_| unexpected());
    let decided = if decided.is_empty() { None } else { Some(time(decided)?) };
    let (standing, since) = match standing.as_str() {
        "new" => (Standing::New, time(since)?),
        "same" => (Standing::Same, time(since)?),
        "changed" => (Standing::Changed, time(since)?),
        "other" => (Standing::Other(since.clone()), Timestamp::from_epoch_us(0)),
        "wrongtype" => (Standing::WrongType, Timestamp::from_epoch_us(0)),
        _ => return Err(unexpected()),
    };
    Ok(Progress { standing, since, decided, paused: paused == "1" })
}

/// What a tick is to do.
#[derive(Clone, Debug)]
pub enum Act {
    /// Enqueue this job. Its id is a fresh one: by that a tick is known which is sent again.
    Fire(Job),
    /// The same, unless the entry's last job has not ended.
    FireUnlessBusy(Job),
    /// Enqueue nothing: the tick is decided, and dropped.
    Drop,
}

/// One tick of an entry.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The entry's name.
    pub name: String,
    /// Its schedule, as it was [announced](announce).
    pub schedule: String,
    /// The queue of its jobs.
    pub queue: String,
    /// Whether they go to the head of it.
    pub at_front: bool,
    /// When it is due.
    pub due: Timestamp,
    /// What was decided when it was planned. It is not fired if something else is by now: the plan may be another then.
    pub decided: Option<Timestamp>,
    /// How many ticks between that and this one are dropped.
    pub dropped: u64,
    /// What it is to do.
    pub act: Act,
}

/// What became of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// Its job is enqueued, by this sending or an earlier one.
    Fired,
    /// It is decided, without a job, as was asked.
    Dropped,
    /// It is decided, without a job: the entry is paused.
    Paused,
    /// It is decided, without a job: this one has not ended.
    Overlaps(String),
    /// Another scheduler was first. What is decided by now.
    Taken(Timestamp),
    /// Something else was decided than was when the tick was planned: it is to be planned anew.
    Moved(Option<Timestamp>),
    /// The entry has this other schedule.
    Other(String),
    /// There is no such entry any more: it is to be announced anew.
    Gone,
}

/// Decides ticks, at most [`TICKS_MAX`], each by itself. An error that is about one tick, such as a queue that is a key of
/// another type, or one that this user may not write to, is that one's alone.
pub fn tick(keys: &Keys, ticks: &[Tick]) -> Step<Vec<Result<Ticked, Error>>> {
    const NAME: &str = "tick";
    assert!(ticks.len() <= TICKS_MAX, "the caller cuts ticks into steps");
    let mut pipeline = redis::Pipeline::with_capacity(ticks.len());
    for tick in ticks {
        pipeline.add_command(tick.to_command(keys));
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let ticked = answers.into_iter().map(|answer| match read(NAME, answer) {
            Ok((word, told)) => Ok(read_ticked(word, told)),
            Err(error) if error.class() == ErrorClass::Fault => Ok(Err(error)),
            // A permission that its queue lacks; who may do nothing at all learns that with the next record.
            Err(error) if is_denied(&error) => Ok(Err(error)),
            // The server will take it later: the whole step is sent again, and what was done is known by its ids.
            Err(error) => Err(error),
        });
        ticked.collect()
    })
}

/// Whether the user lacks a permission for what this one was to do.
fn is_denied(error: &Error) -> bool {
    error.class() == ErrorClass::Misconfigured
        && matches!(error, Error::Redis(error) | Error::Unconfirmed { source: error, .. } if !error.spoils_connection())
}

impl Tick {
    fn to_command(&self, keys: &Keys) -> redis::Cmd {
        let mut cmd = scripts::TICK.invoke(&[
            keys.cron_entry(&self.name),
            keys.queue(&self.queue),
            keys.queues(),
            keys.cron_job(&self.name),
            keys.cron_jobs(),
        ]);
        let (word, job) = match &self.act {
            Act::Fire(job) => ("fire", Some(job)),
            Act::FireUnlessBusy(job) => ("skip", Some(job)),
            Act::Drop => ("drop", None),
        };
        let decided = self.decided.map(|decided| decided.epoch_us().to_string()).unwrap_or_default();
        cmd.arg(keys.prefix()).arg(&self.name).arg(&self.schedule);
        cmd.arg(self.due.epoch_us()).arg(decided).arg(self.dropped).arg(word).arg(side(self.at_front));
        let Some(job) = job else {
            cmd.arg("").arg("").arg(0);
            return cmd;
        };
        let enqueued_at = job.enqueued_at.unwrap_or(job.created_at);
        cmd.arg(enqueued_at.epoch_text()).arg(&job.id).arg(job.ttl_s.unwrap_or(0));
        let mut fields = job.to_fields();
        fields.set(NAME_FIELD, self.name.as_str());
        fields.set(DUE_FIELD, self.due.to_string());
        for (field, value) in fields.iter() {
            cmd.arg(field).arg(value);
        }
        cmd
    }
}

fn read_ticked(word: String, told: String) -> Result<Ticked, Error> {
    let unexpected = || Error::UnexpectedReply { step: "tick", got: format!("{word} {told}") };
    let time = |text: &str| text.parse().map(Timestamp::from_epoch_us).map_err(|_| unexpected());
    Ok(match word.as_str() {
        "fired" | "there" => Ticked::Fired,
        "dropped" => Ticked::Dropped,
        "paused" => Ticked::Paused,
        "overlap" => Ticked::Overlaps(told),
        "decided" => Ticked::Taken(time(&told)?),
        "moved" if told.is_empty() => Ticked::Moved(None),
        "moved" => Ticked::Moved(Some(time(&told)?)),
        "other" => Ticked::Other(told),
        "gone" => Ticked::Gone,
        _ => return Err(unexpected()),
    })
}

/// Enqueues a job of an entry now, under the id `job_id`, beside its ticks. The queue it went to; `None` where there is no
/// such entry.
pub fn trigger(keys: &Keys, name: &str, job_id: &str, now: Timestamp) -> Step<Option<String>> {
    const NAME: &str = "trigger";
    let mut cmd = scripts::TRIGGER.invoke(&[
        keys.cron_entry(name),
        keys.cron_job(name),
        keys.cron_jobs(),
        keys.queues(),
    ]);
    cmd.arg(keys.prefix()).arg(name).arg(job_id).arg(now.to_string()).arg(now.epoch_text());
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let (word, queue): (String, String) = single(NAME, answers)?;
        Ok(Some(queue).filter(|_| word != "gone"))
    })
}

/// Pauses entries, or resumes them; which of them are there.
pub fn pause(keys: &Keys, names: &[String], paused: bool) -> Step<Vec<bool>> {
    const NAME: &str = "pause";
    let entries = names.iter().map(|name| keys.cron_entry(name));
    let script_keys: Vec<String> = [keys.cron_entries()].into_iter().chain(entries).collect();
    let mut cmd = scripts::PAUSE.invoke(&script_keys);
    cmd.arg(u8::from(paused)).arg(names.len());
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Removes all that Redis keeps of an entry, its history included (`DEL`, `SREM`, `ZREM`). Whether there was anything.
pub fn forget(keys: &Keys, name: &str) -> Step<bool> {
    const NAME: &str = "forget";
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEL").arg(keys.cron_entry(name)).arg(keys.cron_job(name));
    pipeline.cmd("SREM").arg(keys.cron_entries()).arg(name);
    pipeline.cmd("ZREM").arg(keys.cron_jobs()).arg(name);
    Step::new(NAME, pipeline, |answers: Answers| {
        let removed = answers.into_iter().map(|answer| read::<u64>(NAME, answer));
        Ok(removed.sum::<Result<u64, Error>>()? > 0)
    })
}

/// The names of all entries that were announced, sorted (`SMEMBERS`).
pub fn names(keys: &Keys) -> Step<Vec<String>> {
    const NAME: &str = "cron entries";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.cron_entries());
    Step::new(NAME, pipeline, |answers| super::names_of(NAME, answers, ""))
}

/// What is kept of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its schedule as text, time zone included.
    pub schedule: String,
    /// The queue of its jobs.
    pub queue: String,
    /// Which function it calls.
    pub function: String,
    /// The latest tick that is decided.
    pub decided: Option<Timestamp>,
    /// Whether it is paused.
    pub paused: bool,
    /// How many ticks were fired.
    pub fired: u64,
    /// How many were dropped.
    pub dropped: u64,
    /// The job that was enqueued last.
    pub last_job: Option<String>,
}

/// What is kept of each of these entries (`HMGET`); those are left out of which nothing is.
pub fn kept(keys: &Keys, names: &[String]) -> Step<Vec<Kept>> {
    const NAME: &str = "read cron entries";
    const FIELDS: [&str; 8] =
        ["schedule", "queue", "function", "decided", "paused", "fired", "dropped", "last_job"];
    let mut pipeline = redis::pipe();
    for name in names {
        pipeline.cmd("HMGET").arg(keys.cron_entry(name)).arg(&FIELDS);
    }
    let names = names.to_vec();
    Step::new(NAME, pipeline, move |answers: Answers| {
        let mut kept = Vec::new();
        for (name, answer) in names.iter().zip(answers) {
            match read::<Vec<Option<Vec<u8>>>>(NAME, answer) {
                Ok(values) => kept.extend(read_kept(name, values)),
                // A key of another type is no entry.
                Err(error) if error.class() == ErrorClass::Fault => {}
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    })
}

fn read_kept(name: &str, values: Vec<Option<Vec<u8>>>) -> Option<Kept> {
    let mut values =
        values.into_iter().map(|value| value.map(|value| String::from_utf8_lossy(&value).into_owned()));
    let mut next = || values.next().flatten();
    let schedule = next()?;
    let (queue, function) = (next().unwrap_or_default(), next().unwrap_or_default());
    let decided = next().and_then(|us| us.parse().ok()).map(Timestamp::from_epoch_us);
    let paused = next().is_some_and(|paused| paused == "1");
    let mut count = || next().and_then(|count| count.parse().ok()).unwrap_or(0);
    let (fired, dropped) = (count(), count());
    Some(Kept {
        name: name.to_owned(),
        schedule,
        queue,
        function,
        decided,
        paused,
        fired,
        dropped,
        last_job: next(),
    })
}

/// When each entry has enqueued a job last, Python's among them (`ZRANGE rq:cron_jobs`), those first that have not for
/// long.
pub fn last_enqueued(keys: &Keys) -> Step<Vec<(String, f64)>> {
    const NAME: &str = "cron jobs";
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZRANGE").arg(keys.cron_jobs()).arg(0).arg(-1).arg("WITHSCORES");
    Step::new(NAME, pipeline, |answers| {
        // Somebody's member that is no text is no reason to list nothing.
        let members: Vec<(Vec<u8>, f64)> = single(NAME, answers)?;
        let shown = |(name, at_s): (Vec<u8>, f64)| (String::from_utf8_lossy(&name).into_owned(), at_s);
        Ok(members.into_iter().map(shown).collect())
    })
}
