//! `rq manager status`, `stop`, `restart`, `scale` and `reload`: what a Manager is asked over its socket (docs/cli.md §10.8).

mod place;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rq_core::Shown;
use rq_manager::{Answer, ControlError, Order, Status, ask};

use self::place::Place;
use super::manager::{NAME, RELOAD, RESTART, SCALE, STATUS, STOP};
use crate::names;
use crate::output::{note, print, say};
use crate::paint::Paint;
use crate::refusal::Refusal;
use crate::text::{Text, text};

/// How far apart `stop` looks whether the Manager is gone.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How far apart it tells what is waited for.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// What a Manager may take beyond the time that it gives its workers.
const LEAVE_MARGIN: Duration = Duration::from_secs(15);
/// How long `stop --now` waits.
const STOP_NOW_WAIT: Duration = Duration::from_secs(30);
/// How long it waits for a Manager that waits for its workers as long as they take.
const STOP_WAIT_MAX: Duration = Duration::from_secs(600);
/// The states of processes that have ended: zombies, and what even they leave.
const ENDED: [char; 2] = ['Z', 'X'];
/// How many workers a line names.
const NAMED_MAX: usize = 10;

/// Show a Manager's workers: how they are, how much they have done and hold, and why the last ones ended.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Have a Manager leave, and wait until it is gone.
///
/// Its workers take no more jobs, and leave when those that they run have ended, after its wait_time at the latest.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// End the jobs that run. They have failed then, or wait again where they have retries left or may run twice.
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    place: Place,
}

/// Replace workers, one after the other, each when its successor is ready. The command does not wait for that.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// The entries [default: all].
    #[arg(value_name = "NAMES", value_parser = names::existing)]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// Have another number of workers in an entry, until the file is read again or its `scale` decides otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// The entry.
    #[arg(value_name = "NAME", value_parser = names::existing)]
    name: String,
    /// How many workers.
    #[arg(value_name = "COUNT", value_parser = count, allow_negative_numbers = true)]
    count: usize,
    #[command(flatten)]
    place: Place,
}

/// Have a Manager read its file again, as SIGHUP does. What has not changed goes on undisturbed.
#[derive(Debug, clap::Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    place: Place,
}

/// `arguments` with the two words of a command made one. Where the Manager is may be said between them.
pub(crate) fn arguments_of(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some((at, name)) = named_in(&arguments) {
        arguments.remove(at);
        arguments[1] = name.into();
    }
    arguments
}

/// Whether the arguments of a program name one of these.
pub(crate) fn is_named_in(arguments: &[OsString]) -> bool {
    named_in(arguments).is_some()
}

/// The command, and where its second word stands.
fn named_in(arguments: &[OsString]) -> Option<(usize, &'static str)> {
    let text = |at: usize| arguments.get(at).and_then(|argument| argument.to_str());
    if text(1) != Some(NAME) {
        return None;
    }
    let mut at = 2;
    while let Some(argument) = text(at) {
        match argument {
            "-c" | "--config" | "--socket" => at += 2,
            _ if argument.starts_with("--config=") || argument.starts_with("--socket=") => at += 1,
            _ => break,
        }
    }
    let word = text(at)?;
    let is_named = |name: &&str| name.strip_prefix(NAME).is_some_and(|rest| rest.trim_start() == word);
    [STATUS, STOP, RESTART, SCALE, RELOAD].into_iter().find(is_named).map(|name| (at, name))
}

pub(crate) fn status(args: StatusArgs) -> Result<(), Refusal> {
    let (_, status) = asked(&args.place, STATUS, &Order::Status)?;
    match args.json {
        true => say(Text::json(&status)?),
        false => print(&table::text(&status, Paint::of_stdout())),
    }
}

pub(crate) fn restart(args: RestartArgs) -> Result<(), Refusal> {
    let (_, status) = asked(&args.place, RESTART, &Order::Restart { kinds: args.names.clone() })?;
    let is_named = |name: &String| args.names.is_empty() || args.names.contains(name);
    let begun = status.kinds.iter().filter(|kind| is_named(&kind.name));
    let begun: Vec<String> =
        begun.map(|kind| format!("{} of {}", workers(kind.slots.len()), Shown::name(&kind.name))).collect();
    say(text!(
        "Replacing {}, one after the other; `rq manager status` shows how far it is.",
        begun.join(", ")
    ))
}

pub(crate) fn scale(args: ScaleArgs) -> Result<(), Refusal> {
    let ScaleArgs { name, count, place } = args;
    asked(&place, SCALE, &Order::Scale { kind: name.clone(), count })?;
    say(text!("{} has {} now, until the file is read again.", Shown::name(name), workers(count)))
}

