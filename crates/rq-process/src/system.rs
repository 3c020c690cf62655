//! The few system calls that Rust cannot check, each with its proof, and those that belong to them: `system/signals.rs` has
//! those about signals, `title.rs` and `shared_words.rs` the memory that is not Rust's own.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

mod shared_words;
mod signals;
mod title;

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{ForkResult, Pid, close, fork as unix_fork, getpid, getppid};

use crate::SingleThreaded;
use crate::reaped::{Exit, Reaped};
pub use shared_words::SharedWords;
pub(crate) use signals::hear_of_children;
pub use signals::{Inherited, take_termination, take_terminations_when_nudged};
pub use title::{TITLE_BYTES_MAX, Title};

/// Which side of a fork this process is.
#[derive(Debug)]
pub enum Forked {
    /// The one that has forked; this is its child.
    Parent(Pid),
    /// The one that was forked, and has one thread as well.
    Child(SingleThreaded),
}

/// Forks this process, which must have one thread: a lock held by another would be held for ever in the child.
///
/// # Errors
/// If the system allows no further process now.
pub fn fork(single_threaded: SingleThreaded) -> io::Result<Forked> {
    // SAFETY: with one thread there is nobody who could hold a lock or be in the middle of a change, so that the child
    // may do whatever its parent may.
    match unsafe { unix_fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child(single_threaded)),
    }
}

/// Ends this process as a forked one should: it writes out what is buffered, and runs no exit handlers, which are its
/// parent's.
pub fn end(code: i32) -> ! {
    // Where this fails, nobody reads the output any more.
    let _ = io::stdout().flush();
    // SAFETY: no pointer means all streams of C's library, and that one has locks of its own.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    end_at_once(code)
}

/// Ends this process, and nothing else.
pub(crate) fn end_at_once(code: i32) -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// Has the system send this process `signal` when `parent`, which has forked it, is gone; ends it if that is so by now.
///
/// # Errors
/// If the system refuses it.
pub fn die_with(parent: Pid, signal: Signal) -> io::Result<()> {
    prctl::set_pdeathsig(signal)?;
    // The parent may have died before that was set.
    if getppid() != parent {
        std::process::exit(1);
    }
    Ok(())
}

/// Has the system kill the program that `command` starts when this process is gone, by SIGKILL; it does not start if that
/// is so by then.
///
/// The system goes by the thread that starts the program: start it on one that lives as long as this process. It forgets
/// all about it where the program's file gives rights (set-user-ID).
pub fn dies_with_this_process(command: &mut Command) {
    // Asked before the fork: by the time the child looks for its parent, that may be another process.
    let parent = getpid();
    let die_with_parent = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec, where other threads of the parent may hold any lock, this makes two system calls, and
    // an `io::Error` of a number, which takes no memory.
    unsafe { command.pre_exec(die_with_parent) };
}

/// Makes this process the parent of whatever its descendants leave behind.
///
/// # Errors
/// If the system refuses it.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// A child that has ended and is not reaped yet: until it is, its id and its group's are nobody else's.
pub fn ended_child() -> Option<Pid> {
    // Looked at, not reaped: the group is killed first, while its id is still the child's.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags).ok()?.pid()
}

/// Reaps a child; `None` if it has not ended, or is none of this process.
pub fn reap(child: Pid) -> Option<Reaped> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places live through the call, and are of the types that it writes.
    let pid = unsafe { libc::wait4(child.as_raw(), &mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if pid <= 0 {
        return None;
    }
    // SAFETY: all zeros are a valid record, and the call has written another.
    let usage = unsafe { usage.assume_init() };
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    // Linux counts in kilobytes.
    let peak_rss_bytes = usage.ru_maxrss.unsigned_abs() << 10;
    Some(Reaped { exit, peak_rss_bytes, cpu })
}

/// Closes a descriptor of a process that uses none but its own from now on.
pub(crate) fn close_for_good(descriptor: RawFd) {
    // It fails where there is none, which is what is wanted.
    let _ = close(descriptor);
}

/// Takes a variable out of the environment, so that what this process starts does not inherit it.
pub fn forget_variable(_: &SingleThreaded, name: &str) {
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// Makes a variable part of the environment, so that what this process starts inherits it.
pub fn set_variable(_: &SingleThreaded, name: &str, value: &str) {
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// What this process calls itself in lists of processes; at most 15 bytes are kept.
pub fn name_process(name: &CStr) {
    // Names are for people: a process without one works as well.
    let _ = prctl::set_name(name);
}
