//! [`Maintenance`]: the worker repairs registries, queues and rate limits at its start and now and then, beside all
//! else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Interval;

use super::round::{Found, Round};
use super::{Dispatcher, every};
use crate::options::Options;

/// The shortest time between two rounds.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// When the worker does a round of maintenance.
pub(super) struct Maintenance {
    interval: Interval,
    is_under_way: bool,
}

impl Maintenance {
    pub(super) fn new(options: &Options) -> Maintenance {
        Maintenance { interval: every(options.maintenance_interval.max(INTERVAL_MIN)), is_under_way: false }
    }

    /// Waits until the next round is due. Cancel-safe.
    pub(super) async fn due(&mut self) {
        self.interval.tick().await;
    }

    /// Whether a round is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }
}

impl Dispatcher {
    /// Begins a round. It may be left in the middle: the next one finds the rest.
    pub(super) fn start_maintenance(&mut self) {
        if self.maintenance.is_under_way || !self.shutdown.is_working() {
            return;
        }
        self.maintenance.is_under_way = true;
        let round = Round {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            queues: self.options.queues.clone(),
            worker: self.who.name.clone(),
            interval: self.options.maintenance_interval,
            observers: Arc::clone(&self.observers),
            outage: Arc::clone(&self.outage),
            reaper: self.reaper(),
        };
        self.beside(round.run(), Dispatcher::on_maintained);
    }

    fn on_maintained(&mut self, found: Found) {
        self.maintenance.is_under_way = false;
        if found.queued > 0 {
            self.claiming.on_refill();
        }
        self.on_reaped(found.reaped);
    }
}
