//! [`HorsePool`]: the executor. Each execution is supervised by a task here while a horse runs it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
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
use rq_core::{
    CallbackKind, Ended, Execution, ExecutionId, Executor, Failure, OverMemory, Stop, Usage, Want, panics,
};
use rq_worker::want;
use serde_bytes::{ByteBuf, Bytes};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::TERM_GRACE;
use crate::control::{Control, Gone, HorseHandle};
use crate::frames::{
    Death, ExecutionFrame, Exit, HorseId, HorseOrder, HorseReport, Outcome, frame, frame_in,
};
use crate::launch::{self, ServerHandle};
use crate::orphans;
use crate::process::Inherited;
use crate::rules::Rules;

/// How long a horse that has run its share may take to end.
const END_GRACE: Duration = Duration::from_secs(1);
/// How long a worker that leaves waits for its server to end the processes that are left, which see SIGTERM first, and how
/// often it looks.
const LEAVE_GRACE: Duration = TERM_GRACE.saturating_add(Duration::from_millis(500));
const LEAVE_PAUSE: Duration = Duration::from_millis(2);
/// How many processes may die before one job has begun.
const ASSIGNMENTS_MAX: usize = 3;
/// From how many bytes on an order may itself be why its horse has no memory to read it.
const LARGE_ORDER_BYTES: usize = 8 << 20;
/// What could not be done where the system is short of something.
const NO_PROCESS: &str = "no process could be had for a job";
/// How long a job waits for a server in the place of a dead one.
const SERVER_WITHIN: Duration = Duration::from_secs(10);
/// How many fork servers may die within which time before the worker gives up.
const RESTARTS_MAX: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);

