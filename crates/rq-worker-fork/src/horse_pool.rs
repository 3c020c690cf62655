//! [`HorsePool`]: the executor. Each execution is supervised by a task beside it (`supervision.rs`) while a horse runs it.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rq_core::{Ended, Execution, ExecutionId, Executor, Stop, Want, panics};
use rq_process::Inherited;
use rq_worker::want;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::TERM_GRACE;
use crate::control::{Control, HorseHandle};
use crate::frames::HorseId;
use crate::launch::{self, ServerHandle};
use crate::orphans;
use crate::rules::Rules;
use crate::supervision::{After, HorseCommand, NO_PROCESS, Supervision, sleep_until};

/// How long a horse that has run its share may take to end.
const END_GRACE: Duration = Duration::from_secs(1);
/// How long a worker that leaves waits for its server to end the processes that are left, which see SIGTERM first, and how
/// often it looks.
const LEAVE_GRACE: Duration = TERM_GRACE.saturating_add(Duration::from_millis(500));
const LEAVE_PAUSE: Duration = Duration::from_millis(2);
/// How many fork servers may die within which time before the worker gives up.
const RESTARTS_MAX: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);

/// Runs executions, each on a horse.
pub(crate) struct HorsePool {
    rules: Rules,
    /// The worker's name.
    worker: String,
    /// The variables by which a process knows that it helps this worker.
    helper_variables: Vec<(OsString, OsString)>,
    /// The signals that the worker was started with.
    inherited: Inherited,
    server: ServerHandle,
    /// The last dead server whose remains were seen to.
    buried: Option<Pid>,
    /// The way to the server, opened with the first execution: there is a runtime by then.
    controls: Option<watch::Sender<Control>>,
    idle: Vec<HorseHandle>,
    /// Horses that have run as many jobs as they may, and when they must have ended; the oldest first.
    spent: VecDeque<(Instant, HorseId)>,
    running: HashMap<ExecutionId, Supervised>,
    spares_coming: usize,
    sender: UnboundedSender<PoolEvent>,
    events: UnboundedReceiver<PoolEvent>,
    /// When servers were executed in the place of dead ones, the newest last.
    restarts: Vec<Instant>,
    broken: Option<String>,
}

/// What the pool keeps of an execution.
struct Supervised {
    commands: UnboundedSender<HorseCommand>,
    called_back: Arc<AtomicBool>,
}

/// What the tasks report to the pool.
enum PoolEvent {
    /// An execution has ended, or not begun; `After` is what has become of its horse.
    Ended(ExecutionId, Result<Ended, Want>, After),
    /// A horse was forked ahead, or could not be.
    Spare(Option<HorseHandle>),
    /// The server has died.
    Gone,
}

impl HorsePool {
    pub(crate) fn new(
        rules: Rules,
        worker: String,
        helper_variables: Vec<(OsString, OsString)>,
        inherited: Inherited,
        server: ServerHandle,
    ) -> HorsePool {
        let (sender, events) = unbounded_channel();
        HorsePool {
            rules,
            worker,
            helper_variables,
            inherited,
            server,
            buried: None,
            controls: None,
            idle: Vec::new(),
            spent: VecDeque::new(),
            running: HashMap::new(),
            spares_coming: 0,
            sender,
            events,
            restarts: Vec::new(),
            broken: None,
        }
    }

    /// The way to a server that lives.
    fn controls(&mut self) -> io::Result<&watch::Sender<Control>> {
        let is_gone = self.controls.as_ref().map(|controls| controls.borrow().is_gone());
        if is_gone == Some(true) {
            self.replace_server()?;
        }
        if is_gone != Some(false) {
            let sender = self.sender.clone();
            let gone = move || {
                // The receiver is gone when the worker has left.
                let _ = sender.send(PoolEvent::Gone);
            };
            // A copy of the descriptor: the pool keeps its own, by which `drop` has the server end.
            let control = Control::open(self.server.socket.try_clone()?, gone)?;
            match &self.controls {
                // Executions that wait for a server in the place of a dead one learn of it by this.
                Some(controls) => drop(controls.send_replace(control)),
                None => self.controls = Some(watch::Sender::new(control)),
            }
        }
        self.controls.as_ref().ok_or_else(|| io::Error::other("there is no fork server"))
    }

    /// The server is dead: another takes its place, unless too many have died of late.
    fn replace_server(&mut self) -> io::Result<()> {
        self.bury_server();
        // Horses die with their server.
        self.idle.clear();
        // Servers that die now and then are replaced without end; a program whose servers die at once is given up.
        self.restarts.retain(|restart| restart.elapsed() < RESTARTS_WITHIN);
        if self.restarts.len() >= RESTARTS_MAX {
            let told = format!("{RESTARTS_MAX} fork servers have died within {RESTARTS_WITHIN:?}");
            return Err(io::Error::other(self.broken.insert(told).clone()));
        }
        let dead = self.server.pid;
        // Not forked: the worker has threads by now. Where the system is short of what it takes, the next job has it
        // tried again.
        self.server = launch::execute_server(&self.helper_variables, self.inherited)?;
        self.restarts.push(Instant::now());
        tracing::warn!("the fork server (PID {dead}) has died; another runs with PID {}", self.server.pid);
        Ok(())
    }

