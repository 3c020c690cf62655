//! The tables of a [`Report`], for terminals and for Markdown.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use crate::figures::Spread;
use crate::goals::Bound;
use crate::report::Report;

const FIGURES: [&str; 4] = ["what", "unit", "median", "from, to"];
const GOALS: [&str; 5] = ["ratio, or figure", "median", "from, to", "goal", "met"];

pub(crate) fn figures(report: &Report) -> Table {
    table(&FIGURES, figure_rows(report))
}

pub(crate) fn goals(report: &Report) -> Table {
    table(&GOALS, goal_rows(report))
}

/// Both, and what they were taken with; the figures alone, where there are no goals for them.
pub(crate) fn markdown(report: &Report) -> String {
    let (headline, figures) = (report.headline(), markdown_table(&FIGURES, &figure_rows(report)));
    if report.outcomes.is_empty() {
        return format!("{headline}\n\n{figures}\n");
    }
    let goals = markdown_table(&GOALS, &goal_rows(report));
    format!("{headline}\n\n{goals}\n<details><summary>All figures</summary>\n\n{figures}\n</details>\n")
}

fn figure_rows(report: &Report) -> Vec<Vec<String>> {
    let row = |figure: &crate::figures::Figure| {
        let Spread { median, .. } = figure.spread;
        vec![figure.name.row.to_owned(), figure.name.unit.to_owned(), number(median), from_to(figure.spread)]
    };
    report.figures().iter().map(row).collect()
}

fn goal_rows(report: &Report) -> Vec<Vec<String>> {
    let row = |outcome: &crate::goals::Outcome| {
        vec![
            outcome.goal.what.to_owned(),
            number(outcome.value.median),
            from_to(outcome.value),
            outcome.goal.bound.to_string(),
            if outcome.met { "yes" } else { "no" }.to_owned(),
        ]
    };
    report.outcomes.iter().map(row).collect()
}

fn table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn markdown_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(header.to_vec());
    text += &line(vec!["---"; header.len()]);
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

fn from_to(spread: Spread) -> String {
    format!("{}, {}", number(spread.min), number(spread.max))
}

/// With three digits or more, as far as they mean something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.1 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => with_commas(value.round()),
    }
}

fn with_commas(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(least) => write!(f, "≥ {}", number(*least)),
            Bound::AtMost(most) => write!(f, "≤ {}", number(*most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (0.0123, "0.012"),
            (0.917, "0.92"),
            (12.34, "12.3"),
            (999.6, "1,000"),
            (1234567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn rows_become_lines() {
        let text = markdown_table(&["a", "b"], &[vec!["1".to_owned(), "2".to_owned()]]);
        assert_eq!(text, "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
