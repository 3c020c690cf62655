//! The fronts for programs without a runtime: the same methods as [`Queue`](crate::Queue),
//! [`JobHandle`](crate::JobHandle) and [`Registry`](crate::Registry), over the same steps.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use rq_wire::Codec;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::dependency::parents_first;
use crate::error::Error;
use crate::handle::{Look, READ_LONGEST, Wait, value_of};
use crate::handlers::Handlers;
use crate::inline::Inline;
use crate::job::Job;
use crate::keys::{Keys, check_queue_name};
use crate::link::BlockingLink;
use crate::queue::{
    FETCHED_PER_ROUND_TRIP_MAX, all_enqueued, begins_inline, unconfirmed, with_due, with_place,
};
use crate::result::{JobResult, ResultKind};
use crate::status::Status;
use crate::steps;
use crate::steps::job::{Latest, Release};
use crate::steps::queue::{EMPTIED_PER_SCRIPT_MAX, JOBS_PER_ROUND_TRIP_MAX, Place};
use crate::steps::settlement::Settling;
use crate::time::Timestamp;

mod handle;
mod queue;
mod registry;

pub use registry::Registry;

/// [`Queue`](crate::Queue) without async.
///
/// ```no_run
/// # fn example() -> Result<(), rq_core::Error> {
/// use rq_core::{blocking::Queue, secs, Call};
/// let queue = Queue::connect("redis://127.0.0.1/", "default")?;
/// let job = queue.enqueue(Call::<f64>::to("reports.monthly").arg(2026))?;
/// println!("{} gave {}", job.id(), job.wait(secs(5))?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Queue {
    link: Arc<BlockingLink>,
    keys: Keys,
    name: Arc<str>,
    codec: Codec,
    inline: Option<Arc<Inline>>,
}

impl Queue {
    /// Connects to the Redis at `url` for the queue `name`. Fails within seconds where Redis does not answer.
    pub fn connect(url: &str, name: &str) -> Result<Queue, Error> {
        check_queue_name(name)?;
        Queue::over(Arc::new(BlockingLink::open(url)?), name)
    }

    /// The queue `name` over a connection that is there.
    pub fn over(link: Arc<BlockingLink>, name: &str) -> Result<Queue, Error> {
        check_queue_name(name)?;
        Ok(Queue { link, keys: Keys::from_env()?, name: name.into(), codec: Codec::default(), inline: None })
    }

    /// Another queue over the same connection, with the same settings.
    pub fn named(&self, name: &str) -> Result<Queue, Error> {
        check_queue_name(name)?;
        Ok(Queue { name: name.into(), ..self.clone() })
    }

    /// Writes payloads in `codec` from now on; [`Codec::Json`] unless told.
    pub fn codec(mut self, codec: Codec) -> Queue {
        self.codec = codec;
        self
    }

    /// Uses `keys` instead of those that `RQ_KEY_PREFIX` names.
    pub fn keys(mut self, keys: Keys) -> Queue {
        self.keys = keys;
        self
    }

