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
use crate::server::{Server, Shared};
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
  entries     of each its name, function, queue, schedule; last: when a job of it
              was enqueued last, next: when one is due, as those say that run it,
              or null; paused; fired and dropped: how many ticks, and last_job, or
              null where Python's schedulers alone have it; schedulers: their names
  schedulers  that live: of each its name, hostname, pid, config_file, and whether
              it is Python's";

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
struct Listing {
    schema: u32,
    url: String,
    prefix: String,
    updated: String,
    entries: Vec<EntryLine>,
    schedulers: Vec<SchedulerLine>,
}

#[derive(Serialize, Default)]
struct EntryLine {
    name: String,
    function: String,
    queue: String,
    schedule: String,
    last: Option<String>,
    next: Option<String>,
    paused: bool,
    fired: Option<u64>,
    dropped: Option<u64>,
    last_job: Option<String>,
    schedulers: Vec<String>,
}

#[derive(Serialize)]
struct SchedulerLine {
    name: String,
    hostname: String,
    pid: String,
    config_file: String,
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
    fn read(link: &BlockingLink, server: &Server) -> Result<Listing, Error> {
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
                    pid: record.pid,
                    config_file: record.config_file,
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
        let head = ["NAME", "SCHEDULE", "QUEUE", "LAST", "NEXT", "RUN BY"].map(str::to_owned);
        let rows: Vec<[String; 6]> = self.entries.iter().map(EntryLine::cells).collect();
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
}

impl EntryLine {
    /// What is shown of it, each cell harmless.
    fn cells(&self) -> [String; 6] {
        let shown = |text: &str| Shown::name(text).to_string();
        let time = |text: &Option<String>| {
            let at = text.as_deref().and_then(|text| Timestamp::parse(text).ok());
            at.map_or_else(|| "-".to_owned(), local_time)
        };
        let next = if self.paused { "paused".to_owned() } else { time(&self.next) };
        let by = match self.schedulers.as_slice() {
            [] => "nobody".to_owned(),
            names => names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "),
        };
        [shown(&self.name), shown(&self.schedule), shown(&self.queue), time(&self.last), next, by]
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
                schedule: entry.schedule,
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
        let line = entries.entry(name.clone()).or_insert_with(|| EntryLine {
            name,
            function: entry.func_name,
            queue: entry.queue_name,
            schedule: match (&entry.interval, &entry.cron) {
                (Some(interval), _) => format!("every {interval} seconds"),
                (None, Some(cron)) => format!("at {cron}"),
                (None, None) => String::new(),
            },
            ..EntryLine::default()
        });
        // The first of those that run it; the form `T` sorts by time.
        line.next = [line.next.take(), entry.next_enqueue_time].into_iter().flatten().min();
        if !line.schedulers.contains(&record.name) {
            line.schedulers.push(record.name.clone());
        }
    }
}

fn local_time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.epoch_us()).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
