//! [`Refusal`]: how a command ends other than well, in words and in an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::command_line;

/// RQ's exit code for arguments that were not understood.
const EXIT_USAGE: u8 = 2;
/// RQ's exit code for everything else that went wrong.
const EXIT_FAILED: u8 = 1;

/// How a command ends other than well.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The arguments of a command, or of `rq` itself, were not understood. Exits with 2.
    Usage {
        /// The command's name.
        command: Option<String>,
        /// A sentence.
        message: String,
    },
    /// No command was named: the help is said in its place. Exits with 2.
    CommandMissing(String),
    /// This program cannot do what was asked of it, however that is put. Exits with 2.
    Unable(String),
    /// The command could not do its work. Exits with 1.
    Failed(String),
    /// All has been said on standard output. Exits with 1.
    Said,
    /// Whoever read standard output has gone. Exits with 1, as RQ's does, and says nothing.
    Unheard,
}

impl Refusal {
    /// A [`Refusal::Usage`] of `command`.
    pub(crate) fn usage(command: &str, message: impl Into<String>) -> Refusal {
        Refusal::Usage { command: Some(command.to_owned()), message: message.into() }
    }

    /// Says it on standard error.
    pub(crate) fn report(self, program_name: &str) -> ExitCode {
        let (text, code) = self.text(program_name);
        // Nobody may be listening any more; the exit code still tells.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(code)
    }

    fn text(&self, program_name: &str) -> (String, u8) {
        match self {
            Refusal::Usage { command, message } => {
                let usage = command_line::usage(program_name, command.as_deref());
                (format!("{usage}\n\nError: {message}\n"), EXIT_USAGE)
            }
            Refusal::CommandMissing(help) => (help.clone(), EXIT_USAGE),
            Refusal::Unable(message) => (format!("Error: {message}\n"), EXIT_USAGE),
            Refusal::Failed(message) => (format!("Error: {message}\n"), EXIT_FAILED),
            Refusal::Said | Refusal::Unheard => (String::new(), EXIT_FAILED),
        }
    }
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
    fn usage_errors_have_rqs_shape() {
        let text = "Usage: rq enqueue [OPTIONS] FUNCTION [ARGUMENTS]...\n\
                    Try 'rq enqueue --help' for help.\n\
                    \n\
                    Error: Missing argument 'FUNCTION'.\n";
        let refusal = Refusal::usage("enqueue", "Missing argument 'FUNCTION'.");
        assert_eq!(refusal.text("rq"), (text.to_owned(), 2));
        let text = "Usage: my-jobs [OPTIONS] COMMAND [ARGS]...\n\
                    Try 'my-jobs --help' for help.\n\
                    \n\
                    Error: No such command 'x'.\n";
        let refusal = Refusal::Usage { command: None, message: "No such command 'x'.".to_owned() };
        assert_eq!(refusal.text("my-jobs"), (text.to_owned(), 2));
    }

    #[test]
    fn a_reader_who_left_is_told_nothing() {
        let refusal = Refusal::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(refusal.text("rq"), (String::new(), 1));
    }
}
