//! [`Text`]: what commands print. Nothing else is printed, and nothing harmful is a text: names, states and failures
//! come from a Redis, where anybody may have written them.

use std::fmt::{self, Display, Write};
use std::ops::Add;

use rq_core::{Shown, is_harmful};
use serde::Serialize;

use crate::refusal::Refusal;

/// What may be printed as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(String);

impl Text {
    /// A line, or a part of one. What is cut there is a name, with [`Shown::name`]; a line itself is never cut.
    pub(crate) fn line(content: impl Display) -> Text {
        // In pieces, since a door cuts what goes through it.
        let mut text = Text::default();
        // Writing to a string cannot fail.
        let _ = write!(Unending(&mut text.0), "{content}");
        text
    }

    /// A message, whose lines after the first are indented.
    pub(crate) fn message(content: impl Display) -> Text {
        Text(Shown::message(content).to_string())
    }

    /// Lines of this program's own.
    pub(crate) fn own_lines(lines: &str) -> Text {
        lines.lines().fold(Text::default(), |text, line| text + Text::line(line).ended())
    }

    /// What commands a terminal.
    pub(crate) fn control(sequence: &'static str) -> Text {
        Text(sequence.to_owned())
    }

    /// An object on one line; what would be harmful in a string there is escaped, which JSON leaves open.
    pub(crate) fn json(object: &impl Serialize) -> Result<Text, Refusal> {
        let json = serde_json::to_string(object)
            .map_err(|error| Refusal::Failed(format!("there is no JSON for this: {error}")))?;
        let mut text = String::with_capacity(json.len());
        for c in json.chars() {
            match is_harmful(c) {
                // Strings alone can hold such characters.
                true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    let _ = write!(text, "\\u{unit:04x}");
                }),
                false => text.push(c),
            }
        }
        Ok(Text(text))
    }

    /// With the end of a line behind it.
    pub(crate) fn ended(mut self) -> Text {
        self.0.push('\n');
        self
    }

    /// These, with `between` between each two.
    pub(crate) fn joined(parts: impl IntoIterator<Item = Text>, between: &'static str) -> Text {
        let parts: Vec<String> = parts.into_iter().map(|part| part.0).collect();
        Text(parts.join(between))
    }

    /// As it is printed.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Add for Text {
    type Output = Text;

    fn add(mut self, other: Text) -> Text {
        self.0.push_str(&other.0);
        self
    }
}

/// One line for the program's text, arguments and all.
macro_rules! text {
    ($($format:tt)+) => { $crate::text::Text::line(format_args!($($format)+)) };
}
pub(crate) use text;

/// Escapes each piece that it is given.
struct Unending<'a>(&'a mut String);

impl Write for Unending<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_harmful) {
            let (clean, harmful) = rest.split_at(at);
            let length = harmful.chars().next().map_or(0, char::len_utf8);
            write!(self.0, "{clean}{}", Shown::name(&harmful[..length]))?;
            rest = &harmful[length..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_one_line_and_of_any_length() {
        let long = "é".repeat(10_000);
        assert_eq!(Text::line(format_args!("{long}\n\x1b")).as_str(), long + r"\n\x1b");
        assert_eq!(Text::own_lines("a\n  b\x7f\n").as_str(), "a\n  b\\x7f\n");
        assert_eq!(Text::message("a\nError: b").as_str(), "a\n    Error: b");
        assert_eq!((text!("{}|", 1) + text!("b")).ended().as_str(), "1|b\n");
    }

    #[test]
    fn json_stays_the_same_for_programs_and_is_harmless_for_people() {
        let hostile = "\u{9b}\u{202e}\u{e0041}\x1b\n\u{7f}é";
        let text = Text::json(&[hostile]).unwrap();
        assert_eq!(text.as_str(), r#"["\u009b\u202e\udb40\udc41\u001b\n\u007fé"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(text.as_str()).unwrap(), [hostile]);
    }
}
