//! [`Pace`]: how long a step may wait for more jobs.

use std::time::{Duration, Instant};

use rq_core::steps::BATCH_MAX;

/// How many jobs make a step worth its round trip while one of its kind is under way, or may [gather](Pace).
pub(super) const BATCH_WORTH_MIN: usize = BATCH_MAX / 2;

/// How long a step waits at most.
const WAIT_MAX: Duration = Duration::from_millis(2);
/// The shortest wait: less is not worth a timer, which may be a millisecond late.
const WAIT_MIN: Duration = Duration::from_micros(500);
/// Which part of the time that jobs wait in the executor anyway a step may wait.
const PART: u32 = 3;
/// The weight of the newest job in a mean: the last few dozen count.
const WEIGHT: u32 = 32;
/// Jobs that run no longer than this, in the mean, are so short that their slots are of little use in between.
const SHORT: Duration = Duration::from_millis(1);

/// How long a step may wait for more jobs.
///
/// A step for four jobs costs Redis and the worker little more than one for one. Where jobs wait in the executor for a
/// processor or a process, a further job would wait there too; so the next claim may wait for more free slots, and the
/// next settlement for more ended jobs. Where jobs run at once no step waits, however long they run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// How long jobs have been in the executor beside their run, in the mean.
    idle: Duration,
    /// How long they have run, in the mean.
    ran: Duration,
}

impl Pace {
    /// Notes how long a job was in the executor, and how long it ran there.
    pub(super) fn note(&mut self, stayed: Duration, ran: Duration) {
        self.idle = (self.idle * (WEIGHT - 1) + stayed.saturating_sub(ran)) / WEIGHT;
        self.ran = (self.ran * (WEIGHT - 1) + ran) / WEIGHT;
    }

    /// Whether a slot that is free for a moment matters little beside the cost of a step.
    pub(super) fn is_short(&self) -> bool {
        self.ran <= SHORT
    }

    /// Until when a small step may wait, where the last one of its kind was begun at `last`; `None` for not at all.
    pub(super) fn gathers_until(&self, last: Option<Instant>) -> Option<Instant> {
        let wait = (self.idle / PART).min(WAIT_MAX);
        // Counted from the last step: the first one, and one after a pause, are for whoever is there.
        let until = last? + wait;
        (wait >= WAIT_MIN && until > Instant::now()).then_some(until)
    }
}

/// How many jobs make a step worth its round trip where it could wait for more: no more than a quarter of the slots, or
/// free slots would wait for it.
pub(super) fn batch_worth(slots: usize) -> usize {
    BATCH_WORTH_MIN.min(slots / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(stayed: Duration, ran: Duration) -> Pace {
        let mut pace = Pace::default();
        (0..10 * WEIGHT).for_each(|_| pace.note(stayed, ran));
        pace
    }

    fn gathers_until(stayed: Duration, ran: Duration) -> Option<Instant> {
        after(stayed, ran).gathers_until(Some(Instant::now()))
    }

    #[test]
    fn steps_gather_only_where_jobs_lie_about() {
        assert_eq!(gathers_until(10 * MS, 10 * MS), None, "jobs that run, however long");
        assert_eq!(gathers_until(MS / 10, Duration::ZERO), None, "jobs that end at once");
        let gathers_until = |idle| gathers_until(idle, Duration::ZERO).unwrap();
        assert!(gathers_until(60 * MS) <= Instant::now() + WAIT_MAX);
        let until = gathers_until(6 * WAIT_MIN);
        assert!(until > Instant::now() + WAIT_MIN && until < Instant::now() + WAIT_MAX);
    }

    #[test]
    fn slots_of_jobs_that_take_their_time_are_not_kept_free() {
        assert!(Pace::default().is_short() && after(MS, MS / 2).is_short());
        assert!(!after(10 * MS, 9 * MS).is_short());
    }

    #[test]
    fn the_first_step_and_one_after_a_pause_are_for_whoever_is_there() {
        let pace = after(60 * MS, Duration::ZERO);
        assert_eq!(pace.gathers_until(None), None, "none has been");
        assert_eq!(pace.gathers_until(Instant::now().checked_sub(WAIT_MAX)), None);
    }

    #[test]
    fn a_batch_leaves_most_slots_alone() {
        assert_eq!([1, 8, 16, 1_000].map(batch_worth), [1, 2, 4, BATCH_WORTH_MIN]);
    }
}
