//! `rq empty`: removes waiting jobs (docs/cli.md §5).

use rq_core::link::BlockingLink;
use rq_core::steps::queue::{self, EMPTIED_PER_SCRIPT_MAX};
use rq_core::{Error, Shown};

use crate::names;
use crate::output::say;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Server, Shared};
use crate::text::text;

const EXAMPLES: &str = "\
Examples:
  rq empty low              # remove all jobs that wait in `low`
  rq empty --all            # in every queue";

/// Remove all jobs that wait in queues, with their records.
///
/// The command does not ask for confirmation. Running, finished and failed jobs stay.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Empty all queues.
    #[arg(short, long)]
    all: bool,
    /// The queues to empty.
    #[arg(value_name = "QUEUES", value_parser = names::existing)]
    queues: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    if !args.all && args.queues.is_empty() {
        return say(text!("Nothing to do"));
    }
    let server = args.shared.server()?;
    let link = server.link()?;
    let queues = match args.all {
        true => link.run(&queue::names(&server.keys)).map_err(|error| server.refusal(&error))?,
        false => args.queues,
    };
    if queues.is_empty() {
        return say(text!("Nothing to do"));
    }
    for queue in &queues {
        let removed = empty(&link, &server, queue).map_err(|error| server.refusal(&error))?;
        say(text!("{removed} jobs removed from {} queue", Shown::name(queue)))?;
    }
    Ok(())
}

/// Names are taken as they are: also a queue with a name we would not write can be emptied. Ends when a step finds less
/// than it may remove.
fn empty(link: &BlockingLink, server: &Server, queue: &str) -> Result<usize, Error> {
    // A script removes so many at most, as Redis answers nobody else while it runs.
    let step = queue::empty(&server.keys, queue, false);
    let mut removed = 0;
    loop {
        let count = link.run(&step)?;
        removed += count;
        if count < EMPTIED_PER_SCRIPT_MAX {
            return Ok(removed);
        }
    }
}
