//! [`Refusal`]: why a command did not succeed, as a message and an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use rq_worker::last_words;

use crate::text::{Text, text};

/// RQ's exit code for arguments that were not understood.
const EXIT_USAGE: u8 = 2;
/// RQ's exit code for everything else that went wrong.
const EXIT_FAILED: u8 = 1;

/// Why a command did not succeed.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The arguments of a command, or of `rq` itself, were not understood. Exits with 2.
    Usage {
        /// The command's name.
        command: Option<String>,
        /// A sentence.
        message: String,
    },
    /// No command was named: the help is printed instead. Exits with 2.
    CommandMissing(String),
    /// This program cannot do what the arguments ask, in any form. Exits with 2.
    Unable(String),
    /// The command could not do its work. Exits with 1.
    Failed(String),
    /// The command has printed this reason on standard output. Exits with 1.
    Said(String),
    /// The program that was run has ended with this exit code, and has said why itself.
    Exited(u8),
    /// The reader of standard output has closed it. Exits with 1, as RQ's does, without a message.
    Unheard,
}

impl Refusal {
    /// A [`Refusal::Usage`] of `command`.
    pub(crate) fn usage(command: &str, message: impl Into<String>) -> Refusal {
        Refusal::Usage { command: Some(command.to_owned()), message: message.into() }
    }

    /// Prints the message on standard error. `usage` has the lines about how a command, or the program itself, is used.
    /// Nobody need read the message of a worker, and it ends all the same.
    pub(crate) fn report(self, is_workers: bool, usage: impl Fn(Option<&str>) -> String) -> ExitCode {
        let (text, code) = self.text(usage);
        let say = move || {
            // Standard error may be closed; the exit code remains.
            let _ = io::stderr().write_all(text.as_str().as_bytes());
        };
        if is_workers {
            last_words(say)
        } else {
            say()
        }
        ExitCode::from(code)
    }

    /// Why, in a message without the usage; none where nobody is told.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Refusal::Usage { message, .. } => Some(message),
            Refusal::Unable(reason) | Refusal::Failed(reason) | Refusal::Said(reason) => Some(reason),
            Refusal::CommandMissing(_) | Refusal::Exited(_) | Refusal::Unheard => None,
        }
    }

    fn text(&self, usage: impl Fn(Option<&str>) -> String) -> (Text, u8) {
        match self {
            Refusal::Usage { command, message } => {
                let usage = Text::own_lines(&usage(command.as_deref())).ended();
                (usage + error(message), EXIT_USAGE)
            }
            Refusal::CommandMissing(help) => (Text::own_lines(help), EXIT_USAGE),
            Refusal::Unable(message) => (error(message), EXIT_USAGE),
            Refusal::Failed(message) => (error(message), EXIT_FAILED),
            Refusal::Exited(code) => (Text::default(), *code),
            Refusal::Said(_) | Refusal::Unheard => (Text::default(), EXIT_FAILED),
        }
    }
}

fn error(message: &str) -> Text {
    text!("Error: ") + Text::message(message).ended()
}

/// Standard output could not be written.
impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Refusal::Unheard,
            _ => Refusal::Failed(format!("standard output cannot be written: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_come_behind_the_usage() {
        let usage = |command: Option<&str>| format!("Usage: {command:?}");
        let refusal = Refusal::usage("enqueue", "Missing argument 'FUNCTION'.");
        let text = "Usage: Some(\"enqueue\")\n\nError: Missing argument 'FUNCTION'.\n";
        let (said, code) = refusal.text(usage);
        assert_eq!((said.as_str(), code), (text, 2));
    }

    #[test]
    fn a_reader_who_left_is_told_nothing() {
        let refusal = Refusal::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(refusal.text(|_| String::new()), (Text::default(), 1));
    }
}
