//! `rq group`: which groups there are, and how far they are (docs/cli.md §10.6).
//!
//! | file | holds |
//! |---|---|
//! | `group/snapshot.rs` | what is read from Redis |
//! | `group/text.rs` | the text |
//! | `group/json.rs` | the object of `--json` |

use self::snapshot::Snapshot;
use crate::names;
use crate::output::print;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Shared};

mod json;
mod snapshot;
mod text;

const EXAMPLES: &str = "\
Examples:
  rq group              # all groups, with the statuses of their jobs
  rq group report-2026  # one, with all its jobs
  rq group --json       # for programs";

const JSON: &str = "\
The object of --json, on one line:
  schema    1; it rises when a field changes its meaning
  url       the Redis, without passwords
  prefix    what all keys begin with
  updated   when, in UTC
  groups    of each its name; jobs, how many it has; open, how many of them have
            not ended; gone, how many ids there are without a job; statuses, how
            many jobs are in which; waiting, the ids of jobs that wait for its end
  members   of each job of the group that is named its id and its status, null
            where the job is gone; missing where none is named";

/// Show groups of jobs.
///
/// Reads only. Ids whose jobs are gone are taken out of their groups by workers.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_long_help = JSON)]
pub(crate) struct Args {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    /// The group to show with its jobs; all groups if none is named.
    #[arg(value_name = "NAME", value_parser = names::existing)]
    name: Option<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    let link = server.link()?;
    let snapshot = Snapshot::read(&link, &server.keys, args.name.as_deref());
    let snapshot = snapshot.map_err(|error| server.refusal(&error))?;
    if let Some(name) = args.name.as_deref().filter(|_| snapshot.is_empty()) {
        let name = rq_core::Shown::name(name);
        return Err(Refusal::Failed(format!("there is no group {name}, or none of its jobs is left")));
    }
    print(&match args.json {
        true => json::render(&snapshot, &server)?,
        false => text::render(&snapshot),
    })
}
