//! [`Outage`]: the worker repeats its steps while Redis is away or refuses them, and tells of it now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rq_core::link::{Backoff, Link, Step};
use rq_core::{Error, ErrorClass};

use crate::event::{Observers, WorkerEvent};

/// How soon whoever waits for Redis goes on once it is there.
pub(super) const BACK_WITHIN: Duration = Duration::from_secs(5);
/// The pauses between two attempts, which with an attempt that fails stay within that.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
/// How long a step is tried that will be taken later. An operator has noticed the outage by then.
const OUTAGE_LONGEST: Duration = Duration::from_secs(3600);
/// How long a step is tried that somebody has to allow first; the last attempt comes after it.
pub(super) const REFUSED_LONGEST: Duration = Duration::from_secs(60);
/// How often an outage is told of at most.
const TELL_FIRST: Duration = Duration::from_secs(1);
/// How often one that lasts is told of at least.
const TELL_LONGEST: Duration = Duration::from_secs(60);

/// What the worker knows of the outage that it is in, over all of its steps.
pub(super) struct Outage {
    observers: Arc<Observers>,
    state: Mutex<State>,
}

struct State {
    /// How many steps are being repeated.
    repeated: usize,
    /// How many of them are refused until somebody allows them.
    refused: usize,
    began: Instant,
    told_at: Option<Instant>,
    /// How long after that the outage that is on is told of again; `None` while it has not been told of.
    tell_after: Option<Duration>,
    answered_at: Instant,
}

impl Outage {
    pub(super) fn new(observers: Arc<Observers>) -> Outage {
        let now = Instant::now();
        let state =
            State { repeated: 0, refused: 0, began: now, told_at: None, tell_after: None, answered_at: now };
        Outage { observers, state: Mutex::new(state) }
    }

    /// When Redis has last taken a step.
    pub(super) fn answered_at(&self) -> Instant {
        self.state().answered_at
    }

    /// Whether Redis refuses steps until somebody allows them: then no job is begun whose end could not be written.
    pub(super) fn is_refused(&self) -> bool {
        self.state().refused > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole in itself, so what a panic left is in order.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a step's failure, unless that was told just now.
    fn tell(&self, error: &Error) {
        let lasts = {
            let mut state = self.state();
            let now = Instant::now();
            let tell_after = state.tell_after.unwrap_or(TELL_FIRST);
            if state.told_at.is_some_and(|told_at| now - told_at < tell_after) {
                return;
            }
            let next = state.tell_after.map_or(TELL_FIRST, |after| (after * 2).min(TELL_LONGEST));
            state.tell_after = Some(next);
            state.told_at = Some(now);
            now - state.began
        };
        let refused = !error.is_redis_unavailable();
        self.observers.tell(WorkerEvent::OutageOn { error: &error.to_string(), refused, lasts });
    }

    /// Notes that Redis has taken a step, after `repeated` if it was sent more than once.
    fn on_answer(&self, repeated: Option<Repeated<'_>>) {
        let lasted = {
            let mut state = self.state();
            state.answered_at = Instant::now();
            // The last step that was repeated ends the outage; one that passed at once is not worth a second line.
            let is_over = repeated.is_some() && state.repeated == 1 && state.tell_after.take().is_some();
            Some(state.began.elapsed()).filter(|lasted| is_over && *lasted >= TELL_FIRST)
        };
        drop(repeated);
        if let Some(lasted) = lasted {
            self.observers.tell(WorkerEvent::OutageOver { lasted });
        }
    }
}

/// One step that is being repeated.
struct Repeated<'a> {
    outage: &'a Outage,
    began: Instant,
    /// Since when it is refused until somebody allows it.
    refused_since: Option<Instant>,
}

impl<'a> Repeated<'a> {
    fn new(outage: &'a Outage) -> Repeated<'a> {
        let began = Instant::now();
        let mut state = outage.state();
        if state.repeated == 0 {
            state.began = began;
        }
        state.repeated += 1;
        Repeated { outage, began, refused_since: None }
    }

    /// Whether the step is to be sent again after `error`.
    fn goes_on_after(&mut self, error: &Error) -> bool {
        let now = Instant::now();
        match error.class() {
            ErrorClass::Passing | ErrorClass::Moved => {
                self.note_refused(None);
                now - self.began < OUTAGE_LONGEST
            }
            ErrorClass::Misconfigured => {
                let since = self.refused_since.unwrap_or(now);
                self.note_refused(Some(since));
                now - since < REFUSED_LONGEST
            }
            _ => false,
        }
    }

    fn note_refused(&mut self, since: Option<Instant>) {
        let before = std::mem::replace(&mut self.refused_since, since);
        let mut state = self.outage.state();
        state.refused = state.refused + usize::from(since.is_some()) - usize::from(before.is_some());
    }
}

impl Drop for Repeated<'_> {
    /// Redis has taken the step, or nobody sends it any more.
    fn drop(&mut self) {
        self.note_refused(None);
        let mut state = self.outage.state();
        state.repeated -= 1;
        if state.repeated == 0 {
            state.tell_after = None;
        }
    }
}

/// Sends a step until Redis takes it, or refuses it for good. The step must be safe to send twice, as all of the worker's
/// are.
pub(super) async fn until_answered<T>(link: Link, step: Step<T>, outage: Arc<Outage>) -> Result<T, Error> {
    let mut pauses = PAUSES;
    let mut repeated = None;
    loop {
        // A broken connection does not say whether the step was done: so it is sent again, and its fence decides.
        let error = match link.run(&step).await {
            Ok(answer) => {
                outage.on_answer(repeated);
                return Ok(answer);
            }
            Err(error) if error.class() == ErrorClass::Fault => return Err(error),
            Err(error) => error,
        };
        if !repeated.get_or_insert_with(|| Repeated::new(&outage)).goes_on_after(&error) {
            return Err(error);
        }
        outage.tell(&error);
        tokio::time::sleep(pauses.pause()).await;
    }
}
