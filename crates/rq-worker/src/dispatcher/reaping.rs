//! [`Reaping`]: the worker ends executions of workers that stopped heartbeating.
//!
//! Workers of this project renew a lease on each execution; one whose lease is over by Redis' clock belongs to nobody.
//! Python's workers have no leases: their entry in `rq:wip` says when an execution is over, and a round of maintenance
//! looks there. Every worker looks; the step that ends an execution is fenced, so that no lock is needed and none can
//! stick.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::Link;
use rq_core::steps::BATCH_MAX;
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::settlement::Settlement;
use rq_core::steps::silent::{self, AbandonReply, Abandonment, Evidence, FirstLeases, Remains, Silent};
use rq_core::{CallsFor, Conclusion, Error, ExecutionId, Failure, Job, Keys, OnCrash};
use tokio::time::Interval;

use super::leases::RENEWALS_PER_LEASE;
use super::outage::BACK_WITHIN;
use super::posts::{self, CallbackNames};
use super::running::Held;
use super::{Dispatcher, every};
use crate::event::{ReapedFate, WorkerEvent};
use crate::options::Options;

/// How many periods later than planned a look may be answered. A worker renews every period a lease that lasts for three, the
/// last time up to a period before the look that was answered: after an outage of two, its lease is over.
const PERIODS_LATE_MAX: u32 = 1;
/// By how much a look may be late in any case, however short the lease: a machine under load is late by itself.
const LATE_MIN: Duration = Duration::from_millis(200);
/// How many periods pass until the next look where nobody holds a lease: a lease that is made now lasts for three.
const PERIODS_WITHOUT_LEASES: u32 = 2;
/// For how many leases a burst worker stays to see whether those that are over are renewed.
const TIDY_LEASES_MAX: u32 = 4;
/// The most pages of one queue's `rq:wip` that one round of maintenance goes through.
const WIP_PAGES_MAX: usize = 100;

/// When the worker looks for leases that are over, and whether it may end those executions.
pub(super) struct Reaping {
    /// As often as leases are renewed.
    interval: Interval,
    watched: WatchedLeases,
    guard: AbsenceGuard,
    began: Instant,
    /// Whether a look is under way, or the steps that end what it found.
    is_under_way: bool,
    /// Whether the worker has looked at least once.
    has_looked: bool,
    /// Whether the last look saw leases that are over and may not be ended yet.
    saw_more: bool,
}

impl Reaping {
    pub(super) fn new(options: &Options) -> Reaping {
        let mut interval = every(options.lease / RENEWALS_PER_LEASE);
        // The first look comes at once: a burst worker stays for it, as nobody else may run what the dead have left.
        interval.reset_immediately();
        Reaping {
            interval,
            watched: WatchedLeases::new(options.lease),
            guard: AbsenceGuard::new(options.lease),
            began: Instant::now(),
            is_under_way: false,
            has_looked: false,
            saw_more: false,
        }
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
        let waits = self.saw_more && self.began.elapsed() < self.guard.lease * TIDY_LEASES_MAX;
        self.has_looked && !self.is_under_way && !waits
    }

    /// Which of what was found may be ended.
    fn read(&mut self, found: Result<Option<FirstLeases>, Error>) -> Vec<Silent> {
        self.is_under_way = false;
        self.has_looked = true;
        let (now, period) = (Instant::now(), self.interval.period());
        // Not repeated: the next look comes soon.
        let Ok(found) = found else {
            self.guard.on_failed_look();
            return Vec::new();
        };
        // No lease made from now on can be over before then, and an idle worker is to send next to nothing.
        let next = if found.is_none() { period * PERIODS_WITHOUT_LEASES } else { period };
        let may_end = self.guard.on_look(now, next + (period * PERIODS_LATE_MAX).max(LATE_MIN));
        let Some(leases) = found else {
            self.interval.reset_after(next);
            self.saw_more = false;
            return Vec::new();
        };
        let silent = self.watched.look(now, &leases);
        let silent = if may_end { silent } else { Vec::new() };
        self.saw_more = leases.over().len() > silent.len();
        silent
    }
}

/// The leases this worker has seen, and since when each was as it is.
///
/// A lease is over by Redis' clock, and that may jump: by as much as the machine it runs on was paused, or as somebody sets
/// it. So a lease is taken for over only once this worker itself has waited for as long as it was to last when first seen.
/// A worker that lives renews it in that time, and what is renewed is seen anew. Of one that was over when first seen, half
/// a lease is waited: more than a worker that lives needs.
struct WatchedLeases {
    lease: Duration,
    seen: HashMap<ExecutionId, Seen>,
}

/// A lease as it was first seen.
#[derive(Clone, Copy)]
struct Seen {
    until_ms: f64,
    /// When it may be taken for over.
    over_at: Instant,
}

impl WatchedLeases {
    fn new(lease: Duration) -> WatchedLeases {
        WatchedLeases { lease, seen: HashMap::new() }
    }

