//! [`GOALS`]: what the figures ought to be, mostly as ratios within a round, which another machine changes little.

use crate::figures::{Figures, Name, Spread};
use crate::sections::{crowd, drain, enqueue, fork, growth, idle, python, waits, wake_up};

/// What ought to be.
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    of: Of,
    pub(crate) bound: Bound,
}

/// What is looked at.
enum Of {
    Figure(Name),
    /// The first figure in parts of the second.
    Ratio(Name, Name),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// How a goal was met.
pub(crate) struct Outcome {
    pub(crate) goal: &'static Goal,
    pub(crate) value: Spread,
    pub(crate) met: bool,
}

const fn ratio(what: &'static str, name: Name, of: Name, bound: Bound) -> Goal {
    Goal { what, of: Of::Ratio(name, of), bound }
}

const fn figure(what: &'static str, name: Name, bound: Bound) -> Goal {
    Goal { what, of: Of::Figure(name), bound }
}

use Bound::{AtLeast, AtMost};

/// All of them.
pub(crate) static GOALS: &[Goal] = &[
    ratio("drain, thread / bare scripts", drain::THREAD.rate, drain::BARE_SCRIPTS.rate, AtLeast(0.9)),
    ratio("drain, green / bare scripts", drain::GREEN.rate, drain::BARE_SCRIPTS.rate, AtLeast(0.9)),
    ratio("drain, thread / bare writes", drain::THREAD.rate, drain::BARE_WRITES.rate, AtLeast(0.7)),
    ratio("drain, green / bare writes", drain::GREEN.rate, drain::BARE_WRITES.rate, AtLeast(0.7)),
    ratio("worker CPU / Redis CPU, thread", drain::THREAD.worker_us, drain::THREAD.redis_us, AtMost(1.0)),
    ratio("worker CPU / Redis CPU, green", drain::GREEN.worker_us, drain::GREEN.redis_us, AtMost(1.0)),
    ratio("Redis CPU a job / bare writes", drain::THREAD.redis_us, drain::BARE_WRITES.redis_us, AtMost(1.4)),
    ratio("Redis CPU a job / Python's", drain::THREAD.redis_us, python::SIMPLE.redis_us, AtMost(1.0 / 12.0)),
    ratio("drain, thread / Python's SimpleWorker", drain::THREAD.rate, python::SIMPLE.rate, AtLeast(67.0)),
    ratio("fork, 16 in flight / bare fork+wait", fork::FORK_16, fork::BARE_16, AtLeast(0.9)),
    ratio("fork, 16 in flight / both, bare fork and threads", fork::FORK_16, fork::BOTH_16, AtLeast(0.9)),
    ratio("fork, 16 in flight / Python's Worker", fork::FORK_16, python::WORKER.rate, AtLeast(100.0)),
    ratio("fork, worker holds 200 MB / not", fork::HEAVY_16, fork::FORK_16, AtLeast(0.9)),
    ratio(
        "10 ms waits, 64 slots, green / at best",
        waits::SLOTS_64.green,
        waits::SLOTS_64.ideal,
        AtLeast(0.9),
    ),
    ratio(
        "10 ms waits, 64 slots, thread / at best",
        waits::SLOTS_64.thread,
        waits::SLOTS_64.ideal,
        AtLeast(0.9),
    ),
    ratio(
        "10 ms waits, 1,000 slots, green / bare scripts",
        waits::SLOTS_1000.green,
        drain::BARE_SCRIPTS.rate,
        AtLeast(0.9),
    ),
    ratio(
        "idle to start, one queue, p50 / bare",
        wake_up::ONE_QUEUE.p50_us,
        wake_up::BARE.p50_us,
        AtMost(1.3),
    ),
    ratio(
        "idle to start, one queue, p99 / bare",
        wake_up::ONE_QUEUE.p99_us,
        wake_up::BARE.p99_us,
        AtMost(2.0),
    ),
    ratio(
        "idle to start, five queues, p50 / bare",
        wake_up::FIVE_QUEUES.p50_us,
        wake_up::BARE.p50_us,
        AtMost(2.5),
    ),
    ratio(
        "idle to start, five queues, p99 / bare",
        wake_up::FIVE_QUEUES.p99_us,
        wake_up::BARE.p99_us,
        AtMost(2.0),
    ),
    ratio("enqueue one by one / bare", enqueue::ONE, enqueue::BARE_ONE, AtLeast(0.9)),
    ratio("enqueue 1,000 a call / bare", enqueue::BULK, enqueue::BARE_BULK, AtLeast(0.7)),
    figure("idle worker, fork, MB", idle::FORK.resident_mb, AtMost(12.0)),
    figure("idle worker, thread, MB", idle::THREAD.resident_mb, AtMost(12.0)),
    figure("idle worker, green, MB", idle::GREEN.resident_mb, AtMost(12.0)),
    figure("start to ready, fork, ms", idle::FORK.ready_ms, AtMost(30.0)),
    figure("start to ready, thread, ms", idle::THREAD.ready_ms, AtMost(30.0)),
    figure("start to ready, green, ms", idle::GREEN.ready_ms, AtMost(30.0)),
    figure("idle worker, Redis commands/s", idle::IDLE.commands, AtMost(1.0)),
    ratio(
        "drain, 1,000,000 queued / 1,000",
        growth::MOST.drain_redis_us,
        growth::FEW.drain_redis_us,
        AtMost(1.1),
    ),
    ratio(
        "enqueue, 1,000,000 queued / 1,000",
        growth::MOST.enqueue_redis_us,
        growth::FEW.enqueue_redis_us,
        AtMost(1.1),
    ),
    ratio(
        "schedule and drain, 1,000,000 scheduled / 1,000",
        growth::MOST.due_redis_us,
        growth::FEW.due_redis_us,
        AtMost(1.1),
    ),
    figure("1,000 idle workers, % of a Redis core", crowd::REDIS_PERCENT, AtMost(1.0)),
];

impl Goal {
    fn value(&self, figures: &Figures) -> Option<Spread> {
        match self.of {
            Of::Figure(name) => figures.get(name).map(|figure| figure.spread),
            Of::Ratio(name, of) => figures.ratio(name, of),
        }
    }
}

impl Bound {
    fn allows(self, value: f64) -> bool {
        match self {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        }
    }
}

/// How the goals were met whose figures were measured.
pub(crate) fn outcomes(figures: &Figures) -> Vec<Outcome> {
    let outcome = |goal: &'static Goal| {
        let value = goal.value(figures)?;
        Some(Outcome { goal, value, met: goal.bound.allows(value.median) })
    };
    GOALS.iter().filter_map(outcome).collect()
}
