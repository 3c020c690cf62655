//! `rq cron`: enqueues jobs at their times (docs/cli.md §7).
//!
//! What is done to single entries are commands of two words: `cron_list.rs`, `cron_entry.rs`.

use std::ffi::OsString;

use rq_core::link::Link;
use rq_cron::{Cron, CronScheduler};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, info};

use crate::app::App;
use crate::cron_source::{CronSource, FILE_DEFAULT};
use crate::log::{self, Format};
use crate::paint::Paint;
use crate::refusal::Refusal;
use crate::server::{PathUse, RunsNoJobs, Server, Shared};
use crate::two_words;

/// The command's name.
pub(crate) const NAME: &str = "cron";
/// The names of those of two words, by the second of them.
pub(crate) const LIST: &str = "cron list";
pub(crate) const PAUSE: &str = "cron pause";
pub(crate) const RESUME: &str = "cron resume";
pub(crate) const TRIGGER: &str = "cron trigger";
pub(crate) const FORGET: &str = "cron forget";

const EXAMPLES: &str = "\
Examples:
  rq cron                    # the program's entries, else those of rq.toml
  rq cron rq.toml            # those of this file
  rq cron cron_config.py     # those of a Python program
  rq cron list               # all entries, and who runs them
  rq cron pause nightly      # until `rq cron resume nightly`
  rq cron trigger nightly    # enqueues a job of it now
  rq cron forget nightly     # removes what Redis keeps of it";

const MORE: &str = "\
Commands, each with a --help:
  list          entries, when they are due, and who runs them; --json for programs
  pause NAME    nothing is enqueued for it until it is resumed
  resume NAME   goes on; what came up in between is not made up for
  trigger NAME  enqueues a job of it now
  forget NAME   removes what Redis keeps of it

rq.toml has a table [[cron]] for each entry: function, and every = \"5m\" or at = \"0 3 * * *\";
name, queue, args, kwargs, zone, catch_up, overlap, timeout, result_ttl, ttl, failure_ttl,
meta, webhooks, description if need be. docs/cron.md has all of it.

Several of these, and workers with --with-cron, may have the same entries: each tick is
fired once, by whoever comes first, and goes on when one of them dies. Entries are the
same by their names.

A file that is called `list`, `pause`, `resume`, `trigger` or `forget` is given with its
folder: rq cron ./list

Exit codes:
  0  ended by a signal
  1  the entries cannot be read, or Redis cannot be reached or refuses what is needed
  2  arguments not understood, or there are no entries: none named, none here";

/// Enqueue jobs at their times, until SIGINT or SIGTERM.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = MORE)]
pub(crate) struct Args {
    /// A file of entries, rq.toml say, or RQ's Python: a file, or a module by its dotted name [default: the program's own
    /// entries; where it has none, rq.toml].
    #[arg(value_name = "CONFIG_PATH")]
    config_path: Option<String>,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL [default: INFO].
    #[arg(short, long, visible_alias = "logging_level", value_name = "LEVEL", value_parser = log::level)]
    logging_level: Option<Level>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

/// `arguments` with the two words of a command made one.
pub(crate) fn arguments_of(arguments: Vec<OsString>) -> Vec<OsString> {
    two_words::joined(arguments, &[LIST, PAUSE, RESUME, TRIGGER, FORGET])
}

pub(crate) fn run(args: Args, app: App) -> Result<(), Refusal> {
    let settings = args.shared.settings(PathUse::OtherFile)?;
    let server = settings.server()?;
    let format = Format::new(log::LINE_DEFAULT, log::DATE_DEFAULT).map_err(Refusal::Failed)?;
    let source = CronSource::choose(args.config_path.as_deref(), app.cron, args.shared.folders());
    let source = source.ok_or_else(|| {
        let reason = format!("there is no {FILE_DEFAULT} here, and this program has no cron");
        Refusal::usage(NAME, format!("Missing argument 'CONFIG_PATH': {reason}."))
    })?;
    let plan = settings.log_plan(&app.supervisor, log::Logger::Cron, args.logging_level, format)?;
    let log = log::install(&plan, Paint::of_stdout())?;
    let log = log.start_threads();
    let ended = source.load().and_then(|cron| enqueue(&server, &cron, &source.name()));
    // What was logged comes before the reason.
    drop(log);
    ended
}

/// Runs the scheduler until a signal ends it.
fn enqueue(server: &Server, cron: &Cron, source: &str) -> Result<(), Refusal> {
    let checked = cron.check().map_err(|error| Refusal::Failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::Failed(format!("the runtime could not start: {error}")))?;
    let ended = runtime.block_on(async {
        let link = Link::open(&server.url).await.map_err(|error| server.refusal(&error))?;
        let scheduler = CronScheduler::new(&checked, link, server.keys.clone());
        let scheduler = scheduler.map_err(|error| server.refusal(&error))?.config_file(source);
        let stop = asked_to_stop(scheduler.name().to_owned())?;
        scheduler.run(stop).await.map_err(|error| server.refusal(&error))
    });
    // An attempt to connect may still be under way; nobody waits for it any more.
    runtime.shutdown_background();
    ended
}

/// Completes with the first SIGINT or SIGTERM.
fn asked_to_stop(name: String) -> Result<impl Future<Output = ()>, Refusal> {
    let handle =
        |kind| signal(kind).map_err(|error| Refusal::Failed(format!("signals cannot be handled: {error}")));
    let (mut interrupt, mut terminate) = (handle(SignalKind::interrupt())?, handle(SignalKind::terminate())?);
    Ok(async move {
        let kind = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
        };
        info!("CronScheduler {name}: received shutdown signal {}", kind.as_raw_value());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_called_as_a_command() {
        let check = |line: &str, expected: &[&str]| two_words::check(arguments_of, line, expected);
        check("rq cron list --json", &["rq", "cron list", "--json"]);
        check("rq cron pause a", &["rq", "cron pause", "a"]);
        check("rq cron ./list", &["rq", "cron", "./list"]);
        check("rq cron lists", &["rq", "cron", "lists"]);
        check("rq cron -l DEBUG list", &["rq", "cron", "-l", "DEBUG", "list"]);
        check("rq worker list", &["rq", "worker", "list"]);
    }
}
