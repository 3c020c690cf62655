//! [`Tracked`]: an entry, what Redis keeps of it, and how far it has come.

use std::time::Duration;

use rq_core::steps::cron::{Act, Definition, Progress, Standing, Tick, Ticked};
use rq_core::{Codec, Error, Timestamp};

use crate::entry::CheckedEntry;
use crate::event::CronEvent;
use crate::overlap::Overlap;
use crate::plan::{Decided, Plan, plan};

/// An entry, what Redis keeps of it, and how far it has come.
pub(crate) struct Tracked {
    pub(crate) entry: CheckedEntry,
    pub(crate) definition: Definition,
    /// None until it was announced, and while it cannot be fired here.
    progress: Option<Progress>,
    /// Until then it is left alone, as its last tick could not be decided.
    rests_until: Option<Timestamp>,
    /// The schedule of another scheduler that was told of.
    told_of: Option<String>,
}

/// One look at an entry: what to send, and when to look again.
pub(crate) struct Look {
    pub(crate) ticks: Vec<Tick>,
    pub(crate) next: Option<Timestamp>,
}

/// What is to be done after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct After {
    /// A job was enqueued.
    pub(crate) has_fired: bool,
    /// Redis lacks the entry.
    pub(crate) announce: bool,
}

impl After {
    /// Both.
    pub(crate) fn and(self, other: After) -> After {
        After { has_fired: self.has_fired || other.has_fired, announce: self.announce || other.announce }
    }
}

impl Tracked {
    pub(crate) fn new(entry: CheckedEntry, codec: Codec) -> Result<Tracked, Error> {
        let definition = Definition {
            name: entry.name().to_owned(),
            schedule: entry.schedule().to_string(),
            queue: entry.queue_name().to_owned(),
            at_front: entry.is_at_front(),
            function: entry.function().to_owned(),
            job: entry.job(codec)?,
        };
        Ok(Tracked { entry, definition, progress: None, rests_until: None, told_of: None })
    }

    pub(crate) fn name(&self) -> &str {
        &self.definition.name
    }

    /// The latest tick that is decided.
    pub(crate) fn decided(&self) -> Option<Timestamp> {
        self.progress.as_ref()?.decided
    }

