//! What can be done to a job from outside: cancel, delete, requeue, stop, set its meta; and what surrounds it.

use rq_wire::{Codec, CodecError, Value};

use crate::error::Error;
use crate::job::Job;
use crate::steps::management::{Canceled, Runner};

/// The most results that are read; RQ keeps about ten, and Redis up to a hundred or so (docs/wire.md §7).
const RESULTS_MAX: usize = 1000;
/// How often meta is read and written again when others have written it in between.
const META_ATTEMPTS_MAX: usize = 100;

#[rq_macros::both_fronts]
mod asynchronous {
    use rq_wire::Value;
    use serde::Serialize;

    use super::{META_ATTEMPTS_MAX, RESULTS_MAX, check_canceled, check_runner, no_such_job, with_key};
    use crate::cancel::Cancel;
    use crate::error::Error;
    use crate::family::Family;
    use crate::handle::asynchronous::JobHandle;
    use crate::result::JobResult;
    use crate::steps;
    use crate::steps::job::{Cursor, FETCHED_PER_ROUND_TRIP_MAX, Release};
    use crate::steps::management::{Deleted, RequeueFrom, Requeued, Written};

    impl<T> JobHandle<T> {
        /// Cancels the job. A job that waits is not started any more. The outcome of a job that runs counts for
        /// nothing, and workers of this project ask it to end; Python's run it to its end. A job that has ended is
        /// canceled too, as in RQ, and keeps its result.
        ///
        /// Jobs that wait for it go on waiting: see [`cancel_with`](JobHandle::cancel_with). Fails with
        /// [`Error::AlreadyCanceled`] or [`Error::NoSuchJob`].
        pub async fn cancel(&self) -> Result<(), Error> {
            self.cancel_with(Cancel::default()).await
        }

        /// [`cancel`](JobHandle::cancel), with what is to be done with other jobs.
        pub async fn cancel_with(&self, how: Cancel) -> Result<(), Error> {
            let step = steps::management::cancel(&self.keys, &self.id, how);
            match check_canceled(&self.id, self.link.run(&step).await?)? {
                true => self.release_rest(Release::Past).await,
                false => Ok(()),
            }
        }

        /// Deletes the job, whatever it is doing, with its results. No queue or registry has it any more, and the
        /// outcome of a run counts for nothing. Its dependents wait for it no longer. Does nothing where the job is
        /// gone.
        pub async fn delete(&self) -> Result<(), Error> {
            self.delete_each(std::slice::from_ref(&self.id)).await
        }

        /// Deletes the job with all that wait for it, directly or through others, [as `delete`
        /// does](JobHandle::delete).
        ///
        /// Dependents are deleted first, so that none is queued. Fails with [`Error::TooManyDependents`] where there
        /// are more than 100,000.
        pub async fn delete_with_dependents(&self) -> Result<(), Error> {
            let mut family = Family::of(&self.id);
            loop {
                let ids = family.next(FETCHED_PER_ROUND_TRIP_MAX);
                // Nothing is deleted before the whole family is known: a dependent that is not yet known would be
                // released.
                if ids.is_empty() {
                    return self.delete_each(&family.dependents_first()).await;
                }
                family.add(self.link.run(&steps::job::dependents(&self.keys, &ids)).await?)?;
            }
        }

        pub(crate) async fn delete_each(&self, ids: &[String]) -> Result<(), Error> {
            for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                let deleted = self.link.run(&steps::management::delete(&self.keys, ids)).await?;
                let unfinished =
                    ids.iter().zip(deleted).filter(|(_, deleted)| *deleted == Deleted::DependentsLeft);
                for (id, _) in unfinished {
                    let job = JobHandle::<()>::new(self.link.clone(), self.keys.clone(), id);
                    // Until this is done the record stays, canceled and in no registry; should we die here, it
                    // expires within the hour.
                    job.release_rest(Release::Discarded).await?;
                }
            }
            Ok(())
        }

        /// Releases the dependents that an earlier step has left.
        pub(crate) async fn release_rest(&self, why: Release) -> Result<(), Error> {
            let mut cursor = Cursor::default();
            while let Some(next) =
                self.link.run(&steps::job::release(&self.keys, &self.id, &cursor, why)).await?
            {
                cursor = next;
            }
            Ok(())
        }

        /// Puts a job that failed, was stopped or has finished at the tail of its queue again. Its results stay.
        ///
        /// Fails with [`Error::NotRequeued`] where it is in neither registry, and with [`Error::NoSuchJob`].
        pub async fn requeue(&self) -> Result<(), Error> {
            self.requeue_to(false).await
        }

        /// [`requeue`](JobHandle::requeue) at the head.
        pub async fn requeue_at_front(&self) -> Result<(), Error> {
            self.requeue_to(true).await
        }

