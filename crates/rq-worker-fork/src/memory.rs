//! [`MemoryLimit`]: what a job and the processes that it has started may hold in memory.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::process::children_of;

/// How often the memory of jobs is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How many processes of one job are looked at. One that has more has what these hold counted.
const PROCESSES_MAX: usize = 1_000;

/// What a job and the processes that it has started may hold in memory: what is resident, not what is mapped, of which
/// runtimes such as Node's or Java's reserve gigabytes and use little.
///
/// It is sampled. A control group would count exactly, but the worker could make none beside itself: in version 2 a
/// group that has processes has no groups with a limit, and the worker's own is its service manager's.
pub(crate) struct MemoryLimit {
    bytes: u64,
    look_at: Instant,
}

impl MemoryLimit {
    pub(crate) fn new(megabytes: u64) -> MemoryLimit {
        MemoryLimit { bytes: megabytes.saturating_mul(1 << 20), look_at: Instant::now() }
    }

    /// How long until it is time to look.
    pub(crate) fn pause(&self) -> Duration {
        self.look_at.saturating_duration_since(Instant::now())
    }

    /// Whether it is time to look; then it is not for a while.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.look_at <= now;
        if is_due {
            self.look_at = now + LOOK_PAUSE;
        }
        is_due
    }

    /// How many bytes a process and its descendants hold, where that is more than they may.
    pub(crate) fn excess(&self, process: Pid) -> Option<u64> {
        let family = family(process);
        // What processes share is counted to each of them here: it costs little, and is no less than they hold.
        let at_most: u64 = family.iter().filter_map(|pid| resident_bytes(*pid)).sum();
        if at_most <= self.bytes {
            return None;
        }
        // Here to none more than its share, by a look at each of their pages.
        let held: u64 =
            family.iter().filter_map(|pid| share_bytes(*pid).or_else(|| resident_bytes(*pid))).sum();
        (held > self.bytes).then_some(held)
    }
}

/// A process and its descendants.
fn family(process: Pid) -> Vec<Pid> {
    let mut family = vec![process];
    let mut at = 0;
    while at < family.len() && family.len() < PROCESSES_MAX {
        // A process that is the child of two others was forked between two looks, and is there once.
        let children: Vec<Pid> =
            children_of(family[at]).into_iter().filter(|pid| !family.contains(pid)).collect();
        family.extend(children);
        at += 1;
    }
    family
}

/// What of a process is resident, what it shares with others included; none if it is gone.
fn resident_bytes(process: Pid) -> Option<u64> {
    // In pages, the second number (proc_pid_statm(5)).
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

/// What of a process is resident, and of what it shares its share; none where nobody else may know.
fn share_bytes(process: Pid) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let kilobytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? << 10)
}

fn page_bytes() -> u64 {
    /// Where the system does not say.
    const USUAL: u64 = 4096;
    let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    asked.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_process_holds_is_more_than_nothing_and_counts_once() {
        let own = Pid::this();
        let (resident, share) = (resident_bytes(own).unwrap(), share_bytes(own).unwrap());
        assert!(share > 1 << 20 && share <= resident + (8 << 20), "{share} of {resident}");
        assert_eq!(MemoryLimit::new(u64::MAX).excess(own), None);
        assert!(MemoryLimit::new(1).excess(own).is_some());
        assert_eq!(MemoryLimit::new(1).excess(Pid::from_raw(i32::MAX)), None, "one that is gone");
    }

    #[test]
    fn children_and_theirs_are_of_the_family() {
        let mut shell =
            Command::new("sh").args(["-c", "sleep 60 & echo; wait"]).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let family = family(Pid::this());
        assert!(family.contains(&Pid::from_raw(shell.id().try_into().unwrap())), "{family:?}");
        let sleeper = children_of(Pid::from_raw(shell.id().try_into().unwrap()));
        assert!(sleeper.len() == 1 && family.contains(&sleeper[0]), "{family:?}");
        nix::sys::signal::kill(sleeper[0], nix::sys::signal::Signal::SIGKILL).unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn looks_have_pauses() {
        let mut limit = MemoryLimit::new(1);
        assert!(limit.is_due() && !limit.is_due());
        assert!(limit.pause() > Duration::ZERO && limit.pause() <= LOOK_PAUSE);
    }
}
