//! [`JobHandle`](asynchronous::JobHandle): the receipt for a job: its id, its status, its result.
//!
//! `both_fronts` makes the blocking one of it.

mod management;
mod wait;

#[rq_macros::both_fronts]
pub(crate) mod asynchronous {
    use std::fmt;
    use std::marker::PhantomData;
    use std::time::Duration;

    use serde::de::DeserializeOwned;

    use super::wait::{Look, Wait, value_of};
    use crate::dependency::Dependency;
    use crate::error::Error;
    use crate::front::asynchronous::{
        SharedLink, WaitingConnection, ask, run_within, sleep, waiting_connection,
    };
    use crate::job::Job;
    use crate::keys::Keys;
    use crate::result::{JobResult, ResultKind};
    use crate::status::Status;
    use crate::steps;
    use crate::steps::job::Latest;

    /// The receipt for a job that yields a `T`, as `thread::spawn` gives a `JoinHandle`.
    pub struct JobHandle<T> {
        pub(super) link: SharedLink,
        pub(super) keys: Keys,
        pub(super) id: String,
        yields: PhantomData<fn() -> T>,
    }

    impl<T> JobHandle<T> {
        pub(crate) fn new(link: SharedLink, keys: Keys, id: &str) -> JobHandle<T> {
            JobHandle { link, keys, id: id.to_owned(), yields: PhantomData }
        }

        /// The job's id.
        pub fn id(&self) -> &str {
            &self.id
        }

        /// The job's status; `None` once the job is gone.
        pub async fn status(&self) -> Result<Option<Status>, Error> {
            Ok(self.latest().await?.status)
        }

        /// The job's record; `None` once the job is gone.
        pub async fn job(&self) -> Result<Option<Job>, Error> {
            let ids = [self.id.clone()];
            let mut hashes = self.link.run(&steps::job::fetch_fields(&self.keys, &ids)).await?;
            steps::job::read_job(&self.id, hashes.pop().unwrap_or_default())
        }

        /// Whether there is such a job. Python's `Job.exists`.
        pub async fn exists(&self) -> Result<bool, Error> {
            self.link.run(&steps::job::exists(&self.keys, &self.id)).await
        }

        /// Reads the job's record anew into `job`. Fails with [`Error::NoSuchJob`], and leaves `job` as it is, where the
        /// job is gone. Python's `Job.refresh`.
        pub async fn refresh(&self, job: &mut Job) -> Result<(), Error> {
            let gone = || Error::NoSuchJob { job_id: self.id.clone() };
            *job = self.job().await?.ok_or_else(gone)?;
            Ok(())
        }

        /// How the newest run ended; `None` where none has, or its result has expired.
        pub async fn latest_result(&self) -> Result<Option<JobResult>, Error> {
            Ok(self.latest().await?.result.map(|(_, result)| result))
        }

        async fn latest(&self) -> Result<Latest, Error> {
            self.link.run(&steps::job::latest(&self.keys, &self.id)).await
        }
    }

    impl<T: DeserializeOwned> JobHandle<T> {
        /// The value of the newest run, if that ended with one.
        pub async fn result(&self) -> Result<Option<T>, Error> {
            self.latest_result()
                .await?
                .filter(|result| result.kind == ResultKind::Successful)
                .map(value_of)
                .transpose()
        }

        /// Waits until the job has ended, and gives its value.
        ///
        /// Blocks on the results stream over a connection of its own (`XREAD BLOCK`), and bears it if Redis is away
        /// meanwhile. Fails with [`Error::NotEnded`] after `longest`, and with [`Error::JobFailed`] if the job ended without a value.
        pub async fn wait(&self, longest: Duration) -> Result<T, Error> {
            let mut wait = Wait::new(&self.id, longest);
            // Made at the first pause: a job that has ended already costs no connection.
            let mut connection = None;
            loop {
                match self.look_and_pause(&mut wait, &mut connection).await {
                    Ok(Some(result)) => return value_of(result),
                    Ok(None) => {}
                    // Redis may come back before the time is up.
                    Err(error) => {
                        connection = None;
                        sleep(wait.bear(error)?).await;
                    }
                }
            }
        }

        /// One look at the job, and a pause until there may be more to see; the result, once it has ended.
        async fn look_and_pause(
            &self,
            wait: &mut Wait<'_>,
            connection: &mut Option<WaitingConnection>,
        ) -> Result<Option<JobResult>, Error> {
            let latest = steps::job::latest(&self.keys, &self.id);
            let pause = match wait.look(run_within(&self.link, wait.look_limit(), &latest).await?)? {
                Look::Ended(result) => return Ok(Some(result)),
                Look::Pause(pause) => pause,
            };
            let connection = match connection {
                Some(connection) => connection,
                None => connection.insert(waiting_connection(&self.link, wait.look_limit()).await?),
            };
            let pause_ms = pause.as_millis() as u64;
            let cmd = steps::job::wait_for_result(&self.keys, &self.id, &wait.after, pause_ms);
            // What comes only wakes: an entry may be of an attempt that is followed by another, so the next look judges
            // by the status.
            ask(connection, wait.read_limit(pause), &cmd).await?;
            Ok(None)
        }
    }

    impl<T> Clone for JobHandle<T> {
        fn clone(&self) -> JobHandle<T> {
            JobHandle::new(self.link.clone(), self.keys.clone(), &self.id)
        }
    }

    impl<T> fmt::Debug for JobHandle<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("JobHandle").field(&self.id).finish()
        }
    }

    impl<T> From<&JobHandle<T>> for Dependency {
        fn from(job: &JobHandle<T>) -> Dependency {
            Dependency::from(job.id())
        }
    }
}
