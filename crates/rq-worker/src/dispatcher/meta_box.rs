//! [`MetaBox`]: where running jobs leave their meta for the dispatcher to store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rq_core::link::BlockingLink;
use rq_core::{BoxError, Error, ExecutionId, Host, Keys};
use tokio::sync::Notify;

use crate::lazy_connection::LazyConnection;

/// Where running jobs leave their meta. It holds the newest one of each execution, so a job that reports its progress
/// in a tight loop costs what one that reports it now and then does.
pub(crate) struct MetaBox {
    newest: Mutex<HashMap<ExecutionId, Vec<u8>>>,
    filled: Notify,
    connection: LazyConnection,
}

impl MetaBox {
    pub(crate) fn new(connection: LazyConnection) -> MetaBox {
        MetaBox { newest: Mutex::default(), filled: Notify::new(), connection }
    }

    /// Waits until a job has left its meta here. Cancel-safe.
    pub(crate) async fn filled(&self) {
        while self.newest().is_empty() {
            // `notify_one` leaves a permit where nobody waits, so a save between look and wait is not missed.
            self.filled.notified().await;
        }
    }

    /// Takes out at most `most`.
    pub(crate) fn drain(&self, most: usize) -> Vec<(ExecutionId, Vec<u8>)> {
        let mut newest = self.newest();
        let ids: Vec<ExecutionId> = newest.keys().take(most).cloned().collect();
        ids.into_iter().filter_map(|id| newest.remove_entry(&id)).collect()
    }

    /// Takes out that of one execution.
    pub(crate) fn take(&self, id: &ExecutionId) -> Option<Vec<u8>> {
        self.newest().remove(id)
    }

    fn newest(&self) -> MutexGuard<'_, HashMap<ExecutionId, Vec<u8>>> {
        // No code of a job runs under this lock, so that a panic leaves the map whole.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for MetaBox {
    fn link(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        self.connection.open()
    }

    fn save_meta(&self, execution: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError> {
        // The newest takes the place of one that was not sent yet: a tight loop of saves fills no memory.
        self.newest().insert(execution.clone(), meta);
        self.filled.notify_one();
        Ok(())
    }
}
