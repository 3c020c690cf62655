//! What is told of a failure's text where there is no room for all of it, or not all of it may be told.

#[cfg(feature = "worker")]
use std::borrow::Cow;

use super::{CAUSED_BY, CAUSES_MAX};

/// What each of Python's tracebacks begins with.
const TRACEBACK: &str = "Traceback (most recent call last):\n";
/// How long a text in one line may be.
const SUMMARY_CHARS_MAX: usize = 1000;

/// A stored text in one line: the error and its causes, without where they came from.
///
/// Of a traceback of Python's that is the last line, where the error stands; causes are in tracebacks before it. Ours
/// begin with the error.
pub(crate) fn summary(text: &str) -> String {
    let errors: Vec<&str> = match text.contains(TRACEBACK) {
        true => errors_of_tracebacks(text),
        false => {
            let causes = text.lines().filter_map(|line| line.strip_prefix(CAUSED_BY));
            text.trim_start().lines().take(1).chain(causes).collect()
        }
    };
    let mut line = errors.iter().take(CAUSES_MAX).copied().collect::<Vec<_>>().join("; caused by: ");
    if let Some((end, _)) = line.char_indices().nth(SUMMARY_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The errors of Python's tracebacks, the last one first: what it raised, then what that came of.
fn errors_of_tracebacks(text: &str) -> Vec<&str> {
    let traces = text.split(TRACEBACK).skip(1);
    let mut errors: Vec<&str> = traces.filter_map(error_of_traceback).collect();
    errors.reverse();
    if errors.is_empty() {
        // A group of exceptions is indented as a whole, or the text was cut.
        let is_said = |line: &&str| !line.is_empty() && !TRACEBACK.starts_with(*line);
        errors.extend(text.lines().map(|line| line.trim_matches([' ', '|', '+', '-'])).rfind(is_said));
    }
    errors
}

/// The first line that is not indented, as the places are; what a message has beyond its first line follows it.
fn error_of_traceback(trace: &str) -> Option<&str> {
    trace.lines().find(|line| !line.is_empty() && !line.starts_with(' ')).map(str::trim_end)
}

/// The text of a failure without the value of an argument, which that of a wrong argument shows the beginning of.
#[cfg(feature = "worker")]
pub fn without_argument(text: &str) -> Cow<'_, str> {
    match text.strip_prefix("TypeError: ").and_then(|rest| rest.split_once("() argument '")) {
        Some((function, rest)) => {
            let name = rest.split_once("': ").map_or("", |(name, _)| name);
            Cow::Owned(format!("TypeError: {function}() argument '{name}' is not of its type"))
        }
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "worker")]
    use crate::failure::ArgumentError;
    use crate::failure::Failure;

    #[test]
    fn a_summary_has_the_error_and_its_causes() {
        let chain = anyhow::anyhow!("root").context("middle").context("top");
        assert_eq!(summary(&Failure::from(chain).text()), "Error: top; caused by: middle; caused by: root");
        assert_eq!(summary("Killed: by a signal\npeak RSS 12 MB"), "Killed: by a signal");
        assert_eq!(summary(""), "");
        assert_eq!(summary(&"x".repeat(5000)).chars().count(), SUMMARY_CHARS_MAX + 1);
        let trace =
            |error: &str| format!("{TRACEBACK}  File \"a.py\", line 1, in f\n    g()\n    ^^^\n{error}\n");
        assert_eq!(
            summary(&trace("ZeroDivisionError: division by zero")),
            "ZeroDivisionError: division by zero"
        );
        assert_eq!(summary(&trace("ValueError: first\n  second")), "ValueError: first");
        assert_eq!(summary(&trace("KeyboardInterrupt")), "KeyboardInterrupt");
        for between in [
            "The above exception was the direct cause of the following exception:",
            "During handling of the above exception, another exception occurred:",
        ] {
            let chained =
                format!("{}\n{between}\n\n{}", trace("KeyError: 'x'"), trace("my.Error: no such customer"));
            assert_eq!(summary(&chained), "my.Error: no such customer; caused by: KeyError: 'x'");
        }
        // The beginning of one that was cut.
        assert_eq!(summary(TRACEBACK), "");
    }

    #[cfg(feature = "worker")]
    #[test]
    fn a_text_can_be_had_without_the_argument() {
        let reason = "invalid type: string \"hunter2s…\", expected i64".to_owned();
        let failure = Failure::Arguments(ArgumentError::Type { function: "login", name: "password", reason });
        assert_eq!(
            without_argument(&failure.text()),
            "TypeError: login() argument 'password' is not of its type"
        );
        let missing = Failure::Arguments(ArgumentError::Missing { function: "login", name: "password" });
        assert_eq!(without_argument(&missing.text()), missing.text());
    }
}
