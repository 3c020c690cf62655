//! [`Steady`]: what a program prints, without what differs from run to run.

use std::path::Path;

use rq_tests::Scratch;

/// What differs from run to run, of one program.
pub(super) struct Steady<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) folder: &'a Path,
    pub(super) process: u32,
}

/// The name under which the tests' program runs.
const OUR_PROGRAM: &str = "rq-test";
/// What begins a traceback.
const TRACEBACK: &str = "Traceback (most recent call last):";
/// What stands for a traceback, in front of its last line.
const RAISED: &str = "<traceback> ";
/// What stands between tracebacks.
const LED_TO: &[&str] = &[
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];
/// What our worker says once at its start, and Python's does not (docs/cli.md §2): the tests' Redis keeps nothing.
const OURS_ALONE: &[&str] = &["a restart of Redis loses all jobs:"];
/// What both say, ours as long as it has time for it beside the jobs.
const BESIDE_JOBS: &[&str] = &[": cleaning registries for", ": cleaning group registries"];
/// What ours says behind Python's words, once at the start.
const OURS_BEHIND: (&str, &str) = (", version <version>, ", " at once (");
/// Behind these words are a process id, a version, a date, and the name of a scheduler.
const BEFORE_ID: &[&str] = &["PID", "[PID", "pid", "with"];
/// Of several workers each says it that finds the lock free, perhaps because another has left.
const AS_OFTEN_AS_MAY_BE: &str = "Acquired scheduler lock for ";
const PUNCTUATION: &[char] = &['.', ',', ':', ';', '(', ')', '[', ']', '\'', '"', '`'];
const HEX_DIGITS: usize = 32;

impl Steady<'_> {
    pub(super) fn text(&self, text: &str) -> String {
        let text = text.replace(self.scratch.url(), "{url}");
        let text = text.replace(&self.folder.to_string_lossy().into_owned(), "{folder}");
        let text = text.replace(&format!("{}:", self.scratch.prefix()), "rq:").replace(OUR_PROGRAM, "rq");
        let kept = text.lines().filter(|line| !OURS_ALONE.iter().any(|part| line.contains(part)));
        without_tracebacks(kept).iter().map(|line| self.line(line) + "\n").collect()
    }

    /// As [`Steady::text`], of a log in which what is done side by side comes in any order.
    pub(super) fn log(&self, text: &str) -> String {
        let text = self.text(text);
        let is_steady = |line: &&str| !BESIDE_JOBS.iter().any(|part| line.contains(part));
        let mut lines: Vec<&str> = text.lines().filter(is_steady).collect();
        lines.sort_unstable();
        lines.dedup_by(|next, line| line.contains(AS_OFTEN_AS_MAY_BE) && next == line);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn line(&self, line: &str) -> String {
        let mut before = "";
        let words = line.split(' ').map(|word| {
            let steady = self.word(before, word);
            before = word;
            steady
        });
        let line = words.collect::<Vec<_>>().join(" ");
        match line.split_once(OURS_BEHIND.0) {
            Some((start, rest)) if rest.contains(OURS_BEHIND.1) => format!("{start}, version <version>"),
            _ => line,
        }
    }

    fn word(&self, before: &str, word: &str) -> String {
        let core = word.trim_matches(PUNCTUATION);
        // A name at the end of a key.
        let core = core.rsplit_once(':').map_or(core, |(_, name)| if is_hex(name) { name } else { core });
        match self.kind(before, core) {
            Some(kind) if !core.is_empty() => word.replacen(core, kind, 1),
            _ => word.to_owned(),
        }
    }

    /// What a word is that differs.
    fn kind(&self, before: &str, word: &str) -> Option<&'static str> {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        match before {
            "version" => Some("<version>"),
            "Updated:" => Some("<date>"),
            "CronScheduler" => Some("<scheduler>"),
            _ if is_number && (BEFORE_ID.contains(&before) || word == self.process.to_string()) => {
                Some("<pid>")
            }
            _ if is_hex(word) => Some("<name>"),
            _ if uuid::Uuid::try_parse(word).is_ok() => Some("<uuid>"),
            _ if is_clock(word) => Some("<time>"),
            _ if word.strip_suffix('s').is_some_and(is_clock) => Some("<duration>"),
            _ => None,
        }
    }
}

/// The ids of the jobs that went well, in the order in which a log says so.
pub(super) fn order(log: &str) -> String {
    let ids =
        log.lines().filter_map(|line| line.split_once("Job OK (").map(|(_, id)| id.trim_end_matches(')')));
    ids.collect::<Vec<_>>().join(" ")
}

fn is_hex(word: &str) -> bool {
    word.len() == HEX_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `12:34:56`, `0:00:00.123`, `12:34:56,789`.
fn is_clock(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let is_part = |part: &&str| {
        part.starts_with(|digit: char| digit.is_ascii_digit())
            && part.chars().all(|letter| letter.is_ascii_digit() || ".,".contains(letter))
    };
    parts.len() == 3 && parts.iter().all(is_part)
}

/// Each traceback becomes its last line, and of several that led to each other the last one stays.
fn without_tracebacks<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let (mut kept, mut lines) = (Vec::<String>::new(), lines.peekable());
    while let Some(line) = lines.next() {
        if LED_TO.contains(&line) {
            // The one before, and the empty lines around this one.
            kept.truncate(kept.len().saturating_sub(2));
            lines.next();
            continue;
        }
        if line.trim_start() != TRACEBACK {
            kept.push(line.to_owned());
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        let is_within = |line: &&str| line.is_empty() || line.len() - line.trim_start().len() > depth;
        while lines.next_if(is_within).is_some() {}
        kept.push(format!("{RAISED}{}", lines.next().unwrap_or_default().trim_start()));
    }
    kept
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    let scratch = Scratch::new();
    let steady = Steady { scratch: &scratch, folder: Path::new("/tmp/f"), process: 4711 };
    for (text, expected) in [
        (
            "12:34:56 Worker w: started with PID 12, version 3.0.0",
            "<time> Worker w: started with PID <pid>, version <version>",
        ),
        ("job in 0:00:00.002798s on worker w", "job in <duration> on worker w"),
        ("Worker w [PID 4711]: warm", "Worker w [PID <pid>]: warm"),
        (
            "Enqueued f() with job-id 'ba7b0b1c-6a30-4b43-8a1c-3b39c1c8a8a4'.",
            "Enqueued f() with job-id '<uuid>'.",
        ),
        ("Worker a0a8ab14ae4846d88e4188605ecf1154: x", "Worker <name>: x"),
        ("Updated: 2026-11-22 01:59:08.294974", "Updated: <date> <time>"),
        ("CronScheduler host:1679:799d87: starting...", "CronScheduler <scheduler>: starting..."),
        (
            "started with PID 12, version 0.1.0, 1 job at once (fork)",
            "started with PID <pid>, version <version>",
        ),
        ("channel rq:pubsub:a0a8ab14ae4846d88e4188605ecf1154", "channel rq:pubsub:<name>"),
        ("Usage: rq-test info [OPTIONS]", "Usage: rq info [OPTIONS]"),
        (
            "Traceback (most recent call last):\n  File \"x\", line 1, in f\n    g()\nValueError: no\nnext",
            "<traceback> ValueError: no\nnext",
        ),
    ] {
        assert_eq!(steady.text(text), format!("{expected}\n"));
    }
}
