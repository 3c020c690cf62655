//! Runs jobs on a pool of threads: `-w thread`.
//!
//! ```no_run
//! use rq_core::{handlers, job};
//! use rq_worker_thread::Worker;
//!
//! #[job("math.add")]
//! fn add(x: i64, y: i64) -> rq_core::Result<i64> {
//!     Ok(x + y)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Worker::new(handlers![add]).queues(["high", "default"]).concurrency(8).run()
//! }
//! ```
//!
//! # What it promises, and what not
//!
//! At its time limit a job is asked to end (`ctx.check()` fails, `ctx.sleep(..)` wakes), and an async handler is
//! dropped at its next `await`. If the job goes on, the worker settles it as failed [shortly after](RETURN_GRACE), and
//! its slot is free again: its thread is replaced and counts as stuck until it returns. When as many threads are stuck
//! as there are slots, the worker drains and exits for its supervisor to start a fresh one.
//!
//! Nothing can stop the code of a thread, and nothing isolates it: an abort, a stack overflow or a memory leak is the
//! whole worker's. Jobs that must be stopped or isolated run under `-w fork`.

mod pool;
mod run_queue;
mod task;

use rq_core::Executor;
pub use rq_worker::RETURN_GRACE;
use rq_worker::{Launch, LaunchError, Options, Program};

use pool::Pool;

/// The most threads there may be.
pub const CONCURRENCY_MAX: usize = 4096;
/// How many jobs run at once by default for each core of the machine: most jobs wait more than they compute.
pub const CONCURRENCY_PER_CORE: usize = 8;
/// How many jobs run at once by default, at least.
pub const CONCURRENCY_MIN: usize = 16;

/// A worker whose jobs run on threads.
pub type Worker = rq_worker::Worker<Thread>;

/// Starts the pool.
#[derive(Debug)]
pub struct Thread;

impl Launch for Thread {
    const NAME: &'static str = "thread";

    type Options = ();

    fn launch(program: Program, options: &Options, (): ()) -> Result<Box<dyn Executor>, LaunchError> {
        let by_default = |cores| CONCURRENCY_MIN.max(cores * CONCURRENCY_PER_CORE);
        let slots = options.slots(CONCURRENCY_MAX, by_default)?;
        Ok(Box::new(Pool::start(program, slots)?))
    }
}
