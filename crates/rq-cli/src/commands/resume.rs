//! `rq resume`: suspended workers go on (docs/cli.md §5).

use rq_core::steps::suspension;

use crate::output::say;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Shared};
use crate::text::text;

/// Let suspended workers go on.
///
/// Undoes `rq suspend`, and does nothing where no worker is suspended.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    server.link()?.run(&suspension::resume(&server.keys)).map_err(|error| server.refusal(&error))?;
    say(text!("Resuming workers."))
}
