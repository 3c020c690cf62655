//! A program under test: its lines, its signals, its end.

use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::process::cpu_of;

pub use nix::sys::signal::Signal;

/// How often a program is asked whether it has ended.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long the last lines may take after the end; a grandchild may hold the pipe open.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(2);

/// How much of a line is kept.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A running program whose output is collected line by line. Dropping it kills it; when that happens in a failing test,
/// what it wrote is printed.
pub struct Child {
    name: String,
    process: std::process::Child,
    output: Arc<Output>,
    /// The pipes that nobody reads yet.
    unread: Vec<(Stream, PipeReader)>,
}

/// Which of its two outputs a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[derive(Default)]
struct Output {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    lines: Vec<(Stream, String)>,
    streams_ended: usize,
}

impl Child {
    /// Starts a program, without stdin.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("could not start {name}: {error}"));
        let output = Arc::new(Output::default());
        output.collect(Stream::Stdout, process.stdout.take().expect("stdout is piped"));
        output.collect(Stream::Stderr, process.stderr.take().expect("stderr is piped"));
        Self { name, process, output, unread: Vec::new() }
    }

    /// Starts a program, without stdin, whose stdout and stderr are full pipes, of lines from before it; nobody reads
    /// them until [`Child::read`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_unread(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let [(stdout, to_stdout), (stderr, to_stderr)] =
            [full_pipe(), full_pipe()].map(|pipe| pipe.expect("a pipe can be had and filled"));
        command.stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr);
        let process = command.spawn().unwrap_or_else(|error| panic!("could not start {name}: {error}"));
        // What the command holds open would hide the pipes' ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let unread = vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        Self { name, process, output: Arc::default(), unread }
    }

    /// Reads from now on what a program started by [`Child::spawn_unread`] writes.
    pub fn read(&mut self) {
        for (stream, pipe) in self.unread.drain(..) {
            self.output.collect(stream, pipe);
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line that contains `part`, on either output, and returns it. Lines written before count.
    ///
    /// # Panics
    /// When there is none within `limit`, or the program ends without it.
    #[track_caller]
    pub fn wait_for_line(&self, part: &str, limit: Duration) -> String {
        self.wait_for_lines(part, 1, limit).swap_remove(0)
    }

    /// Waits until `count` lines contain `part`, and returns them: for what happens more than once.
    ///
    /// # Panics
    /// When there are fewer within `limit`, or the program ends without them.
    #[track_caller]
    pub fn wait_for_lines(&self, part: &str, count: usize, limit: Duration) -> Vec<String> {
        let mut found = Vec::new();
        let is_settled = |written: &Written| {
            found = written
                .lines
                .iter()
                .map(|(_, line)| line)
                .filter(|line| line.contains(part))
                .cloned()
                .collect();
            found.len() >= count || written.has_ended()
        };
        self.output.wait_until(limit, is_settled);
        let seen = found.len();
        assert!(seen >= count, "{seen} of {count} lines with {part:?} within {limit:?}: {}", self.report());
        found
    }

    /// What it has written to one output so far.
    pub fn text(&self, stream: Stream) -> String {
        let written = self.output.lock();
        let lines = written.lines.iter().filter(|(from, _)| *from == stream);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    }

    /// How many lines it has written so far, to both outputs.
    pub fn lines(&self) -> usize {
        self.output.lock().lines.len()
    }

    /// How long it has computed so far, without the processes that it has started. The system counts in hundredths of a
    /// second.
    ///
    /// # Panics
    /// When it has been waited for, or where there is no `/proc`.
    #[track_caller]
    pub fn cpu(&self) -> Duration {
        cpu_of(self.id())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it has been waited for.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("process ids fit");
        kill(Pid::from_raw(id), signal).unwrap_or_else(|error| panic!("{signal} for {}: {error}", self.name));
    }

    /// Waits for its end, and for the last lines it wrote.
    ///
    /// # Panics
    /// When it still runs after `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.wait_at_most(limit).unwrap_or_else(|| panic!("still runs after {limit:?}: {}", self.report()))
    }

    /// As [`Child::wait`]; nothing when it still runs after `limit`.
    pub fn wait_at_most(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be waited for") {
                if self.unread.is_empty() {
                    self.output.wait_until(LAST_LINES_LIMIT, Written::has_ended);
                }
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// As [`Child::wait`], for a program that must succeed; returns what it wrote to stdout.
    ///
    /// # Panics
    /// When it still runs after `limit`, or its exit code is not 0.
    #[track_caller]
    pub fn succeed(mut self, limit: Duration) -> String {
        let status = self.wait(limit);
        assert!(status.success(), "{status}: {}", self.report());
        self.text(Stream::Stdout)
    }

    /// The command line and all that was written, for a message.
    pub fn report(&self) -> String {
        let mut report = format!("{}\n", self.name);
        for (stream, line) in &self.output.lock().lines {
            report.push_str(if *stream == Stream::Stdout { "  out| " } else { "  err| " });
            report.push_str(line);
            report.push('\n');
        }
        report
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a program that was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("when the test failed: {}", self.report());
        }
    }
}

