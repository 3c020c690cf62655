//! Jobs for coroutines: those that wait as they should, and those that do not.

use std::cell::Cell;
use std::hint::black_box;
use std::io::Read;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rq_core::{Context, Handlers, handlers, job};
use rq_worker_green::{net, sync};

use super::Result;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// All of them.
pub(super) fn handlers() -> Handlers {
    let waiting = handlers![nap, receive, read, count_locked, add_in_redis, panic_late];
    waiting.merge(handlers![swallow, swallow_on, descend, block, hold, of_thread])
}

/// Sleeps for long, without its context.
#[job("green.nap")]
pub fn nap() -> Result<()> {
    rq_worker_green::sleep(LONG);
    Ok(())
}

/// Waits at a channel to which nobody sends.
#[job("green.receive")]
pub fn receive() -> Result<()> {
    let (_kept, receiver) = sync::mpsc::channel::<()>();
    Ok(receiver.recv()?)
}

/// Reads from somebody who says nothing.
#[job("green.read")]
pub fn read() -> Result<usize> {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut stream = net::TcpStream::connect(listener.local_addr()?)?;
    let _silent = listener.accept()?;
    Ok(stream.read(&mut [0])?)
}

/// Holds a lock of ours across a wait, and counts under it.
#[job("green.count_locked")]
pub fn count_locked(ctx: &Context, ms: u64) -> Result<u64> {
    static COUNT: LazyLock<sync::Mutex<u64>> = LazyLock::new(|| sync::Mutex::new(0));
    let mut count = COUNT.lock().map_err(|_| "a job panicked under the lock")?;
    let before = *count;
    ctx.sleep(Duration::from_millis(ms))?;
    *count = before + 1;
    Ok(*count)
}

/// Adds to a number in Redis, and returns what it was and what it is.
#[job("green.add_in_redis")]
pub fn add_in_redis(key: String, add: i64) -> Result<(i64, i64)> {
    let url = std::env::var("RQ_REDIS_URL")?;
    let mut redis = rq_worker_green::redis::Connection::open(url)?;
    let ((before, after),): ((Option<i64>, i64),) =
        redis::pipe().atomic().get(&key).incr(&key, add).query(&mut redis).map(|both| (both,))?;
    Ok((before.unwrap_or_default(), after))
}

/// Panics after a wait, behind which it may be on another thread.
#[job("green.panic_late")]
pub fn panic_late(ctx: &Context, ms: u64, message: String) -> Result<()> {
    ctx.sleep(Duration::from_millis(ms))?;
    panic!("{message}")
}

/// Takes its cancel for nothing, and returns well.
#[job("green.swallow")]
pub fn swallow() -> Result<()> {
    let _ = catch_unwind(AssertUnwindSafe(|| rq_worker_green::sleep(LONG)));
    Ok(())
}

/// Takes every cancel for nothing, and goes on.
#[job("green.swallow_on")]
pub fn swallow_on() -> Result<()> {
    loop {
        let _ = catch_unwind(AssertUnwindSafe(|| rq_worker_green::sleep(LONG)));
    }
}

/// Calls itself without end, by as little stack as can be at a time.
#[job("green.descend")]
pub fn descend(depth: u64) -> Result<u64> {
    Ok(deeper(depth))
}

fn deeper(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { 0 } else { deeper(depth + 1) + 1 }
}

/// Notes a number with its thread, waits, and returns what is noted there then.
#[job("green.of_thread")]
pub fn of_thread(ctx: &Context, number: u64, ms: u64) -> Result<u64> {
    thread_local!(static NOTED: Cell<u64> = const { Cell::new(0) });
    NOTED.set(number);
    ctx.sleep(Duration::from_millis(ms))?;
    Ok(NOTED.get())
}

/// Sleeps as a thread does.
#[job("green.block")]
pub fn block(ms: u64) -> Result<()> {
    std::thread::sleep(Duration::from_millis(ms));
    Ok(())
}

/// Holds a lock of the standard library across a wait.
#[job("green.hold")]
pub fn hold(ctx: &Context, ms: u64) -> Result<()> {
    static LOCK: Mutex<()> = Mutex::new(());
    let _held = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(ctx.sleep(Duration::from_millis(ms))?)
}
