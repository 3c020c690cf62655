//! Both programs beside each other: whether a row is true.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::reasons::ALWAYS;
use super::row::{Difference, Row, Told};
use super::trial::{Outcome, Program, outcome};
use crate::golden::differences::fits;
use crate::golden::facts::Fact;

/// How many rows are looked at at once, of all commands.
const AT_ONCE: usize = 4;
/// Rows that say how many are looked at now.
static TURNS: Turns = Turns { taken: Mutex::new(0), freed: Condvar::new() };

struct Turns {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// Runs all rows with both programs.
///
/// # Panics
/// With what is not as a row says, of all rows.
#[track_caller]
pub(super) fn check(rows: &[Row]) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(report) = TURNS.in_turn(|| verdict(row)) {
                wrong.lock().unwrap_or_else(PoisonError::into_inner).push(report);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{} of {} rows are not true:\n\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

impl Turns {
    fn in_turn<T>(&self, act: impl FnOnce() -> T) -> T {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            self.freed.wait_while(taken, |taken| *taken >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        drop(taken);
        let done = act();
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.freed.notify_one();
        done
    }
}

/// Nothing, or what is not as the row says.
fn verdict(row: &Row) -> Result<(), String> {
    let both =
        catch_unwind(AssertUnwindSafe(|| [outcome(Program::Pythons, row), outcome(Program::Ours, row)]));
    let [theirs, ours] = both.map_err(|panic| {
        let message = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
        format!("{}{message}\n", head(row))
    })?;
    let found = differing(&theirs, &ours);
    let mut wrong = Vec::new();
    let expected = row.difference.as_ref().map_or(&[][..], |difference| difference.at);
    let unexpected: Vec<&String> =
        found.iter().filter(|place| !expected.iter().any(|pattern| fits(pattern, place))).collect();
    if !unexpected.is_empty() {
        wrong.push(format!("what differs is not all listed: {}", short(&unexpected)));
    }
    for pattern in expected.iter().filter(|pattern| !found.iter().any(|place| fits(pattern, place))) {
        wrong.push(format!("{pattern:?} is listed and does not differ any more"));
    }
    if let Some(Difference { theirs: told_theirs, ours: told_ours, .. }) = row.difference {
        wrong.extend(untrue("Python's", told_theirs, &theirs));
        wrong.extend(untrue("ours", told_ours, &ours));
    }
    if wrong.is_empty() { Ok(()) } else { Err(report(row, &wrong, &found, &theirs, &ours)) }
}

/// The places, without the facts of keys.
fn short(places: &[&String]) -> String {
    let keys: BTreeSet<&str> = places
        .iter()
        .map(|place| match place.split_once(' ') {
            Some((key, _)) if key.starts_with("rq:") => key,
            _ => place.as_str(),
        })
        .collect();
    keys.into_iter().collect::<Vec<_>>().join(", ")
}

/// The places where the two differ, but for what always does.
fn differing(theirs: &Outcome, ours: &Outcome) -> BTreeSet<String> {
    let places = theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>().into_iter();
    let differ = |place: &&String| match (theirs.get(*place), ours.get(*place)) {
        (Some(theirs), Some(ours)) => !theirs.agrees_with(ours) && !are_near(theirs, ours),
        _ => true,
    };
    let is_known = |place: &String| ALWAYS.iter().any(|pattern| fits(pattern, place));
    places.filter(differ).filter(|place| !is_known(place)).cloned().collect()
}

/// Whether both are a long time to live, of which a busy machine may have spent more of one.
fn are_near(theirs: &Fact, ours: &Fact) -> bool {
    const LONG_S: i64 = 200;
    const SPENT_S: i64 = 30;
    match (theirs, ours) {
        (Fact::Seconds(theirs), Fact::Seconds(ours)) => {
            theirs.min(ours) > &LONG_S && (theirs - ours).abs() <= SPENT_S
        }
        _ => false,
    }
}

fn untrue(who: &str, told: Told, outcome: &Outcome) -> Option<String> {
    let (code, part) = told.outcome();
    let said = ["stdout", "stderr"].iter().any(|place| text(outcome, place).contains(part));
    let is_code = text(outcome, "code") == code.to_string();
    let is_raised = !matches!(told, Told::Raises(_)) || text(outcome, "stderr").contains("<traceback>");
    (!said || !is_code || !is_raised).then(|| format!("{who} is not as {told:?} says"))
}

fn text<'a>(outcome: &'a Outcome, place: &str) -> &'a str {
    match outcome.get(place) {
        Some(Fact::Text(text)) => text,
        _ => "",
    }
}

fn head(row: &Row) -> String {
    format!("rq {}   ({:?}, until {:?})\n", row.line, row.start, row.until)
}

/// The command, what is wrong, and what each program did where they differ.
fn report(row: &Row, wrong: &[String], found: &BTreeSet<String>, theirs: &Outcome, ours: &Outcome) -> String {
    let mut report = head(row);
    let mut line = |text: String| writeln!(report, "{text}").expect("a string takes all");
    wrong.iter().for_each(|wrong| line(format!("  {wrong}")));
    let mut whole = BTreeSet::new();
    for place in found {
        let key = place.split(' ').next().unwrap_or(place);
        let is_there = |outcome: &Outcome| outcome.keys().any(|place| place.split(' ').next() == Some(key));
        match (is_there(theirs), is_there(ours)) {
            (true, true) => {
                line(format!("  {place}"));
                shown("theirs", theirs.get(place), ours.get(place)).into_iter().for_each(&mut line);
                shown("ours  ", ours.get(place), theirs.get(place)).into_iter().for_each(&mut line);
            }
            (is_theirs, _) if whole.insert(key) => {
                let who = if is_theirs { "theirs" } else { "ours" };
                line(format!("  {key}\n    {who} alone"));
            }
            _ => {}
        }
    }
    report
}

/// What one of them has; of a long text the lines that the other has not.
fn shown(who: &str, fact: Option<&Fact>, others: Option<&Fact>) -> Vec<String> {
    const LINES_SHOWN_MAX: usize = 8;
    const DIFFERING_MAX: usize = 20;
    let written = |fact: Option<&Fact>| match fact {
        Some(Fact::Text(text)) => text.clone(),
        Some(other) => format!("{other:?}"),
        None => "nothing".to_owned(),
    };
    let (text, others) = (written(fact), written(others));
    let lines: Vec<&str> = if text.is_empty() { vec![""] } else { text.lines().collect() };
    let is_long = lines.len() > LINES_SHOWN_MAX;
    let lines = lines.into_iter().filter(|line| !is_long || !others.lines().any(|other| other == *line));
    let mut lines: Vec<String> = lines.map(|line| format!("    {who}| {line}")).collect();
    lines.dedup();
    let left = lines.len().saturating_sub(DIFFERING_MAX);
    lines.truncate(DIFFERING_MAX);
    lines.extend((left > 0).then(|| format!("    {who}  and {left} more lines")));
    lines
}
