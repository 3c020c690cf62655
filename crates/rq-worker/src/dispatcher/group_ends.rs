//! [`GroupEnds`]: the worker looks for members of groups that have ended where nobody told of it: Python's workers ended
//! them, they have expired, or were deleted.
//!
//! The script that ends a job takes it out of its group's open members (docs/design/groups.md), so that a look finds little.
//! Where no job waits for a group's end it is one small command.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rq_core::Keys;
use rq_core::link::{Link, Step};
use rq_core::steps::group::{self as steps, TAKEN_MAX};
use rq_core::steps::job::{Cursor, Page};
use tokio::time::Interval;

use super::outage::{Outage, until_answered};
use super::{Dispatcher, every};
use crate::event::{Observers, WorkerEvent};
use crate::options::Options;

/// How often a worker looks which groups are due. Who takes one puts it off for all workers.
const LOOK_PAUSE: Duration = Duration::from_secs(10);
/// A burst worker looks once, and also at groups that are due so soon: at all small ones that nobody else looks at just now.
const BURST_AHEAD: Duration = Duration::from_secs(9);
/// How long a declaration may hold a group's end back. A caller that takes longer is taken for dead.
const HELD_LONGEST: Duration = Duration::from_secs(600);
/// How often a look takes groups, [`TAKEN_MAX`] at a time; the others stay due.
const TAKES_MAX: usize = 100;
/// More pages than any group has: a walk that takes more goes in circles.
const PAGES_MAX: usize = 1_000_000;

/// When the worker looks for groups that have ended.
pub(super) struct GroupEnds {
    interval: Interval,
    ahead: Duration,
    is_looking: bool,
    has_looked: bool,
}

impl GroupEnds {
    pub(super) fn new(options: &Options) -> GroupEnds {
        let mut interval = every(LOOK_PAUSE);
        // A burst worker may be gone before the first pause is over, and nobody else may look.
        interval.reset_immediately();
        let ahead = if options.burst { BURST_AHEAD } else { Duration::ZERO };
        GroupEnds { interval, ahead, is_looking: false, has_looked: false }
    }

    /// Waits until it is time to look, and no other look under way. Cancel-safe.
    pub(super) async fn due(&mut self) {
        match self.is_looking {
            true => std::future::pending().await,
            false => drop(self.interval.tick().await),
        }
    }

    /// Whether this worker has looked, and is not looking.
    pub(super) fn is_done(&self) -> bool {
        self.has_looked && !self.is_looking
    }
}

/// One look.
struct Look {
    link: Link,
    keys: Keys,
    ahead_ms: u64,
    observers: Arc<Observers>,
    outage: Arc<Outage>,
}

impl Look {
    /// Looks at all groups that are due. How many jobs went on as their group had ended.
    async fn take(self) -> usize {
        let mut gone_on = 0;
        for _ in 0..TAKES_MAX {
            let Some(groups) = self.run(steps::take(&self.keys, self.ahead_ms)).await else { break };
            for group in &groups {
                let jobs = self.look_at(group).await.unwrap_or(0);
                if jobs > 0 {
                    self.observers.tell(WorkerEvent::GroupEnded { group, jobs });
                }
                gone_on += jobs;
            }
            if groups.len() < TAKEN_MAX {
                break;
            }
        }
        gone_on
    }

    /// Looks at one group. None where Redis refuses a step, which ends this look alone: the next one finds the same.
    async fn look_at(&self, group: &str) -> Option<usize> {
        let (mut gone_on, mut overdue) = (0, BTreeSet::new());
        let held_ms = u64::try_from(HELD_LONGEST.as_millis()).unwrap_or(u64::MAX);
        let mut at = Some(Cursor::default());
        for _ in 0..PAGES_MAX {
            let Some(cursor) = at else { break };
            let Page { found, next } = self.run(steps::look(&self.keys, group, &cursor, held_ms)).await?;
            gone_on += found.gone_on;
            overdue.extend(found.overdue);
            at = next;
        }
        for waiting in overdue {
            gone_on += self.end_declaration(group, &waiting).await?;
        }
        Some(gone_on)
    }

    /// Does what is left of a declaration whose caller is gone, from the start: which members it has noted nobody knows.
    async fn end_declaration(&self, group: &str, waiting: &str) -> Option<usize> {
        let mut at = Some(Cursor::default());
        for _ in 0..PAGES_MAX {
            let Some(cursor) = at else { break };
            at = self.run(steps::note_open(&self.keys, group, waiting, &cursor)).await?.next;
        }
        self.run(steps::let_end(&self.keys, group, waiting)).await
    }

    async fn run<T>(&self, step: Step<T>) -> Option<T> {
        let name = step.name();
        let answer = until_answered(self.link.clone(), step, Arc::clone(&self.outage)).await;
        answer.inspect_err(|error| self.observers.step_failed(name, error)).ok()
    }
}

impl Dispatcher {
    pub(super) fn start_look_at_groups(&mut self) {
        self.group_ends.is_looking = true;
        let look = Look {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            ahead_ms: u64::try_from(self.group_ends.ahead.as_millis()).unwrap_or(u64::MAX),
            observers: Arc::clone(&self.observers),
            outage: Arc::clone(&self.outage),
        };
        self.beside(look.take(), Dispatcher::on_looked_at_groups);
    }

    fn on_looked_at_groups(&mut self, gone_on: usize) {
        self.group_ends.is_looking = false;
        self.group_ends.has_looked = true;
        if gone_on > 0 {
            self.claiming.on_refill();
        }
    }
}
