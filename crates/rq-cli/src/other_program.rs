//! Another program that is an `rq`, named by `--app`: it runs the command in this one's place.
//!
//! It is looked for before anything else is read: what that program's executors can be told, it alone knows.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::called::name_for_commands;
use crate::commands::{manager, worker, worker_pool};
use crate::refusal::Refusal;

/// The option that names another program, which that program must not see.
const APP: &str = "--app";

/// Whether these arguments of a program name a command that runs jobs, or starts who does.
pub(crate) fn runs_jobs(arguments: &[OsString]) -> bool {
    worker::is_named_in(arguments) || worker_pool::is_named_in(arguments) || manager::is_named_in(arguments)
}

/// The program that `--app` names for a command that [runs jobs](runs_jobs).
pub(crate) fn named_in(arguments: &[OsString]) -> Option<PathBuf> {
    if !runs_jobs(arguments) {
        return None;
    }
    // Behind `--` are queues, of which one may be called `--app`.
    let mut rest = arguments.iter().skip(2).take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        if argument == APP {
            return rest.next().map(PathBuf::from);
        }
        if let Some(program) = argument.as_bytes().strip_prefix(b"--app=") {
            return Some(PathBuf::from(OsStr::from_bytes(program)));
        }
    }
    None
}

/// Becomes `program`; returns only if that fails.
pub(crate) fn hand_over(program: &Path, arguments: &[OsString]) -> Refusal {
    // In place of this process, so that it keeps its id, which a supervisor knows.
    let program_path = located(program);
    let mut command = Command::new(&program_path);
    if let Some(name) = name_for_commands(&program_path) {
        command.arg0(name);
    }
    let error = command.args(without_app(arguments)).exec();
    let program = program.display();
    Refusal::Failed(match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no program {program}; --app takes its path, such as ./target/release/my-jobs")
        }
        _ => format!("{program} cannot be run: {error}"),
    })
}

/// A name without a slash means a program right here, if there is one, before any on PATH.
pub(crate) fn located(program: &Path) -> PathBuf {
    let is_name = !program.as_os_str().as_bytes().contains(&b'/');
    if is_name && program.is_file() { Path::new(".").join(program) } else { program.to_owned() }
}

/// The arguments behind the program's name, without `--app` and what it names.
fn without_app(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        if argument == APP {
            rest.next();
        } else if argument == "--" {
            kept.push(argument.clone());
            kept.extend(rest.by_ref().cloned());
        } else if !argument.as_bytes().starts_with(b"--app=") {
            kept.push(argument.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_gets_all_arguments_but_its_name() {
        let check = |line: &str, expected: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let expected: Vec<OsString> = expected.split(' ').map(Into::into).collect();
            assert_eq!(without_app(&arguments), expected, "{line}");
        };
        check("rq worker --app ./my-jobs -w thread high", "worker -w thread high");
        check("rq worker -b --app=./my-jobs high", "worker -b high");
        check("rq worker --app a -- --app b", "worker -- --app b");
    }

    #[test]
    fn another_program_is_found_whatever_else_is_said() {
        let check = |line: &str, expected: Option<&str>| {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            assert_eq!(named_in(&arguments), expected.map(PathBuf::from), "{line}");
        };
        check("rq worker --app ./my-jobs -w own --own-option 3", Some("./my-jobs"));
        check("rq worker -b --app=./my-jobs high", Some("./my-jobs"));
        check("rq worker-pool --app=./my-jobs -n 2", Some("./my-jobs"));
        check("rq manager -c rq.toml --app ./my-jobs", Some("./my-jobs"));
        check("rq manager status --app ./my-jobs", None);
        check("rq worker -- --app b", None);
        check("rq worker --app", None);
        check("rq enqueue --app b", None);
    }
}
