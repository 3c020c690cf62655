//! [`CurrentJob`]: which job was last seen on a thread.
//!
//! `may` does not say which coroutine a thread runs. So a job is noted as its thread's current one when it begins and
//! when a wait of this crate ends, and is taken off before such a wait. A job that waits by `may`'s own calls stays
//! until another takes its place. A job that is current for long on a thread that does not answer is the one that
//! blocks it.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rq_core::Job;

/// A thread's place for the job that it runs.
#[derive(Default)]
pub(crate) struct CurrentJob(Mutex<Option<Occupant>>);

/// The job there.
#[derive(Clone)]
pub(crate) struct Occupant {
    pub(crate) job: Arc<Job>,
    pub(crate) since: Instant,
    /// Whether it was [noticed](notice) to be there for long.
    pub(crate) is_known: bool,
}

static ALL: Mutex<Vec<&'static CurrentJob>> = Mutex::new(Vec::new());

thread_local! {
    static OF_THIS_THREAD: Cell<Option<&'static CurrentJob>> = const { Cell::new(None) };
}

/// The place of the thread that runs this now. Callers must not keep it across a wait. Never inlined: the compiler
/// might otherwise look up the thread's place once, and use it behind a wait, on another thread.
#[inline(never)]
pub(crate) fn current_job() -> &'static CurrentJob {
    if let Some(current_job) = OF_THIS_THREAD.get() {
        return current_job;
    }
    // Threads that run coroutines live as long as the process.
    let current_job: &'static CurrentJob = Box::leak(Box::default());
    ALL.lock().unwrap_or_else(PoisonError::into_inner).push(current_job);
    OF_THIS_THREAD.set(Some(current_job));
    current_job
}

impl CurrentJob {
    pub(crate) fn set(&self, job: Arc<Job>) {
        let occupant = Occupant { job, since: Instant::now(), is_known: false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(occupant);
    }

    pub(crate) fn clear(&self) -> Option<Occupant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// All jobs that have been current for so long. They are marked as known, so that a watchdog names each once.
pub(crate) fn notice(for_at_least: Duration) -> Vec<Occupant> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let notice_one = |current_job: &&CurrentJob| {
        let mut occupant = current_job.0.lock().unwrap_or_else(PoisonError::into_inner);
        let occupant = occupant.as_mut().filter(|occupant| occupant.since.elapsed() >= for_at_least)?;
        let noticed = occupant.clone();
        // In its place, not in the copy: whichever watchdog comes next sees that it was named.
        occupant.is_known = true;
        Some(noticed)
    };
    all.iter().filter_map(notice_one).collect()
}

/// Does something that waits, without a current job meanwhile.
pub(crate) fn while_waiting<T>(wait: impl FnOnce() -> T) -> T {
    /// Makes the job current again, on whichever thread that is then; after a cancel too.
    struct Return(Option<Occupant>);
    impl Drop for Return {
        fn drop(&mut self) {
            if let Some(occupant) = self.0.take() {
                current_job().set(occupant.job);
            }
        }
    }
    // By a destructor, since a cancel unwinds from the wait and the job's own destructors still run on a thread then.
    let _return = Return(current_job().clear());
    wait()
}
