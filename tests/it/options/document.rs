//! `docs/options.md`: where ours differs, in words.

use std::fmt::Write as _;

use super::TABLES;
use super::row::{Row, Told};
use crate::documents::check_generated;

#[test]
fn the_docs_tell_the_differences() {
    check_generated("docs/options.md", &text(), "options");
}

const HEAD: &str = "\
# Where our options differ from Python RQ 3.0.0's

Each option of Python's `rq` is tried with its program and with ours, on the same Redis from the same beginning, in
ROWS command lines: what is printed, the exit code, what is left in Redis and in the working directory, but for times, ids and
the like. What is the same is not listed here. What workers leave in Redis differs for the reasons of
[differencesMD](differencesMD), which are not repeated. [cliMD](cliMD) says what each option is for.

Where Python's ends in a traceback, ours says a sentence.
";

/// What lines have only so that the command can run.
const PLAIN: &[&str] = &[" RQ_TEST_APP=pieces ", " --job-id j ", " interop.add ", " -b -n w ", " crons.py "];

/// What differs for one reason.
struct Group {
    why: &'static str,
    lines: Vec<String>,
    theirs: Vec<String>,
    ours: Vec<String>,
}

fn text() -> String {
    let tables: Vec<(&str, Vec<Row>)> = TABLES.iter().map(|table| (table.command, (table.rows)())).collect();
    let count: usize = tables.iter().map(|(_, rows)| rows.len()).sum();
    let text = HEAD.replace("ROWS", &count.to_string());
    // Not links of this file's, but of the document's.
    let mut text = text.replace("MD", ".md");
    let of_all = tables.iter().flat_map(|(_, rows)| rows).filter(|row| row.of_all.is_some());
    text.push_str("\n## All commands\n\n");
    table(&mut text, groups("", of_all));
    for (command, rows) in tables {
        let differing = rows.iter().filter(|row| row.difference.is_some()).count();
        let (same, all) = (rows.len() - differing, rows.len());
        write!(text, "\n## `rq {command}`\n\nThe same in {same} of {all} command lines.\n")
            .expect("a string takes all");
        let own = groups(command, rows.iter().filter(|row| row.of_all.is_none()));
        if !own.is_empty() {
            text.push('\n');
            table(&mut text, own);
        }
    }
    text
}

fn table(text: &mut String, groups: Vec<Group>) {
    text.push_str("| Arguments | Python's | Ours | Reason |\n|---|---|---|---|\n");
    for Group { why, lines, theirs, ours } in groups {
        let cells = [lines.join(", "), theirs.join("; "), ours.join("; ")].join(" | ");
        writeln!(text, "| {cells} | {why} |").expect("a string takes all");
    }
}

fn groups<'a>(command: &str, rows: impl Iterator<Item = &'a Row>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let Some(difference) = row.difference else { continue };
        let at = groups.iter().position(|group| group.why == difference.why);
        let at = at.unwrap_or_else(|| {
            groups.push(Group { why: difference.why, lines: vec![], theirs: vec![], ours: vec![] });
            groups.len() - 1
        });
        let group = &mut groups[at];
        add(&mut group.lines, shown(command, row));
        add(&mut group.theirs, in_cell(difference.theirs));
        add(&mut group.ours, in_cell(difference.ours));
    }
    groups
}

fn add(cells: &mut Vec<String>, cell: String) {
    if !cells.contains(&cell) {
        cells.push(cell);
    }
}

fn in_cell(told: Told) -> String {
    told.in_words().replace('|', "\\|")
}

/// The line without its command, which the table has as its title, and without what is there so that the command can
/// run.
fn shown(command: &str, row: &Row) -> String {
    let line = row.of_all.clone().unwrap_or_else(|| {
        let line = row.line.replacen(&format!("{command} "), "", 1);
        PLAIN.iter().fold(format!(" {line} "), |line, plain| without(line, plain))
    });
    let line = line.replace("{url}", "URL").replace("{folder}", ".").replace('|', "\\|");
    format!("`{}`", line.trim())
}

/// The line without a part of it, unless nothing is left then.
fn without(line: String, plain: &str) -> String {
    let left = line.replacen(plain, " ", 1);
    if left.trim().is_empty() { line } else { left }
}
