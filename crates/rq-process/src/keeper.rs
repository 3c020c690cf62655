//! The process that stays behind when its work has been left to a child: a *keeper*, and an init in a container. It passes
//! signals on, reaps what nobody else does, and ends as the child did, when all that the child has left has ended.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setpgid};

use crate::descendants::end_descendants;
use crate::single_threaded::SingleThreaded;
use crate::system::{Forked, adopt_orphans, close_for_good, die_with, end_at_once, fork, hear_of_children};

/// The first process of a container, or of the system.
const FIRST: Pid = Pid::from_raw(1);
/// How long what is left may take to end when the child has.
const LEFT_LIMIT: Duration = Duration::from_millis(1500);
/// How much of that it has after SIGTERM, before SIGKILL.
const LEFT_GRACE: Duration = Duration::from_millis(500);
/// How often an init looks at what is left.
const LEFT_PAUSE: Duration = Duration::from_millis(10);
/// What shells add to the number of a signal for an exit code.
const SIGNALED: i32 = 128;

/// In the first process of a container forks, and returns in the child, which is the worker. The first process stays as an
/// init: it passes signals on, reaps what nobody else does, and ends as the worker did.
///
/// To a first process the system delivers no signal that it does not handle, so that SIGHUP and SIGQUIT would do nothing;
/// and it gets the orphans of all others. A worker that reaped whatever ends would take a job's own children from it.
///
/// Does nothing elsewhere, and in a process with threads, which must not fork.
///
/// # Errors
/// If no process can be forked; this one then goes on without an init.
pub fn leave_init_behind() -> io::Result<()> {
    if getpid() != FIRST {
        return Ok(());
    }
    let Ok(single_threaded) = SingleThreaded::make_sure() else { return Ok(()) };
    match split(single_threaded)? {
        Side::Behind { child, signals } => keep(child, &signals, Terminal::TellsBoth),
        Side::Child(_) => Ok(()),
    }
}

/// What a child knows that has left a keeper behind.
#[derive(Debug)]
pub struct Kept {
    /// The keeper. When it is gone this process gets SIGTERM, and another parent.
    pub keeper: Pid,
    /// This process has one thread, as the keeper had.
    pub single_threaded: SingleThreaded,
}

/// Forks, and returns in the child. The parent stays as its keeper, so that nothing is left of the child's descendants
/// whatever ends it, SIGKILL as well: the keeper adopts them, has them end then, by SIGTERM, and half a second later by
/// SIGKILL, and ends a second and a half after the child at the latest, with its exit code, or with 128 and the signal that
/// ended it.
///
/// The child has a group of its own, so that no signal to a group hits both. What the keeper is sent it passes on, that of a
/// terminal as well. It stops for nothing, and neither does the child for a terminal.
///
/// The keeper holds nothing open for others: its standard streams are `/dev/null`, and all other descriptors are closed. A
/// pipe that the program was started with thus ends when the child, and what that has given it to, have closed it.
///
/// The death of the keeper itself is the child's to hear of: it gets SIGTERM then, and tells this one from others by a parent
/// that is not [`Kept::keeper`] any more.
///
/// # Errors
/// If no process can be forked, or the system refuses what a keeper needs. In the child, if it cannot be told of the keeper's
/// death: it should end then, and the keeper will.
pub fn leave_keeper_behind(single_threaded: SingleThreaded) -> io::Result<Kept> {
    let keeper = getpid();
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // Before the fork: what the child leaves behind, however early, is the keeper's.
    adopt_orphans()?;
    match split(single_threaded)? {
        Side::Behind { child, signals } => {
            let_go(&null, &signals);
            keep(child, &signals, Terminal::TellsKeeper)
        }
        Side::Child(single_threaded) => {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            die_with(keeper, Signal::SIGTERM)?;
            Ok(Kept { keeper, single_threaded })
        }
    }
}

/// Which side of the fork this process is.
enum Side {
    Behind { child: Pid, signals: SignalFd },
    Child(SingleThreaded),
}

/// Forks; the parent has its signals to read from then on.
fn split(single_threaded: SingleThreaded) -> io::Result<Side> {
    hear_of_children()?;
    // Before the fork: a signal that comes right behind it is for the child, too.
    let all = SigSet::all();
    let before = all.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC).map_err(io::Error::from);
    match signals.and_then(|signals| Ok((fork(single_threaded)?, signals))) {
        Ok((Forked::Parent(child), signals)) => Ok(Side::Behind { child, signals }),
        Ok((Forked::Child(single_threaded), _)) => {
            before.thread_set_mask()?;
            Ok(Side::Child(single_threaded))
        }
        Err(error) => {
            before.thread_set_mask()?;
            Err(error)
        }
    }
}

/// Closes what this process has open beside `signals`.
fn let_go(null: &File, signals: &SignalFd) {
    // Its numbers are kept taken, for what still writes there.
    let _ = (dup2_stdin(null), dup2_stdout(null), dup2_stderr(null));
    let signals = signals.as_fd().as_raw_fd();
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open {
        if descriptor > libc::STDERR_FILENO && descriptor != signals {
            close_for_good(descriptor);
        }
    }
}

/// Whom a terminal sends its signals to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminal {
    /// To the process that stayed, and to the child, which is of its group.
    TellsBoth,
    TellsKeeper,
}

/// What the process that stayed does until the child has ended.
fn keep(child: Pid, signals: &SignalFd, terminal: Terminal) -> ! {
    loop {
        let received = signals.read_signal().unwrap_or_else(|_| {
            // Without signals there is nothing to do but to look: the loop ends with the child either way.
            sleep(LEFT_PAUSE);
            None
        });
        let number = received.map_or(libc::SIGCHLD, |received| received.ssi_signo.cast_signed());
        match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child) {
                    end_what_is_left();
                    // Exit handlers are the child's, which has run them.
                    end_at_once(code);
                }
            }
            Ok(_)
                if terminal == Terminal::TellsBoth
                    && received.is_some_and(|received| received.ssi_code == libc::SI_KERNEL) => {}
            Ok(signal) => {
                // It fails where the child has just ended, which is the next thing to be heard of.
                let _ = kill(child, signal);
            }
            // Signals without a name mean something to whom they were agreed with, and that is not the child.
            Err(_) => {}
        }
    }
}

/// Reaps what has ended. The child's exit code, where it has.
fn reap(child: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, its)) if pid == child => code = Some(its),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => code = Some(SIGNALED + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}

/// Has all that the child has left end.
fn end_what_is_left() {
    if getpid() == FIRST { end_container() } else { end_descendants(LEFT_GRACE, LEFT_LIMIT) }
}

/// Has the other processes of the container end, which the system kills with the first one.
fn end_container() {
    const ALL: Pid = Pid::from_raw(-1);
    let began = Instant::now();
    // It fails where there are none.
    let _ = kill(ALL, Signal::SIGTERM);
    while began.elapsed() < LEFT_LIMIT {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => sleep(LEFT_PAUSE),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
