//! A horse: a process that runs one job, or a few, one after the other.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{Pid, setpgid};
use rq_core::link::BlockingLink;
use rq_core::steps::Claimed;
use rq_core::steps::claim::save_meta;
use rq_core::{
    BoxError, CallbackKind, Ended, Error, ExecutionId, Failure, FieldError, Fields, Host, Interrupt, Job,
    JobOutcome, Keys, Shown, Want,
};
use rq_process::{Inherited, Signal, SingleThreaded, Title};
use rq_worker::{Jobs, LazyConnection, Site, want};
use serde_bytes::{ByteBuf, Bytes};
use tokio::runtime::Runtime;

use crate::RETURN_GRACE;
use crate::frames::{
    ExecutionFrame, HorseOrder, HorseReport, Outcome, RemoteFailure, TaskFrame, frame, read,
};
use crate::inbox::{Assignment, Inbox};
use crate::server::HORSE_NAME;
use crate::teller::Teller;

/// What every horse inherits from the fork server.
pub(crate) struct HorseConfig {
    pub(crate) jobs: Jobs,
    pub(crate) url: String,
    pub(crate) keys: Keys,
    /// How many jobs one horse runs.
    pub(crate) jobs_per_horse: usize,
    /// How much memory a job may hold, in MB.
    pub(crate) memory_mb: Option<u64>,
    /// Where the process's title is, if that is known.
    pub(crate) title: Option<Title>,
    /// Whether the title may show the function that the job calls.
    pub(crate) shows_calls: bool,
}

/// A process that is to be a horse.
pub(crate) struct NewHorse {
    pub(crate) master: Pid,
    pub(crate) socket: OwnedFd,
    pub(crate) single_threaded: SingleThreaded,
}

impl NewHorse {
    pub(crate) fn become_horse(&self, inherited: &Inherited) -> io::Result<()> {
        // First of all: a server that dies from here on takes this horse along.
        rq_process::die_with(self.master, Signal::SIGKILL)?;
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        // The horse adopts what its job starts, or the server would kill that as left behind while the horse lives.
        rq_process::adopt_orphans()?;
        // The server's mask would keep SIGCHLD from jobs.
        inherited.restore_mask()?;
        rq_process::name_process(HORSE_NAME);
        Ok(())
    }
}

/// The variable with the job's id, for the job and the processes that it starts; as in RQ (docs/cli.md §2).
const JOB_VARIABLE: &str = "RQ_JOB_ID";

/// The exit code of a horse that could not report how its job ended: "input/output error" in `sysexits.h`.
const UNTOLD: i32 = 74;

/// How large the stack of a job is where the system sets no limit to that of a program.
const STACK_BYTES_DEFAULT: usize = 8 << 20;

/// Runs the jobs that come over `socket`, until there are no more or this horse has run as many as it may; then ends
/// this process.
pub(crate) fn serve(socket: UnixStream, config: HorseConfig, single_threaded: SingleThreaded) -> ! {
    let socket = Arc::new(socket);
    let teller = Arc::new(Teller::new(Arc::clone(&socket)));
    let inbox = Inbox::new(socket);
    // The end of the socket: the pool wants no more of this horse, or the worker is gone.
    let Some(first) = inbox.next() else { rq_process::end(0) };
    // Where several jobs run here, none gets a title: once a job has run there may be threads.
    if config.jobs_per_horse == 1 {
        introduce(&first.task, &config, &single_threaded);
    }
    // Never freed: that would write to pages, which the system then copies.
    let horse: &Horse = Box::leak(Box::new(Horse { inbox, teller, first: Mutex::new(Some(first)), config }));
    // A job waits in system calls that fail of a signal, whatever its handler asks for (signal(7)); and were signals
    // blocked, they would be in the programs that it starts. So it runs beside this thread, to which the system gives them.
    let thread = thread::Builder::new().name("rq-job".to_owned()).stack_size(stack_bytes());
    match thread.spawn(|| horse.run()) {
        Ok(thread) => drop(thread.join()),
        // The order was read, so that its job counts as begun, and is run.
        Err(_) => horse.run(),
    }
    rq_process::end(UNTOLD)
}

/// The stack that a program's first thread may have.
fn stack_bytes() -> usize {
    let limit = getrlimit(Resource::RLIMIT_STACK).ok().filter(|(soft, _)| *soft != RLIM_INFINITY);
    limit.and_then(|(soft, _)| usize::try_from(soft).ok()).unwrap_or(STACK_BYTES_DEFAULT)
}

