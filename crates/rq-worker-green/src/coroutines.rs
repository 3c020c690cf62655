//! [`Coroutines`]: the executor.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use may::coroutine::JoinHandle;
use rq_core::{Ended, Execution, ExecutionId, Executor, Failure, Stop, Want};
use rq_worker::{Jobs, RETURN_GRACE};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::carriers::{Carriers, Room, wake};
use crate::task::{Shared, Task};
use crate::watchdog::Watchdog;

/// How long a job that was asked to end may take before its coroutine is unwound.
pub const CANCEL_GRACE: Duration = Duration::from_millis(200);
/// How often the executor checks the jobs that run.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a job waits for a carrier that does not answer before another coroutine is sent for it.
const RESEND_AFTER: Duration = Duration::from_millis(500);
/// How long all carriers may be blocked before the worker takes no more work.
const ALL_BLOCKED_MAX: Duration = Duration::from_secs(10);
/// How long a job that has not begun waits for a carrier of a worker that is exhausted.
const BEGIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a job that has begun waits for one: after that no carrier is expected to answer again.
const GIVE_UP_ALL_AFTER: Duration = Duration::from_secs(60);
/// How many jobs may overflow their stacks before a fresh process is the better choice: each leaks what it held, and a
/// little of its stack.
const OVERFLOWS_MAX: usize = 1_000;
/// Why a job does not begin that waits for a carrier in vain.
const BLOCKED: &str = "jobs block all threads that run coroutines";

/// Runs one coroutine for each execution.
///
/// The channel holds at most one message for each slot, as the dispatcher starts nothing without a free slot.
pub(crate) struct Coroutines {
    slots: usize,
    shared: Arc<Shared>,
    carriers: &'static Carriers,
    _stacks: Room,
    watchdog: Watchdog,
    ends: UnboundedReceiver<(ExecutionId, Result<Ended, Want>)>,
    watched: HashMap<ExecutionId, Watched>,
    /// Jobs that were given up and go on.
    stuck: Vec<Watched>,
    overflows: usize,
    /// Since when no carrier answers.
    blocked_since: Option<Instant>,
    /// Ends that [`look`](Coroutines::look) has found, and no coroutine has reported.
    found: VecDeque<(ExecutionId, Result<Ended, Want>)>,
    /// When the jobs are checked next.
    look_at: Instant,
}

struct Watched {
    task: Arc<Task>,
    /// The coroutines sent for the job; most often one.
    sent: Vec<JoinHandle<()>>,
    /// On which carrier the last of them waits to begin, and since when.
    carrier: usize,
    sent_at: Instant,
    /// When the job was first asked to stop, and how it was asked last.
    stop: Option<(Instant, Stop)>,
}

impl Coroutines {
    /// An executor of so many jobs at once.
    pub(crate) fn new(
        jobs: Jobs,
        slots: usize,
        carriers: &'static Carriers,
        watchdog: Watchdog,
    ) -> Coroutines {
        let (sender, ends) = unbounded_channel();
        Coroutines {
            slots,
            shared: Arc::new(Shared { jobs, sender }),
            carriers,
            _stacks: carriers.make_room(slots),
            watchdog,
            ends,
            watched: HashMap::new(),
            stuck: Vec::new(),
            overflows: 0,
            blocked_since: None,
            found: VecDeque::new(),
            look_at: Instant::now(),
        }
    }

