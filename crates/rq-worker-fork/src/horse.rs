//! A horse: a process that runs one job, or a few, one after the other.

use std::os::unix::net::UnixStream;
use std::process::exit;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rq_core::link::BlockingLink;
use rq_core::steps::worker::{Claimed, save_meta};
use rq_core::{
    BoxError, Context, DeathPenalty, Error, ExecutionId, Failure, Handlers, Host, Interrupt, Job, Keys,
    States, panics,
};
use rq_worker::{Line, run_until_interrupted};

use crate::RETURN_GRACE;
use crate::frames::{Order, Outcome, Task, Told, read, write};

/// What every horse is born with.
pub(crate) struct Stable {
    pub(crate) handlers: Handlers,
    pub(crate) states: Arc<States>,
    pub(crate) death_penalties: Vec<Arc<dyn DeathPenalty>>,
    pub(crate) url: String,
    pub(crate) keys: Keys,
    /// How many jobs one horse runs.
    pub(crate) jobs_per_horse: usize,
    /// How much memory a horse may have.
    pub(crate) memory_mb: Option<u64>,
}

/// Runs what comes over `socket`, until there is no more or this horse has run its share.
pub(crate) fn serve(socket: UnixStream, stable: &Stable) {
    let Ok(mut answers) = socket.try_clone() else { return };
    let reins = Arc::new(Reins::default());
    let tasks = listen(socket, &reins);
    let line = Arc::new(Line::new(stable.url.clone(), stable.keys.clone()));
    for _ in 0..stable.jobs_per_horse {
        let Ok(task) = tasks.recv() else { return };
        let outcome = run(task, stable, &reins, &line);
        if write(&mut answers, &outcome).is_err() {
            return;
        }
    }
}

/// Hears orders beside the job, so that it can be asked to stop. Without its worker a horse has nothing to live for.
fn listen(mut socket: UnixStream, reins: &Arc<Reins>) -> Receiver<Task> {
    let (tell, tasks) = channel();
    let reins = Arc::clone(reins);
    let hear = move || {
        loop {
            match read(&mut socket) {
                Ok(Some(Order::Run(task))) => match tell.send(task) {
                    Ok(()) => {}
                    Err(_) => return,
                },
                Ok(Some(Order::Stop)) => reins.pull(),
                Ok(None) | Err(_) => exit(0),
            }
        }
    };
    // A horse that cannot hear runs nothing: the channel closes, and it ends.
    let _ = thread::Builder::new().name("rq-reins".to_owned()).spawn(hear);
    tasks
}

/// Stops the job that runs.
#[derive(Default)]
struct Reins {
    running: Mutex<Option<Arc<Interrupt>>>,
}

impl Reins {
    fn hold(&self, interrupt: Option<Arc<Interrupt>>) {
        *self.running() = interrupt;
    }

    fn pull(&self) {
        if let Some(interrupt) = &*self.running() {
            interrupt.stop();
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Interrupt>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(task: Task, stable: &Stable, reins: &Reins, line: &Arc<Line>) -> Outcome {
    let began = Instant::now();
    let interrupt = Arc::new(Interrupt::new(task.limit));
    reins.hold(Some(Arc::clone(&interrupt)));
    let outcome = panics::catch(|| perform(task, stable, &interrupt, line));
    reins.hold(None);
    let outcome = outcome.unwrap_or_else(|panic| Err(Failure::Panic(panic)));
    Outcome { outcome: outcome.map_err(Told::from), ran: began.elapsed() }
}

fn perform(
    task: Task,
    stable: &Stable,
    interrupt: &Arc<Interrupt>,
    line: &Arc<Line>,
) -> Result<Option<Vec<u8>>, Failure> {
    let Task { job_id, x, fields, limit } = task;
    let malformed =
        |error: rq_core::FieldError| Failure::Malformed { field: error.field, reason: error.reason };
    let job = Arc::new(Job::from_fields(&*job_id, fields.into_iter().collect()).map_err(malformed)?);
    let execution = ExecutionId::from_parts(&job_id, &x);
    let host = Arc::new(Mount { line: Arc::clone(line), origin: job.origin.clone() });
    let states = Arc::clone(&stable.states);
    let context = Context::new(Arc::clone(&job), execution, Arc::clone(interrupt), host, states);
    let prepared = stable.handlers.prepare(&job)?;
    let _armed: Vec<_> = stable.death_penalties.iter().map(|penalty| penalty.arm(&context, limit)).collect();
    if !prepared.is_async() {
        return prepared.run(&context);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::Executor(format!("the runtime for async jobs could not start: {error}")))?;
    runtime.block_on(run_until_interrupted(prepared, &context, interrupt, RETURN_GRACE))
}

/// What a horse does for the job it runs.
struct Mount {
    line: Arc<Line>,
    origin: String,
}

impl Host for Mount {
    fn link(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        self.line.open()
    }

    fn save_meta(&self, execution: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError> {
        let claimed = Claimed { id: execution.clone(), origin: self.origin.clone() };
        let (link, keys) = self.line.open()?;
        link.take(&save_meta(&keys, &[(claimed, meta)]))?;
        Ok(())
    }
}
