//! [`Group`](asynchronous::Group): jobs under one name, and jobs that run when all of them have ended.
//!
//! `both_fronts` makes the blocking one of it.

use crate::error::Error;
use crate::job::Job;
use crate::status::Status;
use crate::steps::group::Awaited;

#[rq_macros::both_fronts]
pub(crate) mod asynchronous {
    use std::collections::BTreeSet;
    use std::fmt;

    use super::{GroupStatus, check_awaited, check_waits_for_none};
    use crate::call::Call;
    use crate::enqueue_middleware::Passage;
    use crate::error::Error;
    use crate::handle::asynchronous::JobHandle;
    use crate::job::Job;
    use crate::keys::check_group_name;
    use crate::queue::asynchronous::Queue;
    use crate::queue::unconfirmed_job;
    use crate::status::Status;
    use crate::steps;
    use crate::steps::job::{Cursor, FETCHED_PER_ROUND_TRIP_MAX};

    /// Jobs under one name, which is known in all of a Redis: a batch, of which one asks how far it is, and after which
    /// something is to be done. Python's `Group`.
    ///
    /// Cloning is cheap and shares the connection. A group is there as long as it has a job: there is nothing to create,
    /// and jobs whose records are gone leave it by themselves, with the workers' maintenance.
    ///
    /// ```no_run
    /// # async fn example(queue: rq_core::Queue) -> Result<(), rq_core::Error> {
    /// use rq_core::Call;
    /// let pages = queue.group("report-2026")?;
    /// pages.enqueue_many((1..=100).map(|page| Call::<()>::to("reports.render").arg(page))).await?;
    /// // Runs once, when every page has been rendered or has failed.
    /// pages.on_complete(Call::<()>::to("reports.bind").arg("report-2026")).await?;
    /// println!("{}", pages.status().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Clone)]
    pub struct Group {
        /// Whose jobs join the group.
        queue: Queue,
    }

    impl Queue {
        /// The group of this name, whose jobs go into this queue; others of its jobs may be in other queues. Nothing is
        /// asked or written: whether there are such jobs says [`Group::exists`].
        ///
        /// Fails with [`Error::Name`] where the name is empty or longer than 200 bytes, holds braces or control characters,
        /// or begins or ends in white space.
        pub fn group(&self, name: &str) -> Result<Group, Error> {
            check_group_name(name)?;
            Ok(Group { queue: self.of_group(name) })
        }

        /// A group with a name that no other has.
        pub fn new_group(&self) -> Group {
            Group { queue: self.of_group(&uuid::Uuid::new_v4().simple().to_string()) }
        }

        /// The names of all groups of this Redis, sorted (`SMEMBERS`). One may be among them whose jobs are all gone, until
        /// the workers' next maintenance. Python's `Group.all`.
        pub async fn groups(&self) -> Result<Vec<String>, Error> {
            self.link.run(&steps::group::names(&self.keys)).await
        }
    }

    impl Group {
        /// Its name.
        pub fn name(&self) -> &str {
            let Group { queue: Queue { group, .. } } = self;
            group
        }

        /// Enqueues one call, whose job joins the group. All else is as with [`Queue::enqueue`](crate::Queue::enqueue).
        pub async fn enqueue<T>(&self, call: Call<T>) -> Result<JobHandle<T>, Error> {
            self.queue.enqueue(call).await
        }

        /// Enqueues many calls, whose jobs join the group, as [`Queue::enqueue_many`](crate::Queue::enqueue_many) does:
        /// in order, and each job is in the group from the moment on in which it is in the queue.
        ///
        /// A job that is there already, under the id of a call, stays in the group in which it is.
        pub async fn enqueue_many<T>(
            &self,
            calls: impl IntoIterator<Item = Call<T>>,
        ) -> Result<Vec<JobHandle<T>>, Error> {
            self.queue.enqueue_many(calls).await
        }

        /// Has a job run, once, when all jobs have ended that are in the group now, or join it until then. Its receipt.
        ///
        /// A job has ended when it has finished or failed and will not run again, was stopped, canceled or deleted, or when
        /// its record has expired. One that is requeued before the others have ended is waited for once more; one that is
        /// requeued afterwards changes nothing. So a group of nobody has ended: then the job is queued at once.
        ///
        /// Until then the job is deferred, in this group's queue, whichever queue its call names: it can be looked at,
        /// canceled and deleted as any. It may not depend on other jobs, have a pace, or be unique; the same call with the
        /// same [`job_id`](Call::job_id) is one job as it is. Its `ttl` counts from when it is queued.
        ///
        /// The script that ends the last job lets it go on. What Python's workers end, and what expires, a worker finds that
        /// looks every 10 s, or in a large group every second for 100 jobs that have not ended (docs/groups.md).
        ///
        /// # Errors
        /// As [`Queue::enqueue`](crate::Queue::enqueue); [`Error::Option`] where the call depends on others, or 16 jobs wait
        /// for the group's end already. Should this fail after the job was written, as its connection breaks for good,
        /// workers go on with it after 10 minutes; calling it anew before that with the same [`Call::job_id`] goes on at once.
        pub async fn on_complete<T>(&self, call: Call<T>) -> Result<JobHandle<T>, Error> {
            let queue = self.queue.of_group("");
            // Nobody would run it: there is no worker.
            if queue.inline.is_some() && self.status().await?.is_complete() {
                return queue.enqueue(call).await;
            }
            let mut passage = queue.passage();
            let enqueued = self.enqueue_on_complete(&queue, &mut passage, call).await;
            passage.end_one(&enqueued);
            enqueued
        }

