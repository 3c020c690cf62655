//! Calls of which there may be one alone, and those of which few may run, or start, at a time.

use std::time::Duration;

use super::Call;
use crate::error::Error;
use crate::job::Job;
use crate::keys::check_limit_key;
use crate::steps::queue::{Place, UniqueBy};
use crate::time::TimeSpan;
use crate::unique::Unique;

/// The most starts a pace may have in its period; the script keeps the last so many.
const STARTS_MAX: u32 = 10_000;
/// The longest period of a pace: a year.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What a call is unique by.
#[derive(Clone, Debug)]
pub(super) enum Uniqueness {
    Id,
    Args(Unique),
}

/// RQ's `RateLimit(key, concurrency)`.
#[derive(Clone, Debug)]
pub(super) struct RateLimit {
    key: String,
    slots: u32,
}

/// The limit of [`Call::pace`].
#[derive(Clone, Debug)]
pub(super) struct Pace {
    key: String,
    count: u32,
    period: Duration,
}

impl<T> Call<T> {
    /// Makes no second job of this [`job_id`](Call::job_id), which must be given: while there is a record of that id,
    /// also of a job that has finished or failed, until its time to live is over, enqueueing fails with
    /// [`Error::Duplicate`]; [`Queue::enqueue_unique`](crate::Queue::enqueue_unique) gives the job that is there. RQ's
    /// `unique=True`, which both languages heed.
    ///
    /// Without it the same call under the same id is enqueued once while its job lives, and one that has ended is
    /// replaced. docs/unique.md says more.
    pub fn unique(mut self) -> Call<T> {
        self.options.unique = Some(Uniqueness::Id);
        self
    }

    /// Makes no second job of the same function with the same arguments in the same queue: a [`Unique`], or for how
    /// long, and then until the first one has ended. Enqueueing fails with [`Error::Duplicate`] meanwhile;
    /// [`Queue::enqueue_unique`](crate::Queue::enqueue_unique) gives the job that is there.
    ///
    /// Codec, id and all other options make no difference, nor does the order of keyword arguments or of what is in a dict
    /// or a set. `1` and `1.0` are different arguments.
    ///
    /// The lock is a key of this project's own: Python's producers do not look at it. It is kept for a millisecond at least,
    /// and for ten years at most.
    pub fn unique_by_args(mut self, unique: impl Into<Unique>) -> Call<T> {
        self.options.unique = Some(Uniqueness::Args(unique.into()));
        self
    }

    /// Lets at most `slots` jobs of this `key` be queued or run at once, in all queues together; the others wait as
    /// `rate_limited`. RQ 3.0's `RateLimit(key, concurrency)`: both languages' producers and workers heed it.
    ///
    /// The number that was given last counts. A job that waits for others, or for its time, comes under the limit once it
    /// need not. Not for inline queues. docs/limits.md says more.
    ///
    /// ```
    /// use rq_core::Call;
    /// let fetch = Call::<String>::to("pages.fetch").arg("https://example.com/1").rate_limit("example.com", 2);
    /// # let _ = fetch;
    /// ```
    pub fn rate_limit(mut self, key: impl Into<String>, slots: u32) -> Call<T> {
        self.options.rate_limit = Some(RateLimit { key: key.into(), slots });
        self
    }

    /// Lets at most `count` jobs of this `key` start within any `period`, in all queues together: those beyond are
    /// scheduled for the first second at which they may.
    ///
    /// A start is reserved when the job is enqueued, so that workers of any release and language keep to it. It limits when
    /// jobs may start, not how long they take or how many run at once. Jobs that workers were not there for start when they
    /// are back, then possibly more than `count` within a period. What is canceled has used its start; retries and
    /// repetitions use none. docs/limits.md says more.
    ///
    /// `period` is in whole seconds, a year at most, `count` 10,000 at most. Not together with
    /// [`depends_on`](Call::depends_on), [`rate_limit`](Call::rate_limit), `enqueue_at` or an inline queue.
    ///
    /// ```
    /// use rq_core::{Call, minutes};
    /// let mail = Call::<()>::to("mail.send").arg("ada@example.com").pace("mail", 100, minutes(1));
    /// # let _ = mail;
    /// ```
    pub fn pace(mut self, key: impl Into<String>, count: u32, period: impl Into<TimeSpan>) -> Call<T> {
        self.options.pace = Some(Pace { key: key.into(), count, period: period.into().duration() });
        self
    }

    /// Whether there may be one such job alone.
    pub fn is_unique(&self) -> bool {
        self.options.unique.is_some()
    }

    /// What it is unique by in `queue`; `None` where it is not.
    pub(crate) fn unique_by(&self, queue: &str) -> Result<Option<UniqueBy>, Error> {
        match &self.options.unique {
            None => Ok(None),
            Some(Uniqueness::Args(unique)) => unique.by(queue, &self.payload).map(Some),
            Some(Uniqueness::Id) if self.options.job_id.is_some() => Ok(Some(UniqueBy::Id)),
            Some(Uniqueness::Id) => Err(Error::Option {
                option: "unique",
                reason: "it is by the id, which job_id() gives; unique_by_args() is by the arguments",
            }),
        }
    }

