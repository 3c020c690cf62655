//! [`Leases`]: the worker renews the leases of its executions, so that no other worker takes them for abandoned.

use std::time::Instant;

use rq_core::steps::Claimed;
use rq_core::steps::claim as steps;
use rq_core::steps::worker::HEARTBEAT_BATCH_MAX;
use rq_core::{Error, ExecutionId, Stop};
use tokio::time::Interval;

use super::running::Cause;
use super::{Dispatcher, every};
use crate::event::WorkerEvent;
use crate::options::Options;

/// How often leases are renewed while they last: two renewals may be late before one is lost.
pub(super) const RENEWALS_PER_LEASE: u32 = 3;

/// When leases are renewed.
pub(super) struct Leases {
    interval: Interval,
    renewals_under_way: usize,
    /// Since when renewals have been due that Redis has not taken.
    behind_since: Option<Instant>,
}

impl Leases {
    pub(super) fn new(options: &Options) -> Leases {
        Leases {
            interval: every(options.lease / RENEWALS_PER_LEASE),
            renewals_under_way: 0,
            behind_since: None,
        }
    }

    /// Whether renewals do not get through, so that the leases of others may have run out for the same reason.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some_and(|since| since.elapsed() >= self.interval.period())
    }

    /// Waits until leases are to be renewed. Cancel-safe.
    pub(super) async fn due(&mut self) {
        self.interval.tick().await;
    }
}

impl Dispatcher {
    /// All executions that Redis holds as this worker's: those that are being fetched, that run, or are not settled yet.
    fn held(&self) -> Vec<Claimed> {
        let mut held = self.running.all();
        held.extend(self.claiming.fetching().iter().cloned());
        held
    }

    /// Whether there is none of them.
    pub(super) fn holds_nothing(&self) -> bool {
        self.running.is_empty() && self.claiming.fetching().is_empty()
    }

    pub(super) fn start_renewing(&mut self) {
        // A renewal that Redis has not answered covers this one: it is sent again until it is answered.
        if self.leases.renewals_under_way > 0 {
            return;
        }
        let held = self.held();
        for batch in held.chunks(HEARTBEAT_BATCH_MAX) {
            let ids: Vec<ExecutionId> = batch.iter().map(|claimed| claimed.id.clone()).collect();
            self.leases.renewals_under_way += 1;
            self.leases.behind_since.get_or_insert_with(Instant::now);
            self.send(steps::renew(&self.who, batch), move |worker, held| worker.on_renewed(&ids, held));
        }
    }

    fn on_renewed(&mut self, ids: &[ExecutionId], held: Result<Vec<bool>, Error>) {
        self.leases.renewals_under_way -= 1;
        // One that is refused for good is left to the next one, which comes in a third of a lease.
        if let Some(held) = self.accepted("renewing leases", held) {
            self.leases.behind_since = None;
            self.on_held(ids, &held);
        }
    }

    /// Asks an execution to end that Redis no longer holds as this worker's: the job was canceled, deleted, or given to
    /// another worker.
    pub(super) fn on_held(&mut self, ids: &[ExecutionId], held: &[bool]) {
        for (id, held) in ids.iter().zip(held) {
            if !held && self.running.notice_loss(id) {
                self.observers.tell(WorkerEvent::JobLost { id: id.job_id() });
                // Asked, not ended by force: whatever it still does, its outcome counts for nothing.
                if !self.stop_waiting(id, Cause::Asked) {
                    self.executor.stop(id, Stop::Ask);
                }
            }
        }
    }
}
