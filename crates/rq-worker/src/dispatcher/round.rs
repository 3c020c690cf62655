//! [`Round`]: one repair of the registries of a worker's queues, and of what belongs to no queue.
//!
//! A round is a list of steps, each small and safe at any time, so that Redis serves others between them and a worker
//! may leave in the middle. A key that expires says for each queue that a worker has done it; nothing is ever locked.

use std::sync::Arc;
use std::time::Duration;

use rq_core::link::{Link, Step};
use rq_core::steps::group::tidy;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{self as steps, Page, PickedUp, Scope, Undeferred};
use rq_core::{Keys, Timestamp};

use super::outage::{Outage, until_answered};
use super::reaping::{Reaped, Reaper};
use crate::event::{Observers, WorkerEvent};

/// More pages than any registry has: a walk that takes more goes in circles.
const PAGES_MAX: usize = 10_000_000;
/// The most queues of which each is told by itself.
pub(super) const QUEUES_NAMED_MAX: usize = 20;
/// For which part of the interval no other worker takes a round; the rest is the leeway for a worker's own next one.
const EXCLUSIVE: (u32, u32) = (9, 10);

/// One round of maintenance.
pub(super) struct Round {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) queues: Vec<String>,
    /// The worker that does it.
    pub(super) worker: String,
    /// How long it is until the next one.
    pub(super) interval: Duration,
    pub(super) observers: Arc<Observers>,
    pub(super) outage: Arc<Outage>,
    /// Ends executions that Python's workers left in `rq:wip`.
    pub(super) reaper: Reaper,
}

/// What a round found that concerns the worker.
#[derive(Default)]
pub(super) struct Found {
    /// How many jobs it has put into queues.
    pub(super) queued: usize,
    /// The executions it has ended.
    pub(super) reaped: Vec<Reaped>,
}

/// How far a walk over a registry has come.
struct Walk {
    next: Option<Cursor>,
    pages: usize,
}

impl Round {
    /// Does the round for each queue, and for what belongs to no queue, that no other worker has done lately.
    pub(super) async fn run(self) -> Found {
        // Sent again the step finds this very text and answers that the round is ours, so it has to be unique.
        let name = format!("{} {}", self.worker, Timestamp::now().epoch_text());
        let mut found = Found::default();
        let queues = self.queues.len();
        let mut is_told = false;
        for queue in &self.queues {
            if self.is_mine(Scope::Queue(queue), &name).await {
                match queues {
                    ..=QUEUES_NAMED_MAX => self.observers.tell(WorkerEvent::CleaningQueue { queue }),
                    _ if !is_told => self.observers.tell(WorkerEvent::CleaningQueues { queues }),
                    _ => {}
                }
                is_told = true;
                found.queued += self.look_after_queue(queue).await;
                // After `pick_up`, which files what is started and in nobody's hands as an execution that is over: this
                // ends it.
                found.reaped.extend(self.reap(queue).await);
            }
        }
        if self.is_mine(Scope::AtLarge, &name).await {
            found.queued += self.look_after_the_rest().await;
        }
        found
    }

    async fn is_mine(&self, scope: Scope<'_>, name: &str) -> bool {
        let exclusive = self.interval * EXCLUSIVE.0 / EXCLUSIVE.1;
        // Redis refuses a key that lives for 0 ms.
        let exclusive_ms = u64::try_from(exclusive.as_millis()).unwrap_or(u64::MAX).max(1);
        // Without an answer the round is left out: the next one finds the same.
        self.run_step(steps::take_round(&self.keys, scope, name, exclusive_ms)).await.unwrap_or(false)
    }

    async fn look_after_queue(&self, queue: &str) -> usize {
        for registry in [self.keys.finished(queue), self.keys.failed(queue)] {
            self.expire(&registry).await;
        }
        let queued = self.push_ready(queue).await + self.pick_up(queue).await + self.undefer(queue).await;
        for registry in [self.keys.scheduled(queue), self.keys.canceled(queue)] {
            self.prune(&registry).await;
        }
        self.bury(Scope::Queue(queue)).await;
        queued
    }

    async fn reap(&self, queue: &str) -> Vec<Reaped> {
        let reaped = self.reaper.reap_wip(queue).await;
        reaped
            .inspect_err(|error| self.observers.step_failed("ending abandoned executions", error))
            .unwrap_or_default()
    }

    async fn look_after_the_rest(&self) -> usize {
        let queued = self.free_slots().await;
        self.bury(Scope::AtLarge).await;
        self.observers.tell(WorkerEvent::CleaningGroups);
        self.tidy_groups().await;
        queued
    }

    async fn expire(&self, registry: &str) {
        // Each call takes off what it has found, so the next one begins at the front again and needs no cursor.
        let mut walk = Walk::new();
        while self.page(&mut walk, |_| steps::expire(registry)).await.is_some() {}
    }

    async fn prune(&self, registry: &str) {
        let mut walk = Walk::new();
        while self.page(&mut walk, |at| steps::prune(&self.keys, registry, at)).await.is_some() {}
    }

