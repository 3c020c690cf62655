//! `rq requeue`: failed jobs in their queue again (docs/cli.md §5).

use rq_core::link::BlockingLink;
use rq_core::steps::management::{RequeueFrom, requeue};
use rq_core::steps::registry::entries;
use rq_core::{Error, RegistryKind, Requeued, Shown};

use crate::names;
use crate::output::{note, say};
use crate::paint::{Colour, Paint};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Server, Shared};
use crate::text::text;

/// How many ids one round trip reads.
const READ_AT_ONCE: usize = 10_000;
/// How many jobs one round trip requeues: few enough to see that it goes on.
const REQUEUED_AT_ONCE: usize = 1000;
/// For how many jobs the command says why they were not requeued.
const EXPLAINED_MAX: usize = 10;

const EXAMPLES: &str = "\
Examples:
  rq requeue --queue low --all              # all that failed in `low`
  rq requeue --queue low 5f0e1c6a 0c2d47b1  # these jobs";

/// Requeue failed jobs.
///
/// They go to the end of their queue, as if they had never run; their earlier results stay.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue they failed in.
    #[arg(long, value_parser = names::existing)]
    queue: String,
    /// Requeue all that failed there.
    #[arg(short, long)]
    all: bool,
    /// The ids of the jobs to requeue.
    #[arg(value_name = "JOB_IDS", value_parser = names::existing)]
    job_ids: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    if !args.all && args.job_ids.is_empty() {
        return say(text!("Nothing to do"));
    }
    let server = args.shared.server()?;
    let link = server.link()?;
    let ids = match args.all {
        true => failed_ids(&link, &server, &args.queue).map_err(|error| server.refusal(&error))?,
        false => args.job_ids,
    };
    if ids.is_empty() {
        return say(text!("Nothing to do"));
    }
    say(text!("Requeueing {} jobs from failed queue", ids.len()))?;
    let left = requeue_all(&link, &server, &args.queue, &ids)?;
    if left.is_empty() {
        return Ok(());
    }
    // Reasons go to standard error, RQ's line to standard output (docs/cli.md §5).
    explain(&args.queue, &left);
    let line = text!("Unable to requeue {} jobs from failed job registry", left.len());
    let reason = line.as_str().to_owned();
    say(Paint::of_stdout().paint(Colour::Red, line))?;
    Err(Refusal::Said(reason))
}

/// All that are there now, lowest score first. Names are taken as they are: also of a queue we would not write to.
fn failed_ids(link: &BlockingLink, server: &Server, queue: &str) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    loop {
        let step = entries(&server.keys, RegistryKind::Failed, queue, ids.len(), READ_AT_ONCE);
        let page = link.run(&step)?;
        // All ids are read before one is requeued: what leaves the registry would shift the pages behind it.
        let is_last = page.len() < READ_AT_ONCE;
        ids.extend(page.into_iter().map(|entry| entry.job_id));
        if is_last {
            return Ok(ids);
        }
    }
}

/// Reports the jobs that could not be requeued, and why.
fn requeue_all<'a>(
    link: &BlockingLink,
    server: &Server,
    queue: &str,
    ids: &'a [String],
) -> Result<Vec<(&'a str, Requeued)>, Refusal> {
    let mut left = Vec::new();
    let mut progress = Progress::of(ids.len())?;
    for ids in ids.chunks(REQUEUED_AT_ONCE) {
        let step = requeue(&server.keys, RequeueFrom::Registry(RegistryKind::Failed, queue), false, ids);
        let requeued = link.run(&step).map_err(|error| server.refusal(&error))?;
        // The answers come in the order of the ids.
        let outcome = ids.iter().map(String::as_str).zip(requeued);
        left.extend(outcome.filter(|(_, requeued)| *requeued != Requeued::Done));
        progress.advance(ids.len())?;
    }
    progress.end()?;
    Ok(left)
}

fn explain(queue: &str, left: &[(&str, Requeued)]) {
    let queue = Shown::name(queue);
    for (id, requeued) in left.iter().take(EXPLAINED_MAX) {
        let id = Shown::name(id);
        match requeued {
            Requeued::NoJob => {
                note(text!("job {id} is gone: it was deleted, or its time to live has passed"))
            }
            Requeued::Elsewhere => note(text!(
                "job {id} waits or runs again, was canceled, or has ended elsewhere since: it was left alone"
            )),
            Requeued::NotThere | Requeued::Done => note(text!("job {id} is no failed job of queue {queue}")),
        }
    }
    if left.len() > EXPLAINED_MAX {
        note(text!("and {} more", left.len() - EXPLAINED_MAX));
    }
}
