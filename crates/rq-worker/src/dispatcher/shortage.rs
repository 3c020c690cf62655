//! [`Shortage`]: the worker takes on fewer jobs, or none for a while, where what it takes to run them is short; what
//! did not begin for that goes back.

use std::time::{Duration, Instant};

use rq_core::{Ended, ExecutionId, Failure, Want};

use super::Dispatcher;
use crate::event::WorkerEvent;

/// How long nothing is claimed after a job that could not begin; twice as long each time, up to the longest pause.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// How long jobs must go on beginning before the worker takes on more of them at once.
const PROOF: Duration = Duration::from_millis(100);
/// How long every job must have begun before the worker is no longer short: one that comes and goes is told of once.
const CALM: Duration = Duration::from_secs(10);
/// How long a worker that can begin nothing at all tries, while there is work, before it leaves.
const LASTS_LONGEST: Duration = Duration::from_secs(60);

/// What the worker knows of being short of something; nothing while it is not.
#[derive(Default)]
pub(super) struct Shortage(Option<Episode>);

struct Episode {
    /// How many jobs the worker takes on at once.
    slots: usize,
    phase: Phase,
    /// When a job did not begin last.
    last_at: Instant,
    /// How long the last pause was.
    paused: Duration,
    /// Whether some job has begun since the last one that did not, or runs beside that.
    is_proven: bool,
    /// How long nothing could be begun: the pauses behind which the next try failed as well, so that the time does not
    /// count in which there was no work.
    lasts: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is claimed until then.
    Pausing(Instant),
    /// Jobs are begun, and more at once from then on if these do begin; without a time nothing is there to begin.
    Trying(Option<Instant>),
}

/// What an execution that did not begin is the sign of.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    /// The worker is short of something, and was not before.
    Begins,
    /// That goes on.
    Lasts,
    /// It has lasted too long.
    TooLong,
}

impl Shortage {
    /// An execution did not begin; so many `others` are with the executor.
    fn on_unbegun(&mut self, others: usize, now: Instant) -> Sign {
        // What is with the executor is what it manages, as far as is known.
        let manages = others.max(1);
        let Some(episode) = &mut self.0 else {
            let phase = Phase::Pausing(now + PAUSE_FIRST);
            let (paused, lasts, is_proven) = (PAUSE_FIRST, Duration::ZERO, others > 0);
            self.0 = Some(Episode { slots: manages, phase, last_at: now, paused, is_proven, lasts });
            return Sign::Begins;
        };
        episode.slots = episode.slots.min(manages);
        (episode.is_proven, episode.last_at) = (others > 0, now);
        // It was started before the pause: that was one try with those before it.
        if matches!(episode.phase, Phase::Pausing(_)) {
            return Sign::Lasts;
        }
        episode.lasts = if episode.is_proven { Duration::ZERO } else { episode.lasts + episode.paused };
        episode.paused = (episode.paused * 2).clamp(PAUSE_FIRST, PAUSE_LONGEST);
        episode.phase = Phase::Pausing(now + episode.paused);
        if episode.lasts >= LASTS_LONGEST { Sign::TooLong } else { Sign::Lasts }
    }

    /// A job has ended that had begun: what it took is free again.
    fn on_ended(&mut self, now: Instant) {
        if let Some(episode) = &mut self.0 {
            (episode.is_proven, episode.paused, episode.lasts) = (true, Duration::ZERO, Duration::ZERO);
            if matches!(episode.phase, Phase::Pausing(_) | Phase::Trying(None)) {
                episode.phase = Phase::Trying(Some(now + PROOF));
            }
        }
    }

    /// The executor was given a job.
    pub(super) fn on_started(&mut self, now: Instant) {
        if let Some(episode) = &mut self.0
            && episode.phase == Phase::Trying(None)
        {
            episode.phase = Phase::Trying(Some(now + PROOF));
        }
    }

    /// Goes on where it is time for that: `true` if the shortage is over. `occupied` of `slots` are taken.
    fn on_look(&mut self, occupied: usize, slots: usize, now: Instant) -> bool {
        let Some(episode) = &mut self.0 else { return false };
        match episode.phase {
            Phase::Pausing(until) if until <= now => {
                // One more than what runs, to find out whether that is possible by now.
                episode.slots = occupied + 1;
                episode.phase = Phase::Trying(Some(now + PROOF));
            }
            Phase::Trying(Some(until)) if until <= now => {
                // What is with the executor seems to have begun; that it has is known when it ends.
                if episode.is_proven || occupied > 0 {
                    episode.slots = episode.slots.saturating_mul(2).min(slots);
                }
                let (is_all, is_proven) = (episode.slots >= slots, episode.is_proven);
                if is_all && is_proven && episode.last_at + CALM <= now {
                    self.0 = None;
                    return true;
                }
                let next = if is_all { episode.last_at + CALM } else { now + PROOF };
                let goes_on = is_proven || !is_all && occupied > 0;
                episode.phase = Phase::Trying(goes_on.then_some(next));
            }
            _ => {}
        }
        false
    }

    /// When [`on_look`](Shortage::on_look) is due even if no event comes.
    pub(super) fn next_look(&self) -> Option<Instant> {
        match self.0.as_ref()?.phase {
            Phase::Pausing(until) => Some(until),
            Phase::Trying(until) => until,
        }
    }

    /// How many of so many slots the worker uses.
    pub(super) fn limited(&self, slots: usize) -> usize {
        self.0.as_ref().map_or(slots, |episode| episode.slots.min(slots))
    }

