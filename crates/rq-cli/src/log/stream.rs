//! [`Stream`]: standard output, standard error or a file, whose reader may stop reading.
//!
//! To write to a full pipe is to wait for its reader, and a worker has one thread for its claims, its leases and its
//! signals. So lines wait in a buffer, and a thread of the stream's own writes them. What does not fit into the buffer
//! is dropped and counted, and where it would have been one line says how much it was. At its end a worker waits for
//! lines that somebody reads, and leaves behind what nobody does.
//!
//! The thread is started when the worker's executor is there: before that it might yet fork. Until then, and always in
//! fork servers and horses, which never get there, whoever logs writes.
//!
//! The crate `tracing-appender` has such a thread, too, and is not used: where pipe and buffer are full, its guard
//! prints to that pipe at the end and waits for ever; its buffer counts lines, and a line may have 32 KB; and it says
//! nowhere in the log how many it has dropped.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rq_core::Shown;
use tracing::Level;

use super::line::Lines;
use super::target::Target;
use crate::output::note;
use crate::text::text;

/// How much waits for the reader: some 40,000 lines, which at a line a millisecond is more than half a minute. As much
/// again may be on its way to the reader.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// What a buffer keeps of its room when it is empty.
const ROOM_BYTES: usize = 64 << 10;
/// How much is written at once, in whole lines: a pipe takes so much in one piece, and nothing that another process
/// writes comes in between.
const PIECE_BYTES_MAX: usize = libc::PIPE_BUF;
/// Why lines are dropped.
const UNREAD: &str = "nobody has read it for a while";
const UNWRITTEN: &str = "it could not be written for a while";
/// How long a thread that has slept lets lines gather before it writes: woken for each one, a worker of small jobs would
/// compute a tenth more.
const GATHER_TIME: Duration = Duration::from_millis(1);
/// How long a worker that leaves waits for a reader that takes nothing.
const STALL_MAX: Duration = Duration::from_millis(500);
/// How long it waits for one that takes little at a time: half of what `docker stop` allows for an end.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// What is written to, and the lines that wait for it.
#[derive(Debug)]
pub(super) struct Stream {
    target: Target,
    state: Mutex<State>,
    /// A line waits, or the end has come; and its thread has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a thread writes.
    has_thread: bool,
    /// Whether the thread waits for lines: only then is it told of one.
    is_idle: bool,
    /// Whether the thread is to end when all is written.
    is_ending: bool,
    /// Since when the thread is in the middle of a write.
    writing_since: Option<Instant>,
    /// Lines, the oldest first.
    waiting: Vec<u8>,
    /// How many lines there was no room for, behind those that wait.
    dropped: u64,
    /// How many lines could not be written to a file, and nobody was told in it.
    unwritten: u64,
}

