//! [`Queue`](asynchronous::Queue): where calls go.
//!
//! `both_fronts` makes the blocking one of it.

use std::pin::Pin;

use rq_wire::Codec;

use crate::call::{Call, Defaults};
use crate::context::Context;
use crate::error::Error;
use crate::job::Job;
use crate::status::Status;
use crate::steps::queue::{Enqueued, Place};
use crate::time::Timestamp;

mod limits;
mod management;
mod workers;

/// Names the codec of all queues that are not told another.
const SERIALIZER_VARIABLE: &str = "RQ_SERIALIZER";

#[rq_macros::both_fronts]
pub(crate) mod asynchronous {
    use std::sync::Arc;

    use super::{
        begins_inline, check_enqueued, check_is_not_unique, codec_from_env, queued_at, unconfirmed, with_due,
    };
    use crate::call::{Call, Defaults};
    use crate::dependency::parents_first;
    use crate::enqueue_middleware::{EnqueueMiddleware, Passage};
    use crate::error::Error;
    use crate::front::asynchronous::{SharedLink, open};
    use crate::handle::asynchronous::JobHandle;
    use crate::handlers::Handlers;
    use crate::inline::Inline;
    use crate::job::{Job, Timeout};
    use crate::keys::{Keys, check_queue_name};
    use crate::link::Step;
    use crate::steps;
    use crate::steps::job::{FETCHED_PER_ROUND_TRIP_MAX, Release};
    use crate::steps::queue::{EMPTIED_PER_SCRIPT_MAX, Enqueued, JOBS_PER_ROUND_TRIP_MAX, Place, UniqueBy};
    use crate::steps::settlement::SettleReply;
    use crate::time::{TimeSpan, Timestamp};
    use crate::ttl::whole_seconds;
    use rq_wire::Codec;

    /// Where calls go: a named queue in one Redis.
    ///
    /// Cloning is cheap and shares the connection. Keys begin with `rq:` or with what `RQ_KEY_PREFIX` says.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), rq_core::Error> {
    /// use rq_core::Queue;
    /// use rq_core::{secs, Call};
    /// let queue = Queue::connect("redis://127.0.0.1/", "default").await?;
    /// let job = queue.enqueue(Call::<f64>::to("reports.monthly").arg(2026)).await?;
    /// println!("{} gave {}", job.id(), job.wait(secs(5)).await?);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Clone)]
    pub struct Queue {
        pub(crate) link: SharedLink,
        pub(crate) keys: Keys,
        pub(crate) name: Arc<str>,
        /// The group that its jobs join; empty for none.
        pub(crate) group: Arc<str>,
        defaults: Defaults,
        pub(crate) inline: Option<Arc<Inline>>,
        middleware: Vec<Arc<dyn EnqueueMiddleware>>,
    }

    impl Queue {
        /// Connects to the Redis at `url`, a [`RedisUrl`](crate::RedisUrl), for the queue `name`. Fails within seconds where
        /// Redis does not answer.
        pub async fn connect(url: &str, name: &str) -> Result<Queue, Error> {
            check_queue_name(name)?;
            Queue::over_shared(open(url).await?, name)
        }

        pub(super) fn over_shared(link: SharedLink, name: &str) -> Result<Queue, Error> {
            check_queue_name(name)?;
            let (name, defaults) = (name.into(), Defaults::new(codec_from_env()?));
            let (keys, group, middleware) = (Keys::from_env()?, "".into(), Vec::new());
            let queue =
                Queue { link, keys: Keys::default(), name, group, defaults, inline: None, middleware };
            Ok(queue.keys(keys))
        }

        /// Another queue over the same connection, with the same settings.
        pub fn named(&self, name: &str) -> Result<Queue, Error> {
            check_queue_name(name)?;
            Ok(Queue { name: name.into(), ..self.clone() })
        }

        /// The same queue, whose jobs join the group `name`.
        pub(crate) fn of_group(&self, name: &str) -> Queue {
            Queue { group: name.into(), ..self.clone() }
        }

        /// Writes payloads in `codec` from now on; by default in what `RQ_SERIALIZER` names, and where it names nothing in
        /// [`Codec::Pickle`], which Python's workers and tools read unless they are told otherwise.
        ///
        /// Workers read any, and answer each job in its own. [`Call::codec`] has precedence.
        pub fn codec(mut self, codec: Codec) -> Queue {
            self.defaults.codec = codec;
            self
        }

