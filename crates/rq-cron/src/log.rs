//! [`CronLog`]: the observer that writes a scheduler's log, in the lines that users of RQ know (docs/cli.md).

use std::time::Duration;

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
                    "Cron entry {}: another scheduler has decided up to {decided}",
                    Shown::name(entry)
                )
            }
            CronEvent::Missed { entry, ticks, until } => shown!(
                warn,
                "Cron entry {}: {ticks} missed, up to {until}, and not made up for",
                Shown::name(entry)
            ),
            CronEvent::Paused { entry, due } => {
                shown!(info, "Cron entry {}: paused, so nothing is enqueued for {due}", Shown::name(entry))
            }
            CronEvent::Overlaps { entry, due, job_id } => shown!(
                warn,
                "Cron entry {}: job {} has not ended, so nothing is enqueued for {due}",
                Shown::name(entry),
                Shown::name(job_id)
            ),
            CronEvent::NotDecided { entry, due, error } => {
                shown!(error, "Cron entry {}: nothing is enqueued for {due}: {error}", Shown::name(entry))
            }
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
    if late >= LATE_FROM {
        shown!(
            warn,
            "Enqueued job {called} to queue {queue}, {:.1} s late: entry {entry} was due at {due}",
            late.as_secs_f64()
        );
    } else {
        shown!(info, "Enqueued job {called} to queue {queue}");
    }
    shown!(debug, "Cron entry {entry}: due at {due}, job {job_id}");
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| Shown::name(name).to_string()).collect::<Vec<_>>().join(", ")
}
