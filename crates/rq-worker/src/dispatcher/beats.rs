//! [`Beats`]: the worker tells its supervisor that its loop turns.

use tokio::time::{Interval, sleep};

use super::{Dispatcher, every};
use crate::notices::{AGAIN_PAUSE, Notices};
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

    /// Waits until the next beat is due, for ever where none is asked for; or until it is time to tell again what was not
    /// taken. Cancel-safe.
    pub(super) async fn due(&mut self) -> Due {
        let is_untold = self.notices.as_ref().is_some_and(Notices::is_untold);
        let again = async { if is_untold { sleep(AGAIN_PAUSE).await } else { std::future::pending().await } };
        let beat = async {
            match &mut self.interval {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = beat => Due::Beat,
            () = again => Due::Again,
        }
    }

    /// A job has ended.
    pub(super) fn on_ended(&self) {
        if let Some(notices) = &self.notices {
            notices.note_job_ended();
        }
    }
}

/// What the supervisor is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Beat,
    /// What it has not taken.
    Again,
}

impl Dispatcher {
    pub(super) fn beat(&mut self, due: Due) {
        match (&self.beats.notices, due) {
            (Some(notices), Due::Beat) => notices.beat(),
            (Some(notices), Due::Again) => notices.tell_again(),
            (None, _) => {}
        }
    }
}
