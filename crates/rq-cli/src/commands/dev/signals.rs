//! [`Signals`]: signals as something to be read, for a command that waits for them and for a child at once.

#![allow(unsafe_code, reason = "the only module of this crate that may; the block says why it holds")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sys::signal::SigSet;
use nix::sys::signalfd::SignalFd;

pub(super) use nix::sys::signal::Signal;

/// Those that ask a program something, and the one that says that a child has ended.
const RECEIVED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

/// The signals of this process, from when it was made: they no longer do what they do by default.
pub(super) struct Signals {
    set: SigSet,
    file: SignalFd,
}

/// A signal that has come.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) signal: Signal,
    /// It was the terminal that sent it, to all programs in its foreground.
    pub(super) is_of_terminal: bool,
}

impl Signals {
    /// Receives them from now on. The process must have one thread: others would take signals as before.
    pub(super) fn receive() -> io::Result<Self> {
        let set = SigSet::from_iter(RECEIVED);
        set.thread_block()?;
        Ok(Self { file: SignalFd::new(&set)?, set })
    }

    /// The next one, when it has come.
    pub(super) fn next(&self) -> io::Result<Received> {
        loop {
            // Nothing, where the wait was broken off.
            let Some(received) = self.file.read_signal()? else { continue };
            let number = i32::try_from(received.ssi_signo).unwrap_or_default();
            let Ok(signal) = Signal::try_from(number) else { continue };
            return Ok(Received { signal, is_of_terminal: received.ssi_code == libc::SI_KERNEL });
        }
    }

    /// Starts a child to which signals do what they do by default.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let set = self.set;
        let let_through = move || Ok(set.thread_unblock()?);
        // SAFETY: between fork and exec, where other threads of the parent may hold any lock, this makes one system call
        // and an `io::Error` of its number, which takes no memory.
        unsafe { command.pre_exec(let_through) };
        command.spawn()
    }
}
