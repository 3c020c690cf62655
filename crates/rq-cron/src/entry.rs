//! [`Entry`]: a call, a queue, and when it is due.

mod check;

use std::time::Duration;

use rq_core::{Call, Codec, Error, Job, Ttl};

use crate::catch_up::CatchUp;
use crate::overlap::Overlap;
use crate::schedule::Schedule;

pub use check::{EntryError, Reason};

/// The queue of entries that do not name one.
const QUEUE_DEFAULT: &str = "default";
/// How long the results of their jobs are kept, in seconds, where the call does not say: RQ writes it into each.
const RESULT_TTL_DEFAULT_S: u64 = 500;

/// A call, a queue, and when it is due. Whether it can be so is looked at by [`Cron::check`](crate::Cron::check).
///
/// What the jobs are like is said on the call: its timeout, how long results are kept, meta, webhooks, retries.
///
/// ```
/// use rq_core::{Call, minutes};
/// use rq_cron::{CatchUp, Entry, Overlap};
/// let report = Call::<()>::to("reports.daily").arg(2026).timeout(minutes(10));
/// let entry = Entry::at("0 3 * * *", report)
///     .named("daily report")
///     .queue("low")
///     .zone("Europe/Berlin")
///     .catch_up(CatchUp::Latest)
///     .overlap(Overlap::Skip);
/// # let _ = entry;
/// ```
#[must_use = "an entry does nothing until it is part of a Cron"]
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    queue: Option<String>,
    zone: Option<String>,
    call: Call<()>,
    times: Times,
    catch_up: CatchUp,
    overlap: Overlap,
}

/// When an entry is due, as it was written.
#[derive(Clone, Debug)]
enum Times {
    Every(Duration),
    At(String),
}

impl Entry {
    /// An entry that is due at once, and then every `interval`, a second at least. It has the name of its function.
    pub fn every<T>(interval: Duration, call: Call<T>) -> Entry {
        Entry::new(Times::Every(interval), call)
    }

    /// An entry that is due at the times of an [`Expression`](crate::Expression), such as `0 3 * * *`.
    pub fn at<T>(expression: impl Into<String>, call: Call<T>) -> Entry {
        Entry::new(Times::At(expression.into()), call)
    }

    fn new<T>(times: Times, call: Call<T>) -> Entry {
        let call = call.untyped();
        Entry {
            name: call.function().to_owned(),
            queue: call.queue_name().map(str::to_owned),
            zone: None,
            call,
            times,
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
        }
    }

    /// What it is called; no other entry may have the same name. By default that of its function.
    pub fn named(mut self, name: impl Into<String>) -> Entry {
        self.name = name.into();
        self
    }

    /// The queue of its jobs, by default that of the call, and `default` where that names none.
    pub fn queue(mut self, queue: impl Into<String>) -> Entry {
        self.queue = Some(queue.into());
        self
    }

    /// Whose clocks the expression goes by: a name such as `Europe/Berlin`, `UTC`, or `local`, which is the default, as in
    /// RQ 3.0. (RQ before 3.0 went by UTC.)
    pub fn zone(mut self, name: impl Into<String>) -> Entry {
        self.zone = Some(name.into());
        self
    }

    /// What becomes of ticks at which nobody was there.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Entry {
        self.catch_up = catch_up;
        self
    }

    /// What becomes of a tick while the job of the one before has not ended.
    pub fn overlap(mut self, overlap: Overlap) -> Entry {
        self.overlap = overlap;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An [`Entry`] that was looked at: its schedule is one, and its jobs can be enqueued.
#[derive(Clone, Debug)]
pub struct CheckedEntry {
    name: String,
    queue: String,
    call: Call<()>,
    schedule: Schedule,
    catch_up: CatchUp,
    overlap: Overlap,
}

impl CheckedEntry {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The queue of its jobs.
    pub fn queue_name(&self) -> &str {
        &self.queue
    }

    /// The function of its jobs.
    pub fn function(&self) -> &str {
        self.call.function()
    }

    /// Whether its jobs go to the head of the queue.
    pub fn is_at_front(&self) -> bool {
        self.call.is_at_front()
    }

    /// When it is due.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What becomes of missed ticks.
    pub fn catch_up(&self) -> CatchUp {
        self.catch_up
    }

    /// What becomes of ticks that overlap.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// The job of one tick, with a fresh id, to be queued.
    pub fn job(&self, codec: Codec) -> Result<Job, Error> {
        let mut job = self.call.clone().into_queued_job(&self.queue, codec)?;
        job.result_ttl.get_or_insert(Ttl::Seconds(RESULT_TTL_DEFAULT_S));
        Ok(job)
    }
}
