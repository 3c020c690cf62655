//! `rq worker stop`: asks a worker to leave (docs/cli.md §10.5).

use std::ffi::OsString;

use rq_core::Shown;

use super::worker;
use crate::names;
use crate::output::say;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Shared};
use crate::text::text;

/// The command's name: two words, which `arguments_of` makes one argument.
pub(crate) const NAME: &str = "worker stop";
/// The second of them.
const STOP: &str = "stop";
/// How many workers a message names.
const NAMED_MAX: usize = 10;

const EXAMPLES: &str = "\
Examples:
  rq worker stop w1        # when the jobs that it runs have ended
  rq worker stop w1 --now  # within seconds";

const QUEUES: &str = "\
To work on queues of which the first is called `stop`: rq worker -- stop high";

/// Ask a worker to stop, wherever it runs.
///
/// It takes no more jobs, and leaves when those that it runs have ended. The command does not wait for that. Python's
/// workers heed it, too.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = QUEUES)]
pub(crate) struct Args {
    /// The worker's name: `rq info` lists them.
    #[arg(value_name = "NAME", value_parser = names::existing)]
    name: String,
    /// End the jobs that it runs. They have failed then, or wait again where they have retries left or may run twice.
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

/// `arguments` with the two words of this command made one, where they are this command: `stop` right behind `worker`,
/// and something behind it. A queue may be called so, too: alone, behind another queue, an option or `--`, it is one.
pub(crate) fn arguments_of(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let [_, command, stop, _, ..] = arguments.as_slice()
        && command == worker::NAME
        && stop == STOP
    {
        arguments.remove(2);
        arguments[1] = NAME.into();
    }
    arguments
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    // Of any queue: a worker is found by its name.
    let queue = server.queue("default")?;
    let asked = if args.now { queue.stop_worker_cold(&args.name) } else { queue.stop_worker(&args.name) };
    let name = Shown::name(&args.name);
    if asked.map_err(|error| server.refusal(&error))? {
        return match args.now {
            true => say(text!("Asked worker {name} to stop now, and to end the jobs that it runs.")),
            false => say(text!("Asked worker {name} to stop when the jobs that it runs have ended.")),
        };
    }
    let workers = queue.all_workers().map_err(|error| server.refusal(&error))?;
    if workers.iter().any(|worker| worker.name == args.name) {
        return Err(Refusal::Failed(format!(
            "worker {name} does not listen: it has just left, has died, or is cut off from Redis."
        )));
    }
    let known: Vec<String> =
        workers.iter().take(NAMED_MAX).map(|worker| Shown::name(&worker.name).to_string()).collect();
    let more = workers.len().saturating_sub(NAMED_MAX);
    let known = match (known.join(", "), more) {
        (known, _) if known.is_empty() => "There is none at all.".to_owned(),
        (known, 0) => format!("There are: {known}."),
        (known, more) => format!("There are: {known} and {more} more."),
    };
    Err(Refusal::Failed(format!(
        "there is no worker {name}. {known} To work on queues of which the first is called `stop`, put `--` before it."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_words;

    #[test]
    fn a_queue_may_be_called_stop() {
        let check = |line: &str, expected: &[&str]| two_words::check(arguments_of, line, expected);
        check("rq worker stop w", &["rq", "worker stop", "w"]);
        check("rq worker stop --now w", &["rq", "worker stop", "--now", "w"]);
        check("rq worker stop", &["rq", "worker", "stop"]);
        check("rq worker -- stop x", &["rq", "worker", "--", "stop", "x"]);
        check("rq worker x stop", &["rq", "worker", "x", "stop"]);
        check("rq worker -b stop x", &["rq", "worker", "-b", "stop", "x"]);
        check("rq enqueue stop x", &["rq", "enqueue", "stop", "x"]);
    }
}
