//! [`Ending`]: how a child is made to leave: it is asked, urged, and killed.

use std::time::{Duration, Instant};

use crate::cause::Cause;

/// How long what has to be ended by force is asked and urged before it is killed.
const FORCE_GRACE: Duration = Duration::from_secs(6);
/// How long a child has between being urged and being killed: half of its time at most. A worker's cold stop takes 3 s, or
/// 4.
const URGED_GRACE_MAX: Duration = Duration::from_millis(4500);
/// A child takes two requests for one that are less than a second apart.
const URGE_AFTER_MIN: Duration = Duration::from_millis(1100);

/// A child on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    ask_at: Option<Instant>,
    asked_at: Option<Instant>,
    urge_at: Option<Instant>,
    kill_at: Option<Instant>,
}

/// What is done to a child that is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// SIGTERM: it finishes what it runs.
    Ask,
    /// SIGTERM once more: it does not wait for what it runs.
    Urge,
    /// SIGKILL, to all it has started.
    Kill,
}

impl Ending {
    /// Of a child that leaves of itself.
    pub(crate) fn by_itself(cause: Cause) -> Ending {
        Ending { cause, ask_at: None, asked_at: None, urge_at: None, kill_at: None }
    }

    /// Of a child that is to finish what it runs, within `patience`; `None` for as long as that takes.
    pub(crate) fn asked(cause: Cause, now: Instant, patience: Option<Duration>) -> Ending {
        let mut ending = Ending::by_itself(cause);
        ending.ask(patience, now);
        ending
    }

    /// Of a child that is in the way.
    pub(crate) fn forced(cause: Cause, now: Instant) -> Ending {
        Ending::asked(cause, now, Some(FORCE_GRACE))
    }

    /// Asks it, if it has not been asked yet, and gives it such a time from now on, if it had no less.
    pub(crate) fn ask(&mut self, patience: Option<Duration>, now: Instant) {
        if self.asked_at.is_none() && self.ask_at.is_none() {
            // Also one that leaves of itself: the next request is a second one to it only if there was a first.
            self.ask_at = Some(now);
        }
        self.be_patient_for(patience, now);
    }

    fn be_patient_for(&mut self, patience: Option<Duration>, now: Instant) {
        let Some(patience) = patience else { return };
        let kill_at = now + patience;
        if self.kill_at.is_none_or(|at| kill_at < at) {
            self.kill_at = Some(kill_at);
            let urge_at = now + (patience - URGED_GRACE_MAX.min(patience / 2)).max(URGE_AFTER_MIN);
            // A child with no time for both is asked once.
            self.urge_at = Some(urge_at).filter(|at| *at < kill_at && !self.is_urged());
        }
    }

    /// Urges it as soon as it takes that for a second request, and kills it if that does not help.
    pub(crate) fn urge(&mut self, now: Instant) {
        if self.is_urged() {
            return;
        }
        let urge_at = self.asked_at.map_or(now, |asked| now.max(asked + URGE_AFTER_MIN));
        self.ask(None, now);
        self.urge_at = Some(self.urge_at.map_or(urge_at, |at| at.min(urge_at)));
        let kill_at = now + FORCE_GRACE;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |at| at.min(kill_at)));
    }

    /// Has it killed now.
    pub(crate) fn kill(&mut self, now: Instant) {
        self.kill_at = Some(now);
    }

    fn is_urged(&self) -> bool {
        self.asked_at.is_some() && self.ask_at.is_none() && self.urge_at.is_none() && self.kill_at.is_some()
    }

    /// What is to be done now; each push once, but for the last.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Push> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.kill_at) {
            // Again, should something survive it: a process that waits for a disk dies when that has answered.
            self.kill_at = Some(now + URGE_AFTER_MIN);
            (self.ask_at, self.urge_at) = (None, None);
            return Some(Push::Kill);
        }
        if is_due(self.ask_at) {
            self.ask_at = None;
            self.asked_at = Some(now);
            // From when it was asked in fact.
            self.urge_at = self.urge_at.map(|at| at.max(now + URGE_AFTER_MIN));
            return Some(Push::Ask);
        }
        if is_due(self.urge_at) {
            self.urge_at = None;
            return Some(Push::Urge);
        }
        None
    }

    /// When something is to be done.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.ask_at, self.urge_at, self.kill_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pushes, with their time in tenths of a second, until the first kill or the end.
    fn pushes(mut ending: Ending, start: Instant) -> Vec<(u128, Push)> {
        let mut pushes = Vec::new();
        while let Some(now) = ending.next()
            && pushes.last().is_none_or(|(_, push)| *push != Push::Kill)
        {
            let push = ending.due(now).unwrap();
            pushes.push(((now - start).as_millis() / 100, push));
        }
        pushes
    }

    #[test]
    fn who_has_time_is_asked_urged_and_killed() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        let stopped = |patience| Ending::asked(Cause::Stopped, now, patience);
        let all = vec![(0, Push::Ask), (205, Push::Urge), (250, Push::Kill)];
        assert_eq!(pushes(stopped(Some(seconds(25))), now), all);
        assert_eq!(pushes(stopped(None), now), [(0, Push::Ask)]);
        assert_eq!(pushes(stopped(Some(seconds(1))), now), [(0, Push::Ask), (10, Push::Kill)]);
        let forced = Ending::forced(Cause::Silent { after: seconds(60) }, now);
        assert_eq!(pushes(forced, now), [(0, Push::Ask), (30, Push::Urge), (60, Push::Kill)]);
        assert!(pushes(Ending::by_itself(Cause::Idle), now).is_empty());
    }

    #[test]
    fn who_is_asked_once_more_has_less_time() {
        let now = Instant::now();
        let mut ending = Ending::asked(Cause::Stopped, now, Some(Duration::from_secs(25)));
        assert_eq!(ending.due(now), Some(Push::Ask));
        let later = now + Duration::from_millis(200);
        ending.urge(later);
        assert_eq!(pushes(ending.clone(), now), [(11, Push::Urge), (62, Push::Kill)]);
        ending.kill(later);
        assert_eq!(ending.due(later), Some(Push::Kill));
        assert_eq!(ending.due(later), None);
        assert!(ending.next().is_some(), "it is killed again if it is still there");
    }

    #[test]
    fn a_stop_shortens_what_has_no_end_and_lengthens_nothing() {
        let now = Instant::now();
        let mut drains = Ending::by_itself(Cause::MaxRequests { count: 2 });
        drains.ask(Some(Duration::from_secs(25)), now);
        assert_eq!(pushes(drains, now), [(0, Push::Ask), (205, Push::Urge), (250, Push::Kill)]);
        let mut forced = Ending::forced(Cause::Exhausted, now);
        forced.ask(Some(Duration::from_secs(25)), now);
        assert_eq!(pushes(forced, now).last(), Some(&(60, Push::Kill)));
    }
}
