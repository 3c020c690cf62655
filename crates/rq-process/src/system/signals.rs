//! Signals: what this process was started with, and how a process passes over what is sent to all of its group.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;

/// The signals by which people and service managers stop a program. They send them to whole groups of processes, and its
/// first process alone is meant: a worker finishes its jobs, and needs its server and its horses for that.
const STOPS: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

/// The handler of what is passed over. Programs that jobs start do not inherit it, as they would inherit a blocked or an
/// ignored signal: the system gives them the default action (execve(2)).
///
/// In a place of its own, so that it has one address by which it is known again.
static PASS_OVER: extern "C" fn(libc::c_int) = pass_over;

extern "C" fn pass_over(_: libc::c_int) {}

/// The signals that this process was started with: those it blocks, and those it ignores.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    mask: SigSet,
    ignores: [bool; STOPS.len()],
}

impl Inherited {
    /// Those of this process, before anything has handled one.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn of_this_process() -> io::Result<Inherited> {
        let mask = SigSet::thread_get_mask()?;
        let mut ignores = [false; STOPS.len()];
        for (ignores, signal) in ignores.iter_mut().zip(STOPS) {
            *ignores = handler_of(signal)? == libc::SIG_IGN;
        }
        Ok(Inherited { mask, ignores })
    }

    /// Has this process, and those that it forks, pass over SIGINT and SIGTERM. What it was started with as ignored stays
    /// so, for the programs that it starts.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn pass_over_stops(&self) -> io::Result<()> {
        for (ignores, signal) in self.ignores.iter().zip(STOPS) {
            handle(signal, if *ignores { libc::SIG_IGN } else { passing_over() })?;
        }
        // Rust ignores it, which programs would inherit; passed over, a write to a closed pipe fails all the same.
        if handler_of(Signal::SIGPIPE)? == libc::SIG_IGN {
            handle(Signal::SIGPIPE, passing_over())?;
        }
        hear_of_children()
    }

    /// Gives this process the mask that it was started with.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn restore_mask(&self) -> io::Result<()> {
        Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)?)
    }

    /// Has a program begin with these signals, whatever this process does with them by now.
    pub fn pass_on(self, command: &mut Command) {
        let restore = move || {
            self.restore_mask()?;
            for (_, signal) in self.ignores.iter().zip(STOPS).filter(|(ignores, _)| **ignores) {
                handle(signal, libc::SIG_IGN)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec, where other threads of the parent may hold any lock, this makes system calls
        // alone, and an `io::Error` of their number, which takes no memory.
        unsafe { command.pre_exec(restore) };
    }
}

/// Has the system keep ended children for this process to reap, and tell it of them, whatever it was started with.
pub(crate) fn hear_of_children() -> io::Result<()> {
    // A process whose parent ignores it cannot wait for its own children.
    handle(Signal::SIGCHLD, libc::SIG_DFL)
}

/// The signal by which a process that passes over SIGTERM is ended by it all the same: nobody else sends this one.
fn nudge() -> libc::c_int {
    libc::SIGRTMAX()
}

/// Has this process, and those that it forks, end by SIGTERM when they are [nudged](take_termination), unless
/// something in it, such as a job, has a handler of its own for it by then.
///
/// # Errors
/// If the system refuses it.
pub fn take_terminations_when_nudged() -> io::Result<()> {
    extern "C" fn on_nudge(_: libc::c_int) {
        let passes_over = handler_of(Signal::SIGTERM).is_ok_and(|handler| handler == passing_over());
        if passes_over && handle(Signal::SIGTERM, libc::SIG_DFL).is_ok() {
            // SAFETY: it has no conditions, and may be called in a handler.
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        }
    }
    let on_nudge: extern "C" fn(libc::c_int) = on_nudge;
    handle_number(nudge(), on_nudge as *const () as libc::sighandler_t)
}

/// Has a child that was not reaped yet, and [takes terminations when nudged](take_terminations_when_nudged), end by SIGTERM,
/// unless it handles that itself.
pub fn take_termination(child: Pid) {
    // SAFETY: it has no conditions. A process that has just ended ignores signals.
    unsafe { libc::kill(child.as_raw(), nudge()) };
}

fn passing_over() -> libc::sighandler_t {
    PASS_OVER as *const () as libc::sighandler_t
}

/// What a signal does in this process: a handler, `SIG_DFL` or `SIG_IGN`.
fn handler_of(signal: Signal) -> io::Result<libc::sighandler_t> {
    // SAFETY: all zeros are a valid record.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed, and the record lives through the call, which fills it.
    Errno::result(unsafe { libc::sigaction(signal as libc::c_int, ptr::null(), &raw mut action) })?;
    Ok(action.sa_sigaction)
}

fn handle(signal: Signal, handler: libc::sighandler_t) -> io::Result<()> {
    handle_number(signal as libc::c_int, handler)
}

fn handle_number(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zeros are a valid record, with an empty mask; both fields take what they are given.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // A call that a job waits in goes on, where the system can do that (signal(7)).
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the record is valid; the handlers of this module, all that is ever given here, call only what may be called
    // in one.
    Errno::result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    Ok(())
}
