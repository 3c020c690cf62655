//! `rq worker`: runs jobs (docs/cli.md §2).

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rq_core::{OnCrash, Ttl};
use rq_cron::Cron;
use rq_worker::number::{self, SECONDS_MAX};
use rq_worker::{
    DequeueStrategy, LEASE_DEFAULT, LEASE_MIN, Options, Scheduling, WebhookAllow, WebhookAllowError,
    WebhookOptions, WebhookSecret, WorkerError, last_words,
};
use tracing::Level;

use crate::app::App;
use crate::chosen::Chosen;
use crate::classes::WorkerClasses;
use crate::commands::worker_stop;
use crate::cron_source::{CronSource, FILE_DEFAULT};
use crate::executors::Given;
use crate::log;
use crate::logging::{self, Logging};
use crate::names;
use crate::output::say;
use crate::paint::{Colour, Paint};
use crate::pieces::Pieces;
use crate::refusal::Refusal;
use crate::sentry::SentryArgs;
use crate::server::{PathUse, Server, Shared};
use crate::settings::origin::Origin;
use crate::settings::{Sentry, Settings};
use crate::supervisor::Supervisor;
use crate::text::Text;

/// The command's name.
pub(crate) const NAME: &str = "worker";
/// The option of workers that somebody keeps.
pub(crate) const START_SUSPENDED: &str = "--start-suspended";
/// What webhooks are signed with. No option: the arguments of a program are for everybody to see.
const SECRET_VARIABLE: &str = "RQ_WEBHOOK_SECRET";
/// The most bytes of a file with such a secret.
const SECRET_BYTES_MAX: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  my-jobs worker high default             # a program that is an rq
  rq worker --app ./my-jobs high default  # the same
  rq worker --app ./my-jobs --burst       # stop when all queues are empty
  my-jobs worker --with-scheduler         # also be a scheduler
  my-jobs worker --with-cron=rq.toml      # also run the cron of a file
  rq worker stop w1                       # ask the worker w1 to leave";

const PROMISES: &str = "\
Time limits (a job's timeout, 180 s unless its producer says otherwise):
  fork    At the limit `ctx.check()` fails, sleeps of `ctx` wake, and async code is
          dropped at its next await. A job that goes on regardless is sent SIGTERM
          after --job-grace, SIGKILL a second later, with all it has started.
          Promised: the job is over then, whatever it does; its memory, files and
          processes are gone, and the worker and other jobs are unharmed.
          Not promised: that destructors run after SIGKILL.
  thread  At the limit `ctx.check()` fails, sleeps of `ctx` wake, and async code is
          dropped at its next await.
          Promised: the job is failed on time, and its slot runs other jobs.
          Not promised: that code which never asks stops. Its thread is replaced and
          counts as stuck; when as many are stuck as there are slots, the worker
          drains and exits with 1, for a supervisor to start a fresh one. Nothing
          keeps an abort or a memory leak of a job from the worker.
  green   At the limit `ctx.check()` fails, and sleeps of `ctx` wake. A job that still
          waits a moment later, for a channel or a connection of its coroutine's, is
          unwound from there, and async code is dropped at its next await.
          Promised: the job is failed on time, and its slot runs other jobs.
          Not promised: that code which computes, or waits as threads do, stops. It
          blocks a thread that coroutines share; when half of those are lost, the
          worker drains and exits with 1. Nothing keeps an abort or a memory leak of a
          job from the worker; a panic or a stack overflow is the job's alone.

Workers that die or freeze: a worker that stops heartbeating keeps its jobs for --lease
seconds; then any other worker ends them. A job that had not begun waits again. A job that
may have begun is retried if it has retries left, else failed, or run again with
--on-crash requeue. So is a job whose process was killed, by want of memory say, or by the
command kill-horse, while its worker lives.

Schedulers (--with-scheduler): a queue has one at a time, ours or Python's. When it dies,
another takes the queue over within a minute or so.

