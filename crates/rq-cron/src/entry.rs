//! [`Entry`]: a call, a queue, and when it is due.

use std::time::Duration;

use rq_core::{Call, Codec, Error, Job};

use crate::catch_up::CatchUp;
use crate::overlap::Overlap;
use crate::schedule::Schedule;

/// The queue of entries that do not name one.
const QUEUE_DEFAULT: &str = "default";

/// A call, a queue, and when it is due.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    queue: Option<String>,
    call: Call<()>,
    schedule: Schedule,
    catch_up: CatchUp,
    overlap: Overlap,
}

impl Entry {
    /// An entry that is due at once, and then every `interval`. It has the name of its function.
    pub fn every<T>(interval: Duration, call: Call<T>) -> Entry {
        Entry::new(Schedule::Every(interval), call)
    }

    /// An entry that is due at the times of `expression`.
    pub fn at<T>(expression: impl Into<String>, call: Call<T>) -> Entry {
        Entry::new(Schedule::At(expression.into()), call)
    }

    fn new<T>(schedule: Schedule, call: Call<T>) -> Entry {
        let call = call.untyped();
        Entry {
            name: call.function().to_owned(),
            queue: call.queue_name().map(str::to_owned),
            call,
            schedule,
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
        }
    }

    /// What it is called; no other entry may have the same name.
    pub fn named(mut self, name: impl Into<String>) -> Entry {
        self.name = name.into();
        self
    }

    /// The queue of its jobs, by default that of the call, and `default` where that names none.
    pub fn queue(mut self, queue: impl Into<String>) -> Entry {
        self.queue = Some(queue.into());
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

    /// The queue of its jobs.
    pub fn queue_name(&self) -> &str {
        self.queue.as_deref().unwrap_or(QUEUE_DEFAULT)
    }

    /// When it is due.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What becomes of missed ticks.
    pub fn missed(&self) -> CatchUp {
        self.catch_up
    }

    /// What becomes of ticks that overlap.
    pub fn overlapping(&self) -> Overlap {
        self.overlap
    }

    /// The job of one tick, with a fresh id, to be queued.
    pub fn job(&self, codec: Codec) -> Result<Job, Error> {
        self.call.clone().into_queued_job(self.queue_name(), codec)
    }
}
