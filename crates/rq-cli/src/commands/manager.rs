//! `rq manager`: workers of several kinds, as a file says (docs/cli.md §10.8).
//!
//! What it is asked over its socket are commands of two words: `manager_order.rs`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rq_core::Shown;
use rq_manager::{Kind, Manager};
use tracing::{Level, info, warn};

use super::manager_order;
use crate::app::App;
use crate::log;
use crate::logging::{self, Logging};
use crate::manager::config::{Config, FILE_DEFAULT, Source};
use crate::manager::program::Program;
use crate::manager::socket::{Folders, checked};
use crate::manager::supervise::supervise;
use crate::manager::watch::Watch;
use crate::paint::Paint;
use crate::refusal::Refusal;

/// The command's name.
pub(crate) const NAME: &str = "manager";
/// The names of those of two words, by the second of them.
pub(crate) const STATUS: &str = "manager status";
pub(crate) const STOP: &str = "manager stop";
pub(crate) const RESTART: &str = "manager restart";
pub(crate) const SCALE: &str = "manager scale";
pub(crate) const RELOAD: &str = "manager reload";

const EXAMPLES: &str = "\
Examples:
  my-jobs manager                           # the workers of rq.toml
  rq manager -c /etc/rq.toml --app ./my-jobs
  rq manager status                         # how its workers are
  rq manager restart emails                 # one after the other
  rq manager scale emails 8                 # until the file is read again
  rq manager stop                           # when running jobs have ended";

const MORE: &str = "\
Commands, each with a --help:
  status             every worker: since when, how much it has done and holds; --json
  stop               it leaves when running jobs have ended; --now: at once
  restart [NAME..]   replaces the workers of these entries, of all where none is named
  scale NAME COUNT   another number of workers
  reload             reads the file again, as SIGHUP does

rq.toml has a table [[worker]] for each entry:
  [[worker]]
  name = \"emails\"
  url = \"redis://10.0.0.1/0\"
  queues = [\"high\", \"emails\"]
  count = 4
url_env, key_prefix, executor, app, env; limits: max_jobs, soft_memory_limit,
hard_memory_limit, silence; scale = { min = 1, max = 8, length = 100, age = 30 }; and every
option of `rq worker` by its name: concurrency = 8, with_scheduler = true. The table
[manager], if need be, has title, check_point, wait_time and socket. docs/manager.md has all
of it. Paths are relative to the directory in which the Manager was started.

Signals: SIGTERM and SIGINT have it leave when running jobs have ended, after wait_time at
the latest; a second one, a second later at the earliest, ends them, SIGQUIT kills them.
SIGHUP has it read the file again, SIGTTIN and SIGTTOU have one worker more, or less, in
each entry, SIGUSR1 has it log how it is.

Exit codes:
  0  ended by a signal, or by `rq manager stop`
  1  the file cannot be read or used, or no worker can be started
  2  arguments not understood, or there is no file: none named, none here";

/// Run workers of several kinds, start again those that die, and keep them within limits.
///
/// Logs to standard output, and errors to standard error, as its workers do.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = MORE)]
pub(crate) struct Args {
    /// The file with the workers [default: rq.toml].
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Redis of entries that name none; RQ_REDIS_URL, REDIS_URL and others as with `rq worker`, then the file's table
    /// [settings].
    #[arg(short, long)]
    url: Option<String>,
    /// Have the workers of another program that is an rq, which becomes the Manager; entries may name their own.
    // Read before all others, by `other_program`; here for help alone.
    #[arg(long = "app", value_name = "PROGRAM")]
    _app: Option<PathBuf>,
    #[command(flatten)]
    logging: Logging,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL; --verbose and --quiet override it [default: INFO]. All about the log is for the workers, too.
    #[arg(long = "logging_level", help_heading = logging::HEADING, alias = "logging-level", value_name = "LEVEL", value_parser = log::level)]
    logging_level: Option<Level>,
}

/// Whether this is the command that the arguments of a program name, and none of two words.
pub(crate) fn is_named_in(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|command| command == NAME) && !manager_order::is_named_in(arguments)
}

/// The file that was named, else that of every day; what else there is to say where it is not there.
pub(crate) fn file(named: Option<&PathBuf>, command: &str, else_say: &str) -> Result<PathBuf, Refusal> {
    match named {
        Some(file) if file.extension().is_some_and(|extension| extension == "py") => {
            let shown = Shown::name(file.display());
            Err(Refusal::Failed(format!(
                "{shown} is Python, and the Manager's file is TOML: its tables [[worker]] say which workers there are, and what \
                 {shown} says goes into its table [settings]"
            )))
        }
        Some(file) => Ok(file.clone()),
        None if Path::new(FILE_DEFAULT).is_file() => Ok(PathBuf::from(FILE_DEFAULT)),
        None => {
            let reason = format!("there is no {FILE_DEFAULT} here{else_say}");
            Err(Refusal::usage(command, format!("Missing option '--config': {reason}.")))
        }
    }
}

pub(crate) fn run(args: Args, app: App) -> Result<(), Refusal> {
    let format = args.logging.format(NAME)?;
    let level = args.logging.level(args.logging_level).unwrap_or(Level::INFO);
    let source = Source {
        path: file(args.config.as_ref(), NAME, "")?,
        program: Program::this(&app.arguments)?,
        pieces: app.pieces,
        has_handlers: !app.program.handlers.is_empty(),
        logging: args.logging.of_worker(args.logging_level),
        url: args.url,
    };
    let config = source.read()?;
    config.handed.empty_files();
    let socket = match &config.manager.socket {
        Some(socket) => checked(socket.clone())?,
        None => Folders::of_environment().place(&source.path)?,
    };
    let watch = Watch::default();
    let kinds = kinds_of(&config, &watch);
    let own = config.manager.clone();
    let mut manager = Manager::new(kinds).control(&socket).observer(watch.clone());
    manager = manager.title(own.title.clone().unwrap_or_else(|| "Workers".to_owned()));
    if let Some(pause) = own.check_point {
        manager = manager.check_point(pause);
    }
    if let Some(wait) = own.wait_time {
        manager = manager.wait_time(wait);
    }
    let reloaded = watch.clone();
    let manager = manager.reload(move || {
        let config = source.read().map_err(|refusal| refusal.reason().unwrap_or_default().to_owned())?;
        if config.manager != own {
            warn!("What the file says in [manager] counts when the Manager is started again");
        }
        Ok(kinds_of(&config, &reloaded))
    });
    let handle = manager.handle();
    // Before the Manager forks: both processes log in the same way.
    let log = log::install(&log::Plan::default_of(level, format), Paint::of_stdout())?;
    supervise(manager, log, move || {
        info!("Takes orders at {}", socket.display());
        watch.start(handle);
    })
}

/// What the Manager makes of the entries.
fn kinds_of(config: &Config, watch: &Watch) -> Vec<Kind> {
    let counts = watch.set(&config.entries);
    config.entries.iter().zip(counts).map(|(entry, count)| entry.kind(count)).collect()
}
