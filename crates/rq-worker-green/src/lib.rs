//! Runs each job in a coroutine: `-w green`, for thousands of jobs that wait.
//!
//! ```no_run
//! use rq_core::{handlers, job, secs, Context};
//! use rq_worker_green::Worker;
//!
//! #[job("reminders.wait")]
//! fn wait(ctx: &Context, seconds: u64) -> rq_core::Result<()> {
//!     Ok(ctx.sleep(secs(seconds))?)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Worker::new(handlers![wait]).concurrency(10_000).run()
//! }
//! ```
//!
//! # Waiting
//!
//! Coroutines share a few threads, the *carriers*. A job must wait in a way that gives the carrier to others: by
//! `ctx.sleep`, or by [`sleep`], [`sync`], [`net`] and [`redis`] of this crate. Async handlers are polled in their
//! job's coroutine; a runtime of a few threads drives their I/O. What blocks a thread, or computes for long, blocks a
//! carrier, which is logged [after a second](BLOCKED_AFTER). The chapter `docs/green.md` says what is safe, and what it
//! costs where it is not.
//!
//! # What it promises, and what not
//!
//! At its time limit a job is asked to end (`ctx.check()` fails, `ctx.sleep(..)` wakes). [Shortly after](CANCEL_GRACE)
//! its coroutine is unwound from the wait of this crate that it is in, or its next one; its job has reached its limit
//! then, even if it catches that. If the job goes on, the worker settles it as failed [at the end of the
//! grace](RETURN_GRACE); its slot is free again, and it counts as stuck until it returns. When jobs are stuck on half
//! of the carriers, the worker drains and exits for its supervisor to start a fresh one.
//!
//! A panic is the job's failure, and so is a stack overflow; but what was on an overflowed stack is never dropped:
//! memory leaks, and locks stay locked. Nothing isolates jobs from each other otherwise.

mod carriers;
mod clock;
mod coroutine;
mod coroutines;
mod current_job;
mod drive;
mod host;
mod options;
pub mod redis;
mod sleep;
mod slots;
mod task;
mod watchdog;

use std::cell::RefCell;

use rq_core::panics::{self, Memory};
use rq_core::{Context, Executor, current};
pub use rq_worker::RETURN_GRACE;
use rq_worker::{Jobs, Launch, LaunchError, Options, Program};

pub use carriers::CARRIERS_MIN;
use carriers::Carriers;
use clock::Clock;
pub use coroutines::CANCEL_GRACE;
use coroutines::Coroutines;
pub use options::{GreenOptions, JOB_STACK_KB_DEFAULT, JOB_STACK_KB_MAX, JOB_STACK_KB_MIN};
pub use sleep::{sleep, yield_now};
pub use slots::CONCURRENCY_DEFAULT;
pub use watchdog::BLOCKED_AFTER;
use watchdog::Watchdog;

/// TCP, UDP and Unix sockets whose waits give the carrier to other coroutines: those of `may`, like the standard
/// library's.
///
/// Looking up a host's name blocks.
pub mod net {
    pub use may::net::{TcpListener, TcpStream, UdpSocket};
    pub use may::os::unix::net::{UnixListener, UnixStream};
}

/// Channels and locks whose waits give the carrier to other coroutines: those of `may`, like the standard library's.
///
/// A wait with a time limit that runs out (`recv_timeout`, `wait_timeout`) goes on in the thread that keeps `may`'s
/// time: call [`yield_now`] then before you compute.
pub mod sync {
    pub use may::sync::{Barrier, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use may::sync::{mpmc, mpsc, spsc};
}

/// A worker whose jobs run in coroutines.
pub type Worker = rq_worker::Worker<Green>;

/// Starts the threads that run coroutines.
#[derive(Debug)]
pub struct Green;

impl Launch for Green {
    const NAME: &'static str = "green";

    type Options = GreenOptions;

    fn launch(
        program: Program,
        options: &Options,
        own: GreenOptions,
    ) -> Result<Box<dyn Executor>, LaunchError> {
        let (jobs, preloads) = Jobs::of(program)?;
        jobs.runtime().drive_by(drive::block_on, drive::is_polled);
        let slots = slots::slots(options, Carriers::running().map_or(0, Carriers::jobs))?;
        panics::remember_by(swap_memory);
        current::keep_by(swap_context);
        let carriers = Carriers::start(own.job_stack_kb)?;
        Clock::start(carriers)?;
        let watchdog = Watchdog::start(carriers)?;
        preloads.run()?;
        Ok(Box::new(Coroutines::new(jobs, slots, carriers, watchdog)))
    }
}

may::coroutine_local!(static MEMORY: RefCell<Memory> = RefCell::default());

/// What a job remembers of its panics goes with its coroutine; outside of them it stays with the thread.
#[inline(never)]
fn swap_memory(memory: Memory) -> Memory {
    MEMORY.with(|place| place.replace(memory))
}

may::coroutine_local!(static CONTEXT: RefCell<Option<Context>> = RefCell::default());

/// The current context goes with its coroutine, too: behind a wait that may be on another thread.
#[inline(never)]
fn swap_context(context: Option<Context>) -> Option<Context> {
    CONTEXT.with(|place| place.replace(context))
}
