//! [`Journal`]: what jobs did, in a file: a witness that is not Redis.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Scratch;

/// A file to which jobs append a line each time they begin and each time they end, and callbacks each time they are
/// called. Dropping it removes the file.
///
/// The jobs are [`test.journal`](crate::jobs) and `interop.journal`, which is Python's, too; both write the same lines.
/// The callback is [`due.journal`](crate::jobs::due).
pub struct Journal {
    path: PathBuf,
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A job began.
    Began(String),
    /// A job ran to its end.
    Ended(String),
    /// A worker was killed, and is dead.
    Killed,
    /// A callback of a job was called, with this end.
    Called(String, String),
}

/// What a journal says of one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often it began.
    pub began: usize,
    /// How often it ran to its end.
    pub ended: usize,
    /// How often a worker was killed between two beginnings.
    pub cut_off: usize,
}

impl Journal {
    /// An empty one, named after the scratch.
    pub fn new(scratch: &Scratch) -> Self {
        let path = std::env::temp_dir().join(format!("rq-tests-{}.journal", scratch.prefix()));
        fs::write(&path, "").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// What a job is given.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("the folder for temporary files has a plain name")
    }

    /// What a job is given that is to wait for [`Journal::signal`].
    pub fn signal_path(&self) -> String {
        format!("{}.signal", self.path())
    }

    /// Lets the jobs go on that wait for it.
    pub fn signal(&self) {
        fs::write(self.signal_path(), "").unwrap_or_else(|error| panic!("{}: {error}", self.signal_path()));
    }

    /// The ids of the jobs that began, in order.
    pub fn began(&self) -> Vec<String> {
        let began = |line| if let Line::Began(id) = line { Some(id) } else { None };
        self.lines().into_iter().filter_map(began).collect()
    }

    /// How often each job ran to its end.
    pub fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for line in self.lines() {
            if let Line::Ended(id) = line {
                *ends.entry(id).or_default() += 1;
            }
        }
        ends
    }

    /// With which ends the callbacks of a job were called, in order: `finished`, `failed Error`, `stopped`.
    pub fn calls(&self, id: &str) -> Vec<String> {
        let call = |line| match line {
            Line::Called(job, end) if job == id => Some(end),
            _ => None,
        };
        self.lines().into_iter().filter_map(call).collect()
    }

    /// Everything, in order.
    pub fn lines(&self) -> Vec<Line> {
        read(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.path()))
    }

    /// Writes down that a worker was killed. To be called when it is dead, so that its own lines stand before.
    pub fn note_kill(&self) {
        append(&self.path, KILLED, "").unwrap_or_else(|error| panic!("{}: {error}", self.path()));
    }
}

impl Runs {
    /// Of the job `id`.
    pub fn of(id: &str, lines: &[Line]) -> Self {
        let (mut runs, mut killed_since) = (Self::default(), false);
        for line in lines {
            match line {
                Line::Began(job) if job == id => {
                    runs.cut_off += usize::from(runs.began > 0 && killed_since);
                    runs.began += 1;
                    killed_since = false;
                }
                Line::Ended(job) if job == id => runs.ended += 1,
                Line::Killed => killed_since = true,
                Line::Began(_) | Line::Ended(_) | Line::Called(..) => {}
            }
        }
        runs
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // It may have gone with its folder; and a signal is rarely given.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.signal_path());
    }
}

const BEGAN: &str = "start";
const ENDED: &str = "end";
const KILLED: &str = "kill";
const CALLED: &str = "call";

/// The job's side: it begins.
pub(crate) fn begin(path: &Path, id: &str) -> std::io::Result<()> {
    append(path, BEGAN, id)
}

/// The job's side: it has run to its end.
pub(crate) fn end(path: &Path, id: &str) -> std::io::Result<()> {
    append(path, ENDED, id)
}

/// The callback's side: it was called.
pub(crate) fn call(path: &Path, id: &str, end: &str) -> std::io::Result<()> {
    append(path, CALLED, &format!("{id} {end}"))
}

/// The job's side: how often it has begun.
pub(crate) fn beginnings(path: &Path, id: &str) -> std::io::Result<usize> {
    Ok(Runs::of(id, &read(path)?).began)
}

/// Appends a line, whole.
fn append(path: &Path, event: &str, id: &str) -> std::io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(format!("{event} {id}\n").as_bytes())
}

fn read(path: &Path) -> std::io::Result<Vec<Line>> {
    let text = fs::read_to_string(path)?;
    let line = |(event, id): (&str, &str)| match event {
        BEGAN => Line::Began(id.to_string()),
        ENDED => Line::Ended(id.to_string()),
        KILLED => Line::Killed,
        CALLED => {
            let (job, end) = id.split_once(' ').unwrap_or((id, ""));
            Line::Called(job.to_string(), end.to_string())
        }
        other => panic!("{} has a line that begins with {other:?}", path.display()),
    };
    Ok(text.lines().filter_map(|text| text.split_once(' ')).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let journal = Journal::new(&Scratch::new());
        let path = Path::new(journal.path());
        begin(path, "b").unwrap();
        begin(path, "a").unwrap();
        end(path, "b").unwrap();
        journal.note_kill();
        begin(path, "b").unwrap();
        end(path, "b").unwrap();
        call(path, "b", "failed Error").unwrap();
        assert_eq!(beginnings(path, "b").unwrap(), 2);
        assert_eq!(journal.began(), ["b", "a", "b"]);
        assert_eq!(journal.ends(), [("b".to_string(), 2)].into());
        assert_eq!(journal.calls("b"), ["failed Error"]);
        assert_eq!(journal.lines()[2..4], [Line::Ended("b".to_string()), Line::Killed]);
    }

    #[test]
    fn runs_that_a_kill_cut_off_are_told_apart() {
        let (began, ended, killed) = (Line::Began("a".into()), Line::Ended("a".into()), Line::Killed);
        let other = Line::Began("b".into());
        let check = |lines: &[&Line], counts: (usize, usize, usize)| {
            let lines: Vec<Line> = lines.iter().map(|&line| line.clone()).collect();
            let runs = Runs::of("a", &lines);
            assert_eq!((runs.began, runs.ended, runs.cut_off), counts, "{lines:?}");
        };
        check(&[], (0, 0, 0));
        check(&[&began, &ended, &killed], (1, 1, 0));
        check(&[&killed, &began, &ended], (1, 1, 0));
        check(&[&began, &killed, &killed, &other, &began, &ended], (2, 1, 1));
        check(&[&began, &ended, &killed, &began, &began], (3, 1, 1));
    }
}
