//! Starting a fork server: by a fork, while the worker has one thread; later by executing this program anew.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair,
};
use nix::unistd::{Pid, dup2_stdin};
use rq_process::{Forked, Inherited, SingleThreaded, Title};
use rq_worker::{HELPER_VARIABLE, Jobs, LaunchError, Options, Preloads};

use crate::frames::{self, REPORT_BYTES_MAX, Report, decode};
use crate::horse::HorseConfig;
use crate::rules::Rules;
use crate::server::{self, WORKER_VARIABLE};

/// A fork server as its worker knows it.
pub(crate) struct ServerHandle {
    pub(crate) pid: Pid,
    pub(crate) socket: OwnedFd,
}

/// What a process needs to be a fork server.
pub(crate) struct ServerConfig {
    pub(crate) horses: HorseConfig,
    pub(crate) preloads: Preloads,
    /// The worker's name.
    pub(crate) worker: String,
    /// The signals that the worker was started with.
    pub(crate) inherited: Inherited,
}

impl ServerConfig {
    pub(crate) fn new(
        jobs: Jobs,
        preloads: Preloads,
        options: &Options,
        rules: Rules,
        inherited: Inherited,
    ) -> ServerConfig {
        let horses = HorseConfig {
            jobs,
            url: options.url.clone(),
            keys: options.keys.clone(),
            jobs_per_horse: rules.jobs_per_horse,
            memory_mb: rules.memory_mb,
            title: Title::of_this_process(),
            shows_calls: options.log_descriptions,
        };
        ServerConfig { horses, preloads, worker: options.name.clone().unwrap_or_default(), inherited }
    }
}

/// Forks the server, while this process has one thread. Does not return where this program was executed to be one.
pub(crate) fn fork_server(config: ServerConfig) -> Result<ServerHandle, LaunchError> {
    if std::env::var_os(HELPER_VARIABLE).is_some() {
        return Err(serve_parent(config).into());
    }
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(LaunchError::Refused(
            "a fork server has to be forked before there is a runtime: call `prepare()` first in `main`, and run what it \
             returns later"
                .to_owned(),
        ));
    }
    let single_threaded = SingleThreaded::make_sure_soon().map_err(|error| {
        LaunchError::Refused(format!(
            "{error}. Ways on:\n  \
             * call `rq_cli::main`, or `prepare()`, first in `main`, and start threads after that\n  \
             * start them where a job first needs them, in what `.state(..)` makes\n  \
             * run the jobs on threads: -w thread"
        ))
    })?;
    fork_now(config, single_threaded)
}

fn fork_now(config: ServerConfig, single_threaded: SingleThreaded) -> Result<ServerHandle, LaunchError> {
    let (ours, theirs) = sockets()?;
    match rq_process::fork(single_threaded)? {
        Forked::Parent(pid) => {
            // Held open here, the server's end would never show that the server is gone.
            drop(theirs);
            // The processes that a dead server leaves behind become its worker's children, and the worker ends them.
            rq_process::adopt_orphans()?;
            wait_until_ready(&ours)?;
            Ok(ServerHandle { pid, socket: ours })
        }
        Forked::Child(single_threaded) => {
            // Held open here, the worker's end would never show the server that its worker is gone.
            drop(ours);
            become_server(&single_threaded, theirs, config)
        }
    }
}

/// Serves the worker that has executed this program anew. Returns only if it cannot, with the reason.
fn serve_parent(config: ServerConfig) -> io::Error {
    let prepared = || {
        // The parent's socket is this process's standard input.
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // Jobs inherit standard input, and must not read what the worker sends.
        let (_, stdin) = frames::receive(&socket, &mut [0], &mut cmsg_space!(RawFd))?;
        dup2_stdin(stdin.ok_or_else(|| io::Error::other("no standard input came with the first packet"))?)?;
        let single_threaded = SingleThreaded::make_sure_soon()?;
        rq_process::forget_variable(&single_threaded, HELPER_VARIABLE);
        Ok((single_threaded, socket))
    };
    match prepared() {
        Ok((single_threaded, socket)) => become_server(&single_threaded, socket, config),
        Err(error) => error,
    }
}

/// Executes this program anew to be the server: a worker that runs has threads, and must not fork. By these
/// `variables` that process knows which worker it helps.
pub(crate) fn execute_server(
    variables: &[(OsString, OsString)],
    inherited: Inherited,
) -> io::Result<ServerHandle> {
    let (ours, theirs) = sockets()?;
    // The program as it runs, even if its file has been replaced since.
    let mut command = Command::new("/proc/self/exe");
    // With the same arguments, so that its `main` prepares the same workers again.
    let mut arguments = std::env::args_os();
    command
        .arg0(arguments.next().unwrap_or_default())
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(theirs));
    // The worker has handlers by now, and its threads may have masks.
    inherited.pass_on(&mut command);
    // Nobody waits for the preloads here, in the worker's loop: requests wait in the socket until they are done.
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // The worker's own, for the jobs: the server's is this socket. Should it be dead already, the socket tells that.
    let stdin = [io::stdin().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&stdin)];
    let _ = sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(&[0])], &rights, MsgFlags::MSG_NOSIGNAL, None);
    Ok(ServerHandle { pid, socket: ours })
}

fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    // Packets keep their bounds, so that neither side needs frames, and a side that is gone shows as on a stream.
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

fn become_server(single_threaded: &SingleThreaded, socket: OwnedFd, config: ServerConfig) -> ! {
    let ServerConfig { horses, preloads, worker, inherited } = config;
    // Jobs and what they start inherit it; by it a worker knows what a dead server has left behind.
    rq_process::set_variable(single_threaded, WORKER_VARIABLE, &worker);
    server::serve(socket, horses, &worker, preloads, inherited)
}

/// Waits for the preloads, which may take as long as they like.
fn wait_until_ready(control: &OwnedFd) -> Result<(), LaunchError> {
    let mut packet = vec![0; REPORT_BYTES_MAX];
    let length = recv(control.as_raw_fd(), &mut packet, MsgFlags::empty()).map_err(io::Error::from)?;
    if length == 0 {
        let told = "the fork server ended before it was ready; has a preload ended its process?";
        return Err(LaunchError::Refused(told.to_owned()));
    }
    match decode(&packet[..length])? {
        Report::Ready => Ok(()),
        Report::Unready(reason) => Err(LaunchError::Refused(reason)),
        other => Err(io::Error::other(format!("the fork server began with {other:?}")).into()),
    }
}
