//! [`Interrupt`]: how a running job learns that it has to end.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::counted::Counted;

/// Why a running job has to end. Passed on with `?` it becomes the job's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The job has reached its time limit.
    #[error("job exceeded its time limit of {}", Counted(limit.as_secs_f64(), "second"))]
    JobTimeout {
        /// The limit it had.
        limit: Duration,
    },
    /// Somebody asked for the job to be stopped.
    #[error("job was asked to stop")]
    JobStopped,
}

/// How a running job learns that it has to end: its time limit, and a request to stop.
///
/// The executor that runs the job makes one and keeps a share; the job sees it through its
/// [`Context`](crate::Context), and so do the callbacks that run behind it.
pub struct Interrupt {
    state: Mutex<State>,
    stopped: Condvar,
    stopped_async: Notify,
    listen: Mutex<Option<Listen>>,
    listens: Once,
    tells: OnceLock<Tell>,
}

/// Starts to listen for requests to stop.
type Listen = Box<dyn FnOnce() + Send>;
/// Is told that what runs was timed out, and at which limit.
type Tell = Box<dyn Fn(Duration) + Send + Sync>;

/// What an interrupt is armed for: a job, and then each callback behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arming(u64);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    limit: Option<Duration>,
    deadline: Option<Instant>,
    stopped_at: Option<Instant>,
    told: Option<Interrupted>,
    arming: Arming,
}

impl State {
    fn armed(self, limit: Option<Duration>) -> State {
        // A limit beyond what the clock can count is as good as none.
        State {
            limit,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            ..self.disarmed()
        }
    }

    /// For nothing of what it was armed for.
    fn disarmed(self) -> State {
        State { arming: Arming(self.arming.0 + 1), ..self }
    }

    /// How long until `until` or the deadline, whichever is first; `None` once that is past.
    fn left(self, until: Option<Instant>) -> Option<Duration> {
        /// Far enough away to be for ever, near enough for every clock.
        const FOREVER: Duration = Duration::from_secs(365 * 86_400);
        let end = match (until, self.deadline) {
            (Some(until), Some(deadline)) => Some(until.min(deadline)),
            (until, deadline) => until.or(deadline),
        };
        match end {
            Some(end) => Some(end.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()),
            None => Some(FOREVER),
        }
    }
}

impl Interrupt {
    /// For a job that begins now and may run for `limit`.
    pub fn new(limit: Option<Duration>) -> Interrupt {
        Interrupt {
            state: Mutex::new(State::default().armed(limit)),
            stopped: Condvar::new(),
            stopped_async: Notify::new(),
            listen: Mutex::default(),
            listens: Once::new(),
            tells: OnceLock::new(),
        }
    }

    /// [`new`](Interrupt::new) where requests to stop come only if something listens for them: `listen` is called once,
    /// when the job first checks whether it has to end. Most jobs never do, and are spared the cost.
    pub fn listening(limit: Option<Duration>, listen: impl FnOnce() + Send + 'static) -> Interrupt {
        Interrupt { listen: Mutex::new(Some(Box::new(listen))), ..Interrupt::new(limit) }
    }

    /// Asks the job to stop. Wakes its sleeps.
    pub fn stop(&self) {
        // Before the wake-ups, since a sleeper that wakes looks here. The first request's time stays: it is compared
        // with the deadline.
        self.state().stopped_at.get_or_insert_with(Instant::now);
        self.wake();
    }

    fn wake(&self) {
        self.stopped.notify_all();
        // Wakes those alone that wait already; `sleep_async` therefore looks after it has begun to wait.
        self.stopped_async.notify_waiters();
    }

    /// Has `tell` told when an [`Ender`](crate::Ender) times out what runs, before that learns of it. A second one changes
    /// nothing.
    pub fn tell_time_outs(&self, tell: impl Fn(Duration) + Send + Sync + 'static) {
        self.tells.get_or_init(|| Box::new(tell));
    }

    /// What it is armed for.
    pub(crate) fn arming(&self) -> Arming {
        self.state().arming
    }

