//! [`Table`]: how cases ended, at a glance.

use std::fmt;

use rq_tests::Trouble;

use super::case::{EXECUTORS, LENGTHS_MS};
use super::outcome::{Fault, Outcome, letters, slowest};

/// How wide the first column is, and the others.
const NAME_WIDTH: usize = 11;
const CELL_WIDTH: usize = 12;

/// A row for each trouble, a column for each length and executor. A cell is for all steps: the slowest recovery in
/// seconds (`-` where one did not come), behind `ok` or the letters of what is wrong.
pub(crate) struct Table<'a> {
    outcomes: &'a [Outcome],
}

impl<'a> Table<'a> {
    pub(crate) fn of(outcomes: &'a [Outcome]) -> Self {
        Self { outcomes }
    }

    fn cell(&self, trouble: Trouble, length_ms: u64, executor: &str) -> String {
        let is_in = |outcome: &&Outcome| {
            let case = outcome.case;
            (case.trouble, case.length_ms, case.executor) == (trouble, length_ms, executor)
        };
        let outcomes = self.outcomes.iter().filter(is_in);
        if outcomes.clone().next().is_none() {
            return String::new();
        }
        let wrong = letters(outcomes.clone());
        let verdict = if wrong.is_empty() { "ok" } else { &wrong };
        match slowest(outcomes) {
            Some(slowest) => format!("{verdict} {:.1}", slowest.as_secs_f64()),
            None => format!("{verdict} -"),
        }
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns =
            || LENGTHS_MS.into_iter().flat_map(|length| EXECUTORS.map(|executor| (length, executor)));
        write!(f, "{:NAME_WIDTH$}", "")?;
        for (length_ms, executor) in columns() {
            let head = format!("{} s {executor}", length_ms as f64 / 1e3);
            write!(f, " {head:CELL_WIDTH$}")?;
        }
        writeln!(f)?;
        let has_rows =
            |trouble: &Trouble| self.outcomes.iter().any(|outcome| outcome.case.trouble == *trouble);
        for trouble in Trouble::ALL.into_iter().filter(has_rows) {
            write!(f, "{:NAME_WIDTH$}", trouble.name())?;
            for (length_ms, executor) in columns() {
                write!(f, " {:CELL_WIDTH$}", self.cell(trouble, length_ms, executor))?;
            }
            writeln!(f)?;
        }
        Fault::ALL.iter().try_for_each(|fault| writeln!(f, "  {}  {}", fault.letter(), fault.meaning()))
    }
}
