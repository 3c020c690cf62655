//! [`Look`]: one look at the schedules of a worker's queues, however many these are.
//!
//! Redis serves nobody else while a script runs, so a script is given few queues. Where there are many, single commands
//! find out which have something to do.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rq_core::Error;
use rq_core::link::{Link, Step, within};
use rq_core::steps::schedule::{
    QUEUES_MAX, QueueTick, Scheduler, due_of, due_unlocked, fewest_workers, have_due, leave_of,
};

/// How long one step may take. None is retried: the next look comes soon, and locks expire by themselves.
const STEP_LONGEST: Duration = Duration::from_secs(5);
/// The most queues that single commands ask about in one go.
const ASKED_MAX: usize = 512;
/// Within how many looks a scheduler of many queues keeps each of its locks: they outlive three times as many.
const LOOKS_A_TURN: usize = 20;

/// One look.
pub(super) struct Look {
    pub(super) who: Arc<Scheduler>,
    /// Whether it takes and keeps locks.
    pub(super) locks: bool,
    /// The queues whose locks it takes or keeps; of the others it serves those that have due jobs.
    pub(super) turn: Range<usize>,
    /// Whether it counts the workers.
    pub(super) counts: bool,
}

/// What came of it.
pub(super) struct Looked {
    /// Per queue that was served, its number and what was done.
    pub(super) ticks: Vec<(usize, QueueTick)>,
    /// How many workers the queue has that has the fewest, where they were counted.
    pub(super) fewest_workers: Option<usize>,
}

impl Look {
    /// Takes it.
    pub(super) async fn take(self, link: Link) -> Result<Looked, Error> {
        let fewest_workers = match self.counts {
            true => Some(self.count_workers(&link).await?),
            false => None,
        };
        let wanted = self.wanted(&link).await?;
        let mut ticks = Vec::with_capacity(wanted.len());
        for (nth, some) in wanted.chunks(QUEUES_MAX).enumerate() {
            let queues: Vec<String> = some.iter().map(|&queue| self.who.queues[queue].clone()).collect();
            let step = match self.locks {
                // The scheduler's record with the first of them.
                true => due_of(&self.who, &queues, nth == 0),
                false => due_unlocked(&self.who.keys, self.who.kept, &queues),
            };
            ticks.extend(some.iter().copied().zip(run(&link, &step).await?));
        }
        Ok(Looked { ticks, fewest_workers })
    }

    async fn count_workers(&self, link: &Link) -> Result<usize, Error> {
        let mut fewest = usize::MAX;
        for some in self.who.queues.chunks(ASKED_MAX) {
            fewest = fewest.min(run(link, &fewest_workers(&self.who.keys, some)).await?);
        }
        Ok(fewest)
    }

    /// The queues that a script has to look at.
    async fn wanted(&self, link: &Link) -> Result<Vec<usize>, Error> {
        let mut wanted: BTreeSet<usize> = self.turn.clone().collect();
        if wanted.len() < self.who.queues.len() {
            for (nth, some) in self.who.queues.chunks(ASKED_MAX).enumerate() {
                let due = run(link, &have_due(&self.who.keys, some)).await?;
                let numbers = nth * ASKED_MAX..;
                wanted.extend(numbers.zip(due).filter(|(_, is_due)| *is_due).map(|(queue, _)| queue));
            }
        }
        Ok(wanted.into_iter().collect())
    }
}

/// The queues of a scheduler's next turn, after those before `from`.
pub(super) fn next_turn(queues: usize, from: usize) -> Range<usize> {
    if queues <= QUEUES_MAX {
        return 0..queues;
    }
    let from = if from < queues { from } else { 0 };
    from..(from + queues.div_ceil(LOOKS_A_TURN).max(QUEUES_MAX)).min(queues)
}

/// Frees all locks of a scheduler.
pub(super) async fn leave(link: Link, who: Arc<Scheduler>) -> Result<usize, Error> {
    let mut freed = 0;
    for some in who.queues.chunks(QUEUES_MAX) {
        freed += run(&link, &leave_of(&who, some)).await?;
    }
    Ok(freed)
}

/// Runs a step, once. One without an answer would be the last look for ever, and a worker on its way out would wait for it.
async fn run<T>(link: &Link, step: &Step<T>) -> Result<T, Error> {
    within(STEP_LONGEST, link.run(step)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_queues_have_their_turn_at_every_look() {
        assert_eq!((next_turn(1, 0), next_turn(QUEUES_MAX, 3)), (0..1, 0..QUEUES_MAX));
    }

    #[test]
    fn many_queues_have_their_turns_in_so_many_looks() {
        for queues in [QUEUES_MAX + 1, 1_000, 10_000] {
            let (mut from, mut looks) = (0, 0);
            while from < queues {
                let turn = next_turn(queues, from);
                assert!(turn.start == from && turn.end > from, "{turn:?}");
                (from, looks) = (turn.end, looks + 1);
            }
            assert!(looks <= LOOKS_A_TURN, "{queues} queues take {looks} looks");
            assert_eq!(next_turn(queues, from).start, 0);
        }
    }
}
