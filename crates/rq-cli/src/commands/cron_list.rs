//! `rq cron list`: the entries, and who runs them (docs/cli.md §10.7).
//!
//! Our schedulers keep each entry in Redis, whoever lives; Python's are known by the records of those that live.

use std::collections::BTreeMap;

use rq_core::link::BlockingLink;
use rq_core::steps::cron::record::{CronRecord, living, records};
use rq_core::steps::cron::{kept, last_enqueued, names};
use rq_core::{Error, Shown, Timestamp};
use serde::{Deserialize, Serialize};

use crate::output::print;
use crate::paint::{Colour, Paint};
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Server, Shared};
use crate::text::{Text, text};

/// The version of the object: it rises when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;
/// How many hashes one round trip reads.
const READ_AT_ONCE: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  rq cron list
  rq cron list --json   # for programs";

const JSON: &str = "\
The object of --json, on one line:
  schema      1; it rises when a field changes its meaning
  url         the Redis, without passwords
  prefix      what all keys begin with
  updated     when, in UTC
  entries     of each its name, function, queue; schedule, a sentence, and what it
              says: every_s, seconds, or expression and zone, null where it has none;
              last: when a job of it was enqueued last, next: when one is due, as
              those say that run it, or null; paused; fired and dropped: how many
              ticks, and last_job, or null where Python's schedulers alone have it;
              schedulers: their names
  schedulers  that live: of each its name, hostname, pid, a number; config_file, null
              where the entries are its program's; and is_python";

/// List cron entries: when they are due, and who runs them.
///
/// Entries of schedulers in Rust are listed whether or not one runs, until `rq cron forget`; those of Python's while one does.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = JSON)]
pub(crate) struct Args {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    let link = server.link()?;
    let listing = Listing::read(&link, &server).map_err(|error| server.refusal(&error))?;
    let text = if args.json { Text::json(&listing)?.ended() } else { listing.text(Paint::of_stdout()) };
    print(&text)
}

/// What is listed.
#[derive(Serialize)]
pub(super) struct Listing {
    schema: u32,
    url: String,
    prefix: String,
    updated: String,
    pub(super) entries: Vec<EntryLine>,
    schedulers: Vec<SchedulerLine>,
}

#[derive(Serialize, Default)]
pub(super) struct EntryLine {
    pub(super) name: String,
    function: String,
    queue: String,
    schedule: String,
    #[serde(flatten)]
    times: Times,
    last: Option<String>,
    pub(super) next: Option<String>,
    pub(super) paused: bool,
    /// Absent where Python's schedulers alone have it.
    pub(super) fired: Option<u64>,
    dropped: Option<u64>,
    last_job: Option<String>,
    pub(super) schedulers: Vec<String>,
    /// Up to which tick all is decided, where ours have it.
    #[serde(skip)]
    decided: Option<String>,
}

/// What a schedule says, for programs.
#[derive(Serialize, Default, Debug, PartialEq)]
struct Times {
    every_s: Option<f64>,
    expression: Option<String>,
    zone: Option<String>,
}

#[derive(Serialize)]
struct SchedulerLine {
    name: String,
    hostname: String,
    pid: Option<u32>,
    config_file: Option<String>,
    is_python: bool,
}

/// An entry in a scheduler's record (docs/wire.md §17).
#[derive(Deserialize)]
struct Described {
    func_name: String,
    #[serde(default)]
    name: String,
    queue_name: String,
    interval: Option<serde_json::Number>,
    cron: Option<String>,
    next_enqueue_time: Option<String>,
}

