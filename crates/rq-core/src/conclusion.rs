//! [`Conclusion`]: what becomes of a job whose execution ended (docs/wire.md §10).
//!
//! The rules are here, functions of the job's record and of how the execution ended. The part `conclude` of the scripts
//! writes what they decide, under the fence: only fenced steps change `retries_left` and its kin, so that the record by
//! which they decide cannot be stale.

use crate::failure::Failure;
use crate::job::{Job, json_numbers};
#[cfg(any(feature = "worker", test))]
use crate::on_crash::{CRASHES_MAX, OnCrash};
use crate::result::ResultKind;
use crate::retry::Retry;
use crate::time::Timestamp;
use crate::ttl::Ttl;

/// How an execution ended, in the words of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// With this value in the job's codec; `None` is Python's `None`.
    Finished(Option<Vec<u8>>),
    /// With this text.
    Failed(String),
    /// By request, with this text.
    Stopped(String),
    /// The job asked to be run again more often than it may.
    Exhausted,
    /// The job runs again: after a failure with this text, or, without one, because it asked for another run.
    Again(Option<String>),
}

impl Settled {
    /// The type of its entry in the results stream (docs/wire.md §7).
    ///
    /// Every attempt has an entry: Python writes none for an exception that is followed by a retry, and its traceback
    /// is lost. A stopped job has the type of a failed one, as Python writes it.
    pub fn kind(&self) -> ResultKind {
        match self {
            Settled::Finished(_) => ResultKind::Successful,
            Settled::Failed(_) | Settled::Stopped(_) => ResultKind::Failed,
            Settled::Exhausted => ResultKind::MaxRetriesExceeded,
            Settled::Again(_) => ResultKind::Retried,
        }
    }

    /// How long this end of `job` is kept; a result for `result_ttl` where the job has none of its own.
    fn ttl(&self, job: &Job, result_ttl: Ttl) -> Ttl {
        match self {
            Settled::Finished(_) => job.result_ttl.unwrap_or(result_ttl),
            // Python keeps the results of a failed job without a `failure_ttl` for ever; ours expire with the job.
            _ => job.failure_ttl.unwrap_or(Ttl::FAILURE_DEFAULT),
        }
    }
}

/// Where a job goes that will run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPlace {
    /// The head of its queue.
    Head,
    /// The tail of its queue.
    Tail,
    /// The schedule, due at this second since 1970.
    At(i64),
}

/// What becomes of a job whose execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// How the execution ended.
    pub settled: Settled,
    /// How long that is kept.
    pub ttl: Ttl,
    /// Whether it is filed: in a registry, with a result, and with a time to live. Of an end that is not, the job has the
    /// status alone.
    pub filed: bool,
    /// Where the job goes, if it runs again.
    pub next: Option<NextPlace>,
    /// What changes in the job hash because of that.
    pub changes: Vec<(&'static str, String)>,
}

impl Conclusion {
    /// The rules for an execution whose end the executor reported, at `now`. Results are kept for `result_ttl` where
    /// the job has none of its own.
    pub fn of(
        job: &Job,
        outcome: Result<Option<Vec<u8>>, &Failure>,
        now: Timestamp,
        result_ttl: Ttl,
    ) -> Conclusion {
        let (settled, next, changes) = match outcome {
            Ok(value) => repeated(job, value, now),
            Err(Failure::Retry(retry)) => returned_retry(job, retry, now),
            // Never retried, whatever retries are left (docs/wire.md §10.7).
            Err(failure @ Failure::Stopped) => (Settled::Stopped(failure.text()), None, Vec::new()),
            Err(failure) => retried_or_failed(job, failure.text(), now),
        };
        let ttl = settled.ttl(job, result_ttl);
        Conclusion { settled, ttl, filed: true, next, changes }
    }

    /// Whether the job runs again because it bears a second run, and not because an attempt of it has failed.
    #[cfg(feature = "worker")]
    pub fn is_given_back(&self) -> bool {
        let takes_retry = self.changes.iter().any(|(field, _)| *field == "retries_left");
        matches!(self.settled, Settled::Again(Some(_))) && !takes_retry
    }

