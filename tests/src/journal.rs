//! [`Journal`]: what jobs did, in a file: a witness that is not Redis.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Scratch;

/// A file to which jobs append a line each time they begin and each time they end. Dropping it removes the file.
///
/// The jobs are [`test.journal`](crate::jobs) and `interop.journal` of Python; both write the same lines.
pub struct Journal {
    path: PathBuf,
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

    /// The ids of the jobs that began, in order.
    pub fn began(&self) -> Vec<String> {
        self.ids("start")
    }

    /// How often each job ran to its end.
    pub fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for id in self.ids("end") {
            *ends.entry(id).or_default() += 1;
        }
        ends
    }

    fn ids(&self, event: &str) -> Vec<String> {
        let text = fs::read_to_string(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.path()));
        text.lines()
            .filter_map(|line| line.strip_prefix(event)?.strip_prefix(' '))
            .map(str::to_string)
            .collect()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // It may have gone with its folder.
        let _ = fs::remove_file(&self.path);
    }
}

/// Appends a line, whole: the job's side.
pub(crate) fn append(path: &Path, event: &str, id: &str) -> std::io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(format!("{event} {id}\n").as_bytes())
}

/// How many such lines there are.
pub(crate) fn count(path: &Path, event: &str, id: &str) -> std::io::Result<usize> {
    let wanted = format!("{event} {id}");
    Ok(fs::read_to_string(path)?.lines().filter(|line| *line == wanted).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_event() {
        let journal = Journal::new(&Scratch::new());
        for (event, id) in [("start", "b"), ("start", "a"), ("end", "b"), ("end", "b")] {
            append(Path::new(journal.path()), event, id).unwrap();
        }
        assert_eq!(journal.began(), ["b", "a"]);
        assert_eq!(journal.ends(), [("b".to_string(), 2)].into());
    }
}