    /// The next tick after `now`, or one that is due.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let plan = self.plan(now)?;
        plan.fire.first().copied().or(plan.next)
    }

    fn plan(&self, now: Timestamp) -> Option<Plan> {
        let progress = self.progress.as_ref()?;
        let decided = match progress.decided {
            Some(decided) => Decided::Until(decided),
            None => Decided::Nothing { first_seen: progress.since },
        };
        Some(plan(self.entry.schedule(), self.entry.catch_up(), decided, now))
    }

    /// Takes the answer to its announcement.
    pub(crate) fn announced(&mut self, progress: Progress, mut tell: impl FnMut(CronEvent<'_>)) {
        let entry = &self.definition.name;
        match &progress.standing {
            Standing::New | Standing::Same => {}
            Standing::Changed => {
                tell(CronEvent::ScheduleChanged { entry, schedule: &self.definition.schedule });
            }
            Standing::Other(theirs) => return self.defined_otherwise(theirs.clone(), tell),
            Standing::WrongType => {
                if self.progress.take().is_some() || self.told_of.replace(String::new()).is_none() {
                    tell(CronEvent::BadKey { entry: &self.definition.name });
                }
                return;
            }
        }
        self.told_of = None;
        self.progress = Some(progress);
    }

    /// Another scheduler has it with another schedule: told once.
    fn defined_otherwise(&mut self, theirs: String, mut tell: impl FnMut(CronEvent<'_>)) {
        self.progress = None;
        if self.told_of.as_ref() != Some(&theirs) {
            let (entry, ours) = (&self.definition.name, &self.definition.schedule);
            tell(CronEvent::DefinedOtherwise { entry, ours, theirs: &theirs });
            self.told_of = Some(theirs);
        }
    }

    /// What is to be sent at `now`.
    pub(crate) fn look(&self, now: Timestamp, codec: Codec) -> Result<Look, Error> {
        let resting = self.rests_until.filter(|until| *until > now);
        let Some(plan) = self.plan(now) else { return Ok(Look { ticks: Vec::new(), next: None }) };
        if resting.is_some() {
            return Ok(Look { ticks: Vec::new(), next: resting });
        }
        let next = if plan.has_more { Some(now) } else { plan.next };
        Ok(Look { ticks: self.ticks(&plan, now, codec)?, next })
    }

    fn ticks(&self, plan: &Plan, now: Timestamp, codec: Codec) -> Result<Vec<Tick>, Error> {
        let mut before = self.decided();
        let mut dropped = plan.dropped.map_or(0, |dropped| dropped.count);
        let mut ticks = Vec::new();
        for due in &plan.fire {
            let act = self.act(now, codec)?;
            ticks.push(self.tick(*due, before, dropped, act));
            // The ones behind it go with the same step, and are decided after it.
            (before, dropped) = (Some(*due), 0);
        }
        // None is fired, or none of those that are decided last.
        if let Some(decided) = plan.decided.filter(|decided| plan.fire.last() != Some(decided)) {
            ticks.push(self.tick(decided, before, dropped.saturating_sub(1), Act::Drop));
        }
        Ok(ticks)
    }

    fn act(&self, now: Timestamp, codec: Codec) -> Result<Act, Error> {
        let mut job = self.entry.job(codec)?;
        // By the clock that decides what is due.
        (job.created_at, job.enqueued_at) = (now, Some(now));
        Ok(match self.entry.overlap() {
            Overlap::Allow => Act::Fire(job),
            Overlap::Skip => Act::FireUnlessBusy(job),
        })
    }

    fn tick(&self, due: Timestamp, decided: Option<Timestamp>, dropped: u64, act: Act) -> Tick {
        let Definition { name, schedule, queue, at_front, .. } = &self.definition;
        Tick {
            name: name.clone(),
            schedule: schedule.clone(),
            queue: queue.clone(),
            at_front: *at_front,
            due,
            decided,
            dropped,
            act,
        }
    }

    /// Takes the answer to a tick.
    pub(crate) fn ticked(
        &mut self,
        tick: &Tick,
        answer: Result<Ticked, Error>,
        now: Timestamp,
        rest: Duration,
        mut tell: impl FnMut(CronEvent<'_>),
    ) -> After {
        let (entry, due) = (tick.name.as_str(), tick.due);
        let mut after = After::default();
        match answer {
            Ok(Ticked::Fired) => {
                self.missed(tick, &mut tell);
                self.fired(tick, now, &mut tell);
                after.has_fired = true;
            }
            Ok(Ticked::Dropped) => {
                self.decide(due);
                tell(CronEvent::Missed { entry, ticks: tick.dropped + 1, until: due });
            }
            Ok(Ticked::Paused) => {
                self.decide(due);
                tell(CronEvent::Paused { entry, due });
            }
            Ok(Ticked::Overlaps(job_id)) => {
                self.missed(tick, &mut tell);
                self.decide(due);
                tell(CronEvent::Overlaps { entry, due, job_id: &job_id });
            }
            Ok(Ticked::Taken(decided)) => {
                self.decide(decided);
                tell(CronEvent::Taken { entry, decided });
            }
            Ok(Ticked::Moved(decided)) => self.moved(decided),
            Ok(Ticked::Other(theirs)) => self.defined_otherwise(theirs, tell),
            Ok(Ticked::Gone) => {
                self.progress = None;
                after.announce = true;
            }
            Err(error) => {
                self.rests_until = Some(now.after(rest));
                tell(CronEvent::NotDecided { entry, due, error: &error.to_string() });
            }
        }
        after
    }

    fn fired(&mut self, tick: &Tick, now: Timestamp, tell: &mut impl FnMut(CronEvent<'_>)) {
        self.decide(tick.due);
        let (Act::Fire(job) | Act::FireUnlessBusy(job)) = &tick.act else { return };
        tell(CronEvent::Fired {
            entry: &tick.name,
            function: &self.definition.function,
            job_id: &job.id,
            queue: &tick.queue,
            due: tick.due,
            late: now.since(tick.due),
        });
    }

    fn missed(&self, tick: &Tick, tell: &mut impl FnMut(CronEvent<'_>)) {
        if tick.dropped > 0 {
            tell(CronEvent::Missed { entry: &tick.name, ticks: tick.dropped, until: tick.due });
        }
    }

    fn decide(&mut self, decided: Timestamp) {
        self.moved(Some(decided));
    }

    fn moved(&mut self, decided: Option<Timestamp>) {
        if let Some(progress) = &mut self.progress {
            progress.decided = decided;
        }
    }
}
