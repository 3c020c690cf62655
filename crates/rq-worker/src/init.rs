//! [`leave_init_behind`]: what the first process of a container owes to the others.

#![allow(
    unsafe_code,
    reason = "beside `environment.rs` the only module of this crate that may; each block says why it holds"
)]

use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

/// How long what is left may take to end when the worker has, and how often that is looked at.
const LEFT_GRACE: Duration = Duration::from_millis(1500);
const LEFT_PAUSE: Duration = Duration::from_millis(10);
/// What shells add to the number of a signal for an exit code.
const SIGNALED: i32 = 128;

/// In the first process of a container forks, and returns in the child, which is the worker. The first process stays as an
/// init: it passes signals on, reaps what nobody else does, and ends as the worker did.
///
/// To a first process the system delivers no signal that it does not handle, so that SIGHUP and SIGQUIT would do nothing;
/// and it gets the orphans of all others. A worker that reaped whatever ends would take a job's own children from it.
///
/// Does nothing elsewhere, and in a process with threads, which must not fork.
pub(crate) fn leave_init_behind() {
    const FIRST: Pid = Pid::from_raw(1);
    if getpid() != FIRST || !has_one_thread() {
        return;
    }
    if let Err(error) = fork_worker() {
        tracing::warn!("the first process of this container stays without an init: {error}");
    }
}

/// Whether this process has one thread.
pub(crate) fn has_one_thread() -> bool {
    // The directory has a link for each thread, beside the two of every directory.
    std::fs::metadata("/proc/self/task").is_ok_and(|threads| threads.nlink() == 3)
}

fn fork_worker() -> io::Result<()> {
    // Before the fork: a signal that comes right behind it is for the worker, too.
    let all = SigSet::all();
    let before = all.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC);
    // SAFETY: this process has one thread, so that there is nobody who could hold a lock or be in the middle of a change.
    let forked = signals.and_then(|signals| Ok((unsafe { fork() }?, signals)));
    match forked {
        Ok((ForkResult::Parent { child }, signals)) => serve(child, &signals),
        other => {
            before.thread_set_mask()?;
            Ok(other.map(drop)?)
        }
    }
}

/// What the first process does until the worker has ended.
fn serve(worker: Pid, signals: &SignalFd) -> ! {
    loop {
        let received = signals.read_signal().unwrap_or_else(|_| {
            // Without signals there is nothing to do but to look: the loop ends with the worker either way.
            sleep(LEFT_PAUSE);
            None
        });
        let number = received.map_or(libc::SIGCHLD, |received| received.ssi_signo.cast_signed());
        match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(worker) {
                    end_what_is_left();
                    // SAFETY: it has no conditions. Exit handlers are the worker's, which has run them.
                    unsafe { libc::_exit(code) };
                }
            }
            // A terminal has sent it to the worker as well, which is of the same group.
            Ok(_) if received.is_some_and(|received| received.ssi_code == libc::SI_KERNEL) => {}
            Ok(signal) => {
                // It fails where the worker has just ended, which is the next thing to be heard of.
                let _ = kill(worker, signal);
            }
            // Signals without a name mean something to whom they were agreed with, and that is not the worker.
            Err(_) => {}
        }
    }
}

/// Reaps what has ended. The worker's exit code, where it has.
fn reap(worker: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, its)) if pid == worker => code = Some(its),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == worker => {
                code = Some(SIGNALED + signal as i32)
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}

/// Has the other processes of the container end, which the system kills with the first one.
fn end_what_is_left() {
    const ALL: Pid = Pid::from_raw(-1);
    let began = Instant::now();
    // It fails where there are none.
    let _ = kill(ALL, Signal::SIGTERM);
    while began.elapsed() < LEFT_GRACE {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => sleep(LEFT_PAUSE),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
