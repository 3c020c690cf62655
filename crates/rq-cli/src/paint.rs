//! [`Paint`]: colours, where standard output is a terminal and `NO_COLOR` is not set.

use std::io::{IsTerminal, stdout};

use crate::text::Text;

/// What `rq info` ends a colour with.
const RESET: &str = "\x1b[0m";
/// What RQ's worker and `rq enqueue` end a colour with.
const RESET_IN_LINE: &str = "\x1b[39;49;00m";

/// RQ's colours (docs/cli.md §8), or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Paint {
    /// None at all.
    Plain,
    /// As a terminal takes them.
    Coloured,
}

/// One of RQ's colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
}

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Colour::Red => "\x1b[31m",
            Colour::Green => "\x1b[32m",
            Colour::Yellow => "\x1b[33m",
            Colour::Blue => "\x1b[34m",
        }
    }
}

impl Paint {
    /// What standard output takes: colours if it is a terminal, unless `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Paint {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stdout().is_terminal() && !unwanted { Paint::Coloured } else { Paint::Plain }
    }

    /// `text` as `rq info` colours it.
    pub(crate) fn paint(self, colour: Colour, text: Text) -> Text {
        self.with_reset(colour, text, RESET)
    }

    /// `text` as RQ's worker and `rq enqueue` colour it.
    pub(crate) fn paint_in_line(self, colour: Colour, text: Text) -> Text {
        self.with_reset(colour, text, RESET_IN_LINE)
    }

    fn with_reset(self, colour: Colour, text: Text, reset: &'static str) -> Text {
        match self {
            Paint::Plain => text,
            Paint::Coloured => Text::control(colour.code()) + text + Text::control(reset),
        }
    }
}
