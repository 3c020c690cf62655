//! A Manager's status as a table.

use rq_core::Shown;
use rq_manager::{Cause, ChildStatus, SlotStatus, Status};

use super::entries;
use crate::paint::{Colour, Paint};
use crate::text::{Text, text};

const HEAD: [&str; COLUMNS] = ["NAME", "PID", "STATE", "UP", "REQUESTS", "MEMORY", "RESTARTS", "LAST END"];
const COLUMNS: usize = 8;
/// What is shown where there is nothing to show.
const NOTHING: &str = "-";
/// The states of slots that have nobody, and say why: for a moment, for longer, and until the file changes.
const WAITING: &str = "waiting";
const PARKED: &str = "parked";
const REFUSED: &str = "refused";

type Row = [String; COLUMNS];

/// A line about the Manager, one for each worker, and for each slot without one; then why slots are parked or refused.
pub(super) fn text(status: &Status, paint: Paint) -> Text {
    let slots: Vec<&SlotStatus> = status.kinds.iter().flat_map(|kind| &kind.slots).collect();
    let rows: Vec<(Row, Option<Colour>)> = slots.iter().flat_map(|slot| rows(slot)).collect();
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|(row, _)| row).chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = about(status).ended() + line(&head, &widths).ended();
    for (row, colour) in &rows {
        let line = line(row, &widths);
        text = text + colour.map_or(line.clone(), |colour| paint.paint(colour, line)).ended();
    }
    for slot in slots {
        if let Some(line) = why(slot) {
            text = text + paint.paint(Colour::Red, line).ended();
        }
    }
    match &status.reload_failed {
        Some(reason) => {
            text + text!("The file as it is now is not in use: {}", Shown::message(reason)).ended()
        }
        None => text,
    }
}

fn about(status: &Status) -> Text {
    let leaving = if status.is_stopping { ", on its way out" } else { "" };
    let (title, pid, up) = (Shown::name(&status.title), status.pid, time(status.up_s));
    text!("{title}: process {pid}, up {up}, {}{leaving}", entries(status.kinds.len()))
}

fn line(row: &Row, widths: &[usize]) -> Text {
    let (last, first) = (&row[COLUMNS - 1], &row[..COLUMNS - 1]);
    let cells = widths.iter().zip(first).map(|(width, cell)| {
        let pad = width.saturating_sub(cell.chars().count());
        text!("{cell}{:pad$}  ", "")
    });
    cells.fold(Text::default(), |line, cell| line + cell) + Text::line(last)
}

/// The lines of a slot: one for each of its children, or one that says that there is none.
fn rows(slot: &SlotStatus) -> Vec<(Row, Option<Colour>)> {
    let restarts = slot.starts.saturating_sub(1).to_string();
    let last = slot.last_end.as_ref().map_or(NOTHING.to_owned(), last_end);
    let name = Shown::name(&slot.name).to_string();
    if slot.children.is_empty() {
        let nothing = || NOTHING.to_owned();
        let state = Shown::name(&slot.state).to_string();
        let row = [name, nothing(), state, nothing(), nothing(), nothing(), restarts, last];
        return vec![(row, Some(colour(&slot.state)))];
    }
    let row = |child: &ChildStatus| {
        let row = [
            name.clone(),
            child.pid.to_string(),
            Shown::name(&child.state).to_string(),
            time(child.up_s),
            child.requests.to_string(),
            child.held_bytes.map_or(NOTHING.to_owned(), megabytes),
            restarts.clone(),
            last.clone(),
        ];
        (row, None)
    };
    slot.children.iter().map(row).collect()
}

fn colour(state: &str) -> Colour {
    if [PARKED, REFUSED].contains(&state) { Colour::Red } else { Colour::Yellow }
}

/// An end in a cell: why a worker could not start is often long, and stands below the table while it counts.
fn last_end(cause: &Cause) -> String {
    match cause {
        Cause::BootFailed { .. } => "could not start".to_owned(),
        cause => Shown::name(cause).to_string(),
    }
}

