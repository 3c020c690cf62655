//! What the machine can do: children that end at once.

#![allow(unsafe_code, reason = "the system call itself is what is measured; the block says why it holds")]

use std::time::Instant;

use nix::libc;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork};

/// How many children a second can be forked and waited for, with so many at once.
pub(crate) fn forks_per_s(forks: usize, in_flight: usize) -> f64 {
    let began = Instant::now();
    for begun in 0..forks {
        if begun >= in_flight {
            wait_for_one();
        }
        fork_one();
    }
    (0..forks.min(in_flight)).for_each(|_| wait_for_one());
    forks as f64 / began.elapsed().as_secs_f64()
}

fn wait_for_one() {
    wait().expect("a child is there to be waited for");
}

fn fork_one() {
    // SAFETY: the child calls nothing but `_exit`, which may be called whatever other threads held when it was forked.
    match unsafe { fork() }.expect("the machine has room for a child") {
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { .. } => {}
    }
}
