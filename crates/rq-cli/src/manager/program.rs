//! [`Program`]: the program that the workers of a Manager are.

use std::ffi::OsString;
use std::path::PathBuf;

use rq_manager::Command;

use crate::called::name_for_commands;
use crate::commands::worker;
use crate::refusal::Refusal;
use crate::server::Server;

/// Names the Redis for a worker: its arguments are for everybody to see.
pub(crate) const URL_VARIABLE: &str = "RQ_REDIS_URL";
/// RQ's settings module, of which a Manager has told already that it is not read.
const CONFIG_VARIABLE: &str = "RQ_CONFIG";

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

    /// A worker of `server` with these arguments behind the command's name. A Manager keeps its workers, so they are there
    /// while all are suspended.
    pub(crate) fn worker(&self, server: &Server, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.path)
            .arguments([worker::NAME, worker::START_SUSPENDED])
            .arguments(arguments)
            .variable(URL_VARIABLE, &server.url);
        if std::env::var_os(CONFIG_VARIABLE).is_some() {
            command = command.variable(CONFIG_VARIABLE, "");
        }
        command.called = self.called.clone();
        command
    }
}

#[cfg(test)]
mod tests {
    use rq_core::Keys;

    use super::*;

    #[test]
    fn the_redis_is_named_where_nobody_else_reads_it() {
        let server = Server::at("redis://:secret@h/0", Keys::default()).unwrap();
        let program = Program::this(&["my-jobs".into()]).unwrap();
        let command = program.worker(&server, &["--".into(), "high".into()]);
        assert_eq!(command.arguments, ["worker", "--start-suspended", "--", "high"]);
        assert_eq!(command.environment, [("RQ_REDIS_URL".into(), "redis://:secret@h/0".into())]);
        assert_eq!(command.called, Some("my-jobs".into()));
        assert_eq!(Program::at("./other".into()).worker(&server, &[]).called, None);
        assert_eq!(Program::at("./rqworker".into()).worker(&server, &[]).called, Some("rq".into()));
    }
}
