//! [`Trial`]: one program that runs one row, in a key space and a working directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use rq_core::Timestamp;
use rq_tests::{Child, Folder, Scratch, Stream, eventually};

use super::row::{Row, Until};
use super::start;
use super::steady::{Steady, order};
use crate::golden::facts::{Fact, facts};
use crate::rq_test::{Books, LIMIT, RqTest};

/// Where the modules are that Python's workers import, beside those of the working directory.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
/// What a file holds that has the program's process id.
const PROCESS_ID: &str = "the process id";
/// What stands for the name of a cron scheduler.
const SCHEDULER: &str = "cron-1";
/// So wide is what prints, whoever looks.
const COLUMNS: &str = "100";

#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    Pythons,
    Ours,
}

/// What a program came to: all that is compared, by its place.
pub(super) type Outcome = BTreeMap<String, Fact>;

/// A program, and where it runs.
struct Trial<'a> {
    row: &'a Row,
    scratch: Scratch,
    folder: Folder,
}

/// What becomes of `row` when `program` runs it.
pub(super) fn outcome(program: Program, row: &Row) -> Outcome {
    let trial = Trial { row, scratch: Scratch::new(), folder: Folder::new("options") };
    let living = row.start.prepare(&trial.scratch, trial.folder.path());
    let outcome = trial.run(program);
    drop(living);
    outcome
}

/// The help of one of the commands of Python's `rq`.
pub(super) fn pythons_help(command: &str) -> String {
    let mut help = pythons(&Scratch::new());
    Child::spawn(help.args([command, "--help"])).succeed(LIMIT)
}

impl Trial<'_> {
    fn run(&self, program: Program) -> Outcome {
        let mut child = Child::spawn(&mut self.command(program));
        let left = self.end(program, &child);
        let status = child.wait_at_most(LIMIT);
        let mut outcome = left.unwrap_or_else(|| self.left());
        let steady = Steady { scratch: &self.scratch, folder: self.folder.path(), process: child.id() };
        for (place, stream) in [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)] {
            let text = child.text(stream);
            let text = if self.row.has_log() { steady.log(&text) } else { steady.text(&text) };
            outcome.insert(place.to_owned(), Fact::Text(text));
        }
        outcome.insert("order".to_owned(), Fact::Text(order(&child.text(Stream::Stdout))));
        let code = status.map_or("still runs".to_owned(), |status| match status.code() {
            Some(code) => code.to_string(),
            None => status.to_string(),
        });
        outcome.insert("code".to_owned(), Fact::Text(code));
        outcome.extend(self.files(child.id()));
        outcome
    }

    fn command(&self, program: Program) -> Command {
        let mut command = match program {
            Program::Pythons => pythons(&self.scratch),
            Program::Ours => RqTest::new(&self.scratch).command(&[]),
        };
        command.current_dir(self.folder.path()).env("COLUMNS", COLUMNS).env("TZ", "UTC");
        command.envs(self.row.variables().into_iter().map(|(name, value)| (name, self.filled(&value))));
        command.args(self.row.arguments().iter().map(|word| self.filled(word)));
        command
    }

    fn filled(&self, word: &str) -> String {
        word.replace("{url}", self.scratch.url()).replace("{folder}", self.folder())
    }

    fn folder(&self) -> &str {
        self.folder.path().to_str().expect("its name is ours")
    }

    /// Ends a program that does not end by itself; with what it has in Redis while it runs.
    fn end(&self, program: Program, child: &Child) -> Option<Outcome> {
        match self.row.until {
            Until::End => None,
            Until::Said(part, count, signal) => {
                child.wait_for_lines(part, count, LIMIT);
                child.signal(signal);
                None
            }
            Until::Idle(workers, signal) => {
                child.wait_for_lines("*** Listening on", workers, LIMIT);
                eventually("the workers to be idle", LIMIT, || (self.idle() == workers).then_some(()));
                let left = self.left();
                child.signal(signal);
                Some(left)
            }
            Until::Ticked(signal) => {
                child.wait_for_line("Enqueued job add", LIMIT);
                eventually("the tick to be written", LIMIT, || self.has_ticked(program).then_some(()));
                let left = self.left();
                child.signal(signal);
                Some(left)
            }
        }
    }

    /// Whether the scheduler has written its tick; Python's then shows that it lives, and a signal before that would tear
    /// its connection.
    fn has_ticked(&self, program: Program) -> bool {
        let Some(name) = self.scheduler() else { return false };
        let key = self.scratch.key(format!("cron_scheduler:{name}"));
        let entries: String = self.scratch.query("HGET", [key, "cron_jobs".into()]);
        let ticked =
            entries.split("\"latest_enqueue_time\": \"").nth(1).and_then(|rest| rest.split('"').next());
        let ticked =
            ticked.and_then(|time| Timestamp::parse(time).ok()).map(|time| time.epoch_us() as f64 / 1e6);
        let lives = self.scratch.score("cron_schedulers", &name).unwrap_or_default();
        ticked.is_some_and(|ticked_s| matches!(program, Program::Ours) || lives > ticked_s)
    }

    /// The name of the cron scheduler, which is another in each run.
    fn scheduler(&self) -> Option<String> {
        let names: Vec<String> =
            self.scratch.query("ZRANGE", [self.scratch.key("cron_schedulers"), "0".into(), "-1".into()]);
        names.into_iter().next()
    }

    fn idle(&self) -> usize {
        let workers: Vec<String> = self.scratch.query("SMEMBERS", [self.scratch.key("workers")]);
        let state = |key: &String| self.scratch.query::<Option<String>>("HGET", [key.as_str(), "state"]);
        workers.iter().filter(|key| state(key).as_deref() == Some("idle")).count()
    }

    /// All that is in Redis.
    fn left(&self) -> Outcome {
        let mut dump = self.scratch.dump_json().replace(self.folder(), "{folder}");
        if let Some(scheduler) = self.scheduler() {
            dump = dump.replace(&scheduler, SCHEDULER);
        }
        let facts = facts(&serde_json::from_str(&dump).expect("it is a dump")).into_iter();
        facts.map(|((key, fact), value)| (format!("{key} {fact}"), value)).collect()
    }

    /// The files that it has written.
    fn files(&self, process: u32) -> Outcome {
        let entries = fs::read_dir(self.folder.path()).expect("it is there");
        let paths = entries.map(|entry| entry.expect("it can be listed").path());
        let written = paths.filter(|path| path.is_file() && !start::is_given(&name(path)));
        written.map(|path| (format!("file {}", name(&path)), Fact::Text(content(&path, process)))).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn content(path: &Path, process: u32) -> String {
    let text = fs::read_to_string(path).expect("it is text");
    if text == process.to_string() { PROCESS_ID.to_owned() } else { text }
}

/// Python's own `rq`, about to run.
fn pythons(scratch: &Scratch) -> Command {
    let interpreter = env::var("RQ_TEST_PYTHON");
    let interpreter =
        interpreter.unwrap_or_else(|_| panic!("RQ_TEST_PYTHON is not set: run `cargo xtask test`"));
    let mut command = scratch.command(&interpreter);
    command.arg(PathBuf::from(&interpreter).with_file_name("rq"));
    // Lines as they happen; no compiled files beside the sources.
    command.env("PYTHONPATH", MODULES).env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
