//! [`Told`]: what a worker's log says of its program at the start.

use rq_core::Shown;
use rq_worker::{Observer, WorkerEvent};

/// What a worker's log says of its program at the start, a line each.
pub(crate) struct Told(pub(crate) Vec<String>);

impl Observer for Told {
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
        if let WorkerEvent::Started { .. } = event {
            for line in &self.0 {
                tracing::info!("{}", Shown::line(format_args!("Worker {worker}: {line}")));
            }
        }
    }
}