    /// Notes what a look has found at `now`. The executions whose lease is over.
    fn look(&mut self, now: Instant, leases: &FirstLeases) -> Vec<Silent> {
        let seen = leases.until_ms.iter().map(|(id, until_ms)| {
            let before = self.seen.get(id).filter(|seen| seen.until_ms == *until_ms);
            (id.clone(), before.copied().unwrap_or_else(|| self.first_seen(now, *until_ms, leases.clock_ms)))
        });
        // What is not among the first ones any more was renewed or ended, and is seen anew should it come again.
        self.seen = seen.collect();
        let mut over = leases.over();
        over.retain(|silent| self.seen.get(&silent.id).is_some_and(|seen| seen.over_at <= now));
        over
    }

    fn first_seen(&self, now: Instant, until_ms: f64, clock_ms: f64) -> Seen {
        let left = Duration::try_from_secs_f64((until_ms - clock_ms) / 1e3).unwrap_or_default();
        // A time beyond the end of this clock is none that a lease has.
        let over_at = now.checked_add(left.max(self.lease / 2)).unwrap_or(now + self.lease);
        Seen { until_ms, over_at }
    }
}

/// Decides whether executions whose leases are over may be ended.
///
/// While Redis was away or took no writes, or this worker was stopped, all leases may have run out: then nothing is ended
/// for one lease and the time in which the workers that live find Redis again, and renew theirs.
struct AbsenceGuard {
    lease: Duration,
    /// Until when the next answer is in time.
    answer_until: Option<Instant>,
    /// Whether a look has failed since.
    failed: bool,
    hold_until: Option<Instant>,
}

impl AbsenceGuard {
    fn new(lease: Duration) -> AbsenceGuard {
        AbsenceGuard { lease, answer_until: None, failed: false, hold_until: None }
    }

    /// Notes a look without an answer, or one that Redis has refused.
    fn on_failed_look(&mut self) {
        self.failed = true;
    }

    /// Notes a look that was answered at `now`, and the next one of which is to be answered within `next`. Whether what it
    /// found may be ended.
    fn on_look(&mut self, now: Instant, next: Duration) -> bool {
        // Between answers, not between questions: an outage delays the one, and a stopped worker the other.
        let is_late = self.answer_until.replace(now + next).is_some_and(|until| until < now);
        if std::mem::take(&mut self.failed) || is_late {
            self.hold_until = Some(now + time_to_renew(self.lease));
        }
        self.hold_until.is_none_or(|until| until <= now)
    }
}

/// In which time after an outage the workers that live have found Redis and renewed their leases. One that asks for a lease
/// shorter than it takes to find Redis again does not want to wait for that.
fn time_to_renew(lease: Duration) -> Duration {
    lease + BACK_WITHIN.min(lease)
}

/// Ends executions whose worker stopped heartbeating.
#[derive(Clone)]
pub(super) struct Reaper {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) lease: Duration,
    /// For jobs that have no such field.
    pub(super) on_crash: OnCrash,
    /// What this worker runs itself.
    pub(super) held: Held,
    pub(super) callbacks: CallbackNames,
}

/// An execution that was ended because its worker stopped heartbeating.
pub(super) struct Reaped {
    pub(super) job: Arc<Job>,
    pub(super) worker: String,
    pub(super) settlement: Settlement,
    pub(super) abandoned: AbandonReply,
}

impl Reaper {
    /// Ends those of `found` whose lease, or entry in `rq:wip`, is still over when the script looks.
    pub(super) async fn reap(&self, sign: Evidence, found: &[Silent]) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        // However late this worker's renewals are, what it runs is its own.
        let mut found = found.to_vec();
        found.retain(|silent| !self.held.has(&silent.id));
        if found.is_empty() {
            return Ok(reaped);
        }
        // Not repeated through an outage: the next look finds the same executions again.
        let Remains { uptime, jobs } = self.link.run(&silent::remains(&self.keys, &found)).await?;
        // While Redis was down nobody could renew a lease: the workers that live get time to find it and do so.
        if uptime < time_to_renew(self.lease) {
            return Ok(reaped);
        }
        // What is decided from these records still holds in the script: only fenced steps change retries and crashes.
        let mut ends = Vec::with_capacity(found.len());
        for (silent, fields) in found.iter().zip(jobs) {
            ends.push(self.with_posts(silent.end(fields, self.on_crash)).await);
        }
        for batch in ends.chunks(BATCH_MAX) {
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

    /// Adds what this end calls for outside of Redis.
    async fn with_posts(&self, mut end: Abandonment) -> Abandonment {
        let failure = Failure::Abandoned { worker: end.worker.clone() };
        let conclusion = &end.settlement.conclusion;
        // Whether a callback had begun where the job ran has died with its worker.
        match self.callbacks.called_for(&end.job, Some(&failure), false, conclusion) {
            CallsFor::Call(call) | CallsFor::Unknown(_, Some(call)) => end.settlement.posts.push(call.post()),
            CallsFor::Nothing | CallsFor::Unknown(_, None) => {}
        }
        if let Some(letters) = posts::letters(&end.job, &end.settlement) {
            posts::add_letters(&mut end.settlement, &letters.await);
        }
        end
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
        settlement: end.settlement.clone(),
        abandoned,
    })
}