    /// Checks all jobs that run: unwinds, and later gives up, those that are over their time; finds those whose
    /// coroutine is gone without a report; and sends another coroutine for those that wait behind a blocked carrier.
    fn look(&mut self) {
        // Nobody reports the end of a job that was given up, so it is looked for here.
        self.stuck.retain(|watched| !watched.has_ended());
        let now = Instant::now();
        let some_answer = (0..self.carriers.count()).any(|carrier| !self.carriers.is_late(carrier));
        // The first moment is kept for as long as none answers, and one answer forgets it.
        self.blocked_since = if some_answer { None } else { self.blocked_since.or(Some(now)) };
        let blocked_for = self.blocked_since.map_or(Duration::ZERO, |since| now.duration_since(since));
        let is_exhausted = self.exhausted().is_some();
        let mut over = Vec::new();
        for (id, watched) in &mut self.watched {
            // First, since a coroutine that is gone can neither be unwound nor go on.
            if let Some(outcome) = watched.end_without_word(self.carriers) {
                over.push((id.clone(), Ok(outcome), false));
            } else if let Some((ended, goes_on)) = watched.give_up_if_due(now) {
                over.push((id.clone(), Ok(ended), goes_on));
            } else if is_exhausted && watched.is_lost(blocked_for) {
                // In a deadlock of all carriers no job ends by itself, and the worker that drains would wait for
                // ever (docs/green.md).
                if let Some((ended, goes_on)) = watched.give_up() {
                    let reason = "the job cannot go on: other jobs block all threads that run coroutines";
                    let outcome = Err(Failure::Executor(reason.to_owned()));
                    // One that has not begun is kept from it now.
                    let ended =
                        if goes_on { Ok(Ended { outcome, ..ended }) } else { Err(Want::new(BLOCKED)) };
                    over.push((id.clone(), ended, goes_on));
                }
            } else if watched.is_to_be_cut(now) {
                // Only after the grace: a job that passes its error on by `?` ends better than by unwinding.
                watched.task.cut_if_due(CANCEL_GRACE, watched.cut_at(), now);
            } else if watched.task.watch.is_over(Duration::ZERO, None, now) {
                // One whose time was up before the end of its sleep.
                watched.wake();
            } else if watched.waits_in_vain(self.carriers, now) {
                // If no other can be sent, nothing is lost: the first one is still on its way.
                let _ = watched.send(&self.shared, self.carriers);
            }
        }
        for (id, ended, goes_on) in over {
            // Counted though the job is over: what was on its stack is leaked.
            let failure = ended.as_ref().ok().and_then(|ended| ended.outcome.as_ref().err());
            self.overflows += usize::from(matches!(failure, Some(Failure::StackOverflow { .. })));
            let watched = self.watched.remove(&id);
            self.stuck.extend(watched.filter(|_| goes_on));
            self.found.push_back((id, ended));
        }
    }

    fn is_idle(&self) -> bool {
        self.watched.is_empty() && self.stuck.is_empty()
    }
}

impl Watched {
    fn new(execution: Execution) -> Watched {
        let task = Arc::new(Task::new(execution));
        Watched { task, sent: Vec::with_capacity(1), carrier: 0, sent_at: Instant::now(), stop: None }
    }

    /// Sends a coroutine for the job.
    fn send(&mut self, shared: &Arc<Shared>, carriers: &Carriers) -> Result<(), String> {
        // Counted from 1, as 0 stands for a task that nobody has begun.
        let (task, shared, number) = (Arc::clone(&self.task), Arc::clone(shared), self.sent.len() + 1);
        let (handle, carrier) = carriers.spawn(Box::new(move || task.run(number, &shared)))?;
        self.sent.push(handle);
        (self.carrier, self.sent_at) = (carrier, Instant::now());
        Ok(())
    }

    /// Has the job learn that it has to end.
    fn ask_to_end(&self) {
        // The flag before the wake: a sleeper that wakes and finds no flag would sleep on.
        self.task.watch.stop();
        self.wake();
    }

    /// Has a job that sleeps in `ctx.sleep` find that it has to end.
    fn wake(&self) {
        if let Some(coroutine) = self.task.coroutine() {
            wake(coroutine);
        }
    }

    /// Whether the coroutine that runs the job is gone.
    fn has_ended(&self) -> bool {
        self.task.begun_by().is_some_and(|number| self.sent[number - 1].is_done())
    }

    /// The end of a job whose coroutine is gone and has not reported it: a stack that overflowed is not unwound, so
    /// nothing in the coroutine runs that could.
    fn end_without_word(&mut self, carriers: &Carriers) -> Option<Ended> {
        // A coroutine that reports an end takes this flag before it does.
        if !self.has_ended() || !self.task.watch.returned() {
            return None;
        }
        let number = self.task.begun_by()?;
        // The coroutine is gone, so the join does not wait; it only tells why there was no report.
        let reason = self.sent.swap_remove(number - 1).join().err();
        let overflowed = reason.and_then(|reason| reason.downcast::<generator::Error>().ok());
        let failure = match overflowed.as_deref() {
            Some(generator::Error::StackErr) => Failure::StackOverflow { stack_kb: carriers.stack_kb() },
            _ => Failure::Executor("the job's coroutine ended without an outcome".to_owned()),
        };
        Some(self.ended(failure, true))
    }

