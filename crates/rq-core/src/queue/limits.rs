//! Jobs of which there may be one alone, and rate limits.

use crate::call::Call;
use crate::error::Error;

#[rq_macros::both_fronts]
mod asynchronous {
    use super::check_is_unique;
    use crate::call::Call;
    use crate::error::Error;
    use crate::handle::asynchronous::JobHandle;
    use crate::queue::asynchronous::Queue;
    use crate::rate_limit::asynchronous::RateLimit;
    use crate::steps;
    use crate::time::{TimeSpan, Timestamp};
    use crate::unique::MadeOrFound;

    impl Queue {
        /// Enqueues one call that is unique, by its id ([`Call::unique`]) or by its arguments
        /// ([`Call::unique_by_args`]), or finds the job that is there in its place. Of many producers that enqueue the
        /// same call at once, one makes it.
        ///
        /// ```no_run
        /// # async fn example(queue: rq_core::Queue) -> Result<(), rq_core::Error> {
        /// use rq_core::{Call, MadeOrFound, hours};
        /// let sync = Call::<u64>::to("accounts.sync").arg(7).unique_by_args(hours(1));
        /// match queue.enqueue_unique(sync).await? {
        ///     MadeOrFound::Made(job) => println!("made {}", job.id()),
        ///     MadeOrFound::Found(job) => println!("{} does it already", job.id()),
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`enqueue`](Queue::enqueue), and [`Error::Option`] for a call that is not unique.
        pub async fn enqueue_unique<T>(&self, call: Call<T>) -> Result<MadeOrFound<JobHandle<T>>, Error> {
            check_is_unique(&call)?;
            self.made_or_found(self.enqueue(call).await)
        }

        /// [`enqueue_at`](Queue::enqueue_at) of a call that is unique. A job that is scheduled is there from now on.
        pub async fn enqueue_unique_at<T>(
            &self,
            due: impl Into<Timestamp>,
            call: Call<T>,
        ) -> Result<MadeOrFound<JobHandle<T>>, Error> {
            check_is_unique(&call)?;
            self.made_or_found(self.enqueue_at(due, call).await)
        }

        /// [`enqueue_in`](Queue::enqueue_in) of a call that is unique.
        pub async fn enqueue_unique_in<T>(
            &self,
            delay: impl Into<TimeSpan>,
            call: Call<T>,
        ) -> Result<MadeOrFound<JobHandle<T>>, Error> {
            check_is_unique(&call)?;
            self.made_or_found(self.enqueue_in(delay, call).await)
        }

        fn made_or_found<T>(
            &self,
            enqueued: Result<JobHandle<T>, Error>,
        ) -> Result<MadeOrFound<JobHandle<T>>, Error> {
            match enqueued {
                Ok(job) => Ok(MadeOrFound::Made(job)),
                Err(Error::Duplicate { job_id, .. }) => Ok(MadeOrFound::Found(self.handle(&job_id))),
                Err(error) => Err(error),
            }
        }

        /// The rate limit of that key, to look at: [`Call::rate_limit`] makes jobs come under it.
        pub fn rate_limit(&self, key: &str) -> RateLimit {
            RateLimit::new(self.link.clone(), self.keys.clone(), key)
        }

        /// All rate limits of this Redis that are in use, sorted by key (`SMEMBERS rq:rl-keys`). Python's
        /// `RateLimitRegistry.all`.
        pub async fn rate_limits(&self) -> Result<Vec<RateLimit>, Error> {
            let keys = self.link.run(&steps::rate_limit::keys(&self.keys)).await?;
            Ok(keys.iter().map(|key| self.rate_limit(key)).collect())
        }
    }
}

/// Fails for a call that may be enqueued any number of times.
fn check_is_unique<T>(call: &Call<T>) -> Result<(), Error> {
    match call.is_unique() {
        true => Ok(()),
        false => Err(Error::Option {
            option: "unique",
            reason: "say by what the call is unique: unique() for its id, or unique_by_args(..)",
        }),
    }
}