impl Listing {
    pub(super) fn read(link: &BlockingLink, server: &Server) -> Result<Listing, Error> {
        let now = Timestamp::now();
        let mut entries = entries_of_ours(link, server)?;
        let names = link.run(&living(&server.keys, now))?;
        let mut schedulers = Vec::new();
        for names in names.chunks(READ_AT_ONCE) {
            for record in link.run(&records(&server.keys, names))? {
                add_described(&mut entries, &record);
                schedulers.push(SchedulerLine {
                    name: record.name,
                    hostname: record.hostname,
                    pid: record.pid.parse().ok(),
                    config_file: Some(record.config_file).filter(|file| !file.is_empty()),
                    is_python: !record.shares_ticks,
                });
            }
        }
        for (name, enqueued_at_s) in link.run(&last_enqueued(&server.keys))? {
            if let Some(entry) = entries.get_mut(&name) {
                entry.last = Some(Timestamp::from_epoch_seconds(enqueued_at_s).to_string());
            }
        }
        Ok(Listing {
            schema: SCHEMA,
            url: server.shown.clone(),
            prefix: server.keys.prefix().to_owned(),
            updated: now.to_string(),
            entries: entries.into_values().collect(),
            schedulers,
        })
    }

    fn text(&self, paint: Paint) -> Text {
        let zone = zone();
        let head =
            ["NAME", "SCHEDULE", "QUEUE", &format!("LAST ({zone})"), &format!("NEXT ({zone})"), "RUN BY"];
        let head = head.map(str::to_owned);
        let rows: Vec<[String; 6]> = self.entries.iter().map(|entry| self.cells(entry)).collect();
        let all = || [&head].into_iter().chain(&rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..5).map(width).collect();
        let line = |row: &[String; 6]| {
            let cells = widths.iter().zip(row).map(|(width, cell)| {
                let pad = width.saturating_sub(cell.chars().count());
                text!("{cell}{:pad$}  ", "")
            });
            cells.fold(Text::default(), |line, cell| line + cell) + Text::line(&row[5])
        };
        let mut text = if rows.is_empty() { Text::default() } else { line(&head).ended() };
        for (row, entry) in rows.iter().zip(&self.entries) {
            let line = line(row);
            let line = if entry.paused { paint.paint(Colour::Yellow, line) } else { line };
            text = text + line.ended();
        }
        text + text!("{} entries, {} schedulers", self.entries.len(), self.schedulers.len()).ended()
    }

    /// What is shown of an entry, each cell harmless.
    fn cells(&self, entry: &EntryLine) -> [String; 6] {
        let shown = |text: &str| Shown::name(text).to_string();
        let time = |text: &Option<String>| {
            let at = text.as_deref().and_then(|text| Timestamp::parse(text).ok());
            at.map_or_else(|| "-".to_owned(), local_time)
        };
        let next = if entry.paused { "paused".to_owned() } else { time(&entry.next) };
        let is_python = |name: &str| self.schedulers.iter().any(|line| line.is_python && line.name == name);
        let by = |name: &String| match is_python(name) {
            true => format!("{} (Python)", shown(name)),
            false => shown(name),
        };
        let by = match entry.schedulers.as_slice() {
            [] => "nobody".to_owned(),
            names => names.iter().map(by).collect::<Vec<_>>().join(", "),
        };
        [shown(&entry.name), shown(&entry.schedule), shown(&entry.queue), time(&entry.last), next, by]
    }
}

/// The entries that our schedulers have announced, by name.
fn entries_of_ours(link: &BlockingLink, server: &Server) -> Result<BTreeMap<String, EntryLine>, Error> {
    let mut entries = BTreeMap::new();
    let names = link.run(&names(&server.keys))?;
    for names in names.chunks(READ_AT_ONCE) {
        for entry in link.run(&kept(&server.keys, names))? {
            let line = EntryLine {
                name: entry.name.clone(),
                function: entry.function,
                queue: entry.queue,
                times: times(&entry.schedule),
                schedule: entry.schedule,
                decided: entry.decided.map(|at| at.to_string()),
                paused: entry.paused,
                fired: Some(entry.fired),
                dropped: Some(entry.dropped),
                last_job: entry.last_job,
                ..EntryLine::default()
            };
            entries.insert(entry.name, line);
        }
    }
    Ok(entries)
}

