//! [`Milestones`]: how the cases of a window wait for each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a case has done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Milestone {
    /// Nothing yet.
    Start,
    /// Its workers run, and so do the jobs that take long.
    Ready,
    /// Its workers are at the step at which the trouble is to meet them.
    AtStep,
    /// It asks nothing of Redis any more.
    Holding,
    /// It will not go on: it has failed, or is done.
    Left,
}

/// How long after the trouble is announced everything may take to be in place.
const LIMIT: Duration = Duration::from_secs(60);

/// How far each case is, and since when there is trouble, and since when none any more.
pub(crate) struct Milestones {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    cases: Vec<Milestone>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Milestones {
    pub(crate) fn new(cases: usize) -> Self {
        let state = State { cases: vec![Milestone::Start; cases], began: None, ended: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The way of one of the cases.
    pub(crate) fn way(&self, case: usize) -> Way<'_> {
        Way { all: self, case }
    }

    /// Waits until all cases are that far, as long as that may take.
    pub(crate) fn wait_for_all(&self, milestone: Milestone) {
        drop(self.wait_until(|state| state.cases.iter().all(|case| *case >= milestone), LIMIT));
    }

    pub(crate) fn note_beginning(&self) {
        self.change(|state| state.began = Some(Instant::now()));
    }

    pub(crate) fn note_end(&self) {
        self.change(|state| state.ended = Some(Instant::now()));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool, limit: Duration) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| !is_so(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of one case. Dropping it says that nobody has to wait for the case.
pub(crate) struct Way<'a> {
    all: &'a Milestones,
    case: usize,
}

impl Way<'_> {
    /// Says that the case is that far.
    pub(crate) fn reach(&self, milestone: Milestone) {
        self.all.change(|state| state.cases[self.case] = milestone);
    }

    /// Whether all cases are that far.
    pub(crate) fn all_are_at(&self, milestone: Milestone) -> bool {
        self.all.lock().cases.iter().all(|case| *case >= milestone)
    }

    /// Waits until there is trouble, and returns since when.
    pub(crate) fn wait_for_beginning(&self) -> Instant {
        self.all.wait_until(|state| state.began.is_some(), LIMIT).began.expect("the trouble begins in time")
    }

    /// Waits until there is none any more, for at most so long, and returns since when.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> Instant {
        let ended = self.all.wait_until(|state| state.ended.is_some(), limit).ended;
        ended.expect("the trouble ends in time")
    }
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        self.reach(Milestone::Left);
    }
}