    /// The rules for an execution that was cut off because its worker was shut down. A job that may run again whenever
    /// its worker dies does so here too, and no crash is counted. `default` is for jobs without an `on_crash` of their
    /// own.
    #[cfg(any(feature = "worker", test))]
    pub fn of_shut_down(job: &Job, text: String, now: Timestamp, default: OnCrash) -> Conclusion {
        let has_retries = job.retries_left.unwrap_or(0) > 0;
        let (settled, next, changes) = match job.on_crash.unwrap_or(default) {
            // Retries go first, as in RQ. Without any, the job is cut off through no fault of its own and waits at
            // the head again.
            OnCrash::Requeue if !has_retries => {
                (Settled::Again(Some(text)), Some(NextPlace::Head), Vec::new())
            }
            _ => retried_or_failed(job, text, now),
        };
        // Of no effect here: what was cut off has no value, and every other end is kept for `failure_ttl`.
        let ttl = settled.ttl(job, Ttl::RESULT_DEFAULT);
        Conclusion { settled, ttl, filed: true, next, changes }
    }

    /// The rules for an execution that may have begun, and that what ran it did not outlive: its worker stopped heartbeating,
    /// or a living worker has lost the process. `default` is for jobs without an `on_crash` of their own.
    #[cfg(any(feature = "worker", test))]
    pub fn of_crash(job: &Job, text: String, now: Timestamp, default: OnCrash) -> Conclusion {
        let crashes = job.crashes.unwrap_or(0).saturating_add(1);
        let has_retries = job.retries_left.unwrap_or(0) > 0;
        let (settled, next, mut changes) = match job.on_crash.unwrap_or(default) {
            OnCrash::Requeue if !has_retries && crashes <= CRASHES_MAX => {
                (Settled::Again(Some(text)), Some(NextPlace::Head), Vec::new())
            }
            // A job that kills what runs it each time must not go on for ever.
            OnCrash::Requeue if !has_retries => {
                let text = format!("Poisoned: what ran this job died {crashes} times\n{text}");
                (Settled::Failed(text), None, Vec::new())
            }
            _ => retried_or_failed(job, text, now),
        };
        // Counted also where a retry follows: the number is of crashes, however the job went on.
        changes.push(("crashes", crashes.to_string()));
        // No value here either, so that `failure_ttl` decides.
        let ttl = settled.ttl(job, Ttl::RESULT_DEFAULT);
        Conclusion { settled, ttl, filed: true, next, changes }
    }
}

#[cfg(any(feature = "worker", test))]
impl Conclusion {
    /// The same for a worker without RQ's default exception handler, which is what files failures: a job that has failed for
    /// good, or was stopped, gets its status and nothing else (docs/wire.md §10.6). One that asked to be run again too
    /// often is filed all the same, as in RQ.
    pub fn without_default_handler(mut self) -> Conclusion {
        if let Settled::Failed(_) | Settled::Stopped(_) = self.settled {
            self.filed = false;
        }
        self
    }
}

