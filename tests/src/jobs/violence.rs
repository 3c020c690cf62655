//! What Rust does not let a job do by itself: the few system calls and accesses that a hostile job needs, each with its
//! proof.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Reads where nothing is.
pub(super) fn read_nowhere() -> u8 {
    /// In the first page, which the system gives to nobody.
    const NOWHERE: usize = 8;
    let nowhere = std::ptr::with_exposed_provenance::<u8>(NOWHERE);
    // SAFETY: a volatile access may go to memory that is no object of Rust's; a byte has no alignment and no bad value. What
    // the machine makes of it, which is a signal, is what the caller is after.
    unsafe { nowhere.read_volatile() }
}

/// Ends the process at once: no destructor runs, no buffer is written.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: it has no conditions, and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes SIGTERM do nothing.
pub(super) fn ignore_terminations() -> nix::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed that could be called at a bad moment.
    unsafe { sigaction(Signal::SIGTERM, &action) }.map(drop)
}
