//! [`Carriers`]: the threads of `may`, which carry all coroutines.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use may::coroutine::{self, Coroutine, JoinHandle};
use rq_core::panics;
use rq_worker::{LaunchError, start_signal_threads};

use crate::coroutine::{self as unchecked, Body, measure, spawn};
use crate::current_job::current_job;
use crate::options::JOB_STACK_KB_MIN;

/// How many carriers there are at least. More than most machines have cores: a carrier that a job blocks is lost to all
/// other jobs for that time, and an idle one costs 30 kB.
pub const CARRIERS_MIN: usize = 8;
/// How long a carrier may take to answer before it is late, and new work goes to others.
const LATE_AFTER: Duration = Duration::from_millis(200);
/// How long an idle carrier sleeps before it looks whether another has work to spare.
const IDLE_LOOK: Duration = Duration::from_millis(50);
/// How many stacks are there before the first job, and are kept beyond those of jobs: for coroutines that wake others,
/// and that answer the watchdog.
const STACKS_SPARE: usize = 64;
/// How many coroutines one carrier wakes at a time.
const WOKEN_BY_ONE: usize = 64;
/// How long the carriers may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);

static CARRIERS: OnceLock<Carriers> = OnceLock::new();
/// Held while the carriers are started.
static STARTING: Mutex<()> = Mutex::new(());

/// The threads of `may`, of which a process has one set.
pub(crate) struct Carriers {
    all: Box<[Carrier]>,
    turn: AtomicUsize,
    stack_kb: usize,
    /// How many jobs all executors together may run.
    jobs: Mutex<usize>,
}

/// Stacks for the jobs of one executor: until this is dropped, as many are kept between jobs.
pub(crate) struct Room {
    carriers: &'static Carriers,
    jobs: usize,
}

struct Carrier {
    late: AtomicBool,
    asked: Mutex<Asked>,
}

struct Asked {
    at: Instant,
    answered: bool,
}

impl Carriers {
    /// Starts the carriers, once a process. Later executors share them, and must want stacks of the same size.
    pub(crate) fn start(stack_kb: usize) -> Result<&'static Carriers, LaunchError> {
        // Two workers of one process may start at once; `may` reads its settings when its first coroutine starts.
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = CARRIERS.get() {
            if running.stack_kb != stack_kb {
                let kept =
                    format!("coroutines of this process have stacks of {} kB already", running.stack_kb);
                return Err(LaunchError::Refused(kept));
            }
            return Ok(running);
        }
        if stack_kb < JOB_STACK_KB_MIN {
            let least = format!(
                "a stack of {stack_kb} kB is too small for any job; {JOB_STACK_KB_MIN} kB is the least"
            );
            return Err(LaunchError::Refused(least));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.max(CARRIERS_MIN);
        let config = may::config();
        config.set_workers(count);
        // In words of the machine; an odd number would have `may` fill all of each stack.
        config.set_stack_size((stack_kb << 10) / size_of::<usize>());
        config.set_worker_pin(false);
        config.set_timeout_ns(u64::try_from(IDLE_LOOK.as_nanos()).unwrap_or(u64::MAX));
        // `may` makes as many stacks at once, and keeps as many later.
        config.set_pool_capacity(STACKS_SPARE);
        start_signal_threads()?;
        // Before the set is there for others: it starts `may`'s threads, and finds out where stacks begin.
        first_coroutine(measure)?;
        Ok(CARRIERS.get_or_init(|| Carriers {
            all: (0..count).map(|_| Carrier::new()).collect(),
            turn: AtomicUsize::new(0),
            stack_kb,
            jobs: Mutex::new(0),
        }))
    }

    /// Has `may` keep stacks for so many more jobs.
    pub(crate) fn make_room(&'static self, jobs: usize) -> Room {
        // Without it a stack would be mapped for each job and unmapped behind it.
        self.keep_stacks(|all| all + jobs);
        Room { carriers: self, jobs }
    }

    /// How many jobs all executors of this process together may run.
    pub(crate) fn jobs(&self) -> usize {
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_stacks(&self, change: impl FnOnce(usize) -> usize) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs = change(*jobs);
        may::config().set_pool_capacity(*jobs + STACKS_SPARE);
    }

