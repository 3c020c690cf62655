//! [`Herd`]: the executor. Each execution rides on a horse, which is a task here.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;
use rq_core::{Ended, Execution, ExecutionId, Executor, Failure, Stop};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::control::{Control, Horse};
use crate::frames::{Exit, Order, Outcome, Task};

/// How long a job that was sent SIGTERM has before SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// How the operator wants horses used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) slots: usize,
    pub(crate) jobs_per_horse: usize,
    /// How long a job that was told to end may take to do so before its process is ended.
    pub(crate) job_grace: Duration,
}

/// Runs executions, each on a horse.
pub(crate) struct Herd {
    rules: Rules,
    /// The fork server's socket, until there is a runtime.
    socket: Option<OwnedFd>,
    control: Option<Control>,
    idle: Vec<Horse>,
    running: HashMap<ExecutionId, UnboundedSender<Stop>>,
    tell: UnboundedSender<Arrived>,
    arrived: UnboundedReceiver<Arrived>,
    broken: Option<String>,
}

/// An execution that has ended, and its horse if that can go on.
struct Arrived {
    id: ExecutionId,
    ended: Ended,
    horse: Option<Horse>,
}

impl Herd {
    pub(crate) fn new(rules: Rules, socket: OwnedFd) -> Herd {
        let (tell, arrived) = unbounded_channel();
        let (idle, running) = (Vec::new(), HashMap::new());
        Herd { rules, socket: Some(socket), control: None, idle, running, tell, arrived, broken: None }
    }

    /// The way to the fork server, opened with the first execution: there is a runtime by then.
    fn control(&mut self) -> io::Result<Control> {
        if let Some(socket) = self.socket.take() {
            self.control = Some(Control::open(socket)?);
        }
        self.control.clone().ok_or_else(|| io::Error::other("the fork server is gone"))
    }

    fn absorb(&mut self, arrived: Arrived) -> (ExecutionId, Ended) {
        self.running.remove(&arrived.id);
        self.idle.extend(arrived.horse);
        if let Some(control) = self.control.as_ref().filter(|control| control.is_gone()) {
            self.broken = control.is_gone().then(|| "the fork server has died".to_owned());
            self.idle.clear();
        }
        (arrived.id, arrived.ended)
    }
}

#[async_trait]
impl Executor for Herd {
    fn slots(&self) -> usize {
        self.rules.slots
    }

    fn start(&mut self, execution: Execution) {
        let (stop, stops) = unbounded_channel();
        self.running.insert(execution.id.clone(), stop);
        let ride = match self.control() {
            Ok(control) => Ok(Ride { control, rules: self.rules, horse: self.idle.pop(), stops }),
            Err(error) => Err(error),
        };
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let id = execution.id.clone();
            let (ended, horse) = match ride {
                Ok(ride) => ride.run(execution).await,
                Err(error) => (failed(error.to_string(), Duration::ZERO), None),
            };
            // Nobody waits when the worker has left.
            let _ = tell.send(Arrived { id, ended, horse });
        });
    }

    fn stop(&mut self, id: &ExecutionId, how: Stop) {
        if let Some(stop) = self.running.get(id) {
            // One that has just ended is beyond stopping.
            let _ = stop.send(how);
        }
    }

    async fn ended(&mut self) -> (ExecutionId, Ended) {
        match self.arrived.recv().await {
            Some(arrived) => self.absorb(arrived),
            None => unreachable!("the herd itself holds a sender"),
        }
    }

    fn exhausted(&self) -> Option<String> {
        self.broken.clone()
    }
}

fn failed(reason: String, ran: Duration) -> Ended {
    Ended { outcome: Err(Failure::Executor(reason)), ran }
}

/// One execution on its way.
struct Ride {
    control: Control,
    rules: Rules,
    horse: Option<Horse>,
    stops: UnboundedReceiver<Stop>,
}

