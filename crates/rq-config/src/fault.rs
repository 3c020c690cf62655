//! [`Fault`]: what is wrong in a line.

/// What is wrong in a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there, and what to write instead.
    pub reason: String,
}

impl Fault {
    /// What is wrong in this line.
    pub fn new(line: usize, reason: impl Into<String>) -> Fault {
        Fault { line, reason: reason.into() }
    }
}