    /// Runs jobs here, as they are enqueued: RQ's `is_async=False`. Async handlers need the async queue.
    pub fn inline(mut self, handlers: Handlers) -> Queue {
        self.inline = Some(Arc::new(Inline::new(handlers)));
        self
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Enqueues one call. The job is in Redis when this returns.
    pub fn enqueue<T>(&self, call: Call<T>) -> Result<JobHandle<T>, Error> {
        if let Some(inline) = &self.inline {
            return self.run_inline(inline, call);
        }
        self.enqueue_one(with_place(call, &self.name, self.codec)?)
    }

    /// Enqueues one call when `due` has come: a worker with a scheduler moves it into the queue then, within a second or
    /// so. In the past means at once. It does not wait for the jobs it depends on, as in RQ.
    pub fn enqueue_at<T>(&self, due: impl Into<Timestamp>, call: Call<T>) -> Result<JobHandle<T>, Error> {
        self.enqueue_one(with_due(call, &self.name, self.codec, due.into())?)
    }

    /// Enqueues one call after `delay`, in whole seconds: [`enqueue_at`](Queue::enqueue_at) counted from now.
    pub fn enqueue_in<T>(&self, delay: Duration, call: Call<T>) -> Result<JobHandle<T>, Error> {
        self.enqueue_at(Timestamp::now().after(delay), call)
    }

    fn enqueue_one<T>(&self, job: (Job, Place)) -> Result<JobHandle<T>, Error> {
        let id = job.0.id.clone();
        self.send(&[job])?;
        Ok(self.handle(&id))
    }

    /// Enqueues many calls in one round trip for each 10,000, in order. They may depend on each other, in any order.
    ///
    /// Nothing is sent if one of the calls cannot be written. If one's id is taken by another job, the others are
    /// enqueued all the same.
    pub fn enqueue_many<T>(
        &self,
        calls: impl IntoIterator<Item = Call<T>>,
    ) -> Result<Vec<JobHandle<T>>, Error> {
        if let Some(inline) = &self.inline {
            return calls.into_iter().map(|call| self.run_inline(inline, call)).collect();
        }
        let jobs = calls.into_iter().map(|call| with_place(call, &self.name, self.codec));
        let jobs = jobs.collect::<Result<Vec<_>, Error>>()?;
        let handles = jobs.iter().map(|(job, _)| self.handle(&job.id)).collect();
        self.send(&parents_first(jobs)?)?;
        Ok(handles)
    }

    fn send(&self, jobs: &[(Job, Place)]) -> Result<(), Error> {
        let mut first_taken = Ok(());
        for batch in jobs.chunks(JOBS_PER_ROUND_TRIP_MAX) {
            let step = steps::queue::enqueue(&self.keys, &self.name, batch);
            let enqueued = self.link.take(&step).map_err(|error| unconfirmed(error, batch))?;
            first_taken = first_taken.and(all_enqueued(batch, enqueued));
        }
        first_taken
    }

    fn run_inline<T>(&self, inline: &Inline, call: Call<T>) -> Result<JobHandle<T>, Error> {
        let run = inline.begin(call.into_job(&self.name, self.codec)?);
        let job = run.as_enqueued();
        let enqueue = steps::queue::enqueue(&self.keys, &self.name, &job);
        let enqueued = self.link.take(&enqueue)?;
        let begins = begins_inline(&enqueued);
        all_enqueued(&job, enqueued)?;
        if begins {
            let settle = steps::settlement::settle(&self.keys, None, &[run.run()]);
            if self.link.take(&settle)? == [Settling::DependentsLeft] {
                self.handle::<T>(run.job_id()).release_rest(Release::Ended)?;
            }
        }
        Ok(self.handle(run.job_id()))
    }

    /// The receipt for a job of any queue of this Redis, by its id.
    pub fn handle<T>(&self, id: &str) -> JobHandle<T> {
        JobHandle::new(Arc::clone(&self.link), self.keys.clone(), id)
    }

    /// How many jobs wait.
    pub fn len(&self) -> Result<usize, Error> {
        self.link.take(&steps::queue::len(&self.keys, &self.name))
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// The ids of all jobs that wait, next one first.
    pub fn job_ids(&self) -> Result<Vec<String>, Error> {
        self.job_ids_page(0, usize::MAX)
    }

    /// The ids of at most `count` waiting jobs from the place `offset` on, next one first.
    pub fn job_ids_page(&self, offset: usize, count: usize) -> Result<Vec<String>, Error> {
        self.link.take(&steps::queue::job_ids(&self.keys, &self.name, offset, count))
    }

    /// All jobs that wait, next one first. Ids whose job is gone are left out; a record that cannot be read is an
    /// error.
    pub fn jobs(&self) -> Result<Vec<Job>, Error> {
        let ids = self.job_ids()?;
        let mut jobs = Vec::with_capacity(ids.len());
        for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
            let hashes = self.link.take(&steps::job::fetch_fields(&self.keys, ids))?;
            for (id, fields) in ids.iter().zip(hashes) {
                jobs.extend(steps::job::read_job(id, fields)?);
            }
        }
        Ok(jobs)
    }

    /// The job `id`, whichever queue it belongs to; `None` where there is none.
    pub fn fetch_job(&self, id: &str) -> Result<Option<Job>, Error> {
        self.handle::<()>(id).job()
    }

    /// Removes all waiting jobs, with their records, and tells how many they were.
    pub fn empty(&self) -> Result<usize, Error> {
        self.remove_all(false)
    }

    /// Removes all waiting jobs and the queue itself; tells how many jobs they were.
    pub fn delete(&self) -> Result<usize, Error> {
        self.remove_all(true)
    }

    /// Ends when a call finds less than it may remove: producers that are faster than that keep it busy.
    fn remove_all(&self, delete: bool) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let step = steps::queue::empty(&self.keys, &self.name, delete);
            let count = self.link.take(&step)?;
            removed += count;
            if count < EMPTIED_PER_SCRIPT_MAX {
                return Ok(removed);
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// [`JobHandle`](crate::JobHandle) without async.
pub struct JobHandle<T> {
    link: Arc<BlockingLink>,
    keys: Keys,
    id: String,
    yields: PhantomData<fn() -> T>,
}

impl<T> JobHandle<T> {
    fn new(link: Arc<BlockingLink>, keys: Keys, id: &str) -> JobHandle<T> {
        JobHandle { link, keys, id: id.to_owned(), yields: PhantomData }
    }

    /// The job's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the job is; `None` once it is gone.
    pub fn status(&self) -> Result<Option<Status>, Error> {
        Ok(self.latest()?.status)
    }

    /// The whole record; `None` once it is gone.
    pub fn job(&self) -> Result<Option<Job>, Error> {
        let ids = [self.id.clone()];
        let mut hashes = self.link.take(&steps::job::fetch_fields(&self.keys, &ids))?;
        steps::job::read_job(&self.id, hashes.pop().unwrap_or_default())
    }

    /// How the newest run ended; `None` where none has, or its result has expired.
    pub fn latest_result(&self) -> Result<Option<JobResult>, Error> {
        Ok(self.latest()?.result.map(|(_, result)| result))
    }

    fn latest(&self) -> Result<Latest, Error> {
        self.link.take(&steps::job::latest(&self.keys, &self.id))
    }
}

impl<T: DeserializeOwned> JobHandle<T> {
    /// The value of the newest run, if that ended with one.
    pub fn result(&self) -> Result<Option<T>, Error> {
        self.latest_result()?.filter(|result| result.kind == ResultKind::Successful).map(value_of).transpose()
    }

    /// Waits until the job has ended, and gives its value. See [`JobHandle::wait`](crate::JobHandle::wait).
    pub fn wait(&self, longest: Duration) -> Result<T, Error> {
        let mut wait = Wait::new(&self.id, longest);
        let mut connection = None;
        loop {
            let pause = match wait.look(self.latest()?)? {
                Look::Ended(result) => return value_of(result),
                Look::Pause(pause) => pause,
            };
            let connection = match &mut connection {
                Some(connection) => connection,
                None => connection.insert(self.link.waiting_connection(READ_LONGEST)?),
            };
            let cmd =
                steps::job::wait_for_result(&self.keys, &self.id, &wait.after, pause.as_millis() as u64);
            cmd.query::<redis::Value>(connection)?;
        }
    }
}

impl<T> Clone for JobHandle<T> {
    fn clone(&self) -> JobHandle<T> {
        JobHandle::new(Arc::clone(&self.link), self.keys.clone(), &self.id)
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobHandle").field(&self.id).finish()
    }
}