    async fn push_ready(&self, queue: &str) -> usize {
        let (mut walk, mut queued) = (Walk::new(), 0);
        // No cursor here either: whatever a call has found is off the registry.
        while let Some(ready) = self.page(&mut walk, |_| steps::push_ready(&self.keys, queue)).await {
            for (id, is_queued) in ready {
                queued += usize::from(is_queued);
                let found = if is_queued { "was ready: queued" } else { "is not ready: taken off the book" };
                self.repaired(&id, found);
            }
        }
        queued
    }

    async fn pick_up(&self, queue: &str) -> usize {
        let (mut walk, mut queued) = (Walk::new(), 0);
        while let Some(picked_up) = self.page(&mut walk, |at| steps::pick_up(&self.keys, queue, at)).await {
            for (id, became) in picked_up {
                queued += usize::from(became == PickedUp::Queued);
                self.repaired(&id, described(became));
            }
        }
        queued
    }

    async fn undefer(&self, queue: &str) -> usize {
        let (mut walk, mut queued) = (Walk::new(), 0);
        while let Some(ids) = self.page(&mut walk, |at| steps::deferred(&self.keys, queue, at)).await {
            queued += self.undefer_page(queue, &ids).await;
        }
        queued
    }

    async fn undefer_page(&self, queue: &str, mut ids: &[Vec<u8>]) -> usize {
        let mut queued = 0;
        while !ids.is_empty() {
            // A call stops once it has looked at enough dependencies, and the rest of the ids goes with the next.
            let Some(answers) = self.run_step(steps::undefer(&self.keys, queue, ids)).await else { break };
            // By its contract one at least: counted so here, too, as an answer without any would be asked for ever.
            let (looked_at, rest) = ids.split_at(answers.len().clamp(1, ids.len()));
            for (id, undeferred) in looked_at.iter().zip(answers) {
                let found = match undeferred {
                    Undeferred::Waits => continue,
                    Undeferred::Gone => "was deferred and is gone: taken off the book",
                    Undeferred::Queued => "was deferred, and nobody held it back: queued",
                };
                queued += usize::from(undeferred == Undeferred::Queued);
                self.repaired(&String::from_utf8_lossy(id), found);
            }
            ids = rest;
        }
        queued
    }

    async fn bury(&self, scope: Scope<'_>) {
        let mut walk = Walk::new();
        // What they ran is in rq:leases and rq:wip, and is reaped from there.
        while let Some(dead) = self.page(&mut walk, |at| steps::bury(&self.keys, scope, at)).await {
            for worker in dead {
                self.observers.tell(WorkerEvent::WorkerBuried { key: &worker });
            }
        }
    }

    async fn free_slots(&self) -> usize {
        let (mut limits, mut queued) = (Walk::new(), 0);
        while let Some(names) = self.page(&mut limits, |at| steps::rate_limits(&self.keys, at)).await {
            for name in names {
                let mut walk = Walk::new();
                while let Some(slots) =
                    self.page(&mut walk, |at| steps::free_slots(&self.keys, &name, at)).await
                {
                    queued += slots.given;
                    for id in slots.freed {
                        self.repaired(&id, "neither waits nor runs: its slot was taken back");
                    }
                }
            }
        }
        queued
    }

    async fn tidy_groups(&self) {
        let mut groups = Walk::new();
        while let Some(names) = self.page(&mut groups, |at| steps::groups(&self.keys, at)).await {
            for name in names {
                let mut walk = Walk::new();
                while self.page(&mut walk, |at| tidy(&self.keys, &name, at)).await.is_some() {}
            }
        }
    }

    /// The next page of a walk; `None` when it is over, or when Redis refuses the step, which ends this walk alone.
    async fn page<T>(&self, walk: &mut Walk, step: impl Fn(&Cursor) -> Step<Page<T>>) -> Option<T> {
        let at = walk.next.take()?;
        let page = self.run_step(step(&at)).await?;
        walk.pages += 1;
        // A cursor is the server's word, and a walk must end whatever that says.
        walk.next = page.next.filter(|_| walk.pages < PAGES_MAX);
        Some(page.found)
    }

    fn repaired(&self, id: &str, found: &str) {
        self.observers.tell(WorkerEvent::JobRepaired { id, found });
    }

    async fn run_step<T>(&self, step: Step<T>) -> Option<T> {
        let name = step.name();
        let answer = until_answered(self.link.clone(), step, Arc::clone(&self.outage)).await;
        answer.inspect_err(|error| self.observers.step_failed(name, error)).ok()
    }
}

impl Walk {
    fn new() -> Walk {
        Walk { next: Some(Cursor::default()), pages: 0 }
    }
}

fn described(picked_up: PickedUp) -> &'static str {
    match picked_up {
        PickedUp::Gone => "was taken off its queue and is gone: forgotten",
        PickedUp::Left => "was taken off its queue, and another book has it: forgotten here",
        PickedUp::Queued => "was taken off its queue and never began: queued again",
        PickedUp::Started => "is started, and nobody runs it: taken for abandoned",
    }
}
