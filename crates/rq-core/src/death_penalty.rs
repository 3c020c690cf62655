//! [`DeathPenalty`]: what happens to a job that reaches its time limit, else or instead.

use std::time::Duration;

use crate::context::Context;

/// Keeps a penalty armed; dropping it calls the penalty off. Any value will do.
#[must_use = "dropping it calls the penalty off"]
pub trait Guard: Send {}

impl<T: Send> Guard for T {}

/// What happens to a job that reaches its time limit: beside what its executor does anyway, or, where one of a program's
/// [replaces the limit](DeathPenalty::replaces_limit), in the place of that. RQ's `death_penalty_class`.
///
/// The executor arms it where the job runs, as the job begins, and again for each callback there, with the callback's own
/// limit. Penalties compose: each of a program's is armed, in order.
///
/// ```
/// use std::time::Duration;
/// use rq_core::{Context, DeathPenalty, Guard};
///
/// /// Says which jobs came near their limit.
/// struct NearMiss;
/// struct Watch(String, std::time::Instant, Duration);
///
/// impl DeathPenalty for NearMiss {
///     fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard> {
///         let limit = limit.unwrap_or(Duration::MAX);
///         Box::new(Watch(ctx.job().id.clone(), std::time::Instant::now(), limit))
///     }
/// }
/// impl Drop for Watch {
///     fn drop(&mut self) {
///         if self.1.elapsed() > self.2.mul_f64(0.8) {
///             eprintln!("{} nearly reached its limit", self.0);
///         }
///     }
/// }
/// ```
///
/// One that replaces the limit, and gives each job twice the time:
///
/// ```
/// use std::sync::mpsc::{RecvTimeoutError, channel};
/// use std::time::Duration;
/// use rq_core::{Context, DeathPenalty, Guard};
///
/// struct Twice;
///
/// impl DeathPenalty for Twice {
///     fn replaces_limit(&self) -> bool {
///         true
///     }
///
///     fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard> {
///         let Some(limit) = limit.map(|limit| limit * 2) else { return Box::new(()) };
///         let (armed, called_off) = channel::<()>();
///         let ender = ctx.ender();
///         std::thread::spawn(move || {
///             // Nobody sends: the wait ends with the guard, or when the time is up.
///             if called_off.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
///                 ender.time_out(limit);
///             }
///         });
///         Box::new(armed)
///     }
/// }
/// ```
pub trait DeathPenalty: Send + Sync {
    /// Arms the penalty for a job that begins now. `limit` is the job's, `None` for RQ's `-1`, no limit.
    fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard>;

    /// Whether it alone decides when a job's time is up, or together with others that do. No executor then ends a job, or a
    /// callback where it ran, at its limit; [`Ender::time_out`](crate::Ender::time_out) does, and a penalty that does nothing
    /// lets jobs run for as long as they like. [`Context::deadline`] is `None` until then.
    ///
    /// Everything else is as ever: requests to stop and to kill, cold stops, leases. A callback that a worker has [taken
    /// from the outbox](crate::Callback), of a stopped job say, ends after an hour in any case.
    ///
    /// Asked as the worker is prepared, and not again.
    fn replaces_limit(&self) -> bool {
        false
    }
}
