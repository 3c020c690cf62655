//! [`Board`]: what a forked child tells the Manager, in memory that both share. To tell takes no call of the system, and what
//! was told stays readable when the child is dead.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rq_process::SharedWords;

/// The words, by their place.
const PHASE: usize = 0;
const REQUESTS: usize = 1;
/// When the run in hand began, in milliseconds of the system's monotonic clock, which all processes share; 0 between runs.
const RUN_BEGAN_MS: usize = 2;
const BASELINE_BYTES: usize = 3;
const TEXT_BYTES: usize = 4;
const TEXT: usize = 5;
/// How many words of text there is room for.
const TEXT_WORDS: usize = 64;
const WORD_BYTES: usize = size_of::<u64>();

/// What a forked child tells.
#[derive(Debug)]
pub(crate) struct Board(SharedWords);

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Booting,
    Ready,
    /// It leaves behind its last request.
    Full,
    /// It leaves for another reason.
    Closing,
    /// It could not begin.
    Failed,
}

impl Phase {
    const ALL: [Phase; 5] = [Phase::Booting, Phase::Ready, Phase::Full, Phase::Closing, Phase::Failed];
}

impl Board {
    pub(crate) fn new() -> io::Result<Board> {
        Ok(Board(SharedWords::new(TEXT + TEXT_WORDS)?))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.0[at]
    }

    /// The child is ready, and holds so much before it has done anything.
    pub(crate) fn ready(&self, baseline_bytes: u64) {
        self.word(BASELINE_BYTES).store(baseline_bytes, Ordering::Relaxed);
        self.enter(Phase::Ready);
    }

    /// The child cannot begin.
    pub(crate) fn fail(&self, reason: &str) {
        let bytes = reason.as_bytes();
        let bytes = &bytes[..bytes.len().min(TEXT_WORDS * WORD_BYTES)];
        for (at, chunk) in bytes.chunks(WORD_BYTES).enumerate() {
            let mut word = [0; WORD_BYTES];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(TEXT + at).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
        self.word(TEXT_BYTES).store(bytes.len() as u64, Ordering::Relaxed);
        self.enter(Phase::Failed);
    }

    /// The child has done its last run, which was its last request if it `is_full`; from now on it closes what it has opened.
    pub(crate) fn close(&self, is_full: bool) {
        self.begin_run();
        self.enter(if is_full { Phase::Full } else { Phase::Closing });
    }

    /// Whether the child has done its last run.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase(), Phase::Full | Phase::Closing)
    }

    fn enter(&self, phase: Phase) {
        let number = Phase::ALL.iter().position(|known| *known == phase).unwrap_or_default();
        // Released: whoever sees the phase sees what was written before it.
        self.word(PHASE).store(number as u64, Ordering::Release);
    }

    pub(crate) fn begin_run(&self) {
        self.word(RUN_BEGAN_MS).store(now_ms().max(1), Ordering::Release);
    }

    pub(crate) fn end_run(&self, is_request: bool) {
        self.word(REQUESTS).fetch_add(u64::from(is_request), Ordering::Relaxed);
        self.word(RUN_BEGAN_MS).store(0, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        let number = usize::try_from(self.word(PHASE).load(Ordering::Acquire)).unwrap_or_default();
        Phase::ALL.get(number).copied().unwrap_or(Phase::Booting)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.word(REQUESTS).load(Ordering::Relaxed)
    }

    pub(crate) fn baseline_bytes(&self) -> u64 {
        self.word(BASELINE_BYTES).load(Ordering::Relaxed)
    }

    /// How long the run in hand takes by now.
    pub(crate) fn run_for(&self) -> Option<Duration> {
        let began_ms = self.word(RUN_BEGAN_MS).load(Ordering::Acquire);
        (began_ms > 0).then(|| Duration::from_millis(now_ms().saturating_sub(began_ms)))
    }

    /// Why the child could not begin, if it has said so.
    pub(crate) fn reason(&self) -> Option<String> {
        if self.phase() != Phase::Failed {
            return None;
        }
        let length = usize::try_from(self.word(TEXT_BYTES).load(Ordering::Relaxed)).unwrap_or_default();
        let words = (0..TEXT_WORDS).map(|at| self.word(TEXT + at).load(Ordering::Relaxed).to_ne_bytes());
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(length);
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn now_ms() -> u64 {
    // It fails for clocks that the system does not have, and has this one.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let board = Board::new().unwrap();
        assert_eq!((board.phase(), board.requests(), board.run_for()), (Phase::Booting, 0, None));
        board.ready(4096);
        board.begin_run();
        assert!(board.run_for().is_some_and(|ran| ran < Duration::from_secs(10)));
        board.end_run(true);
        board.end_run(false);
        assert_eq!((board.phase(), board.requests(), board.run_for()), (Phase::Ready, 1, None));
        assert_eq!((board.baseline_bytes(), board.reason()), (4096, None));
        assert!(!board.is_closing());
        board.close(false);
        assert_eq!((board.phase(), board.is_closing()), (Phase::Closing, true));
        board.close(true);
        assert!(board.phase() == Phase::Full && board.run_for().is_some());
    }

    #[test]
    fn a_reason_is_kept_as_far_as_there_is_room() {
        let board = Board::new().unwrap();
        board.fail("no such file: ä");
        assert_eq!(board.reason().as_deref(), Some("no such file: ä"));
        board.fail(&"x".repeat(10_000));
        assert_eq!(board.reason().map(|reason| reason.len()), Some(TEXT_WORDS * WORD_BYTES));
    }
}