    /// When it is cut for a request to stop.
    fn cut_at(&self) -> Option<Instant> {
        self.stop.map(|(at, _)| at + CANCEL_GRACE)
    }

    fn is_to_be_cut(&self, now: Instant) -> bool {
        // Whichever comes first, the job's limit or the first request: a later one does not prolong the grace.
        self.task.watch.is_over(CANCEL_GRACE, self.cut_at(), now)
    }

    /// The end of a job that is given up because its time is over, or it is to be killed; and whether its code goes on.
    fn give_up_if_due(&self, now: Instant) -> Option<(Ended, bool)> {
        // A request that is no kill leaves the job its limit.
        let killed_at = self.stop.filter(|(_, how)| *how == Stop::Kill).map(|(at, _)| at + RETURN_GRACE);
        let watch = &self.task.watch;
        if !watch.is_over(RETURN_GRACE, killed_at, now) {
            return None;
        }
        // A job that has not begun is kept from ever beginning: its coroutine may still come to run.
        let goes_on = !self.task.forbid();
        let failure = watch.give_up_if_due(killed_at, now)?;
        Some((self.ended(failure, goes_on), goes_on))
    }

    /// The same for any job. `None` if it ended just now: its end is on its way through the channel.
    fn give_up(&self) -> Option<(Ended, bool)> {
        let goes_on = !self.task.forbid();
        let failure = self.task.watch.give_up()?;
        Some((self.ended(failure, goes_on), goes_on))
    }

    fn ended(&self, failure: Failure, has_begun: bool) -> Ended {
        let watch = &self.task.watch;
        let ran = if has_begun { watch.ran() } else { Duration::ZERO };
        Ended { outcome: Err(failure), ran, called_back: watch.has_called_back() }
    }

    /// Whether the job will not get a carrier any more, all having been blocked for so long.
    fn is_lost(&self, blocked_for: Duration) -> bool {
        blocked_for >= if self.task.has_begun() { GIVE_UP_ALL_AFTER } else { BEGIN_LIMIT }
    }

    /// Whether the job has not begun because the carrier it was sent to is blocked, and another is not.
    fn waits_in_vain(&self, carriers: &Carriers, now: Instant) -> bool {
        !self.task.has_begun()
            && now.duration_since(self.sent_at) >= RESEND_AFTER
            && carriers.is_late(self.carrier)
            && (0..carriers.count()).any(|carrier| !carriers.is_late(carrier))
    }
}

#[async_trait]
impl Executor for Coroutines {
    fn slots(&self) -> usize {
        self.slots
    }

    fn start(&mut self, execution: Execution) {
        let id = execution.id.clone();
        let mut watched = Watched::new(execution);
        self.watchdog.wake();
        match watched.send(&self.shared, self.carriers) {
            Ok(()) => drop(self.watched.insert(id, watched)),
            Err(reason) => {
                let want = Want::new(format!(
                    "no coroutine could be started: {reason}; if memory maps are short, lower --concurrency or raise \
                     vm.max_map_count"
                ));
                // The dispatcher hears of a job through `ended` alone.
                self.found.push_back((id, Err(want)));
            }
        }
    }

