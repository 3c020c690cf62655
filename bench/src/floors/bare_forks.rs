//! What the machine can do: a small process whose children end at once.

#![allow(unsafe_code, reason = "the system call itself is what is measured; the block says why it holds")]

use std::process::{Command, exit};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork};

/// How many children one measurement forks.
const FORKS: usize = 5_000;
/// Has this program measure with so many children at once and print the rate, instead of all else.
const ASKED: &str = "RQ_BENCH_FORKS";

/// How many children a second can be forked and waited for, with so many at once: measured in a process of its own, which has
/// done nothing yet and so is as small as can be.
pub(crate) fn per_s(in_flight: usize) -> Result<f64> {
    let program = std::env::current_exe().context("this program cannot tell where it is")?;
    let output = Command::new(program).env(ASKED, in_flight.to_string()).output()?;
    let rate = String::from_utf8(output.stdout)?;
    rate.trim().parse().with_context(|| format!("no rate of bare forks: {rate:?}"))
}

/// Measures and ends, where that is what this process is for.
pub(crate) fn measure_if_asked() {
    let Ok(in_flight) = std::env::var(ASKED) else { return };
    let in_flight = in_flight.parse().expect("a number was asked for");
    let began = Instant::now();
    for begun in 0..FORKS {
        if begun >= in_flight {
            wait_for_one();
        }
        fork_one();
    }
    (0..FORKS.min(in_flight)).for_each(|_| wait_for_one());
    println!("{}", FORKS as f64 / began.elapsed().as_secs_f64());
    exit(0)
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