/// Adds what a living scheduler has. A record that is no RQ's lists nothing.
fn add_described(entries: &mut BTreeMap<String, EntryLine>, record: &CronRecord) {
    let described: Vec<Described> = serde_json::from_str(&record.cron_jobs).unwrap_or_default();
    for entry in described {
        let name = if entry.name.is_empty() { entry.func_name.clone() } else { entry.name };
        let line = entries.entry(name.clone()).or_insert_with(|| {
            let schedule = match (&entry.interval, &entry.cron) {
                (Some(interval), _) => format!("every {interval} seconds"),
                (None, Some(cron)) => format!("at {cron}"),
                (None, None) => String::new(),
            };
            let (function, queue) = (entry.func_name, entry.queue_name);
            EntryLine { name, function, queue, times: times(&schedule), schedule, ..EntryLine::default() }
        });
        line.is_due(entry.next_enqueue_time, record.shares_ticks);
        if !line.schedulers.contains(&record.name) {
            line.schedulers.push(record.name.clone());
        }
    }
}

impl EntryLine {
    /// Takes when it is due as a scheduler says; times of the form `T` sort by time.
    fn is_due(&mut self, next: Option<String>, shares_ticks: bool) {
        let known = self.next.take();
        self.next = match shares_ticks {
            // Of those that share the ticks the one is right that knows of the newest decision: the others will learn of it.
            true => {
                [known, next.filter(|next| Some(next) > self.decided.as_ref())].into_iter().flatten().max()
            }
            // Python's fire what they say, each for itself.
            false => [known, next].into_iter().flatten().min(),
        };
    }
}

/// What a schedule of these words says: `every 2.5 seconds`, `at 0 3 * * * (Europe/Berlin)`.
fn times(schedule: &str) -> Times {
    if let Some(interval) = schedule.strip_prefix("every ") {
        let every_s = interval.split(' ').next().and_then(|seconds| seconds.parse().ok());
        return Times { every_s, ..Times::default() };
    }
    let Some(at) = schedule.strip_prefix("at ") else { return Times::default() };
    let (expression, zone) = match at.strip_suffix(')').and_then(|at| at.rsplit_once(" (")) {
        Some((expression, zone)) => (expression, Some(zone.to_owned())),
        None => (at, None),
    };
    Times { every_s: None, expression: Some(expression.to_owned()), zone }
}

/// The zone in which times are shown: that of this machine, by its name if it has one.
pub(super) fn zone() -> String {
    let zone = jiff::tz::TimeZone::system();
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => jiff::Timestamp::now().to_zoned(zone).strftime("%:z").to_string(),
    }
}

pub(super) fn local_time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.epoch_us()).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_told_in_fields() {
        let at = |expression: &str, zone: Option<&str>| Times {
            every_s: None,
            expression: Some(expression.to_owned()),
            zone: zone.map(str::to_owned),
        };
        for (schedule, expected) in [
            ("every 2.5 seconds", Times { every_s: Some(2.5), ..Times::default() }),
            ("every 1 second", Times { every_s: Some(1.0), ..Times::default() }),
            ("at 0 3 * * * (Europe/Berlin)", at("0 3 * * *", Some("Europe/Berlin"))),
            ("at @daily", at("@daily", None)),
            ("", Times::default()),
        ] {
            assert_eq!(times(schedule), expected, "{schedule}");
        }
    }

    #[test]
    fn who_knows_of_the_newest_decision_says_when_an_entry_is_due() {
        let time = |minute: u32| Some(format!("2026-11-28T16:{minute:02}:00.000000Z"));
        let next = |decided: Option<String>, said: &[(Option<String>, bool)]| {
            let mut line = EntryLine { decided, ..EntryLine::default() };
            for (next, shares_ticks) in said {
                line.is_due(next.clone(), *shares_ticks);
            }
            line.next
        };
        // The other one lags behind, whichever is read first.
        assert_eq!(next(time(3), &[(time(2), true), (time(4), true)]), time(4));
        assert_eq!(next(time(3), &[(time(4), true), (time(2), true), (None, true)]), time(4));
        // What is decided is not due.
        assert_eq!(next(time(3), &[(time(3), true)]), None);
        assert_eq!(next(None, &[(time(2), true)]), time(2));
        assert_eq!(next(None, &[(time(3), false), (time(2), false)]), time(2));
    }
}
