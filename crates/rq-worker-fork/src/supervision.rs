//! [`Supervision`]: the task that sees one execution through, on the horses that it takes.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rq_core::{Ended, Execution, Failure, Stop, Want};
use rq_worker::want;
use serde_bytes::{ByteBuf, Bytes};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::control::{Control, Gone, HorseHandle};
use crate::ending::Ending;
use crate::frames::{ExecutionFrame, HorseId, HorseOrder, HorseReport, Outcome, frame, frame_in};
use crate::rules::Rules;

/// How many processes may die before one job has begun.
const ASSIGNMENTS_MAX: usize = 3;
/// From how many bytes on an order may itself be why its horse has no memory to read it.
const LARGE_ORDER_BYTES: usize = 8 << 20;
/// What could not be done where the system is short of something.
pub(crate) const NO_PROCESS: &str = "no process could be had for a job";
/// How long a job waits for a server in the place of a dead one.
const SERVER_WITHIN: Duration = Duration::from_secs(10);

/// What the task that supervises one execution has.
pub(crate) struct Supervision {
    /// The way to the newest server.
    pub(crate) controls: watch::Receiver<Control>,
    pub(crate) rules: Rules,
    pub(crate) horse: Option<HorseHandle>,
    pub(crate) commands: UnboundedReceiver<HorseCommand>,
    /// For the pool: whether the failure callback has begun.
    pub(crate) called_back: Arc<AtomicBool>,
}

/// What the pool asks of the task that supervises an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HorseCommand {
    Stop(Stop),
    /// To kill its process, as if it had crashed.
    Crash,
}

/// What has become of a horse whose job has ended.
pub(crate) enum After {
    /// It can run another job.
    Idle(HorseHandle),
    /// It has run as many jobs as it may, and ends.
    Spent(HorseId),
    /// It is gone, or there was none.
    Gone,
}

impl Supervision {
    /// Runs the execution to its end, whatever the job does. Where a process dies before the job began, another gets
    /// it; where none can be had, the job does not begin.
    pub(crate) async fn run(mut self, execution: Execution) -> (Result<Ended, Want>, After) {
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
                    Ok(Some(HorseReport::TimedOut { limit })) => end.time_out(limit),
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

/// Waits until then; for ever where there is no such time.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
