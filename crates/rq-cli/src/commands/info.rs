//! `rq info`: what is in the queues, and who works on it (docs/cli.md §4).
//!
//! | file | holds |
//! |---|---|
//! | `info/snapshot.rs` | what is read from Redis |
//! | `info/text.rs` | RQ's text |
//! | `info/json.rs` | the object of `--json` |

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use self::snapshot::Snapshot;
use crate::names;
use crate::output::print;
use crate::paint::Paint;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Shared};
use crate::text::Text;

mod json;
mod snapshot;
mod text;

/// What clears a terminal, as RQ does it.
const CLEAR: &str = "\x1b[2J\x1b[1;1H";
/// The longest time between two looks: a day.
const INTERVAL_MAX_S: f64 = 86_400.0;

const EXAMPLES: &str = "\
Examples:
  rq info                        # all queues, and their workers
  rq info high low --interval 1  # watch two queues until Ctrl-C
  rq info --raw --only-queues    # for scripts
  rq info --json                 # for programs";

const JSON: &str = "\
The object of --json, on one line (with --interval, one line each time):
  schema    1; it rises when a field changes its meaning
  url       the Redis, without passwords
  prefix    what all keys begin with
  updated   when, in UTC
  queues    of each its name and how many jobs are queued, started, finished,
            failed, deferred, scheduled, canceled; scheduler: the name, hostname
            and pid of who schedules it, or null
  rate_limits
            of each in use its key, its slots, and how many jobs have one (held)
            or wait for one (waiting), over all queues
  workers   of each its name, state, queues, hostname, ip_address, pid, version,
            birth, last_heartbeat, successful_job_count, failed_job_count,
            total_working_time_s; null where a worker's record lacks the field
  groups    how many groups of jobs there are; `rq group` shows them
  cron_schedulers
            of each that lives its name, hostname, pid and config_file, null where
            the entries are its program's
With --only-queues there are no workers, and the other way round; with either no
cron schedulers. Rate limits go with the queues.";

/// Show queues and workers.
///
/// Reads only: unlike Python's `rq info` it neither expires registry entries nor fails or retries the jobs of workers
/// that died; workers do that.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = JSON)]
pub(crate) struct Args {
    /// Look again every so many seconds, until Ctrl-C.
    #[arg(short, long, value_name = "FLOAT", value_parser = interval, allow_negative_numbers = true)]
    interval: Option<Duration>,
    /// One line for each queue and worker, without bars and sums.
    #[arg(short, long)]
    raw: bool,
    /// Show only queues.
    #[arg(short = 'Q', long)]
    only_queues: bool,
    /// Show only workers.
    #[arg(short = 'W', long)]
    only_workers: bool,
    /// Show workers by queue.
    #[arg(short = 'R', long)]
    by_queue: bool,
    /// Print a JSON object.
    #[arg(long, conflicts_with_all = ["raw", "by_queue"])]
    json: bool,
    /// The queues to show; all of them if none is named.
    #[arg(value_name = "QUEUES", value_parser = names::existing)]
    queues: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    let link = server.link()?;
    let interval = args.interval.filter(|interval| !interval.is_zero());
    if interval.is_some() {
        end_at_interrupt()?;
    }
    // Programs that read lines of JSON, or a file, would find the escapes in between.
    let clear = stdout().is_terminal() && interval.is_some() && !args.json;
    loop {
        let snapshot =
            Snapshot::read(&link, &server.keys, &args.queues).map_err(|error| server.refusal(&error))?;
        let text = match args.json {
            true => json::render(&snapshot, &server, args.shows())?,
            false => text::render(&snapshot, &args.layout()),
        };
        print(&(Text::control(if clear { CLEAR } else { "" }) + text))?;
        match interval {
            // No signal needs to end this sleep: the other thread ends the process.
            Some(interval) => std::thread::sleep(interval),
            None => return Ok(()),
        }
    }
}

/// Which half is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shows {
    Queues,
    Workers,
    Both,
}

impl Args {
    /// As in Python, queues win where both halves alone are asked for.
    fn shows(&self) -> Shows {
        match (self.only_queues, self.only_workers) {
            (true, _) => Shows::Queues,
            (false, true) => Shows::Workers,
            (false, false) => Shows::Both,
        }
    }

    fn layout(&self) -> text::Layout {
        text::Layout {
            shows: self.shows(),
            raw: self.raw,
            by_queue: self.by_queue,
            paint: if self.raw { Paint::Plain } else { Paint::of_stdout() },
            columns: text::columns(),
        }
    }
}

/// Ctrl-C ends the program at once with 0, behind a new line, also while Redis does not answer.
///
/// The signal is blocked here, before there is another thread, and one thread waits for it.
fn end_at_interrupt() -> Result<(), Refusal> {
    let failed =
        |error: &dyn std::fmt::Display| Refusal::Failed(format!("Ctrl-C cannot be waited for: {error}"));
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    // Threads that begin later inherit the mask, so the signal reaches none but the one that waits for it.
    interrupt.thread_block().map_err(|error| failed(&error))?;
    let wait = move || {
        if interrupt.wait().is_ok() {
            let _ = print(&Text::default().ended());
            std::process::exit(0);
        }
    };
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(wait).map_err(|error| failed(&error))?;
    Ok(())
}

/// Zero means once, as in Python.
fn interval(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=INTERVAL_MAX_S).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) => Err(format!("it must be between 0 and {INTERVAL_MAX_S}")),
        Err(_) => Err(format!("'{text}' is not a valid float")),
    }
}
