//! Processes: the few system calls that Rust cannot check, each with its proof.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{ForkResult, Pid, fork as unix_fork, getpid, getppid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::frames::{Death, Exit};

/// Who is told of a fork.
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

/// Forks this process, which must have one thread.
///
/// # Panics
/// If it has more: a lock held by another thread would be held for ever in the child.
pub(crate) fn fork() -> io::Result<Forked> {
    assert_eq!(threads()?, 1, "a process that forks has one thread");
    // SAFETY: with one thread there is nobody who could hold a lock or be in the middle of a change, so that the child
    // may do whatever its parent may.
    match unsafe { unix_fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Has the system kill this process when `parent`, which has forked it, is gone.
pub(crate) fn die_with(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before that was set.
    if getppid() != parent {
        std::process::exit(1);
    }
    Ok(())
}

/// Makes this process the parent of whatever its descendants leave behind.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Whose SIGTERM ends a horse.
static MASTER: AtomicI32 = AtomicI32::new(0);

/// Makes this process end by SIGTERM only if `master` sends it: one that goes to a whole process group or control group
/// is for the worker, which finishes its jobs.
pub(crate) fn heed_terminations_of(master: Pid) -> io::Result<()> {
    extern "C" fn on_terminate(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel passes a valid record to a handler installed with SA_SIGINFO, and one that was sent by a
        // process holds its id. Nothing else is touched but an atomic, and both calls are async-signal-safe.
        unsafe {
            if (*info).si_pid() == MASTER.load(Ordering::Relaxed) {
                libc::signal(libc::SIGTERM, libc::SIG_DFL);
                libc::raise(libc::SIGTERM);
            }
        }
    }
    MASTER.store(master.as_raw(), Ordering::Relaxed);
    let handler = SigHandler::SigAction(on_terminate);
    let action = SigAction::new(handler, SaFlags::SA_SIGINFO | SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler calls only what may be called in one.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    ignore(Signal::SIGINT)
}

/// Ignores a signal from now on.
pub(crate) fn ignore(signal: Signal) -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler of ours is installed that could be called at a bad moment.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

/// A child that has ended and is not reaped yet: until it is, its id and its group's are nobody else's.
pub(crate) fn ended_child() -> Option<Pid> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags).ok()?.pid()
}

/// Reaps a child that has ended.
pub(crate) fn reap(child: Pid) -> Option<Death> {
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
    Some(Death { exit, peak_rss_bytes, cpu })
}

/// The children of this process, as far as the system tells.
pub(crate) fn children() -> Vec<Pid> {
    let listed =
        std::fs::read_to_string(format!("/proc/self/task/{}/children", getpid())).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}

/// Takes a variable out of the environment, so that what jobs start does not inherit it.
///
/// # Panics
/// If this process has more than one thread.
pub(crate) fn forget_variable(name: &str) -> io::Result<()> {
    assert_eq!(threads()?, 1, "a process whose environment changes has one thread");
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

/// Takes over a descriptor that came with a message.
pub(crate) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just installed it in this process for whoever received the message, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Has the runtime watch a socket.
pub(crate) fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one descriptor for all its life, which ends after that of the registration it is moved into.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::WRITABLE) }
        .map_err(io::Error::from)
}

/// What this process calls itself in lists of processes; at most 15 bytes are kept.
pub(crate) fn name_process(name: &str) {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    // A name is for readers; without it all goes on.
    let _ = prctl::set_name(&name);
}

/// This process.
pub(crate) fn own_pid() -> Pid {
    getpid()
}
