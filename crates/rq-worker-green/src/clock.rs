//! [`Clock`]: wakes coroutines when their time has come.
//!
//! `may` has a clock, too. Its thread does not only wake a sleeper but runs it, up to its next wait: a job that
//! computes then, or blocks, holds up the sleep of all others.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use may::coroutine::{self, Coroutine};

use crate::carriers::Carriers;
use crate::current_job::while_waiting;

static CLOCK: OnceLock<Clock> = OnceLock::new();
/// Whether the clock's thread runs. Held while it is started.
static STARTED: Mutex<bool> = Mutex::new(false);

/// Wakes coroutines when their time has come, on carriers that are not late.
#[derive(Default)]
pub(crate) struct Clock {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

#[derive(Default)]
struct Sleepers {
    by_time: BTreeMap<(Instant, u64), Coroutine>,
    numbered: u64,
}

impl Clock {
    /// Starts its thread, once a process.
    pub(crate) fn start(carriers: &'static Carriers) -> io::Result<()> {
        // `CLOCK` alone would not do: a thread that could not be started is tried again by the next worker.
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            let clock = CLOCK.get_or_init(Clock::default);
            thread::Builder::new().name("rq-green-clock".to_owned()).spawn(|| clock.run(carriers))?;
            *started = true;
        }
        Ok(())
    }

    /// The clock, if it was started.
    pub(crate) fn running() -> Option<&'static Clock> {
        CLOCK.get()
    }

    /// Waits until `at`, or until the coroutine is woken otherwise. Only in a coroutine.
    pub(crate) fn wait_until(&self, at: Instant) {
        // Off the list again even where the wait unwinds: a cancelled coroutine must not be woken from it.
        let _entry = self.enter(at);
        while_waiting(coroutine::park);
    }

    fn enter(&self, at: Instant) -> Entry<'_> {
        let mut sleepers = self.sleepers();
        sleepers.numbered += 1;
        // The number tells those apart who wake at the same moment.
        let key = (at, sleepers.numbered);
        let is_next = sleepers.by_time.first_key_value().is_none_or(|(first, _)| key < *first);
        sleepers.by_time.insert(key, coroutine::current());
        drop(sleepers);
        // The thread sleeps until the one before it; all others it finds when it wakes by itself.
        if is_next {
            self.changed.notify_one();
        }
        Entry { clock: self, key }
    }

    fn run(&self, carriers: &Carriers) {
        let mut sleepers = self.sleepers();
        loop {
            let due = sleepers.take_due(Instant::now());
            // Without the lock: the coroutines that wake take it to leave the list.
            if !due.is_empty() {
                drop(sleepers);
                carriers.wake(due);
                sleepers = self.sleepers();
                continue;
            }
            let next = sleepers.by_time.first_key_value().map(|((at, _), _)| *at);
            sleepers = match next {
                None => self.changed.wait(sleepers).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(sleepers, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Never held across a wait of a coroutine.
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sleepers {
    fn take_due(&mut self, now: Instant) -> Vec<Coroutine> {
        // All that are due up to and including now: no number is as high.
        let later = self.by_time.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.by_time, later).into_values().collect()
    }
}

/// A sleeper's place in the list, which is removed when the sleeper wakes or is cancelled.
struct Entry<'a> {
    clock: &'a Clock,
    key: (Instant, u64),
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.clock.sleepers().by_time.remove(&self.key);
    }
}
