//! Living: the worker says that it is there, what it does, and what it runs.

use rq_core::steps::worker::{HEARTBEAT_BATCH_MAX, News, Pulse};
use rq_core::steps::{BATCH_MAX, Claimed, claim, worker};
use rq_core::{Error, ExecutionId, Stop};

use super::{Dispatcher, Event, registration};

impl Dispatcher {
    pub(super) fn start_heartbeats(&mut self) {
        let all = self.running.all();
        if all.is_empty() {
            return self.start_heartbeat(News::default(), Vec::new());
        }
        for batch in all.chunks(HEARTBEAT_BATCH_MAX) {
            self.start_heartbeat(News::default(), batch.to_vec());
        }
    }

    pub(super) fn start_heartbeat(&mut self, news: News, running: Vec<Claimed>) {
        let beat = self.insist(worker::heartbeat(&self.who, news, &running));
        let ids = running.into_iter().map(|claimed| claimed.id).collect();
        self.start(async move { Event::Beaten(ids, beat.await) });
    }

    pub(super) fn absorb_pulse(&mut self, ids: &[ExecutionId], pulse: Result<Pulse, Error>) {
        let Some(pulse) = self.tell_refused("the heartbeat", pulse) else { return };
        if pulse.record_gone {
            let (link, who, queues) = (self.link.clone(), self.who.clone(), self.options.queues.clone());
            self.start(async move { Event::Registered(registration::register(&link, &who, &queues).await) });
        }
        self.heed_losses(ids, &pulse.alive);
    }

    /// What Redis no longer holds as ours was canceled, deleted or given to another: it is asked to end.
    fn heed_losses(&mut self, ids: &[ExecutionId], held: &[bool]) {
        for (id, held) in ids.iter().zip(held) {
            if !held && self.running.notice_loss(id) {
                self.report.lost(id.job_id());
                self.executor.stop(id, Stop::Ask);
            }
        }
    }

    pub(super) fn start_renewing(&mut self) {
        if self.renewals_under_way > 0 {
            return;
        }
        for batch in self.running.all().chunks(HEARTBEAT_BATCH_MAX) {
            let ids = batch.iter().map(|claimed| claimed.id.clone()).collect();
            let renew = self.insist(claim::renew(&self.who, batch));
            self.renewals_under_way += 1;
            self.start(async move { Event::Renewed(ids, renew.await) });
        }
    }

    pub(super) fn absorb_renewed(&mut self, ids: &[ExecutionId], held: Result<Vec<bool>, Error>) {
        self.renewals_under_way -= 1;
        if let Some(held) = self.tell_refused("renewing leases", held) {
            self.heed_losses(ids, &held);
        }
    }

    /// Says what the worker is at, for whoever wonders.
    pub(super) fn tell_all(&self) {
        let (slots, course) = (self.executor.slots(), self.course);
        self.report.state(&format!(
            "{course:?}; {} of {slots} slots taken, {} being fetched, {} to be settled in {} steps under way, {} steps under \
             way in all; queues empty: {}, suspended: {}; {} messages ignored",
            self.running.occupied(),
            self.fetching,
            self.unsettled.len(),
            self.settles_under_way,
            self.steps.len(),
            self.queues_empty,
            self.suspended,
            self.unknown_commands,
        ));
        for (job, since) in self.running.jobs() {
            self.report.runs(&job, since);
        }
    }

    /// Writes the worker's state when it has changed; a claim writes `busy` itself.
    pub(super) fn tell_state(&mut self) {
        let state = match () {
            () if self.suspended => "suspended",
            () if !self.running.is_empty() || self.fetching > 0 => "busy",
            () if self.queues_empty => "idle",
            () => return,
        };
        if std::mem::replace(&mut self.state, state) != state && state != "busy" {
            self.start_heartbeat(News { state: Some(state), ..News::default() }, Vec::new());
        }
    }

    pub(super) fn start_saving_meta(&mut self) {
        let saved = self.meta_box.drain(BATCH_MAX);
        let metas: Vec<_> =
            saved.into_iter().filter_map(|(id, meta)| Some((self.running.claimed(&id)?, meta))).collect();
        for (claimed, meta) in &metas {
            self.running.note_meta(&claimed.id, meta);
        }
        if metas.is_empty() {
            return;
        }
        self.saving_meta = true;
        let save = self.insist(claim::save_meta(&self.who.keys, &metas));
        self.start(async move { Event::MetaSaved(save.await) });
    }
}
