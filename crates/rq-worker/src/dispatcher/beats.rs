//! [`Beats`]: the worker tells its supervisor that its loop turns.

use tokio::time::Interval;

use super::{Dispatcher, every};
use crate::notices::Notices;
use crate::options::Options;

/// When the worker's supervisor, if it has one, is told that the loop turns. It is told from the loop itself, so that it hears
/// nothing of one that hangs; whether Redis answers makes no difference.
pub(super) struct Beats {
    notices: Option<Notices>,
    interval: Option<Interval>,
}

impl Beats {
    pub(super) fn new(options: &Options) -> Beats {
        let notices = options.notices.clone();
        let interval = notices.as_ref().and_then(Notices::beat_every).map(every);
        Beats { notices, interval }
    }

    /// Waits until the next beat is due, for ever where none is asked for. Cancel-safe.
    pub(super) async fn due(&mut self) {
        match &mut self.interval {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }

    /// A job has ended.
    pub(super) fn on_ended(&self) {
        if let Some(notices) = &self.notices {
            notices.note_job_ended();
        }
    }
}

impl Dispatcher {
    pub(super) fn beat(&mut self) {
        if let Some(notices) = &self.beats.notices {
            notices.beat();
        }
    }
}
