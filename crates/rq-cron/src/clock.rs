//! [`Clock`]: what time it is for a scheduler, and how it waits.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rq_core::Timestamp;

/// The longest sleep before the clock is looked at again: it may have been set, or the machine have slept.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The longest that Redis may take to say the time, for that to be of use.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What time it is for a scheduler, and how it waits. A test has one of its own.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Waits until `at`, or not as long: who waits looks at the clock again.
    fn wait_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// Redis has said that it was `redis` at some moment between `asked` and `answered`, by the clock of this host.
    fn set_by(&self, redis: Timestamp, asked: Timestamp, answered: Timestamp) {
        let _ = (redis, asked, answered);
    }
}

/// The clock of Redis, by this host's and what lies between the two: so schedulers on hosts whose clocks differ agree on what
/// is due.
#[derive(Debug, Default)]
pub struct RedisClock {
    /// What is added to this host's time.
    offset_us: AtomicI64,
}

impl RedisClock {
    /// This host's clock, until Redis has said what time it is.
    pub fn new() -> RedisClock {
        RedisClock::default()
    }
}

impl Clock for RedisClock {
    fn now(&self) -> Timestamp {
        let offset_us = self.offset_us.load(Ordering::Relaxed);
        Timestamp::from_epoch_us(Timestamp::now().epoch_us().saturating_add(offset_us))
    }

    fn wait_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(at.since(self.now()).min(LOOK_AGAIN)).boxed()
    }

    fn set_by(&self, redis: Timestamp, asked: Timestamp, answered: Timestamp) {
        let took = answered.since(asked);
        // The clock was set meanwhile, or the answer came too late to say anything.
        if answered < asked || took > ANSWER_LIMIT {
            return;
        }
        let between = asked.after(took / 2);
        self.offset_us.store(redis.epoch_us() - between.epoch_us(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_redis() {
        let clock = RedisClock::new();
        let host = Timestamp::now();
        let redis = host.after(Duration::from_secs(3600));
        clock.set_by(redis, host, host);
        assert!(clock.now() >= redis && clock.now().since(redis) < Duration::from_secs(60));
        // An answer that took too long, and one that came before it was asked for.
        clock.set_by(host, host, host.after(2 * ANSWER_LIMIT));
        clock.set_by(host, host, host.before(ANSWER_LIMIT));
        assert!(clock.now() >= redis);
    }
}
