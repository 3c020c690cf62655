//! Steps of a scheduler: its tick, and its end (docs/wire.md §16).

use std::time::Duration;

use crate::error::Error;
use crate::error_class::ErrorClass;
use crate::keys::Keys;
use crate::link::Step;
use crate::scripts;
use crate::steps::{Answers, first_of, read, read_clock_ms, single};
use crate::time::Timestamp;

/// The most due jobs one tick looks at, whatever the number of queues: Redis serves nobody else meanwhile, for two to
/// five milliseconds.
pub const DUE_MAX: usize = 250;

/// The most queues of one tick, or one end of a scheduler, so that Redis is held up for less than five milliseconds. (A queue
/// takes 20 to 40 µs.)
pub const QUEUES_MAX: usize = 64;

/// Who a scheduler is: what it writes into its record, `rq:scheduler:<name>`, and into its locks.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// The names of the keys.
    pub keys: Keys,
    /// Its name; no other scheduler may ever have had it, or the two would share their locks.
    pub name: String,
    /// Where it runs.
    pub hostname: String,
    /// As which process.
    pub pid: u32,
    /// Since when.
    pub created_at: Timestamp,
    /// For which queues.
    pub queues: Vec<String>,
    /// How long its record and its locks outlive its last tick. RQ's are the interval of its ticks and 60 s.
    pub kept: Duration,
}

/// Who schedules a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This scheduler; of a worker that takes no locks, nobody.
    Us,
    /// Another one.
    Another,
    /// Nobody can: the key of the lock holds no string.
    BadLock,
    /// Nobody can: the key of the schedule holds no sorted set.
    BadSchedule,
}

/// What a tick did for one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTick {
    /// The scheduler that has the queue.
    pub holder: Holder,
    /// How many jobs were queued, or wait for a slot of their rate limit.
    pub moved: usize,
    /// How many ids were taken off the schedule and nothing more: canceled, deleted or expired meanwhile.
    pub dropped: usize,
    /// Whether more may be due.
    pub more: bool,
}

/// A scheduler's tick: it locks the queues that no other scheduler has, and queues their due jobs, at most [`DUE_MAX`].
/// What is due is decided by Redis' clock, the one that all schedulers share. Per queue, what it did.
pub fn due(who: &Scheduler) -> Step<Vec<QueueTick>> {
    due_of(who, &who.queues, true)
}

/// As [`due`] for some of the scheduler's queues, [`QUEUES_MAX`] at most where others are to be served in time; with its
/// record, or without.
pub fn due_of(who: &Scheduler, queues: &[String], with_record: bool) -> Step<Vec<QueueTick>> {
    // This machine's clock dates what is written; what is due the script decides by Redis'.
    let now = Timestamp::now();
    let mut cmd = tick(&who.keys, &who.name, who.kept, queues, now);
    // The whole record with each tick: it expires with the locks, and a scheduler that was away finds neither.
    if with_record {
        cmd.arg("name").arg(&who.name);
        cmd.arg("hostname").arg(&who.hostname);
        cmd.arg("pid").arg(who.pid);
        cmd.arg("queues").arg(who.queues.join(","));
        cmd.arg("created_at").arg(who.created_at.to_string());
        cmd.arg("last_heartbeat").arg(now.to_string());
    }
    ticked(cmd)
}

/// Queues due jobs of queues that no scheduler has, at most [`DUE_MAX`], and leaves nothing behind: whoever wants the lock
/// has it at once. `kept` is for locks that would never end, which schedulers do not write.
pub fn due_unlocked(keys: &Keys, kept: Duration, queues: &[String]) -> Step<Vec<QueueTick>> {
    ticked(tick(keys, "", kept, queues, Timestamp::now()))
}

fn tick(keys: &Keys, name: &str, kept: Duration, queues: &[String], now: Timestamp) -> redis::Cmd {
    let mut due_keys = vec![keys.scheduler(name)];
    for queue in queues {
        // Lock and schedule go into the same script: a scheduler that slept past its lock moves nothing
        // (docs/design/scheduling.md).
        due_keys.extend([keys.scheduler_lock(queue), keys.scheduled(queue)]);
    }
    let mut cmd = scripts::DUE.invoke(&due_keys);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs());
    cmd.arg(name).arg(kept.as_secs()).arg(DUE_MAX);
    cmd.arg(queues.len()).arg(queues);
    cmd
}

fn ticked(cmd: redis::Cmd) -> Step<Vec<QueueTick>> {
    const NAME: &str = "schedule";
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let numbers: Vec<i64> = single(NAME, answers)?;
        numbers.chunks(4).map(read_tick).collect()
    })
}