        async fn requeue_to(&self, at_front: bool) -> Result<(), Error> {
            let ids = [self.id.clone()];
            let step = steps::management::requeue(&self.keys, RequeueFrom::Record, at_front, &ids);
            match self.link.run(&step).await?.as_slice() {
                [Requeued::Done] => Ok(()),
                [Requeued::NoJob] => Err(Error::NoSuchJob { job_id: self.id.clone() }),
                // Asked for the error's text alone; the job may have gone on since the refusal.
                _ => Err(Error::NotRequeued { job_id: self.id.clone(), status: self.status().await? }),
            }
        }

        /// Asks the worker that runs the job to stop it; the job then counts as stopped. Returns whether that worker
        /// listens.
        ///
        /// Returns as soon as the worker has been asked. Fails with [`Error::NotRunning`] or [`Error::NoSuchJob`].
        pub async fn stop(&self) -> Result<bool, Error> {
            let runner = self.link.run(&steps::management::runner(&self.keys, &self.id)).await?;
            let worker = check_runner(&self.id, runner)?;
            self.link.run(&steps::management::stop(&self.keys, &worker, &self.id)?).await
        }

        /// Sets one key of the job's meta, whatever the job is doing, and leaves its other keys. Python's
        /// `Job.save_meta`.
        ///
        /// Of two that set keys at the same time neither loses its own. A job that runs keeps its own copy of the meta,
        /// which it read when it began and writes whole with [each save](crate::Context::set_meta): what is set from
        /// outside while it runs stays until its next save, and is lost then. So does Python's. Fails with
        /// [`Error::NoSuchJob`] where the job is gone, and brings none back.
        pub async fn set_meta(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
            let value = Value::from_serialize(&value)?;
            for _ in 0..META_ATTEMPTS_MAX {
                let job = self.job().await?.ok_or_else(|| no_such_job(&self.id))?;
                let read = job.meta.as_deref().unwrap_or_default();
                let step =
                    steps::management::write_meta(&self.keys, &self.id, read, &with_key(&job, key, &value)?);
                match self.link.run(&step).await? {
                    Written::Done => return Ok(()),
                    Written::NoJob => return Err(no_such_job(&self.id)),
                    Written::Changed => {}
                }
            }
            Err(Error::MetaNotSaved(
                "others have written it again and again while this was read and changed".into(),
            ))
        }

        /// How the job's runs ended, newest first: as many as are kept, about ten. Python's workers keep none for runs
        /// that were retried after an error.
        pub async fn results(&self) -> Result<Vec<JobResult>, Error> {
            self.link.run(&steps::job::results(&self.keys, &self.id, RESULTS_MAX)).await
        }

        /// The ids of the jobs that wait for it, sorted.
        pub async fn dependents(&self) -> Result<Vec<String>, Error> {
            let ids = [self.id.clone()];
            Ok(self.link.run(&steps::job::dependents(&self.keys, &ids)).await?.pop().unwrap_or_default())
        }

        /// The ids of the jobs it waits for or has waited for, sorted. Jobs that had ended when it was enqueued are not
        /// among them; [`Job::dependency_ids`](crate::Job) has all.
        pub async fn dependencies(&self) -> Result<Vec<String>, Error> {
            let ids = [self.id.clone()];
            Ok(self.link.run(&steps::job::dependencies(&self.keys, &ids)).await?.pop().unwrap_or_default())
        }
    }
}

/// The job's meta with one key set, in the codec that the job is written in.
fn with_key(job: &Job, key: &str, value: &Value) -> Result<Vec<u8>, Error> {
    let Value::Dict(mut entries) = job.meta()? else {
        return Err(CodecError::Shape { wanted: "a dict as meta" }.into());
    };
    let key = Value::Str(key.to_owned());
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value.clone(),
        None => entries.push((key, value.clone())),
    }
    let codec = match job.meta.as_deref() {
        // What reads the meta that is there reads the new one.
        Some(meta) if !meta.is_empty() => Codec::detect_value(meta),
        _ => job.inflated().and_then(|inflated| Codec::detect(&inflated)).unwrap_or_default(),
    };
    Ok(codec.encode_value(&Value::Dict(entries))?)
}

fn no_such_job(id: &str) -> Error {
    Error::NoSuchJob { job_id: id.to_owned() }
}

/// Whether dependents are left to release.
fn check_canceled(id: &str, canceled: Canceled) -> Result<bool, Error> {
    match canceled {
        Canceled::Done => Ok(false),
        Canceled::DependentsLeft => Ok(true),
        Canceled::Already => Err(Error::AlreadyCanceled { job_id: id.to_owned() }),
        Canceled::NoJob => Err(Error::NoSuchJob { job_id: id.to_owned() }),
    }
}

/// The name of the worker that runs the job; an error where none does.
fn check_runner(id: &str, runner: Runner) -> Result<String, Error> {
    match runner {
        Runner::Worker(name) => Ok(name),
        Runner::Nobody(status) => Err(Error::NotRunning { job_id: id.to_owned(), status }),
        Runner::NoJob => Err(Error::NoSuchJob { job_id: id.to_owned() }),
    }
}
