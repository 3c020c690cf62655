//! What a fork server that has died leaves behind: its horses, and what their jobs have started.

use std::ffi::CStr;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::process;
use crate::server::{HORSE_NAME, SERVER_NAME, WORKER_VARIABLE};

/// How often, and how far apart, orphans are looked for. They come one after the other, as those die whose children they were.
const ROUNDS_MAX: usize = 200;
const ROUND_PAUSE: Duration = Duration::from_millis(10);
/// After how many rounds without one there are none.
const ROUNDS_WITHOUT: usize = 10;

/// Ends what the dead server of this worker leaves behind: the system makes them the worker's own children. Others that the
/// program has started itself are let be.
pub(crate) fn end(worker: &str) {
    let mut without = 0;
    for _ in 0..ROUNDS_MAX {
        let mut found = false;
        for pid in process::children_of_all_threads() {
            if is_orphan(pid, worker) {
                found = true;
                // One that is gone already is only reaped.
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        without = if found { 0 } else { without + 1 };
        if without == ROUNDS_WITHOUT {
            return;
        }
        sleep(ROUND_PAUSE);
    }
}

/// A horse goes by its name, even when it is dead; one that has died before it had that, by its parent's; a program that a
/// job has started, by its environment.
fn is_orphan(pid: Pid, worker: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (name, fields) = process::name_and_fields(&stat).unwrap_or_default();
    let is_called = |wanted: &CStr| name.as_bytes() == wanted.to_bytes();
    let is_dead = fields.starts_with('Z');
    let is_horse = is_called(HORSE_NAME) || is_dead && is_called(SERVER_NAME);
    let is_started_by_job = || {
        let wanted = format!("{WORKER_VARIABLE}={worker}");
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    is_horse || is_started_by_job()
}
