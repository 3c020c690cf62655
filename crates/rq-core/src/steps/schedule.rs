//! Steps of a scheduler: its tick, and its end (docs/wire.md §16).

use std::time::Duration;

use crate::error::Error;
use crate::keys::Keys;
use crate::link::Step;
use crate::scripts;
use crate::steps::single;
use crate::time::Timestamp;

/// The most due jobs one tick looks at, whatever the number of queues: Redis serves nobody else meanwhile, for two to
/// five milliseconds.
pub const DUE_MAX: usize = 250;

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
    /// This scheduler.
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
    const NAME: &str = "schedule";
    // This machine's clock dates what is written; what is due the script decides by Redis'.
    let (keys, now) = (&who.keys, Timestamp::now());
    let mut due_keys = vec![keys.scheduler(&who.name)];
    for queue in &who.queues {
        // Lock and schedule go into the same script: a scheduler that slept past its lock moves nothing
        // (docs/design/scheduling.md).
        due_keys.extend([keys.scheduler_lock(queue), keys.scheduled(queue)]);
    }
    let mut cmd = scripts::DUE.invoke(&due_keys);
    cmd.arg(keys.prefix()).arg(now.to_string()).arg(now.epoch_secs());
    cmd.arg(&who.name).arg(who.kept.as_secs()).arg(DUE_MAX);
    cmd.arg(who.queues.len()).arg(&who.queues);
    // The whole record with each tick: it expires with the locks, and a scheduler that was away finds neither.
    cmd.arg("name").arg(&who.name);
    cmd.arg("hostname").arg(&who.hostname);
    cmd.arg("pid").arg(who.pid);
    cmd.arg("queues").arg(who.queues.join(","));
    cmd.arg("created_at").arg(who.created_at.to_string());
    cmd.arg("last_heartbeat").arg(now.to_string());
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| {
        let numbers: Vec<i64> = single(NAME, answers)?;
        numbers.chunks(4).map(read_tick).collect()
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

/// The scheduler's end: frees its locks and removes its record. Returns how many locks it held.
pub fn leave(who: &Scheduler) -> Step<usize> {
    const NAME: &str = "leave the schedule";
    let keys = &who.keys;
    let mut leave_keys = vec![keys.scheduler(&who.name)];
    // The script frees those alone that hold this name: another scheduler may have taken over a lock that has
    // expired.
    leave_keys.extend(who.queues.iter().map(|queue| keys.scheduler_lock(queue)));
    let mut cmd = scripts::LEAVE.invoke(&leave_keys);
    cmd.arg(&who.name);
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}