impl Output {
    /// Reads a pipe to its end, on a thread that ends with the pipe.
    fn collect(self: &Arc<Self>, stream: Stream, pipe: impl Read + Send + 'static) {
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            // A pipe that breaks has ended.
            while let Ok(Some(line)) = read_line(&mut reader) {
                let text = String::from_utf8_lossy(&line).into_owned();
                output.change(|written| written.lines.push((stream, text)));
            }
            output.change(|written| written.streams_ended += 1);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait_until(&self, limit: Duration, mut is_settled: impl FnMut(&Written) -> bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |written| !is_settled(written));
        drop(waited);
    }

    /// Lines stay good when a test that held them panicked.
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe that takes not a byte more, and both its ends.
fn full_pipe() -> io::Result<(PipeReader, io::PipeWriter)> {
    const LINE: &[u8] = b"from before\n";
    let (reader, mut writer) = io::pipe()?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    while writer.write(LINE).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok((reader, writer))
}

/// The next line, without its end and cut where it is too long; nothing at the end of the pipe.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64;
    if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

impl Written {
    fn has_ended(&self) -> bool {
        const STREAMS: usize = 2;
        self.streams_ended == STREAMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Child {
        Child::spawn(Command::new("sh").args(["-c", script]))
    }

    fn message(test: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(test).expect_err("it panics").downcast::<String>().expect("with a message")
    }

    #[test]
    fn lines_are_seen_while_it_runs_and_signals_arrive() {
        let mut child = shell("trap 'echo bye; exit 3' TERM; echo ready >&2; while :; do sleep 0.01; done");
        assert_eq!(child.wait_for_line("read", LIMIT), "ready");
        child.signal(Signal::SIGTERM);
        assert_eq!(child.wait(LIMIT).code(), Some(3));
        assert_eq!(
            (child.text(Stream::Stdout), child.text(Stream::Stderr)),
            ("bye\n".into(), "ready\n".into())
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_what_follows_is_seen() {
        let child = shell("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo; echo next");
        assert_eq!(child.wait_for_line("next", LIMIT), "next");
        let text = child.text(Stream::Stdout);
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, 0, 4]);
    }

    #[test]
    fn a_pipe_is_full_until_it_is_read() {
        let mut child = Child::spawn_unread(Command::new("sh").args(["-c", "echo behind; echo the end >&2"]));
        assert!(child.wait_at_most(Duration::from_millis(50)).is_none());
        child.read();
        assert_eq!(child.wait(LIMIT).code(), Some(0));
        assert!(child.text(Stream::Stdout).ends_with("from before\nbehind\n"));
        assert!(child.text(Stream::Stderr).ends_with("from before\nthe end\n"));
    }

    #[test]
    fn repeated_lines_are_counted() {
        let child = shell("echo job 1; echo other; echo job 2; sleep 60");
        assert_eq!(child.wait_for_lines("job", 2, LIMIT), ["job 1", "job 2"]);
    }

    #[test]
    fn a_line_that_cannot_come_any_more_is_reported_at_once_with_all_that_came() {
        let began = Instant::now();
        let message = message(|| drop(shell("echo something else").wait_for_line("ready", LIMIT)));
        assert!(message.contains("out| something else"), "{message}");
        assert!(began.elapsed() < LIMIT);
    }

    #[test]
    fn a_program_that_fails_or_stays_is_reported() {
        let failed = message(|| drop(shell("echo why >&2; exit 4").succeed(LIMIT)));
        assert!(failed.contains("exit status: 4") && failed.contains("err| why"), "{failed}");
        let stayed = message(|| {
            shell("exec sleep 60").wait(Duration::from_millis(20));
        });
        assert!(stayed.contains("still runs after 20ms"), "{stayed}");
    }

    #[test]
    fn dropping_kills() {
        let child = shell("exec sleep 60");
        let id = Pid::from_raw(child.id() as i32);
        drop(child);
        assert!(kill(id, None).is_err());
    }
}
