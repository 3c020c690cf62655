//! The `rq` whose workers are measured.
//!
//! With the variable `RQ_BENCH_EXCEPTION_HANDLER` it has an exception handler. `-w heavy-fork` is `-w fork` in a worker that
//! holds 200 MB.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::time::{ClockId, clock_gettime};
use rq_cli::App;
use rq_core::{Context, End, Executor, callback, handlers, job};
use rq_worker::{Launch, LaunchError, Options, Program};
use rq_worker_fork::{Fork, ForkOptions};

/// As good as no work, under the name of a function that Python has too.
#[job("operator.add")]
fn add(x: i64, y: i64) -> anyhow::Result<i64> {
    Ok(x + y)
}

/// Waits, as a job does that asks another service.
#[job("bench.wait")]
fn wait(ctx: &Context, ms: u64) -> anyhow::Result<()> {
    Ok(ctx.sleep(Duration::from_millis(ms))?)
}

/// Tells the socket at `path` what time it was when the job began, in nanoseconds of the machine's monotonic clock.
#[job("bench.tell_start")]
fn tell_start(path: String) -> anyhow::Result<()> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    UnixDatagram::unbound()?.send_to(&u64::try_from(now.as_nanos())?.to_le_bytes(), path)?;
    Ok(())
}

/// Fails.
#[job("bench.fail")]
fn fail() -> anyhow::Result<()> {
    bail!("as it should")
}

/// Is stopped: by itself, since nobody else knows when it runs.
#[job("bench.stop")]
fn stop(ctx: &Context) -> anyhow::Result<()> {
    const LONGER_THAN_IT_TAKES: Duration = Duration::from_secs(60);
    let job = ctx.job();
    ctx.queue(job.origin.as_str())?.handle::<()>(&job.id).stop()?;
    Ok(ctx.sleep(LONGER_THAN_IT_TAKES)?)
}

/// Asks what job it is.
#[job("bench.current")]
fn current() -> anyhow::Result<()> {
    Context::current().map(drop).context("this is a job")
}

/// Is called, and that is all.
#[callback("bench.hear")]
fn hear(_end: End) -> anyhow::Result<()> {
    Ok(())
}

/// Starts the fork server; then the worker takes memory, as one may that keeps a cache.
struct HeavyFork;

impl Launch for HeavyFork {
    const NAME: &'static str = "heavy-fork";

    type Options = ForkOptions;

    fn launch(
        program: Program,
        options: &Options,
        own: ForkOptions,
    ) -> Result<Box<dyn Executor>, LaunchError> {
        const HELD_BYTES: usize = 200 << 20;
        let executor = Fork::launch(program, options, own)?;
        std::mem::forget(black_box(vec![1_u8; HELD_BYTES]));
        Ok(executor)
    }
}

fn main() -> ExitCode {
    let app = App::new(handlers![add, wait, tell_start, fail, stop, current, hear])
        .executor::<HeavyFork>(HeavyFork::NAME);
    // All failures wait for a handler, so it is there where that is measured alone.
    match std::env::var_os("RQ_BENCH_EXCEPTION_HANDLER") {
        Some(_) => app.on_exception(|_, _| ControlFlow::Continue(())).run(),
        None => app.run(),
    }
}
