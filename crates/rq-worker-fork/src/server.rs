//! The fork server: a small process with one thread, which holds the handlers and forks a horse whenever the worker asks.
//!
//! It is forked first of all, so that it stays small and no thread is ever in the middle of something when it forks;
//! so a fork costs the same however much the worker holds.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, send};
use nix::unistd::{Pid, setpgid};
use rq_worker::Preload;

use crate::frames::{HorseId, PACKET_BYTES_MAX, Report, Request, decode, encode};
use crate::horse::{self, Stable};
use crate::process::{self, Forked};

/// Serves the worker at the other end of `control` until that is gone, then ends this process with all its horses.
pub(crate) fn serve(control: OwnedFd, stable: Stable, preloads: Vec<Preload>) -> ! {
    process::name_process("rq-fork-server");
    let served = Server::new(control, stable).and_then(|mut server| {
        preloads.into_iter().for_each(|load| load());
        if process::threads()? != 1 {
            return Err(io::Error::other(
                "a preload has started a thread, and a process with threads cannot fork; start it where a job first needs it",
            ));
        }
        server.report(&Report::Ready)?;
        server.serve()
    });
    if let Err(error) = served {
        tracing::error!("fork server: {error}");
        exit(1);
    }
    exit(0)
}

/// How often, and how far apart, what is left of a worker that is gone is looked for.
const STRAY_ROUNDS_MAX: usize = 100;
const STRAY_PAUSE: Duration = Duration::from_millis(10);

struct Server {
    control: OwnedFd,
    children: SignalFd,
    stable: Stable,
    horses: HashMap<Pid, HorseId>,
}

impl Server {
    fn new(control: OwnedFd, stable: Stable) -> io::Result<Server> {
        // What its horses leave behind comes to it, wherever it has gone.
        process::adopt_orphans()?;
        // What ends the worker is the worker's to decide: it closes the socket, and the system kills what it leaves.
        process::ignore(Signal::SIGINT)?;
        process::ignore(Signal::SIGTERM)?;
        let child_ended = [Signal::SIGCHLD].into_iter().collect::<SigSet>();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&child_ended), None)?;
        let children = SignalFd::with_flags(&child_ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Server { control, children, stable, horses: HashMap::new() })
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let (asked, ended) = self.wait()?;
            if ended {
                self.reap()?;
            }
            if asked && !self.answer()? {
                self.kill_all();
                return Ok(());
            }
        }
    }

    /// Waits until the worker asks for something, or a horse has ended.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let watched = [self.control.as_fd(), self.children.as_fd()];
        let mut watched = watched.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                polled => {
                    polled?;
                    let [asked, ended] = watched.map(|watched| watched.any() == Some(true));
                    return Ok((asked, ended));
                }
            }
        }
    }

    /// Does what the worker asks; `false` when it is gone.
    fn answer(&mut self) -> io::Result<bool> {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let mut space = cmsg_space!(std::os::fd::RawFd);
        let (length, socket) = {
            let mut slices = [IoSliceMut::new(&mut packet)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(self.control.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
            let mut socket = None;
            for part in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(descriptors) = part {
                    socket = descriptors.into_iter().map(process::adopt).next_back();
                }
            }
            (message.bytes, socket)
        };
        if length == 0 {
            return Ok(false);
        }
        match (decode(&packet[..length])?, socket) {
            (Request::Fork(horse), Some(socket)) => self.fork(horse, socket)?,
            (Request::Fork(horse), None) => {
                self.report(&Report::Refused(horse, "no socket came with the request".to_owned()))?;
            }
            (Request::Signal(horse, signal), _) => self.signal(horse, signal),
        }
        Ok(true)
    }

    fn fork(&mut self, horse: HorseId, socket: OwnedFd) -> io::Result<()> {
        let master = process::own_pid();
        match process::fork() {
            Ok(Forked::Child) => self.become_horse(master, socket),
            Ok(Forked::Parent(pid)) => {
                // Both set it, so that it is there whoever comes first.
                let _ = setpgid(pid, pid);
                self.horses.insert(pid, horse);
                Ok(())
            }
            Err(error) => self.report(&Report::Refused(horse, error.to_string())),
        }
    }

    fn become_horse(&mut self, master: Pid, socket: OwnedFd) -> ! {
        let ready = (|| {
            process::die_with(master)?;
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            process::heed_terminations_of(master)?;
            // So that nothing a job starts comes to the server while the horse lives.
            process::adopt_orphans()?;
            if let Some(limit_mb) = self.stable.memory_mb {
                let bytes = limit_mb.saturating_mul(1 << 20);
                setrlimit(Resource::RLIMIT_AS, bytes, bytes)?;
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            // What the server talks over is not for its horses, nor for what they start.
            self.control = std::fs::File::open("/dev/null")?.into();
            Ok::<(), io::Error>(())
        })();
        process::name_process("rq-horse");
        if ready.is_ok() {
            horse::serve(UnixStream::from(socket), &self.stable);
        }
        exit(i32::from(ready.is_err()))
    }

    fn reap(&mut self) -> io::Result<()> {
        while self.children.read_signal()?.is_some() {}
        while let Some(pid) = process::ended_child() {
            // What it has started and left in its group goes with it.
            let _ = killpg(pid, Signal::SIGKILL);
            let Some(death) = process::reap(pid) else { continue };
            let horse = self.horses.remove(&pid);
            // The end of a stray, too, may leave strays.
            self.kill_strays();
            if let Some(horse) = horse {
                self.report(&Report::Ended(horse, death))?;
            }
        }
        Ok(())
    }

    /// Whoever is a child here and no horse was left behind by one that has ended.
    fn kill_strays(&self) {
        for pid in process::children() {
            if !self.horses.contains_key(&pid) {
                let _ = killpg(pid, Signal::SIGKILL);
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }

    /// Only what has not been reaped is signaled: its id cannot belong to another process.
    fn signal(&self, horse: HorseId, signal: i32) {
        let pid = self.horses.iter().find(|(_, known)| **known == horse).map(|(pid, _)| *pid);
        if let (Some(pid), Ok(signal)) = (pid, Signal::try_from(signal)) {
            let _ = killpg(pid, signal);
        }
    }

    /// The worker is gone: so is all that it had asked for.
    fn kill_all(&mut self) {
        for pid in self.horses.keys() {
            let _ = killpg(*pid, Signal::SIGKILL);
        }
        self.horses.clear();
        // The children of those become ours when their parents are reaped.
        for _ in 0..STRAY_ROUNDS_MAX {
            self.kill_strays();
            while process::ended_child().and_then(process::reap).is_some() {}
            if process::children().is_empty() {
                return;
            }
            std::thread::sleep(STRAY_PAUSE);
        }
    }

    fn report(&self, report: &Report) -> io::Result<()> {
        let packet = encode(report)?;
        match send(self.control.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => Ok(()),
            // The next read sees that the worker is gone.
            Err(Errno::EPIPE) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
