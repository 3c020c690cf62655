//! [`Beats`]: the worker tells its supervisor that its loop turns.

use tokio::time::{Instant, Interval, sleep_until};

use super::{Dispatcher, every};
use crate::notices::Notices;
use crate::options::Options;

/// When the worker's supervisor, if it has one, is told that the loop turns. It is told from the loop itself, so that it hears
/// nothing of one that hangs; whether Redis answers makes no difference.
pub(super) struct Beats {
    notices: Option<Notices>,
    interval: Option<Interval>,
    /// When it is told what it does not know.
    news_at: Option<Instant>,
}

impl Beats {
    pub(super) fn new(options: &Options) -> Beats {
        let notices = options.notices.clone();
        let interval = notices.as_ref().and_then(Notices::beat_every).map(every);
        Beats { notices, interval, news_at: None }
    }

    /// Waits until the next beat is due, for ever where none is asked for; or until it is time to tell again what was not
    /// taken. Cancel-safe.
    pub(super) async fn due(&mut self) -> Due {
        let news_within = self.notices.as_ref().and_then(Notices::news_within);
        // Kept, however often this is asked anew.
        self.news_at = news_within.map(|within| self.news_at.unwrap_or_else(|| Instant::now() + within));
        let news_at = self.news_at;
        let again = async {
            match news_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let beat = async {
            match &mut self.interval {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = beat => Due::Beat,
            () = again => Due::News,
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
    /// What it has not taken, or does not know.
    News,
}

impl Dispatcher {
    pub(super) fn beat(&mut self, due: Due) {
        self.beats.news_at = None;
        match (&self.beats.notices, due) {
            (Some(notices), Due::Beat) => notices.beat(),
            (Some(notices), Due::News) => notices.tell_again(),
            (None, _) => {}
        }
    }
}
