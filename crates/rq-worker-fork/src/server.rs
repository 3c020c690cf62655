//! The fork server: a small process with one thread, which holds the handlers and forks a horse whenever the worker
//! asks.
//!
//! It is forked first of all, so that it stays small and no thread is ever in the middle of something when it forks;
//! so a fork costs the same however much the worker holds.
//!
//! After a fork the system copies each page that either side writes to. So the server keeps writing to the same few
//! pages, and a horse does little before its job.

use std::borrow::Cow;
use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::{Pid, getpgrp, setpgid};
use rq_core::Shown;
use rq_process::{Children, Exit, Forked, Inherited, OomKills, SingleThreaded};
use rq_worker::{Preloads, last_words, want};

use crate::TERM_GRACE;
use crate::frames::{
    self, DEATHS_MAX, Death, HorseId, REQUEST_BYTES_MAX, Report, ServerRequest, decode, encode_in,
};
use crate::horse::{self, HorseConfig, NewHorse};
use crate::memory::MemoryLimit;
use crate::strays::Strays;

/// Serves `worker`, at the other end of `control`, until that is gone; then ends this process with all its horses.
pub(crate) fn serve(
    control: OwnedFd,
    config: HorseConfig,
    worker: &str,
    preloads: Preloads,
    inherited: Inherited,
) -> ! {
    rq_process::name_process(SERVER_NAME);
    let served = ForkServer::new(control, config.memory_mb, &inherited).and_then(|mut server| {
        let single_threaded = match preload(preloads) {
            Ok(single_threaded) => single_threaded,
            Err(mut reason) => {
                reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
                server.report(&Report::Unready(reason))?;
                return Ok(Served::Unready);
            }
        };
        if let Some(title) = config.title {
            // From here on nobody may be able to read any more what the program was called with, so the preloads come first.
            title.set(&single_threaded, Shown::line(format_args!("rq: fork server of {worker}")));
        }
        horse::rehearse(&config);
        server.report(&Report::Ready)?;
        server.serve()
    });
    match served {
        Ok(Served::WorkerGone) => exit(0),
        // The worker says why.
        Ok(Served::Unready) => exit(1),
        Ok(Served::Forked(new_horse)) => match new_horse.become_horse(&inherited) {
            Ok(()) => horse::serve(UnixStream::from(new_horse.socket), config, new_horse.single_threaded),
            // Not `exit`: the exit handlers are the server's.
            Err(_) => rq_process::end(1),
        },
        Err(error) => {
            // Nothing is forked any more. The worker waits for this end, and not for whoever reads the log.
            last_words(move || tracing::error!("fork server: {error}"));
            exit(1)
        }
    }
}

/// Does what is to be done before the first job, with which this process must stay able to fork; else why not.
fn preload(preloads: Preloads) -> Result<SingleThreaded, String> {
    preloads.run().map_err(|error| error.to_string())?;
    SingleThreaded::make_sure_soon().map_err(|error| {
        format!("a preload has started a thread, and {error}; start it where a job first needs it")
    })
}

/// What a fork server calls itself, and its horses until they have grown up.
pub(crate) const SERVER_NAME: &CStr = c"rq-fork-server";
/// What horses call themselves.
pub(crate) const HORSE_NAME: &CStr = c"rq-horse";
/// The variable with the worker's name, for jobs and the processes that they start; as in RQ (docs/cli.md §2).
pub(crate) const WORKER_VARIABLE: &str = "RQ_WORKER_ID";
/// What could not be done where the system is short of something.
const NO_FORK: &str = "no process could be forked for a job";
/// The system passes a socket on to nobody who has no room for it.
const NO_SOCKET: &str = "no process could be forked for a job: the fork server has as many open files as it may; raise \
                         that limit (ulimit -n, LimitNOFILE=)";
/// How much is told of why the preloads have failed: it fits into a report.
const REASON_BYTES_MAX: usize = 2048;
/// How many deaths of horses that have ended well the server reports together.
const DEATHS_TOGETHER: usize = 16;
/// How often, and how far apart, the server looks for processes that are left of a worker that is gone.
const END_ROUNDS_MAX: usize = 600;
const END_PAUSE: Duration = Duration::from_millis(5);