Signals: the first SIGINT or SIGTERM lets running jobs end; a second one, a second later at
the earliest, ends them, as does --stop-timeout. They have failed then, or wait again where
they have retries left or may run twice (--on-crash requeue). A SIGTERM that is sent to the
whole process group or control group ends no job, but may end programs that jobs have
started. SIGUSR1 has the worker log its state. SIGHUP and SIGQUIT end it at once, as if it
had died.

Exit codes:
  0  ended, whatever became of the jobs
  1  could not start, suspended, or exhausted
  2  arguments not understood, or no jobs to run";

/// Run jobs: take them off queues, the first queue first.
///
/// Logs to standard output, and errors to standard error. The worker detects the codec of each job.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = PROMISES)]
pub(crate) struct Args {
    /// The queues to serve [default: the setting QUEUES, else default]. Where the first of several is called `stop`, it stands behind `--`.
    #[arg(value_name = "QUEUES", value_parser = names::queue)]
    pub(crate) queues: Vec<String>,
    #[command(flatten)]
    classes: WorkerClasses,
    /// Run the jobs of another program that is an rq, with the same arguments.
    ///
    /// For a name without a slash, rq looks in the current directory first, then on PATH.
    // Read before all others, by `other_program`; here for help alone.
    #[arg(long = "app", value_name = "PROGRAM")]
    _app: Option<PathBuf>,
    /// The worker's name; no living worker may have it [default: the setting NAME, else a fresh UUID].
    #[arg(short, long, value_parser = names::worker)]
    pub(crate) name: Option<String>,
    /// How many jobs run at once [default: with fork 1, as in RQ; with thread 8 for each core, at least 16; with green 1000].
    #[arg(long, value_name = "INTEGER", value_parser = number::count, allow_negative_numbers = true)]
    concurrency: Option<u64>,
    /// In which order the queues are served: default (as given), round_robin or random [default: default].
    ///
    /// RQ's `-ds` is understood, too.
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) dequeue_strategy: Option<String>,
    /// Be a scheduler, which locks these queues.
    ///
    /// Without it, too, scheduled jobs are queued when they are due, where no scheduler does; a burst worker does so with
    /// this option alone.
    #[arg(short = 's', long)]
    with_scheduler: bool,
    /// Also enqueue the jobs of a cron at their times: those of a file, or without one of this program; where it has none, of
    /// rq.toml.
    ///
    /// The file stands behind `=`: what follows a blank is a queue. Any number of workers and `rq cron` may have the same
    /// entries: each tick is fired once. A burst worker has none.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    with_cron: Option<Option<String>>,
    /// Leave scheduled jobs, and jobs that run again after a pause, to others.
    #[arg(long, conflicts_with = "with_scheduler")]
    no_scheduler: bool,
    /// What becomes of a job whose worker, or process, died while it ran, unless its producer has set it: fail (when it
    /// has no retries left) or requeue, three times at most [default: fail].
    #[arg(long, value_name = "POLICY", value_parser = on_crash)]
    on_crash: Option<OnCrash>,
    /// File no failures: a job that has failed for good, or was stopped, gets its status alone, and no registry, result or
    /// time to live. For programs whose exception handlers keep the books.
    #[arg(short = 'd', long)]
    disable_default_exception_handler: bool,
    /// Write the process id to a file.
    #[arg(long, value_name = "PATH")]
    pid: Option<PathBuf>,
    /// How many seconds a warm stop waits for running jobs before it ends them [default: as long as they take].
    #[arg(long, help_heading = "Times", value_name = "SECONDS", allow_negative_numbers = true, value_parser = number::seconds)]
    stop_timeout: Option<Duration>,
    /// Stop when all queues are empty.
    #[arg(short, long, help_heading = "When to stop")]
    burst: bool,
    /// Start where all workers are suspended, too, and wait until they are resumed; without it, the worker refuses.
    #[arg(long)]
    start_suspended: bool,
    /// Stop after so many jobs.
    #[arg(long, help_heading = "When to stop", value_name = "INTEGER", value_parser = number::count, allow_negative_numbers = true)]
    max_jobs: Option<u64>,
    /// Stop after so many seconds without a job.
    #[arg(long, help_heading = "When to stop", value_name = "SECONDS", value_parser = number::seconds, allow_negative_numbers = true)]
    max_idle_time: Option<Duration>,
    /// How many seconds results are kept, unless the producer has set it; -1 for ever.
    #[arg(long, help_heading = "Times", value_name = "SECONDS", default_value_t = 500, allow_negative_numbers = true, value_parser = number::ttl)]
    results_ttl: i64,
    /// How many seconds without a heartbeat until the worker counts as gone.
    #[arg(long, help_heading = "Times", value_name = "SECONDS", default_value = "420", allow_negative_numbers = true, value_parser = number::seconds)]
    worker_ttl: Duration,
    /// How many seconds lie between two heartbeats of a running job.
    #[arg(long, help_heading = "Times", value_name = "SECONDS", default_value = "30", allow_negative_numbers = true, value_parser = number::seconds)]
    job_monitoring_interval: Duration,
    /// How many seconds lie between two rounds of maintenance, which repairs what other workers have left.
    #[arg(long, help_heading = "Times", value_name = "SECONDS", default_value = "600", allow_negative_numbers = true, value_parser = number::seconds)]
    maintenance_interval: Duration,
    /// How many seconds a worker that stops heartbeating keeps what it runs [default: 10].
    ///
    /// Short enough to lose little time with a dead worker, long enough for one that is starved or swapped out; 0.1 at
    /// least.
    #[arg(long, help_heading = "Times", value_name = "SECONDS", allow_negative_numbers = true, value_parser = lease)]
    lease: Option<Duration>,
    /// Let webhooks go to addresses that are not public: private, an address, or a network such as 10.1.0.0/16. May be
    /// given several times.
    ///
    /// Private are loopback and the networks for private use; link-local ones have to be named.
    #[arg(long, help_heading = "Webhooks", value_name = "ADDRESS", value_parser = webhook_allow)]
    webhook_allow: Vec<WebhookAllow>,
    /// Sign webhooks with the secret in a file; without this option with that of the variable RQ_WEBHOOK_SECRET, if there
    /// is one.
    #[arg(long, help_heading = "Webhooks", value_name = "PATH")]
    webhook_secret_file: Option<PathBuf>,
    #[command(flatten)]
    sentry: SentryArgs,
    /// The values that were given for options which only some executors have.
    #[arg(skip)]
    pub(crate) own: Vec<Given>,
    #[command(flatten)]
    logging: Logging,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL; --verbose and --quiet override it [default: INFO].
    #[arg(long = "logging_level", help_heading = logging::HEADING, alias = "logging-level", value_name = "LEVEL", value_parser = log::level)]
    logging_level: Option<Level>,
    /// Log the ids of jobs alone, not what is called with which arguments.
    #[arg(long, help_heading = logging::HEADING)]
    disable_job_desc_logging: bool,
    #[command(flatten)]
    shared: Shared,
}

