//! A snapshot in RQ's text, byte for byte: scripts read it (docs/cli.md §4).

use jiff::{Timestamp, tz::TimeZone};
use rq_core::steps::rate_limit::Usage;
use rq_core::{Shown, WorkerRecord};

use super::Shows;
use super::snapshot::{Queue, Scheduler, Snapshot};
use crate::paint::{Colour, Paint};
use crate::text::{Text, text};

/// How wide names are at least.
const NAME_WIDTH: usize = 12;
/// How wide the longest bar may be, and what is left beside it.
const BAR_WIDTH_MAX: usize = 20;
/// What a bar's full width may stand for; beyond the last, the longest queue.
const SCALES: [usize; 8] = [20, 50, 100, 200, 400, 600, 800, 1000];
/// The width where standard output is no terminal.
const COLUMNS_DEFAULT: usize = 80;
/// What Python prints for nothing.
const NONE: &str = "None";

/// How a snapshot is to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shows: Shows,
    pub(super) raw: bool,
    pub(super) by_queue: bool,
    pub(super) paint: Paint,
    /// Of the terminal.
    pub(super) columns: usize,
}

/// The text, with its last line ended.
pub(super) fn render(snapshot: &Snapshot, layout: &Layout) -> Text {
    let mut lines = Vec::new();
    match layout.shows {
        Shows::Queues => queue_lines(snapshot, layout, &mut lines),
        Shows::Workers => worker_lines(snapshot, layout, &mut lines),
        Shows::Both if layout.raw => {
            queue_lines(snapshot, layout, &mut lines);
            worker_lines(snapshot, layout, &mut lines);
        }
        Shows::Both => {
            queue_lines(snapshot, layout, &mut lines);
            lines.push(Text::default());
            worker_lines(snapshot, layout, &mut lines);
            cron_lines(snapshot, &mut lines);
            lines.push(Text::default());
            lines.push(text!("Updated: {}", local_time(snapshot.taken)));
        }
    }
    lines.into_iter().fold(Text::default(), |text, line| text + line.ended())
}

/// How wide the terminal is: `COLUMNS`, else what the terminal says.
pub(super) fn columns() -> usize {
    let told =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    let asked = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    told.or_else(asked).filter(|&columns| columns > 0).unwrap_or(COLUMNS_DEFAULT)
}

fn queue_lines(snapshot: &Snapshot, layout: &Layout, lines: &mut Vec<Text>) {
    let queues = &snapshot.queues;
    // All bars have one scale, so that they can be compared.
    let longest = queues.iter().map(|queue| queue.counts.queued).max().unwrap_or(0);
    lines.extend(queues.iter().map(|queue| queue_line(queue, longest, layout)));
    if !layout.raw {
        let jobs: usize = queues.iter().map(|queue| queue.counts.queued).sum();
        lines.push(text!("{} queues, {jobs} jobs total", queues.len()));
        // Beyond RQ's text, and only where there is something to say.
        let limits = snapshot.rate_limits.iter().filter(|(_, usage)| usage.waiting > 0);
        lines.extend(limits.map(|(key, usage)| rate_limit_line(key, usage)));
        // Beyond RQ's text, too.
        if snapshot.groups > 0 {
            lines.push(text!("{} groups", snapshot.groups));
        }
    }
}

fn rate_limit_line(key: &str, Usage { slots, held, waiting }: &Usage) -> Text {
    let slots = slots.map_or_else(|| "?".to_owned(), |slots| slots.to_string());
    text!("rate limit {}: {held} of {slots} slots held, {waiting} waiting", Shown::name(key))
}

fn queue_line(Queue { name, counts, scheduler }: &Queue, longest: usize, layout: &Layout) -> Text {
    let name = Shown::name(name);
    let numbers = format!(
        "{}, {} executing, {} finished, {} failed",
        counts.queued, counts.started, counts.finished, counts.failed
    );
    if layout.raw {
        return text!("queue {name} {numbers}");
    }
    let bar = text!("|{}", "█".repeat(blocks(counts.queued, longest, layout.columns)));
    let line = text!("{name:<NAME_WIDTH$} ") + layout.paint.paint(Colour::Green, bar) + text!(" {numbers}");
    // Beyond RQ's text, and only where there is something to say.
    let counted = [(counts.scheduled, "scheduled"), (counts.deferred, "deferred")];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    let line = counted.fold(line, |line, (count, what)| line + text!(", {count} {what}"));
    match scheduler {
        Some(scheduler) => line + text!("; scheduler ") + scheduler_text(scheduler),
        None => line,
    }
}

fn scheduler_text(Scheduler { name, hostname, pid }: &Scheduler) -> Text {
    match (hostname, pid) {
        (Some(hostname), Some(pid)) => text!("{} {}", Shown::name(hostname), Shown::name(pid)),
        _ => text!("{}", Shown::name(name)),
    }
}

