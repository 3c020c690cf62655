//! Jobs that start programs: what those find, and how they are ended.
//!
//! | name | does |
//! |---|---|
//! | `interop.program` | what a program prints, as the Python job of that name |
//! | `programs.spawn` | the same without the help of Rust's library, which tidies up a little |
//! | `programs.terminate` | starts a program, sends it SIGTERM, and says by which signal it ended |
//! | `programs.wait_for` | starts a program and waits for its end, heeding nothing |
//! | `programs.leave` | starts a program and leaves it behind when it has begun |

use std::ffi::CString;
use std::fs;
use std::io::{Read, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawnp};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use rq_core::{Handlers, handlers, job};

type Result<T> = rq_core::Result<T>;

/// How often a job looks whether its program has begun.
const PACE: Duration = Duration::from_millis(5);

/// All of them.
pub fn handlers() -> Handlers {
    handlers![program, spawn, terminate, wait_for, leave]
}

/// What a program prints.
#[job("interop.program")]
pub fn program(argv: Vec<String>) -> Result<String> {
    // By a pipe of our own: `output` would give it another standard error.
    let (mut reader, writer) = pipe()?;
    let mut child = command(&argv)?.stdout(writer).spawn()?;
    let mut printed = String::new();
    reader.read_to_string(&mut printed)?;
    child.wait()?;
    Ok(printed)
}

/// What a program prints that is started by the C library alone; the file is for its output.
#[job("programs.spawn")]
pub fn spawn(argv: Vec<String>, file: String) -> Result<String> {
    let argv = argv.into_iter().map(CString::new).collect::<std::result::Result<Vec<_>, _>>()?;
    let environment: Vec<CString> = Vec::new();
    let mut actions = PosixSpawnFileActions::init()?;
    let output = fs::File::create(&file)?;
    actions.add_dup2(output.as_raw_fd(), 1)?;
    let program = argv.first().ok_or("a program has a name")?;
    let pid = posix_spawnp(program, &actions, &PosixSpawnAttr::init()?, &argv, &environment)?;
    waitpid(pid, None)?;
    Ok(fs::read_to_string(&file)?)
}

/// Starts a program and sends it SIGTERM; says by which signal it ended.
#[job("programs.terminate")]
pub fn terminate(argv: Vec<String>) -> Result<Option<i32>> {
    let mut child = command(&argv)?.spawn()?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    Ok(child.wait()?.signal())
}

/// Starts a program and waits for its end.
#[job("programs.wait_for")]
pub fn wait_for(argv: Vec<String>) -> Result<()> {
    command(&argv)?.spawn()?.wait()?;
    Ok(())
}

/// Starts a program, and returns, or aborts, when the program has made a file.
#[job("programs.leave")]
pub fn leave(argv: Vec<String>, file: String, aborts: bool) -> Result<()> {
    let _left: Child = command(&argv)?.spawn()?;
    while !Path::new(&file).exists() {
        thread::sleep(PACE);
    }
    if aborts { std::process::abort() } else { Ok(()) }
}

fn command(argv: &[String]) -> Result<Command> {
    let (program, arguments) = argv.split_first().ok_or("a program has a name")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::inherit());
    Ok(command)
}
