//! Claiming: jobs are taken off the queues, marked as begun, and handed to the executor; or given back.

use std::time::{Duration, Instant};

use rq_core::steps::claim::{self as steps, Claim};
use rq_core::steps::{BATCH_MAX, Claimed};
use rq_core::{Ended, Error, Fields};

use super::running::Begun;
use super::schedule::Schedule;
use super::{BATCH_WORTH_MIN, CLAIMS_MAX, Course, Dispatcher, Event};

/// How many ended executions may wait for their settlement, per slot, before no more are claimed.
const UNSETTLED_PER_SLOT_MAX: usize = 4;
/// How often a suspended or refused worker tries to claim.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);

/// Where the claim of that number is noted while it is under way.
fn place_of(number: u64) -> usize {
    (number % CLAIMS_MAX as u64) as usize
}

impl Dispatcher {
    pub(super) fn start_claim(&mut self) {
        if self.claiming() == 0 && std::mem::take(&mut self.refilled) {
            self.queues_empty = false;
        }
        let want = self.wanted();
        let schedule_first = self.schedule.as_ref().is_some_and(Schedule::comes_first);
        if !self.worth_claiming(want) || self.queues_empty || self.claim_after.is_some() || schedule_first {
            return;
        }
        self.claim_number += 1;
        let number = self.claim_number;
        self.claiming[place_of(number)] = want;
        self.pace.claim();
        let per_turn = self.order.per_turn();
        let step = steps::claim(&self.who, self.order.queues(), per_turn, number, want);
        let claim = self.insist(step);
        self.start(async move { Event::Claimed(number, claim.await) });
    }

    /// Jobs are claimed at once; but a further claim waits until it is worth it while one is under way, while those that were
    /// claimed are being fetched, where jobs are short, and while those that run lie about.
    fn worth_claiming(&self, want: usize) -> bool {
        let under_way = self.claiming() > 0;
        let gathers = self.fetching > 0 && self.pace.is_short() || self.claim_gathers_until().is_some();
        let worth = if under_way || gathers { self.batch_worth() } else { 1 };
        self.claiming[place_of(self.claim_number + 1)] == 0 && want >= worth
    }

    /// How many jobs the claims under way ask for.
    pub(super) fn claiming(&self) -> usize {
        self.claiming.iter().sum()
    }

    /// Until when the next claim may wait for more free slots.
    pub(super) fn claim_gathers_until(&self) -> Option<Instant> {
        let is_small = (1..self.batch_worth()).contains(&self.wanted());
        self.pace.claim_gathers_until().filter(|_| is_small && self.claiming() == 0 && !self.queues_empty)
    }

    /// How many jobs make a step worth its round trip where it could wait for more: no more than a quarter of those that
    /// may run, or some would have to wait for it.
    pub(super) fn batch_worth(&self) -> usize {
        BATCH_WORTH_MIN.min(self.executor.slots() / 4).max(1)
    }

    /// How many jobs could be begun now.
    pub(super) fn wanted(&self) -> usize {
        if self.course != Course::Working
            || self.unsettled.len() > self.executor.slots() * UNSETTLED_PER_SLOT_MAX
        {
            return 0;
        }
        let free = self.executor.slots().saturating_sub(self.running.occupied() + self.fetching);
        let left = self.jobs_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        free.min(left).saturating_sub(self.claiming()).min(BATCH_MAX)
    }

    /// How many jobs `--max-jobs` still allows.
    pub(super) fn jobs_left(&self) -> Option<u64> {
        self.options.max_jobs.map(|max| max.saturating_sub(self.jobs_begun + self.fetching as u64))
    }

    pub(super) fn absorb_claim(&mut self, number: u64, claim: Result<Claim, Error>) {
        let asked = std::mem::take(&mut self.claiming[place_of(number)]);
        match claim {
            Ok(Claim::Taken { claimed, dropped, more }) => {
                self.suspended = false;
                self.queues_empty = claimed.len() < asked && !more;
                for (id, reason) in &dropped {
                    self.heed_dropped(id, reason);
                }
                self.order.advance(claimed.last().map(|claimed| claimed.origin.as_str()));
                self.take_on(claimed);
            }
            Ok(Claim::Suspended) => {
                if !std::mem::replace(&mut self.suspended, true) {
                    self.report.suspended();
                }
                self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
            }
            Err(error) => {
                self.report.refused("claiming jobs", &error);
                self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
            }
        }
    }

    /// A list of another type is met at every claim: told once, and no reason to look all the time.
    fn heed_dropped(&mut self, id: &str, reason: &str) {
        if reason != "wronglist" {
            return self.report.dropped(id, reason);
        }
        if self.wrong_lists.insert(id.to_owned()) {
            self.report.dropped(id, reason);
        }
        if self.running.is_empty() {
            self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
        }
    }

    /// Fetches what was claimed, or gives it back if the worker is on its way out.
    fn take_on(&mut self, claimed: Vec<Claimed>) {
        if claimed.is_empty() {
            return;
        }
        if self.course != Course::Working {
            return self.start_putting_back(claimed);
        }
        self.fetching += claimed.len();
        let begin = self.insist(steps::begin(&self.who, &claimed));
        self.start(async move { Event::Begun(claimed, begin.await) });
    }

    pub(super) fn absorb_begun(
        &mut self,
        claimed: Vec<Claimed>,
        fetched: Result<Vec<Option<Fields>>, Error>,
    ) {
        self.fetching -= claimed.len();
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                self.report.refused("fetching claimed jobs", &error);
                return self.start_putting_back(claimed);
            }
        };
        for (claimed, fields) in claimed.into_iter().zip(fetched) {
            match fields {
                Some(fields) => self.begin(claimed, fields),
                None => self.report.called_off(claimed.id.job_id()),
            }
        }
    }

    pub(super) fn begin(&mut self, claimed: Claimed, fields: Fields) {
        self.jobs_begun += 1;
        let id = claimed.id.clone();
        match self.running.begin(claimed, fields, &self.meta_box) {
            Begun::Runs(execution, origin) => {
                self.report.begins(&origin, &execution.job);
                self.executor.start(execution);
            }
            Begun::Malformed(failure) => {
                self.absorb_ended(&id, Ended { outcome: Err(failure), ran: Duration::ZERO });
            }
        }
    }

    fn start_putting_back(&mut self, claimed: Vec<Claimed>) {
        self.put_backs_under_way += 1;
        let put_back = self.insist(steps::put_back(&self.who, &claimed));
        self.start(async move { Event::PutBack(claimed, put_back.await) });
    }

    pub(super) fn absorb_put_back(&mut self, claimed: &[Claimed], put_back: Result<Vec<bool>, Error>) {
        self.put_backs_under_way -= 1;
        for claimed in claimed {
            self.report.called_off(claimed.id.job_id());
        }
        self.tell_refused("giving jobs back", put_back);
    }
}
