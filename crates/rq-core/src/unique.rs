//! [`Unique`]: what keeps a second job of the same arguments away; [`MadeOrFound`]: whether it was kept away.

use std::fmt::Write as _;
use std::time::Duration;

use rq_wire::Payload;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::steps::queue::{UniqueBy, UniqueUntil};
use crate::time::TimeSpan;

/// The longest window.
const WINDOW_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);
/// How much of a SHA-256 names a lock: so much that no two calls ever share one, made by whomever.
const DIGEST_BYTES: usize = 16;

/// Until when a job keeps others with the same arguments away, and for how long at most:
/// [`Call::unique_by_args`](crate::Call::unique_by_args).
///
/// ```
/// use rq_core::{Call, Unique, hours, minutes};
/// let sync = Call::<()>::to("accounts.sync").arg(7).unique_by_args(hours(1)); // until it has ended
/// let index = Call::<()>::to("search.index").unique_by_args(Unique::until_started(minutes(10)));
/// let alert = Call::<()>::to("ops.alert").arg("disk").unique_by_args(Unique::for_all_of(minutes(30)));
/// # let _ = (sync, index, alert);
/// ```
#[must_use = "it does nothing until a call is given it"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    until: UniqueUntil,
    window: Duration,
}

impl Unique {
    /// Until the job has begun: what comes while it runs is enqueued, for there may be something new for it.
    pub fn until_started(window: impl Into<TimeSpan>) -> Unique {
        Unique::new(UniqueUntil::Started, window)
    }

    /// Until the job has ended, in whatever way: retries and repetitions are part of it.
    pub fn until_ended(window: impl Into<TimeSpan>) -> Unique {
        Unique::new(UniqueUntil::Ended, window)
    }

    /// For all of `window`, whatever becomes of the job.
    pub fn for_all_of(window: impl Into<TimeSpan>) -> Unique {
        Unique::new(UniqueUntil::Window, window)
    }

    fn new(until: UniqueUntil, window: impl Into<TimeSpan>) -> Unique {
        Unique { until, window: window.into().duration() }
    }

    /// What the script is told.
    pub(crate) fn by(&self, queue: &str, payload: &Payload) -> Result<UniqueBy, Error> {
        let refuse = |reason| Err(Error::Option { option: "unique_by_args", reason });
        if self.window > WINDOW_MAX {
            return refuse("the window may have ten years at most");
        }
        let window_ms = self.window.as_millis() as u64;
        if window_ms == 0 {
            return refuse("the window needs at least a millisecond");
        }
        Ok(UniqueBy::Args { until: self.until, window_ms, digest: digest(queue, payload) })
    }
}

/// [`Unique::until_ended`].
impl<S: Into<TimeSpan>> From<S> for Unique {
    fn from(window: S) -> Unique {
        Unique::until_ended(window)
    }
}

/// Names the lock of a call: the same for calls of one function in one queue whose arguments are alike, whatever codec
/// they are sent in.
fn digest(queue: &str, payload: &Payload) -> String {
    let mut hash = Sha256::new();
    // No name of a queue holds a zero.
    hash.update(queue.as_bytes());
    hash.update([0]);
    hash.update(payload.canonical_bytes());
    hash.finalize().iter().take(DIGEST_BYTES).fold(String::new(), |mut text, byte| {
        // A String takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What [`Queue::enqueue_unique`](crate::Queue::enqueue_unique) did: either way the handle of a job that is there.
#[derive(Clone, Debug)]
pub enum MadeOrFound<H> {
    /// The job was enqueued.
    Made(H),
    /// It was not: this job is there, or has been, in its place.
    Found(H),
}

impl<H> MadeOrFound<H> {
    /// Whether the job was enqueued.
    pub fn is_made(&self) -> bool {
        matches!(self, MadeOrFound::Made(_))
    }

    /// The handle of the job, made or found.
    pub fn into_handle(self) -> H {
        match self {
            MadeOrFound::Made(handle) | MadeOrFound::Found(handle) => handle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Codec, hours};

    fn call() -> Call<()> {
        Call::to("f").arg(1).kwarg("a", "x").kwarg("b", 2.5)
    }

    fn by(call: Call<()>, queue: &str) -> UniqueBy {
        call.unique_by_args(hours(1)).unique_by(queue).unwrap().expect("it is unique")
    }

    #[test]
    fn a_lock_is_named_by_queue_function_and_arguments() {
        let same = by(call(), "q");
        let UniqueBy::Args { until, window_ms, digest } = &same else { panic!("{same:?}") };
        assert_eq!((*until, *window_ms, digest.len()), (UniqueUntil::Ended, 3_600_000, 2 * DIGEST_BYTES));
        // Producers of all releases must agree on it.
        assert_eq!(digest, "3e54e134a7f38965aad465dcf3ab460a");
        let other_order = Call::to("f").arg(1).kwarg("b", 2.5).kwarg("a", "x");
        assert_eq!(by(other_order, "q"), same);
        assert_eq!(by(call().codec(Codec::Json).job_id("j").description("d").timeout(hours(2)), "q"), same);
        for other in [by(call(), "r"), by(call().arg(1), "q"), by(Call::to("g").arg(1), "q")] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn windows_that_redis_cannot_keep_are_refused() {
        for window in [Duration::ZERO, Duration::from_micros(999), WINDOW_MAX + Duration::from_secs(1)] {
            let refused = call().unique_by_args(window).unique_by("q");
            assert!(matches!(refused, Err(Error::Option { option: "unique_by_args", .. })), "{window:?}");
        }
    }
}
