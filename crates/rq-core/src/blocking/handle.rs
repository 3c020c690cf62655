//! [`JobHandle`]: cancel, delete, requeue, stop; and what surrounds a job.

use std::sync::Arc;

use super::JobHandle;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::family::Family;
use crate::handle::{RESULTS_MAX, check_canceled, check_runner};
use crate::result::JobResult;
use crate::steps;
use crate::steps::job::{Cursor, FETCHED_PER_ROUND_TRIP_MAX, Release};
use crate::steps::management::{Deleted, Ended, Requeued};

impl<T> JobHandle<T> {
    /// Calls the job off. One that waits is not started any more. One that runs has lost its outcome, and our workers ask
    /// it to end; Python's run it to its end. One that has ended is canceled too, as in RQ, and keeps its result.
    ///
    /// Jobs that wait for it go on waiting: see [`cancel_with`](JobHandle::cancel_with). Fails with
    /// [`Error::AlreadyCanceled`] or [`Error::NoSuchJob`].
    pub fn cancel(&self) -> Result<(), Error> {
        self.cancel_with(Cancel::default())
    }

    /// [`cancel`](JobHandle::cancel), with what is to be done with other jobs.
    pub fn cancel_with(&self, how: Cancel) -> Result<(), Error> {
        let step = steps::management::cancel(&self.keys, &self.id, how);
        match check_canceled(&self.id, self.link.take(&step)?)? {
            true => self.release_rest(Release::Past),
            false => Ok(()),
        }
    }

    /// Deletes the job, whatever it is doing, with its results: it is in no book any more, and what runs it has lost its
    /// outcome. Jobs that wait for it wait for it no longer. Does nothing where the job is gone.
    pub fn delete(&self) -> Result<(), Error> {
        self.delete_each(std::slice::from_ref(&self.id))
    }

    /// Deletes the job with all that wait for it, directly or through others, [as `delete` does](JobHandle::delete).
    ///
    /// Those go first, so that none is queued. Fails with [`Error::TooManyDependents`] where there are more than 100,000.
    pub fn delete_with_dependents(&self) -> Result<(), Error> {
        let mut family = Family::of(&self.id);
        loop {
            let ids = family.next(FETCHED_PER_ROUND_TRIP_MAX);
            if ids.is_empty() {
                return self.delete_each(&family.dependents_first());
            }
            family.add(self.link.take(&steps::job::dependents(&self.keys, &ids))?)?;
        }
    }

    fn delete_each(&self, ids: &[String]) -> Result<(), Error> {
        for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
            let deleted = self.link.take(&steps::management::delete(&self.keys, ids))?;
            let unfinished =
                ids.iter().zip(deleted).filter(|(_, deleted)| *deleted == Deleted::DependentsLeft);
            for (id, _) in unfinished {
                let job = JobHandle::<()>::new(Arc::clone(&self.link), self.keys.clone(), id);
                job.release_rest(Release::Discarded)?;
            }
        }
        Ok(())
    }

    /// Releases the dependents that an earlier step has left.
    pub(crate) fn release_rest(&self, why: Release) -> Result<(), Error> {
        let mut cursor = Cursor::default();
        while let Some(next) = self.link.take(&steps::job::release(&self.keys, &self.id, &cursor, why))? {
            cursor = next;
        }
        Ok(())
    }

    /// Puts a job that failed, was stopped or has finished at the tail of its queue again. Its results stay.
    ///
    /// Fails with [`Error::NotRequeued`] where it is in neither registry, and with [`Error::NoSuchJob`].
    pub fn requeue(&self) -> Result<(), Error> {
        self.requeue_to(false)
    }

    /// [`requeue`](JobHandle::requeue) at the head.
    pub fn requeue_at_front(&self) -> Result<(), Error> {
        self.requeue_to(true)
    }

    fn requeue_to(&self, at_front: bool) -> Result<(), Error> {
        let ids = [self.id.clone()];
        let step = steps::management::requeue(&self.keys, Ended::OfRecord, at_front, &ids);
        match self.link.take(&step)?.as_slice() {
            [Requeued::Done] => Ok(()),
            [Requeued::NoJob] => Err(Error::NoSuchJob { job_id: self.id.clone() }),
            _ => Err(Error::NotRequeued { job_id: self.id.clone(), status: self.status()? }),
        }
    }

    /// Asks the worker that runs the job to stop it; the job is then filed as stopped. Whether that worker listens.
    ///
    /// Returns as soon as the worker has been asked. Fails with [`Error::NotRunning`] or [`Error::NoSuchJob`].
    pub fn stop(&self) -> Result<bool, Error> {
        let runner = self.link.take(&steps::management::runner(&self.keys, &self.id))?;
        let worker = check_runner(&self.id, runner)?;
        self.link.take(&steps::management::stop(&self.keys, &worker, &self.id)?)
    }

    /// How its runs ended, newest first: as many as are kept, about ten. Runs that were retried after an error are not
    /// among them.
    pub fn results(&self) -> Result<Vec<JobResult>, Error> {
        self.link.take(&steps::job::results(&self.keys, &self.id, RESULTS_MAX))
    }

    /// The ids of the jobs that wait for it, sorted.
    pub fn dependents(&self) -> Result<Vec<String>, Error> {
        let ids = [self.id.clone()];
        Ok(self.link.take(&steps::job::dependents(&self.keys, &ids))?.pop().unwrap_or_default())
    }

    /// The ids of the jobs it waits for or has waited for, sorted. Jobs that had ended when it was enqueued are not among
    /// them; [`Job::dependency_ids`](crate::Job) has all.
    pub fn dependencies(&self) -> Result<Vec<String>, Error> {
        let ids = [self.id.clone()];
        Ok(self.link.take(&steps::job::dependencies(&self.keys, &ids))?.pop().unwrap_or_default())
    }
}