type Decided = (Settled, Option<NextPlace>, Vec<(&'static str, String)>);

/// A success, after which a job with repeats left runs again (docs/wire.md §10.8).
fn repeated(job: &Job, value: Option<Vec<u8>>, now: Timestamp) -> Decided {
    let left = job.repeats_left.unwrap_or(0);
    if left <= 0 {
        return (Settled::Finished(value), None, Vec::new());
    }
    let mut changes = vec![("repeats_left", (left - 1).to_string())];
    let intervals_s = job.repeat_intervals_s.as_deref().unwrap_or_default();
    // RQ 3.0 drops the pause that it takes and keeps the last one for all further runs; 2.12 never shifts the list
    // (docs/wire.md §10.8).
    if let [_, rest @ ..] = intervals_s
        && !rest.is_empty()
    {
        changes.push(("repeat_intervals", json_numbers(rest)));
    }
    let pause_s = intervals_s.first().copied().unwrap_or(0);
    (Settled::Finished(value), Some(next(now, pause_s, false)), changes)
}

/// A failure, after which a job with retries left runs again (docs/wire.md §10.7).
fn retried_or_failed(job: &Job, text: String, now: Timestamp) -> Decided {
    let left = job.retries_left.unwrap_or(0);
    if left <= 0 {
        return (Settled::Failed(text), None, Vec::new());
    }
    let intervals_s = job.retry_intervals_s.as_deref().unwrap_or_default();
    // RQ indexes a list that is shorter than the number of retries from its end.
    let index = intervals_s.len().saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
    let pause_s = intervals_s.get(index).copied().unwrap_or(0);
    let next = next(now, pause_s, job.enqueue_at_front_on_retry == Some(true));
    (Settled::Again(Some(text)), Some(next), vec![("retries_left", (left - 1).to_string())])
}

/// A job that asked to be run again (docs/wire.md §10.7).
fn returned_retry(job: &Job, retry: &Retry, now: Timestamp) -> Decided {
    let before = job.number_of_retries.unwrap_or(0);
    if before >= i64::from(retry.max()) {
        return (Settled::Exhausted, None, Vec::new());
    }
    let mut changes = vec![("number_of_retries", (before + 1).to_string())];
    let at_front = retry.is_at_front() || job.enqueue_at_front_on_retry == Some(true);
    if at_front {
        // Kept for further retries, as RQ does: once at the front, always at the front.
        changes.push(("enqueue_at_front_on_retry", "1".to_owned()));
    }
    let intervals_s = retry.intervals();
    // Never empty (`Retry::intervals`). Counted from the front, unlike the list in the job's record: so RQ does with
    // a returned `Retry`.
    let index = usize::try_from(before).unwrap_or(0).min(intervals_s.len() - 1);
    (Settled::Again(None), Some(next(now, intervals_s[index], at_front)), changes)
}

fn next(now: Timestamp, pause_s: u64, at_front: bool) -> NextPlace {
    match (pause_s, at_front) {
        (0, true) => NextPlace::Head,
        (0, false) => NextPlace::Tail,
        // The head or the tail is decided when the job is due, by `enqueue_at_front_on_retry` in its record
        // (`side_of` of the scripts).
        (pause_s, _) => NextPlace::At(now.epoch_secs().saturating_add_unsigned(pause_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secs;

    fn job(change: impl Fn(&mut Job)) -> Job {
        let mut job = Job::new("j", "q", Vec::new());
        change(&mut job);
        job
    }

    fn now() -> Timestamp {
        Timestamp::from_epoch_us(1_000_000_000)
    }

    fn failed(job: &Job) -> Conclusion {
        Conclusion::of(job, Err(&Failure::Executor("boom".into())), now(), Ttl::RESULT_DEFAULT)
    }

    #[test]
    fn a_value_ends_a_job() {
        let kept = Conclusion::of(&job(|_| {}), Ok(None), now(), Ttl::Seconds(7));
        assert_eq!((kept.settled, kept.ttl, kept.next), (Settled::Finished(None), Ttl::Seconds(7), None));
        let own = job(|job| job.result_ttl = Some(Ttl::Forever));
        assert_eq!(Conclusion::of(&own, Ok(None), now(), Ttl::Seconds(7)).ttl, Ttl::Forever);
    }

    #[test]
    fn a_job_that_was_cut_off_by_a_shutdown_runs_again_if_it_may() {
        let check = |on_crash, retries_left, next, kind| {
            let job = job(|job| (job.on_crash, job.retries_left) = (on_crash, retries_left));
            let conclusion = Conclusion::of_shut_down(&job, "cut off".into(), now(), OnCrash::Fail);
            assert_eq!((conclusion.next, conclusion.settled.kind()), (next, kind), "{on_crash:?}");
            assert!(conclusion.changes.iter().all(|(field, _)| *field != "crashes"), "{on_crash:?}");
        };
        check(None, None, None, ResultKind::Failed);
        check(Some(OnCrash::Fail), Some(1), Some(NextPlace::Tail), ResultKind::Retried);
        check(Some(OnCrash::Requeue), None, Some(NextPlace::Head), ResultKind::Retried);
        check(Some(OnCrash::Requeue), Some(1), Some(NextPlace::Tail), ResultKind::Retried);
    }

    #[test]
    fn retries_take_their_pauses_in_turn() {
        // Max 5 and two pauses: the first one serves until as many retries are left as there are pauses.
        for (left, pause_s) in [(5, 10), (3, 10), (2, 10), (1, 20)] {
            let job = job(|job| {
                job.retries_left = Some(left);
                job.retry_intervals_s = Some(vec![10, 20]);
            });
            let again = failed(&job);
            assert_eq!(again.next, Some(NextPlace::At(1000 + pause_s)), "{left} left");
            assert_eq!(again.changes, [("retries_left", (left - 1).to_string())]);
            assert_eq!(again.settled.kind(), ResultKind::Retried);
        }
        assert_eq!(failed(&job(|job| job.retries_left = Some(0))).settled.kind(), ResultKind::Failed);
        for (at_front, next) in [(None, NextPlace::Tail), (Some(true), NextPlace::Head)] {
            let job = job(|job| {
                job.retries_left = Some(1);
                job.enqueue_at_front_on_retry = at_front;
            });
            assert_eq!(failed(&job).next, Some(next));
        }
    }

    #[test]
    fn a_returned_retry_counts_for_itself() {
        let asks = |before, retry: Retry| {
            let job = job(|job| job.number_of_retries = before);
            Conclusion::of(&job, Err(&Failure::Retry(retry)), now(), Ttl::RESULT_DEFAULT)
        };
        let retry = || Retry::up_to(3).after([secs(1), secs(2)]);
        assert_eq!(asks(None, retry()).next, Some(NextPlace::At(1001)));
        assert_eq!(asks(Some(1), retry()).next, Some(NextPlace::At(1002)));
        assert_eq!(asks(Some(2), retry()).next, Some(NextPlace::At(1002)));
        assert_eq!(asks(Some(3), retry()).settled, Settled::Exhausted);
        let front = asks(None, Retry::up_to(1).at_front());
        assert_eq!(front.next, Some(NextPlace::Head));
        assert_eq!(front.changes[1], ("enqueue_at_front_on_retry", "1".to_owned()));
    }

    #[test]
    fn repeats_drop_the_pauses_they_have_taken() {
        let job = job(|job| {
            job.repeats_left = Some(2);
            job.repeat_intervals_s = Some(vec![3, 5]);
        });
        let again = Conclusion::of(&job, Ok(None), now(), Ttl::RESULT_DEFAULT);
        assert_eq!(again.settled, Settled::Finished(None));
        assert_eq!(again.next, Some(NextPlace::At(1003)));
        let expected = [("repeats_left", "1".to_owned()), ("repeat_intervals", "[5]".to_owned())];
        assert_eq!(again.changes, expected);
    }

    #[test]
    fn a_stopped_job_is_never_retried() {
        let job = job(|job| job.retries_left = Some(3));
        let stopped = Conclusion::of(&job, Err(&Failure::Stopped), now(), Ttl::RESULT_DEFAULT);
        assert!(matches!(stopped.settled, Settled::Stopped(_)) && stopped.next.is_none());
    }

    #[test]
    fn without_the_default_handler_failures_are_not_filed() {
        let of = |job: &Job, outcome| {
            Conclusion::of(job, outcome, now(), Ttl::RESULT_DEFAULT).without_default_handler()
        };
        let (boom, retry) = (Failure::Executor("boom".into()), Failure::Retry(Retry::up_to(0)));
        let (plain, retried) = (job(|_| {}), job(|job| job.retries_left = Some(1)));
        assert!(!of(&plain, Err(&boom)).filed);
        assert!(!of(&plain, Err(&Failure::Stopped)).filed);
        assert!(of(&plain, Ok(None)).filed);
        assert!(of(&plain, Err(&retry)).filed, "RQ files those that asked too often");
        let again = of(&retried, Err(&boom));
        assert!(again.filed && again.next == Some(NextPlace::Tail), "a retry is as ever");
    }

    #[test]
    fn a_crash_is_a_failure_unless_told_otherwise() {
        let crashed = |policy, crashes, retries_left| {
            let job = job(|job| {
                job.on_crash = policy;
                job.crashes = crashes;
                job.retries_left = retries_left;
            });
            Conclusion::of_crash(&job, "died".into(), now(), OnCrash::Fail)
        };
        assert_eq!(crashed(None, None, None).settled, Settled::Failed("died".into()));
        assert_eq!(crashed(None, None, Some(1)).settled.kind(), ResultKind::Retried);
        let requeued = crashed(Some(OnCrash::Requeue), Some(CRASHES_MAX - 1), None);
        assert_eq!(requeued.next, Some(NextPlace::Head));
        assert_eq!(requeued.changes, [("crashes", CRASHES_MAX.to_string())]);
        let poisoned = crashed(Some(OnCrash::Requeue), Some(CRASHES_MAX), None);
        assert!(matches!(poisoned.settled, Settled::Failed(text) if text.starts_with("Poisoned: ")));
    }
}
