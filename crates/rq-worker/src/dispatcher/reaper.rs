//! [`Reaper`]: ends what silent workers have left running.
//!
//! Ours renew a lease on each execution; one that is over by Redis' clock belongs to nobody. Python's have none: their
//! entry in `rq:wip` tells, which is looked at with the rest of the maintenance. Every worker looks; the step that ends an
//! execution is fenced, so that no lock is needed and none can stick.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::Link;
use rq_core::steps::BATCH_MAX;
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::silent::{self, Abandoned, End, Remains, Sign, Silent};
use rq_core::{Conclusion, Error, Failure, Job, Keys, OnCrash};

use super::settling::show;
use super::{Dispatcher, Event};

/// How many looks may be missed before it is this worker, or Redis, that was away, and not the others.
const LOOKS_MISSED_MAX: u32 = 2;
/// How many periods pass until the next look where nobody holds a lease: one that is made at once lasts for three.
const PERIODS_WITHOUT_LEASES: u32 = 2;
/// The most pages of one queue's `rq:wip` that one round of maintenance goes through.
const WIP_PAGES_MAX: usize = 100;

/// Decides when what looks silent may be ended.
///
/// While Redis was away, or this worker was stopped, nobody's leases could be seen renewed: then nothing is ended for one
/// lease, in which those that live renew theirs.
pub(crate) struct Reaper {
    lease: Duration,
    looked_at: Option<Instant>,
    hold_until: Option<Instant>,
}

impl Reaper {
    pub(crate) fn new(lease: Duration) -> Reaper {
        Reaper { lease, looked_at: None, hold_until: None }
    }

    /// Takes note of a look that was answered at `now`, looks being made every `period`. Whether what it found may be
    /// ended.
    pub(crate) fn heed_look(&mut self, now: Instant, period: Duration) -> bool {
        let before = self.looked_at.replace(now);
        if before.is_some_and(|before| now - before > period * (LOOKS_MISSED_MAX + 1)) {
            self.hold_until = Some(now + self.lease);
        }
        self.hold_until.is_none_or(|until| until <= now)
    }
}

/// What the ending of silent executions needs to know.
#[derive(Clone)]
pub(crate) struct Scythe {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) lease: Duration,
    /// For jobs that do not say.
    pub(crate) on_crash: OnCrash,
}

/// An execution that was ended because its worker is silent.
pub(crate) struct Reaped {
    pub(crate) job: Arc<Job>,
    pub(crate) worker: String,
    pub(crate) conclusion: Conclusion,
    pub(crate) abandoned: Abandoned,
}

impl Scythe {
    /// Ends those of `found` that are silent indeed.
    pub(crate) async fn reap(&self, sign: Sign, found: &[Silent]) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        let Remains { uptime, jobs } = self.link.take(&silent::remains(&self.keys, found)).await?;
        if uptime < self.lease {
            return Ok(reaped);
        }
        let ends = found.iter().zip(jobs).map(|(silent, fields)| silent.end(fields, self.on_crash));
        for batch in ends.collect::<Vec<End>>().chunks(BATCH_MAX) {
            let answers = self.link.take(&silent::abandon(&self.keys, sign, batch)).await?;
            for (end, abandoned) in batch.iter().zip(answers) {
                if abandoned == Abandoned::DependentsLeft {
                    self.release_rest(&end.job.id).await?;
                }
                reaped.extend(self::reaped(end, abandoned));
            }
        }
        Ok(reaped)
    }

    /// Ends what Python's workers have left in `rq:wip` of a queue.
    pub(crate) async fn reap_wip(&self, queue: &str) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        for _ in 0..WIP_PAGES_MAX {
            let found = self.link.take(&silent::wip_over(&self.keys, queue)).await?;
            if found.is_empty() {
                break;
            }
            let ended = self.reap(Sign::Wip, &found).await?;
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
            self.link.take(&job_steps::release(&self.keys, id, &cursor, Release::Ended)).await?
        {
            cursor = next;
        }
        Ok(())
    }
}

fn reaped(end: &End, abandoned: Abandoned) -> Option<Reaped> {
    if matches!(abandoned, Abandoned::No | Abandoned::Cleared) {
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
        self.reaping = true;
        let (link, keys) = (self.link.clone(), self.who.keys.clone());
        self.start(async move {
            let found = match link.take(&silent::any_leases(&keys)).await {
                Ok(true) => link.take(&silent::leases_over(&keys)).await.map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            Event::SilentFound(found)
        });
    }

    pub(super) fn absorb_silent(&mut self, found: Result<Option<Vec<Silent>>, Error>) {
        self.reaping = false;
        self.looked = true;
        // Not insisted upon: the next look comes soon.
        let Ok(found) = found else { return };
        if found.is_none() {
            self.look.reset_after(self.look.period() * PERIODS_WITHOUT_LEASES);
        }
        let found = found.unwrap_or_default();
        let may_reap = self.reaper.heed_look(Instant::now(), self.look.period());
        if !may_reap || found.is_empty() {
            return;
        }
        self.reaping = true;
        let scythe = self.scythe();
        self.start(async move { Event::Reaped(scythe.reap(Sign::Lease, &found).await) });
    }

    pub(super) fn scythe(&self) -> Scythe {
        Scythe {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            lease: self.options.lease,
            on_crash: self.options.on_crash,
        }
    }

    pub(super) fn absorb_reaped(&mut self, reaped: Result<Vec<Reaped>, Error>) {
        self.reaping = false;
        if let Some(reaped) = self.tell_refused("ending what silent workers left", reaped) {
            self.heed_reaped(reaped);
        }
    }

    pub(super) fn heed_reaped(&mut self, reaped: Vec<Reaped>) {
        for Reaped { job, worker, conclusion, abandoned } in reaped {
            self.report.reaped(&job, &conclusion, abandoned);
            if abandoned != Abandoned::PutBack {
                self.show_abandoned(job, Failure::Abandoned { worker });
            }
            self.refilled = true;
        }
    }

    /// Shows the failure of a job whose worker is silent to the exception handlers, after it was settled.
    fn show_abandoned(&self, job: Arc<Job>, failure: Failure) {
        if !self.exception_handlers.is_empty() {
            let handlers = self.exception_handlers.clone();
            tokio::task::spawn_blocking(move || show(&handlers, &job, &failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ended_for_a_lease_after_an_absence() {
        const PERIOD: Duration = Duration::from_secs(3);
        let begin = Instant::now();
        let mut reaper = Reaper::new(Duration::from_secs(10));
        let looks = [(0, true), (3, true), (7, true), (30, false), (33, false), (39, false), (42, true)];
        for (after_s, may_end) in looks {
            assert_eq!(
                reaper.heed_look(begin + Duration::from_secs(after_s), PERIOD),
                may_end,
                "{after_s} s"
            );
        }
    }
}