    /// The jobs of a dead server have started processes which are the worker's children now, and which nobody else
    /// ends.
    fn bury_server(&mut self) {
        let (dead, worker) = (self.server.pid, self.worker.clone());
        if self.buried == Some(dead) {
            return;
        }
        let bury = move || {
            // Its children become the worker's only once it has ended.
            let _ = waitpid(dead, None);
            orphans::end(&worker);
        };
        // tokio panics where it cannot have a thread: that is for the next try.
        if panics::catch(|| drop(tokio::task::spawn_blocking(bury))).is_ok() {
            self.buried = Some(dead);
        }
    }

    /// Has horses ready for the jobs to come, as many as the rules say.
    fn fork_ahead(&mut self) {
        while self.idle.len() + self.spares_coming < self.rules.spares {
            // The error shows when a job is started, which asks for the same.
            let Ok(controls) = self.controls() else { return };
            let control = controls.borrow().clone();
            self.spares_coming += 1;
            let sender = self.sender.clone();
            tokio::spawn(async move {
                // One that could not be forked ahead is missed by nobody: the job has its own forked, and is told the
                // error.
                let horse = control.fork().await.ok();
                let _ = sender.send(PoolEvent::Spare(horse));
            });
        }
    }

    /// Kills the spent horses that should have ended: a thread that the job has left behind may hold them up.
    fn kill_overdue(&mut self) {
        while let Some((_, horse)) = self.spent.pop_front_if(|(due, _)| *due <= Instant::now()) {
            let Some(controls) = &self.controls else { return };
            let control = controls.borrow().clone();
            // Deaths are told of in batches: one not told yet costs a signal, which the server keeps to itself.
            if control.has(horse) {
                tokio::spawn(async move { control.signal(horse, Signal::SIGKILL).await });
            }
        }
    }

    fn command(&self, id: &ExecutionId, command: HorseCommand) -> bool {
        // The task of an execution that has just ended receives nothing more.
        self.running.get(id).is_some_and(|supervised| supervised.commands.send(command).is_ok())
    }
}

#[async_trait]
impl Executor for HorsePool {
    fn slots(&self) -> usize {
        self.rules.slots
    }

    fn start(&mut self, execution: Execution) {
        let (command, commands) = unbounded_channel();
        let called_back = Arc::default();
        // Before the task has begun, so that a stop right behind the start finds it.
        let supervised = Supervised { commands: command, called_back: Arc::clone(&called_back) };
        self.running.insert(execution.id.clone(), supervised);
        // The horse may be dead by now, alone or with its server; that shows when it is sent the job.
        let (rules, horse) = (self.rules, self.idle.pop());
        let supervision = self.controls().map(|controls| Supervision {
            controls: controls.subscribe(),
            rules,
            horse,
            commands,
            called_back,
        });
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let id = execution.id.clone();
            let (ended, after) = match supervision {
                Ok(supervision) => supervision.run(execution).await,
                Err(error) => (Err(want(NO_PROCESS, &error)), After::Gone),
            };
            // The receiver is gone when the worker has left.
            let _ = sender.send(PoolEvent::Ended(id, ended, after));
        });
        self.fork_ahead();
    }

    fn stop(&mut self, id: &ExecutionId, how: Stop) {
        self.command(id, HorseCommand::Stop(how));
    }

    fn crash(&mut self, id: &ExecutionId) -> bool {
        self.command(id, HorseCommand::Crash)
    }

    fn has_called_back(&self, id: &ExecutionId) -> bool {
        self.running.get(id).is_some_and(|supervised| supervised.called_back.load(Ordering::Relaxed))
    }

    async fn ended(&mut self) -> (ExecutionId, Result<Ended, Want>) {
        loop {
            self.kill_overdue();
            let overdue_at = self.spent.front().map(|(due, _)| *due);
            let events = tokio::select! {
                biased;
                events = self.events.recv() => events,
                () = sleep_until(overdue_at) => continue,
            };
            match events {
                Some(PoolEvent::Ended(id, ended, after)) => {
                    self.running.remove(&id);
                    match after {
                        After::Idle(horse) => self.idle.push(horse),
                        // It ends by itself as a rule, and frees its slot at once: the next job gets another horse.
                        After::Spent(horse) => self.spent.push_back((Instant::now() + END_GRACE, horse)),
                        After::Gone => {}
                    }
                    return (id, ended);
                }
                Some(PoolEvent::Spare(horse)) => {
                    self.spares_coming -= 1;
                    self.idle.extend(horse);
                }
                // Replaced at once, so that the next job need not wait for a server. An error shows when that job is
                // started.
                Some(PoolEvent::Gone) => {
                    let _ = self.controls();
                }
                None => unreachable!("the pool itself holds a sender"),
            }
        }
    }

    fn exhausted(&self) -> Option<String> {
        self.broken.clone()
    }
}

impl Drop for HorsePool {
    /// Has the server end, and reaps it: the process that inherits it may reap nothing.
    fn drop(&mut self) {
        // To close the socket would not do: tasks may hold copies of the descriptor, and this ends it for all of them.
        let _ = shutdown(self.server.socket.as_raw_fd(), Shutdown::Both);
        let began = Instant::now();
        while began.elapsed() < LEAVE_GRACE {
            match waitpid(self.server.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => std::thread::sleep(LEAVE_PAUSE),
                _ => return,
            }
        }
    }
}
