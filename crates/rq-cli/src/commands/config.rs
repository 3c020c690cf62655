//! `rq config`: the settings. What it does is a command of two words: `config_show.rs`.

use std::ffi::OsString;

use crate::refusal::Refusal;
use crate::two_words;

/// The command's name.
pub(crate) const NAME: &str = "config";
/// The name of the one of two words.
pub(crate) const SHOW: &str = "config show";

const EXAMPLES: &str = "\
Examples:
  rq config show           # which settings hold
  rq config show --origin  # and who says so";

const MORE: &str = "\
Commands, each with a --help:
  show  the settings that hold, and where they come from; --json for programs";

/// Show the settings that hold, and where they come from: `rq config show`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = MORE)]
pub(crate) struct Args {
    /// What to do with the settings: show.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// `arguments` with the two words of a command made one.
pub(crate) fn arguments_of(arguments: Vec<OsString>) -> Vec<OsString> {
    two_words::joined(arguments, &[SHOW])
}

/// One word alone does nothing.
pub(crate) fn run(args: &Args) -> Result<(), Refusal> {
    Err(Refusal::usage(
        NAME,
        match &args.command {
            Some(word) => format!("No such command '{word}': there is `rq {SHOW}`."),
            None => format!("Missing command: there is `rq {SHOW}`."),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_are_one_command() {
        let check = |line: &str, expected: &[&str]| two_words::check(arguments_of, line, expected);
        check("rq config show --json", &["rq", "config show", "--json"]);
        check("rq config", &["rq", "config"]);
        check("rq config list", &["rq", "config", "list"]);
        check("rq worker show", &["rq", "worker", "show"]);
    }

    #[test]
    fn one_word_names_the_other() {
        let told = |command: Option<&str>| run(&Args { command: command.map(str::to_owned) });
        let refused = |message: &str| Err(Refusal::usage(NAME, message));
        assert_eq!(told(None), refused("Missing command: there is `rq config show`."));
        assert_eq!(told(Some("list")), refused("No such command 'list': there is `rq config show`."));
    }
}
