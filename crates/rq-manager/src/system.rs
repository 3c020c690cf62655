//! The system calls that Rust cannot check, each with its proof.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The signals by which a child is asked to stop.
const STOPS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

static IS_ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// Has this process note from now on that it is asked to stop, and do nothing else about it.
pub(crate) fn note_stops() -> io::Result<()> {
    extern "C" fn note(_: nix::libc::c_int) {
        IS_ASKED_TO_STOP.store(true, Ordering::Relaxed);
    }
    // A call that a run waits in goes on, where the system can do that (signal(7)).
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in STOPS {
        // SAFETY: the handler stores to an atomic, which may be done in one.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Whether this process was asked to stop.
pub(crate) fn is_asked_to_stop() -> bool {
    IS_ASKED_TO_STOP.load(Ordering::Relaxed)
}

/// Closes descriptors of a forked child that are its parent's concern.
///
/// The child never returns to the code that owns them: it ends by [`rq_process::end`], which drops nothing.
pub(crate) fn close_in_child(descriptors: &[BorrowedFd<'_>]) {
    for descriptor in descriptors {
        // SAFETY: their owners are of the parent's frames, which this process neither returns to nor unwinds through, so
        // that nobody uses or closes these numbers again.
        unsafe { nix::libc::close(descriptor.as_raw_fd()) };
    }
}
