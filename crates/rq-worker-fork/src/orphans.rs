//! Ends the processes that a dead fork server leaves behind: its horses, and what their jobs have started, which sees
//! SIGTERM, and SIGKILL a second later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CStr;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::TERM_GRACE;
use crate::server::{HORSE_NAME, SERVER_NAME, WORKER_VARIABLE};

/// How often, and how far apart, the worker looks for orphans. They become its children one after the other, as their
/// parents die.
const ROUNDS_MAX: usize = 400;
const ROUND_PAUSE: Duration = Duration::from_millis(10);
/// After how many rounds without an orphan the worker takes it that there are no more.
const ROUNDS_WITHOUT: usize = 10;

/// Ends the processes that the dead server of this worker leaves behind: the system makes them the worker's own
/// children. It leaves other children alone, which the program has started itself.
pub(crate) fn end(worker: &str) {
    let mut without = 0;
    // Those that were found, and since when: one that has ended shows nothing by which it could be recognized.
    let mut known: HashMap<Pid, (Orphan, Instant)> = HashMap::new();
    for _ in 0..ROUNDS_MAX {
        let mut found = false;
        for pid in rq_process::children_of(Pid::this()) {
            if let Entry::Vacant(new) = known.entry(pid)
                && let Some(orphan) = Orphan::recognize(pid, worker)
            {
                // It does nothing to one that has ended already, which is only reaped.
                let _ = kill(pid, Signal::SIGTERM);
                new.insert((orphan, Instant::now()));
            }
            let Some((orphan, since)) = known.get(&pid) else { continue };
            found = true;
            // A horse passes over SIGTERM, and nobody waits for its job any more.
            if *orphan == Orphan::Horse || since.elapsed() >= TERM_GRACE {
                let _ = kill(pid, Signal::SIGKILL);
            }
            if waitpid(pid, Some(WaitPidFlag::WNOHANG)) != Ok(WaitStatus::StillAlive) {
                // The next child of this id is another.
                known.remove(&pid);
            }
        }
        without = if found { 0 } else { without + 1 };
        if without == ROUNDS_WITHOUT {
            return;
        }
        sleep(ROUND_PAUSE);
    }
}

/// What a dead server leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Orphan {
    Horse,
    /// A program that a job has started.
    Program,
}

impl Orphan {
    /// Recognizes a horse by its name, even when it is dead; one that died before it had set its name, by the server's; and
    /// a program that a job has started, by its environment.
    fn recognize(pid: Pid, worker: &str) -> Option<Orphan> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (name, fields) = rq_process::name_and_fields(&stat).unwrap_or_default();
        let is_called = |wanted: &CStr| name.as_bytes() == wanted.to_bytes();
        let is_dead = fields.starts_with('Z');
        // A living process with the server's name is the new server, and must go on.
        if is_called(HORSE_NAME) || is_dead && is_called(SERVER_NAME) {
            return Some(Orphan::Horse);
        }
        let wanted = format!("{WORKER_VARIABLE}={worker}");
        // The system shows what a program was started with: so horses, which are only forked, go by their name.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_started_by_job =
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
        is_started_by_job.then_some(Orphan::Program)
    }
}
