//! [`Command`]: the program that an executed child is.

use std::ffi::OsString;
use std::path::PathBuf;

/// A program, its arguments, and what is added to its environment. Two that are equal need no restart.
///
/// The Manager adds these variables, which the program should take out of its environment:
///
/// | variable | is |
/// |---|---|
/// | `NOTIFY_SOCKET` | where it tells how it fares, by sd_notify |
/// | `WATCHDOG_USEC` | a beat (`WATCHDOG=1`) is due within this time; see [`Kind::silence`](crate::Kind::silence) |
/// | `RQ_MANAGED_NAME` | a name that no other child has had, such as `emails-1-5f3a9c` |
/// | `RQ_MANAGED_MAX_REQUESTS` | after how many requests it is to leave, where its kind says so |
///
/// A fifth, `RQ_MANAGED_BY`, is for all that it starts in turn to have: by it the Manager knows what a dead child has left
/// behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's path.
    pub program: PathBuf,
    /// What it calls itself, `argv[0]`; the path where it is `None`.
    pub called: Option<OsString>,
    /// The arguments behind its name. Everybody on the machine can read them: secrets belong into the environment.
    pub arguments: Vec<OsString>,
    /// What its environment has beside the Manager's.
    pub environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// A program without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        Command { program: program.into(), called: None, arguments: Vec::new(), environment: Vec::new() }
    }

    /// Adds arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to its environment.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.environment.push((name.into(), value.into()));
        self
    }
}