/// Which of these queues have jobs that are due, by Redis' clock (`TIME`, `ZRANGE`): single commands, between which Redis
/// serves others.
pub fn have_due(keys: &Keys, queues: &[String]) -> Step<Vec<bool>> {
    const NAME: &str = "look for due jobs";
    let mut pipeline = redis::pipe();
    pipeline.cmd("TIME");
    for queue in queues {
        pipeline.cmd("ZRANGE").arg(keys.scheduled(queue)).arg(0).arg(0).arg("WITHSCORES");
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let (clock, firsts) = first_of(NAME, answers)?;
        // As the script has it, which looks for whole seconds.
        let now_s = (read_clock_ms(NAME, clock)? / 1e3).floor();
        let is_due = |first: Vec<(Vec<u8>, f64)>| first.first().is_some_and(|(_, due_s)| *due_s <= now_s);
        let looked = firsts.map(|first| match read(NAME, first) {
            Ok(first) => Ok(is_due(first)),
            // The tick says what is wrong with a key of another type.
            Err(error) if error.class() == ErrorClass::Fault => Ok(true),
            Err(error) => Err(error),
        });
        looked.collect()
    })
}

/// The fewest workers that serve one of these queues (`SCARD`), as far as their sets know; 1 at least.
pub fn fewest_workers(keys: &Keys, queues: &[String]) -> Step<usize> {
    const NAME: &str = "count the workers";
    let mut pipeline = redis::pipe();
    for queue in queues {
        pipeline.cmd("SCARD").arg(keys.queue_workers(queue));
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let counts = answers.into_iter().map(|count| read::<usize>(NAME, count));
        let counts = counts.collect::<Result<Vec<usize>, Error>>()?;
        Ok(counts.into_iter().min().unwrap_or(1).max(1))
    })
}

fn read_tick(numbers: &[i64]) -> Result<QueueTick, Error> {
    let unexpected = || Error::UnexpectedReply { step: "schedule", got: format!("{numbers:?}") };
    let &[holder, moved, dropped, more] = numbers else { return Err(unexpected()) };
    let holder = match holder {
        1 => Holder::Us,
        0 => Holder::Another,
        -1 => Holder::BadLock,
        -2 => Holder::BadSchedule,
        _ => return Err(unexpected()),
    };
    let count = |number: i64| usize::try_from(number).map_err(|_| unexpected());
    Ok(QueueTick { holder, moved: count(moved)?, dropped: count(dropped)?, more: more == 1 })
}

/// Who holds the lock of each of these queues (`GET`): the name of a scheduler, of ours or Python's; `None` where nobody
/// does.
pub fn holders(keys: &Keys, queues: &[String]) -> Step<Vec<Option<String>>> {
    const NAME: &str = "look for schedulers";
    let mut pipeline = redis::pipe();
    for queue in queues {
        pipeline.cmd("GET").arg(keys.scheduler_lock(queue));
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        let holder = |lock| {
            // A key of another type is nobody's lock, and a user who may not look sees none.
            let name = read::<Option<Vec<u8>>>(NAME, lock).unwrap_or_default();
            name.map(|name| String::from_utf8_lossy(&name).into_owned())
        };
        Ok(answers.into_iter().map(holder).collect())
    })
}

/// Where each of these schedulers runs, and as which process, as far as their records say (`HMGET`).
pub fn whereabouts(keys: &Keys, names: &[String]) -> Step<Vec<(Option<String>, Option<String>)>> {
    const NAME: &str = "look at schedulers";
    let mut pipeline = redis::pipe();
    for name in names {
        pipeline.cmd("HMGET").arg(keys.scheduler(name)).arg("hostname").arg("pid");
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        Ok(answers.into_iter().map(|record| read(NAME, record).unwrap_or_default()).collect())
    })
}

/// The scheduler's end: frees its locks and removes its record. Returns how many locks it held.
pub fn leave(who: &Scheduler) -> Step<usize> {
    leave_of(who, &who.queues)
}

/// As [`leave`] for some of its queues.
pub fn leave_of(who: &Scheduler, queues: &[String]) -> Step<usize> {
    const NAME: &str = "leave the schedule";
    let keys = &who.keys;
    let mut leave_keys = vec![keys.scheduler(&who.name)];
    // The script frees those alone that hold this name: another scheduler may have taken over a lock that has
    // expired.
    leave_keys.extend(queues.iter().map(|queue| keys.scheduler_lock(queue)));
    let mut cmd = scripts::LEAVE.invoke(&leave_keys);
    cmd.arg(&who.name);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}
