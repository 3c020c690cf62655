//! [`Heartbeats`]: the worker writes that it is alive, and what it does.

use rq_core::steps::Claimed;
use rq_core::steps::worker::{self as steps, HEARTBEAT_BATCH_MAX, Pulse, StateUpdate};
use rq_core::{Error, ExecutionId, Timestamp};
use tokio::time::Interval;

use super::{Dispatcher, every, registration};
use crate::error::WorkerError;
use crate::event::WorkerEvent;
use crate::options::Options;

/// When the worker writes that it is alive, and the state that it wrote last.
pub(super) struct Heartbeats {
    interval: Interval,
    beats_under_way: usize,
    /// The state in the worker's record.
    state: &'static str,
}

impl Heartbeats {
    pub(super) fn new(options: &Options) -> Heartbeats {
        Heartbeats { interval: every(options.monitoring_interval), beats_under_way: 0, state: "started" }
    }

    /// Waits until the next heartbeat is due. Cancel-safe.
    pub(super) async fn due(&mut self) {
        self.interval.tick().await;
    }

    /// What a heartbeat has to write, if the state has changed; a claim writes `busy` itself.
    fn changed(&mut self, state: &'static str) -> Option<StateUpdate> {
        let before = std::mem::replace(&mut self.state, state);
        (before != state && state != "busy")
            .then(|| StateUpdate { state: Some(state), ..StateUpdate::default() })
    }
}

impl Dispatcher {
    pub(super) fn start_heartbeats(&mut self) {
        // One that Redis has not answered covers this one: it is sent again until it is answered.
        if self.heartbeats.beats_under_way > 0 {
            return;
        }
        let all = self.running.all();
        // An idle worker's record expires as well, and maintenance would take it off the sets of workers.
        if all.is_empty() {
            return self.start_heartbeat(StateUpdate::default(), &[]);
        }
        for batch in all.chunks(HEARTBEAT_BATCH_MAX) {
            self.start_heartbeat(StateUpdate::default(), batch);
        }
    }

    fn start_heartbeat(&mut self, update: StateUpdate, running: &[Claimed]) {
        let ids: Vec<ExecutionId> = running.iter().map(|claimed| claimed.id.clone()).collect();
        self.heartbeats.beats_under_way += 1;
        let beat = steps::heartbeat(&self.who, update, running);
        self.send(beat, move |worker, pulse| worker.on_pulse(&ids, pulse));
    }

    fn on_pulse(&mut self, ids: &[ExecutionId], pulse: Result<Pulse, Error>) {
        self.heartbeats.beats_under_way -= 1;
        let Some(pulse) = self.accepted("the heartbeat", pulse) else { return };
        // The record expires while a worker is stopped or Redis away for long, and an empty Redis has none.
        if pulse.record_gone {
            let (link, who, queues) = (self.link.clone(), self.who.clone(), self.options.queues.clone());
            // The script has written nothing: a record with a heartbeat's fields alone would pass for a whole one.
            let register = async move { registration::register_again(&link, &who, &queues).await };
            self.beside(register, |worker, registered| worker.on_registered(registered));
        }
        self.on_held(ids, &pulse.alive);
    }

    fn on_registered(&mut self, registered: Result<(), WorkerError>) {
        match registered {
            Ok(()) => self.observers.tell(WorkerEvent::RegisteredAgain),
            Err(error) => self.observers.step_failed("registering again", &error),
        }
    }

    /// The worker's state; `None` while it does not know whether its queues are empty.
    pub(super) fn state(&self) -> Option<&'static str> {
        match () {
            () if self.claiming.suspended() => Some("suspended"),
            () if !self.holds_nothing() => Some("busy"),
            () if self.claiming.queues_empty() => Some("idle"),
            () => None,
        }
    }

    /// Writes the worker's state when it has changed.
    pub(super) fn report_state(&mut self) {
        // A worker that does not know yet keeps the state it has.
        let Some(state) = self.state() else { return };
        // No executions go with it: they have heartbeats and renewals of their own.
        if let Some(update) = self.heartbeats.changed(state) {
            self.start_heartbeat(update, &[]);
        }
    }

    /// Writes that the worker was asked to stop, if it is busy (docs/wire.md §10.10).
    pub(super) fn report_shutdown(&mut self) {
        if !self.running.is_empty() {
            self.start_heartbeat(
                StateUpdate { shutdown_requested: Some(Timestamp::now()), ..StateUpdate::default() },
                &[],
            );
        }
    }
}
