//! `rq dev`: a Redis for trying things (docs/cli.md §10.4).

mod signals;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use rq_dev::Server;
use serde::Serialize;

use self::signals::{Signal, Signals};
use crate::output::{note, print, say};
use crate::refusal::Refusal;
use crate::text::{Text, text};

/// What names the Redis for programs: RQ's own variable, and the one that many others read.
const VARIABLES: [&str; 2] = ["RQ_REDIS_URL", "REDIS_URL"];
/// The shape of what `--json` prints; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;
/// What shells add to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;

const EXAMPLES: &str = "\
Examples:
  rq dev                          # a Redis until Ctrl-C, and how to use it
  rq dev -- ./my-jobs worker      # a Redis for as long as a program runs
  rq dev -- sh -c './my-jobs enqueue math.add :2 :3; ./my-jobs worker --burst'";

/// Start a Redis for trying things. It ends with this command, and what is in it is gone.
///
/// A redis-server or valkey-server on PATH, else a container where Docker runs. It listens on this machine alone, and
/// keeps nothing on disk. A command behind `--` runs with RQ_REDIS_URL and REDIS_URL set; this one then exits as that
/// does.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// A program to run, and its arguments [default: none; the Redis stays until Ctrl-C].
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
    /// Where it listens [default: a free port].
    #[arg(long, value_name = "PORT", value_parser = port)]
    port: Option<u16>,
    /// Say where it is as a JSON object, for scripts.
    #[arg(long, conflicts_with = "command")]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Place<'a> {
    schema: u32,
    url: &'a str,
    port: u16,
    server: String,
}

pub(crate) fn run(args: Args) -> Result<(), Refusal> {
    let server = Server::start(args.port, |line| remark(Text::line(line)));
    let server = server.map_err(|error| Refusal::Failed(error.to_string()))?;
    match args.command.split_first() {
        Some((program, arguments)) => run_command(program, arguments, server),
        None => stay(server, args.json),
    }
}

/// Says where it is, and stays until somebody ends it.
fn stay(mut server: Server, json: bool) -> Result<(), Refusal> {
    let signals = Signals::receive().map_err(system)?;
    match json {
        true => say(place(&server)?)?,
        false => print(&Text::own_lines(&format!(
            "Redis: {}, in memory, until Ctrl-C.\n{}\n  export {}={}\n",
            server.description(),
            server.url(),
            VARIABLES[0],
            server.url()
        )))?,
    }
    loop {
        match signals.next().map_err(system)?.signal {
            Signal::SIGCHLD if server.has_ended().map_err(system)? => {
                return Err(Refusal::Failed("the Redis server has ended by itself".to_owned()));
            }
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT => return Ok(()),
            _ => {}
        }
    }
}

/// Runs a command with it, and ends as that does. The server ends later, so that the command can end in good order.
fn run_command(program: &OsStr, arguments: &[OsString], mut server: Server) -> Result<(), Refusal> {
    remark(text!("Redis: {} on {}, for this run alone.", server.description(), server.url()));
    // Before there is a command, so that no signal for it is missed.
    let signals = Signals::receive().map_err(system)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(VARIABLES.map(|name| (name, server.url())));
    let mut child = signals.spawn(&mut command).map_err(|error| unable(program, &error))?;
    let mut is_served = true;
    loop {
        let received = signals.next().map_err(system)?;
        match received.signal {
            Signal::SIGCHLD => {
                if let Some(status) = child.try_wait().map_err(system)? {
                    return ended(status);
                }
                if is_served && server.has_ended().map_err(system)? {
                    is_served = false;
                    note(text!("the Redis server has ended by itself"));
                }
            }
            // What a key of the terminal sends has reached all that run in it. That it is gone, only the first process of its
            // session is told, which this one may be.
            Signal::SIGINT | Signal::SIGQUIT if received.is_of_terminal => {}
            signal => pass_on(signal, &child),
        }
    }
}

fn place(server: &Server) -> Result<Text, Refusal> {
    let (url, server_is, port) = (server.url(), server.description(), server.address().port());
    let place = Place { schema: SCHEMA, url: &url, port, server: server_is };
    Text::json(&place)
}

fn pass_on(signal: Signal, child: &Child) {
    // It has not been waited for, so that its id is nobody else's.
    let id = nix::unistd::Pid::from_raw(child.id().cast_signed());
    // It may have ended just now.
    let _ = nix::sys::signal::kill(id, signal);
}

fn ended(status: ExitStatus) -> Result<(), Refusal> {
    let code = status.code().or(status.signal().map(|signal| SIGNAL_BASE + signal));
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(()),
        code => Err(Refusal::Exited(code.unwrap_or(u8::MAX))),
    }
}

fn unable(program: &OsStr, error: &io::Error) -> Refusal {
    let program = program.display();
    Refusal::Failed(match error.kind() {
        io::ErrorKind::NotFound => format!("there is no program {program}"),
        _ => format!("{program} cannot be run: {error}"),
    })
}

/// What the system refuses that it never should.
fn system(error: io::Error) -> Refusal {
    Refusal::Failed(format!("the system refuses to tell of signals and children: {error}"))
}

/// A line on standard error: standard output is the command's. Where nobody reads it, it is dropped.
fn remark(line: Text) {
    let _ = io::stderr().write_all(line.ended().as_str().as_bytes());
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("'{text}' is no port: 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_exits_as_the_command_does() {
        const EXITED: i32 = 8;
        for (status, expected) in [
            (0, Ok(())),
            (3 << EXITED, Err(Refusal::Exited(3))),
            (255 << EXITED, Err(Refusal::Exited(255))),
            (libc::SIGTERM, Err(Refusal::Exited(143))),
        ] {
            assert_eq!(ended(ExitStatus::from_raw(status)), expected, "{status}");
        }
    }
}