pub(crate) fn run(mut args: Args, mut app: App) -> Result<(), Refusal> {
    // All that can be wrong with the arguments comes first, before anything is connected, logged or forked.
    let settings = args.shared.settings_of_worker(args.path_use(), &app.supervisor.received)?;
    args.complete(&app.supervisor, &settings)?;
    let chosen = args.choose(&app.pieces, settings.executor())?;
    chosen.warn()?;
    let dequeue = dequeue_strategy(args.dequeue_strategy.as_deref())?;
    let format = args.logging.format(NAME)?;
    let webhooks = args.webhooks()?;
    if let Some(reports) = args.sentry.resolve(NAME, settings.sentry())? {
        reports.join(&mut app.program, args.on_crash.unwrap_or_default())?;
    }
    let cron = args.cron(app.cron)?;
    let server = settings.server()?;
    chosen.remark();
    // Before the worker is prepared: the processes that are forked then log in the same way.
    let level = args.logging.level(args.logging_level);
    let plan = settings.log_plan(&app.supervisor, log::Logger::Worker, level, format)?;
    let log = log::install(&plan, Paint::of_stdout())?;
    let pid_file = args.pid.clone();
    let mut options = args.options(&server);
    if let Some(source) = cron {
        options.cron = Some(source.load()?);
        options.cron_config_file = source.name();
    }
    options.helper_environment = app.supervisor.received.variables();
    let notices = app.supervisor.notices;
    options.notices.clone_from(&notices);
    options.dequeue = dequeue;
    options.webhooks = webhooks;
    let prepare = chosen.complete(&mut app.program, &mut options);
    // A process that helps another worker does not return from this.
    let worker = match prepare(app.program, options) {
        Ok(worker) => worker,
        Err(error) => return refuse(error, &server),
    };
    // What forks has forked by now.
    let log = log.start_threads();
    // Only when the worker is prepared, and by it: helpers do not get here, so the file has the worker's own id.
    if let Some(path) = &pid_file {
        write_pid(path)?;
    }
    let ended = worker.run();
    if let Some(notices) = &notices {
        notices.finish();
    }
    // What was logged comes before the reason.
    drop(log);
    ended.or_else(|error| refuse(error, &server))
}

