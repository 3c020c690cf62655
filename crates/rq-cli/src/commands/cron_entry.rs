//! `rq cron pause`, `resume`, `trigger` and `forget`: what is done to entries, whoever runs them (docs/cli.md §10.7).

use rq_core::link::BlockingLink;
use rq_core::steps::cron::{Kept, forget, kept, names as entry_names, pause, trigger};
use rq_core::{Error, Shown, Timestamp};

use crate::names;
use crate::output::say;
use crate::refusal::Refusal;
use crate::server::{Server, Shared};
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
            if link.run(&pause(&server.keys, &names, is_paused))? != [true] {
                return Ok(false);
            }
            match is_paused {
                true => text!("Paused {shown}: nothing is enqueued for it until `rq cron resume`."),
                false => text!("Resumed {shown}."),
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

fn unknown(link: &BlockingLink, server: &Server, name: &str) -> Refusal {
    let known = link.run(&entry_names(&server.keys)).and_then(|names| {
        if names.is_empty() { Ok(Vec::new()) } else { link.run(&kept(&server.keys, &names)) }
    });
    let known: Vec<Kept> = match known {
        Ok(known) => known,
        Err(error) => return server.refusal(&error),
    };
    let listed: Vec<String> =
        known.iter().take(NAMED_MAX).map(|entry| Shown::name(&entry.name).to_string()).collect();
    let known = match (listed.join(", "), known.len().saturating_sub(NAMED_MAX)) {
        (listed, _) if listed.is_empty() => "There is none at all.".to_owned(),
        (listed, 0) => format!("There are: {listed}."),
        (listed, more) => format!("There are: {listed} and {more} more."),
    };
    Refusal::Failed(format!("there is no cron entry {} of a scheduler in Rust. {known}", Shown::name(name)))
}
