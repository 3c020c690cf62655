//! Inspecting and managing a queue: its registries, jobs by their ids, its workers.

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
    use crate::worker_record::WorkerRecord;

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

        /// The workers that serve this queue, sorted by their names. Those whose records are gone or unreadable are
        /// left out.
        pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Error> {
            self.workers_of(&[self.name.to_string()]).await
        }

        /// The workers of all queues.
        pub async fn all_workers(&self) -> Result<Vec<WorkerRecord>, Error> {
            self.workers_of(&[]).await
        }

        async fn workers_of(&self, queues: &[String]) -> Result<Vec<WorkerRecord>, Error> {
            // From the sets, not by a scan for keys: those of workers' executions begin like a worker's (docs/wire.md
            // §21-17).
            let names = self.link.run(&steps::roster::names(&self.keys, queues)).await?;
            let mut workers = Vec::with_capacity(names.len());
            for names in names.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                workers.extend(self.link.run(&steps::roster::records(&self.keys, names)).await?);
            }
            Ok(workers)
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