    /// The carriers, if they were started.
    pub(crate) fn running() -> Option<&'static Carriers> {
        CARRIERS.get()
    }

    /// How many carriers there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// How large stacks are.
    pub(crate) fn stack_kb(&self) -> usize {
        self.stack_kb
    }

    /// Starts a coroutine on a carrier that is not late, if there is one, and returns the number of the carrier.
    pub(crate) fn spawn(&self, body: Body) -> Result<(JoinHandle<()>, usize), String> {
        let carrier = self.pick();
        match panics::catch(|| spawn(carrier, body)) {
            Ok(Ok(handle)) => Ok((handle, carrier)),
            Ok(Err(error)) => Err(error.to_string()),
            // `may` panics if there is no memory map left.
            Err(panic) => Err(panic.message),
        }
    }

    /// Wakes coroutines, called from outside of any coroutine, on carriers that are not late: `may` would give some of
    /// them to carriers that are blocked, where they would wait as long.
    pub(crate) fn wake(&self, mut coroutines: Vec<Coroutine>) {
        while !coroutines.is_empty() {
            // A few at a time, each group on another carrier: one that is blocked in between holds up no more than
            // these.
            let some = coroutines.split_off(coroutines.len().saturating_sub(WOKEN_BY_ONE));
            let theirs = some.clone();
            let woken = self.spawn(Box::new(move || theirs.iter().for_each(Coroutine::unpark)));
            // On a carrier that is blocked rather than not at all.
            if woken.is_err() {
                some.iter().for_each(Coroutine::unpark);
            }
        }
    }

    /// Whether a carrier has not answered for a moment.
    pub(crate) fn is_late(&self, carrier: usize) -> bool {
        self.all[carrier].late.load(Ordering::Relaxed)
    }

    /// Asks each carrier that has answered again. Returns for how long each has not answered.
    pub(crate) fn ask(&'static self) -> Vec<Duration> {
        self.all.iter().enumerate().map(|(index, carrier)| carrier.ask(index)).collect()
    }

    fn pick(&self) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.all.len();
        // In turn, so that one carrier does not get all; where all are late, any will do.
        let in_turn = (0..count).map(|offset| turn.wrapping_add(offset) % count);
        in_turn.clone().find(|&carrier| !self.is_late(carrier)).unwrap_or(turn % count)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.carriers.keep_stacks(|all| all - self.jobs);
    }
}

impl Carrier {
    fn new() -> Carrier {
        let asked = Mutex::new(Asked { at: Instant::now(), answered: true });
        Carrier { late: AtomicBool::new(false), asked }
    }

    fn ask(&'static self, index: usize) -> Duration {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = if asked.answered { Duration::ZERO } else { asked.at.elapsed() };
        // Relaxed: it is a hint for where to place work, and nothing else hangs on it.
        self.late.store(silent >= LATE_AFTER, Ordering::Relaxed);
        // One question at a time: more would pile up behind whatever blocks the carrier.
        if asked.answered {
            *asked = Asked { at: Instant::now(), answered: false };
            // The answer takes this lock, perhaps before `spawn` returns.
            drop(asked);
            let answer = Box::new(|| self.answer());
            // A carrier that could not be asked counts as one that does not answer.
            let _ = panics::catch(|| spawn(index, answer));
        }
        silent
    }

    fn answer(&self) {
        // This coroutine runs, so the job that was current on this thread has yielded.
        current_job().clear();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).answered = true;
        self.late.store(false, Ordering::Relaxed);
    }
}

/// Wakes a coroutine; the caller may be in a coroutine or not.
pub(crate) fn wake(coroutine: &Coroutine) {
    match Carriers::running() {
        // From a thread, `may` would place the sleeper itself, perhaps on a blocked carrier.
        Some(carriers) if !coroutine::is_coroutine() => carriers.wake(vec![coroutine.clone()]),
        _ => coroutine.unpark(),
    }
}

/// Has a coroutine unwind from the wait it is in, or its next one, on a carrier that is not late.
pub(crate) fn cancel(coroutine: &Coroutine) {
    let theirs = coroutine.clone();
    // On a carrier of its own choice `may` might unwind the job behind one that is blocked.
    let cancelled =
        Carriers::running().map(|carriers| carriers.spawn(Box::new(move || unchecked::cancel(&theirs))));
    if !matches!(cancelled, Some(Ok(_))) {
        unchecked::cancel(coroutine);
    }
}

/// Runs the first coroutine, with which `may` starts its threads.
fn first_coroutine(run: fn()) -> io::Result<()> {
    let (sender, told) = mpsc::channel();
    let body: Body = Box::new(move || {
        run();
        // The receiver is gone where this took too long.
        let _ = sender.send(());
    });
    panics::catch(|| spawn(0, body)).map_err(|panic| io::Error::other(panic.message))??;
    told.recv_timeout(START_LIMIT).map_err(|_| io::Error::other("the threads for coroutines do not start"))
}
