//! [`Watch`]: what an executor and a running job agree by who reports the job's end, where its code cannot be ended by
//! force.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rq_core::{CallbackKind, Failure, Interrupt, Interrupted};

/// How long a job that was asked to end may take before its executor gives it up, where its code cannot be ended.
pub const RETURN_GRACE: Duration = Duration::from_millis(500);

/// One running job, shared by its executor and the thread or coroutine that runs it.
///
/// Exactly one of the two reports how the job ended: the first to call [`returned`](Watch::returned) or to
/// [give it up](Watch::give_up). What the executor does to a job whose time is up it does to that one alone: once
/// [a callback has begun](Watch::begin_callback), the time is the callback's.
#[derive(Debug)]
pub struct Watch {
    limit: Option<Duration>,
    /// Made when the job begins, for then its time begins.
    begun: OnceLock<Begun>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Begun {
    interrupt: Arc<Interrupt>,
    at: Instant,
}

#[derive(Debug, Default)]
struct State {
    fate: Fate,
    is_cut: bool,
    called_back: bool,
    /// How long the job itself ran, once a callback has begun.
    ran: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Running,
    Returned,
    GivenUp,
}

impl Watch {
    /// For a job that may run so long once it begins.
    pub fn new(limit: Option<Duration>) -> Watch {
        Watch { limit, begun: OnceLock::new(), state: Mutex::default() }
    }

    /// How the job learns that it has to end; its time begins with the first call.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.begun().interrupt
    }

    fn begun(&self) -> &Begun {
        let begin = || Begun { interrupt: Arc::new(Interrupt::new(self.limit)), at: Instant::now() };
        self.begun.get_or_init(begin)
    }

    /// Asks the job to end.
    pub fn stop(&self) {
        self.interrupt().stop();
    }

    /// The thread or coroutine notes that a callback begins, which may take `limit`. `false`: too late, the executor has
    /// given the job up, or cut it short.
    pub fn begin_callback(&self, kind: CallbackKind, limit: Option<Duration>) -> bool {
        let mut state = self.state();
        if state.fate != Fate::Running || state.is_cut {
            return false;
        }
        state.ran.get_or_insert_with(|| self.begun().at.elapsed());
        state.called_back |= kind == CallbackKind::Failure;
        // Under the lock: whoever gives up for a time that is over means the job, or this callback, and knows which.
        self.interrupt().rearm(limit);
        true
    }

    /// Whether the failure callback has begun.
    pub fn has_called_back(&self) -> bool {
        self.state().called_back
    }

    /// How long the job itself has run, without callbacks.
    pub fn ran(&self) -> Duration {
        let elapsed = || self.begun.get().map_or(Duration::ZERO, |begun| begun.at.elapsed());
        self.state().ran.unwrap_or_else(elapsed)
    }

    /// The thread or coroutine notes that the job has returned. `false`: too late, the executor has given it up.
    pub fn returned(&self) -> bool {
        // One lock decides who reports the end: were it neither, the job's slot would stay taken for ever.
        self.state().end(Fate::Returned)
    }

    /// The executor gives the job up, and gets the failure, unless the job has returned meanwhile.
    pub fn give_up(&self) -> Option<Failure> {
        let mut state = self.state();
        state.end(Fate::GivenUp).then(|| self.interruption())
    }

    /// The same where its time has been up for [`RETURN_GRACE`], or it was to be killed by `kill_at`.
    pub fn give_up_if_due(&self, kill_at: Option<Instant>, now: Instant) -> Option<Failure> {
        let mut state = self.state();
        (self.is_over(RETURN_GRACE, kill_at, now) && state.end(Fate::GivenUp)).then(|| self.interruption())
    }

    /// The executor cuts short what runs where its time has been up for `grace`, or it was to be cut by `cut_at`: no
    /// callback begins after that. `true` the first time.
    pub fn cut_if_due(&self, grace: Duration, cut_at: Option<Instant>, now: Instant) -> bool {
        let mut state = self.state();
        let is_to_be_cut = state.fate == Fate::Running && !state.is_cut && self.is_over(grace, cut_at, now);
        state.is_cut |= is_to_be_cut;
        is_to_be_cut
    }

    /// Whether the executor has cut it short.
    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Whether its time has been up for `grace`, or `at` is past.
    pub fn is_over(&self, grace: Duration, at: Option<Instant>, now: Instant) -> bool {
        // One that has not begun has no time yet.
        let deadline = self.begun.get().and_then(|begun| begun.interrupt.deadline());
        let over_at = deadline.and_then(|deadline| deadline.checked_add(grace));
        [over_at, at].into_iter().flatten().any(|at| at <= now)
    }

    fn interruption(&self) -> Failure {
        let interrupted = self.interrupt().check().err();
        Failure::interrupted(interrupted.unwrap_or(Interrupted::JobStopped))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self, fate: Fate) -> bool {
        let is_first = self.fate == Fate::Running;
        if is_first {
            self.fate = fate;
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_tells_the_end() {
        let watch = Watch::new(None);
        assert!(watch.returned());
        assert!(watch.give_up().is_none());
        let watch = Watch::new(Some(Duration::ZERO));
        assert!(matches!(watch.give_up(), Some(Failure::Timeout { .. })));
        assert!(!watch.returned());
    }

    #[test]
    fn behind_the_job_the_time_is_the_callback_s() {
        let watch = Watch::new(Some(Duration::ZERO));
        watch.interrupt();
        let later = Instant::now() + RETURN_GRACE;
        assert!(watch.begin_callback(CallbackKind::Success, None));
        assert!(watch.give_up_if_due(None, later).is_none() && !watch.has_called_back());
        let limit = Duration::from_millis(1);
        assert!(watch.begin_callback(CallbackKind::Failure, Some(limit)));
        let failure = watch.give_up_if_due(None, Instant::now() + limit + RETURN_GRACE);
        assert!(failure.is_some() && watch.has_called_back());
    }

    #[test]
    fn what_was_cut_or_given_up_begins_no_callback() {
        let cut = Watch::new(Some(Duration::ZERO));
        cut.interrupt();
        assert!(cut.cut_if_due(Duration::ZERO, None, Instant::now()));
        assert!(!cut.cut_if_due(Duration::ZERO, None, Instant::now()));
        assert!(!cut.begin_callback(CallbackKind::Failure, None) && !cut.has_called_back());
        let given_up = Watch::new(None);
        assert!(given_up.give_up_if_due(Some(Instant::now()), Instant::now()).is_some());
        assert!(!given_up.begin_callback(CallbackKind::Failure, None) && !given_up.has_called_back());
    }
}
