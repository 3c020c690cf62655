//! Running an [`App`]: its arguments are read, and the command that they name is run.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::app::App;
use crate::called::Called;
use crate::command_line;
use crate::commands::worker;
use crate::other_program;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl App {
    /// Runs the command that this program's arguments name. Exits as RQ does: 0 done, 1 failed, 2 not understood.
    ///
    /// Call it before the program starts a thread or a runtime.
    pub fn run(self) -> ExitCode {
        self.run_from(std::env::args_os())
    }

    /// [`run`](App::run) with other arguments, the program's name first.
    pub fn run_from(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let called = Called::by(&arguments);
        self.arguments = called.with_command(arguments);
        let runs_jobs = other_program::runs_jobs(&self.arguments);
        if worker::is_run_by(&self.arguments) {
            self.supervisor = Supervisor::from_environment();
        }
        let supervisor = self.supervisor.clone();
        match self.command(&called) {
            Ok(()) => ExitCode::SUCCESS,
            Err(refusal) => {
                supervisor.tell(&refusal);
                refusal.report(runs_jobs, |command| command_line::usage(&called, command))
            }
        }
    }

    fn command(self, called: &Called) -> Result<(), Refusal> {
        // Before the arguments are read: options of that program's own executors would be refused here.
        if let Some(program) = other_program::named_in(&self.arguments) {
            return Err(other_program::hand_over(&program, &self.arguments));
        }
        // Behind that, since what takes this process over reads it itself; and before anything is forked or started.
        if worker::is_run_by(&self.arguments) {
            Supervisor::leave_environment();
        }
        match command_line::read(called, &self.arguments, &self.pieces)? {
            Some(command) => command.run(self),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rq_core::Handlers;

    use super::*;

    fn run(arguments: &[&str]) -> ExitCode {
        App::new(Handlers::new()).run_from(arguments)
    }

    #[test]
    fn exit_codes_are_rqs() {
        for (arguments, code) in [
            (&["rq", "--version"][..], ExitCode::SUCCESS),
            (&["rq", "--help"], ExitCode::SUCCESS),
            (&["rq", "worker", "-h"], ExitCode::SUCCESS),
            (&["rq"], ExitCode::from(2)),
            (&["rq", "nosuch"], ExitCode::from(2)),
            (&["rq", "enqueue"], ExitCode::from(2)),
            // no handlers
            (&["rq", "worker", "-u", "redis://127.0.0.1:1/"], ExitCode::from(2)),
            (&["rq", "worker-pool", "-u", "redis://127.0.0.1:1/"], ExitCode::from(2)),
            (&["rq", "worker-pool", "--app", "/nonexistent/my-jobs"], ExitCode::FAILURE),
            // no file
            (&["rq", "manager"], ExitCode::from(2)),
            (&["rq", "manager", "-c", "/nonexistent/rq.toml"], ExitCode::FAILURE),
            (&["rq", "manager", "--app", "/nonexistent/my-jobs"], ExitCode::FAILURE),
            (&["rq", "manager", "status"], ExitCode::from(2)),
            (&["rq", "manager", "status", "-c", "/nonexistent/rq.toml"], ExitCode::FAILURE),
            (&["rq", "manager", "stop", "--socket", "/nonexistent/socket"], ExitCode::FAILURE),
            (&["rq", "info", "-u", "redis://127.0.0.1:1/"], ExitCode::FAILURE),
            (&["rq", "worker", "--app", "/nonexistent/my-jobs"], ExitCode::FAILURE),
            (&["rq", "enqueue", "f", "@/nonexistent/file"], ExitCode::FAILURE),
            (&["rq", "empty", "-u", "redis://127.0.0.1:1/"], ExitCode::SUCCESS),
            (&["rq", "requeue", "--queue", "q"], ExitCode::SUCCESS),
            (&["rq", "requeue", "--all"], ExitCode::from(2)),
            (&["rq", "suspend", "--duration", "0"], ExitCode::FAILURE),
            (&["rq", "resume", "-u", "redis://127.0.0.1:1/"], ExitCode::FAILURE),
            (&["rqworker", "--help"], ExitCode::SUCCESS),
            (&["rqworker", "-u", "redis://127.0.0.1:1/"], ExitCode::from(2)),
            (&["bin/rqinfo", "-u", "redis://127.0.0.1:1/"], ExitCode::FAILURE),
            (&["rqinfo", "--version"], ExitCode::from(2)),
            (&["rq", "info", "--job-class", "my.Job", "-u", "redis://127.0.0.1:1/"], ExitCode::from(2)),
        ] {
            assert_eq!(run(arguments), code, "{arguments:?}");
        }
    }
}
