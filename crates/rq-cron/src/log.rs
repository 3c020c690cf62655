//! [`CronLog`]: the observer that writes a scheduler's log, in the lines that users of RQ know (docs/cli.md).

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use rq_core::{Shown, Timestamp};

use crate::event::{CronEvent, CronObserver};

/// From when on a tick is told to be late.
const LATE_FROM: Duration = Duration::from_secs(1);

/// `tracing`'s macros for one line that is shown: with everything in it that others may have written.
macro_rules! shown {
    ($level:ident, $format:literal $($args:tt)*) => {
        tracing::$level!("{}", Shown::line(format_args!($format $($args)*)))
    };
}

/// Writes what schedulers do to the subscriber of `tracing` that the program has installed; nowhere where it has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct CronLog;

impl CronObserver for CronLog {
    fn observe(&self, scheduler: &str, event: &CronEvent<'_>) {
        match *event {
            CronEvent::Starting => shown!(info, "CronScheduler {scheduler}: starting..."),
            CronEvent::RegisteringBirth => shown!(info, "CronScheduler {scheduler}: registering birth..."),
            CronEvent::Fired { entry, function, job_id, queue, due, late } => {
                fired([entry, function, job_id, queue], due, late);
            }
            CronEvent::Taken { entry, decided } => {
                shown!(
                    debug,
                    "Cron entry {}: another scheduler has decided up to {}",
                    Shown::name(entry),
                    Local(decided)
                )
            }
            CronEvent::Missed { entry, ticks: 1, first, .. } => shown!(
                warn,
                "Cron entry {}: 1 tick was missed, at {}, and is not made up for",
                Shown::name(entry),
                Local(first)
            ),
            CronEvent::Missed { entry, ticks, first, last } => shown!(
                warn,
                "Cron entry {}: {ticks} ticks were missed, the first at {}, the last at {}, and are not made up for",
                Shown::name(entry),
                Local(first),
                Local(last)
            ),
            CronEvent::Paused { entry, due } => shown!(
                info,
                "Cron entry {}: paused, so nothing is enqueued for {}, nor until it is resumed",
                Shown::name(entry),
                Local(due)
            ),
            CronEvent::PauseOver { entry, ticks } => {
                shown!(info, "Cron entry {}: resumed; {ticks} of its ticks were dropped", Shown::name(entry))
            }
            CronEvent::OverlapOver { entry, ticks } => shown!(
                info,
                "Cron entry {}: its job has ended; {ticks} of its ticks were dropped meanwhile",
                Shown::name(entry)
            ),
            CronEvent::Overlaps { entry, due, job_id } => shown!(
                warn,
                "Cron entry {}: job {} has not ended, so nothing is enqueued for {}, nor until it has",
                Shown::name(entry),
                Shown::name(job_id),
                Local(due)
            ),
            CronEvent::NotDecided { entry, due, error } => shown!(
                error,
                "Cron entry {}: nothing is enqueued for {}: {error}",
                Shown::name(entry),
                Local(due)
            ),
            CronEvent::ScheduleChanged { entry, schedule } => shown!(
                info,
                "Cron entry {}: its schedule was another one, and is {} from now on",
                Shown::name(entry),
                Shown::name(schedule)
            ),
            CronEvent::DefinedOtherwise { entry, ours, theirs } => shown!(
                warn,
                "Cron entry {}: a scheduler that started later has {} for it and not {}; it is not fired here. Start this \
                 one again to have its schedule, or give the two different names",
                Shown::name(entry),
                Shown::name(theirs),
                Shown::name(ours)
            ),
            CronEvent::BadKey { entry } => shown!(
                error,
                "Cron entry {}: its key in Redis is of another type; it is not fired until somebody removes that",
                Shown::name(entry)
            ),
            CronEvent::SharedWithPython { schedulers, entries } => shown!(
                warn,
                "CronScheduler {scheduler}: Python's rq cron ({}) has the same entries, and enqueues them as well: {}",
                listed(schedulers),
                listed(entries)
            ),
            CronEvent::OutageOn { error, lasts } => shown!(
                error,
                "CronScheduler {scheduler}: Redis takes nothing, for {} s: {error}; trying again",
                lasts.as_secs()
            ),
            CronEvent::OutageOver { lasted } => {
                shown!(info, "CronScheduler {scheduler}: Redis is back, after {} s", lasted.as_secs())
            }
            CronEvent::Sleeping { pause } => shown!(debug, "Sleeping for {} seconds...", pause.as_secs_f64()),
            CronEvent::StopRequested => shown!(info, "CronScheduler {scheduler}: stop requested"),
            CronEvent::RegisteringDeath => shown!(info, "CronScheduler {scheduler}: registering death..."),
            CronEvent::ShutdownComplete => shown!(info, "CronScheduler {scheduler}: shutdown complete"),
        }
    }
}

/// RQ's line, by the last part of the function's name; what was late says so.
fn fired([entry, function, job_id, queue]: [&str; 4], due: Timestamp, late: Duration) {
    let [entry, job_id, queue] = [entry, job_id, queue].map(|name| Shown::name(name).to_string());
    let called = function.rsplit('.').next().unwrap_or(function);
    let called = Shown::name(called).to_string();
    let due = Local(due);
    if late >= LATE_FROM {
        shown!(
            warn,
            "Enqueued job {called} to queue {queue}, {:.1} s late: entry {entry} was due at {due}",
            late.as_secs_f64()
        );
    } else if entry == Shown::name(function).to_string() {
        shown!(info, "Enqueued job {called} to queue {queue}");
    } else {
        shown!(info, "Enqueued job {called} to queue {queue} (entry {entry})");
    }
    shown!(debug, "Cron entry {entry}: due at {due}, job {job_id}");
}

/// A time as the clocks of this machine show it, as the log's own is, with how far these are from UTC.
struct Local(Timestamp);

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_microsecond(self.0.epoch_us()).unwrap_or_default();
        at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").fmt(f)
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| Shown::name(name).to_string()).collect::<Vec<_>>().join(", ")
}