    /// The time is up of what it was armed for, which had `limit`. `false`: too late.
    pub(crate) fn time_out(&self, arming: Arming, limit: Duration) -> bool {
        // A stop that has come already was first.
        self.listen();
        {
            let mut state = self.state();
            // On a copy: the job has not been told anything.
            let mut now = *state;
            if state.arming != arming || self.check_locked(&mut now).is_err() {
                return false;
            }
            // Under the lock: once it is disarmed, nobody is told any more.
            self.tells.get().iter().for_each(|tell| tell(limit));
            (state.limit, state.deadline) = (Some(limit), Some(Instant::now()));
        }
        self.wake();
        true
    }

    /// What it was armed for has ended: no [`Ender`](crate::Ender) of that ends anything any more.
    pub fn disarm(&self) {
        let mut state = self.state();
        *state = state.disarmed();
    }

    /// For a callback that begins now, once the job has ended, and may take `limit`: armed for that alone. What the job was told is forgotten,
    /// and a request to stop is not.
    pub fn rearm(&self, limit: Option<Duration>) {
        let mut state = self.state();
        *state = State { told: None, ..state.armed(limit) };
    }

    /// When the job's time is up, or that of the callback behind it; `None` for no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// How long the job may run, or the callback behind it.
    pub fn limit(&self) -> Option<Duration> {
        self.state().limit
    }