/// Why nobody is in a slot.
fn why(slot: &SlotStatus) -> Option<Text> {
    let (name, reason) = (Shown::name(&slot.name), slot.reason.as_deref()?);
    if ![WAITING, PARKED, REFUSED].contains(&slot.state.as_str()) {
        // One serves, and its successor does not come.
        let again = slot.again_in_s.map(|again_s| format!("; tried again in {}", time(again_s)));
        let again = again.unwrap_or_default();
        return Some(text!("the next one of {name} did not come: {}{again}", Shown::message(reason)));
    }
    let again = slot.again_in_s.map(|again_s| format!(", and tried again in {}", time(again_s)));
    let again = again.unwrap_or_default();
    Some(text!("{name} is {}{again}: {}", Shown::name(&slot.state), Shown::message(reason)))
}

/// `7 s`, `3:07`, `26:03:07`.
fn time(seconds: f64) -> String {
    const MINUTE_S: u64 = 60;
    const HOUR_S: u64 = 60 * MINUTE_S;
    // A number that is none is 0.
    let whole_s = seconds.max(0.0) as u64;
    let (hours, minutes, rest_s) = (whole_s / HOUR_S, whole_s / MINUTE_S % 60, whole_s % MINUTE_S);
    match (hours, minutes) {
        (0, 0) => format!("{rest_s} s"),
        (0, minutes) => format!("{minutes}:{rest_s:02}"),
        (hours, minutes) => format!("{hours}:{minutes:02}:{rest_s:02}"),
    }
}

/// Of 2^20 bytes.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use rq_manager::KindStatus;

    use super::*;

    fn child(name: &str, pid: i32, state: &str) -> ChildStatus {
        ChildStatus {
            name: name.to_owned(),
            pid,
            state: state.to_owned(),
            up_s: 93_787.5,
            requests: 1024,
            held_bytes: Some(55_000_000),
            says: None,
            cause: None,
        }
    }

    fn slot(name: &str, state: &str, children: Vec<ChildStatus>) -> SlotStatus {
        SlotStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            reason: None,
            again_in_s: None,
            children,
            starts: 3,
            ends: [("max_requests".to_owned(), 2)].into(),
            last_end: Some(Cause::MaxRequests { count: 970 }),
        }
    }

    #[test]
    fn each_worker_has_a_line_and_so_has_a_slot_without_one() {
        let two = vec![child("e-1-5f3a9c", 4720, "running"), child("e-1-77c2b0", 4733, "leaving")];
        let reason = Some("Error: no\x1b route".to_owned());
        let parked = SlotStatus {
            reason,
            again_in_s: Some(30.0),
            last_end: Some(Cause::BootFailed { reason: "Error: no route".to_owned() }),
            starts: 5,
            ..slot("e-2", "parked", Vec::new())
        };
        let slots = vec![slot("e-1", "running", two), parked];
        let status = Status {
            title: "Workers".to_owned(),
            pid: 4711,
            up_s: 187.0,
            wait_time_s: Some(25.0),
            is_stopping: false,
            reload_failed: Some("rq.toml, line 3: no".to_owned()),
            kinds: vec![KindStatus { name: "e".to_owned(), count: 2, slots }],
        };
        let expected = "\
Workers: process 4711, up 3:07, 1 entry
NAME  PID   STATE    UP        REQUESTS  MEMORY   RESTARTS  LAST END
e-1   4720  running  26:03:07  1024      52.5 MB  2         cancelled by reaching max requests count [970]
e-1   4733  leaving  26:03:07  1024      52.5 MB  2         cancelled by reaching max requests count [970]
e-2   -     parked   -         -         -        4         could not start
e-2 is parked, and tried again in 30 s: Error: no\\x1b route
The file as it is now is not in use: rq.toml, line 3: no
";
        assert_eq!(text(&status, Paint::Plain).as_str(), expected);
    }

    #[test]
    fn times_are_as_long_as_they_need_be() {
        assert_eq!([time(0.4), time(59.9), time(60.0), time(3600.0)], ["0 s", "59 s", "1:00", "1:00:00"]);
    }
}
