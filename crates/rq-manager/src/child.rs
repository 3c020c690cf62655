//! [`Child`]: a process that the Manager has started, and how it is started.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, killpg};
use nix::unistd::setpgid;
use rq_process::{Exit, Forked, Inherited, Pid, Signal, SingleThreaded};

use crate::board::{Board, Phase};
use crate::cause::Cause;
use crate::command::Command;
use crate::context::Context;
use crate::ending::{Ending, Push};
use crate::kind::{Kind, Limits, Start};
use crate::log::Log;
use crate::memory::MemoryWatch;
use crate::notices::Notice;
use crate::run::{self, Pace};
use crate::slot_name::SlotName;
use crate::system;

/// After which time an executed child counts as ready that has not said so: a program that tells nothing, or a worker
/// whose Redis takes its time.
const READY_AFTER: Duration = Duration::from_secs(10);
/// How long a run that is over its time has to end of itself.
const RUN_GRACE: Duration = Duration::from_secs(1);
/// How long a child may take to close what it has opened, behind its last run.
const CLOSING_LONGEST: Duration = Duration::from_secs(60);
/// What a child must not inherit of the Manager's own service manager.
const SERVICE_VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// What a child, and whatever that starts, has in its environment: whose it is.
pub(crate) const MARK_VARIABLE: &str = "RQ_MANAGED_BY";

/// A process that the Manager has started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Its own name; the slot's of a forked one.
    pub(crate) name: String,
    /// By which what it has started is known.
    pub(crate) mark: String,
    pub(crate) began: Instant,
    pub(crate) is_ready: bool,
    /// Whether it has said so itself.
    has_told_ready: bool,
    /// What it was made by.
    pub(crate) kind: Rc<Kind>,
    pub(crate) ending: Option<Ending>,
    /// Whether it was told that it is on its way out.
    pub(crate) ending_is_told: bool,
    pub(crate) memory: MemoryWatch,
    pub(crate) limits: Limits,
    /// After how many requests it leaves.
    max_requests: Option<u64>,
    tells: Tells,
}

/// How a child tells how it fares.
#[derive(Debug)]
enum Tells {
    Board(Board),
    Notices { last: Option<Instant>, requests: u64, says: Option<String>, baseline_bytes: Option<u64> },
}

impl Child {
    pub(crate) fn forked(
        pid: Pid,
        board: Board,
        slot: &SlotName,
        kind: &Rc<Kind>,
        max_requests: Option<u64>,
    ) -> Child {
        Child::new(pid, slot.to_string(), forked_mark(slot, pid), Tells::Board(board), kind, max_requests)
    }

    pub(crate) fn executed(pid: Pid, name: String, kind: &Rc<Kind>, max_requests: Option<u64>) -> Child {
        let tells = Tells::Notices { last: None, requests: 0, says: None, baseline_bytes: None };
        let mark = name.clone();
        Child::new(pid, name, mark, tells, kind, max_requests)
    }

