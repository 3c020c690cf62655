//! [`Registry`](asynchronous::Registry): the ids of a queue's jobs in one state.
//!
//! `both_fronts` makes the blocking one of it.

use crate::entry::Entry;
use crate::error::Error;
use crate::registry_kind::RegistryKind;

/// The most entries one round trip reads.
const ENTRIES_PER_ROUND_TRIP_MAX: usize = 10_000;

#[rq_macros::both_fronts]
pub(crate) mod asynchronous {
    use std::fmt;
    use std::sync::Arc;

    use super::{ENTRIES_PER_ROUND_TRIP_MAX, check_requeue, job_ids};
    use crate::entry::Entry;
    use crate::error::Error;
    use crate::front::asynchronous::SharedLink;
    use crate::job::Job;
    use crate::keys::Keys;
    use crate::registry_kind::RegistryKind;
    use crate::steps;
    use crate::steps::job::FETCHED_PER_ROUND_TRIP_MAX;
    use crate::steps::management::{RequeueFrom, Requeued};
    use crate::steps::queue::JOBS_PER_ROUND_TRIP_MAX;

    /// The ids of a queue's jobs in one state: [`Queue::registry`](crate::Queue::registry).
    ///
    /// Looking changes nothing: unlike Python's, it neither removes what has expired nor fails what was abandoned.
    ///
    /// ```no_run
    /// # async fn example(queue: rq_core::Queue) -> Result<(), rq_core::Error> {
    /// use rq_core::RegistryKind;
    /// let failed = queue.registry(RegistryKind::Failed);
    /// println!("{} failed, of which first {:?}", failed.count().await?, failed.ids_page(0, 10).await?);
    /// failed.requeue_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Clone)]
    pub struct Registry {
        link: SharedLink,
        keys: Keys,
        queue: Arc<str>,
        kind: RegistryKind,
    }

    impl Registry {
        pub(crate) fn new(link: SharedLink, keys: Keys, queue: Arc<str>, kind: RegistryKind) -> Registry {
            Registry { link, keys, queue, kind }
        }

        /// Which registry it is.
        pub fn kind(&self) -> RegistryKind {
            self.kind
        }

        /// How many entries it has; for [`RegistryKind::Started`], runs.
        pub async fn count(&self) -> Result<usize, Error> {
            self.link.run(&steps::registry::count(&self.keys, self.kind, &self.queue)).await
        }

        /// Whether it has none.
        pub async fn is_empty(&self) -> Result<bool, Error> {
            Ok(self.count().await? == 0)
        }

        /// At most `count` entries from the place `offset` on, lowest score first.
        pub async fn entries_page(&self, offset: usize, count: usize) -> Result<Vec<Entry>, Error> {
            let step = steps::registry::entries(&self.keys, self.kind, &self.queue, offset, count);
            self.link.run(&step).await
        }

        /// The job ids of at most `count` entries from the place `offset` on, lowest score first.
        pub async fn ids_page(&self, offset: usize, count: usize) -> Result<Vec<String>, Error> {
            Ok(job_ids(self.entries_page(offset, count).await?))
        }

        /// All job ids, lowest score first. What others add or take away meanwhile may be missing or there twice.
        pub async fn ids(&self) -> Result<Vec<String>, Error> {
            let mut ids = Vec::new();
            loop {
                let page = self.ids_page(ids.len(), ENTRIES_PER_ROUND_TRIP_MAX).await?;
                let is_last = page.len() < ENTRIES_PER_ROUND_TRIP_MAX;
                ids.extend(page);
                if is_last {
                    return Ok(ids);
                }
            }
        }

        /// The jobs of at most `count` entries from the place `offset` on, lowest score first, in the shape of
        /// [`Queue::fetch_jobs`](crate::Queue::fetch_jobs).
        pub async fn jobs_page(
            &self,
            offset: usize,
            count: usize,
        ) -> Result<Vec<Result<Option<Job>, Error>>, Error> {
            let ids = self.ids_page(offset, count).await?;
            let mut jobs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                jobs.extend(self.link.run(&steps::job::fetch_jobs(&self.keys, ids)).await?);
            }
            Ok(jobs)
        }

        /// The entry of a job, if it has one; of several runs, one.
        pub async fn entry(&self, job_id: &str) -> Result<Option<Entry>, Error> {
            let members = match self.kind {
                // Its members are `<id>:<x>`, and of a job's id alone there is no entry to ask for.
                RegistryKind::Started => {
                    self.link.run(&steps::registry::executions(&self.keys, job_id)).await?
                }
                _ => vec![job_id.to_owned()],
            };
            self.link.run(&steps::registry::first_of(&self.keys, self.kind, &self.queue, &members)).await
        }

        /// Whether a job is in it.
        pub async fn contains(&self, job_id: &str) -> Result<bool, Error> {
            Ok(self.entry(job_id).await?.is_some())
        }

        /// Puts jobs of [`RegistryKind::Failed`] or [`RegistryKind::Finished`] at the tails of their queues again, and
        /// returns with each id what became of it.
        pub async fn requeue(&self, ids: &[String]) -> Result<Vec<(String, Requeued)>, Error> {
            check_requeue(self.kind)?;
            let mut outcome = Vec::with_capacity(ids.len());
            for ids in ids.chunks(JOBS_PER_ROUND_TRIP_MAX) {
                let from = RequeueFrom::Registry(self.kind, &self.queue);
                let requeued =
                    self.link.run(&steps::management::requeue(&self.keys, from, false, ids)).await?;
                outcome.extend(ids.iter().cloned().zip(requeued));
            }
            Ok(outcome)
        }

        /// [`requeue`](Registry::requeue) for all that are there now, lowest score first.
        pub async fn requeue_all(&self) -> Result<Vec<(String, Requeued)>, Error> {
            check_requeue(self.kind)?;
            // All ids first: each requeue takes entries off, and pages read in between would pass over some.
            self.requeue(&self.ids().await?).await
        }
    }

    impl fmt::Debug for Registry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Registry")
                .field("queue", &self.queue)
                .field("kind", &self.kind)
                .finish_non_exhaustive()
        }
    }
}

fn job_ids(entries: Vec<Entry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.job_id).collect()
}

/// Only what has ended can be put into a queue again.
fn check_requeue(kind: RegistryKind) -> Result<(), Error> {
    match kind.can_requeue() {
        true => Ok(()),
        false => {
            Err(Error::Option { option: "registry", reason: "only failed and finished jobs can be requeued" })
        }
    }
}
