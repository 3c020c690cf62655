//! [`Program`]: the program that the workers of a Manager are.

use std::ffi::OsString;
use std::path::PathBuf;

use rq_core::Shown;
use rq_manager::Command;

use crate::called::name_for_commands;
use crate::commands::worker;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::settings::handed::{Handed, PREFIX_VARIABLE, URL_VARIABLE, transferable};

/// A program that is an `rq`, and what it calls itself.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    called: Option<OsString>,
}

impl Program {
    /// This one, called as the first of its `arguments` does.
    pub(crate) fn this(arguments: &[OsString]) -> Result<Program, Refusal> {
        let path = std::env::current_exe().map_err(|error| {
            Refusal::Failed(format!("this program cannot be found, so no workers can be started: {error}"))
        })?;
        Ok(Program { path, called: arguments.first().cloned() })
    }

    /// Another one, called by its path, unless that would be a command.
    pub(crate) fn at(path: PathBuf) -> Program {
        let called = name_for_commands(&path).map(OsString::from);
        Program { path, called }
    }

    /// A worker of `server` with these arguments behind the command's name, and what it is handed beside. A Manager keeps
    /// its workers, so they are there while all are suspended.
    pub(crate) fn worker(&self, server: &Server, handed: &Handed, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.path)
            .arguments([worker::NAME, worker::START_SUSPENDED])
            .arguments(arguments)
            .variable(URL_VARIABLE, &server.url)
            .variable(PREFIX_VARIABLE, server.keys.prefix());
        command.environment.extend(handed.variables().iter().cloned());
        command.called = self.called.clone();
        command
    }
}

/// That the system can execute it, text by text.
pub(crate) fn check(command: &Command) -> Result<(), String> {
    for argument in &command.arguments {
        let refuse = |reason| {
            let (name, _) =
                argument.to_str().and_then(|argument| argument.split_once('=')).unwrap_or_default();
            let name = if name.is_empty() { "an argument".to_owned() } else { Shown::name(name).to_string() };
            format!("{name} cannot be handed to workers: {reason}")
        };
        transferable(argument).map_err(refuse)?;
    }
    for (name, value) in &command.environment {
        let refuse =
            |reason| format!("{} cannot be handed to workers: {reason}", Shown::name(name.display()));
        transferable(value).map_err(refuse)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rq_core::Keys;

    use super::*;

    #[test]
    fn the_redis_is_named_where_nobody_else_reads_it() {
        let server = Server::at("redis://:secret@h/0", Keys::default()).unwrap();
        let program = Program::this(&["my-jobs".into()]).unwrap();
        let command = program.worker(&server, &Handed::default(), &["--".into(), "high".into()]);
        assert_eq!(command.arguments, ["worker", "--start-suspended", "--", "high"]);
        let variables = [
            ("RQ_MANAGED_REDIS_URL", "redis://:secret@h/0"),
            ("RQ_MANAGED_KEY_PREFIX", "rq"),
            ("RQ_MANAGED_CONFIG", "none"),
        ];
        assert_eq!(command.environment, variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(command.called, Some("my-jobs".into()));
        assert_eq!(Program::at("./other".into()).worker(&server, &Handed::default(), &[]).called, None);
        assert_eq!(
            Program::at("./rqworker".into()).worker(&server, &Handed::default(), &[]).called,
            Some("rq".into())
        );
    }
}