        async fn enqueue_on_complete<T>(
            &self,
            queue: &Queue,
            passage: &mut Passage<'_>,
            call: Call<T>,
        ) -> Result<JobHandle<T>, Error> {
            let call = passage.pass(call)?;
            call.check_can_wait_for_group()?;
            let at_front = call.is_at_front();
            let mut job = queue.job_of(call)?;
            passage.made(&job);
            check_waits_for_none(&job)?;
            job.status = Status::Deferred;
            job.after_group = Some(self.name().to_owned());
            job.enqueue_at_front = at_front.then_some(true);
            self.declare(&job).await.map_err(|error| unconfirmed_job(error, &job.id))?;
            Ok(self.queue.handle(&job.id))
        }

        /// Writes `job`, notes the members that have not ended, and lets the group end if there are none.
        async fn declare(&self, job: &Job) -> Result<(), Error> {
            let (link, keys, name) = (&self.queue.link, &self.queue.keys, self.name());
            let awaited = link.run(&steps::group::await_group(keys, name, job)).await?;
            if !check_awaited(&job.id, awaited)? {
                return Ok(());
            }
            let mut at = Some(Cursor::default());
            while let Some(cursor) = at {
                at = link.run(&steps::group::note_open(keys, name, &job.id, &cursor)).await?.next;
            }
            link.run(&steps::group::let_end(keys, name, &job.id)).await?;
            Ok(())
        }

        /// The ids of the jobs that wait for the group's end, sorted: those of [`on_complete`](Group::on_complete).
        pub async fn waiting_for_end(&self) -> Result<Vec<String>, Error> {
            let (link, keys) = (&self.queue.link, &self.queue.keys);
            let ids = link.run(&steps::group::ends(keys, self.name())).await?;
            let statuses = link.run(&steps::group::statuses(keys, &ids)).await?;
            let waiting = ids.into_iter().zip(statuses);
            Ok(waiting.filter(|(_, status)| *status == Some(Status::Deferred)).map(|(id, _)| id).collect())
        }

        /// Whether there are jobs in it, or have been a short while ago. Where Python's `Group.fetch` fails.
        pub async fn exists(&self) -> Result<bool, Error> {
            Ok(self.len().await? > 0)
        }

        /// How many jobs it has (`SCARD`), with those whose records are gone and that maintenance has not taken out yet.
        pub async fn len(&self) -> Result<usize, Error> {
            self.queue.link.run(&steps::group::len(&self.queue.keys, self.name())).await
        }

        /// Whether it has none.
        pub async fn is_empty(&self) -> Result<bool, Error> {
            Ok(self.len().await? == 0)
        }

        /// The ids of its jobs, sorted; one round trip for each 500 or so.
        pub async fn job_ids(&self) -> Result<Vec<String>, Error> {
            // A set is walked in no order, and may give an id twice.
            let mut ids = BTreeSet::new();
            let mut at = Some(Cursor::default());
            while let Some(cursor) = at {
                let step = steps::group::members(&self.queue.keys, self.name(), &cursor);
                let page = self.queue.link.run(&step).await?;
                ids.extend(page.found);
                at = page.next;
            }
            Ok(ids.into_iter().collect())
        }

        /// Its jobs, sorted by id, one round trip for each 500. Ids whose job is gone are left out; a record that cannot be
        /// read is an error. Python's `Group.get_jobs`, which also takes those ids out of the group.
        pub async fn jobs(&self) -> Result<Vec<Job>, Error> {
            let ids = self.job_ids().await?;
            let mut jobs = Vec::with_capacity(ids.len());
            for job in self.queue.fetch_jobs(&ids).await? {
                jobs.extend(job?);
            }
            Ok(jobs)
        }

        /// How many of its jobs are in which status; one round trip for each 500.
        pub async fn status(&self) -> Result<GroupStatus, Error> {
            let mut status = GroupStatus::default();
            for ids in self.job_ids().await?.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                let statuses = self.queue.link.run(&steps::group::statuses(&self.queue.keys, ids)).await?;
                status.extend(statuses);
            }
            Ok(status)
        }