    fn stop(&mut self, id: &ExecutionId, how: Stop) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        watched.ask_to_end();
        // The first request keeps its time, the last one its kind: a stop may turn into a kill, with no new grace.
        let first_at = watched.stop.map_or_else(Instant::now, |(at, _)| at);
        watched.stop = Some((first_at, how));
    }

    fn has_called_back(&self, id: &ExecutionId) -> bool {
        self.watched.get(id).is_some_and(|watched| watched.task.watch.has_called_back())
    }

    async fn ended(&mut self) -> (ExecutionId, Result<Ended, Want>) {
        loop {
            if let Some(found) = self.found.pop_front() {
                return found;
            }
            // Here, not only in the wait below: ends that come without a pause would keep the executor from ever
            // looking.
            if self.look_at <= Instant::now() {
                self.look();
                self.look_at = Instant::now() + LOOK_PAUSE;
                continue;
            }
            let idle = self.is_idle();
            if idle {
                // With no job there is nothing to look for, and an idle worker shall cost nothing.
                self.watchdog.rest();
            }
            tokio::select! {
                biased;
                ends = self.ends.recv() => match ends {
                    // A job that was given up reports nothing: its `Watch` has decided that, so no end comes twice.
                    Some((id, ended)) => {
                        self.watched.remove(&id);
                        return (id, ended);
                    }
                    None => unreachable!("the shared holds a sender"),
                },
                () = tokio::time::sleep_until(self.look_at.into()), if !idle => {}
            }
        }
    }

    fn exhausted(&self) -> Option<String> {
        let (stuck, carriers) = (self.stuck.len(), self.carriers.count());
        // The other carriers finish what runs, and are enough for that.
        if stuck >= (carriers / 2).max(1) {
            return Some(format!(
                "{stuck} jobs that ignore their time limits block threads that run coroutines, of which there are {carriers}"
            ));
        }
        if self.overflows >= OVERFLOWS_MAX {
            return Some(format!("{} jobs have overflowed their stacks", self.overflows));
        }
        let blocked = self.blocked_since.is_some_and(|since| since.elapsed() >= ALL_BLOCKED_MAX);
        blocked.then(|| {
            let limit_s = ALL_BLOCKED_MAX.as_secs();
            format!("jobs have blocked all {carriers} threads that run coroutines for {limit_s} seconds")
        })
    }
}

impl Drop for Coroutines {
    /// What still runs when a worker is given up in the middle is asked to end: its jobs are others' soon.
    fn drop(&mut self) {
        for watched in self.watched.values() {
            watched.ask_to_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use rq_core::{BoxError, Context, Host, Job, handlers, job, secs, zlib};
    use rq_worker::Program;

    use super::*;
    use crate::clock::Clock;
    use crate::options::JOB_STACK_KB_DEFAULT;

    #[job("tests.nap")]
    fn nap(ctx: &Context, ms: u64) -> rq_core::Result<u64> {
        ctx.sleep(Duration::from_millis(ms))?;
        Ok(ms)
    }

    struct Nowhere;

    impl Host for Nowhere {
        fn save_meta(&self, _: &ExecutionId, _: Vec<u8>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    fn executor(slots: usize) -> Coroutines {
        let carriers = Carriers::start(JOB_STACK_KB_DEFAULT).unwrap();
        Clock::start(carriers).unwrap();
        let (jobs, _) = Jobs::of(Program::new(handlers![nap])).unwrap();
        Coroutines::new(jobs, slots, carriers, Watchdog::start(carriers).unwrap())
    }

    fn execution(job: &Job) -> Execution {
        let id = ExecutionId::new(&job.id);
        Execution::new(id, Arc::new(job.clone()), Some(secs(60)), Arc::new(Nowhere))
    }

    /// Runs one job on each, at the same time.
    fn check(executors: &mut [Coroutines], job: &Job) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        executors.iter_mut().for_each(|executor| executor.start(execution(job)));
        for executor in executors {
            let (_, ended) = runtime.block_on(executor.ended());
            assert_eq!(ended.unwrap().outcome.unwrap().as_deref(), Some(&b"20"[..]));
        }
    }

    #[test]
    fn executors_beside_and_after_each_other_find_what_they_need() {
        let job = Job::new("j", "q", zlib::deflate(br#"["tests.nap", null, [20], {}]"#));
        let mut both = [executor(7), executor(11)];
        let carriers = both[0].carriers;
        assert_eq!(carriers.jobs(), 18);
        check(&mut both, &job);
        drop(both);
        assert_eq!(carriers.jobs(), 0);
        check(&mut [executor(3)], &job);
        assert!(Carriers::start(JOB_STACK_KB_DEFAULT + 64).is_err());
    }
}
