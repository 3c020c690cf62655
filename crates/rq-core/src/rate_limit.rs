//! [`RateLimit`](asynchronous::RateLimit): who has the slots of a rate limit, and who waits for one.
//!
//! `both_fronts` makes the blocking one of it.

#[rq_macros::both_fronts]
pub(crate) mod asynchronous {
    use std::fmt;

    use crate::error::Error;
    use crate::front::asynchronous::SharedLink;
    use crate::keys::Keys;
    use crate::steps;

    /// A rate limit: how many of its jobs may be queued or run at once, which are, and which wait
    /// ([`Queue::rate_limit`](crate::Queue::rate_limit)). Python's `RateLimitRegistry`.
    ///
    /// It is there from the first job that comes under it until maintenance finds neither holders nor waiters. Looking
    /// changes nothing.
    ///
    /// ```no_run
    /// # async fn example(queue: rq_core::Queue) -> Result<(), rq_core::Error> {
    /// for limit in queue.rate_limits().await? {
    ///     let (held, waiting) = (limit.held_count().await?, limit.waiting_count().await?);
    ///     println!("{}: {held} of {:?}, {waiting} wait", limit.key(), limit.slots().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Clone)]
    pub struct RateLimit {
        link: SharedLink,
        keys: Keys,
        key: String,
    }

    impl RateLimit {
        pub(crate) fn new(link: SharedLink, keys: Keys, key: &str) -> RateLimit {
            RateLimit { link, keys, key: key.to_owned() }
        }

        /// Its key.
        pub fn key(&self) -> &str {
            &self.key
        }

        /// How many slots it has: the number that the last job under it brought. `None` where it is not in use.
        pub async fn slots(&self) -> Result<Option<u64>, Error> {
            self.link.run(&steps::rate_limit::slots(&self.keys, &self.key)).await
        }

        /// The ids of the jobs that have a slot, who had it first before the others (`ZRANGE`). They are queued or run.
        pub async fn held(&self) -> Result<Vec<String>, Error> {
            self.link.run(&steps::rate_limit::ids(&self.keys.rate_limit_allowed(&self.key))).await
        }

        /// The ids of the jobs that wait for a slot, next one first (`ZRANGE`).
        pub async fn waiting(&self) -> Result<Vec<String>, Error> {
            self.link.run(&steps::rate_limit::ids(&self.keys.rate_limit_waiting(&self.key))).await
        }

        /// How many jobs have a slot (`ZCARD`).
        pub async fn held_count(&self) -> Result<usize, Error> {
            self.link.run(&steps::rate_limit::count(&self.keys.rate_limit_allowed(&self.key))).await
        }

        /// How many jobs wait for one (`ZCARD`).
        pub async fn waiting_count(&self) -> Result<usize, Error> {
            self.link.run(&steps::rate_limit::count(&self.keys.rate_limit_waiting(&self.key))).await
        }
    }

    impl fmt::Debug for RateLimit {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("RateLimit").field(&self.key).finish()
        }
    }
}
