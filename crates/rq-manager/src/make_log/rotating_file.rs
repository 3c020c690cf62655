//! [`RotatingFile`]: a file that is set aside when it has grown.
//!
//! Several processes may write to it: each asks the system, before each line, whether the file is still the one at the
//! path, and how long it is. So nobody goes on writing to a file that another has set aside, or that somebody has removed.
//!
//! The crate `file-rotate` (0.8.0) is not used: it panics in who logs where a file that was set aside has been removed
//! meanwhile, or something else stands in its place; it removes a `FILE.20261128` that is none of its own; and two
//! processes with one file set aside each other's.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// A file that is set aside when it has grown.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    /// 0: it is never set aside.
    max_bytes: u64,
    /// How many are kept.
    backup_count: usize,
    current: Mutex<Current>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    file: File,
    identity: Identity,
}

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Identity(u64, u64);

impl RotatingFile {
    /// Opens it to append to it, and makes its folder where there is none.
    pub(super) fn open(path: PathBuf, max_bytes: usize, backup_count: usize) -> io::Result<RotatingFile> {
        // The process may go elsewhere.
        let path = std::path::absolute(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let current = Mutex::new(Current::open(&path)?);
        Ok(RotatingFile { path, max_bytes: max_bytes as u64, backup_count, current })
    }

    /// Writes a line. One that cannot be written is dropped: who logs has other things to do.
    fn put(&self, line: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // One that cannot be set aside, or made again, goes on being written to.
        let _ = self.make_room(&mut current, line.len() as u64);
        let _ = current.file.write_all(line);
    }

    /// Sees to it that the file is the one at the path, and that a line fits into it.
    fn make_room(&self, current: &mut Current, line_bytes: u64) -> io::Result<()> {
        let bytes = match fs::metadata(&self.path) {
            Ok(there) if Identity::of(&there) == current.identity => there.len(),
            _ => {
                *current = Current::open(&self.path)?;
                current.file.metadata()?.len()
            }
        };
        if self.max_bytes == 0 || bytes == 0 || bytes + line_bytes <= self.max_bytes {
            return Ok(());
        }
        self.set_aside(current.identity)?;
        *current = Current::open(&self.path)?;
        Ok(())
    }

    /// Has `FILE` become `FILE.1`, what was `FILE.1` become `FILE.2`, and so on, unless another process does it, which is
    /// not waited for, or has done it.
    fn set_aside(&self, identity: Identity) -> io::Result<()> {
        // Opened once more: a lock belongs to what was opened, and that may be shared with those who were forked since.
        let lock = File::open(&self.path)?;
        if lock.try_lock().is_err() || Identity::of(&lock.metadata()?) != identity {
            return Ok(());
        }
        if self.backup_count == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.backup_count).rev() {
            match fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))
    }

    /// `FILE.1`.
    fn aside(&self, number: usize) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(format!(".{number}"));
        PathBuf::from(path)
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Current> {
        let file = File::options().append(true).create(true).open(path)?;
        let identity = Identity::of(&file.metadata()?);
        Ok(Current { file, identity })
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity(metadata.dev(), metadata.ino())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = &'a RotatingFile;

    fn make_writer(&'a self) -> &'a RotatingFile {
        self
    }
}

/// A line at a time, as `tracing_subscriber` does it.
impl Write for &RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::scratch::Scratch;

    /// A line of ten bytes.
    fn line(number: usize) -> Vec<u8> {
        format!("{number:09}\n").into_bytes()
    }

    fn open(path: &Path, max_bytes: usize, backup_count: usize) -> RotatingFile {
        RotatingFile::open(path.to_owned(), max_bytes, backup_count).unwrap()
    }

    fn numbers(path: impl AsRef<Path>) -> Vec<usize> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    #[test]
    fn the_newest_files_are_kept() {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        // What looks alike is somebody's.
        fs::write(scratch.path("log.20261128"), "precious").unwrap();
        for number in 0..20 {
            // Opened anew, it goes on where it was.
            open(&path, 35, 2).put(&line(number));
        }
        let file = open(&path, 35, 2);
        assert_eq!(numbers(file.aside(2)), [12, 13, 14]);
        assert_eq!(numbers(file.aside(1)), [15, 16, 17]);
        assert_eq!(numbers(&path), [18, 19]);
        assert!(!file.aside(3).exists());
        assert!(scratch.path("log.20261128").exists());
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_has_one() {
        let scratch = Scratch::new();
        let file = open(&scratch.path("log"), 5, 5);
        (0..3).for_each(|number| file.put(&line(number)));
        assert_eq!([numbers(&file.path), numbers(file.aside(1)), numbers(file.aside(2))], [[2], [1], [0]]);
    }

    #[test]
    fn of_no_bytes_and_no_files() {
        let scratch = Scratch::new();
        let endless = open(&scratch.path("endless"), 0, 5);
        let without = open(&scratch.path("without"), 20, 0);
        for number in 0..5 {
            endless.put(&line(number));
            without.put(&line(number));
        }
        assert_eq!((numbers(&endless.path), numbers(&without.path)), (vec![0, 1, 2, 3, 4], vec![4]));
        assert!(!endless.aside(1).exists() && !without.aside(1).exists());
    }

    #[test]
    fn who_shares_a_file_loses_nothing() {
        const WRITERS: usize = 4;
        const LINES: usize = 500;
        let scratch = Scratch::new();
        let path = scratch.path("log");
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let file = open(&path, 1000, 999);
                scope.spawn(move || (0..LINES).for_each(|at| file.put(&line(writer * LINES + at))));
            }
        });
        let file = open(&path, 1000, 999);
        let all = [path.clone()].into_iter().chain((1..).map(|number| file.aside(number)));
        let all: Vec<PathBuf> = all.take_while(|path| path.exists()).collect();
        let mut found: Vec<usize> = all.iter().flat_map(numbers).collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..WRITERS * LINES));
        // How many there are depends on how long it takes to set one aside: the others go on writing to it.
        assert!(all.len() > 1, "{} files", all.len());
    }

    #[test]
    fn what_was_moved_away_is_made_again() {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let file = open(&path, 15, 5);
        file.put(&line(0));
        fs::rename(&path, scratch.path("taken")).unwrap();
        (1..3).for_each(|number| file.put(&line(number)));
        fs::remove_file(file.aside(1)).unwrap();
        (3..5).for_each(|number| file.put(&line(number)));
        assert_eq!(numbers(scratch.path("taken")), [0]);
        assert_eq!([numbers(&path), numbers(file.aside(1)), numbers(file.aside(2))], [[4], [3], [2]]);
    }

    #[test]
    fn what_stands_in_the_way_keeps_it_from_being_set_aside() {
        let scratch = Scratch::new();
        let file = open(&scratch.path("log"), 15, 1);
        fs::create_dir_all(file.aside(1).join("in the way")).unwrap();
        (0..3).for_each(|number| file.put(&line(number)));
        assert_eq!(numbers(&file.path), [0, 1, 2]);
    }
}