    /// Whether nothing is claimed just now.
    pub(super) fn is_pausing(&self) -> bool {
        self.0.as_ref().is_some_and(|episode| matches!(episode.phase, Phase::Pausing(_)))
    }
}

impl Dispatcher {
    /// An execution has ended, or did not begin.
    pub(super) fn on_reported(&mut self, id: &ExecutionId, report: Result<Ended, Want>) {
        if self.on_called(id, &report) {
            return;
        }
        match report {
            Ok(ended) => {
                self.shortage.on_ended(Instant::now());
                self.on_ended(id, ended);
            }
            // Whoever had it stopped has had that done.
            Err(_) if self.running.is_asked_to_end(id) => {
                self.on_ended(
                    id,
                    Ended { outcome: Err(Failure::Stopped), ran: Duration::ZERO, called_back: false },
                );
            }
            Err(want) => self.on_unbegun(id, &want),
        }
    }

    /// The job goes back to the head of its queue: that nothing of it has run is known as surely as of one that was
    /// claimed and not marked as begun.
    fn on_unbegun(&mut self, id: &ExecutionId, want: &Want) {
        // The executor may still report a job that a cold stop has settled.
        if !self.give_back(id) {
            return;
        }
        let reason = want.to_string();
        match self.shortage.on_unbegun(self.running.occupied(), Instant::now()) {
            Sign::Begins => {
                let slots = self.shortage.limited(self.executor.slots());
                self.observers.tell(WorkerEvent::Short { reason: &reason, slots });
            }
            Sign::Lasts => {}
            Sign::TooLong => self.leave_short(reason, LASTS_LONGEST),
        }
        self.look_at_executor();
    }

    /// Checks whether the worker may try again, or take on more at once.
    pub(super) fn look_at_shortage(&mut self) {
        let was_pausing = self.shortage.is_pausing();
        let slots = self.executor.slots();
        if self.shortage.on_look(self.running.occupied(), slots, Instant::now()) {
            self.observers.tell(WorkerEvent::ShortNoMore { slots });
        }
        if was_pausing && !self.shortage.is_pausing() {
            // Nobody has waited for the notifier during the pause, so what is known of the queues is old.
            self.claiming.on_notified();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: usize = 16;

    /// Looks whenever that is due, until the worker claims again.
    fn pause(shortage: &mut Shortage, now: &mut Instant, occupied: usize) {
        while shortage.is_pausing() {
            *now = shortage.next_look().expect("a pause ends");
            assert!(!shortage.on_look(occupied, SLOTS, *now));
        }
    }

    #[test]
    fn a_worker_takes_on_what_it_manages_and_more_when_that_goes_well() {
        let (mut shortage, mut now) = (Shortage::default(), Instant::now());
        assert_eq!(shortage.limited(SLOTS), SLOTS);
        // Twelve of sixteen do not begin, in one go.
        let signs: Vec<Sign> = (4..SLOTS).rev().map(|others| shortage.on_unbegun(others, now)).collect();
        assert_eq!(signs[0], Sign::Begins);
        assert!(signs[1..].iter().all(|sign| *sign == Sign::Lasts));
        assert!(shortage.is_pausing() && shortage.limited(SLOTS) == 4);
        pause(&mut shortage, &mut now, 4);
        assert_eq!(shortage.limited(SLOTS), 5, "one more is tried");
        assert_eq!(shortage.on_unbegun(4, now), Sign::Lasts);
        assert!(shortage.is_pausing() && shortage.limited(SLOTS) == 4);
        // One of those that run ends: what it took is free.
        shortage.on_ended(now);
        assert!(!shortage.is_pausing());
        let mut limits = Vec::new();
        while let Some(look_at) = shortage.next_look() {
            limits.push(shortage.limited(SLOTS));
            assert_eq!(shortage.on_look(4, SLOTS, look_at), shortage.next_look().is_none());
        }
        assert_eq!(limits, [4, 8, SLOTS], "and is calm for a while");
        assert_eq!(shortage.limited(SLOTS), SLOTS);
    }

    #[test]
    fn a_worker_that_can_begin_nothing_tries_ever_more_seldom_and_leaves() {
        [1, SLOTS].into_iter().for_each(try_until_too_long);
    }

    fn try_until_too_long(slots: usize) {
        let (mut shortage, began) = (Shortage::default(), Instant::now());
        let mut now = began;
        let mut tries = 0;
        while shortage.on_unbegun(0, now) != Sign::TooLong {
            tries += 1;
            pause(&mut shortage, &mut now, 0);
            assert_eq!(shortage.limited(slots), 1);
            // No work, for a long time, does not count.
            now += Duration::from_secs(3600);
            while let Some(look_at) = shortage.next_look().filter(|at| *at <= now) {
                assert!(!shortage.on_look(0, slots, look_at));
            }
            // What it takes to find out that the job does not begin may be long.
            shortage.on_started(now);
            while let Some(look_at) = shortage.next_look() {
                assert!(!shortage.on_look(1, slots, look_at));
            }
        }
        let lasted = (now - began) - Duration::from_secs(3600) * tries;
        assert!(lasted >= LASTS_LONGEST && lasted < LASTS_LONGEST + 2 * PAUSE_LONGEST, "{lasted:?}");
        assert!((10..30).contains(&tries), "{tries}");
    }

    #[test]
    fn a_worker_that_runs_one_job_is_not_one_that_can_begin_nothing() {
        let (mut shortage, mut now) = (Shortage::default(), Instant::now());
        for _ in 0..100 {
            assert_ne!(shortage.on_unbegun(1, now), Sign::TooLong);
            pause(&mut shortage, &mut now, 1);
            assert_eq!(shortage.limited(SLOTS), 2);
        }
    }
}
