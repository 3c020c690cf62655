//! [`Target`]: what is written to: a standard stream, or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::poll::PollTimeout;

use crate::output::has_room;

/// Where lines go in the end.
#[derive(Debug)]
pub(super) enum Target {
    Out,
    Err,
    File(LogFile),
}

impl Target {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Out => io::stdout().write(bytes),
            Target::Err => io::stderr().write(bytes),
            Target::File(file) => file.write(bytes),
        }
    }

    /// Writes out what the program has printed and not ended with a line end; only standard output keeps that back.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self {
            Target::Out => io::stdout().flush(),
            Target::Err | Target::File(_) => Ok(()),
        }
    }

    fn wait_for_room(&self) {
        match self {
            Target::Out => has_room(io::stdout(), PollTimeout::NONE),
            Target::Err => has_room(io::stderr(), PollTimeout::NONE),
            Target::File(file) => has_room(&*file.lock(), PollTimeout::NONE),
        };
    }

    /// Where it fails, the rest is dropped: the stream is closed, as behind `| head`, or the disk full.
    pub(super) fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(count @ 1..) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares the pipe may have made it so; and it has a reader.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(),
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A file that grows at its end, whoever else writes to it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Whether it is opened anew when it has been moved away, as Python's `WatchedFileHandler` does.
    is_watched: bool,
    file: Mutex<File>,
}

impl LogFile {
    /// Opens it, and makes it where it is not; `is_emptied` is Python's mode `w`.
    pub(super) fn open(path: &Path, is_emptied: bool, is_watched: bool) -> io::Result<LogFile> {
        // Whoever changes the folder later means another file by a relative path.
        let path = std::path::absolute(path)?;
        let file = opened(&path)?;
        if is_emptied {
            // What is no regular file has nothing to take away.
            let _ = file.set_len(0);
        }
        Ok(LogFile { path, is_watched, file: Mutex::new(file) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.lock();
        if self.is_watched
            && is_moved(&self.path, &file)
            && let Ok(anew) = opened(&self.path)
        {
            *file = anew;
        }
        file.write(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never waits: a FIFO that nobody reads is refused, as is what is no file to write to.
fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::Error::other("it is a FIFO that nobody reads, or a socket"),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_char_device() || kind.is_fifo() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file that lines can be added to")),
    }
}

/// Whether what is at `path` is not `file`.
fn is_moved(path: &Path, file: &File) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (Ok(is), Ok(was)) = (path.metadata().map(identity), file.metadata().map(identity)) else {
        return true;
    };
    is != was
}