        /// Takes the id of a job out of the group, and says whether it was there (`SREM`). Python's `Group.delete_job`.
        ///
        /// As in Python, the job itself stays as it is; whoever waits for the group's end already, waits for it, too.
        pub async fn remove(&self, job_id: &str) -> Result<bool, Error> {
            let step = steps::group::remove(&self.queue.keys, self.name(), job_id);
            self.queue.link.run(&step).await
        }

        /// Deletes the group with all its jobs, whatever they are doing, [as each one's `delete`
        /// does](crate::JobHandle::delete). How many they were.
        ///
        /// The group has ended then, and the jobs go on that [wait for its end](Group::on_complete), unless they are canceled
        /// or deleted first. Jobs that join the group meanwhile may stay. Python has no such method.
        pub async fn delete(&self) -> Result<usize, Error> {
            let ids = self.job_ids().await?;
            self.queue.handle::<()>("").delete_each(&ids).await?;
            let mut at = Some(Cursor::default());
            while let Some(cursor) = at {
                let step = steps::group::tidy(&self.queue.keys, self.name().as_bytes(), &cursor);
                at = self.queue.link.run(&step).await?.next;
            }
            Ok(ids.len())
        }
    }

    impl fmt::Debug for Group {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Group")
                .field("name", &self.name())
                .field("queue", &self.queue.name())
                .finish_non_exhaustive()
        }
    }
}

/// How many jobs of a group are in which status.
///
/// As text `100 jobs: 3 queued, 1 started, 96 finished`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStatus {
    /// By the place of their status in `Status::ALL`.
    counts: [usize; Status::ALL.len()],
    gone: usize,
}

impl Extend<Option<Status>> for GroupStatus {
    /// Adds jobs by their status; `None` is one that is gone.
    fn extend<I: IntoIterator<Item = Option<Status>>>(&mut self, statuses: I) {
        for status in statuses {
            let place = status.and_then(|status| Status::ALL.iter().position(|known| *known == status));
            match place {
                Some(place) => self.counts[place] += 1,
                None => self.gone += 1,
            }
        }
    }
}

impl GroupStatus {
    /// How many jobs are in `status`.
    pub fn count(&self, status: Status) -> usize {
        Status::ALL
            .iter()
            .zip(self.counts)
            .filter(|(known, _)| **known == status)
            .map(|(_, count)| count)
            .sum()
    }

    /// The statuses that a job is in, with how many are, in the order of [`Status::ALL`].
    pub fn counts(&self) -> impl Iterator<Item = (Status, usize)> {
        Status::ALL.iter().copied().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// How many jobs there are.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many of them have not ended: they wait or run.
    pub fn open(&self) -> usize {
        self.counts().filter(|(status, _)| !status.is_terminal()).map(|(_, count)| count).sum()
    }

    /// How many ids there are whose job is gone, or cannot be read.
    pub fn gone(&self) -> usize {
        self.gone
    }

    /// Whether all have ended, well or not; also where there are none.
    pub fn is_complete(&self) -> bool {
        self.open() == 0
    }
}

impl std::fmt::Display for GroupStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.total();
        write!(f, "{total} {}", if total == 1 { "job" } else { "jobs" })?;
        for (place, (status, count)) in self.counts().enumerate() {
            write!(f, "{} {count} {status}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// The job waits for a group's end alone: those who wait for other jobs are released by the end of these.
fn check_waits_for_none(job: &Job) -> Result<(), Error> {
    match job.dependency_ids.as_deref() {
        None | Some([]) => Ok(()),
        Some(_) => Err(Error::Option {
            option: "depends_on",
            reason: "a job that waits for a group's end can wait for no other; let it enqueue what follows",
        }),
    }
}

/// Whether the job waits now, and the members are to be noted.
fn check_awaited(id: &str, awaited: Awaited) -> Result<bool, Error> {
    match awaited {
        Awaited::Waits => Ok(true),
        Awaited::WentOn => Ok(false),
        Awaited::TooMany => Err(Error::Option {
            option: "on_complete",
            reason: "16 jobs wait for the group's end already; let one of them enqueue the others",
        }),
        Awaited::Taken(status) => Err(Error::JobExists { job_id: id.to_owned(), status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::group::ENDS_MAX;

    #[test]
    fn a_status_counts_and_says_so() {
        let mut status = GroupStatus::default();
        assert!(status.is_complete());
        assert_eq!(status.to_string(), "0 jobs");
        status.extend([Some(Status::Finished), None, Some(Status::Queued), Some(Status::Finished)]);
        assert_eq!((status.total(), status.open(), status.gone()), (3, 1, 1));
        assert_eq!((status.count(Status::Finished), status.count(Status::Failed)), (2, 0));
        assert_eq!(status.to_string(), "3 jobs: 1 queued, 2 finished");
        assert!(!status.is_complete());
    }

    #[test]
    fn the_refusal_names_the_most_ends() {
        let refused = check_awaited("a", Awaited::TooMany).unwrap_err().to_string();
        assert!(refused.contains(&format!("{ENDS_MAX} jobs")), "{refused}");
    }
}
