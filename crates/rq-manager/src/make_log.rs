//! [`make_log`]: a log that is a file, which is set aside when it has grown.

use std::io;
use std::path::PathBuf;

use crate::log::Log;

/// Bytes that a file has before it is set aside.
const MAX_BYTES_DEFAULT: usize = 50 << 20;
/// How many are kept that were set aside.
const BACKUP_COUNT_DEFAULT: usize = 5;

/// A file to log to, before it is opened.
#[derive(Clone, Debug)]
pub struct LogFile {
    path: PathBuf,
    max_bytes: usize,
    backup_count: usize,
}

/// A log that is a file: level, time, file and line, message. It is set aside as `FILE.1` when it has 50 MB, and five such
/// are kept. A file is for one process: open it in [`init`](crate::Process::init), under the child's own name.
pub fn make_log(path: impl Into<PathBuf>) -> LogFile {
    LogFile { path: path.into(), max_bytes: MAX_BYTES_DEFAULT, backup_count: BACKUP_COUNT_DEFAULT }
}

impl LogFile {
    /// How many bytes it has before it is set aside.
    pub fn max_bytes(mut self, bytes: usize) -> LogFile {
        self.max_bytes = bytes;
        self
    }

    /// How many files are kept that were set aside.
    pub fn backup_count(mut self, count: usize) -> LogFile {
        self.backup_count = count;
        self
    }

    /// Opens it.
    ///
    /// # Errors
    /// Where the file or its folder cannot be made.
    pub fn open(self) -> io::Result<Log> {
        let LogFile { path: _, max_bytes: _, backup_count: _ } = self;
        Err(io::Error::other("being written"))
    }
}