pub(crate) fn reload(args: ReloadArgs) -> Result<(), Refusal> {
    let (_, status) = asked(&args.place, RELOAD, &Order::Reload)?;
    match status.reload_failed {
        Some(reason) => Err(Refusal::Failed(format!("nothing has changed: {reason}"))),
        None => say(text!("Read the file again; `rq manager status` shows what comes of it.")),
    }
}

pub(crate) fn stop(args: StopArgs) -> Result<(), Refusal> {
    let (socket, status) = asked(&args.place, STOP, &Order::Stop { now: args.now })?;
    let longest = match args.now {
        true => STOP_NOW_WAIT,
        false => {
            status.wait_time_s.map_or(STOP_WAIT_MAX, |wait| Duration::from_secs_f64(wait) + LEAVE_MARGIN)
        }
    };
    let (began, mut told) = (Instant::now(), Instant::now());
    let pid = status.pid;
    let mut last = status;
    loop {
        match ask(&socket, &Order::Status) {
            Ok(Answer::Status(status)) => last = *status,
            // It takes no more orders, and may yet wait for what has to end.
            Ok(Answer::Refused(_)) | Err(_) if !is_alive(pid) => {
                return say(text!("The Manager (process {pid}) has left."));
            }
            Ok(Answer::Refused(_)) | Err(_) => {}
        }
        if began.elapsed() >= longest {
            return Err(still_there(pid, &last, longest));
        }
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            note(text!("waiting for {}", left(&last)));
        }
        sleep(LOOK_PAUSE);
    }
}

/// Asks the Manager; where it was found, and how it is.
fn asked(place: &Place, command: &str, order: &Order) -> Result<(PathBuf, Status), Refusal> {
    let sockets = place.sockets(command)?;
    for socket in &sockets {
        match ask(socket, order) {
            Ok(Answer::Status(status)) => return Ok((socket.clone(), *status)),
            Ok(Answer::Refused(reason)) => return Err(Refusal::Failed(reason)),
            Err(ControlError::NobodyThere(_)) => {}
            Err(error) => return Err(Refusal::Failed(error.to_string())),
        }
    }
    let looked: Vec<String> = sockets.iter().map(|socket| shown(socket)).collect();
    Err(Refusal::Failed(format!(
        "no Manager listens at {}. Is it running, as this user, with this file? --socket PATH names another place.",
        looked.join(", ")
    )))
}

fn shown(path: &Path) -> String {
    Shown::name(path.display()).to_string()
}

/// Whether there is such a process, and not just a record of it that its parent has not looked at yet.
fn is_alive(pid: i32) -> bool {
    // Its name stands in parentheses, and may hold some itself.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.trim_start().chars().next());
    state.is_some_and(|state| !ENDED.contains(&state))
}

fn still_there(pid: i32, status: &Status, longest: Duration) -> Refusal {
    Refusal::Failed(format!(
        "the Manager (process {pid}) has not left within {} s; it waits for {}. `rq manager stop --now` ends what runs, and \
         `kill -QUIT {pid}` kills it.",
        longest.as_secs(),
        left(status)
    ))
}

/// Who is still there.
fn left(status: &Status) -> String {
    let children = status.kinds.iter().flat_map(|kind| &kind.slots).flat_map(|slot| &slot.children);
    let names: Vec<String> = children.map(|child| Shown::name(&child.name).to_string()).collect();
    match names.as_slice() {
        [] => "its own end".to_owned(),
        names if names.len() <= NAMED_MAX => names.join(", "),
        names => format!("{} and {} more", names[..NAMED_MAX].join(", "), names.len() - NAMED_MAX),
    }
}

fn workers(count: usize) -> String {
    format!("{count} {}", if count == 1 { "worker" } else { "workers" })
}

fn entries(count: usize) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse::<i64>() {
        Ok(number) => usize::try_from(number).map_err(|_| "it must be 0 or more".to_owned()),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_words;

    #[test]
    fn two_words_are_one_command() {
        let check = |line: &str, expected: &[&str]| two_words::check(arguments_of, line, expected);
        check("rq manager status --json", &["rq", "manager status", "--json"]);
        check("rq manager scale a 3", &["rq", "manager scale", "a", "3"]);
        check("rq manager -c f --socket=s stop", &["rq", "manager stop", "-c", "f", "--socket=s"]);
        check("rq manager -c status", &["rq", "manager", "-c", "status"]);
        check("rq manager -v status", &["rq", "manager", "-v", "status"]);
        check("rq manager statu", &["rq", "manager", "statu"]);
        check("rq worker status", &["rq", "worker", "status"]);
    }
}
