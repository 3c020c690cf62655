//! Processes: the few system calls that Rust cannot check, each with its proof; those about signals in `process/signals.rs`.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

mod signals;

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{ForkResult, Pid, fork as unix_fork, getpid, getppid, gettid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::frames::{Death, Exit};
pub(crate) use signals::{Inherited, take_termination, take_terminations_when_nudged};

/// Which side of a fork this process is.
pub(crate) enum Forked {
    Parent(Pid),
    Child(SingleThreaded),
}

/// Proof that this process has one thread. Code that starts threads must have given it away before.
#[derive(Debug)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// Counts the threads.
    ///
    /// # Errors
    /// If there are more threads; it names them.
    pub(crate) fn make_sure() -> io::Result<SingleThreaded> {
        match threads()? {
            1 => Ok(SingleThreaded(())),
            count => {
                let others = described(count, other_threads());
                Err(io::Error::other(format!(
                    "a process that forks must have one thread, and this one has {others}"
                )))
            }
        }
    }

    /// [`make_sure`](SingleThreaded::make_sure), with some patience for threads that have been joined: the system counts them
    /// a moment longer.
    pub(crate) fn make_sure_soon() -> io::Result<SingleThreaded> {
        for _ in 0..LOOKS_MAX {
            if threads()? == 1 {
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        SingleThreaded::make_sure()
    }
}

/// How often, and how far apart, threads are counted that may just have ended.
const LOOKS_MAX: usize = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How many threads are named.
const NAMED_MAX: usize = 5;

/// What the threads of this process beside this one are called.
fn other_threads() -> Vec<String> {
    let own = gettid().to_string();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = threads.filter(|thread| *thread.file_name() != *own);
    let names = others.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

fn described(count: u64, mut others: Vec<String>) -> String {
    others.truncate(NAMED_MAX);
    format!("{count}: besides its first {}", others.join(", "))
}

/// Forks this process, which must have one thread: a lock held by another would be held for ever in the child.
pub(crate) fn fork(single_threaded: SingleThreaded) -> io::Result<Forked> {
    // SAFETY: with one thread there is nobody who could hold a lock or be in the middle of a change, so that the child
    // may do whatever its parent may.
    match unsafe { unix_fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child(single_threaded)),
    }
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<u64> {
    // The directory has one link for each thread, beside the two of every directory. Asking for the number of links
    // takes a fiftieth of the time that reading the directory takes.
    Ok(std::fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

/// Ends this process as a forked one should: it writes out what is buffered, and runs no exit handlers, which are its
/// parent's.
pub(crate) fn end(code: i32) -> ! {
    // Where this fails, nobody reads the output any more.
    let _ = io::stdout().flush();
    // SAFETY: no pointer means all streams of C's library, and that one has locks of its own.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// Has the system kill this process when `parent`, which has forked it, is gone.
pub(crate) fn die_with(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before that was set.
    if getppid() != parent {
        std::process::exit(1);
    }
    Ok(())
}

/// Makes this process the parent of whatever its descendants leave behind.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// A child that has ended and is not reaped yet: until it is, its id and its group's are nobody else's.
pub(crate) fn ended_child() -> Option<Pid> {
    // Looked at, not reaped: the group is killed first, while its id is still the child's.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags).ok()?.pid()
}

/// Reaps a child that has ended.
pub(crate) fn reap(child: Pid) -> Option<Death> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places live through the call, and are of the types that it writes.
    let pid = unsafe { libc::wait4(child.as_raw(), &mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if pid <= 0 {
        return None;
    }
    // SAFETY: all zeros are a valid record, and the call has written another.
    let usage = unsafe { usage.assume_init() };
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    // Linux counts in kilobytes.
    let peak_rss_bytes = usage.ru_maxrss.unsigned_abs() << 10;
    Some(Death { exit, of_memory: false, held_bytes: None, peak_rss_bytes, cpu })
}

/// The children of this process, which has one thread, as the system lists them.
pub(crate) struct Children {
    list: File,
    /// A buffer, kept since the system copies what a process that forks writes to for each of its children.
    text: Vec<u8>,
}

impl Children {
    /// The children of this process.
    pub(crate) fn open() -> io::Result<Children> {
        // Opened once: the file lists the children anew with each read from its beginning.
        let list = File::open(format!("/proc/self/task/{}/children", getpid()))?;
        Ok(Children { list, text: vec![0; Children::ROOM_BYTES] })
    }

    /// Room for the ids of a few hundred children; the buffer grows.
    const ROOM_BYTES: usize = 2048;

    /// Closes the list, and does not free the buffer: that would write to its pages.
    pub(crate) fn close(self) {
        std::mem::forget(self.text);
    }

    /// The children of now: none where the system does not list them.
    pub(crate) fn now(&mut self) -> impl Iterator<Item = Pid> {
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

/// Takes a variable out of the environment, so that what jobs start does not inherit it.
pub(crate) fn forget_variable(_: &SingleThreaded, name: &str) {
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// The children of a process, whichever of its threads the system counts them to; none where it does not list them.
pub(crate) fn children_of(process: Pid) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read(thread.path().join("children")).ok());
    lists.flat_map(|list| pids(&list).collect::<Vec<_>>()).collect()
}

/// Takes over a descriptor that came with a message.
pub(crate) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just installed it in this process for the receiver of the message, and nobody else knows
    // it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Has the runtime watch a socket.
pub(crate) fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one descriptor for all its life, which ends after that of the registration it is moved
    // into.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::WRITABLE) }
        .map_err(io::Error::from)
}

/// The name in a process's `stat`, and the fields behind it. The name is in brackets, and may hold some itself
/// (proc_pid_stat(5)).
pub(crate) fn name_and_fields(stat: &str) -> Option<(&str, &str)> {
    let (head, fields) = stat.rsplit_once(") ")?;
    Some((head.split_once('(')?.1, fields))
}

/// Where this process's command line lies, and how many bytes it has (`arg_start` and `arg_end` in proc_pid_stat(5)).
fn command_line() -> Option<(usize, usize)> {
    /// The place of `arg_start` among the fields behind the name.
    const ARG_START: usize = 45;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = name_and_fields(&stat)?;
    let mut fields = fields.split(' ').skip(ARG_START);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    Some((start, end.checked_sub(start)?))
}

/// The title of this process and of those it forks: what `ps` shows in the place of the command line.
#[derive(Clone, Copy)]
pub(crate) struct Title {
    start: usize,
    length: usize,
}

impl Title {
    /// The title of this process, which has room for as many bytes as its command line had; `None` where the system
    /// does not say where that lies.
    ///
    /// From the first [`set`](Title::set) on, what the program was called with can be read no more.
    pub(crate) fn of_this_process() -> Option<Title> {
        command_line().filter(|(_, length)| *length > 0).map(|(start, length)| Title { start, length })
    }

    /// Shows `text`, as far as there is room.
    pub(crate) fn set(self, _: &SingleThreaded, text: impl fmt::Display) {
        // SAFETY: the system has put the strings of the command line there, into memory that may be written to and
        // stays for the life of the process, and that no object of Rust's lies in; with one thread nobody reads it
        // meanwhile. That a program reads these strings again and finds others is harmless: they end within it, as the
        // last byte stays zero.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                std::ptr::with_exposed_provenance_mut::<u8>(self.start),
                self.length,
            )
        };
        bytes.fill(0);
        let mut room = &mut bytes[..self.length - 1];
        // What is too long is cut off.
        let _ = write!(room, "{}", rq_core::Shown::line(text));
    }
}

/// Makes a variable part of the environment, so that what jobs start inherits it.
pub(crate) fn set_variable(_: &SingleThreaded, name: &str, value: &str) {
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// What this process calls itself in lists of processes; at most 15 bytes are kept.
pub(crate) fn name_process(name: &CStr) {
    // Names are for people: a process without one works as well.
    let _ = prctl::set_name(name);
}

/// This process.
pub(crate) fn own_pid() -> Pid {
    getpid()
}
