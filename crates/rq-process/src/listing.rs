//! What the system lists of processes in `/proc`: children, threads, and what it says about one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::unistd::{Pid, getpid};

/// How many threads this process has.
///
/// # Errors
/// If there is no `/proc`.
pub fn threads() -> io::Result<u64> {
    // The directory has one link for each thread, beside the two of every directory. Asking for the number of links
    // takes a fiftieth of the time that reading the directory takes.
    Ok(fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

/// The children of this process, which has one thread, as the system lists them.
#[derive(Debug)]
pub struct Children {
    list: File,
    /// A buffer, kept since the system copies what a process that forks writes to for each of its children.
    text: Vec<u8>,
}

impl Children {
    /// The children of this process.
    ///
    /// # Errors
    /// If the system does not list them.
    pub fn open() -> io::Result<Children> {
        // Opened once: the file lists the children anew with each read from its beginning.
        let list = File::open(format!("/proc/self/task/{}/children", getpid()))?;
        Ok(Children { list, text: vec![0; Children::ROOM_BYTES] })
    }

    /// Room for the ids of a few hundred children; the buffer grows.
    const ROOM_BYTES: usize = 2048;

    /// Closes the list, and does not free the buffer: that would write to its pages.
    pub fn close(self) {
        std::mem::forget(self.text);
    }

    /// The children of now: none where the system does not list them.
    pub fn now(&mut self) -> impl Iterator<Item = Pid> {
        let mut length = 0;
        while let Ok(read @ 1..) = self.list.read_at(&mut self.text[length..], length as u64) {
            length += read;
            if length == self.text.len() {
                self.text.resize(2 * length, 0);
            }
        }
        pids(&self.text[..length])
    }
}

/// The ids of such a list.
fn pids(list: &[u8]) -> impl Iterator<Item = Pid> {
    let pids = list.split(|byte| *byte == b' ');
    pids.filter_map(|pid| std::str::from_utf8(pid).ok()?.parse().ok().map(Pid::from_raw))
}

/// The children of a process, whichever of its threads the system counts them to; none where it does not list them.
pub fn children_of(process: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read(thread.path().join("children")).ok());
    lists.flat_map(|list| pids(&list).collect::<Vec<_>>()).collect()
}

/// The name in a process's `stat`, and the fields behind it. The name is in brackets, and may hold some itself
/// (proc_pid_stat(5)).
pub fn name_and_fields(stat: &str) -> Option<(&str, &str)> {
    let (head, fields) = stat.rsplit_once(") ")?;
    Some((head.split_once('(')?.1, fields))
}