impl Dispatcher {
    pub(super) fn start_looking(&mut self) {
        self.reaping.is_under_way = true;
        let (link, who) = (self.link.clone(), self.who.clone());
        let look = async move {
            // An idle worker asks this all the time: where nobody holds a lease, one `EXISTS` is all it costs.
            match link.run(&silent::any_leases(&who.keys)).await? {
                true => link.run(&silent::first_leases(&who)).await.map(Some),
                false => Ok(None),
            }
        };
        self.beside(look, Dispatcher::on_looked);
    }

    fn on_looked(&mut self, found: Result<Option<FirstLeases>, Error>) {
        let mut found = self.reaping.read(found);
        // What keeps this worker's renewals from Redis may keep those of others from it.
        if self.leases.is_behind() {
            found.clear();
        }
        if found.is_empty() {
            return;
        }
        self.reaping.is_under_way = true;
        // The steps that end what was found count on, as a burst worker stays until they are done.
        let reaper = self.reaper();
        let reap = async move { reaper.reap(Evidence::Lease, &found).await };
        self.beside(reap, |worker, reaped| {
            worker.reaping.is_under_way = false;
            if let Some(reaped) = worker.reported("ending abandoned executions", reaped) {
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
            held: self.running.held(),
            callbacks: self.posts.names(),
        }
    }

    pub(super) fn on_reaped(&mut self, reaped: Vec<Reaped>) {
        for Reaped { job, worker, settlement, abandoned } in reaped {
            let fate = fate(&settlement.conclusion, abandoned);
            self.observers.tell(WorkerEvent::JobReaped { job: &job, fate });
            // A job that had not begun has not failed: handlers see nothing of it.
            if fate != ReapedFate::Waits {
                self.note_posts(&settlement);
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

    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_secs(10);
    const PERIOD: Duration = Duration::from_secs(3);

    #[test]
    fn nothing_is_ended_after_an_absence_until_the_living_can_have_renewed() {
        let begin = Instant::now();
        let mut guard = AbsenceGuard::new(LEASE);
        // In time, then 7 s after the one before: one that was renewed 3 s before that one is over by now.
        let looks = [(0, true), (3, true), (9, true), (16, false), (22, false), (28, false), (31, true)];
        for (after_s, may_end) in looks {
            assert_eq!(guard.on_look(begin + after_s * SECOND, 2 * PERIOD), may_end, "{after_s} s");
        }
        guard.on_failed_look();
        for (after_s, may_end) in [(34, false), (40, false), (46, false), (49, true)] {
            assert_eq!(guard.on_look(begin + after_s * SECOND, 2 * PERIOD), may_end, "{after_s} s");
        }
    }

    /// What is over of one lease, for looks as (our clock, Redis' clock, until when the lease lasts), in seconds.
    fn over(looks: &[(u32, f64, f64)]) -> Vec<bool> {
        let begin = Instant::now();
        let mut watched = WatchedLeases::new(LEASE);
        let look = |&(at_s, clock_s, until_s): &(u32, f64, f64)| {
            let until_ms = vec![(ExecutionId::from_parts("j", "x"), until_s * 1e3)];
            let leases = FirstLeases { clock_ms: clock_s * 1e3, until_ms };
            !watched.look(begin + at_s * SECOND, &leases).is_empty()
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_lease_that_nobody_renews_is_over_when_its_time_is() {
        assert_eq!(over(&[(0, 100.0, 109.0), (3, 103.0, 109.0), (9, 109.0, 109.0)]), [false, false, true]);
    }

    #[test]
    fn a_lease_that_was_over_when_first_seen_is_given_half_a_lease_to_be_renewed() {
        assert_eq!(over(&[(0, 100.0, 50.0), (4, 104.0, 50.0), (5, 105.0, 50.0)]), [false, false, true]);
        assert_eq!(over(&[(0, 100.0, 50.0), (3, 103.0, 113.0), (6, 106.0, 113.0)]), [false; 3]);
    }

    #[test]
    fn a_jump_of_redis_clock_ends_no_lease() {
        // By 15 s, again and again; the lease is renewed every 3 s.
        let jumps =
            [(0, 100.0, 110.0), (2, 117.0, 110.0), (4, 119.0, 128.0), (6, 136.0, 128.0), (8, 138.0, 147.0)];
        assert_eq!(over(&jumps), [false; 5]);
        // Of one whose worker has died meanwhile, what was left is waited out.
        assert_eq!(over(&[(0, 100.0, 110.0), (2, 117.0, 110.0), (10, 125.0, 110.0)]), [false, false, true]);
        // Back.
        assert_eq!(over(&[(0, 100.0, 110.0), (10, 95.0, 110.0), (26, 111.0, 110.0)]), [false, false, true]);
    }
}