/// How long the bar of `count` jobs is where the longest queue has `longest`. In floating point, as Python rounds.
fn blocks(count: usize, longest: usize, columns: usize) -> usize {
    let scale = SCALES.into_iter().find(|&scale| longest <= scale).unwrap_or(longest);
    let width = columns.saturating_sub(BAR_WIDTH_MAX).min(BAR_WIDTH_MAX);
    (width as f64 / scale as f64 * count as f64) as usize
}

fn worker_lines(snapshot: &Snapshot, layout: &Layout, lines: &mut Vec<Text>) {
    match layout.by_queue {
        true => lines.extend(lines_by_queue(snapshot, layout)),
        false => lines.extend(snapshot.workers.iter().map(|worker| worker_line(worker, layout))),
    }
    if !layout.raw {
        lines.push(text!("{} workers, {} queues", snapshot.workers.len(), snapshot.queues.len()));
    }
}

/// Beyond RQ's text, and only where there is something to say.
fn cron_lines(snapshot: &Snapshot, lines: &mut Vec<Text>) {
    if snapshot.cron_schedulers.is_empty() {
        return;
    }
    let names = snapshot.cron_schedulers.iter().map(|scheduler| Text::line(Shown::name(&scheduler.name)));
    let count = snapshot.cron_schedulers.len();
    lines.push(text!("{count} cron schedulers: ") + Text::joined(names, ", "));
}

fn worker_line(worker: &WorkerRecord, layout: &Layout) -> Text {
    let text = |text: &'_ Option<String>| Shown::name(text.clone().unwrap_or_else(|| NONE.to_owned()));
    let pid = worker.pid.map_or_else(|| NONE.to_owned(), |pid| pid.to_string());
    let name = Shown::name(&worker.name);
    let who = text!("{name} ({} {} {pid})", text(&worker.hostname), text(&worker.ip_address));
    let state = state(worker, if layout.raw { Paint::Plain } else { layout.paint });
    let line = match layout.raw {
        true => text!("worker ") + who + text!(" ") + state,
        false => who + text!(": ") + state,
    };
    let (finished, failed) =
        (worker.successful_job_count.unwrap_or_default(), worker.failed_job_count.unwrap_or_default());
    let queues = worker.queues.iter().map(|queue| Text::line(Shown::name(queue)));
    line + text!(" ") + Text::joined(queues, ", ") + text!(". jobs: {finished} finished, {failed} failed")
}

fn lines_by_queue(snapshot: &Snapshot, layout: &Layout) -> Vec<Text> {
    let shown: Vec<String> =
        snapshot.queues.iter().map(|queue| Shown::name(&queue.name).to_string()).collect();
    let longest = shown.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |(Queue { name, .. }, shown): (&Queue, &String)| {
        let serving = snapshot.workers.iter().filter(|worker| worker.queues.contains(name));
        let mut workers: Vec<Text> = serving
            .map(|worker| text!("{} (", Shown::name(&worker.name)) + state(worker, layout.paint) + text!(")"))
            .collect();
        // By what is printed, state included (docs/cli.md §4).
        workers.sort();
        let workers = if workers.is_empty() { text!("–") } else { Text::joined(workers, ", ") };
        let width = longest - shown.chars().count();
        text!("{shown}:{:width$} ", "") + workers
    };
    snapshot.queues.iter().zip(&shown).map(line).collect()
}

fn state(worker: &WorkerRecord, paint: Paint) -> Text {
    match worker.state.as_deref() {
        Some("busy") => paint.paint(Colour::Red, text!("busy")),
        Some("idle") => paint.paint(Colour::Green, text!("idle")),
        Some("suspended") => paint.paint(Colour::Yellow, text!("suspended")),
        Some(other) => Text::line(Shown::name(other)),
        None => text!("?"),
    }
}

