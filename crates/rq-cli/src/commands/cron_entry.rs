//! `rq cron pause`, `resume`, `trigger` and `forget`: what is done to entries, whoever runs them (docs/cli.md §10.7).

use rq_core::link::BlockingLink;
use rq_core::steps::cron::{forget, kept, pause, trigger};
use rq_core::{Error, Shown, Timestamp};

use super::cron_list::{EntryLine, Listing, local_time, zone};
use crate::names;
use crate::output::say;
use crate::refusal::Refusal;
use crate::server::{RunsNoJobs, Server, Shared};
use crate::text::text;

/// How many entries a message names.
const NAMED_MAX: usize = 10;

/// One of these commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Pause,
    Resume,
    Trigger,
    Forget,
}

/// An entry by its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The entry's name: `rq cron list` lists them.
    #[arg(value_name = "NAME", value_parser = names::existing)]
    name: String,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(verb: Verb, args: Args) -> Result<(), Refusal> {
    let server = args.shared.server()?;
    let link = server.link()?;
    let is_there = act(verb, &link, &server, &args.name).map_err(|error| server.refusal(&error))?;
    if !is_there {
        return Err(unknown(&link, &server, &args.name));
    }
    Ok(())
}

/// Does it, and says so; whether there is such an entry.
fn act(verb: Verb, link: &BlockingLink, server: &Server, name: &str) -> Result<bool, Error> {
    let shown = Shown::name(name);
    let names = [name.to_owned()];
    let said = match verb {
        Verb::Pause | Verb::Resume => {
            let is_paused = verb == Verb::Pause;
            // For the words alone: whether it was so already.
            let was_paused = link.run(&kept(&server.keys, &names))?.first().is_some_and(|entry| entry.paused);
            if link.run(&pause(&server.keys, &names, is_paused))? != [true] {
                return Ok(false);
            }
            let until = text!("nothing is enqueued for it until `rq cron resume {shown}`.");
            match (is_paused, was_paused) {
                (true, false) => text!("Paused {shown}: ") + until,
                (true, true) => text!("{shown} was paused already: ") + until,
                (false, true) => text!("Resumed {shown}{}.", due_next(link, server, name)?),
                (false, false) => text!("{shown} was not paused{}.", due_next(link, server, name)?),
            }
        }
        Verb::Trigger => {
            // By its id a second sending of the same is known.
            let job_id = uuid::Uuid::new_v4().to_string();
            match link.run(&trigger(&server.keys, name, &job_id, Timestamp::now()))? {
                Some(queue) => text!("Enqueued job {job_id} to queue {}", Shown::name(queue)),
                None => return Ok(false),
            }
        }
        Verb::Forget => {
            if !link.run(&forget(&server.keys, name))? {
                return Ok(false);
            }
            text!("Forgot {shown}. A scheduler that still has it takes it for a new one.")
        }
    };
    // Who reads no more has it done all the same.
    let _ = say(said);
    Ok(true)
}

/// When an entry is due next, as part of a sentence; empty where nobody says.
fn due_next(link: &BlockingLink, server: &Server, name: &str) -> Result<String, Error> {
    let listing = Listing::read(link, server)?;
    let entry = listing.entries.into_iter().find(|entry| entry.name == name);
    let next = entry.and_then(|entry| Timestamp::parse(&entry.next?).ok());
    Ok(next.map(|next| format!("; it is due next at {} ({})", local_time(next), zone())).unwrap_or_default())
}

/// Why nothing was done: there is no such entry, or it is Python's.
fn unknown(link: &BlockingLink, server: &Server, name: &str) -> Refusal {
    let listing = match Listing::read(link, server) {
        Ok(listing) => listing,
        Err(error) => return server.refusal(&error),
    };
    let (ours, pythons): (Vec<EntryLine>, Vec<EntryLine>) =
        listing.entries.into_iter().partition(|entry| entry.fired.is_some());
    if let Some(entry) = pythons.iter().find(|entry| entry.name == name) {
        return Refusal::Failed(format!(
            "{} is an entry of Python's rq cron ({}), which knows no pause, resume, trigger or forget; stop that one, and run \
             the entry here",
            Shown::name(name),
            listed(entry.schedulers.iter())
        ));
    }
    let more = ours.len().saturating_sub(NAMED_MAX);
    let known = match (listed(ours.iter().take(NAMED_MAX).map(|entry| &entry.name)), more) {
        (listed, _) if listed.is_empty() => "There is none at all.".to_owned(),
        (listed, 0) => format!("There are: {listed}."),
        (listed, more) => format!("There are: {listed} and {more} more."),
    };
    Refusal::Failed(format!("there is no cron entry {} of a scheduler in Rust. {known}", Shown::name(name)))
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| Shown::name(name).to_string()).collect::<Vec<_>>().join(", ")
}