    /// Where the job goes if it goes there at once.
    pub(crate) fn place_now(&self) -> Result<Place, Error> {
        let options = &self.options;
        match (&options.pace, &options.rate_limit) {
            (Some(_), Some(_)) => {
                refuse("pace", "a job is under a pace or under a rate limit, not under both")
            }
            (Some(_), None) if options.dependency.is_some() => refuse(
                "pace",
                "when a job starts that waits for others is not known beforehand; leave out one of the two",
            ),
            (Some(pace), None) => pace.place(options.at_front),
            (None, Some(RateLimit { key, slots })) => Ok(Place::Limited { key: key.clone(), slots: *slots }),
            (None, None) if options.at_front => Ok(Place::Head),
            (None, None) => Ok(Place::Tail),
        }
    }

    /// Fails for a call that has a pace and a time of its own.
    pub(crate) fn check_has_no_pace(&self) -> Result<(), Error> {
        match self.options.pace {
            Some(_) => refuse("pace", "it decides when the job may start; leave out the time, or the pace"),
            None => Ok(()),
        }
    }

    /// Fails for a call whose job is held back by others.
    #[cfg(feature = "worker")]
    pub(super) fn check_has_no_limit(&self) -> Result<(), Error> {
        const REASON: &str = "a job at fixed times is not unique, and has no rate limit and no pace; leave it out, and have the job enqueue such a call";
        let options = &self.options;
        let limits = [
            ("unique", options.unique.is_some()),
            ("rate_limit", options.rate_limit.is_some()),
            ("pace", options.pace.is_some()),
        ];
        match limits.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => refuse(option, REASON),
            None => Ok(()),
        }
    }

    /// Fails for a call that cannot wait for the end of a group: what is asked for is decided where a job is enqueued.
    pub(crate) fn check_can_wait_for_group(&self) -> Result<(), Error> {
        if self.options.pace.is_some() {
            return refuse("pace", "when a job starts that waits for a group's end is not known beforehand");
        }
        if self.options.unique.is_some() {
            return refuse(
                "unique",
                "a job that waits for a group's end is there once for its .job_id(..) in any case; leave it out",
            );
        }
        Ok(())
    }

    /// Fails for a call that only a worker can hold back.
    pub(crate) fn check_runs_inline(&self) -> Result<(), Error> {
        const REASON: &str = "an inline queue runs each job at once";
        if self.options.rate_limit.is_some() {
            return refuse("rate_limit", REASON);
        }
        if self.options.pace.is_some() {
            return refuse("pace", REASON);
        }
        Ok(())
    }
}

impl RateLimit {
    /// As RQ has it in the job's record.
    pub(super) fn set(self, job: &mut Job) -> Result<(), Error> {
        check_limit_key(&self.key)?;
        if self.slots == 0 {
            return refuse("rate_limit", "it needs at least one slot, or nothing would ever run");
        }
        job.rate_limit_key = Some(self.key);
        job.rate_limit_concurrency = Some(i64::from(self.slots));
        Ok(())
    }
}

impl Pace {
    fn place(&self, at_front: bool) -> Result<Place, Error> {
        check_limit_key(&self.key)?;
        if !(1..=STARTS_MAX).contains(&self.count) {
            return refuse(
                "pace",
                "its count is from 1 to 10,000; say 6,000 a minute rather than 360,000 an hour",
            );
        }
        if self.period.is_zero() || self.period > PERIOD_MAX || self.period.subsec_nanos() > 0 {
            return refuse(
                "pace",
                "its period is in whole seconds, from one to a year; say 10 a second rather than 5 in half of one",
            );
        }
        Ok(Place::Paced {
            key: self.key.clone(),
            count: self.count,
            period_s: self.period.as_secs(),
            at_front,
        })
    }
}

fn refuse<T>(option: &'static str, reason: &'static str) -> Result<T, Error> {
    Err(Error::Option { option, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hours, minutes, secs};

    fn call() -> Call<()> {
        Call::to("f")
    }

    fn refused(call: Call<()>) -> (&'static str, &'static str) {
        match call.place_now() {
            Err(Error::Option { option, reason }) => (option, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pace_is_a_place_of_its_own() {
        let place = |at_front| Place::Paced { key: "mail".to_owned(), count: 100, period_s: 60, at_front };
        let paced = || call().pace("mail", 100, minutes(1));
        assert_eq!(paced().place_now().unwrap(), place(false));
        assert_eq!(paced().at_front().place_now().unwrap(), place(true));
    }

    #[test]
    fn paces_that_nobody_could_keep_are_refused() {
        for (count, period) in [
            (0, secs(1)),
            (STARTS_MAX + 1, secs(1)),
            (1, Duration::ZERO),
            (1, Duration::from_millis(1500)),
            (1, hours(24 * 367)),
        ] {
            assert_eq!(refused(call().pace("k", count, period)).0, "pace", "{count} {period:?}");
        }
        assert!(call().pace("k", STARTS_MAX, PERIOD_MAX).place_now().is_ok());
        let paced = || call().pace("k", 1, secs(1));
        assert!(refused(paced().rate_limit("k", 1)).1.contains("not under both"));
        assert!(refused(paced().depends_on("a")).1.contains("not known beforehand"));
        assert!(matches!(paced().pace("a:allowed", 1, secs(1)).place_now(), Err(Error::Name(_))));
    }

    #[test]
    fn unique_is_by_the_id_that_is_given() {
        assert_eq!(call().job_id("a").unique().unique_by("q").unwrap(), Some(UniqueBy::Id));
        assert!(matches!(call().unique().unique_by("q"), Err(Error::Option { option: "unique", .. })));
        assert_eq!(call().job_id("a").unique_by("q").unwrap(), None);
    }
}