        /// How long jobs may run that neither their calls nor their declarations give a time limit, in whole seconds: RQ's
        /// `default_timeout`. By default 180 s.
        pub fn default_timeout(mut self, limit: impl Into<TimeSpan>) -> Queue {
            self.defaults.timeout = Timeout::Seconds(whole_seconds(limit.into().duration()));
            self
        }

        /// Uses `keys` instead of those that `RQ_KEY_PREFIX` names.
        pub fn keys(mut self, keys: Keys) -> Queue {
            self.link.follow_cluster(&keys);
            self.keys = keys;
            self
        }

        /// Runs jobs here, as they are enqueued, with no worker: RQ's `is_async=False`, for tests and development.
        ///
        /// The job's record and result are the same as with a worker. [`enqueue`](Queue::enqueue) returns when the job
        /// has ended, well or not. Handlers that are `async` need the async queue. Of what a program brings to its workers
        /// they have nothing else: no states, and no [`JobMiddleware`](crate::JobMiddleware).
        pub fn inline(mut self, handlers: Handlers) -> Queue {
            self.inline = Some(Arc::new(Inline::new(handlers)));
            self
        }

        /// Adds middleware around whatever is enqueued from now on, inside of that which is there, by whichever method. Queues
        /// and groups that are made of this one have it, too; queues that are not do not, such as those of
        /// [`Context::queue`](crate::Context::queue).
        pub fn middleware(mut self, middleware: impl EnqueueMiddleware + 'static) -> Queue {
            self.middleware.push(Arc::new(middleware));
            self
        }

        /// The way of calls through the middleware.
        pub(crate) fn passage(&self) -> Passage<'_> {
            Passage::new(&self.middleware, &self.name)
        }

        /// The queue's name.
        pub fn name(&self) -> &str {
            &self.name
        }

        /// Enqueues one call in this queue, whichever its declaration names. The job is in Redis when this returns.
        ///
        /// # Errors
        /// [`Error::JobExists`] where the id belongs to another job that has not ended, and of a call that is unique
        /// [`Error::Duplicate`] where its job is there: [`enqueue_unique`](Queue::enqueue_unique) gives that one.
        /// [`Error::Refused`] where [middleware](Queue::middleware) refuses it.
        pub async fn enqueue<T>(&self, call: Call<T>) -> Result<JobHandle<T>, Error> {
            let mut passage = self.passage();
            let enqueued = self.enqueue_now(&mut passage, call).await;
            passage.end_one(&enqueued);
            enqueued
        }

        async fn enqueue_now<T>(
            &self,
            passage: &mut Passage<'_>,
            call: Call<T>,
        ) -> Result<JobHandle<T>, Error> {
            let call = passage.pass(call)?;
            let by = call.unique_by(&self.name)?;
            if let Some(inline) = &self.inline {
                return self.run_inline(passage, inline, call, by).await;
            }
            self.enqueue_one(passage, self.placed(call)?, by).await
        }

        /// Enqueues one call in the queue that its declaration names, `#[job(.., queue = "low")]`, or that
        /// [`Call::queue`] does; in this one where neither does. All else is as with this queue: connection, keys, codec,
        /// default time limit, inline handlers.
        ///
        /// Of a call without further options `add::delay(&queue, 2, 3)` is short for `queue.delay(add::call(2, 3))`.
        ///
        /// # Errors
        /// As [`enqueue`](Queue::enqueue), and [`Error::Name`] for a name that no queue can have.
        pub async fn delay<T>(&self, call: Call<T>) -> Result<JobHandle<T>, Error> {
            match call.queue_name() {
                Some(name) if name != self.name() => self.named(name)?.enqueue(call).await,
                _ => self.enqueue(call).await,
            }
        }

