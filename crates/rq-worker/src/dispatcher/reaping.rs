//! [`Reaping`]: the worker ends executions of workers that stopped heartbeating.
//!
//! Workers of this project renew a lease on each execution; one whose lease is over by Redis' clock belongs to nobody.
//! Python's workers have no leases: their entry in `rq:wip` says when an execution is over, and a round of maintenance
//! looks there. Every worker looks; the step that ends an execution is fenced, so that no lock is needed and none can
//! stick.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::Link;
use rq_core::steps::BATCH_MAX;
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::silent::{self, AbandonReply, Abandonment, Evidence, Remains, Silent};
use rq_core::{Conclusion, Error, Failure, Job, Keys, OnCrash};
use tokio::time::Interval;

use super::leases::RENEWALS_PER_LEASE;
use super::{Dispatcher, every};
use crate::event::{ReapedFate, WorkerEvent};
use crate::options::Options;

/// How many looks may be missed; after more, this worker or Redis was away, not the workers whose leases are over.
const LOOKS_MISSED_MAX: u32 = 2;
/// How many periods pass until the next look where nobody holds a lease: a lease that is made now lasts for three.
const PERIODS_WITHOUT_LEASES: u32 = 2;
/// The most pages of one queue's `rq:wip` that one round of maintenance goes through.
const WIP_PAGES_MAX: usize = 100;

/// When the worker looks for leases that are over, and whether it may end those executions.
pub(super) struct Reaping {
    /// As often as leases are renewed.
    interval: Interval,
    guard: AbsenceGuard,
    /// Whether a look is under way, or the steps that end what it found.
    is_under_way: bool,
    /// Whether the worker has looked at least once.
    has_looked: bool,
}

impl Reaping {
    pub(super) fn new(options: &Options) -> Reaping {
        let mut interval = every(options.lease / RENEWALS_PER_LEASE);
        // The first look comes at once: a burst worker stays for it, as nobody else may run what the dead have left.
        interval.reset_immediately();
        let guard = AbsenceGuard::new(options.lease);
        Reaping { interval, guard, is_under_way: false, has_looked: false }
    }

    /// Waits until it is time to look, and no other look under way. Cancel-safe.
    pub(super) async fn due(&mut self) {
        match self.is_under_way {
            true => std::future::pending().await,
            false => drop(self.interval.tick().await),
        }
    }

    /// Whether the executions that were over before this worker began have been ended.
    pub(super) fn is_done(&self) -> bool {
        self.has_looked && !self.is_under_way
    }

    /// Which of what was found may be ended.
    fn read(&mut self, found: Result<Option<Vec<Silent>>, Error>) -> Vec<Silent> {
        self.is_under_way = false;
        self.has_looked = true;
        // Not retried: the next look comes soon.
        let Ok(found) = found else { return Vec::new() };
        let period = self.interval.period();
        if found.is_none() {
            // No lease made from now on can be over before then, and an idle worker is to send next to nothing.
            self.interval.reset_after(period * PERIODS_WITHOUT_LEASES);
        }
        let may_end = self.guard.on_look(Instant::now(), period);
        found.filter(|_| may_end).unwrap_or_default()
    }
}

/// Decides whether executions whose leases are over may be ended.
///
/// While Redis was away, or this worker was stopped, all leases may have run out: then nothing is ended for one lease,
/// in which the workers that live renew theirs.
struct AbsenceGuard {
    lease: Duration,
    looked_at: Option<Instant>,
    hold_until: Option<Instant>,
}

impl AbsenceGuard {
    fn new(lease: Duration) -> AbsenceGuard {
        AbsenceGuard { lease, looked_at: None, hold_until: None }
    }

    /// Notes a look that was answered at `now`, looks being made every `period`. Whether what it found may be ended.
    fn on_look(&mut self, now: Instant, period: Duration) -> bool {
        // Between answers, not between questions: an outage delays the one, and a stopped worker the other.
        let before = self.looked_at.replace(now);
        if before.is_some_and(|before| now - before > period * (LOOKS_MISSED_MAX + 1)) {
            self.hold_until = Some(now + self.lease);
        }
        self.hold_until.is_none_or(|until| until <= now)
    }
}

/// Ends executions whose worker stopped heartbeating.
#[derive(Clone)]
pub(super) struct Reaper {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) lease: Duration,
    /// For jobs that have no such field.
    pub(super) on_crash: OnCrash,
}

/// An execution that was ended because its worker stopped heartbeating.
pub(super) struct Reaped {
    pub(super) job: Arc<Job>,
    pub(super) worker: String,
    pub(super) conclusion: Conclusion,
    pub(super) abandoned: AbandonReply,
}

