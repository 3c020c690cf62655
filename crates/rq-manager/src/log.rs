//! [`Log`]: where a Manager or a child logs; and what a Manager logs, in the original's words.

use std::fmt;

use tracing::{Dispatch, error, info, warn};

use crate::event::ManagerEvent;

/// Where a Manager or a child logs: by default the program's own `tracing` subscriber. [`make_log`](crate::make_log) makes
/// one that is a file.
#[derive(Clone, Default)]
pub struct Log(pub(crate) Option<Dispatch>);

impl Log {
    /// A log that is a subscriber.
    pub fn to(dispatch: Dispatch) -> Log {
        Log(Some(dispatch))
    }

    /// This one, or else `other`.
    pub(crate) fn or(&self, other: &Log) -> Log {
        if self.0.is_some() { self.clone() } else { other.clone() }
    }

    /// Has what `work` logs, on this thread, go here.
    pub fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(dispatch) => tracing::dispatcher::with_default(dispatch, work),
            None => work(),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Log(own)" } else { "Log(the program's)" })
    }
}

/// Logs an event.
pub(crate) fn tell(event: &ManagerEvent<'_>) {
    /// The lines of the banner.
    const LINE: &str = "==================================================";
    match event {
        ManagerEvent::Started { title, pid, check_point } => {
            info!("{LINE}");
            info!("{title}");
            info!("{LINE}");
            info!("Daemon process {pid}");
            info!("Check point {}s", check_point.as_secs_f64());
        }
        ManagerEvent::Created { slot, pid } => info!("{slot} {pid} created"),
        ManagerEvent::Ready { .. } => {}
        ManagerEvent::Ending { slot, pid, cause } => info!("{slot} {pid} {cause}"),
        ManagerEvent::Forced { slot, pid } => warn!("{slot} {pid} did not leave in time, and is killed"),
        ManagerEvent::Ended { slot, pid, cause, is_told, .. } => {
            if !is_told {
                warn!("{slot} {pid} {cause}");
            }
            // The original's words.
            info!("{slot} {pid} is not existed any more.");
        }
        ManagerEvent::Unstarted { slot, reason } => warn!("{slot} could not be started: {reason}"),
        ManagerEvent::Parked { slot, reason, again_in } => {
            error!("{slot} is parked, and tried again in {} s: {reason}", again_in.as_secs());
        }
        ManagerEvent::Refused { slot, reason } => error!("{slot} is refused: {reason}"),
        ManagerEvent::Stray { pid } => warn!("{pid} was left behind by a child that is gone, and is ended"),
        ManagerEvent::Reloaded { added, changed, removed } => {
            let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            info!("Reloaded: new {}; changed {}; removed {}", list(added), list(changed), list(removed));
        }
        ManagerEvent::ReloadFailed { reason } => error!("Not reloaded, all stays as it was: {reason}"),
        ManagerEvent::Scaled { kind, from, to } => info!("{kind}: {to} processes in place of {from}"),
        ManagerEvent::Stopping => info!("Stopping"),
        ManagerEvent::Stopped => info!("Stopped"),
    }
}