    /// Fails once the job has to end.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.listen();
        self.check_locked(&mut self.state())
    }

    /// The interruption that the job has seen, if any: an error it ends with is then due to that.
    pub fn told(&self) -> Option<Interrupted> {
        self.state().told
    }

    /// Sleeps on this thread, waking early with an error when the job has to end.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        self.listen();
        let until = Instant::now().checked_add(duration);
        let mut state = self.state();
        // Ends after `duration` at the latest; wake-ups between are a stop, or spurious.
        loop {
            // Under the lock that the wait gives up: a stop that came between a look and the wait would wake nobody.
            self.check_locked(&mut state)?;
            let Some(left) = state.left(until) else { return self.check_locked(&mut state) };
            let (guard, _) = self.stopped.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if until.is_some_and(|until| Instant::now() >= until) {
                return self.check_locked(&mut state);
            }
        }
    }

    /// [`sleep`](Interrupt::sleep) for async handlers; needs a tokio runtime.
    pub async fn sleep_async(&self, duration: Duration) -> Result<(), Interrupted> {
        let stopped = self.stopped_async.notified();
        // Checked after `notified()` was made, so that a stop between the two is not missed.
        self.check()?;
        // Behind the lock, which must not be held across an await.
        let left = self.state().left(Instant::now().checked_add(duration));
        if let Some(left) = left {
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = stopped => {}
            }
        }
        self.check()
    }

    fn check_locked(&self, state: &mut State) -> Result<(), Interrupted> {
        let until = state.stopped_at.unwrap_or_else(Instant::now);
        let interrupted = match (state.deadline, state.limit) {
            // Whichever came first is why the job has to end.
            (Some(deadline), Some(limit)) if until >= deadline => Interrupted::JobTimeout { limit },
            _ if state.stopped_at.is_some() => Interrupted::JobStopped,
            _ => return Ok(()),
        };
        // Noted only when the job sees it: an error of a job that never asked is not due to this.
        state.told = Some(interrupted);
        Err(interrupted)
    }

    fn listen(&self) {
        // Another thread of the job that asks meanwhile waits here until somebody listens, and looks only then.
        self.listens.call_once(|| {
            let listen = self.listen.lock().unwrap_or_else(PoisonError::into_inner).take();
            listen.into_iter().for_each(|listen| listen());
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Weak};

    use super::*;

    #[test]
    fn a_sleep_ends_at_the_limit() {
        let limit = Duration::from_millis(20);
        let interrupt = Interrupt::new(Some(limit));
        assert_eq!(interrupt.check(), Ok(()));
        assert_eq!(interrupt.sleep(Duration::from_secs(60)), Err(Interrupted::JobTimeout { limit }));
        assert_eq!(interrupt.told(), Some(Interrupted::JobTimeout { limit }));
    }

    #[test]
    fn a_short_sleep_ends_well() {
        let interrupt = Interrupt::new(None);
        assert_eq!(interrupt.sleep(Duration::from_millis(1)), Ok(()));
        assert_eq!(interrupt.told(), None);
    }

    #[test]
    fn a_stop_wakes_a_sleeper() {
        let interrupt = Interrupt::new(None);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| interrupt.sleep(Duration::from_secs(60)));
            interrupt.stop();
            assert_eq!(sleeper.join().unwrap(), Err(Interrupted::JobStopped));
        });
    }

    #[test]
    fn the_first_reason_to_end_counts() {
        let limit = Duration::from_millis(1);
        let over = Interrupt::new(Some(limit));
        std::thread::sleep(limit);
        over.stop();
        assert_eq!(over.check(), Err(Interrupted::JobTimeout { limit }));
        let stopped = Interrupt::new(Some(Duration::from_millis(20)));
        stopped.stop();
        std::thread::sleep(Duration::from_millis(20));
        stopped.stop();
        assert_eq!(stopped.check(), Err(Interrupted::JobStopped));
    }

    #[test]
    fn armed_anew_it_has_another_limit_and_hears_the_same_stop() {
        let limit = Duration::from_millis(1);
        let interrupt = Interrupt::new(Some(limit));
        std::thread::sleep(limit);
        assert!(interrupt.check().is_err());
        interrupt.rearm(None);
        assert_eq!((interrupt.check(), interrupt.told(), interrupt.deadline()), (Ok(()), None, None));
        interrupt.stop();
        interrupt.rearm(Some(Duration::from_secs(60)));
        assert_eq!(interrupt.check(), Err(Interrupted::JobStopped));
    }

    #[test]
    fn what_is_timed_out_has_reached_that_limit() {
        let (limit, other) = (Duration::from_secs(5), Duration::from_secs(7));
        let told = Arc::new(AtomicUsize::new(0));
        let interrupt = Interrupt::new(None);
        let counted = Arc::clone(&told);
        interrupt.tell_time_outs(move |limit| {
            counted.fetch_add(limit.as_secs() as usize, Ordering::Relaxed);
        });
        let first = interrupt.arming();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| interrupt.sleep(Duration::from_secs(60)));
            assert!(interrupt.time_out(first, limit));
            assert_eq!(sleeper.join().unwrap(), Err(Interrupted::JobTimeout { limit }));
        });
        assert!(!interrupt.time_out(first, other), "once is enough");
        interrupt.stop();
        assert_eq!(interrupt.check(), Err(Interrupted::JobTimeout { limit }), "the first reason counts");
        assert_eq!(told.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn nobody_times_out_what_has_ended_or_was_stopped() {
        let (limit, interrupt) = (Duration::from_secs(5), Interrupt::new(None));
        let of_job = interrupt.arming();
        interrupt.disarm();
        assert!(!interrupt.time_out(of_job, limit));
        interrupt.rearm(None);
        assert!(!interrupt.time_out(of_job, limit));
        assert_eq!(interrupt.check(), Ok(()));
        interrupt.stop();
        assert!(!interrupt.time_out(interrupt.arming(), limit));
        assert_eq!(interrupt.check(), Err(Interrupted::JobStopped));
    }

    #[test]
    fn a_listener_is_called_once_and_before_the_first_look() {
        let calls = Arc::new(AtomicUsize::new(0));
        let interrupt = Arc::new_cyclic(|this: &Weak<Interrupt>| {
            let (calls, this) = (Arc::clone(&calls), Weak::clone(this));
            Interrupt::listening(None, move || {
                calls.fetch_add(1, Ordering::Relaxed);
                this.upgrade().unwrap().stop();
            })
        });
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        assert_eq!(interrupt.check(), Err(Interrupted::JobStopped));
        assert_eq!(interrupt.sleep(Duration::from_secs(60)), Err(Interrupted::JobStopped));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_async_sleep_ends_at_a_stop_and_at_the_limit() {
        let interrupt = Interrupt::new(Some(Duration::from_millis(20)));
        assert!(interrupt.sleep_async(Duration::from_secs(60)).await.is_err());
        let interrupt = Interrupt::new(None);
        let (slept, ()) =
            tokio::join!(interrupt.sleep_async(Duration::from_secs(60)), async { interrupt.stop() });
        assert_eq!(slept, Err(Interrupted::JobStopped));
    }
}
