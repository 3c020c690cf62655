//! [`Context`]: what a process may ask.

use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::slot_name::SlotName;
use crate::system::is_asked_to_stop;

/// What a process may ask about itself and the run in hand.
#[derive(Debug)]
pub struct Context {
    name: SlotName,
    requests: Cell<u64>,
    deadline: Cell<Option<Instant>>,
}

impl Context {
    pub(crate) fn new(name: SlotName) -> Context {
        Context { name, requests: Cell::new(0), deadline: Cell::new(None) }
    }

    /// The slot's name, such as `Name-1`. A child that follows another has it, too.
    pub fn name(&self) -> &SlotName {
        &self.name
    }

    /// How many requests this child has done.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Whether the child is to end behind the run in hand. A run that waits for work should look at it now and then.
    pub fn is_stopping(&self) -> bool {
        is_asked_to_stop()
    }

    /// When the run in hand is over its time.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// Fails when the run in hand is over its time. A run that computes for long should call it now and then.
    pub fn check(&self) -> Result<(), TimedOut> {
        match self.deadline.get() {
            Some(deadline) if deadline <= Instant::now() => Err(TimedOut),
            _ => Ok(()),
        }
    }

    /// Sleeps, and fails as soon as the run is over its time.
    pub fn sleep(&self, duration: Duration) -> Result<(), TimedOut> {
        let left = self.deadline.get().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        sleep(left.map_or(duration, |left| left.min(duration)));
        self.check()
    }

    pub(crate) fn begin_run(&self, timeout: Option<Duration>) {
        self.deadline.set(timeout.map(|timeout| Instant::now() + timeout));
    }

    pub(crate) fn end_run(&self, is_request: bool) {
        self.deadline.set(None);
        self.requests.set(self.requests.get() + u64::from(is_request));
    }
}

/// A run has taken longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run has taken longer than it may")]
pub struct TimedOut;
