//! [`Posts`]: what the end of an execution posts into the outbox, with the step that writes the end.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rq_core::steps::settlement::Settlement;
use rq_core::{
    CallsFor, Composed, Conclusion, DueCall, Failure, Job, Letter, Status, Timestamp, compose, panics,
    told_by,
};

use super::Dispatcher;
use crate::event::WorkerEvent;

/// Of how many jobs it is remembered that a callback of theirs is unknown.
const TOLD_MAX: usize = 10_000;

/// What ends of executions post.
pub(super) struct Posts {
    names: CallbackNames,
    /// The jobs of which was told that a callback of theirs is unknown: a retried one is told of once.
    told: HashSet<String>,
}

/// The callbacks that the program has.
#[derive(Clone)]
pub(super) struct CallbackNames(Arc<BTreeSet<&'static str>>);

impl CallbackNames {
    /// What is called for by an end, beside what was called where the job ran.
    pub(super) fn called_for<'a>(
        &self,
        job: &'a Job,
        failure: Option<&Failure>,
        has_called: bool,
        conclusion: &Conclusion,
    ) -> CallsFor<'a> {
        DueCall::of(job, failure, has_called, conclusion, |name| self.0.contains(name))
    }
}

impl Posts {
    pub(super) fn new(names: BTreeSet<&'static str>) -> Posts {
        Posts { names: CallbackNames(Arc::new(names)), told: HashSet::new() }
    }

    pub(super) fn names(&self) -> CallbackNames {
        self.names.clone()
    }

    /// Whether nothing was told of this job's callbacks yet, as far as is remembered.
    fn is_first_told(&mut self, id: &str) -> bool {
        if self.told.len() == TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(id.to_owned())
    }
}

/// The letters that the end of an execution calls for. It decodes the job's payload for them, on a thread beside the loop.
pub(super) fn letters(job: &Arc<Job>, settlement: &Settlement) -> Option<BoxFuture<'static, Composed>> {
    let (status, text) = told_by(job, &settlement.conclusion.settled)?;
    let (job, ended_at) = (Arc::clone(job), settlement.ended_at);
    Some(Box::pin(composed(job, status, ended_at, text.map(ToOwned::to_owned))))
}

async fn composed(job: Arc<Job>, status: Status, ended_at: Timestamp, text: Option<String>) -> Composed {
    let compose = move || compose(&job, status, Some(ended_at), text.as_deref());
    let here = compose.clone();
    // tokio panics where it cannot have a thread: then here, for what is not written now is lost.
    match panics::catch(|| tokio::task::spawn_blocking(compose)) {
        Ok(composing) => composing.await.unwrap_or_default(),
        Err(_) => here(),
    }
}

/// Adds letters to what a settlement posts.
pub(super) fn add_letters(settlement: &mut Settlement, composed: &Composed) {
    settlement.posts.extend(composed.letters.iter().map(Letter::post));
}

impl Dispatcher {
    /// Adds to a settlement the callback that is to be called because of it, and was not where the job ran.
    pub(super) fn add_call(
        &mut self,
        job: &Job,
        failure: Option<&Failure>,
        has_called: bool,
        settlement: &mut Settlement,
    ) {
        match self.posts.names.called_for(job, failure, has_called, &settlement.conclusion) {
            CallsFor::Nothing => {}
            CallsFor::Call(call) => settlement.posts.push(call.post()),
            CallsFor::Unknown(callback, call) => {
                if self.posts.is_first_told(&job.id) {
                    let waits = call.is_some();
                    self.observers.tell(WorkerEvent::CallbackUnknown { job, name: &callback.name, waits });
                }
                settlement.posts.extend(call.map(|call| call.post()));
            }
        }
    }

    /// Adds the letters to a settlement, and has it sent.
    pub(super) fn settle_with_letters(
        &mut self,
        job: &Job,
        mut settlement: Settlement,
        composed: Option<Composed>,
    ) {
        if let Some(composed) = composed {
            if let Some(error) = &composed.wrong {
                self.observers.tell(WorkerEvent::WebhooksWrong { job, error });
            }
            add_letters(&mut settlement, &composed);
        }
        self.settling.push(settlement);
    }
}
