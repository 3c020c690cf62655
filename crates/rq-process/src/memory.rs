//! What processes hold in memory, and who belongs to one.

use std::fs;

use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::listing::children_of;

/// How many processes of one family are looked at. One that has more has what these hold counted.
const PROCESSES_MAX: usize = 1_000;

/// A process and its descendants, the nearest first; of more than a thousand some.
pub fn family(process: Pid) -> Vec<Pid> {
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

/// How many bytes of a process are resident, with what it shares with others; `None` if it is gone. It costs little.
pub fn resident_bytes(process: Pid) -> Option<u64> {
    // In pages, the second number (proc_pid_statm(5)).
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

/// How many bytes of a process are resident, and of what it shares its share; `None` where that is for others to know. The
/// system looks at each of its pages.
pub fn share_bytes(process: Pid) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let kilobytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? << 10)
}

/// How many bytes these processes hold: of what they share with others, to each its share; where that cannot be read, all
/// that is resident.
pub fn held_bytes(processes: &[Pid]) -> u64 {
    processes.iter().filter_map(|pid| share_bytes(*pid).or_else(|| resident_bytes(*pid))).sum()
}

pub(crate) fn page_bytes() -> u64 {
    /// Where the system does not say.
    const USUAL: u64 = 4096;
    let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    asked.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::Signal;

    #[test]
    fn what_a_process_holds_is_more_than_nothing_and_counts_once() {
        let own = Pid::this();
        let (resident, share) = (resident_bytes(own).unwrap(), share_bytes(own).unwrap());
        assert!(share > 1 << 20 && share <= resident + (8 << 20), "{share} of {resident}");
        let gone = Pid::from_raw(i32::MAX);
        assert_eq!((resident_bytes(gone), share_bytes(gone)), (None, None));
        assert_eq!(held_bytes(&[gone]), 0);
        assert!(held_bytes(&[own, gone]) > 1 << 20);
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
        nix::sys::signal::kill(sleeper[0], Signal::SIGKILL).unwrap();
        shell.wait().unwrap();
    }
}
