//! [`Watchdog`]: logs which job blocks a carrier.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rq_core::Job;

use crate::carriers::Carriers;
use crate::current_job::notice;

/// How often the watchdog asks the carriers, while any job runs.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long a carrier may take to answer before the watchdog logs that.
pub const BLOCKED_AFTER: Duration = Duration::from_secs(1);

/// No job runs.
const REST: u8 = 0;
/// Jobs run.
const WATCH: u8 = 1;
/// The executor is gone.
const END: u8 = 2;

/// A thread that asks the carriers and logs which job blocks one, for as long as its executor is there. It sleeps while
/// no job runs.
pub(crate) struct Watchdog {
    order: Arc<AtomicU8>,
    /// `None` once the thread was joined.
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn start(carriers: &'static Carriers) -> io::Result<Watchdog> {
        let order = Arc::new(AtomicU8::new(REST));
        let heard = Arc::clone(&order);
        let builder = thread::Builder::new().name("rq-green-watch".to_owned());
        let thread = builder.spawn(move || watch(carriers, &heard))?;
        Ok(Watchdog { order, thread: Some(thread) })
    }

    pub(crate) fn wake(&self) {
        // With each job that starts; the thread is woken only if it rests.
        if self.order.swap(WATCH, Ordering::AcqRel) != WATCH {
            self.unpark();
        }
    }

    pub(crate) fn rest(&self) {
        self.order.store(REST, Ordering::Release);
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.order.store(END, Ordering::Release);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing, and a panic of its own is on standard error.
            let _ = thread.join();
        }
    }
}

fn watch(carriers: &'static Carriers, order: &AtomicU8) {
    let mut blockers = Blockers::default();
    loop {
        match order.load(Ordering::Acquire) {
            // An order given in between is not missed: an unpark before the park makes that return at once.
            REST => thread::park(),
            WATCH => {
                // Parked, not slept: the end of the executor need not wait for it.
                thread::park_timeout(ASK_EVERY);
                let blocked = carriers.ask().into_iter().filter(|silent| *silent >= BLOCKED_AFTER).count();
                blockers.sender(blocked, carriers.count());
            }
            _ => return,
        }
    }
}

/// Whether the watchdog has logged that jobs block carriers which it cannot name.
#[derive(Default)]
struct Blockers {
    unknown: bool,
}

impl Blockers {
    fn sender(&mut self, blocked: usize, carriers: usize) {
        if blocked == 0 {
            *self = Blockers::default();
            return;
        }
        // A carrier does not say whom it carries, so the jobs that have long been current are taken for the blockers.
        let blocking = notice(BLOCKED_AFTER);
        for occupant in blocking.iter().filter(|occupant| !occupant.is_known) {
            let (job, silent_s) = (&occupant.job, occupant.since.elapsed().as_secs_f64());
            tracing::warn!(
                "job {} ({}) has not yielded for {silent_s:.1} s and blocks one of the {carriers} threads that run \
                 coroutines; docs/green.md says how to wait in one",
                job.id,
                function_of(job)
            );
        }
        // Once for each time that carriers are blocked: it would be a line every tenth of a second.
        if blocking.is_empty() && !std::mem::replace(&mut self.unknown, true) {
            tracing::warn!(
                "{blocked} of the {carriers} threads that run coroutines do not answer: a job blocks them, or the machine \
                 has more to compute than it can"
            );
        }
    }
}

fn function_of(job: &Job) -> String {
    job.payload().map_or_else(|_| "unknown".to_owned(), |(_, payload)| payload.func)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::JOB_STACK_KB_DEFAULT;

    #[test]
    fn its_thread_ends_with_it() {
        let carriers = Carriers::start(JOB_STACK_KB_DEFAULT).unwrap();
        for wakes in [false, true] {
            let watchdog = Watchdog::start(carriers).unwrap();
            if wakes {
                watchdog.wake();
            }
            let heard = Arc::downgrade(&watchdog.order);
            drop(watchdog);
            assert_eq!(heard.strong_count(), 0, "the thread holds the other one");
        }
    }
}
