//! `rq worker-pool`: several workers, which are started again when they die (docs/cli.md §3).

mod told;

use std::ffi::OsString;
use std::path::PathBuf;

use rq_manager::{Kind, Manager};
use rq_worker::WorkerError;
use tracing::Level;

use self::told::Told;
use crate::app::App;
use crate::chosen::Chosen;
use crate::classes::WorkerClasses;
use crate::executors::Given;
use crate::log;
use crate::logging::{self, Logging};
use crate::manager::program::{self, Program};
use crate::manager::supervise::supervise;
use crate::names;
use crate::paint::Paint;
use crate::refusal::Refusal;
use crate::sentry::SentryArgs;
use crate::server::{PathUse, Shared};
use crate::settings::handed::Handed;

/// The command's name.
pub(crate) const NAME: &str = "worker-pool";
/// The most workers: what a Manager has of a kind.
const WORKERS_MAX: usize = 10_000;

const EXAMPLES: &str = "\
Examples:
  my-jobs worker-pool -n 4 high default             # a program that is an rq
  rq worker-pool --app ./my-jobs -n 4 high default  # the same
  my-jobs worker-pool -n 4 --burst                  # until queues are empty";

const MORE: &str = "\
Each worker is a process, with --with-scheduler. One that ends is started again: at once,
then after pauses that grow to 30 s; where five in a row fail to begin, once a minute.
With --burst nobody is started again.

For several queues at once in one worker there is `rq worker --concurrency`; for workers of
several kinds, or on several servers, with limits of memory and number, `rq manager`.

Signals: the first SIGINT or SIGTERM lets running jobs end, however long they take; a second
one, a second later at the earliest, ends them. When the pool is gone, in whatever way, all
that it has started is gone within two seconds.

Exit codes:
  0  ended
  1  could not start
  2  arguments not understood, or no jobs to run";

/// Run several workers, and start again those that die.
///
/// Logs to standard output, and errors to standard error, as its workers do.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = MORE)]
pub(crate) struct Args {
    /// The queues to serve [default: the setting QUEUES, else default].
    #[arg(value_name = "QUEUES", value_parser = names::queue)]
    pub(crate) queues: Vec<String>,
    /// How many workers there are.
    #[arg(short, long, value_name = "INTEGER", default_value_t = 1, value_parser = workers, allow_negative_numbers = true)]
    pub(crate) num_workers: usize,
    /// Stop when all queues are empty.
    #[arg(short, long)]
    burst: bool,
    #[command(flatten)]
    classes: WorkerClasses,
    /// Run the jobs of another program that is an rq, with the same arguments.
    // Read before all others, by `other_program`; here for help alone.
    #[arg(long = "app", value_name = "PROGRAM")]
    _app: Option<PathBuf>,
    #[command(flatten)]
    sentry: SentryArgs,
    /// The values that were given for options which only some executors have.
    #[arg(skip)]
    pub(crate) own: Vec<Given>,
    #[command(flatten)]
    logging: Logging,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL; --verbose and --quiet override it [default: INFO].
    #[arg(short, long, help_heading = logging::HEADING, alias = "logging_level", value_name = "LEVEL", value_parser = log::level)]
    logging_level: Option<Level>,
    #[command(flatten)]
    shared: Shared,
}

/// Whether this is the command that the arguments of a program name.
pub(crate) fn is_named_in(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|command| command == NAME)
}

pub(crate) fn run(mut args: Args, app: App) -> Result<(), Refusal> {
    // All that can be wrong with the arguments comes first: each worker would say it once more.
    let settings = args.shared.settings(PathUse::Jobs(NAME))?;
    let chosen =
        args.classes.choose(NAME, &app.pieces, args.shared.classes(), settings.executor(), &args.own)?;
    if chosen.needs_handlers && app.program.handlers.is_empty() {
        return Err(Refusal::Unable(WorkerError::NoHandlers.to_string()));
    }
    let format = args.logging.format(NAME)?;
    let reports = args.sentry.resolve(NAME, settings.sentry())?;
    if args.queues.is_empty() {
        args.queues = settings.queues().unwrap_or_default().to_vec();
    }
    let server = settings.server()?;
    let handed = Handed::new(&settings)?;
    let program = Program::this(&app.arguments)?;
    chosen.remark();
    let level = args.logging.level(args.logging_level);
    let plan = settings.log_plan(&app.supervisor, log::Logger::WorkerPool, level, format)?;
    let log = log::install(&plan, Paint::of_stdout())?;
    let name = fresh_name();
    let (of_sentry, dsn) = SentryArgs::of_worker(reports.as_ref());
    let mut command = program.worker(&server, &handed, &args.of_worker(&chosen, of_sentry));
    if let Some((name, dsn)) = dsn {
        command = command.variable(name, dsn);
    }
    program::check(&command).map_err(|reason| Refusal::Failed(format!("{reason}.")))?;
    handed.empty_files();
    let told = Told::default();
    let kind = Kind::command(&name, command).count(args.num_workers).naming(|_| fresh_name());
    let manager = Manager::new([kind]).title(name).wait_time(None).silent().observer(told.clone());
    let manager = if args.burst { manager.without_replacement() } else { manager };
    supervise(manager, log, || ())?;
    match told.reason() {
        Some(reason) if args.burst => Err(Refusal::Failed(format!("no worker can be started: {reason}"))),
        _ => Ok(()),
    }
}

impl Args {
    /// The arguments of one worker, with those `of_sentry`.
    fn of_worker(&self, chosen: &Chosen, of_sentry: Vec<OsString>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--with-scheduler".into()];
        arguments.extend(chosen.of_worker());
        if self.burst {
            arguments.push("--burst".into());
        }
        arguments.extend(self.own.iter().map(|Given { name, value }| format!("--{name}={value}").into()));
        arguments.extend(self.logging.of_worker(self.logging_level));
        arguments.extend(of_sentry);
        arguments.push("--".into());
        arguments.extend(self.queues.iter().map(OsString::from));
        arguments
    }
}

/// A name as RQ gives pools and their workers.
fn fresh_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// How many workers: none is no error in RQ, either.
fn workers(text: &str) -> Result<usize, String> {
    match text.parse::<i64>() {
        Ok(..0) => Err("it must be 0 or more".to_owned()),
        Ok(number) => match usize::try_from(number) {
            Ok(number) if number <= WORKERS_MAX => Ok(number),
            _ => Err(format!("it must be at most {WORKERS_MAX}")),
        },
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}