/// A process that has its first job.
struct Horse {
    inbox: Inbox,
    teller: Arc<Teller>,
    /// Until it is begun.
    first: Mutex<Option<Assignment>>,
    config: HorseConfig,
}

impl Horse {
    /// Runs its jobs, and ends this process.
    fn run(&self) -> ! {
        // The socket is left to the system to close: the job may have closed it already.
        rq_process::end(self.run_jobs())
    }

    /// Returns the exit code.
    fn run_jobs(&self) -> i32 {
        let config = &self.config;
        // Opened by the first job that asks for it: the others cost Redis no connection.
        let connection = Arc::new(LazyConnection::new(config.url.clone(), config.keys.clone()));
        let mut next = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        for job in 1..=config.jobs_per_horse {
            let Some(assignment) = next.take() else { return 0 };
            let report = match run(assignment, config, &connection, Some(&self.teller)) {
                Ok(outcome) => HorseReport::Ended(outcome),
                Err(want) => HorseReport::Unbegun(want.to_string()),
            };
            if self.teller.tell(&report).is_err() {
                return UNTOLD;
            }
            if job < config.jobs_per_horse {
                next = self.inbox.next();
            }
        }
        0
    }
}

/// Does in the server, once, what each horse does for a job, up to the point where it looks for the job's function.
/// Horses inherit what that sets up, and what they allocate lies where this has left room, side by side: some six page
/// faults of seventy less for each.
pub(crate) fn rehearse(config: &HorseConfig) {
    const TIME: &[u8] = b"2026-01-01T00:00:00.000000Z";
    const FIELDS: [(&str, &[u8]); 8] = [
        ("status", b"started"),
        ("origin", b"default"),
        ("description", b"rehearsal(1, x='y')"),
        ("created_at", TIME),
        ("enqueued_at", TIME),
        ("started_at", TIME),
        ("timeout", b"180"),
        ("meta", b"{}"),
    ];
    let connection = Arc::new(LazyConnection::new(config.url.clone(), config.keys.clone()));
    let fields = FIELDS.map(|(name, value)| (ByteBuf::from(name), ByteBuf::from(value)));
    let task = ExecutionFrame {
        job_id: "00000000-0000-0000-0000-000000000000".into(),
        x: "00000000000000000000000000000000".into(),
        data: Cow::Borrowed(Bytes::new(br#"["rehearsal", null, [1], {"x": "y"}]"#)),
        fields: fields.into(),
        limit: None,
        task: TaskFrame::Job,
    };
    let heard = frame(&HorseOrder::Run(task)).and_then(|frame| read(&mut frame.as_slice()));
    if let Ok(Some(HorseOrder::Run(task))) = heard {
        let interrupt = Arc::new(Interrupt::new(task.limit));
        let outcome = run(Assignment { task, interrupt }, config, &connection, None);
        // The outcome, that there is no such function, goes nowhere.
        drop(outcome.map(|outcome| frame(&HorseReport::Ended(outcome))));
    }
}

/// Shows in lists of processes, and to the processes that the job starts, which job this process runs.
fn introduce(task: &ExecutionFrame<'_>, config: &HorseConfig, single_threaded: &SingleThreaded) {
    rq_process::set_variable(single_threaded, JOB_VARIABLE, &task.job_id);
    let Some(title) = config.title else { return };
    let field = |name: &str| {
        let (_, value) = task.fields.iter().find(|(field, _)| *field == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    };
    let origin = field("origin").unwrap_or_default();
    // Arguments may be secret, and everybody can list processes.
    let function = field("description").filter(|_| config.shows_calls).and_then(function_of);
    let show = |text: fmt::Arguments<'_>| title.set(single_threaded, Shown::line(text));
    match function {
        Some(function) => show(format_args!("rq: {function} from {origin}, {}", task.job_id)),
        None => show(format_args!("rq: {} from {origin}", task.job_id)),
    }
}

/// The function of a description that has the shape of a call, as one has that nobody gave: one of the job's own may tell a
/// secret. The payload, which would say it for certain, is not unpacked for a title.
fn function_of(description: &str) -> Option<&str> {
    let (path, _) = description.split_once('(')?;
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
    };
    path.split('.').flat_map(|part| part.split("::")).all(is_name).then_some(path)
}

fn run(
    assignment: Assignment,
    config: &HorseConfig,
    connection: &Arc<LazyConnection>,
    worker: Option<&Arc<Teller>>,
) -> Result<Outcome, Want> {
    let Assignment { task: ExecutionFrame { job_id, x, data, fields, limit: _, task }, interrupt } =
        assignment;
    let fields = fields.into_iter().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let mut fields: Fields = fields.collect();
    fields.set("data", data.into_owned().into_vec());
    let id = ExecutionId::from_parts(&job_id, &x);
    // The worker has read this record before it sent it; should the two differ, the job fails as it would there.
    let job = match Job::from_fields(&*job_id, fields) {
        Ok(job) => Arc::new(job),
        Err(FieldError { field, reason, .. }) => {
            let failure = Failure::Malformed { field, reason };
            return Ok(Outcome {
                outcome: Err(RemoteFailure::from(failure)),
                ran: Duration::ZERO,
                called_back: false,
            });
        }
    };
    if let Some(worker) = worker.map(Arc::clone) {
        // A worker that is gone ends this process.
        interrupt.tell_time_outs(move |limit| drop(worker.tell(&HorseReport::TimedOut { limit })));
    }
    let host = Arc::new(HorseHost::new(Arc::clone(connection), &job));
    let thread = JobThread { interrupt: &interrupt, worker, runtime: Cell::default() };
    let Ended { outcome, ran, called_back } = config.jobs.run(&id, &job, &task.into(), host, &thread)?;
    let outcome = outcome.map(|value| value.map(ByteBuf::from)).map_err(RemoteFailure::from);
    Ok(Outcome { outcome, ran, called_back })
}

/// The thread of a horse that runs its job.
struct JobThread<'a> {
    interrupt: &'a Arc<Interrupt>,
    /// The way to the worker; none in a rehearsal.
    worker: Option<&'a Arc<Teller>>,
    /// For the async handler that begins next.
    runtime: Cell<Option<Runtime>>,
}

impl Site for JobThread<'_> {
    fn interrupt(&self) -> &Arc<Interrupt> {
        self.interrupt
    }

    fn return_grace(&self) -> Duration {
        RETURN_GRACE
    }

    fn begin_callback(&self, kind: CallbackKind, limit: Option<Duration>) -> bool {
        // A worker that does not know of the callback would end it at the job's limit, and have it called again.
        let told =
            self.worker.is_some_and(|worker| worker.tell(&HorseReport::CallsBack { kind, limit }).is_ok());
        if told {
            self.interrupt.rearm(limit);
        }
        told
    }

    fn get_ready(&self) -> Result<(), Want> {
        self.runtime.set(Some(runtime()?));
        Ok(())
    }

    /// On a runtime of its own.
    fn drive(&self, handler: BoxFuture<'_, JobOutcome>) -> Result<JobOutcome, Want> {
        let runtime = self.runtime.take().map_or_else(runtime, Ok)?;
        Ok(runtime.block_on(handler))
    }
}