impl Reaper {
    /// Ends those of `found` whose lease, or entry in `rq:wip`, is still over when the script looks.
    pub(super) async fn reap(&self, sign: Evidence, found: &[Silent]) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        // Not repeated through an outage: the next look finds the same executions again.
        let Remains { uptime, jobs } = self.link.run(&silent::remains(&self.keys, found)).await?;
        // While Redis was down nobody could renew a lease: the workers that live get one lease to do so.
        if uptime < self.lease {
            return Ok(reaped);
        }
        // What is decided from these records still holds in the script: only fenced steps change retries and crashes.
        let ends = found.iter().zip(jobs).map(|(silent, fields)| silent.end(fields, self.on_crash));
        for batch in ends.collect::<Vec<Abandonment>>().chunks(BATCH_MAX) {
            let answers = self.link.run(&silent::abandon(&self.keys, sign, batch)).await?;
            for (end, abandoned) in batch.iter().zip(answers) {
                if abandoned == AbandonReply::DependentsLeft {
                    // The step has queued a page of dependents. Should this worker die here, maintenance finds the
                    // rest.
                    self.release_rest(&end.job.id).await?;
                }
                reaped.extend(self::reaped(end, abandoned));
            }
        }
        Ok(reaped)
    }

    /// Ends the executions in `rq:wip` of a queue that Python's workers have left.
    pub(super) async fn reap_wip(&self, queue: &str) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        for _ in 0..WIP_PAGES_MAX {
            // This machine's clock only finds them; the script compares with the clock of Redis, and that decides.
            let found = self.link.run(&silent::wip_over(&self.keys, queue)).await?;
            if found.is_empty() {
                break;
            }
            let ended = self.reap(Evidence::Wip, &found).await?;
            // Where nothing could be ended, the next page would be the same one.
            let is_last = found.len() < silent::FOUND_MAX || ended.is_empty();
            reaped.extend(ended);
            if is_last {
                break;
            }
        }
        Ok(reaped)
    }

    async fn release_rest(&self, id: &str) -> Result<(), Error> {
        let mut cursor = Cursor::default();
        while let Some(next) =
            self.link.run(&job_steps::release(&self.keys, id, &cursor, Release::Ended)).await?
        {
            cursor = next;
        }
        Ok(())
    }
}

fn reaped(end: &Abandonment, abandoned: AbandonReply) -> Option<Reaped> {
    // Renewed after all, ended by somebody else, or without a job: this worker has ended nothing to tell of.
    if matches!(abandoned, AbandonReply::No | AbandonReply::Cleared) {
        return None;
    }
    Some(Reaped {
        job: Arc::clone(&end.job),
        worker: end.worker.clone(),
        conclusion: end.settlement.conclusion.clone(),
        abandoned,
    })
}

impl Dispatcher {
    pub(super) fn start_looking(&mut self) {
        self.reaping.is_under_way = true;
        let (link, keys) = (self.link.clone(), self.who.keys.clone());
        let look = async move {
            // An idle worker asks this all the time: where nobody holds a lease, one `EXISTS` is all it costs.
            match link.run(&silent::any_leases(&keys)).await? {
                true => link.run(&silent::leases_over(&keys)).await.map(Some),
                false => Ok(None),
            }
        };
        self.beside(look, Dispatcher::on_looked);
    }

    fn on_looked(&mut self, found: Result<Option<Vec<Silent>>, Error>) {
        let found = self.reaping.read(found);
        if found.is_empty() {
            return;
        }
        self.reaping.is_under_way = true;
        // The steps that end what was found count on, as a burst worker stays until they are done.
        let reaper = self.reaper();
        let reap = async move { reaper.reap(Evidence::Lease, &found).await };
        self.beside(reap, |worker, reaped| {
            worker.reaping.is_under_way = false;
            if let Some(reaped) = worker.accepted("ending abandoned executions", reaped) {
                worker.on_reaped(reaped);
            }
        });
    }

    pub(super) fn reaper(&self) -> Reaper {
        Reaper {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            lease: self.options.lease,
            on_crash: self.options.on_crash,
        }
    }

    pub(super) fn on_reaped(&mut self, reaped: Vec<Reaped>) {
        for Reaped { job, worker, conclusion, abandoned } in reaped {
            let fate = fate(&conclusion, abandoned);
            self.observers.tell(WorkerEvent::JobReaped { job: &job, fate });
            // A job that had not begun has not failed: handlers see nothing of it.
            if fate != ReapedFate::Waits {
                self.show_abandoned(job, Failure::Abandoned { worker });
            }
            // It may run again from one of our own queues, and a burst worker would leave it there.
            self.claiming.on_refill();
        }
    }
}

fn fate(conclusion: &Conclusion, abandoned: AbandonReply) -> ReapedFate {
    match (abandoned, conclusion.next) {
        (AbandonReply::PutBack, _) => ReapedFate::Waits,
        (_, Some(_)) => ReapedFate::RunsAgain,
        (_, None) => ReapedFate::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ended_for_a_lease_after_an_absence() {
        const PERIOD: Duration = Duration::from_secs(3);
        let begin = Instant::now();
        let mut guard = AbsenceGuard::new(Duration::from_secs(10));
        let looks = [(0, true), (3, true), (7, true), (30, false), (33, false), (39, false), (42, true)];
        for (after_s, may_end) in looks {
            assert_eq!(guard.on_look(begin + Duration::from_secs(after_s), PERIOD), may_end, "{after_s} s");
        }
    }
}
