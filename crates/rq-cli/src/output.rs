//! What commands print: data on standard output, remarks on standard error.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::refusal::Refusal;
use crate::text::{Text, text};

/// Prints one line of data.
pub(crate) fn say(line: Text) -> Result<(), Refusal> {
    print(&line.ended())
}

/// Prints lines of data, in one piece where that is possible.
pub(crate) fn print(text: &Text) -> Result<(), Refusal> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_str().as_bytes())?;
    // Here, where an error can still be told: at the end of the process it would be lost.
    Ok(stdout.flush()?)
}

/// How long a remark waits for a reader, in milliseconds: a command that nobody reads goes on without it.
const REMARK_WAIT_MS: u16 = 500;

/// Prints a remark on something that is no error. Where standard error is closed, or nobody reads it, it is dropped.
pub(crate) fn note(remark: Text) {
    let end = if remark.as_str().ends_with('?') { text!("") } else { text!(".") };
    let line = (text!("Note: ") + remark + end).ended();
    let mut stderr = io::stderr();
    // A pipe with any room has enough for a remark.
    if has_room(&stderr, REMARK_WAIT_MS.into()) {
        let _ = stderr.write_all(line.as_str().as_bytes());
    }
}

/// Whether `stream` takes something, or says that it never will, within a time.
pub(crate) fn has_room(stream: impl AsFd, within: PollTimeout) -> bool {
    // A signal ends the wait early: the write then shows how it is.
    poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], within) != Ok(0)
}