fn runtime() -> Result<Runtime, Want> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| want("the runtime for async jobs could not start", &error))
}

/// What a horse does for the job it runs.
struct HorseHost {
    connection: Arc<LazyConnection>,
    origin: String,
    worker: String,
}

impl HorseHost {
    fn new(connection: Arc<LazyConnection>, job: &Job) -> HorseHost {
        // The claim wrote the worker's name.
        let worker = job.worker_name.clone().unwrap_or_default();
        HorseHost { connection, origin: job.origin.clone(), worker }
    }
}

impl Host for HorseHost {
    fn link(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        self.connection.open()
    }

    fn save_meta(&self, execution: &ExecutionId, meta: Vec<u8>) -> Result<(), BoxError> {
        let claimed = Claimed { id: execution.clone(), origin: self.origin.clone() };
        // Sent from here: the step is fenced by the execution in rq:wip, whoever sends it.
        let (link, keys) = self.connection.open()?;
        link.run(&save_meta(&keys, &self.worker, &[(claimed, meta)]))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_shows_the_function_of_a_call_and_no_description_of_the_jobs_own() {
        for (description, function) in [
            ("math.add(2, 3)", Some("math.add")),
            ("add()", Some("add")),
            ("shop::tasks::send_2(x='y')", Some("shop::tasks::send_2")),
            ("builtins.print('pay (card)')", Some("builtins.print")),
            ("pay card 4111 of bob", None),
            ("pay card 4111 (bob's)", None),
            ("4111(bob)", None),
            ("pay.4111(bob)", None),
            ("bob@example.com(x)", None),
            ("(x)", None),
            ("a..b(x)", None),
            ("", None),
        ] {
            assert_eq!(function_of(description), function, "{description}");
        }
    }
}