impl Args {
    /// What is wrong with these arguments, as far as it can be told before a worker is started, for a program that has
    /// handlers or not; `of_file` is a settings file's word for `-w`.
    pub(crate) fn check(
        &self,
        pieces: &Pieces,
        has_handlers: bool,
        of_file: Option<(&str, &Origin)>,
    ) -> Result<(), Refusal> {
        self.shared.classes().check(NAME, pieces)?;
        let chosen = self.choose(pieces, of_file)?;
        if chosen.needs_handlers && !has_handlers {
            return Err(Refusal::Unable(WorkerError::NoHandlers.to_string()));
        }
        dequeue_strategy(self.dequeue_strategy.as_deref())?;
        self.logging.format(NAME)?;
        self.webhooks().map(drop)
    }

    /// The same of Sentry, of which this is `said` beside them.
    pub(crate) fn check_sentry(&self, said: Sentry<'_>) -> Result<(), Refusal> {
        match cfg!(feature = "sentry") {
            true => self.sentry.resolve(NAME, said).map(drop),
            // The workers themselves tell that failures are not reported.
            false => Ok(()),
        }
    }

    /// What `-P` is for.
    fn path_use(&self) -> PathUse {
        match self.with_cron {
            Some(Some(_)) => PathUse::OtherFile,
            _ => PathUse::Jobs(NAME),
        }
    }

    /// The pieces of the program that they name; `of_file` is a settings file's word for `-w`.
    fn choose(&self, pieces: &Pieces, of_file: Option<(&str, &Origin)>) -> Result<Chosen, Refusal> {
        let chosen = self.classes.choose(NAME, pieces, self.shared.classes(), of_file, &self.own)?;
        match &chosen.files_failures_by {
            Some(name) if self.disable_default_exception_handler => {
                let message = format!(
                    "--exception-handler {name} files failures, and --disable-default-exception-handler keeps them from being \
                     filed: leave one of them out."
                );
                Err(Refusal::usage(NAME, message))
            }
            _ => Ok(chosen),
        }
    }

    /// Takes over what the worker's supervisor says, and then the settings, where the arguments say nothing.
    fn complete(&mut self, supervisor: &Supervisor, settings: &Settings) -> Result<(), Refusal> {
        if self.name.as_ref().is_none_or(String::is_empty) {
            self.name = supervisor.name()?.or_else(|| settings.name().map(str::to_owned));
        }
        if self.queues.is_empty() {
            self.queues = settings.queues().unwrap_or_default().to_vec();
        }
        if self.max_jobs.is_none() {
            self.max_jobs = supervisor.max_requests()?;
        }
        Ok(())
    }

