//! [`Scratch`]: a folder for one test.

use std::fs;
use std::path::PathBuf;

use nix::unistd::mkdtemp;

/// A fresh folder, removed with all that is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(mkdtemp(&std::env::temp_dir().join("rq-manager-test-XXXXXX")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
