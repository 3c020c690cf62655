//! A horse: a process that runs one job, or a few, one after the other.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rq_core::link::BlockingLink;
use rq_core::steps::worker::{Claimed, save_meta};
use rq_core::{BoxError, Ended, Error, ExecutionId, Failure, FieldError, Fields, Host, Interrupt, Job, Keys};
use rq_worker::{Jobs, Line};

use crate::RETURN_GRACE;
use crate::frames::{Note, Order, Outcome, Task, Told, read, write};

/// What every horse is born with.
pub(crate) struct Stable {
    pub(crate) jobs: Jobs,
    pub(crate) url: String,
    pub(crate) keys: Keys,
    /// How many jobs one horse runs.
    pub(crate) jobs_per_horse: usize,
    /// How much memory a horse may have.
    pub(crate) memory_mb: Option<u64>,
}

/// The exit code of a horse that could not tell how its job ended: "input/output error" in `sysexits.h`.
const UNTOLD: i32 = 74;

/// Runs what comes over `socket`, until there is no more or this horse has run its share.
pub(crate) fn serve(socket: UnixStream, stable: &Stable) {
    let Ok(mut answers) = socket.try_clone() else { return };
    let errands = listen(socket);
    let line = Arc::new(Line::new(stable.url.clone(), stable.keys.clone()));
    for _ in 0..stable.jobs_per_horse {
        let Ok(errand) = errands.recv() else { return };
        if write(&mut answers, &Note::Began).is_err() {
            return;
        }
        let outcome = run(errand, stable, &line);
        if tell(&mut answers, outcome).is_err() {
            exit(UNTOLD);
        }
    }
}

/// A job to run, and what stops it.
struct Errand {
    task: Task<'static>,
    interrupt: Arc<Interrupt>,
}

/// Hears orders beside the job, so that it can be asked to stop. Without its worker a horse has nothing to live for.
fn listen(mut socket: UnixStream) -> Receiver<Errand> {
    let (tell, errands) = channel();
    let hear = move || {
        // From the moment the job is heard of, so that a stop right behind it is not lost.
        let mut latest: Option<Arc<Interrupt>> = None;
        loop {
            match read(&mut socket) {
                Ok(Some(Order::Run(task))) => {
                    let interrupt = Arc::new(Interrupt::new(task.limit));
                    latest = Some(Arc::clone(&interrupt));
                    if tell.send(Errand { task, interrupt }).is_err() {
                        return;
                    }
                }
                // One that comes late finds a job that has ended.
                Ok(Some(Order::Stop)) => latest.iter().for_each(|interrupt| interrupt.stop()),
                Ok(None) | Err(_) => exit(0),
            }
        }
    };
    // A horse that cannot hear runs nothing: the channel closes, and it ends.
    let _ = thread::Builder::new().name("rq-reins".to_owned()).spawn(hear);
    errands
}

/// Says how the job ended; where that is too much for a frame, that it was.
fn tell(answers: &mut UnixStream, outcome: Outcome) -> io::Result<()> {
    let ran = outcome.ran;
    match write(answers, &Note::Ended(outcome)) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let failure =
                Failure::Executor(format!("the outcome of the job could not be passed on: {error}"));
            write(answers, &Note::Ended(Outcome { outcome: Err(Told::from(failure)), ran }))
        }
        told => told,
    }
}

fn run(errand: Errand, stable: &Stable, line: &Arc<Line>) -> Outcome {
    let Errand { task: Task { job_id, x, data, fields, limit: _ }, interrupt } = errand;
    let mut fields: Fields = fields.into_iter().collect();
    fields.set("data", data);
    let id = ExecutionId::from_parts(&job_id, &x);
    let job = match Job::from_fields(&*job_id, fields) {
        Ok(job) => Arc::new(job),
        Err(FieldError { field, reason }) => {
            let failure = Failure::Malformed { field, reason };
            return Outcome { outcome: Err(Told::from(failure)), ran: Duration::ZERO };
        }
    };
    let host = Arc::new(Mount { line: Arc::clone(line), origin: job.origin.clone() });
    let Ended { outcome, ran } = stable.jobs.run(&id, &job, &interrupt, host, RETURN_GRACE, drive);
    Outcome { outcome: outcome.map_err(Told::from), ran }
}

/// Runs an async handler to its end, on a runtime of its own.
fn drive<T>(handler: BoxFuture<'_, Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::Executor(format!("the runtime for async jobs could not start: {error}")))?;
    runtime.block_on(handler)
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

#[cfg(test)]
mod tests {
    use rq_core::Interrupted;

    use super::*;
    use crate::frames::frame;

    #[test]
    fn a_stop_right_behind_its_job_is_heard_and_one_before_it_is_not() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let task = |job_id: &'static str| {
            Order::Run(Task {
                job_id: job_id.into(),
                x: "x".into(),
                data: Vec::new().into(),
                fields: Vec::new(),
                limit: None,
            })
        };
        let orders = [Order::Stop, task("stopped"), Order::Stop, task("not")];
        let bytes: Vec<u8> = orders.iter().flat_map(|order| frame(order).unwrap()).collect();
        io::Write::write_all(&mut &ours, &bytes).unwrap();
        // Without its worker a horse ends, which here is the test program.
        std::mem::forget(ours);
        let errands = listen(theirs);
        let [stopped, not] = [errands.recv().unwrap(), errands.recv().unwrap()];
        assert_eq!((&*stopped.task.job_id, &*not.task.job_id), ("stopped", "not"));
        assert!(matches!(stopped.interrupt.sleep(Duration::from_secs(10)), Err(Interrupted::JobStopped)));
        assert!(not.interrupt.check().is_ok());
    }
}
