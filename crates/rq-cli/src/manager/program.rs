//! [`Program`]: the program that the workers of a Manager are.

use std::ffi::OsString;
use std::path::PathBuf;

use rq_core::Keys;
use rq_manager::Command;

use crate::called::name_for_commands;
use crate::commands::worker;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::settings::handed::Handed;

/// Names the Redis for a worker: its arguments are for everybody to see.
pub(crate) const URL_VARIABLE: &str = "RQ_REDIS_URL";
/// What the names of the keys begin with, for a worker.
pub(crate) const PREFIX_VARIABLE: &str = "RQ_KEY_PREFIX";

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
            .variable(URL_VARIABLE, &server.url);
        // What the environment says, the worker reads there itself.
        if server.keys != Keys::from_env().unwrap_or_default() {
            command = command.variable(PREFIX_VARIABLE, server.keys.prefix());
        }
        command.environment.extend(handed.variables().iter().cloned());
        command.called = self.called.clone();
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redis_is_named_where_nobody_else_reads_it() {
        let server = Server::at("redis://:secret@h/0", Keys::default()).unwrap();
        let program = Program::this(&["my-jobs".into()]).unwrap();
        let command = program.worker(&server, &Handed::default(), &["--".into(), "high".into()]);
        assert_eq!(command.arguments, ["worker", "--start-suspended", "--", "high"]);
        let variables = [("RQ_REDIS_URL", "redis://:secret@h/0"), ("RQ_CONFIG", "")];
        assert_eq!(command.environment, variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(command.called, Some("my-jobs".into()));
        assert_eq!(Program::at("./other".into()).worker(&server, &Handed::default(), &[]).called, None);
        assert_eq!(
            Program::at("./rqworker".into()).worker(&server, &Handed::default(), &[]).called,
            Some("rq".into())
        );
    }
}