    /// Where the entries of its cron come from, if it is to have one.
    fn cron(&self, program: Option<Cron>) -> Result<Option<CronSource>, Refusal> {
        let Some(file) = &self.with_cron else { return Ok(None) };
        let refuse = |message: String| Err(Refusal::usage(NAME, message));
        if self.burst {
            return refuse(
                "--burst and --with-cron do not go together: a burst worker stops when its queues are empty, and would enqueue \
                 nothing more. Leave one of them out, or run `rq cron` beside it."
                    .to_owned(),
            );
        }
        if file.as_deref() == Some("") {
            return refuse("Invalid value for '--with-cron': no file is named: --with-cron=FILE.".to_owned());
        }
        let is_file = |queue: &&String| {
            queue.ends_with(".toml") || queue.ends_with(".py") || Path::new(queue.as_str()).is_file()
        };
        if file.is_none()
            && let Some(queue) = self.queues.iter().find(is_file)
        {
            return refuse(format!(
                "'{queue}' is a file, and stands where queues do: write --with-cron={queue}; for a queue of that name, \
                 name the file of the cron as well."
            ));
        }
        match CronSource::choose(file.as_deref(), program, self.shared.folders()) {
            Some(source) => Ok(Some(source)),
            None => refuse(format!(
                "--with-cron: there is no {FILE_DEFAULT} here, and this program has no cron: --with-cron=FILE."
            )),
        }
    }

    fn webhooks(&self) -> Result<WebhookOptions, Refusal> {
        let mut webhooks = WebhookOptions::default();
        webhooks.allow = self.webhook_allow.clone();
        webhooks.secret = match &self.webhook_secret_file {
            Some(path) => Some(read_secret(path)?),
            None => std::env::var(SECRET_VARIABLE)
                .ok()
                .filter(|secret| !secret.is_empty())
                .map(WebhookSecret::from),
        };
        Ok(webhooks)
    }

    fn options(self, server: &Server) -> Options {
        let mut options = Options::default();
        options.url = server.url.clone();
        options.keys = server.keys.clone();
        if !self.queues.is_empty() {
            options.queues = self.queues;
        }
        options.name = self.name.filter(|name| !name.is_empty());
        options.concurrency = self.concurrency.map(|jobs| usize::try_from(jobs).unwrap_or(usize::MAX));
        options.stop_timeout = self.stop_timeout;
        options.burst = self.burst;
        options.starts_suspended = self.start_suspended;
        options.max_jobs = self.max_jobs;
        options.max_idle = self.max_idle_time;
        options.result_ttl = Ttl::from_wire(self.results_ttl);
        options.worker_ttl = self.worker_ttl;
        options.monitoring_interval = self.job_monitoring_interval;
        options.maintenance_interval = self.maintenance_interval;
        options.lease = self.lease.unwrap_or(LEASE_DEFAULT);
        options.on_crash = self.on_crash.unwrap_or_default();
        options.default_exception_handler = !self.disable_default_exception_handler;
        options.scheduling = match (self.with_scheduler, self.no_scheduler) {
            (true, _) => Scheduling::Scheduler,
            (false, true) => Scheduling::Nothing,
            (false, false) => Scheduling::default(),
        };
        options.log_descriptions = !self.disable_job_desc_logging;
        options
    }
}

/// Why the worker ended, as RQ reports it: that all workers are suspended is no error message.
fn refuse(error: WorkerError, server: &Server) -> Result<(), Refusal> {
    match error {
        WorkerError::Suspended => {
            let reason = Paint::of_stdout().paint(Colour::Red, Text::line(&error));
            last_words(move || drop(say(reason)));
            Err(Refusal::Said(error.to_string()))
        }
        WorkerError::NoHandlers => Err(Refusal::Unable(error.to_string())),
        WorkerError::Redis(error) => Err(server.refusal(&error)),
        error => Err(Refusal::Failed(error.to_string())),
    }
}

/// Whether this is the command that the arguments of a program name.
pub(crate) fn is_named_in(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|command| command == NAME)
}

/// Whether it is the one that runs a worker, which `rq worker stop` does not.
pub(crate) fn is_run_by(arguments: &[OsString]) -> bool {
    is_named_in(&worker_stop::arguments_of(arguments.to_vec()))
}