/// Runs executions, each on a horse.
pub(crate) struct HorsePool {
    rules: Rules,
    /// The worker's name.
    worker: String,
    /// The value of the variable by which a process knows that it helps this worker.
    helper_mark: String,
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

/// What the pool asks of the task that supervises an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HorseCommand {
    Stop(Stop),
    /// To kill its process, as if it had crashed.
    Crash,
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

/// What has become of a horse whose job has ended.
enum After {
    /// It can run another job.
    Idle(HorseHandle),
    /// It has run as many jobs as it may, and ends.
    Spent(HorseId),
    /// It is gone, or there was none.
    Gone,
}

impl HorsePool {
    pub(crate) fn new(
        rules: Rules,
        worker: String,
        helper_mark: String,
        inherited: Inherited,
        server: ServerHandle,
    ) -> HorsePool {
        let (sender, events) = unbounded_channel();
        HorsePool {
            rules,
            worker,
            helper_mark,
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
        self.server = launch::execute_server(&self.helper_mark, self.inherited)?;
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

/// What the task that supervises one execution has.
struct Supervision {
    /// The way to the newest server.
    controls: watch::Receiver<Control>,
    rules: Rules,
    horse: Option<HorseHandle>,
    commands: UnboundedReceiver<HorseCommand>,
    /// For the pool: whether the failure callback has begun.
    called_back: Arc<AtomicBool>,
}

impl Supervision {
    /// Runs the execution to its end, whatever the job does. Where a process dies before the job began, another gets
    /// it; where none can be had, the job does not begin.
    async fn run(mut self, execution: Execution) -> (Result<Ended, Want>, After) {
        // The time until signals counts from here, the wait for a process with it; the horse tells its job by a clock
        // of its own, which begins with the job.
        let mut end = Ending::new(execution.limit, &self.rules, Arc::clone(&self.called_back));
        let order = match run_order(&execution) {
            Ok(order) => order,
            Err(error) => {
                let failure = Failure::Executor(format!("the job cannot be passed on: {error}"));
                return (end.failed(failure), After::Gone);
            }
        };
        let mut last_death = None;
        for _ in 0..ASSIGNMENTS_MAX {
            let (mut horse, is_ordered) = match self.assign(&order).await {
                Ok(assigned) => assigned,
                Err(error) => return (Err(want(NO_PROCESS, &error)), After::Gone),
            };
            let has_read = match self.wait(&mut horse, &mut end).await {
                Answer::Ended(ended) => {
                    horse.jobs_run += 1;
                    let goes_on = horse.jobs_run < self.rules.jobs_per_horse;
                    let after = if goes_on { After::Idle(horse) } else { After::Spent(horse.id) };
                    return (ended, after);
                }
                Answer::Gone { has_read } => has_read,
            };
            // Part of an order is no order: a horse begins nothing before it has read all of it.
            end.began |= is_ordered && has_read;
            // The horse is dead, or has closed its socket and cannot report the outcome any more. A signal does not
            // change how a dead one has ended.
            self.signal(&horse, Signal::SIGKILL).await;
            let failure = match horse.ended().await {
                // Whatever else was asked for by now: what was never forked has not begun.
                Gone::NeverForked(reason) => return (Err(Want::new(reason)), After::Gone),
                Gone::Dead(death) => end.cause(*last_death.insert(death)),
                Gone::WithServer => end.cause_unseen(),
            };
            if end.is_due() {
                return (end.failed(failure), After::Gone);
            }
        }
        // Memory that is short for a large job alone is that job's: given back, it would be in the way of all others.
        let is_large = order.len() >= LARGE_ORDER_BYTES;
        let ended = match last_death.filter(|death| is_large && death.is_for_memory()) {
            Some(death) => end.failed(end.cause(death)),
            None => Err(Want::new(format!("{ASSIGNMENTS_MAX} processes died before a job began"))),
        };
        (ended, After::Gone)
    }

    /// Sends a horse the order. Returns the horse, and whether it was sent all of the order. A horse that was forked
    /// ahead may have died meanwhile; then a fresh one takes its place. If that is gone already,
    /// [`wait`](Supervision::wait) finds out why.
    async fn assign(&mut self, order: &[u8]) -> io::Result<(HorseHandle, bool)> {
        if let Some(mut horse) = self.horse.take()
            && horse.send(order).await.is_ok()
        {
            return Ok((horse, true));
        }
        let mut horse = self.fork().await?;
        let is_ordered = horse.send(order).await.is_ok();
        Ok((horse, is_ordered))
    }

    /// Has the server fork a horse; the next server, if this one dies.
    async fn fork(&mut self) -> io::Result<HorseHandle> {
        loop {
            // Marked as seen before the server is asked, so that its successor, however soon it comes, ends the wait
            // below.
            let control = self.controls.borrow_and_update().clone();
            let error = match control.fork().await {
                Err(error) if is_of_gone_server(&error) => error,
                forked => return forked,
            };
            match tokio::time::timeout(SERVER_WITHIN, self.controls.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(error),
            }
        }
    }

    /// Waits for the outcome. Ends the job when its time is up.
    async fn wait(&mut self, horse: &mut HorseHandle, end: &mut Ending) -> Answer {
        loop {
            let step = end.steps.next();
            tokio::select! {
                // An outcome that is there counts, even if a stop has come or the time is up by now.
                biased;
                report = horse.receive() => match report {
                    // From now on it has the callback's time.
                    Ok(Some(HorseReport::CallsBack { kind, limit })) => end.call_back(kind, limit),
                    Ok(Some(HorseReport::Ended(outcome))) => return Answer::Ended(Ok(ended(outcome))),
                    Ok(Some(HorseReport::Unbegun(reason))) => return Answer::Ended(Err(Want::new(reason))),
                    Ok(None) => return Answer::Gone { has_read: true },
                    // A socket that is closed with bytes unread is reset: that is how the system reports that the horse
                    // has not read its order. What it has not read may be a stop, too; but then its end is due anyway.
                    Err(error) => {
                        return Answer::Gone { has_read: error.kind() != io::ErrorKind::ConnectionReset };
                    }
                },
                Some(command) = self.commands.recv() => match command {
                    // No cause is noted: the job ends as one whose process has crashed.
                    HorseCommand::Crash => self.signal(horse, Signal::SIGKILL).await,
                    HorseCommand::Stop(how) => {
                        end.stop();
                        // A horse that cannot be sent an order any more is gone.
                        if let Ok(order) = frame(&HorseOrder::Stop) {
                            let _ = horse.send(&order).await;
                        }
                        // A job that is only asked, as one that Redis has given to another worker, may take its time.
                        if how == Stop::Kill {
                            end.kill_from(Instant::now() + self.rules.job_grace);
                        }
                    }
                },
                () = sleep_until(step.at) => {
                    self.signal(horse, step.signal).await;
                    end.steps.take();
                }
            }
        }
    }

    async fn signal(&self, horse: &HorseHandle, signal: Signal) {
        let control = self.controls.borrow().clone();
        control.signal(horse.id, signal).await;
    }
}

/// Whether an error says that the server at the other end is dead; others are of this process, which is short of
/// something.
fn is_of_gone_server(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// What comes of waiting for a horse.
enum Answer {
    /// Its job has ended, or does not begin.
    Ended(Result<Ended, Want>),
    /// The horse is dead, or has closed its socket. If it has not read all of its order, the job has not begun.
    Gone { has_read: bool },
}

/// What a horse reports of its job's end, as the worker's loop needs it.
fn ended(Outcome { outcome, ran, called_back }: Outcome) -> Ended {
    let outcome = outcome.map(|value| value.map(ByteBuf::into_vec)).map_err(Failure::from);
    Ended { outcome, ran, called_back }
}

/// The frame that has a horse run the execution. Its `data` may be large: no copy is kept beside the frame.
fn run_order(execution: &Execution) -> io::Result<Vec<u8>> {
    /// For all that is not `data`; more is fine.
    const ROOM_BYTES: usize = 4096;
    let (id, job) = (&execution.id, &execution.job);
    let fields = job.fields_beside_data().into_iter();
    let task = ExecutionFrame {
        job_id: id.job_id().into(),
        x: id.x().into(),
        data: Cow::Borrowed(Bytes::new(&job.data)),
        fields: fields.map(|(name, value)| (ByteBuf::from(name), ByteBuf::from(value))).collect(),
        limit: execution.limit,
        task: (&execution.task).into(),
    };
    // A buffer that grew by doubling would copy large data several times.
    frame_in(Vec::with_capacity(job.data.len() + ROOM_BYTES), &HorseOrder::Run(task))
}

/// Why a job, or the callback behind it, had to end, as far as the worker has asked or signaled it to.
struct Ending {
    since: Instant,
    limit: Option<Duration>,
    grace: Duration,
    memory_mb: Option<u64>,
    /// Whether it was asked to stop before it was sent a signal for its limit: whichever came first is why it ends.
    stopped: bool,
    /// Whether the job may have had effects.
    began: bool,
    /// Whether a signal that was meant for the job, or an earlier callback, may still be on its way.
    was_signaled: bool,
    /// Whether the failure callback has begun, for the pool to know as well.
    called_back: Arc<AtomicBool>,
    /// How long the job itself ran, once a callback has begun.
    ran: Option<Duration>,
    /// From when on it is signaled because it is to be killed.
    kill_from: Option<Instant>,
    steps: SignalSteps,
}

impl Ending {
    fn new(limit: Option<Duration>, rules: &Rules, called_back: Arc<AtomicBool>) -> Ending {
        Ending {
            since: Instant::now(),
            limit,
            grace: rules.job_grace,
            memory_mb: rules.memory_mb,
            stopped: false,
            began: false,
            was_signaled: false,
            called_back,
            ran: None,
            kill_from: None,
            steps: SignalSteps::new(limit, rules.job_grace),
        }
    }

    /// Notes that the job is asked to stop.
    fn stop(&mut self) {
        // After a signal for its limit the job ends for that; a stop which comes then changes nothing.
        self.stopped |= self.steps.taken == 0;
    }

    /// Notes that it is to be killed, however long it might take. The first request counts.
    fn kill_from(&mut self, from: Instant) {
        let from = *self.kill_from.get_or_insert(from);
        self.steps.begin(from);
    }

    /// Notes that the job has returned or failed, and a callback begins.
    fn call_back(&mut self, kind: CallbackKind, limit: Option<Duration>) {
        self.began = true;
        self.called_back.fetch_or(kind == CallbackKind::Failure, Ordering::Relaxed);
        self.ran.get_or_insert_with(|| self.since.elapsed());
        self.was_signaled |= self.steps.taken > 0;
        self.limit = limit;
        self.steps = SignalSteps::new(limit, self.grace);
        if let Some(from) = self.kill_from {
            self.steps.begin(from);
        }
    }

    fn is_signaled(&self) -> bool {
        self.steps.taken > 0 || self.was_signaled
    }

    /// The end with this failure.
    fn failed(&self, failure: Failure) -> Result<Ended, Want> {
        let ran = self.ran.unwrap_or_else(|| self.since.elapsed());
        Ok(Ended { outcome: Err(failure), ran, called_back: self.called_back.load(Ordering::Relaxed) })
    }

    /// Whether a process that is gone is the end of the job.
    fn is_due(&self) -> bool {
        self.began || self.stopped || self.is_signaled()
    }

    /// The failure of a job whose horse has died with its server, so that nobody can say how it ended.
    fn cause_unseen(&self) -> Failure {
        match self.limit {
            // Its worker has asked for its end, whatever ended it then.
            _ if self.stopped => Failure::Stopped,
            Some(limit) if self.is_signaled() => Failure::Timeout { limit },
            _ => Failure::Lost("the fork server has died, and the job's process with it".to_owned()),
        }
    }

    /// The failure of a job whose horse is gone without an outcome.
    fn cause(&self, death: Death) -> Failure {
        let usage = Usage::new(death.peak_rss_bytes, death.cpu);
        match (death.exit, self.limit, death.held_bytes.zip(self.memory_mb)) {
            // Whatever the process then ended by: the worker has asked for it.
            _ if self.stopped => Failure::Stopped,
            (Exit::Signal(_), Some(limit), _) if self.is_signaled() => Failure::Timeout { limit },
            (Exit::Signal(signal), _, Some((held_bytes, limit_mb))) => {
                Failure::OutOfMemory { over: Some(OverMemory { held_bytes, limit_mb }), signal, usage }
            }
            (Exit::Signal(signal), ..) if death.of_memory => {
                Failure::OutOfMemory { over: None, signal, usage }
            }
            (Exit::Signal(signal), ..) => Failure::Killed { signal, usage },
            (Exit::Code(code), ..) => Failure::Exited { code },
        }
    }
}

/// The signals to a job that does not end by itself: SIGTERM, then SIGKILL.
struct SignalSteps {
    from: Option<Instant>,
    taken: u32,
}

/// One of them.
struct SignalStep {
    at: Option<Instant>,
    signal: Signal,
}

impl SignalSteps {
    fn new(limit: Option<Duration>, grace: Duration) -> SignalSteps {
        // At the limit itself the job is told, in its horse; signals are for one that goes on after the grace.
        let from = limit.and_then(|limit| Instant::now().checked_add(limit.saturating_add(grace)));
        SignalSteps { from, taken: 0 }
    }

    /// Begins them no later than at `from`.
    fn begin(&mut self, from: Instant) {
        self.from = Some(self.from.map_or(from, |planned| planned.min(from)));
    }

    fn next(&self) -> SignalStep {
        match self.taken {
            0 => SignalStep { at: self.from, signal: Signal::SIGTERM },
            1 => SignalStep { at: self.from.map(|from| from + TERM_GRACE), signal: Signal::SIGKILL },
            // No signal is stronger: wait for the end.
            _ => SignalStep { at: None, signal: Signal::SIGKILL },
        }
    }

    fn take(&mut self) {
        self.taken += 1;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
