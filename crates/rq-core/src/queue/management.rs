//! Inspecting and managing a queue: its registries, jobs by their ids and places; which queues there are; suspension.

#[rq_macros::both_fronts]
mod asynchronous {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::error::Error;
    use crate::job::Job;
    use crate::queue::asynchronous::Queue;
    use crate::registry::asynchronous::Registry;
    use crate::registry_kind::RegistryKind;
    use crate::steps;
    use crate::steps::job::FETCHED_PER_ROUND_TRIP_MAX;

    impl Queue {
        /// The jobs of this queue in one state.
        pub fn registry(&self, kind: RegistryKind) -> Registry {
            Registry::new(self.link.clone(), self.keys.clone(), Arc::clone(&self.name), kind)
        }

        /// The jobs with these ids, whichever queue they belong to, in order: one round trip for each 500.
        ///
        /// In the place of each is `Ok(None)` where there is no such job, and the error where its record cannot be
        /// read, so that one bad record hides no others. `.into_iter().collect::<Result<Vec<_>, _>>()?` makes any error
        /// fatal.
        pub async fn fetch_jobs(&self, ids: &[String]) -> Result<Vec<Result<Option<Job>, Error>>, Error> {
            let mut jobs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                jobs.extend(self.link.run(&steps::job::fetch_jobs(&self.keys, ids)).await?);
            }
            Ok(jobs)
        }

        /// All queues of this Redis, sorted by name, with the settings of this one. Names that we would not write are
        /// left out: [`names`](Queue::names) has all. Python's `Queue.all`.
        pub async fn all(&self) -> Result<Vec<Queue>, Error> {
            Ok(self.names().await?.iter().filter_map(|name| self.named(name).ok()).collect())
        }

        /// The names of all queues of this Redis, sorted (`SMEMBERS`): of all that something was ever enqueued to and
        /// that were not [deleted](Queue::delete) since.
        pub async fn names(&self) -> Result<Vec<String>, Error> {
            self.link.run(&steps::queue::names(&self.keys)).await
        }

        /// Takes the job `id` off this queue's list, and returns whether it was there (`LREM`). Python's
        /// `Queue.remove`.
        ///
        /// As in Python, its record stays as it is: it says `queued`, and no worker will run it until it is enqueued
        /// anew. [`JobHandle::cancel`](crate::JobHandle::cancel) and [`delete`](crate::JobHandle::delete) leave nothing
        /// behind. Where the connection broke meanwhile, a removal that was done may be answered with `false`.
        pub async fn remove(&self, id: &str) -> Result<bool, Error> {
            self.link.run(&steps::queue::remove(&self.keys, &self.name, id)).await
        }

        /// At which place of this queue the job `id` waits, 0 for the next one; `None` where it does not (`LPOS`). It
        /// takes longer the further behind the job is. Python's `Queue.get_job_position`.
        pub async fn position(&self, id: &str) -> Result<Option<usize>, Error> {
            self.link.run(&steps::queue::position(&self.keys, &self.name, id)).await
        }

        /// Suspends the workers of all queues, Python's too: they start no job until somebody resumes them or, if
        /// given, `longest` has passed, in whole seconds and at least one. Jobs that run go on.
        pub async fn suspend_all_workers(&self, longest: Option<Duration>) -> Result<(), Error> {
            self.link.run(&steps::suspension::suspend(&self.keys, longest)).await
        }

        /// Lets suspended workers go on. Returns whether they were suspended.
        pub async fn resume_all_workers(&self) -> Result<bool, Error> {
            self.link.run(&steps::suspension::resume(&self.keys)).await
        }

        /// Whether all workers are suspended.
        pub async fn are_workers_suspended(&self) -> Result<bool, Error> {
            self.link.run(&steps::suspension::is_suspended(&self.keys)).await
        }
    }
}
