//! Commands of two words, which the command line has as one.

use std::ffi::OsString;

/// `arguments` with the two words of a command made one, where they are one of `names`.
pub(crate) fn joined(mut arguments: Vec<OsString>, names: &[&str]) -> Vec<OsString> {
    if let [_, command, word, ..] = arguments.as_slice()
        && let (Some(command), Some(word)) = (command.to_str(), word.to_str())
        && let name = format!("{command} {word}")
        && names.contains(&name.as_str())
    {
        arguments.remove(2);
        arguments[1] = name.into();
    }
    arguments
}

/// Checks what a command makes of a line.
#[cfg(test)]
#[track_caller]
pub(crate) fn check(arguments_of: fn(Vec<OsString>) -> Vec<OsString>, line: &str, expected: &[&str]) {
    let arguments = line.split(' ').map(Into::into).collect();
    assert_eq!(arguments_of(arguments), expected, "{line}");
}