/// As Python prints a `datetime`: local, and without a fraction where there is none.
fn local_time(at: rq_core::Timestamp) -> String {
    let at = Timestamp::from_microsecond(at.epoch_us()).unwrap_or_default();
    let local = at.to_zoned(TimeZone::system());
    let format = if local.subsec_nanosecond() == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S.%6f" };
    local.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use rq_core::steps::queue::Counts;
    use rq_core::{Fields, Timestamp};

    use super::*;

    const LAYOUT: Layout =
        Layout { shows: Shows::Both, raw: false, by_queue: false, paint: Paint::Plain, columns: 80 };

    fn queue(name: &str, queued: usize, started: usize) -> Queue {
        Queue {
            name: name.to_owned(),
            counts: Counts { queued, started, ..Counts::default() },
            scheduler: None,
        }
    }

    fn worker(name: &str, fields: &[(&str, &str)]) -> WorkerRecord {
        let fields: Fields =
            fields.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        WorkerRecord::from_fields(name, fields).unwrap()
    }

    fn busy(name: &str, queues: &str) -> WorkerRecord {
        worker(
            name,
            &[
                ("hostname", "myhost"),
                ("ip_address", "127.0.0.1:50884"),
                ("pid", "3125"),
                ("state", "busy"),
                ("queues", queues),
            ],
        )
    }

    fn shown(queues: Vec<Queue>, workers: Vec<WorkerRecord>, layout: Layout) -> String {
        let usage = |waiting| Usage { slots: Some(2), held: 2, waiting };
        // RQ says nothing of them: who waits is told, and nothing else is.
        let waiting = queues.iter().filter(|queue| queue.name == "limited").count();
        let rate_limits = vec![("k".to_owned(), usage(0)), ("api".to_owned(), usage(3 * waiting))];
        let taken = Timestamp::from_epoch_us(0);
        let cron_schedulers = Vec::new();
        let snapshot = Snapshot { taken, queues, rate_limits, workers, groups: 0, cron_schedulers };
        let text = render(&snapshot, &layout);
        // The time of the snapshot is in the time zone of the machine that runs the test.
        let text = text.as_str();
        let updated = text.find("Updated: ").map_or(text.len(), |at| at + "Updated: ".len());
        text[..updated].to_owned()
    }

    #[test]
    fn the_default_text_is_rqs() {
        let text = "alpha        | 0, 1 executing, 0 finished, 0 failed\n\
                    default      |███ 3, 0 executing, 0 finished, 0 failed\n\
                    2 queues, 3 jobs total\n\
                    \n\
                    from-config (myhost 127.0.0.1:50884 3125): busy alpha, beta. jobs: 0 finished, 0 failed\n\
                    1 workers, 2 queues\n\
                    \n\
                    Updated: ";
        let queues = vec![queue("alpha", 0, 1), queue("default", 3, 0)];
        assert_eq!(shown(queues, vec![busy("from-config", "alpha,beta")], LAYOUT), text);
    }

    #[test]
    fn rate_limits_are_shown_that_somebody_waits_for() {
        let text = "limited      | 0, 0 executing, 0 finished, 0 failed\n\
                    1 queues, 0 jobs total\n\
                    rate limit api: 2 of 2 slots held, 3 waiting\n";
        let queues = || vec![queue("limited", 0, 0)];
        assert_eq!(shown(queues(), Vec::new(), Layout { shows: Shows::Queues, ..LAYOUT }), text);
        let raw = Layout { shows: Shows::Queues, raw: true, ..LAYOUT };
        assert_eq!(shown(queues(), Vec::new(), raw), "queue limited 0, 0 executing, 0 finished, 0 failed\n");
    }

    #[test]
    fn raw_text_is_rqs() {
        let text = "queue default 5, 0 executing, 0 finished, 0 failed\n\
                    worker w1 (myhost 127.0.0.1:50884 3125) busy alpha, beta. jobs: 0 finished, 0 failed\n\
                    worker w2 (None None None) ? . jobs: 0 finished, 0 failed\n";
        let layout = Layout { raw: true, paint: Paint::Coloured, ..LAYOUT };
        let workers = vec![busy("w1", "alpha,beta"), worker("w2", &[])];
        assert_eq!(shown(vec![queue("default", 5, 0)], workers, layout), text);
    }

    #[test]
    fn workers_by_queue_are_rqs() {
        let text = "default: w1 (busy), w2 (idle)\n\
                    beta:    w1 (busy)\n\
                    high:    –\n\
                    2 workers, 3 queues\n";
        let layout = Layout { shows: Shows::Workers, by_queue: true, ..LAYOUT };
        let queues = vec![queue("default", 0, 0), queue("beta", 0, 0), queue("high", 0, 0)];
        let workers =
            vec![worker("w2", &[("state", "idle"), ("queues", "default")]), busy("w1", "default,beta")];
        assert_eq!(shown(queues, workers, layout), text);
    }

    #[test]
    fn nothing_is_shown_as_nothing() {
        let text = "0 queues, 0 jobs total\n\n0 workers, 0 queues\n\nUpdated: ";
        assert_eq!(shown(vec![], vec![], LAYOUT), text);
    }

    #[test]
    fn a_terminal_gets_colours() {
        let layout = Layout { paint: Paint::Coloured, ..LAYOUT };
        let text = shown(vec![queue("q", 20, 0)], vec![busy("w", "q")], layout);
        assert!(
            text.starts_with("q            \x1b[32m|████████████████████\x1b[0m 20, 0 executing"),
            "{text}"
        );
        assert!(text.contains("): \x1b[31mbusy\x1b[0m q. jobs:"), "{text}");
    }

    #[test]
    fn bars_are_as_long_as_pythons() {
        for (count, longest, columns, expected) in [
            (0, 0, 80, 0),
            (3, 3, 80, 3),
            (20, 20, 80, 20),
            (21, 21, 80, 8),
            (49, 50, 80, 19),
            (1, 1000, 80, 0),
            (5000, 5000, 80, 20),
            (2500, 5000, 80, 10),
            (20, 20, 30, 10),
            (20, 20, 10, 0),
        ] {
            assert_eq!(blocks(count, longest, columns), expected, "{count} of {longest} in {columns}");
        }
    }
}
