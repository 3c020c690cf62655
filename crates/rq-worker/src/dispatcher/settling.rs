//! Settling: what has ended is shown to the exception handlers, and written down once.

use std::sync::Arc;
use std::time::Instant;

use rq_core::steps::BATCH_MAX;
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::settlement::{self as steps, Settlement, Settling};
use rq_core::{Ended, Error, ExceptionHandler, ExecutionId, Failure, Job, Ttl};

use super::outage::insist;
use super::running::Run;
use super::{BATCH_WORTH_MIN, Course, Dispatcher, Event};

/// How many settle steps may be under way: the next batch gathers meanwhile.
const SETTLES_MAX: usize = 2;
/// How many bytes of results one settle step carries, unless one result alone has more: Redis drops a client that
/// sends it a gigabyte at once.
const BATCH_BYTES_MAX: usize = 16 << 20;

impl Dispatcher {
    pub(super) fn absorb_ended(&mut self, id: &ExecutionId, ended: Ended) {
        let Some(run) = self.running.end(id) else { return };
        self.pace.note(run.started_at.elapsed(), ended.ran);
        let ended = self.explained(ended);
        let (settlement, failure) = run.settlement(ended, &self.options, self.meta_box.take(id));
        match failure {
            // How it ended concerns nobody any more; settling it clears what is left of it.
            _ if run.lost => self.unsettled.push(settlement),
            None => self.unsettled.push(settlement),
            Some(failure) => {
                self.report.ended(&run.job, &settlement);
                self.show_failure(run, failure, settlement);
            }
        }
        self.heed_exhaustion();
    }

    /// A job that was stopped by a cold stop was not stopped by a user.
    fn explained(&self, mut ended: Ended) -> Ended {
        let cold = matches!(self.course, Course::Ending(_) | Course::Leaving(_));
        if cold && matches!(ended.outcome, Err(Failure::Stopped)) {
            ended.outcome = Err(Failure::ShutDown);
        }
        ended
    }

    /// Shows a failure to the exception handlers, on a thread beside the loop.
    fn show_failure(&mut self, run: Run, failure: Failure, settlement: Settlement) {
        if self.exception_handlers.is_empty() {
            return self.unsettled.push(settlement);
        }
        let handlers = self.exception_handlers.clone();
        let shown = tokio::task::spawn_blocking(move || show(&handlers, &run.job, &failure));
        self.start(async move {
            // A thread that could not be had is no reason to lose the settlement.
            let _ = shown.await;
            Event::Handled(settlement)
        });
    }

    /// Settles what has ended. While steps are under way the next batch gathers.
    pub(super) fn start_settling(&mut self) {
        while self.worth_settling() {
            let rest = self.unsettled.split_off(batch_len(&self.unsettled));
            let batch = std::mem::replace(&mut self.unsettled, rest);
            self.settles_under_way += 1;
            self.pace.settle();
            let settle = self.insist(steps::settle(&self.who.keys, Some(&self.who.name), &batch));
            self.start(async move { Event::Settled(batch, settle.await) });
        }
    }

    /// What has ended is settled at once, or gathers until a step is worth it while one is under way.
    fn worth_settling(&self) -> bool {
        let worth = match self.settles_under_way {
            0 if self.settlement_gathers_until().is_some() => self.batch_worth(),
            0 => 1,
            _ => BATCH_WORTH_MIN,
        };
        self.settles_under_way < SETTLES_MAX && self.unsettled.len() >= worth
    }

    /// Until when what has ended may wait for more.
    pub(super) fn settlement_gathers_until(&self) -> Option<Instant> {
        let is_small = (1..self.batch_worth()).contains(&self.unsettled.len());
        self.pace.settlement_gathers_until().filter(|_| is_small && self.settles_under_way == 0)
    }

    pub(super) fn absorb_settled(&mut self, batch: Vec<Settlement>, settled: Result<Vec<Settling>, Error>) {
        self.settles_under_way -= 1;
        // It may have put jobs into the queues: dependents, repetitions. Who waits hears the bell; a burst would be over.
        if self.options.burst {
            self.refilled = true;
        }
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => {
                // Not ours to repair: the executions expire, and maintenance files them.
                self.report.refused("settling jobs", &error);
                vec![Settling::Lost; batch.len()]
            }
        };
        for (settlement, settling) in batch.iter().zip(settled) {
            let Some(run) = self.running.forget(&settlement.claimed.id) else { continue };
            match settling {
                Settling::Done => self.report.settled(&run.job, settlement),
                Settling::DependentsLeft => {
                    self.report.settled(&run.job, settlement);
                    self.start_releasing(&run.job.id, settlement);
                }
                Settling::Lost | Settling::Deleted if run.lost => {}
                Settling::Lost | Settling::Deleted => self.report.lost(&run.job.id),
            }
        }
    }

    /// Releases the dependents that a settlement has left. Maintenance finds those that a crash leaves.
    fn start_releasing(&mut self, job_id: &str, settlement: &Settlement) {
        let discarded = settlement.conclusion.ttl == Ttl::Seconds(0) && settlement.conclusion.next.is_none();
        let why = if discarded { Release::Discarded } else { Release::Ended };
        let (link, report) = (self.link.clone(), Arc::clone(&self.report));
        let (keys, id) = (self.who.keys.clone(), job_id.to_owned());
        self.releases_under_way += 1;
        self.start(async move {
            let mut cursor = Cursor::default();
            loop {
                let step = job_steps::release(&keys, &id, &cursor, why);
                match insist(link.clone(), step, Arc::clone(&report)).await {
                    Ok(Some(next)) => cursor = next,
                    Ok(None) => return Event::Released(Ok(())),
                    Err(error) => return Event::Released(Err(error)),
                }
            }
        });
    }
}

/// Calls the exception handlers in order, until one says that it is enough.
pub(super) fn show(handlers: &[Arc<dyn ExceptionHandler>], job: &Job, failure: &Failure) {
    let handle = || handlers.iter().any(|handler| handler.handle(job, failure).is_break());
    if let Err(panic) = rq_core::panics::catch(handle) {
        tracing::error!("exception handler: {panic}");
    }
}

/// How many of the first settlements make a batch: one at least, and few where they are large.
fn batch_len(settlements: &[Settlement]) -> usize {
    let mut bytes = 0;
    let fits = |settlement: &&Settlement| {
        bytes += settlement.len_bytes();
        bytes <= BATCH_BYTES_MAX
    };
    settlements.iter().take(BATCH_MAX).take_while(fits).count().max(1)
}
