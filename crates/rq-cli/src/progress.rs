//! [`Progress`]: how far a long command has come, where standard output is a terminal.

use std::io::{IsTerminal, stdout};

use crate::output::{print, say};
use crate::refusal::Refusal;
use crate::text::{Text, text};

/// How wide the bar is, in columns: RQ's.
const BAR_COLUMNS: usize = 36;

/// A bar as RQ's commands draw it; elsewhere than on a terminal, the empty line that they leave.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    is_shown: bool,
}

impl Progress {
    /// The beginning of `total` steps.
    pub(crate) fn of(total: usize) -> Result<Progress, Refusal> {
        let progress = Progress { total, done: 0, is_shown: stdout().is_terminal() };
        progress.draw()?;
        Ok(progress)
    }

    /// So many more are done.
    pub(crate) fn advance(&mut self, steps: usize) -> Result<(), Refusal> {
        self.done += steps;
        self.draw()
    }

    /// Nothing more comes.
    pub(crate) fn end(self) -> Result<(), Refusal> {
        say(Text::default())
    }

    fn draw(&self) -> Result<(), Refusal> {
        match self.is_shown {
            // Over the bar before: `\r` goes back to the beginning of the line.
            true => print(&(Text::control("\r") + bar(self.done, self.total))),
            false => Ok(()),
        }
    }
}

fn bar(done: usize, total: usize) -> Text {
    // A bar is never more than full, and nothing is divided by a total of 0.
    let (done, total) = (done.min(total), total.max(1));
    let filled = BAR_COLUMNS * done / total;
    text!("  [{}{}]  {:3}%", "#".repeat(filled), "-".repeat(BAR_COLUMNS - filled), 100 * done / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up() {
        assert_eq!(bar(0, 7).as_str(), "  [------------------------------------]    0%");
        assert_eq!(bar(1, 2).as_str(), "  [##################------------------]   50%");
        assert_eq!(bar(7, 7).as_str(), "  [####################################]  100%");
        assert_eq!(bar(9, 7), bar(7, 7));
    }
}
