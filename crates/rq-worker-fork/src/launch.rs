//! Starting a fork server: by a fork, while the worker has one thread; later by executing this program anew.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::unistd::{Pid, dup2_stdin};
use rq_worker::{HELPER_VARIABLE, Jobs, Options, Program};

use crate::frames::{REPORT_BYTES_MAX, Report, decode};
use crate::horse::Stable;
use crate::process::{self, Alone, Forked, Title};
use crate::server::{self, WORKER_VARIABLE};

/// A fork server as its worker knows it.
pub(crate) struct Server {
    pub(crate) pid: Pid,
    pub(crate) socket: OwnedFd,
}

/// Forks the server. Does not return where this program was executed to be one.
pub(crate) fn fork_server(program: Program, options: &Options) -> io::Result<Server> {
    if std::env::var_os(HELPER_VARIABLE).is_some() {
        // Its parent's socket is its standard input.
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        dup2_stdin(std::fs::File::open("/dev/null")?)?;
        let alone = Alone::make_sure()?;
        process::forget_variable(&alone, HELPER_VARIABLE);
        become_server(&alone, socket, program, options);
    }
    let (ours, theirs) = sockets()?;
    match process::fork()? {
        Forked::Parent(pid) => {
            drop(theirs);
            // What a dead server leaves behind comes to its worker, which ends it.
            process::adopt_orphans()?;
            wait_until_ready(&ours)?;
            Ok(Server { pid, socket: ours })
        }
        Forked::Child(alone) => {
            drop(ours);
            become_server(&alone, theirs, program, options)
        }
    }
}

/// Executes this program anew to be the server: a worker that runs has threads, and must not fork.
pub(crate) fn execute_server(worker: &str) -> io::Result<Server> {
    let (ours, theirs) = sockets()?;
    // As it runs, even if its file has been replaced since.
    let mut command = Command::new("/proc/self/exe");
    let mut arguments = std::env::args_os();
    command
        .arg0(arguments.next().unwrap_or_default())
        .args(arguments)
        .env(HELPER_VARIABLE, worker)
        .stdin(Stdio::from(theirs));
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    Ok(Server { pid, socket: ours })
}

fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

fn become_server(alone: &Alone, socket: OwnedFd, program: Program, options: &Options) -> ! {
    let worker = options.name.as_deref().unwrap_or_default();
    process::set_variable(alone, WORKER_VARIABLE, worker);
    let (jobs, preloads) = Jobs::of(program);
    let stable = Stable {
        jobs,
        url: options.url.clone(),
        keys: options.keys.clone(),
        jobs_per_horse: options.jobs_per_horse.max(1),
        memory_mb: options.job_memory_mb,
        title: Title::of_this_process(),
        shows_calls: options.log_descriptions,
    };
    server::serve(socket, stable, worker, preloads)
}

/// Waits for the preloads, which may take as long as they like.
fn wait_until_ready(control: &OwnedFd) -> io::Result<()> {
    let mut packet = vec![0; REPORT_BYTES_MAX];
    match recv(control.as_raw_fd(), &mut packet, MsgFlags::empty())? {
        0 => Err(io::Error::other(
            "the fork server ended before it was ready; has a preload panicked, or started a thread?",
        )),
        length => match decode(&packet[..length])? {
            Report::Ready => Ok(()),
            other => Err(io::Error::other(format!("the fork server began with {other:?}"))),
        },
    }
}
