//! Running other programs: one way to do it, with the whole command line in every message.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{IsTerminal, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A quiet program that takes longer than this is named on stderr, so that nobody wonders what is going on.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// How long a quiet program may take unless [`Program::limit`] says otherwise.
const LIMIT: Duration = Duration::from_secs(600);
/// How much of a failed program's output goes into the message.
const SHOWN_LINES: usize = 20;

/// A program about to run.
pub(crate) struct Program {
    command: Command,
    line: String,
    limit: Duration,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let line = shell_word(name.as_ref());
        Self { command: Command::new(name), line, limit: LIMIT }
    }

    /// The cargo that runs us, with `line` split at blanks as its arguments.
    pub(crate) fn cargo(line: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut program = Self::new(cargo).args(line.split_whitespace());
        program.line = format!("cargo {line}");
        program
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.line.push(' ');
        self.line.push_str(&shell_word(arg.as_ref()));
        self.command.arg(arg);
        self
    }

    /// An argument that may hold a password: it is passed on, and never shown.
    pub(crate) fn secret_arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.line.push_str(" ***");
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.line = format!("{name}={} {}", shell_word(value.as_ref()), self.line);
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// How long [`Program::output`] waits before it kills the program.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs in the foreground, its output on ours.
    pub(crate) fn status(mut self) -> Result<ExitStatus> {
        say_dim(&self.line);
        self.command.status().with_context(|| format!("could not start `{}`", self.line))
    }

    /// As [`Program::status`]; anything but exit code 0 is an error.
    pub(crate) fn run(self) -> Result<()> {
        let line = self.line.clone();
        let status = self.status()?;
        if status.success() { Ok(()) } else { bail!("`{line}` failed: {status}.") }
    }

    /// As [`Program::status`], with every line it writes to stdout also shown to `see`.
    pub(crate) fn status_seeing(mut self, see: impl FnMut(&str)) -> Result<ExitStatus> {
        say_dim(&self.line);
        let mut child = self.spawn_with(Stdio::piped(), Stdio::inherit())?;
        let copied = copy_lines(child.stdout.take(), see);
        let status = child.wait().with_context(|| format!("lost sight of `{}`", self.line))?;
        copied.with_context(|| format!("could not read what `{}` prints", self.line))?;
        Ok(status)
    }

    /// Runs quietly, without stdin, and answers what it wrote to stdout.
    ///
    /// Fails when it does not start, does not end within its limit, or exits with anything but 0.
    pub(crate) fn output(mut self) -> Result<String> {
        self.command.stdin(Stdio::null());
        let mut child = self.spawn_with(Stdio::piped(), Stdio::piped())?;
        let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let deadline = Instant::now() + self.limit;
        let Some(out) = self.patient(&out, deadline) else { return Err(self.give_up(child)) };
        let Some(err) = self.patient(&err, deadline) else { return Err(self.give_up(child)) };
        let status = child.wait().with_context(|| format!("lost sight of `{}`", self.line))?;
        if !status.success() {
            bail!("`{}` failed ({status}).\n{}", self.line, last_lines(&format!("{out}{err}")));
        }
        Ok(out)
    }

    fn spawn_with(&mut self, out: Stdio, err: Stdio) -> Result<Child> {
        self.command.stdout(out).stderr(err);
        self.command.spawn().with_context(|| format!("could not start `{}`", self.line))
    }

    /// The collected text, or nothing at the deadline; names the program once it has been quiet for long.
    fn patient(&self, text: &Receiver<String>, deadline: Instant) -> Option<String> {
        let left = || deadline.saturating_duration_since(Instant::now());
        match text.recv_timeout(QUIET_FOR.min(left())) {
            Err(RecvTimeoutError::Timeout) if !left().is_zero() => {
                say_dim(&self.line);
                text.recv_timeout(left()).ok()
            }
            answer => answer.ok(),
        }
    }

    fn give_up(&self, mut child: Child) -> anyhow::Error {
        // Both fail only for a program that has ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
        anyhow::anyhow!("`{}` did not end within {} s and was stopped.", self.line, self.limit.as_secs())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// One line of news, on stderr.
pub(crate) fn say(line: impl fmt::Display) {
    eprintln!("{line}");
}

fn say_dim(line: &str) {
    match std::io::stderr().is_terminal() {
        true => eprintln!("\x1b[2m$ {line}\x1b[0m"),
        false => eprintln!("$ {line}"),
    }
}

/// Reads a pipe to its end on a thread of its own: a program that fills one pipe must not wait for the other.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe shows in the exit status; what came through is kept for the message.
            let _ = pipe.read_to_end(&mut bytes);
        }
        // Nobody listens any more once the limit was reached.
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// Copies lines to our stdout as they come, each also to `see`.
fn copy_lines(pipe: Option<impl Read>, mut see: impl FnMut(&str)) -> std::io::Result<()> {
    use std::io::BufRead;
    let Some(pipe) = pipe else { return Ok(()) };
    let mut reader = std::io::BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        std::io::stdout().flush()?;
        see(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// `word` as one would type it in a shell.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_wrote() {
        let error = Program::new("sh").args(["-c", "echo why >&2; exit 3"]).output().unwrap_err().to_string();
        assert!(error.contains("`sh -c 'echo why >&2; exit 3'`"), "{error}");
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_program_over_its_limit_is_stopped() {
        let program = Program::new("sh").args(["-c", "exec sleep 60"]).limit(Duration::from_millis(50));
        let error = program.output().unwrap_err().to_string();
        assert!(error.contains("did not end"), "{error}");
    }

    #[test]
    fn output_on_both_pipes_is_read_whole() {
        let script = "i=0; while [ $i -lt 5000 ]; do echo 0123456789012345678; echo x >&2; i=$((i+1)); done";
        assert_eq!(Program::new("sh").args(["-c", script]).output().unwrap().len(), 5000 * 20);
    }

    #[test]
    fn lines_are_seen_while_they_are_copied() {
        let mut seen = Vec::new();
        let program = Program::new("printf").arg("one\ntwo\n");
        assert!(program.status_seeing(|line| seen.push(line.trim().to_string())).unwrap().success());
        assert_eq!(seen, ["one", "two"]);
    }
}
