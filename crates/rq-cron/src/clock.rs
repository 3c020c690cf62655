//! [`Clock`]: what time it is for a scheduler, and how it waits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rq_core::Timestamp;

/// The longest sleep before the clock is looked at again: the machine may have slept.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The longest that Redis may take to say the time, for that to be of use.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What time it is for a scheduler, and how it waits. A test has one of its own.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Waits until `at`, or not as long: who waits looks at the clock again.
    fn wait_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// Redis has said that it was `redis` at some moment between `asked` and `answered`.
    fn set_by(&self, redis: Timestamp, asked: Instant, answered: Instant) {
        let _ = (redis, asked, answered);
    }
}

/// The clock of Redis: what it said last, and what has elapsed since. So schedulers on hosts whose clocks differ agree on what
/// is due, and a host's clock that is set changes nothing.
#[derive(Debug)]
pub struct RedisClock {
    /// A time, and the moment at which it was that.
    set: Mutex<(Timestamp, Instant)>,
}

impl Default for RedisClock {
    fn default() -> RedisClock {
        RedisClock { set: Mutex::new((Timestamp::now(), Instant::now())) }
    }
}

impl RedisClock {
    /// As this host's clock is now, until Redis has said what time it is.
    pub fn new() -> RedisClock {
        RedisClock::default()
    }
}

impl Clock for RedisClock {
    fn now(&self) -> Timestamp {
        let (time, at) = *self.set.lock().unwrap_or_else(PoisonError::into_inner);
        time.after(at.elapsed())
    }

    fn wait_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(at.since(self.now()).min(LOOK_AGAIN)).boxed()
    }

    fn set_by(&self, redis: Timestamp, asked: Instant, answered: Instant) {
        let took = answered.saturating_duration_since(asked);
        // The answer came too late to say anything.
        if took > ANSWER_LIMIT {
            return;
        }
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (redis, asked + took / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_redis() {
        let clock = RedisClock::new();
        let (host, moment) = (Timestamp::now(), Instant::now());
        let redis = host.after(Duration::from_secs(3600));
        clock.set_by(redis, moment, moment);
        assert!(clock.now() >= redis && clock.now().since(redis) < Duration::from_secs(60));
        // An answer that took too long.
        clock.set_by(host, moment, moment + 2 * ANSWER_LIMIT);
        assert!(clock.now() >= redis);
    }

    /// What has elapsed is counted from the moment between asking and the answer, whatever this host's clock says.
    #[test]
    fn it_goes_on_by_what_has_elapsed() {
        let clock = RedisClock::new();
        let redis = Timestamp::from_epoch_us(1_800_000_000_000_000);
        let Some(asked) = Instant::now().checked_sub(Duration::from_secs(30)) else { return };
        clock.set_by(redis, asked, asked + Duration::from_millis(200));
        let elapsed = clock.now().since(redis);
        assert!(elapsed >= Duration::from_millis(29_900) && elapsed < Duration::from_secs(90), "{elapsed:?}");
    }
}
