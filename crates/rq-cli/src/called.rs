//! [`Called`]: the name that this program was started by.

use std::ffi::OsString;
use std::path::Path;

/// The links of RQ that are a command by themselves, and which.
const LINKS: [(&str, &str); 2] = [("rqworker", "worker"), ("rqinfo", "info")];
/// What a program is called that has no name.
const NAME_DEFAULT: &str = "rq";

/// The name that this program was started by: in usage lines it stands before a command's, or, where it is a link of RQ's
/// such as `rqworker`, in its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Called {
    name: String,
    /// The command that the name is by itself.
    command: Option<&'static str>,
}

impl Called {
    /// By the first of a program's arguments: the last part of a path.
    pub(crate) fn by(arguments: &[OsString]) -> Called {
        let file_name = arguments.first().and_then(|path| Path::new(path).file_name());
        let name = file_name.map_or_else(|| NAME_DEFAULT.into(), |name| name.to_string_lossy());
        let link = LINKS.iter().find(|(link, _)| *link == name);
        Called { command: link.map(|(_, command)| *command), name: name.into_owned() }
    }

    /// The arguments with the command in them, where the name has it.
    pub(crate) fn with_command(&self, mut arguments: Vec<OsString>) -> Vec<OsString> {
        if let Some(command) = self.command {
            arguments.insert(1, command.into());
        }
        arguments
    }

    /// The program alone.
    pub(crate) fn program(&self) -> &str {
        &self.name
    }

    /// What examples have in the place of `rq`, where it is another name. A link of RQ's has not all commands.
    pub(crate) fn name_in_examples(&self) -> Option<&str> {
        (self.command.is_none() && self.name != NAME_DEFAULT).then_some(&self.name)
    }

    /// A command of it, as people write it.
    pub(crate) fn command(&self, command: &str) -> String {
        match self.command.and_then(|own| command.strip_prefix(own)) {
            // `worker stop` begins with a command that is a link, too.
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => format!("{}{rest}", self.name),
            _ => format!("{} {command}", self.name),
        }
    }
}

impl Default for Called {
    fn default() -> Called {
        Called { name: NAME_DEFAULT.to_owned(), command: None }
    }
}

/// What to call a program of this path that is started with a command: its path would be one itself, where it is a link.
pub(crate) fn name_for_commands(path: &Path) -> Option<&'static str> {
    let is_link = |name: &std::ffi::OsStr| LINKS.iter().any(|(link, _)| name == *link);
    path.file_name().is_some_and(is_link).then_some(NAME_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_command() {
        let check = |line: &str, read: &str, commands: [(&str, &str); 3]| {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let called = Called::by(&arguments);
            let expected: Vec<OsString> = read.split(' ').map(Into::into).collect();
            assert_eq!(called.with_command(arguments), expected);
            for (command, shown) in commands {
                assert_eq!(called.command(command), shown);
            }
        };
        check(
            "/usr/bin/my-jobs worker high",
            "/usr/bin/my-jobs worker high",
            [("worker", "my-jobs worker"), ("worker stop", "my-jobs worker stop"), ("info", "my-jobs info")],
        );
        check(
            "./rqworker -b high",
            "./rqworker worker -b high",
            [
                ("worker", "rqworker"),
                ("worker stop", "rqworker stop"),
                ("worker-pool", "rqworker worker-pool"),
            ],
        );
        check(
            "rqinfo",
            "rqinfo info",
            [("info", "rqinfo"), ("worker", "rqinfo worker"), ("dev", "rqinfo dev")],
        );
        assert_eq!(Called::by(&[]), Called::default());
    }

    #[test]
    fn a_link_that_is_started_with_a_command_is_called_otherwise() {
        assert_eq!(name_for_commands(Path::new("./bin/rqworker")), Some("rq"));
        assert_eq!(name_for_commands(Path::new("./my-jobs")), None);
    }
}
