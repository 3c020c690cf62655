//! [`OwnedPath`]: a file, socket or folder that one process removes when it is done with it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;

/// A file, socket or empty folder that is removed with this value: by the process that made it, not by those that it
/// forks, and only as long as it is the one that stands at its path.
#[derive(Debug)]
pub(crate) struct OwnedPath {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// The process that removes it.
    owner: u32,
}

impl OwnedPath {
    /// Owns what stands at `path`.
    pub(crate) fn new(path: PathBuf) -> io::Result<OwnedPath> {
        // The process may go elsewhere.
        let path = std::path::absolute(path)?;
        let identity = identity(&path)?;
        Ok(OwnedPath { path, identity, owner: process::id() })
    }

    /// Whether it still stands at its path.
    pub(crate) fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it, as a process does that is killed.
    #[cfg(test)]
    pub(crate) fn leave(&mut self) {
        self.owner = process::id() + 1;
    }
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        if self.owner != process::id() || !self.is_there() {
            return;
        }
        // What cannot be removed is left, and found to be nobody's by who comes next.
        let _ = fs::remove_file(&self.path).or_else(|_| fs::remove_dir(&self.path));
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn it_goes_with_its_owner() {
        let scratch = Scratch::new();
        let (file, folder) = (scratch.path("file"), scratch.path("folder"));
        fs::write(&file, "").unwrap();
        fs::create_dir(&folder).unwrap();
        let owned = [&file, &folder].map(|path| OwnedPath::new(path.clone()).unwrap());
        assert_eq!(owned[0].path(), file);
        drop(owned);
        assert!(!file.exists() && !folder.exists());
    }

    #[test]
    fn what_others_own_stays() {
        let scratch = Scratch::new();
        let file = scratch.path("file");
        fs::write(&file, "").unwrap();
        let mut parents = OwnedPath::new(file.clone()).unwrap();
        parents.leave();
        drop(parents);
        assert!(file.exists());

        let replaced = OwnedPath::new(file.clone()).unwrap();
        fs::write(scratch.path("successor"), "").unwrap();
        fs::rename(scratch.path("successor"), &file).unwrap();
        drop(replaced);
        assert!(file.exists());
    }
}
