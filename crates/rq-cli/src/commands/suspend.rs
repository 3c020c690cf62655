//! `rq suspend`: workers take no more jobs (docs/cli.md §5).

use std::time::Duration;

use rq_core::steps::suspension;

use crate::output::{print, say};
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Shared};
use crate::text::{Text, text};

/// The longest time, 3,170 years: Redis counts an expiry in milliseconds of 64 bits.
const SECONDS_MAX: i64 = 100_000_000_000;

const EXAMPLES: &str = "\
Examples:
  rq suspend                # until `rq resume`
  rq suspend --duration 60  # for a minute";

/// Suspend all workers: they start no more jobs.
///
/// Jobs that run go on. Workers of all queues in this Redis are suspended, Python's too. `rq resume` lets them go on.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// For how many seconds [default: for ever].
    #[arg(long, value_name = "INTEGER", value_parser = seconds, allow_negative_numbers = true)]
    duration: Option<i64>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    // Not by the option's parser: in RQ it is no usage error, but a line on standard output and exit code 1.
    if args.duration.is_some_and(|duration_s| duration_s < 1) {
        let reason = "Duration must be an integer greater than 1";
        say(Text::line(reason))?;
        return Err(Refusal::Said(reason.to_owned()));
    }
    let longest = args.duration.map(|duration_s| Duration::from_secs(duration_s.unsigned_abs()));
    let server = args.shared.server()?;
    server
        .link()?
        .run(&suspension::suspend(&server.keys, longest))
        .map_err(|error| server.refusal(&error))?;
    match args.duration {
        Some(duration_s) => print(&Text::own_lines(&format!(
            "Suspending workers for {duration_s} seconds. No new jobs will be started during that time, but then will\n        \
             automatically resume"
        ))),
        None => say(text!(
            "Suspending workers.  No new jobs will be started.  But current jobs will be completed"
        )),
    }
}

fn seconds(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(seconds) if seconds <= SECONDS_MAX => Ok(seconds),
        Ok(_) => Err(format!("'{text}' is more than {SECONDS_MAX} seconds")),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}