impl Stream {
    pub(super) fn new(target: Target) -> Arc<Stream> {
        Arc::new(Stream { target, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Writes a line, with its end; or has it wait for the thread, if there is one.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.lock();
        if !state.has_thread {
            drop(state);
            return self.write(line);
        }
        // One that would fit behind those that were dropped is dropped as well, as the count stands in one place.
        if state.dropped > 0 || state.waiting.len() + line.len() > WAITING_BYTES_MAX {
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if mem::take(&mut state.is_idle) {
            self.changed.notify_all();
        }
    }

    /// Has a thread write from now on; `lines` makes the line about what was dropped. Where the system allows no
    /// thread, whoever logs goes on writing.
    pub(super) fn start_thread(self: &Arc<Self>, lines: Lines) {
        let stream = Arc::clone(self);
        let thread = thread::Builder::new().name("rq-log".to_owned()).spawn(move || stream.serve(&lines));
        self.lock().has_thread = thread.is_ok();
    }

    /// Has all written that waits, as far as somebody reads it. Lines that come later are written by whoever logs.
    pub(super) fn finish(&self) {
        let by = Instant::now() + FLUSH_MAX;
        let mut state = self.lock();
        state.is_ending = true;
        self.changed.notify_all();
        while state.has_thread {
            // A thread that has not got to its next write is not held up by a reader.
            let stalls = state.writing_since.map(|since| since + STALL_MAX);
            let left = stalls.map_or(by, |at| at.min(by)).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the thread does: writes lines until there are no more and the end has come.
    fn serve(&self, lines: &Lines) {
        let mut batch = Vec::new();
        while let Some(dropped) = self.take(&mut batch) {
            if dropped > 0 {
                batch.extend_from_slice(about_dropped(lines, dropped, UNREAD).as_bytes());
            }
            self.tell_of_unwritten(lines);
            let mut rest = &batch[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(piece_len(rest));
                self.timed(|| self.write(piece));
                rest = behind;
            }
            batch.clear();
            batch.shrink_to(ROOM_BYTES);
        }
        // Left to the end of the process, this could hold it up.
        self.timed(|| drop(self.target.flush()));
        self.lock().has_thread = false;
        self.changed.notify_all();
    }

    /// Writes lines, and goes on where that fails. Of a file it is told once, to standard error, until it can be written again.
    fn write(&self, lines: &[u8]) {
        let (Err(error), Target::File(file)) = (self.target.write_all(lines), &self.target) else { return };
        let count = lines.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
        let mut state = self.lock();
        let is_first = state.unwritten == 0;
        state.unwritten += count;
        drop(state);
        if is_first {
            let path = Shown::name(file.path().display());
            note(text!("the log file {path} cannot be written, and lines are dropped until it can: {error}"));
        }
    }

    /// Says in a file how much is missing there, once it can be written again.
    fn tell_of_unwritten(&self, lines: &Lines) {
        let unwritten = self.lock().unwritten;
        if unwritten > 0 {
            let line = about_dropped(lines, unwritten, UNWRITTEN);
            let is_told = self.target.write_all(line.as_bytes()).is_ok();
            self.lock().unwritten -= if is_told { unwritten } else { 0 };
        }
    }

    /// Waits for lines, and moves them into `batch`; returns how many were dropped behind them. Nothing when the end
    /// has come.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_ending {
                return None;
            }
            state.is_idle = true;
            drop(self.changed.wait(state));
            thread::sleep(GATHER_TIME);
            state = self.lock();
        }
        mem::swap(batch, &mut state.waiting);
        Some(mem::take(&mut state.dropped))
    }

    /// Lets others see for how long `write` takes.
    fn timed(&self, write: impl FnOnce()) {
        self.lock().writing_since = Some(Instant::now());
        write();
        self.lock().writing_since = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about_dropped(lines: &Lines, dropped: u64, reason: &str) -> String {
    let mut line = String::new();
    let lines_were = if dropped == 1 { "line of this log was" } else { "lines of this log were" };
    let message = format_args!("{dropped} {lines_were} dropped: {reason}");
    // A string takes whatever is written.
    let _ = lines.write_line(Level::WARN, module_path!(), &mut |out| out.write_fmt(message), &mut line);
    line
}

/// How much of `lines`, which is not empty, is written at once: as many whole lines as make a piece, one at least.
fn piece_len(lines: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let piece = &lines[..lines.len().min(PIECE_BYTES_MAX)];
    let end = piece.iter().rposition(is_end).or_else(|| lines.iter().position(is_end));
    end.map_or(lines.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::format::Format;
    use super::super::target::LogFile;
    use super::*;
    use crate::paint::Paint;

    /// A stream whose thread there only seems to be.
    fn unwritten() -> Arc<Stream> {
        let stream = Stream::new(Target::Err);
        stream.lock().has_thread = true;
        stream
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let stream = unwritten();
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let fit = WAITING_BYTES_MAX / line.len();
        (0..fit + 3).for_each(|_| stream.put(&line));
        // It would fit.
        stream.put(b"\n");
        let mut batch = Vec::new();
        assert_eq!(stream.take(&mut batch), Some(4));
        assert_eq!(batch.len(), fit * line.len());
        batch.clear();
        stream.put(b"later\n");
        assert_eq!((stream.take(&mut batch), &batch[..]), (Some(0), &b"later\n"[..]));
    }

    #[test]
    fn pieces_are_whole_lines() {
        let (short, long) = (format!("{}\n", "s".repeat(1_500)), format!("{}\n", "l".repeat(9_000)));
        let check = |lines: &[&str], expected: usize| {
            let lines = lines.concat();
            assert_eq!(piece_len(lines.as_bytes()), expected);
        };
        check(&[&short], short.len());
        check(&[&short, &short, &short], 2 * short.len());
        check(&[&short, &long, &short], short.len());
        check(&[&long, &short], long.len());
        check(&["without an end"], "without an end".len());
    }

    #[test]
    fn what_was_dropped_is_told_in_the_logs_format() {
        let format = Format::new("%(levelname)s %(name)s %(message)s", "").unwrap();
        let line = about_dropped(&Lines::new(format, Paint::Plain), 7, UNREAD);
        assert_eq!(
            line,
            "WARNING rq.worker 7 lines of this log were dropped: nobody has read it for a while\n"
        );
    }

    #[test]
    fn a_thread_writes_to_a_file() {
        let path = std::env::temp_dir().join(format!("rq-cli-stream-{}.log", std::process::id()));
        let file = LogFile::open(&path, true, true).unwrap();
        let stream = Stream::new(Target::File(file));
        stream.put(b"before there is a thread\n");
        stream.start_thread(Lines::new(Format::new("", "").unwrap(), Paint::Plain));
        (0..1_000).for_each(|_| stream.put(b"by the thread\n"));
        stream.finish();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written, "before there is a thread\n".to_owned() + &"by the thread\n".repeat(1_000));
    }

    #[test]
    fn what_a_file_did_not_take_is_counted_and_told_in_it() {
        let lines = || Lines::new(Format::new("", "").unwrap(), Paint::Plain);
        let full = Stream::new(Target::File(LogFile::open(Path::new("/dev/full"), false, false).unwrap()));
        full.put(b"one\n");
        full.put(b"two\n");
        full.tell_of_unwritten(&lines());
        assert_eq!(full.lock().unwritten, 2);
        let path = std::env::temp_dir().join(format!("rq-cli-unwritten-{}.log", std::process::id()));
        let stream = Stream::new(Target::File(LogFile::open(&path, true, false).unwrap()));
        stream.lock().unwritten = 2;
        stream.tell_of_unwritten(&lines());
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(written.contains("2 lines of this log were dropped: it could not be written"), "{written}");
        assert_eq!(stream.lock().unwritten, 0);
    }

    #[test]
    fn nobody_waits_for_a_thread_that_is_stuck() {
        let stream = unwritten();
        stream.lock().writing_since = Some(Instant::now());
        let began = Instant::now();
        stream.finish();
        assert!((STALL_MAX..FLUSH_MAX).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
