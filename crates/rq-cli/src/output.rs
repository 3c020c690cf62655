//! What commands print: data on standard output, remarks on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::refusal::Refusal;

/// Prints one line of data.
pub(crate) fn say(line: impl Display) -> Result<(), Refusal> {
    print(&format!("{line}\n"))
}

/// Prints lines of data, in one piece where that is possible.
pub(crate) fn print(text: &str) -> Result<(), Refusal> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    // Here, where an error can still be told: at the end of the process it would be lost.
    Ok(stdout.flush()?)
}

/// Prints a remark on something that is no error. Where standard error is closed, it is dropped.
pub(crate) fn note(remark: impl Display) {
    let _ = io::stderr().write_all(format!("Note: {remark}.\n").as_bytes());
}
