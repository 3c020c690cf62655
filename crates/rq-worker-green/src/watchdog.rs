//! [`Watchdog`]: says which job blocks a carrier.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rq_core::{ExecutionId, Job};

use crate::carriers::Carriers;
use crate::seat::sitters;

/// How often the carriers are asked, while any job runs.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long a carrier may be silent before that is logged.
pub const BLOCKED_AFTER: Duration = Duration::from_secs(1);

/// A thread that asks the carriers and says which job blocks one. It rests while there is none.
pub(crate) struct Watchdog {
    awake: Arc<AtomicBool>,
    thread: Thread,
}

impl Watchdog {
    pub(crate) fn start(carriers: &'static Carriers) -> io::Result<Watchdog> {
        let awake = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&awake);
        let builder = thread::Builder::new().name("rq-green-watch".to_owned());
        let thread = builder.spawn(move || watch(carriers, &watched))?.thread().clone();
        Ok(Watchdog { awake, thread })
    }

    pub(crate) fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    pub(crate) fn rest(&self) {
        self.awake.store(false, Ordering::Release);
    }
}

fn watch(carriers: &'static Carriers, awake: &AtomicBool) {
    let mut blockers = Blockers::default();
    loop {
        while !awake.load(Ordering::Acquire) {
            thread::park();
        }
        thread::sleep(ASK_EVERY);
        let blocked = carriers.ask().into_iter().filter(|silent| *silent >= BLOCKED_AFTER).count();
        blockers.tell(blocked, carriers.count());
    }
}

/// Those that were told of.
#[derive(Default)]
struct Blockers {
    told: HashSet<ExecutionId>,
    unknown: bool,
}

impl Blockers {
    fn tell(&mut self, blocked: usize, carriers: usize) {
        if blocked == 0 {
            *self = Blockers::default();
            return;
        }
        let sitters = sitters().into_iter().filter(|sitter| sitter.since.elapsed() >= BLOCKED_AFTER);
        let sitting: Vec<_> = sitters.collect();
        self.told.retain(|id| sitting.iter().any(|sitter| sitter.task.execution.id == *id));
        for sitter in &sitting {
            let execution = &sitter.task.execution;
            if self.told.insert(execution.id.clone()) {
                let (job, silent_s) = (&execution.job, sitter.since.elapsed().as_secs_f64());
                tracing::warn!(
                    "job {} ({}) has not yielded for {silent_s:.1} s and blocks one of the {carriers} threads that run \
                     coroutines; docs/green.md says how to wait in one",
                    job.id,
                    function_of(job)
                );
            }
        }
        if sitting.is_empty() && !std::mem::replace(&mut self.unknown, true) {
            tracing::warn!(
                "{blocked} of the {carriers} threads that run coroutines do not answer: a job blocks them, or the machine \
                 has more to compute than it can"
            );
        }
    }
}

fn function_of(job: &Job) -> String {
    job.payload().map_or_else(|_| "unknown".to_owned(), |(_, payload)| payload.func)
}
