//! Coroutines: the few calls that Rust cannot check, each with its proof.
//!
//! `may` puts a guard page below each stack. A coroutine that runs into it ends with an error, and `may` then checks
//! whether the lowest words of the stack are still as they were: if not, it ends the *process*. A stack that overflows
//! word by word fails that check. So this module makes a stack's lowest page read-only before its first job: writing
//! into it is an overflow, too, and the words stay as they were. It costs a memory map a stack.
//!
//! `may` uses stacks again. On one that overflowed, coroutines begin a little lower from then on, so that the distance
//! to its end is another; so this module remembers which stacks it has protected.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::hint::black_box;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use may::coroutine::{Builder, Coroutine, JoinHandle};
use nix::sys::mman::{ProtFlags, mprotect};
use nix::unistd::{SysconfVar, sysconf};

/// What a coroutine does. All have this one type, so that all begin at the same distance from their stack's end.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// From a fresh stack's lower end to what [`enter`] has on it, in bytes; 0 while unknown.
static DISTANCE: AtomicUsize = AtomicUsize::new(0);
/// Where [`enter`] was last while that was unknown.
static LAST_HERE: AtomicUsize = AtomicUsize::new(0);

/// The lower ends of the stacks whose lowest page is read-only. A stack that is gone stays in the set: another one in
/// its place has its guard page alone.
static PROTECTED: RwLock<BTreeSet<usize>> = RwLock::new(BTreeSet::new());

/// Starts a coroutine on one of `may`'s threads. It must catch its panics.
///
/// # Panics
/// If there is no memory map left for its stack.
pub(crate) fn spawn(carrier: usize, body: Body) -> io::Result<JoinHandle<()>> {
    // SAFETY: there are two conditions. The coroutine must not use its thread's local storage across a wait: of our
    // code only `current_job()` and `swap()` use it, which are never inlined and look it up anew each time;
    // docs/green.md says so to authors of jobs, as nothing can check it. And it must not overflow its stack: there is a
    // guard below each, and a coroutine that runs into it is not resumed.
    unsafe { Builder::new().id(carrier).spawn(move || enter(body)) }
}

/// Has a coroutine unwind from the wait it is in, or its next one.
pub(crate) fn cancel(coroutine: &Coroutine) {
    // SAFETY: unwinding drops what the coroutine holds, as a panic of its own would, which may happen anyway.
    unsafe { coroutine.cancel() }
}

#[inline(never)]
fn enter(body: Body) {
    let mark = 0_u8;
    // `black_box` keeps the compiler from leaving the mark in a register, where it has no address.
    let here = std::ptr::from_ref(black_box(&mark)).addr();
    match DISTANCE.load(Ordering::Acquire) {
        0 => LAST_HERE.store(here, Ordering::Release),
        distance => protect(here, distance),
    }
    body();
}

/// Makes the lowest page of the stack around `here` read-only, unless it is already.
fn protect(here: usize, distance: usize) {
    // Most coroutines get a stack that was used before: a shared lock is enough for them.
    let known = PROTECTED.read().unwrap_or_else(PoisonError::into_inner);
    if known.range(..=here).next_back().is_some_and(|bottom| here - bottom <= distance) {
        return;
    }
    drop(known);
    let (bottom, page) = (here - distance, page_bytes());
    let Some(lowest) = NonNull::new(std::ptr::with_exposed_provenance_mut::<c_void>(bottom)) else { return };
    // On a stack that overflowed coroutines begin a little lower, so the distance leads to no page's beginning.
    if !bottom.is_multiple_of(page) {
        return;
    }
    // Also where the system then refuses: it would be asked again by every coroutine on this stack.
    PROTECTED.write().unwrap_or_else(PoisonError::into_inner).insert(bottom);
    // SAFETY: this stack runs its first coroutine, and all begin at the same distance from the end of stacks of the
    // same size; so this is its lowest page, far from being used when a coroutine begins. No object of Rust's is there,
    // and `may` only reads it from now on. If the system refuses, the stack has its guard page alone.
    let _ = unsafe { mprotect(lowest, page, ProtFlags::PROT_READ) };
}

/// Finds out, in the first coroutine, where stacks begin. Where `/proc` does not show it, stacks have their guard page
/// alone.
pub(crate) fn measure() {
    let here = LAST_HERE.load(Ordering::Acquire);
    if let Some(bottom) = bottom_of_stack(here) {
        DISTANCE.store(here - bottom, Ordering::Release);
    }
}

/// Where the memory map around `here` begins, which must lie right behind a guard.
fn bottom_of_stack(here: usize) -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut guard_end = 0;
    for map in maps.lines() {
        let (range, rest) = map.split_once(' ')?;
        let (begin, end) = range.split_once('-')?;
        let [begin, end] = [begin, end].map(|address| usize::from_str_radix(address, 16).unwrap_or_default());
        if (begin..end).contains(&here) {
            // Otherwise the map has grown together with a neighbour, and its beginning is not this stack's.
            return (begin == guard_end).then_some(begin);
        }
        if rest.starts_with("---p") {
            guard_end = end;
        }
    }
    None
}

fn page_bytes() -> usize {
    /// Where the system does not say.
    const USUAL: usize = 4096;
    let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    asked.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(USUAL)
}