    fn new(
        pid: Pid,
        name: String,
        mark: String,
        tells: Tells,
        kind: &Rc<Kind>,
        max_requests: Option<u64>,
    ) -> Child {
        Child {
            pid,
            name,
            mark,
            began: Instant::now(),
            is_ready: false,
            has_told_ready: false,
            kind: Rc::clone(kind),
            ending: None,
            ending_is_told: false,
            memory: MemoryWatch::default(),
            limits: kind.limits.clone(),
            max_requests,
            tells,
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        match &self.tells {
            Tells::Board(board) => board.requests(),
            Tells::Notices { requests, .. } => *requests,
        }
    }

    /// What an executed child says of itself.
    pub(crate) fn says(&self) -> Option<&str> {
        match &self.tells {
            Tells::Board(_) => None,
            Tells::Notices { says, .. } => says.as_deref(),
        }
    }

    /// Takes in what an executed child has told.
    pub(crate) fn note(&mut self, notice: Notice, now: Instant) {
        let cause = self.cause_told(&notice);
        // One that is refused something has failed, and its exit code will say so.
        let leaves = notice.is_stopping && notice.cause.as_deref() != Some("failed");
        let Tells::Notices { last, requests, says, baseline_bytes } = &mut self.tells else { return };
        *last = Some(now);
        *requests = notice.requests.unwrap_or(*requests);
        *says = notice.status.or(says.take());
        *baseline_bytes = notice.baseline_bytes.or(*baseline_bytes);
        self.has_told_ready |= notice.is_ready;
        self.is_ready |= notice.is_ready;
        if leaves && self.ending.is_none() {
            self.ending = Some(Ending::by_itself(cause));
        }
    }

    /// The cause that it has done as many requests as it was to do, or had set itself.
    fn requests_done(&self) -> Cause {
        Cause::MaxRequests { count: self.max_requests.unwrap_or(self.requests()) }
    }

    fn cause_told(&self, notice: &Notice) -> Cause {
        match notice.cause.as_deref() {
            Some("max_requests") => self.requests_done(),
            Some("exhausted") => Cause::Exhausted,
            Some("idle") => Cause::Idle,
            _ => Cause::Finished,
        }
    }

    /// Whether it is ready: what it has told, or how long it has been there.
    pub(crate) fn look_ready(&mut self, now: Instant) {
        if let Tells::Board(board) = &self.tells {
            self.has_told_ready |= matches!(board.phase(), Phase::Ready | Phase::Full | Phase::Closing);
        }
        let is_executed = matches!(self.tells, Tells::Notices { .. });
        self.is_ready |= self.has_told_ready || is_executed && now.duration_since(self.began) >= READY_AFTER;
    }

    /// Whether it may take the place of another: it has said that it is ready, or the other had not either.
    pub(crate) fn displaces(&self, former: &Child) -> bool {
        self.has_told_ready || !former.has_told_ready
    }

    /// When it counts as ready though it tells nothing.
    pub(crate) fn ready_at(&self) -> Option<Instant> {
        let is_told = matches!(self.tells, Tells::Board(_));
        (!is_told && !self.is_ready).then(|| self.began + READY_AFTER)
    }

    /// Whether a forked child has begun to leave behind its last request.
    pub(crate) fn is_full(&self) -> bool {
        matches!(&self.tells, Tells::Board(board) if board.phase() == Phase::Full)
    }

    /// Whether its limits count by now: what it holds when it is ready tells whether they can work at all.
    pub(crate) fn is_judged(&self, now: Instant) -> bool {
        self.is_ready || now.duration_since(self.began) >= READY_AFTER
    }

    /// What it held before it had done anything, if it has told.
    pub(crate) fn baseline_bytes(&self) -> Option<u64> {
        match &self.tells {
            Tells::Board(board) => Some(board.baseline_bytes()),
            Tells::Notices { baseline_bytes, .. } => *baseline_bytes,
        }
    }

    /// Why it is in the way: a run that is over its time, or a silence.
    pub(crate) fn hangs(&self, now: Instant) -> Option<Cause> {
        match &self.tells {
            Tells::Board(board) => {
                let after = self.allowed(board)?;
                (board.run_for()? > after + RUN_GRACE).then_some(Cause::TimedOut { after })
            }
            Tells::Notices { last, .. } => {
                let (after, last) = (self.limits.silence?, (*last)?);
                (self.is_ready && now.duration_since(last) > after).then_some(Cause::Silent { after })
            }
        }
    }

    /// How long what a forked child does now may take.
    fn allowed(&self, board: &Board) -> Option<Duration> {
        if board.is_closing() { Some(CLOSING_LONGEST) } else { self.limits.timeout }
    }

    /// When a run in hand will be over its time, and it has not ended.
    pub(crate) fn hangs_at(&self, now: Instant) -> Option<Instant> {
        let Tells::Board(board) = &self.tells else { return None };
        let allowed = self.allowed(board)? + RUN_GRACE;
        Some(now + allowed.saturating_sub(board.run_for()?))
    }

    /// Has nobody expect any more that it tells something: it cannot.
    pub(crate) fn expect_nothing(&mut self) {
        self.limits.silence = None;
    }

    /// Has all that it has told count as told now: the Manager itself was not there to listen.
    pub(crate) fn excuse(&mut self, now: Instant) {
        if let Tells::Notices { last: Some(last), .. } = &mut self.tells {
            *last = now;
        }
    }

    /// Has it leave, and gives it such a time; it leaves already, maybe, and then has no more than it had.
    pub(crate) fn ask(&mut self, cause: Cause, patience: Option<Duration>, now: Instant) {
        match &mut self.ending {
            Some(ending) => ending.ask(patience, now),
            None => self.ending = Some(Ending::asked(cause, now, patience)),
        }
    }

    /// Has it leave, by force before long. What it was asked for before counts no more.
    pub(crate) fn force(&mut self, cause: Cause, now: Instant) {
        match &mut self.ending {
            Some(ending) => ending.urge(now),
            None => self.ending = Some(Ending::forced(cause, now)),
        }
    }

    /// Notes that a forked child has begun to leave behind its last request.
    pub(crate) fn leaves_full(&mut self) {
        let cause = self.requests_done();
        self.ending.get_or_insert_with(|| Ending::by_itself(cause));
    }

    /// Has it leave for what it holds: behind the run in hand, or by force.
    pub(crate) fn exceeds(&mut self, cause: Cause, now: Instant) {
        let is_hard = matches!(cause, Cause::HardMemoryLimit { .. });
        if !is_hard {
            return self.ask(cause, None, now);
        }
        if let Some(ending) = &mut self.ending
            && matches!(ending.cause, Cause::SoftMemoryLimit { .. })
        {
            // It goes on growing while it finishes what it runs.
            ending.cause = cause.clone();
            self.ending_is_told = false;
        }
        self.force(cause, now);
    }

    /// Sends it what is due on its way out.
    pub(crate) fn push(&mut self, now: Instant) -> Option<Push> {
        let push = self.ending.as_mut()?.due(now)?;
        // It is not reaped, so that its id and its group's are its own. One that has ended meanwhile hears nothing.
        let _ = match push {
            Push::Ask | Push::Urge => kill(self.pid, Signal::SIGTERM),
            // What it has started in other groups becomes the Manager's, which ends it.
            Push::Kill => killpg(self.pid, Signal::SIGKILL).and(kill(self.pid, Signal::SIGKILL)),
        };
        Some(push)
    }

    /// Why it has ended, where it was not asked to; `of_memory` where the system has killed somebody for want of memory.
    pub(crate) fn cause_of(&self, exit: Exit, of_memory: bool) -> Cause {
        if self.is_full() {
            return self.requests_done();
        }
        let cause = match exit {
            Exit::Signal(signal) if of_memory && signal == Signal::SIGKILL as i32 => Cause::OutOfMemory,
            Exit::Signal(signal) => Cause::Killed { signal },
            Exit::Code(0) => Cause::Finished,
            Exit::Code(code) => Cause::Exited { code },
        };
        // One that was to do so many requests, and whose last words were lost.
        if cause == Cause::Finished && self.has_told_ready && self.max_requests.is_some() {
            return self.requests_done();
        }
        // One that only counts as ready and has said something of itself was on its way to be.
        if self.has_told_ready || self.is_ready && self.says().is_none() {
            return cause;
        }
        let told = match &self.tells {
            Tells::Board(board) => board.reason(),
            Tells::Notices { says, .. } => says.clone(),
        };
        Cause::BootFailed { reason: told.unwrap_or_else(|| format!("it {cause} before it was ready")) }
    }
}

/// What all children begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth<'a> {
    /// The signals that the Manager was started with.
    pub(crate) inherited: Inherited,
    /// Where executed children tell how they fare.
    pub(crate) notices: &'a Path,
}

