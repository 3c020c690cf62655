//! [`Meta`]: the worker stores the meta that running jobs save, while they run.

use std::sync::Arc;

use rq_core::ExecutionId;
use rq_core::steps::{BATCH_MAX, claim as steps};

use super::Dispatcher;
use super::meta_box::MetaBox;
use crate::lazy_connection::LazyConnection;
use crate::options::Options;

/// The meta that running jobs have saved, on its way to Redis.
pub(super) struct Meta {
    saved: Arc<MetaBox>,
    is_storing: bool,
}

impl Meta {
    pub(super) fn new(options: &Options) -> Meta {
        let connection = LazyConnection::new(options.url.clone(), options.keys.clone());
        Meta { saved: Arc::new(MetaBox::new(connection)), is_storing: false }
    }

    /// Where jobs save their meta.
    pub(super) fn host(&self) -> &Arc<MetaBox> {
        &self.saved
    }

    /// Takes out the meta that an execution has saved last, if that is not stored yet.
    pub(super) fn take(&self, id: &ExecutionId) -> Option<Vec<u8>> {
        self.saved.take(id)
    }

    /// Waits until a job has saved its meta and no step that stores some is under way. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.is_storing {
            true => std::future::pending().await,
            false => self.saved.filled().await,
        }
    }
}

impl Dispatcher {
    pub(super) fn start_saving_meta(&mut self) {
        let saved = self.meta.saved.drain(BATCH_MAX);
        let metas: Vec<_> =
            // Meta of a job that was given up, or settled meanwhile, has no execution any more to be stored with.
            saved.into_iter().filter_map(|(id, meta)| Some((self.running.claimed(&id)?, meta))).collect();
        for (claimed, meta) in &metas {
            // The settlement, which may overtake this step, writes it once more.
            self.running.note_meta(&claimed.id, meta);
        }
        if metas.is_empty() {
            return;
        }
        // One step at a time: repeated through an outage, an older one could overwrite a newer one.
        self.meta.is_storing = true;
        self.send(steps::save_meta(&self.who.keys, &self.who.name, &metas), |worker, saved| {
            worker.meta.is_storing = false;
            worker.accepted("saving meta", saved);
        });
    }
}
