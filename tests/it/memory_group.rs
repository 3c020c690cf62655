//! [`MemoryGroup`]: a control group whose memory is limited, where this process may make one.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A control group whose memory is limited. Removed at the end, when its processes are gone.
pub(crate) struct MemoryGroup {
    folder: PathBuf,
}

impl MemoryGroup {
    /// `None` where none can be made: it takes the rights of an administrator.
    pub(crate) fn new(limit_bytes: u64) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("rq-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Version 1, then 2: the mount, and the names of the files.
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max", "memory.swap.max"),
        ];
        versions.into_iter().find_map(|(mount, limit, with_swap)| {
            let group = Self { folder: Path::new(mount).join(&name) };
            fs::create_dir(&group.folder).ok()?;
            fs::write(group.folder.join(limit), limit_bytes.to_string()).ok()?;
            // Where there is no swap there need not be a limit for it.
            let _ = fs::write(group.folder.join(with_swap), limit_bytes.to_string());
            Some(group)
        })
    }

    /// Has a program begin in it.
    #[allow(unsafe_code, reason = "what runs between fork and exec is the caller's to prove")]
    pub(crate) fn holds(&self, command: &mut Command) {
        let processes = self.folder.join("cgroup.procs");
        let file = fs::OpenOptions::new().write(true).open(processes).expect("the group has been made");
        // SAFETY: the new process only writes to a file that is open, which may be done at any time.
        unsafe { command.pre_exec(move || (&file).write_all(b"0")) };
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // One whose last process is just ending stays; it limits nobody.
        let _ = fs::remove_dir(&self.folder);
    }
}