struct ForkServer {
    control: OwnedFd,
    endings: SignalFd,
    horses: Vec<Horse>,
    children: Children,
    oom_kills: OomKills,
    strays: Strays,
    /// The horses that have ended while something of their groups is left: a job is over when all that it has started is.
    lingering: Vec<(Horse, Death)>,
    memory: Option<MemoryLimit>,
    /// The deaths that have not been reported yet.
    deaths: Vec<(HorseId, Death)>,
    /// Whether the worker waits for one of them.
    is_awaited: bool,
    /// Buffers for what comes with a request, and for what is sent. They are kept, as the system copies each page that
    /// is written to after a fork.
    rights: Vec<u8>,
    packet: Vec<u8>,
}

/// A horse that has not been reaped.
struct Horse {
    pid: Pid,
    id: HorseId,
    /// Whether the worker has asked for its end.
    is_awaited: bool,
    /// When its group has had its time, once that was sent SIGTERM.
    kill_at: Option<Instant>,
    /// How much it held when the server ended it for that.
    held_bytes: Option<u64>,
}

/// How serving ends.
enum Served {
    WorkerGone,
    /// The preloads have failed.
    Unready,
    /// This process is no server any more, but has just been forked by one.
    Forked(NewHorse),
}

impl ForkServer {
    fn new(control: OwnedFd, memory_mb: Option<u64>, inherited: &Inherited) -> io::Result<ForkServer> {
        // The processes that horses leave behind become the server's children, whatever group or session they are in.
        rq_process::adopt_orphans()?;
        // The worker decides how signals end it. The server ends when the worker's socket is closed.
        inherited.pass_over_stops()?;
        rq_process::take_terminations_when_nudged()?;
        // Ends of children come as a descriptor that the loop polls.
        let child_ended = [Signal::SIGCHLD].into_iter().collect::<SigSet>();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&child_ended), None)?;
        let endings = SignalFd::with_flags(&child_ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(ForkServer {
            control,
            endings,
            horses: Vec::new(),
            children: Children::open()?,
            oom_kills: OomKills::watch(),
            strays: Strays::default(),
            lingering: Vec::new(),
            memory: memory_mb.map(MemoryLimit::new),
            deaths: Vec::new(),
            is_awaited: false,
            rights: cmsg_space!(std::os::fd::RawFd),
            packet: Vec::new(),
        })
    }

    fn serve(mut self) -> io::Result<Served> {
        loop {
            let (asked, ended) = self.wait()?;
            self.look_at_memory();
            if ended {
                // The system merges signals of one kind while one waits, so one that is read may stand for many ends.
                self.endings.read_signal()?;
                self.reap();
            }
            // Also when nothing has ended: the time of what is left behind may be over.
            if ended || self.strays.next_look().is_some() {
                self.end_strays();
            }
            if asked && let Some(end) = self.answer()? {
                // The child of a fork comes by here as well: what it keeps open, its job would inherit.
                self.hang_up();
                return Ok(end);
            }
            // The worker has the outcome of a horse that ended well, and seldom waits for its death: a message for each
            // would cost more.
            if self.is_awaited || self.deaths.len() >= DEATHS_TOGETHER {
                self.report_deaths()?;
            }
        }
    }

    /// In a horse, closes the server's descriptors: neither horses nor what they start may hold them. The memory is not
    /// freed, as the system copies each page that is written to.
    fn hang_up(self) {
        let ForkServer {
            control,
            endings,
            horses,
            children,
            oom_kills,
            strays,
            lingering,
            memory: _,
            deaths,
            is_awaited: _,
            rights,
            packet,
        } = self;
        drop((control, endings));
        children.close();
        mem::forget((horses, oom_kills, strays, lingering, deaths, rights, packet));
    }

    /// Waits until the worker asks for something, a child has ended, what is left behind has had its time, or it is time to
    /// look at the memory of horses.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let watched = [self.control.as_fd(), self.endings.as_fd()];
        let mut watched = watched.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        let strays = self.strays.next_look().map(|at| at.saturating_duration_since(Instant::now()));
        let memory = self.memory.as_ref().filter(|_| !self.horses.is_empty()).map(MemoryLimit::pause);
        let pause = strays.into_iter().chain(memory).min();
        // A part of a millisecond counts as one, or the loop would spin for it. A pause beyond what poll can count is none of
        // ours.
        let timeout = pause
            .and_then(|pause| PollTimeout::try_from(pause + Duration::from_millis(1)).ok())
            .unwrap_or(PollTimeout::NONE);
        loop {
            match poll(&mut watched, timeout) {
                // The system does not begin poll(2) anew after a signal, whatever its handler asks for (signal(7)).
                Err(Errno::EINTR) => {}
                polled => {
                    polled?;
                    let [asked, ended] = watched.map(|watched| watched.any() == Some(true));
                    return Ok((asked, ended));
                }
            }
        }
    }

    /// Ends the horses whose jobs hold more memory than they may, with the processes that these have started: those of
    /// other groups when the horse is reaped.
    fn look_at_memory(&mut self) {
        let Some(memory) = &mut self.memory else { return };
        if !memory.is_due() {
            return;
        }
        for horse in self.horses.iter_mut().filter(|horse| horse.held_bytes.is_none()) {
            horse.held_bytes = memory.excess(horse.pid);
            if horse.held_bytes.is_some() {
                horse.is_awaited = true;
                let _ = killpg(horse.pid, Signal::SIGKILL);
            }
        }
    }

    /// Carries out a request of the worker.
    fn answer(&mut self) -> io::Result<Option<Served>> {
        let mut packet = [0; REQUEST_BYTES_MAX];
        let (length, socket) = frames::receive(&self.control, &mut packet, &mut self.rights)?;
        // The other end is closed: the worker is gone, however it ended.
        if length == 0 {
            self.end_all();
            return Ok(Some(Served::WorkerGone));
        }
        match (decode(&packet[..length])?, socket) {
            (ServerRequest::Fork(horse), Some(socket)) => return self.fork(horse, socket),
            (ServerRequest::Fork(horse), None) => {
                self.report(&Report::Refused(horse, NO_SOCKET.to_owned()))?;
            }
            // A worker that has a horse signaled waits for its death, which may be among those not reported yet.
            (ServerRequest::Signal(horse, signal), _) => {
                self.signal(horse, signal);
                self.is_awaited = true;
            }
        }
        Ok(None)
    }

    fn fork(&mut self, horse: HorseId, socket: OwnedFd) -> io::Result<Option<Served>> {
        // Asked before the fork: by the time the child looks for its parent, that may be another process.
        let master = Pid::this();
        // Threads that a preload has started late end the server: it could fork for no job any more.
        match rq_process::fork(SingleThreaded::make_sure()?) {
            Ok(Forked::Child(single_threaded)) => {
                return Ok(Some(Served::Forked(NewHorse { master, socket, single_threaded })));
            }
            Ok(Forked::Parent(pid)) => {
                // Parent and child both set the group, so that it is there whichever of them runs first.
                let _ = setpgid(pid, pid);
                self.horses.push(Horse {
                    pid,
                    id: horse,
                    is_awaited: false,
                    kill_at: None,
                    held_bytes: None,
                });
            }
            // The system may allow no further process just now: the job waits for that, and the server goes on.
            Err(error) => self.report(&Report::Refused(horse, want(NO_FORK, &error).to_string()))?,
        }
        Ok(None)
    }

    /// Reaps the children that have ended.
    fn reap(&mut self) {
        let mut oom_kills = 0;
        while let Some(pid) = rq_process::ended_child() {
            let horse = self.horses.iter().position(|horse| horse.pid == pid);
            if let Some(at) = horse {
                // What the job has left in the group, before the leader is reaped: until then the id is nobody else's.
                self.strays.end_group(pid, self.horses[at].kill_at);
            }
            let Some(mut death) = rq_process::reap(pid).map(Death::from) else { continue };
            // The system counts its kills for want of memory, and does not say whom it killed.
            if death.exit == Exit::Signal(libc::SIGKILL) {
                oom_kills += self.oom_kills.since_last();
                death.of_memory = oom_kills > 0;
                oom_kills = oom_kills.saturating_sub(1);
            }
            if let Some(at) = horse {
                let horse = self.horses.swap_remove(at);
                // It may have ended by itself just before.
                death.held_bytes = horse.held_bytes.filter(|_| death.exit == Exit::Signal(libc::SIGKILL));
                self.lingering.push((horse, death));
            }
        }
    }

    /// Ends what horses have left behind, and notes the deaths of those that have left nothing, or no more.
    fn end_strays(&mut self) {
        let (horses, own) = (&self.horses, getpgrp());
        let is_horse = |pid: Pid| horses.iter().any(|horse| horse.pid == pid);
        let strays = self.children.now().filter(|pid| !is_horse(*pid));
        self.strays.look(strays, |group| group == own || is_horse(group));
        let strays = &self.strays;
        for (horse, death) in self.lingering.extract_if(.., |(horse, _)| !strays.has_group_of(horse.pid)) {
            // Of a horse that ended badly the worker has no outcome, so it waits for the cause.
            self.is_awaited |= horse.is_awaited || death.exit != Exit::Code(0);
            self.deaths.push((horse.id, death));
        }
    }

    /// Reports the deaths of horses to the worker that it does not know of yet.
    fn report_deaths(&mut self) -> io::Result<()> {
        // The buffer is taken out and put back: a new one would be pages to write to, which each fork has copied.
        let mut deaths = mem::take(&mut self.deaths);
        for some in deaths.chunks(DEATHS_MAX) {
            self.report(&Report::Ended(Cow::Borrowed(some)))?;
        }
        deaths.clear();
        self.deaths = deaths;
        self.is_awaited = false;
        Ok(())
    }

    /// Signals a horse that has not been reaped: its id cannot belong to another process.
    fn signal(&mut self, id: HorseId, signal: i32) {
        let horse = self.horses.iter_mut().find(|horse| horse.id == id);
        if let (Some(horse), Ok(signal)) = (horse, Signal::try_from(signal)) {
            horse.is_awaited = true;
            match signal {
                Signal::SIGTERM => horse.terminate(),
                // What its job has started is ended behind it, and sees SIGTERM first.
                signal => {
                    let _ = kill(horse.pid, signal);
                }
            }
        }
    }

    /// The worker is gone: ends all horses, and what their jobs have started.
    fn end_all(&mut self) {
        self.horses.iter_mut().for_each(Horse::terminate);
        let kill_at = Instant::now() + TERM_GRACE;
        // Their children become the server's when the parents are reaped, one generation after the other.
        for _ in 0..END_ROUNDS_MAX {
            if Instant::now() >= kill_at {
                for horse in &self.horses {
                    let _ = kill(horse.pid, Signal::SIGKILL);
                }
            }
            self.reap();
            self.end_strays();
            if self.children.now().next().is_none() {
                return;
            }
            std::thread::sleep(END_PAUSE);
        }
    }

    fn report(&mut self, report: &Report<'_>) -> io::Result<()> {
        encode_in(&mut self.packet, report)?;
        self.send()
    }

    fn send(&self) -> io::Result<()> {
        match send(self.control.as_raw_fd(), &self.packet, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => Ok(()),
            // The next read sees that the worker is gone.
            Err(Errno::EPIPE) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Horse {
    /// Sends its group SIGTERM, once.
    fn terminate(&mut self) {
        if self.kill_at.is_none() {
            let _ = killpg(self.pid, Signal::SIGTERM);
            // Horses pass it over, as service managers send it to whole control groups.
            rq_process::take_termination(self.pid);
            self.kill_at = Some(Instant::now() + TERM_GRACE);
        }
    }
}
