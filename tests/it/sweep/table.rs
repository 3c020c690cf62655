//! [`Table`]: how cases ended, added up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rq_tests::Violation;

use super::outcome::Outcome;

/// What is counted, and what that is.
const COLUMNS: [(&str, &str); 10] = [
    ("faults", "cases in which the request came at which something breaks"),
    ("once", "each job ended as it must, and ran as often as it must"),
    ("unrun", "a job is filed as ended although it never ran to its end"),
    ("failed", "a job is filed as failed although it ran to its end"),
    ("again", "a job ran more often than it must"),
    ("lost", "a job is in no queue and in no registry"),
    ("stuck", "a job, or what says that it runs, is left halfway"),
    ("double", "a job is in two places"),
    ("other", "something else is wrong"),
    ("WRONG", "cases with something in them that the fault does not excuse"),
];
/// How wide the first column is.
const NAME_WIDTH: usize = 26;

/// How cases ended: a row for each scenario and kind of fault. What the fault excuses is counted too, so that the figures
/// stand beside those of others. A case in which several things happened counts in several columns.
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Default)]
struct Row {
    name: String,
    counts: BTreeMap<&'static str, usize>,
    slowest: Duration,
}

impl Table {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        let mut sum = Row { name: "sum".to_string(), ..Row::default() };
        for outcome in outcomes {
            let name = outcome.case.row();
            sum.add(outcome);
            match rows.iter_mut().find(|row| row.name == name) {
                Some(row) => row.add(outcome),
                None => {
                    let mut row = Row { name, ..Row::default() };
                    row.add(outcome);
                    rows.push(row);
                }
            }
        }
        rows.push(sum);
        Self { rows }
    }
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        for (column, _) in COLUMNS {
            let has = match column {
                "faults" => outcome.struck,
                "once" => outcome.struck && outcome.facts.is_empty() && outcome.is_good(),
                "WRONG" => !outcome.is_good(),
                _ => outcome.facts.iter().any(|fact| column_of(fact) == column),
            };
            *self.counts.entry(column).or_default() += usize::from(has);
        }
        self.slowest = self.slowest.max(outcome.recovery);
    }
}

fn column_of(violation: &Violation) -> &'static str {
    match violation {
        Violation::Lost { .. } => "lost",
        Violation::InTwoPlaces { .. } => "double",
        Violation::NotEnded { .. } | Violation::LeftOver { .. } => "stuck",
        Violation::WrongEnd { ran_to_its_end: true, .. } => "failed",
        Violation::WrongEnd { ran_to_its_end: false, .. } | Violation::NeverRan { .. } => "unrun",
        Violation::RanAgain { .. } => "again",
        Violation::StatusDisagrees { .. }
        | Violation::TooEarly { .. }
        | Violation::FinalResults { .. }
        | Violation::NoCause { .. }
        | Violation::Stranger { .. }
        | Violation::Unreadable { .. } => "other",
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<NAME_WIDTH$}", "")?;
        COLUMNS.iter().try_for_each(|(column, _)| write!(f, " {column:>6}"))?;
        writeln!(f, " slowest")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        COLUMNS.iter().try_for_each(|(column, meaning)| writeln!(f, "  {column:<8} {meaning}"))?;
        write!(f, "  slowest  seconds from the end of the first worker until nothing was left to do")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<NAME_WIDTH$}", self.name)?;
        COLUMNS.iter().try_for_each(|(column, _)| write!(f, " {:>6}", self.counts[column]))?;
        write!(f, " {:>7.2}", self.slowest.as_secs_f64())
    }
}
