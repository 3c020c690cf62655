//! [`Folder`]: a folder for one test's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of this test's own, empty at first. Dropping it removes it with all that is in it.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new one; `purpose` is a part of its name.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(purpose: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rq-tests-{purpose}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is the system's to tidy up: it is among its temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}