/// Writes the process id as RQ does: digits alone, without a line end.
fn write_pid(path: &Path) -> Result<(), Refusal> {
    // RQ expands it itself, as in `--pid=~/rq.pid`, where no shell does.
    let path = match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    };
    std::fs::write(&path, std::process::id().to_string()).map_err(|error| {
        Refusal::Failed(format!("the process id cannot be written to {}: {error}", path.display()))
    })
}

/// Some part of a second at least.
fn lease(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a valid float"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(lease) if lease > Duration::from_secs(SECONDS_MAX.unsigned_abs()) => {
            Err(format!("it must be at most {SECONDS_MAX}"))
        }
        Ok(lease) if lease >= LEASE_MIN => Ok(lease),
        _ => Err(format!("it must be at least {}", LEASE_MIN.as_secs_f64())),
    }
}

/// The secret in a file, without the end of its line.
fn read_secret(path: &Path) -> Result<WebhookSecret, Refusal> {
    let refuse = |reason: String| {
        let path = path.display();
        Refusal::Failed(format!("the secret of webhooks cannot be read from {path}: {reason}"))
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    let bytes = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    match bytes.map_err(|error| refuse(error.to_string()))? as u64 {
        bytes if bytes > SECRET_BYTES_MAX => {
            Err(refuse(format!("it has more than {SECRET_BYTES_MAX} bytes")))
        }
        _ if text.trim_end().is_empty() => Err(refuse("it is empty".to_owned())),
        _ => Ok(text.trim_end().into()),
    }
}

fn webhook_allow(text: &str) -> Result<WebhookAllow, String> {
    text.parse().map_err(|error: WebhookAllowError| error.to_string())
}

fn on_crash(text: &str) -> Result<OnCrash, String> {
    OnCrash::parse(text).ok_or_else(|| format!("'{text}' is neither 'fail' nor 'requeue'"))
}

/// RQ has a message and an exit code of its own for other strategies (docs/cli.md §2).
fn dequeue_strategy(word: Option<&str>) -> Result<DequeueStrategy, Refusal> {
    match word.unwrap_or("default") {
        "default" => Ok(DequeueStrategy::Default),
        "round_robin" => Ok(DequeueStrategy::RoundRobin),
        "random" => Ok(DequeueStrategy::Random),
        _ => Err(Refusal::Failed(
            "Dequeue Strategy can only be one of `default`, `random` or `round_robin`.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_leases_are_read() {
        assert_eq!(on_crash("requeue"), Ok(OnCrash::Requeue));
        assert!(on_crash("retry").is_err());
        assert_eq!(dequeue_strategy(None), Ok(DequeueStrategy::Default));
        assert_eq!(dequeue_strategy(Some("round_robin")), Ok(DequeueStrategy::RoundRobin));
        assert!(matches!(dequeue_strategy(Some("Random")), Err(Refusal::Failed(_))));
        assert_eq!(lease("0.25"), Ok(Duration::from_millis(250)));
        for refused in ["", "x", "-1", "0", "0.09", "nan", "inf", "1e9"] {
            assert!(lease(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_secret_is_read_without_the_end_of_its_line() {
        let path = std::env::temp_dir().join(format!("rq-secret-{}", std::process::id()));
        let read = |text: String| {
            std::fs::write(&path, text).unwrap();
            read_secret(&path)
        };
        assert_eq!(read("hush\n".to_owned()), Ok("hush".into()));
        assert!(read("\n".to_owned()).is_err() && read("x".repeat(5000)).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(read_secret(&path).is_err());
        assert_eq!(webhook_allow("private"), Ok(WebhookAllow::Private));
        assert!(webhook_allow("localhost").is_err());
    }

    #[test]
    fn a_suspended_worker_says_so_on_standard_output() {
        let server = Server::at("redis://h", rq_core::Keys::default()).unwrap();
        assert!(matches!(refuse(WorkerError::Suspended, &server), Err(Refusal::Said(_))));
        assert!(matches!(refuse(WorkerError::NoHandlers, &server), Err(Refusal::Unable(_))));
        let exhausted = WorkerError::Exhausted { reason: "2 threads are stuck".to_owned() };
        assert!(matches!(refuse(exhausted, &server), Err(Refusal::Failed(_))));
    }
}