        /// Enqueues one call when `due` has come: a worker with a scheduler moves it into the queue then, within a
        /// second or so. In the past means at once. It does not wait for the jobs it depends on, as in RQ.
        ///
        /// `due` is a `SystemTime`, a [`Timestamp`], or with the features of those names a `chrono::DateTime`, a
        /// `jiff::Timestamp`, a `jiff::Zoned` or a `time::OffsetDateTime`.
        ///
        /// ```no_run
        /// # async fn example(queue: rq_core::Queue) -> Result<(), rq_core::Error> {
        /// use std::time::SystemTime;
        /// use rq_core::{Call, hours};
        /// let job = queue.enqueue_at(SystemTime::now() + hours(2), Call::<()>::to("reports.nightly")).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub async fn enqueue_at<T>(
            &self,
            due: impl Into<Timestamp>,
            call: Call<T>,
        ) -> Result<JobHandle<T>, Error> {
            let mut passage = self.passage();
            let enqueued = self.enqueue_due(&mut passage, due.into(), call).await;
            passage.end_one(&enqueued);
            enqueued
        }

        async fn enqueue_due<T>(
            &self,
            passage: &mut Passage<'_>,
            due: Timestamp,
            call: Call<T>,
        ) -> Result<JobHandle<T>, Error> {
            let call = passage.pass(call)?;
            let by = call.unique_by(&self.name)?;
            self.enqueue_one(passage, with_due(call, &self.name, self.defaults, due)?, by).await
        }

        /// Enqueues one call after `delay`, in whole seconds: [`enqueue_at`](Queue::enqueue_at) counted from now. A
        /// `delay` of another crate's type, see [`TimeSpan`](crate::TimeSpan), that is negative is none.
        pub async fn enqueue_in<T>(
            &self,
            delay: impl Into<TimeSpan>,
            call: Call<T>,
        ) -> Result<JobHandle<T>, Error> {
            self.enqueue_at(Timestamp::now().after(delay.into().duration()), call).await
        }

        /// The job a call becomes.
        pub(crate) fn job_of<T>(&self, call: Call<T>) -> Result<Job, Error> {
            let mut job = call.into_job(&self.name, self.defaults)?;
            job.group_id = Some(self.group.to_string());
            Ok(job)
        }

        /// The same, where it goes now, and that place.
        fn placed<T>(&self, call: Call<T>) -> Result<(Job, Place), Error> {
            let (place, at_front) = (call.place_now()?, call.is_at_front());
            Ok((queued_at(&place, at_front, self.job_of(call)?), place))
        }

        fn enqueue_step(&self, job: &[(Job, Place); 1], by: Option<UniqueBy>) -> Step<Vec<Enqueued>> {
            match by {
                Some(by) => steps::queue::enqueue_unique(&self.keys, &self.name, job, &by),
                None => steps::queue::enqueue(&self.keys, &self.name, job),
            }
        }

        async fn enqueue_one<T>(
            &self,
            passage: &mut Passage<'_>,
            job: (Job, Place),
            by: Option<UniqueBy>,
        ) -> Result<JobHandle<T>, Error> {
            passage.made(&job.0);
            let job = [job];
            let step = self.enqueue_step(&job, by);
            let enqueued = self.link.run(&step).await.map_err(|error| unconfirmed(error, &job))?;
            check_enqueued(&job, enqueued, |_, _| {})?;
            Ok(self.handle(&job[0].0.id))
        }

        /// Enqueues many calls in one round trip for each 10,000, in order. They may depend on each other, in any
        /// order.
        ///
        /// Nothing is sent if one of the calls cannot be written, or [middleware](Queue::middleware) refuses it. If one's id is
        /// taken by another job, the others are enqueued all the same.
        ///
        /// An inline queue runs them one after the other, up to the first that fails to be enqueued.
        ///
        /// Calls that are unique are refused: each would need an answer of its own, which
        /// [`enqueue_unique`](Queue::enqueue_unique) gives.
        pub async fn enqueue_many<T>(
            &self,
            calls: impl IntoIterator<Item = Call<T>>,
        ) -> Result<Vec<JobHandle<T>>, Error> {
            if self.inline.is_some() {
                let mut handles = Vec::new();
                for call in calls {
                    check_is_not_unique(&call)?;
                    handles.push(self.enqueue(call).await?);
                }
                return Ok(handles);
            }
            let mut passage = self.passage();
            let jobs = calls.into_iter().map(|call| self.placed_of_many(&mut passage, call));
            let jobs = jobs.collect::<Result<Vec<_>, Error>>();
            let jobs = jobs.inspect_err(|error| passage.end_all(error, true))?;
            // Before the order changes: the caller gets them in its own.
            let handles = jobs.iter().map(|(job, _)| self.handle(&job.id)).collect();
            // A parent that is not there holds nobody back, so a dependent that is written before its parent would
            // run at once.
            let checked = passage.check_dependencies(jobs.iter().map(|(job, _)| job));
            let ordered = checked.and_then(|()| parents_first(jobs));
            let (jobs, numbers) = ordered.inspect_err(|error| passage.end_all(error, false))?;
            self.send(&passage, &jobs, &numbers).await?;
            Ok(handles)
        }

        fn placed_of_many<T>(&self, passage: &mut Passage<'_>, call: Call<T>) -> Result<(Job, Place), Error> {
            let call = passage.pass(call)?;
            check_is_not_unique(&call)?;
            let (job, place) = self.placed(call)?;
            passage.made(&job);
            Ok((job, place))
        }

        /// Sends jobs, each of the call of that number.
        async fn send(
            &self,
            passage: &Passage<'_>,
            jobs: &[(Job, Place)],
            numbers: &[usize],
        ) -> Result<(), Error> {
            let mut first_taken = Ok(());
            for (sent, batch) in jobs.chunks(JOBS_PER_ROUND_TRIP_MAX).enumerate() {
                let numbers = &numbers[sent * JOBS_PER_ROUND_TRIP_MAX..];
                let step = steps::queue::enqueue(&self.keys, &self.name, batch);
                let enqueued = self.link.run(&step).await.map_err(|error| {
                    let error = unconfirmed(error, batch);
                    numbers.iter().for_each(|number| passage.end(*number, Err(&error)));
                    error
                })?;
                // One id that is taken refuses no other job: the batches behind it are sent as well, and then the
                // first refusal is told.
                let checked =
                    check_enqueued(batch, enqueued, |place, result| passage.end(numbers[place], result));
                first_taken = first_taken.and(checked);
            }
            first_taken
        }

        async fn run_inline<T>(
            &self,
            passage: &mut Passage<'_>,
            inline: &Inline,
            call: Call<T>,
            by: Option<UniqueBy>,
        ) -> Result<JobHandle<T>, Error> {
            call.check_runs_inline()?;
            let run = inline.begin(self.job_of(call)?);
            let job = run.as_enqueued();
            passage.made(&job[0].0);
            let enqueue = self.enqueue_step(&job, by);
            let enqueued = self.link.run(&enqueue).await?;
            let begins = begins_inline(&enqueued);
            check_enqueued(&job, enqueued, |_, _| {})?;
            // One that waits for others is left to a worker, which gets it once they are over.
            if begins {
                let settle = steps::settlement::settle(&self.keys, None, &[run.run_async().await]);
                // A settlement releases one page of dependents, and here is no worker that would go on with the
                // others.
                if self.link.run(&settle).await? == [SettleReply::DependentsLeft] {
                    self.handle::<T>(run.job_id()).release_rest(Release::Ended).await?;
                }
            }
            Ok(self.handle(run.job_id()))
        }

        /// The receipt for a job of any queue of this Redis, by its id.
        pub fn handle<T>(&self, id: &str) -> JobHandle<T> {
            JobHandle::new(self.link.clone(), self.keys.clone(), id)
        }

        /// How many jobs wait.
        pub async fn len(&self) -> Result<usize, Error> {
            self.link.run(&steps::queue::len(&self.keys, &self.name)).await
        }

        /// Whether no job waits.
        pub async fn is_empty(&self) -> Result<bool, Error> {
            Ok(self.len().await? == 0)
        }

        /// The ids of all jobs that wait, next one first.
        pub async fn job_ids(&self) -> Result<Vec<String>, Error> {
            self.job_ids_page(0, usize::MAX).await
        }

        /// The ids of at most `count` waiting jobs from the place `offset` on, next one first.
        pub async fn job_ids_page(&self, offset: usize, count: usize) -> Result<Vec<String>, Error> {
            self.link.run(&steps::queue::job_ids(&self.keys, &self.name, offset, count)).await
        }

        /// All jobs that wait, next one first. Ids whose job is gone are left out; a record that cannot be read is an
        /// error.
        pub async fn jobs(&self) -> Result<Vec<Job>, Error> {
            let ids = self.job_ids().await?;
            let mut jobs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                let hashes = self.link.run(&steps::job::fetch_fields(&self.keys, ids)).await?;
                for (id, fields) in ids.iter().zip(hashes) {
                    jobs.extend(steps::job::read_job(id, fields)?);
                }
            }
            Ok(jobs)
        }

        /// The job `id`, whichever queue it belongs to; `None` where there is none.
        pub async fn fetch_job(&self, id: &str) -> Result<Option<Job>, Error> {
            self.handle::<()>(id).job().await
        }

        /// Removes all waiting jobs, with their records, and returns how many they were.
        pub async fn empty(&self) -> Result<usize, Error> {
            self.remove_all(false).await
        }

        /// Removes all waiting jobs and the queue itself; returns how many jobs they were.
        pub async fn delete(&self) -> Result<usize, Error> {
            self.remove_all(true).await
        }

        /// Ends when a call finds less than it may remove: producers that are faster than that keep it busy.
        async fn remove_all(&self, delete: bool) -> Result<usize, Error> {
            let mut removed = 0;
            loop {
                let step = steps::queue::empty(&self.keys, &self.name, delete);
                let count = self.link.run(&step).await?;
                removed += count;
                if count < EMPTIED_PER_SCRIPT_MAX {
                    return Ok(removed);
                }
            }
        }
    }

    impl std::fmt::Debug for Queue {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Queue")
                .field("name", &self.name)
                .field("codec", &self.defaults.codec)
                .finish_non_exhaustive()
        }
    }
}

