//! [`read_file`]: the text of a file, whatever that turns out to be.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::FILE_BYTES_MAX;

/// Why a file has no text to read, in words that follow its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system does not give it.
    #[error("{0}")]
    Unread(#[from] io::Error),
    /// It is a directory, a FIFO, a device.
    #[error("it is no regular file")]
    NotRegular,
    /// It has more than [`FILE_BYTES_MAX`].
    #[error("it has more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// It holds something else than text.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// The text of a regular file.
pub fn read_file(path: &Path) -> Result<String, FileError> {
    let mut options = OpenOptions::new();
    // Without waiting for whoever would write to a FIFO.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(FileError::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| FileError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_no_text_of_a_file_is_told() {
        let path = std::env::temp_dir().join(format!("rq-config-file-{}", std::process::id()));
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read_file(&path)
        };
        assert_eq!(read(b"a = 1").unwrap(), "a = 1");
        assert!(matches!(read(b"\xff"), Err(FileError::NotUtf8)));
        assert!(matches!(read(&vec![b' '; FILE_BYTES_MAX as usize + 1]), Err(FileError::TooLarge)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(read_file(&path), Err(FileError::Unread(_))));
        assert!(matches!(read_file(&std::env::temp_dir()), Err(FileError::NotRegular)));
    }
}