impl Ride {
    /// Runs it to its end, whatever the job does.
    async fn run(mut self, execution: Execution) -> (Ended, Option<Horse>) {
        let began = Instant::now();
        let horse = match self.horse.take() {
            Some(horse) => Ok(horse),
            None => self.control.fork().await,
        };
        let mut horse = match horse {
            Ok(horse) => horse,
            Err(error) => {
                return (
                    failed(format!("no process could be had for the job: {error}"), began.elapsed()),
                    None,
                );
            }
        };
        let limit = execution.limit;
        let mut end = End { limit, stopped: false, steps: Steps::new(limit, self.rules.job_grace) };
        let order = Order::Run(task_of(&execution));
        let outcome = match horse.send(&order).await {
            Ok(()) => self.wait(&mut horse, &mut end).await,
            // It has died already: its end says why.
            Err(_) => None,
        };
        match outcome {
            Some(Outcome { outcome, ran }) => {
                horse.jobs_run += 1;
                let fresh = horse.jobs_run < self.rules.jobs_per_horse;
                (Ended { outcome: outcome.map_err(Failure::from), ran }, fresh.then_some(horse))
            }
            None => {
                let exit = horse.ended().await;
                (Ended { outcome: Err(end.cause(exit)), ran: began.elapsed() }, None)
            }
        }
    }

    /// Waits for the outcome; `None` when the horse is gone without one. Ends the job when its time is up.
    async fn wait(&mut self, horse: &mut Horse, end: &mut End) -> Option<Outcome> {
        loop {
            let step = end.steps.next();
            tokio::select! {
                biased;
                outcome = horse.receive() => return outcome.ok().flatten(),
                Some(how) = self.stops.recv() => {
                    end.stopped = true;
                    // A horse that cannot be told any more is gone.
                    let _ = horse.send(&Order::Stop).await;
                    if how == Stop::Kill {
                        end.steps.begin(Instant::now() + self.rules.job_grace);
                    }
                }
                () = sleep_until(step.at) => {
                    self.control.signal(horse.id, step.signal).await;
                    end.steps.take();
                }
            }
        }
    }
}

fn task_of(execution: &Execution) -> Task {
    let fields = execution.job.to_fields();
    let fields = fields.iter().map(|(field, value)| (field.to_vec(), value.to_vec()));
    Task {
        job_id: execution.id.job_id().to_owned(),
        x: execution.id.x().to_owned(),
        fields: fields.collect(),
        limit: execution.limit,
    }
}

/// Why a job had to end, as far as we had a hand in it.
struct End {
    limit: Option<Duration>,
    stopped: bool,
    steps: Steps,
}

impl End {
    /// What a horse that is gone without an outcome means for its job.
    fn cause(&self, exit: Exit) -> Failure {
        match (exit, self.limit) {
            _ if self.stopped => Failure::Stopped,
            (Exit::Signal(_), Some(limit)) if self.steps.taken > 0 => Failure::Timeout { limit },
            (Exit::Signal(signal), _) => Failure::Killed { signal },
            (Exit::Code(code), _) => Failure::Exited { code },
        }
    }
}

/// What is done to a job that does not end by itself: SIGTERM, then SIGKILL.
struct Steps {
    from: Option<Instant>,
    taken: u32,
}

/// One of them.
struct Step {
    at: Option<Instant>,
    signal: Signal,
}

impl Steps {
    fn new(limit: Option<Duration>, grace: Duration) -> Steps {
        let from = limit.and_then(|limit| Instant::now().checked_add(limit.saturating_add(grace)));
        Steps { from, taken: 0 }
    }

    /// Begins them no later than at `from`.
    fn begin(&mut self, from: Instant) {
        self.from = Some(self.from.map_or(from, |planned| planned.min(from)));
    }

    fn next(&self) -> Step {
        match self.taken {
            0 => Step { at: self.from, signal: Signal::SIGTERM },
            1 => Step { at: self.from.map(|from| from + TERM_GRACE), signal: Signal::SIGKILL },
            // Nothing is stronger; what is left is to wait for its end.
            _ => Step { at: None, signal: Signal::SIGKILL },
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
