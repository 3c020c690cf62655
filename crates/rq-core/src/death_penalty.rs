//! [`DeathPenalty`]: what else happens to a job that reaches its time limit.

use std::time::Duration;

use crate::context::Context;

/// Keeps a penalty armed; dropping it calls the penalty off. Any value will do.
#[must_use = "dropping it calls the penalty off"]
pub trait Guard: Send {}

impl<T: Send> Guard for T {}

/// What else happens to a job that reaches its time limit, beside what its executor does anyway.
///
/// The executor arms it where the job runs, as the job begins. Penalties compose: each of a program's is armed, in
/// order.
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
pub trait DeathPenalty: Send + Sync {
    /// Arms the penalty for a job that begins now. `limit` is `None` for RQ's `-1`, no limit.
    fn arm(&self, ctx: &Context, limit: Option<Duration>) -> Box<dyn Guard>;
}