impl Birth<'_> {
    /// Executes a program under this name.
    pub(crate) fn execute(
        self,
        command: &Command,
        name: &str,
        max_requests: Option<u64>,
        silence: Option<Duration>,
    ) -> io::Result<Pid> {
        let mut program = process::Command::new(&command.program);
        if let Some(called) = &command.called {
            program.arg0(called);
        }
        program.args(&command.arguments);
        for variable in SERVICE_VARIABLES {
            program.env_remove(variable);
        }
        program.envs(command.environment.iter().map(|(name, value)| (name, value)));
        program.env("NOTIFY_SOCKET", self.notices).env("RQ_MANAGED_NAME", name).env(MARK_VARIABLE, name);
        if let Some(silence) = silence {
            program.env("WATCHDOG_USEC", silence.as_micros().to_string());
        }
        if let Some(most) = max_requests {
            program.env("RQ_MANAGED_MAX_REQUESTS", most.to_string());
        }
        // A terminal's Ctrl-C is for the Manager, which asks its children itself.
        program.process_group(0);
        self.inherited.pass_on(&mut program);
        rq_process::dies_with_this_process(&mut program);
        let child = program.spawn()?;
        Ok(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?))
    }

    /// Forks a child that does what its kind makes. `let_go` closes, in the child, what is the Manager's.
    pub(crate) fn fork(
        self,
        kind: &Kind,
        slot: &SlotName,
        log: &Log,
        max_requests: Option<u64>,
        let_go: impl FnOnce(),
    ) -> io::Result<(Pid, Board)> {
        let Start::Fork(make) = &kind.start else {
            return Err(io::Error::other("a program is executed, not forked"));
        };
        let board = Board::new()?;
        let manager = Pid::this();
        match rq_process::fork(SingleThreaded::make_sure_soon()?)? {
            Forked::Parent(pid) => Ok((pid, board)),
            Forked::Child(single_threaded) => {
                let_go();
                let code = match self.settle_in(manager, slot, &single_threaded) {
                    Ok(()) => {
                        let pace = Pace {
                            max_requests,
                            timeout: kind.limits.timeout,
                            check_point: kind.check_point,
                        };
                        let context = Context::new(slot.clone());
                        log.with(|| run::run(|| make(slot), &context, &board, pace))
                    }
                    Err(error) => {
                        board.fail(&error.to_string());
                        run::FAILED
                    }
                };
                rq_process::end(code)
            }
        }
    }

    /// What a forked child does first.
    fn settle_in(self, manager: Pid, slot: &SlotName, single_threaded: &SingleThreaded) -> io::Result<()> {
        rq_process::die_with(manager, Signal::SIGKILL)?;
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        // Before signals are let through: one may wait already.
        system::note_stops()?;
        self.inherited.restore_mask()?;
        SERVICE_VARIABLES.iter().for_each(|name| rq_process::forget_variable(single_threaded, name));
        rq_process::set_variable(single_threaded, MARK_VARIABLE, &forked_mark(slot, Pid::this()));
        if let Ok(name) = CString::new(slot.to_string()) {
            rq_process::name_process(&name);
        }
        Ok(())
    }
}

/// By which what a forked child has started is known.
fn forked_mark(slot: &SlotName, pid: Pid) -> String {
    format!("{slot}-{pid}")
}
