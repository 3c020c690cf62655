//! [`Tracked`]: an entry, what Redis keeps of it, and how far it has come.

use std::time::Duration;

use rq_core::steps::cron::{Act, Definition, Progress, Standing, Tick, Ticked};
use rq_core::{Codec, Error, Timestamp};

use crate::entry::CheckedEntry;
use crate::event::CronEvent;
use crate::overlap::Overlap;
use crate::plan::{Decided, Dropped, Plan, plan};

/// An entry, what Redis keeps of it, and how far it has come.
pub(crate) struct Tracked {
    pub(crate) entry: CheckedEntry,
    pub(crate) definition: Definition,
    /// None until it was announced, and while it cannot be fired here.
    progress: Option<Progress>,
    /// Until then it is left alone, as its last tick could not be decided.
    rests_until: Option<Timestamp>,
    /// Why that was, as it was told: once for each reason.
    not_decided: Option<String>,
    /// The schedule of another scheduler that was told of.
    told_of: Option<String>,
    /// What the ticks that were planned last leave out.
    missed: Option<Dropped>,
    /// Why ticks are dropped one after the other, and how many were.
    held: Option<(Held, u64)>,
}

/// Why each tick is dropped for a while. That it begins and that it is over is told, not each tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Paused,
    Overlaps,
}

/// One look at an entry: what to send, and when to look again.
pub(crate) struct Look {
    pub(crate) ticks: Vec<Tick>,
    pub(crate) next: Option<Timestamp>,
}

/// What is to be done after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct After {
    /// More is decided than was known: the record is out of date.
    pub(crate) has_moved: bool,
    /// Redis lacks the entry.
    pub(crate) announce: bool,
    /// Redis took nothing for so long that other ticks are due.
    pub(crate) plan_anew: bool,
}

