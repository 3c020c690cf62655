//! The child's side: the loop around a process's runs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use rq_process::Pid;
use rq_process::memory::held_bytes;

use crate::backoff::doubled;
use crate::board::Board;
use crate::context::Context;
use crate::error::BoxError;
use crate::process::Process;
use crate::system::is_asked_to_stop;

/// Exit codes, as shells and service managers read them.
pub(crate) const WELL: i32 = 0;
pub(crate) const FAILED: i32 = 1;
/// The pause behind a run that failed, doubled with each one in a row, and the longest.
const FAILED_PAUSE_MIN: Duration = Duration::from_millis(100);
const FAILED_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest time that a pause overlooks a signal which came right before it.
const OVERLOOKED_LONGEST: Duration = Duration::from_secs(1);

/// What a child is told about its runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) max_requests: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) check_point: Option<Duration>,
}

/// Does what `make` makes, until it is asked to stop or has done its requests. The child's exit code.
pub(crate) fn run(
    make: impl FnOnce() -> Box<dyn Process>,
    context: &Context,
    board: &Board,
    pace: Pace,
) -> i32 {
    let begun = caught(|| {
        let mut process = make();
        process.init(context).map(|()| process)
    });
    let mut process = match begun {
        Ok(process) => process,
        Err(reason) => {
            tracing::error!("{} could not start: {reason}", context.name());
            board.fail(&reason.to_string());
            return FAILED;
        }
    };
    board.ready(held_bytes(&[Pid::this()]));
    let ended = caught(|| {
        let is_full = run_on(process.as_mut(), context, board, pace);
        board.close(is_full);
        process.after_run(context);
        Ok(())
    });
    match ended {
        Ok(()) => WELL,
        // Not of a run: those are told to the process.
        Err(reason) => {
            tracing::error!("{} failed: {reason}", context.name());
            FAILED
        }
    }
}

/// Runs until the child is asked to stop; `true` where it has done its requests.
fn run_on(process: &mut dyn Process, context: &Context, board: &Board, pace: Pace) -> bool {
    let mut failures = 0;
    while !is_asked_to_stop() {
        board.begin_run();
        context.begin_run(pace.timeout);
        let outcome = caught(|| process.run(context));
        let is_request = matches!(outcome, Ok(true));
        context.end_run(is_request);
        board.end_run(is_request);
        if pace.max_requests.is_some_and(|most| context.requests() >= most) {
            return true;
        }
        failures = match outcome {
            Ok(_) => 0,
            Err(exception) => {
                process.on_exception(context, &exception);
                pause(doubled(FAILED_PAUSE_MIN, failures, FAILED_PAUSE_MAX));
                failures + 1
            }
        };
        if let Some(check_point) = pace.check_point {
            pause(check_point);
        }
    }
    false
}

/// What `work` returns; an error where it panics.
fn caught<T>(work: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    // What a process that panicked holds is its author's concern, as what one holds that has failed.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(text_of(panic.as_ref()).into()))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

/// Sleeps, until the child is asked to stop.
fn pause(duration: Duration) {
    let until = Instant::now() + duration;
    while !is_asked_to_stop() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let slice = left.min(OVERLOOKED_LONGEST).into();
        // A signal ends it early; anything else it fails of would have this spin.
        match clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::empty(), &slice) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
