//! Usage lines and usage errors, in RQ's words (docs/cli.md §1).

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, Error};

use crate::called::Called;
use crate::refusal::Refusal;

/// RQ's one option with one dash and two letters, and the command it belongs to. Parsers by the book take it for `-d`
/// and `-s`, with what follows for a queue.
const SHORT_WITH_TWO_LETTERS: (&str, &str, &str) = ("worker", "-ds", "--dequeue-strategy");

/// The usage line of the program: what follows `Usage: `.
pub(crate) fn program_line(called: &Called) -> String {
    format!("{} [OPTIONS] COMMAND [ARGS]...", called.program())
}

/// The usage line of one of its commands.
pub(crate) fn line(called: &Called, command: &Command) -> String {
    let mut line = format!("{} [OPTIONS]", called.command(command.get_name()));
    for positional in command.get_positionals() {
        line.push(' ');
        line.push_str(&positional_usage(positional));
    }
    line
}

fn positional_usage(positional: &Arg) -> String {
    let name = value_name(positional);
    if positional.is_last_set() {
        return format!("[-- {name}...]");
    }
    match positional.get_action() {
        ArgAction::Append => format!("[{name}]..."),
        _ if !positional.is_required_set() => format!("[{name}]"),
        _ => name,
    }
}

fn value_name(arg: &Arg) -> String {
    match arg.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => arg.get_id().as_str().to_uppercase(),
    }
}

/// `arguments` with RQ's `-ds` written out.
pub(crate) fn with_long_dashes(arguments: &[OsString]) -> Vec<OsString> {
    let (command, short, long) = SHORT_WITH_TWO_LETTERS;
    let mut arguments = arguments.to_vec();
    // For its own command alone: elsewhere `-ds` may be an argument.
    if arguments.get(1).is_some_and(|first| first == command) {
        // What stands behind `--` is nobody's option.
        for argument in arguments.iter_mut().take_while(|argument| *argument != "--") {
            let rest = argument.to_str().and_then(|text| text.strip_prefix(short));
            // `-dsrandom` is not RQ's: it stays as it is, and is refused.
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('=')) {
                *argument = format!("{long}{rest}").into();
            }
        }
    }
    arguments
}

/// What clap found wrong with the `arguments` of `definition`, which were `typed` in RQ's way.
pub(crate) fn refusal(
    error: &Error,
    arguments: &[OsString],
    typed: &[OsString],
    definition: &Command,
) -> Refusal {
    // The program's own options take no values: what does not begin with a dash is the command.
    let command = arguments.iter().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    // Of a command that there is not, the usage cannot be shown.
    let is_known = error.kind() != ErrorKind::InvalidSubcommand;
    let command = command.filter(|_| is_known).map(|command| command.to_string_lossy().into_owned());
    match error.kind() {
        // RQ's says no more than this.
        ErrorKind::InvalidValue => Refusal::Unable(value_missing(error, typed)),
        ErrorKind::TooManyValues => Refusal::Unable(message(error)),
        ErrorKind::ValueValidation => {
            let definition = command.as_ref().and_then(|command| definition.find_subcommand(command));
            Refusal::Usage { message: value_refused(error, definition), command }
        }
        _ => Refusal::Usage { command, message: message(error) },
    }
}

fn value_missing(error: &Error, typed: &[OsString]) -> String {
    let named = || option_name(&context(error, ContextKind::InvalidArg));
    format!("Option '{}' requires an argument.", short_at_the_end(typed).unwrap_or_else(named))
}

/// The option of one letter that nothing follows: as it was typed, which clap does not tell.
fn short_at_the_end(typed: &[OsString]) -> Option<String> {
    let last = typed.last()?.to_str()?;
    let (command, two_letters, _) = SHORT_WITH_TWO_LETTERS;
    if last == two_letters && typed.get(1).is_some_and(|first| first == command) {
        return Some(two_letters.to_owned());
    }
    let letters = last.strip_prefix('-')?;
    let letter = letters.chars().last()?;
    (!letters.starts_with('-')).then(|| format!("-{letter}"))
}

fn value_refused(error: &Error, definition: Option<&Command>) -> String {
    let named = option_name(&context(error, ContextKind::InvalidArg));
    let is_named = |arg: &&Arg| arg.get_long().is_some_and(|long| named.strip_prefix("--") == Some(long));
    let short = definition.and_then(|command| command.get_arguments().find(is_named)?.get_short());
    // RQ names both.
    let short = short.map(|short| format!(" / '-{short}'")).unwrap_or_default();
    // What our own parser of the value said; clap's sentence around it is not RQ's.
    let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("Invalid value for '{named}'{short}: {reason}.")
}

fn message(error: &Error) -> String {
    let named = option_name(&context(error, ContextKind::InvalidArg));
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let command = context(error, ContextKind::InvalidSubcommand);
            format!("No such command '{command}'.{}", suggestion(error, ContextKind::SuggestedSubcommand))
        }
        ErrorKind::UnknownArgument if named.starts_with('-') => {
            format!("No such option '{named}'.{}", suggestion(error, ContextKind::SuggestedArg))
        }
        ErrorKind::UnknownArgument => format!("Got unexpected extra argument ({named})"),
        ErrorKind::MissingRequiredArgument if named.starts_with('-') => format!("Missing option '{named}'."),
        ErrorKind::MissingRequiredArgument => format!("Missing argument '{named}'."),
        ErrorKind::TooManyValues => format!("Option '{named}' does not take a value."),
        ErrorKind::ArgumentConflict => {
            let other = option_name(&context(error, ContextKind::PriorArg));
            format!("Options '{named}' and '{other}' cannot be used together.")
        }
        ErrorKind::InvalidUtf8 => "An argument is not UTF-8.".to_owned(),
        // Kinds that RQ has no words for: clap's first line, without what it says of usage.
        _ => error.to_string().trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned(),
    }
}

fn context(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// `--max-jobs` of clap's `--max-jobs <INTEGER>`, `FUNCTION` of `<FUNCTION>`.
fn option_name(described: &str) -> String {
    let name = described.split(' ').next().unwrap_or_default();
    // An option whose value may be left out: `--with-cron[=<FILE>]`.
    let name = name.split("[=").next().unwrap_or_default();
    name.trim_matches(['<', '>', '[', ']', '.']).to_owned()
}

fn suggestion(error: &Error, kind: ContextKind) -> String {
    match context(error, kind) {
        nothing if nothing.is_empty() => String::new(),
        // Of a command of two words the first may be what was meant.
        near => format!(" Did you mean '{}'?", near.split(' ').next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_behind_one_dash_are_written_out() {
        let check = |line: &str, expected: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let written: Vec<OsString> = expected.split(' ').map(Into::into).collect();
            assert_eq!(with_long_dashes(&arguments), written);
        };
        check("rq worker -ds random high", "rq worker --dequeue-strategy random high");
        check("rq worker -ds=random", "rq worker --dequeue-strategy=random");
        check("rq worker -dsrandom", "rq worker -dsrandom");
        check("rq worker -- -ds", "rq worker -- -ds");
        check("rq enqueue f -ds", "rq enqueue f -ds");
    }
}
