//! Descriptors: what Rust cannot check about them, each with its proof.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes over a descriptor that came with a message.
pub(crate) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just installed it in this process for the receiver of the message, and nobody else knows
    // it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Has the runtime watch a socket.
pub(crate) fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one descriptor for all its life, which ends after that of the registration it is moved
    // into.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::WRITABLE) }
        .map_err(io::Error::from)
}