impl After {
    /// All of both.
    pub(crate) fn and(self, other: After) -> After {
        After {
            has_moved: self.has_moved || other.has_moved,
            announce: self.announce || other.announce,
            plan_anew: self.plan_anew || other.plan_anew,
        }
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
        Ok(Tracked {
            entry,
            definition,
            progress: None,
            rests_until: None,
            not_decided: None,
            told_of: None,
            missed: None,
            held: None,
        })
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
    pub(crate) fn look(&mut self, now: Timestamp, codec: Codec) -> Result<Look, Error> {
        let resting = self.rests_until.filter(|until| *until > now);
        let Some(plan) = self.plan(now) else { return Ok(Look { ticks: Vec::new(), next: None }) };
        if resting.is_some() {
            return Ok(Look { ticks: Vec::new(), next: resting });
        }
        let next = if plan.has_more { Some(now) } else { plan.next };
        self.missed = plan.dropped;
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
        let before = self.decided();
        let mut after = After::default();
        if answer.is_ok() {
            self.not_decided = None;
        }
        match answer {
            Ok(Ticked::Fired) => {
                self.missed(tick, &mut tell);
                self.goes_on(entry, &mut tell);
                self.fired(tick, now, &mut tell);
            }
            Ok(Ticked::Dropped) => {
                self.missed(tick, &mut tell);
                self.decide(due);
            }
            Ok(Ticked::Paused) => {
                self.decide(due);
                if self.begins(Held::Paused, tick.dropped + 1) {
                    tell(CronEvent::Paused { entry, due });
                }
            }
            Ok(Ticked::Overlaps(job_id)) => {
                self.missed(tick, &mut tell);
                self.decide(due);
                if self.begins(Held::Overlaps, 1) {
                    tell(CronEvent::Overlaps { entry, due, job_id: &job_id });
                }
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
                let error = error.to_string();
                if self.not_decided.as_ref() != Some(&error) {
                    tell(CronEvent::NotDecided { entry, due, error: &error });
                    self.not_decided = Some(error);
                }
            }
        }
        after.has_moved = self.decided() != before;
        after
    }

    /// Notes that ticks are dropped; whether that is new.
    fn begins(&mut self, why: Held, ticks: u64) -> bool {
        match &mut self.held {
            Some((held, count)) if *held == why => {
                *count += ticks;
                false
            }
            held => {
                *held = Some((why, ticks));
                true
            }
        }
    }

    fn goes_on(&mut self, entry: &str, tell: &mut impl FnMut(CronEvent<'_>)) {
        match self.held.take() {
            Some((Held::Paused, ticks)) => tell(CronEvent::PauseOver { entry, ticks }),
            Some((Held::Overlaps, ticks)) => tell(CronEvent::OverlapOver { entry, ticks }),
            None => {}
        }
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

    /// Tells which ticks are left out with this one, once.
    fn missed(&mut self, tick: &Tick, tell: &mut impl FnMut(CronEvent<'_>)) {
        if let Some(Dropped { first, last, count, .. }) = self.missed.take() {
            tell(CronEvent::Missed { entry: &tick.name, ticks: count, first, last });
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

#[cfg(test)]
mod tests {
    use rq_core::Call;

    use super::*;
    use crate::{CatchUp, Cron, Entry};

    const CODEC: Codec = Codec::Pickle;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_epoch_us(1_800_000_000_000_000).after(Duration::from_secs(seconds))
    }

    /// An entry that is due each minute, first seen at 0, of which the tick at so many seconds was decided last.
    fn tracked(catch_up: CatchUp, decided: Option<u64>) -> Tracked {
        let entry = Entry::every(Duration::from_secs(60), Call::<()>::to("f")).catch_up(catch_up);
        let cron = Cron::new().entry(entry).check().unwrap();
        let mut tracked = Tracked::new(cron.entries()[0].clone(), CODEC).unwrap();
        let decided = decided.map(at);
        let progress = Progress { standing: Standing::New, since: at(0), decided, paused: false };
        tracked.announced(progress, |event| panic!("{event:?}"));
        tracked
    }

    /// The ticks of a look: due, planned by what was decided, how many are dropped, whether a job is enqueued.
    fn looked(tracked: &mut Tracked, now_s: u64) -> Vec<(Timestamp, Option<Timestamp>, u64, bool)> {
        let ticks = tracked.look(at(now_s), CODEC).unwrap().ticks;
        ticks
            .iter()
            .map(|tick| (tick.due, tick.decided, tick.dropped, !matches!(tick.act, Act::Drop)))
            .collect()
    }

    #[test]
    fn ticks_name_what_was_decided_before_them() {
        assert_eq!(looked(&mut tracked(CatchUp::Latest, None), 0), [(at(0), None, 0, true)]);
        assert_eq!(looked(&mut tracked(CatchUp::Latest, Some(0)), 59), []);
        assert_eq!(looked(&mut tracked(CatchUp::Latest, Some(0)), 310), [(at(300), Some(at(0)), 4, true)]);
        assert_eq!(looked(&mut tracked(CatchUp::None, Some(0)), 305), [(at(300), Some(at(0)), 4, true)]);
        let each = [(at(60), Some(at(0)), 0, true), (at(120), Some(at(60)), 0, true)];
        assert_eq!(looked(&mut tracked(CatchUp::All, Some(0)), 130), each);
    }

    #[test]
    fn answers_say_where_it_is() {
        let answered = |answer: Result<Ticked, Error>| {
            let mut tracked = tracked(CatchUp::Latest, Some(0));
            let tick = tracked.look(at(60), CODEC).unwrap().ticks.remove(0);
            let after = tracked.ticked(&tick, answer, at(60), Duration::from_secs(60), |_| {});
            (tracked, after)
        };
        for (answer, decided) in [
            (Ticked::Fired, Some(60)),
            (Ticked::Paused, Some(60)),
            (Ticked::Overlaps("j".to_owned()), Some(60)),
            (Ticked::Taken(at(120)), Some(120)),
            (Ticked::Moved(None), None),
            (Ticked::Gone, None),
            (Ticked::Other("at noon".to_owned()), None),
        ] {
            let (tracked, after) = answered(Ok(answer.clone()));
            assert_eq!(tracked.decided(), decided.map(at), "{answer:?}");
            // The record of a scheduler tells of what others decide, too.
            assert!(after.has_moved, "{answer:?}");
            assert_eq!(after.announce, answer == Ticked::Gone);
        }
        let (mut failed, _) = answered(Err(Error::UnexpectedReply { step: "tick", got: String::new() }));
        let resting = failed.look(at(61), CODEC).unwrap();
        assert_eq!((resting.ticks.len(), resting.next), (0, Some(at(120))));
        assert_eq!(looked(&mut failed, 120).len(), 1);
    }

    #[test]
    fn a_tick_that_is_refused_again_is_told_of_once() {
        let mut told = 0;
        let mut tracked = tracked(CatchUp::Latest, Some(0));
        for now_s in [60, 120, 180] {
            let tick = tracked.look(at(now_s), CODEC).unwrap().ticks.remove(0);
            let refused = Err(Error::UnexpectedReply { step: "tick", got: String::new() });
            tracked.ticked(&tick, refused, at(now_s), Duration::from_secs(60), |_| told += 1);
        }
        assert_eq!(told, 1);
    }

    #[test]
    fn what_is_missed_is_told_from_the_first_to_the_last() {
        let mut told = Vec::new();
        let mut tracked = tracked(CatchUp::Latest, Some(0));
        let tick = tracked.look(at(310), CODEC).unwrap().ticks.remove(0);
        tracked.ticked(&tick, Ok(Ticked::Fired), at(310), Duration::from_secs(60), |event| {
            if let CronEvent::Missed { ticks, first, last, .. } = event {
                told.push((ticks, first, last));
            }
        });
        // The one at 300 was fired.
        assert_eq!(told, [(4, at(60), at(240))]);
    }

    #[test]
    fn a_pause_and_an_overlap_are_told_of_as_they_begin_and_as_they_are_over() {
        let mut told = Vec::new();
        let mut tracked = tracked(CatchUp::Latest, Some(0));
        for (now_s, answer) in [
            (60, Ticked::Paused),
            (120, Ticked::Paused),
            (180, Ticked::Fired),
            (240, Ticked::Overlaps("j".to_owned())),
            (300, Ticked::Overlaps("j".to_owned())),
            (360, Ticked::Overlaps("j".to_owned())),
            (420, Ticked::Fired),
        ] {
            let tick = tracked.look(at(now_s), CODEC).unwrap().ticks.remove(0);
            tracked.ticked(&tick, Ok(answer), at(now_s), Duration::from_secs(60), |event| {
                told.push(match event {
                    CronEvent::Paused { .. } => "paused".to_owned(),
                    CronEvent::PauseOver { ticks, .. } => format!("resumed after {ticks}"),
                    CronEvent::Overlaps { .. } => "overlaps".to_owned(),
                    CronEvent::OverlapOver { ticks, .. } => format!("over after {ticks}"),
                    _ => "fired".to_owned(),
                });
            });
        }
        assert_eq!(told, ["paused", "resumed after 2", "fired", "overlaps", "over after 3", "fired"]);
    }

    #[test]
    fn another_schedule_is_told_of_once() {
        let mut tracked = tracked(CatchUp::Latest, Some(0));
        let mut told = 0;
        for _ in 0..2 {
            let standing = Standing::Other("at noon".to_owned());
            let progress = Progress { standing, since: at(0), decided: None, paused: false };
            tracked.announced(progress, |_| told += 1);
        }
        assert_eq!((told, looked(&mut tracked, 600)), (1, vec![]));
    }
}