/// Both fronts' queues, for what `#[job]` writes beside a function: `add::delay(&queue, 2, 3)`.
pub trait Delays {
    /// What comes of it: a future of the receipt, or the receipt.
    type Delayed<'a, T: 'a>
    where
        Self: 'a;

    /// [`Queue::delay`](crate::Queue::delay) of this front.
    fn delay_call<'a, T: 'a>(&'a self, call: Call<T>) -> Self::Delayed<'a, T>;
}

impl Delays for asynchronous::Queue {
    type Delayed<'a, T: 'a> = Pin<Box<dyn Future<Output = Result<crate::JobHandle<T>, Error>> + Send + 'a>>;

    fn delay_call<'a, T: 'a>(&'a self, call: Call<T>) -> Self::Delayed<'a, T> {
        Box::pin(self.delay(call))
    }
}

impl Delays for blocking::Queue {
    type Delayed<'a, T: 'a> = Result<crate::blocking::JobHandle<T>, Error>;

    fn delay_call<'a, T: 'a>(&'a self, call: Call<T>) -> Self::Delayed<'a, T> {
        self.delay(call)
    }
}

#[cfg(feature = "worker")]
impl asynchronous::Queue {
    /// The queue `name` over a connection that is there.
    pub fn new(link: crate::link::Link, name: &str) -> Result<asynchronous::Queue, Error> {
        asynchronous::Queue::over_shared(link, name)
    }
}

#[cfg(feature = "worker")]
impl blocking::Queue {
    /// The queue `name` over a connection that is there.
    pub fn over(
        link: std::sync::Arc<crate::link::BlockingLink>,
        name: &str,
    ) -> Result<blocking::Queue, Error> {
        blocking::Queue::over_shared(link, name)
    }
}

impl Context {
    /// A queue of the Redis that the job came from, for enqueuing more work; the payloads are in this job's codec.
    ///
    /// Its methods block, over a connection that all jobs of a process share. It has no
    /// [middleware](blocking::Queue::middleware) unless it is given some.
    pub fn queue(&self, name: &str) -> Result<blocking::Queue, Error> {
        // The connection of all jobs of the process, and blocking under `-w green` as well: a detour over a thread
        // would take as long (docs/design/threads-and-green.md).
        let (link, keys) = self.host().link()?;
        Ok(blocking::Queue::over_shared(link, name)?.keys(keys).codec(self.codec()))
    }
}

/// The codec that the environment names, as it names the prefix: a fleet whose Python runs with `-S json` says so once.
fn codec_from_env() -> Result<Codec, Error> {
    match std::env::var(SERIALIZER_VARIABLE) {
        Ok(name) if !name.is_empty() => name.parse().map_err(Error::SerializerVariable),
        _ => Ok(Codec::default()),
    }
}

/// The job as it is in that place.
fn queued_at(place: &Place, at_front: bool, mut job: Job) -> Job {
    match place {
        Place::Limited { .. } => job.status = Status::RateLimited,
        _ => {
            job.status = Status::Queued;
            job.enqueued_at = Some(Timestamp::now());
        }
    }
    if at_front && matches!(place, Place::Limited { .. } | Place::Paced { .. }) {
        // For whoever moves the job into its queue later (docs/wire.md §3).
        job.enqueue_at_front = Some(true);
    }
    job
}

/// The job a call becomes, scheduled for `due`, and its place.
fn with_due<T>(
    call: Call<T>,
    queue: &str,
    defaults: Defaults,
    due: Timestamp,
) -> Result<(Job, Place), Error> {
    call.check_has_no_pace()?;
    let at_front = call.is_at_front();
    let mut job = call.into_job(queue, defaults)?;
    job.status = Status::Scheduled;
    if at_front {
        // Kept in the record, where whoever moves the job once it is due reads it: the schedule has no head
        // (docs/wire.md §9.3).
        job.enqueue_at_front = Some(true);
    }
    Ok((job, Place::At(due.epoch_secs())))
}

/// Fails for a unique call among many.
fn check_is_not_unique<T>(call: &Call<T>) -> Result<(), Error> {
    match call.is_unique() {
        true => Err(Error::Option {
            option: "unique",
            reason: "enqueue_many cannot say which of many jobs were there; enqueue each with enqueue_unique",
        }),
        false => Ok(()),
    }
}

/// Whether the one job that was enqueued to be run inline is to be run: it is new, and waits for nobody.
fn begins_inline(enqueued: &[Enqueued]) -> bool {
    !enqueued.contains(&Enqueued::Deferred)
}

/// Names the first job of a batch whose fate is unknown because the connection broke.
fn unconfirmed(error: Error, batch: &[(Job, Place)]) -> Error {
    match batch {
        [(job, _), ..] => unconfirmed_job(error, &job.id),
        [] => error,
    }
}

/// Names a job whose fate is unknown because the connection broke.
pub(crate) fn unconfirmed_job(error: Error, id: &str) -> Error {
    match error {
        // Of a connection that was refused nothing was sent: that is certain, and a plain error.
        Error::Redis(source) if source.is_connection_broken() && !source.is_connection_refused() => {
            Error::Unconfirmed { job_id: id.to_owned(), source }
        }
        error => error,
    }
}

/// Fails for the first job that was refused; `tell` is told of each, by its place among them.
fn check_enqueued(
    jobs: &[(Job, Place)],
    enqueued: Vec<Enqueued>,
    tell: impl Fn(usize, Result<(), &Error>),
) -> Result<(), Error> {
    assert_eq!(jobs.len(), enqueued.len(), "the script answers once for each job");
    let mut first_refused = Ok(());
    for (place, ((job, _), enqueued)) in jobs.iter().zip(enqueued).enumerate() {
        let job_id = || job.id.clone();
        let result = match enqueued {
            Enqueued::Taken(status) => Err(Error::JobExists { job_id: job_id(), status }),
            Enqueued::There { job_id, status } => Err(Error::Duplicate { job_id, status }),
            Enqueued::Cycle => Err(Error::DependencyCycle { job_id: job_id() }),
            Enqueued::TooDeep => Err(Error::DependenciesTooDeep { job_id: job_id() }),
            Enqueued::Done | Enqueued::Already | Enqueued::Deferred => Ok(()),
        };
        tell(place, result.as_ref().map(drop));
        first_refused = first_refused.and(result);
    }
    first_refused
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Call, JobHandle, Queue, RegistryKind};

    /// It compiles, which is the test: tasks of a runtime with many threads may await them all.
    #[test]
    fn futures_of_the_async_front_are_send() {
        fn check(_: impl Send) {}
        let _ = |queue: Queue, handle: JobHandle<u8>| {
            check(Queue::connect("", ""));
            check(queue.enqueue(Call::<u8>::to("f")));
            check(queue.delay(Call::<u8>::to("f")));
            check(queue.enqueue_many([Call::<u8>::to("f")]));
            check(queue.jobs());
            check(queue.workers());
            check(queue.stop_worker_cold(""));
            check(handle.set_meta("", 1));
            check(queue.registry(RegistryKind::Failed).requeue_all());
            check(handle.wait(Duration::ZERO));
            check(handle.delete_with_dependents());
        };
    }
}
