//! Jobs that harm the process they run in. Only an executor that gives each a process of its own outlives them.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill, raise};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::{close, getppid};
use rq_core::{Handlers, handlers, job};

use super::{Result, violence};

/// How much `zoo.print` prints, all in one line.
const PRINTED_BYTES: usize = 1 << 30;
/// How long what `zoo.children`, `zoo.daemon` and `zoo.daemons` start would live: longer than any test.
const LONG_S: &str = "600";

/// All of them.
pub(super) fn handlers() -> Handlers {
    let ends = handlers![segfault, abort, exit, overflow, allocate, hoard, panic_in_thread, kill_master];
    let holds_on =
        handlers![spin, ignore_term, freeze, close_all, hang_up, leave_thread, children, daemon, daemons];
    ends.merge(holds_on).merge(handlers![print, hold_stdout, reserve, hoard_elsewhere])
}

/// Reads where nothing is.
#[job("zoo.segfault")]
pub fn segfault() -> Result<u8> {
    Ok(violence::read_nowhere())
}

/// Aborts.
#[job("zoo.abort")]
pub fn abort() -> Result<()> {
    std::process::abort()
}

/// Ends its process, without a word.
#[job("zoo.exit")]
pub fn exit(code: i32) -> Result<()> {
    violence::exit_now(code)
}

/// Calls itself without end.
#[job("zoo.overflow")]
pub fn overflow() -> Result<u64> {
    Ok(descend(0))
}

fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(false) { depth } else { descend(depth + 1) + frame[0] }
}

/// Wants more memory than there can be.
#[job("zoo.allocate")]
pub fn allocate() -> Result<usize> {
    Ok(black_box(Vec::<u8>::with_capacity(isize::MAX as usize)).capacity())
}

/// Fills its memory, page by page, until there is no more.
#[job("zoo.hoard")]
pub fn hoard() -> Result<usize> {
    const PIECE_BYTES: usize = 8 << 20;
    /// More than a machine of ours would bear: the job must have a limit.
    const PIECES_MAX: usize = 256;
    let pieces: Vec<Vec<u8>> = (0..PIECES_MAX).map(|_| black_box(vec![1; PIECE_BYTES])).collect();
    Ok(black_box(pieces).len())
}

/// Maps a gigabyte, as runtimes of other languages do, and uses a little of it.
#[job("zoo.reserve")]
pub fn reserve() -> Result<usize> {
    let mut reserved = Vec::<u8>::with_capacity(1 << 30);
    reserved.resize(1 << 20, 1);
    Ok(black_box(reserved).len())
}

/// Has a program fill its memory, in a session of its own.
#[job("zoo.hoard_elsewhere")]
pub fn hoard_elsewhere() -> Result<()> {
    // Without a line's end `tail` keeps all it reads; to be on the safe side not for long.
    let status = Command::new("setsid").args(["--wait", "timeout", "20", "tail", "/dev/zero"]).status()?;
    Err(format!("it ended with {status}").into())
}

/// Panics on a thread that it waits for.
#[job("zoo.panic_in_thread")]
pub fn panic_in_thread() -> Result<()> {
    std::thread::scope(|threads| {
        threads.spawn(|| panic!("on a thread"));
    });
    Ok(())
}

/// Kills the process that its own was forked from, perhaps when it has started a program and a daemon.
#[job("zoo.kill_master")]
pub fn kill_master(leaves_others: bool) -> Result<()> {
    if leaves_others {
        start_daemon(&[])?;
        children()?;
    }
    kill(getppid(), Signal::SIGKILL)?;
    spin_for_ever()
}

/// Computes for ever.
#[job("zoo.spin")]
pub fn spin() -> Result<()> {
    spin_for_ever()
}

/// Computes for ever, deaf to SIGTERM.
#[job("zoo.ignore_term")]
pub fn ignore_term() -> Result<()> {
    violence::ignore_terminations()?;
    spin_for_ever()
}

fn spin_for_ever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Stops its process, so that it hears nothing.
#[job("zoo.freeze")]
pub fn freeze() -> Result<()> {
    Ok(raise(Signal::SIGSTOP)?)
}

/// Closes all its process has open; after that it returns, or computes for ever.
#[job("zoo.close_all")]
pub fn close_all(then_spin: bool) -> Result<()> {
    for descriptor in open_descriptors()? {
        // The one that listed them is closed already.
        let _ = close(descriptor);
    }
    if then_spin { spin_for_ever() } else { Ok(()) }
}

/// Says over every socket of its process that no more will come, and computes for ever.
#[job("zoo.hang_up")]
pub fn hang_up() -> Result<()> {
    for descriptor in open_descriptors()? {
        // What is no socket cannot be shut down.
        let _ = shutdown(descriptor, Shutdown::Write);
    }
    spin_for_ever()
}

fn open_descriptors() -> std::io::Result<Vec<RawFd>> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    Ok(open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Returns while a thread of its computes for ever.
#[job("zoo.leave_thread")]
pub fn leave_thread() -> Result<()> {
    std::thread::spawn(|| spin_for_ever());
    Ok(())
}

/// Returns while a thread of its keeps all others from writing to standard output.
#[job("zoo.hold_stdout")]
pub fn hold_stdout() -> Result<()> {
    let (tell, held) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _held = std::io::stdout().lock();
        // The job waits for it.
        let _ = tell.send(());
        spin_for_ever()
    });
    Ok(held.recv()?)
}

/// Returns while a program that it has started runs on.
#[job("zoo.children")]
#[allow(clippy::zombie_processes, reason = "leaving it behind is what this job is for")]
pub fn children() -> Result<()> {
    quiet(Command::new("sleep").arg(LONG_S)).spawn()?;
    Ok(())
}

/// Returns while a program runs on that it has started in a session of its own, with nobody for a parent.
#[job("zoo.daemon")]
pub fn daemon() -> Result<()> {
    start_daemon(&[])
}

/// As `zoo.daemon`, with a program that waits for one in another session, which waits for a third.
#[job("zoo.daemons")]
pub fn daemons() -> Result<()> {
    start_daemon(&["setsid", "--fork", "--wait", "setsid", "--fork", "--wait"])
}

/// Starts it, behind those that wait for it, and waits until it runs.
fn start_daemon(waiting: &[&str]) -> Result<()> {
    let program = format!("echo up; exec sleep {LONG_S}");
    let mut setsid = Command::new("setsid");
    setsid.arg("--fork").args(waiting).args(["sh", "-c", &program]);
    let mut setsid = quiet(&mut setsid).stdout(Stdio::piped()).spawn()?;
    let mut up = [0; 3];
    setsid.stdout.take().ok_or("it has a stdout")?.read_exact(&mut up)?;
    setsid.wait()?;
    Ok(())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Prints more than anybody wants to read.
#[job("zoo.print")]
pub fn print() -> Result<()> {
    let chunk = vec![b'x'; 1 << 20];
    let mut stdout = std::io::stdout().lock();
    for _ in 0..PRINTED_BYTES / chunk.len() {
        stdout.write_all(&chunk)?;
    }
    Ok(writeln!(stdout)?)
}
