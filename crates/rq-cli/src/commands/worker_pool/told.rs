//! [`Told`]: what a pool does, in RQ's lines.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use rq_manager::{Cause, ManagerEvent, Observer};
use tracing::{error, info, warn};

/// Logs what a pool does in RQ's lines, and in our words what RQ has none for.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The processes of the workers that there are.
    workers: Rc<RefCell<BTreeSet<i32>>>,
    start: Rc<RefCell<Start>>,
}

/// What has become of the first workers.
#[derive(Debug, Default)]
enum Start {
    #[default]
    Nothing,
    /// None was started yet, for this reason.
    Failed(String),
    Done,
}

impl Observer for Told {
    fn on(&self, event: &ManagerEvent<'_>) {
        match event {
            ManagerEvent::Started { title, pid, .. } => {
                info!("Starting worker pool {title} with pid {pid}...")
            }
            ManagerEvent::Created { pid, .. } => {
                self.workers.borrow_mut().insert(*pid);
                *self.start.borrow_mut() = Start::Done;
                info!("Starting worker started with PID {pid}");
            }
            ManagerEvent::Ending { pid, cause: Cause::Stopped, .. } => {
                info!("Sent shutdown command to worker with {pid}");
            }
            ManagerEvent::Ending { pid, cause, .. } if needs_words(cause) => {
                warn!("Worker with pid {pid} {cause}");
            }
            ManagerEvent::Forced { pid, .. } => {
                warn!("Worker with pid {pid} did not leave in time, and is killed");
            }
            ManagerEvent::Ended { pid, name, cause, is_told, .. } => {
                self.workers.borrow_mut().remove(pid);
                if !is_told && needs_words(cause) {
                    warn!("Worker {name} with pid {pid} {cause}");
                }
                info!("Worker {name} with pid {pid} is dead");
            }
            ManagerEvent::Unstarted { slot, reason } => {
                let mut start = self.start.borrow_mut();
                if matches!(*start, Start::Nothing) {
                    *start = Start::Failed((*reason).to_owned());
                }
                error!("No worker can be started in place {} of the pool: {reason}", slot.number());
            }
            ManagerEvent::Parked { slot, reason, again_in } => error!(
                "No worker can be started in place {} of the pool; the next one is tried in {} s: {reason}",
                slot.number(),
                again_in.as_secs()
            ),
            ManagerEvent::Refused { slot, reason } => {
                error!("No worker can be started in place {} of the pool: {reason}", slot.number());
            }
            ManagerEvent::Stray { pid } => {
                warn!("{pid} was left behind by a worker that is gone, and is ended");
            }
            ManagerEvent::Stopping => self.tell_of_stop(),
            ManagerEvent::Stopped => info!("All workers stopped, exiting..."),
            // What a pool never does, or is worth no line.
            _ => {}
        }
    }
}

impl Told {
    /// Why not one worker was ever started, if that is so.
    pub(super) fn reason(&self) -> Option<String> {
        match &*self.start.borrow() {
            Start::Failed(reason) => Some(reason.clone()),
            Start::Nothing | Start::Done => None,
        }
    }

    fn tell_of_stop(&self) {
        let count = self.workers.borrow().len();
        info!("Received SIGINT/SIGTERM, shutting down...");
        info!("Sending stop signal to {count} workers");
    }
}

/// Whether the end of a worker is more than RQ's line says, and than the worker has said itself.
fn needs_words(cause: &Cause) -> bool {
    !matches!(
        cause,
        Cause::Finished
            | Cause::Exited { .. }
            | Cause::BootFailed { .. }
            | Cause::Stopped
            | Cause::Idle
            | Cause::Exhausted
    )
}
