//! [`sleep`] and [`yield_now`]: giving the thread to others.

use std::time::{Duration, Instant};

use may::coroutine;

use crate::clock::Clock;
use crate::drive::is_polling;

/// Far enough away to be for ever, near enough for every clock.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Sleeps in a coroutine without holding up its thread; elsewhere as [`std::thread::sleep`] does.
///
/// `ctx.sleep(..)` does the same, and wakes when the job has to end; this one is cut off shortly after.
pub fn sleep(duration: Duration) {
    let Some(clock) = here() else { return std::thread::sleep(duration) };
    let until = later(Instant::now(), duration);
    // Whatever wakes a coroutine ends its park, so the time is looked at again.
    while Instant::now() < until {
        clock.wait_until(until);
    }
}

/// Lets other coroutines have the thread: for loops that compute for long.
pub fn yield_now() {
    if here().is_some() {
        crate::current_job::while_waiting(coroutine::yield_now)
    } else {
        std::thread::yield_now()
    }
}

/// The clock, where the caller is in a coroutine and may wait there.
pub(crate) fn here() -> Option<&'static Clock> {
    // While it polls a future its thread is in a runtime, and would still be for the next coroutine there.
    (coroutine::is_coroutine() && !is_polling()).then(Clock::running).flatten()
}

pub(crate) fn later(from: Instant, duration: Duration) -> Instant {
    from.checked_add(duration).unwrap_or(from + FOREVER)
}
