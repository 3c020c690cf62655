//! [`Seat`]: which job was last seen on a thread.
//!
//! `may` does not tell which coroutine a thread runs. So jobs sit down when they begin and when a wait of ours ends, and
//! rise before such a wait; who waits in a way of `may`'s own leaves its seat to whoever comes next. Somebody who sits
//! there for long, while that thread does not answer, is who blocks it.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rq_core::Job;

/// A thread's place for one job.
#[derive(Default)]
pub(crate) struct Seat(Mutex<Option<Sitter>>);

/// Who sits there.
#[derive(Clone)]
pub(crate) struct Sitter {
    pub(crate) job: Arc<Job>,
    pub(crate) since: Instant,
    /// Whether it was [noticed](notice) to sit there for long.
    pub(crate) is_known: bool,
}

static ALL: Mutex<Vec<&'static Seat>> = Mutex::new(Vec::new());

thread_local! {
    static OF_THIS_THREAD: Cell<Option<&'static Seat>> = const { Cell::new(None) };
}

/// The seat of the thread that runs this now. Not to be kept across a wait, and never inlined: the compiler may otherwise
/// look up once what differs before and behind one.
#[inline(never)]
pub(crate) fn seat() -> &'static Seat {
    if let Some(seat) = OF_THIS_THREAD.get() {
        return seat;
    }
    // Threads that run coroutines live as long as the process.
    let seat: &'static Seat = Box::leak(Box::default());
    ALL.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
    OF_THIS_THREAD.set(Some(seat));
    seat
}

impl Seat {
    pub(crate) fn take(&self, job: Arc<Job>) {
        let sitter = Sitter { job, since: Instant::now(), is_known: false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sitter);
    }

    pub(crate) fn leave(&self) -> Option<Sitter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// All who have sat somewhere for so long. From then on they are known, to whoever asks.
pub(crate) fn notice(sitting_for: Duration) -> Vec<Sitter> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let notice_one = |seat: &&Seat| {
        let mut sitter = seat.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sitter = sitter.as_mut().filter(|sitter| sitter.since.elapsed() >= sitting_for)?;
        let noticed = sitter.clone();
        sitter.is_known = true;
        Some(noticed)
    };
    all.iter().filter_map(notice_one).collect()
}

/// Does something that waits, with the seat free meanwhile.
pub(crate) fn away<T>(wait: impl FnOnce() -> T) -> T {
    /// Sits down again, wherever it is then; after a cancel too.
    struct Return(Option<Sitter>);
    impl Drop for Return {
        fn drop(&mut self) {
            if let Some(sitter) = self.0.take() {
                seat().take(sitter.job);
            }
        }
    }
    let _return = Return(seat().leave());
    wait()
}
